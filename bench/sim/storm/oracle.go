package storm

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"millrace/bench/recount"
	"millrace/codec/unit"
)

// Violation is the breach of one invariant.
type Violation struct {
	Invariant string `json:"invariant"`
	Text      string `json:"text"`
}

// The invariants, as they are judged here:
//
//	I1  per lease, granted ≥ returned + posted at every record; what the brokers
//	    hold is what the journals say is out; after an orderly end nothing is out
//	I2  posted ≤ limit by account and day and by account; every win is reserved
//	    on the day on which it was made
//	I3  a win's event is posted or recorded once, over all journals
//	I4  what was acknowledged stands in a journal, with its price and accounts,
//	    and what is posted was reported by a client
//	I5  in calm weather a campaign that wins nothing has less than 1 % left
//	I6  stamps of one writer rise strictly, a life's stamps are above those of the
//	    life before, and a posting's above those of the lease it was paid from
type auditor struct {
	w      *World
	posted map[accountDay]unit.Nanos
	total  map[unit.AccountID]unit.Nanos
	leases map[leaseKey]unit.Nanos
	stands map[eventKey]*standing
	counts recountCounts
}

type recountCounts struct {
	Posted, Recorded, Granted, Returned uint64
	Nanos                               unit.Nanos
}

type accountDay struct {
	account unit.AccountID
	day     unit.Day
}

type leaseKey struct {
	node    unit.NodeID
	account unit.AccountID
	day     unit.Day
	epoch   unit.Epoch
}

type standing struct {
	posted bool
	amount unit.Nanos
	parts  []recount.Part
}

// why an event was recorded without being billed, as on disk.
const (
	unknownEpoch = 4
	foreignNode  = 5
)

// audit recounts every journal from its raw bytes.
func (w *World) audit() *auditor {
	a := &auditor{
		w: w, posted: map[accountDay]unit.Nanos{}, total: map[unit.AccountID]unit.Nanos{},
		leases: map[leaseKey]unit.Nanos{}, stands: map[eventKey]*standing{},
	}
	for _, n := range w.nodes {
		segments, err := n.segments()
		if err != nil {
			w.violated("I4", fmt.Sprintf("node %d: its journal can't be read: %v", n.id, err))
			continue
		}
		stamps := newStampOracle(w, n.id)
		for i, b := range segments {
			err := recount.Segment(b, func(e *recount.Entry) {
				stamps.take(e)
				a.take(e)
			})
			// One that was made and not begun, because of a crash, is nothing but zeros.
			if err != nil && len(bytes.TrimLeft(b, "\x00")) > 0 {
				w.violated("I4", fmt.Sprintf("node %d, segment %d of %d: %v", n.id, i+1, len(segments), err))
			}
		}
	}
	return a
}

func (a *auditor) take(e *recount.Entry) {
	switch e.Kind {
	case recount.Granted:
		a.counts.Granted++
		a.move(leaseKey{e.Node, e.Account, e.Day, e.Epoch}, e.Amount, e)
	case recount.Returned:
		a.counts.Returned++
		a.move(leaseKey{e.Node, e.Account, e.Day, e.LeaseEpoch}, -e.Amount, e)
	case recount.Posted, recount.Recorded:
		a.event(e)
	}
}

// move changes what is out in a lease (I1).
func (a *auditor) move(k leaseKey, by unit.Nanos, e *recount.Entry) {
	if a.leases[k] += by; a.leases[k] < 0 {
		a.w.violated("I1", fmt.Sprintf("lease %+v is %v below zero after kind %d, epoch %d, seq %d", k, -a.leases[k], e.Kind, e.Epoch, e.Seq))
	}
}

func (a *auditor) event(e *recount.Entry) {
	if e.Kind == recount.Recorded {
		a.counts.Recorded++
		if e.Reason == foreignNode || e.Reason == unknownEpoch {
			return // each time it is reported: never billed here
		}
	}
	k := eventKey{e.Win, e.Event}
	if a.stands[k] != nil {
		a.w.violated("I3", fmt.Sprintf("%s of win %+v stands twice", e.Event, e.Win))
	}
	a.stands[k] = &standing{e.Kind == recount.Posted, e.Amount, e.Parts}
	if e.Kind == recount.Recorded {
		return
	}
	a.counts.Posted++
	a.counts.Nanos += e.Amount
	for _, p := range e.Parts {
		a.posted[accountDay{p.Account, p.Day}] += e.Amount
		a.total[p.Account] += e.Amount
		a.move(leaseKey{e.Node, p.Account, p.Day, p.Epoch}, -e.Amount, e)
	}
}

// limits judges I2.
func (a *auditor) judgeLimits() {
	for _, k := range sortedDays(a.posted) {
		if l := a.w.limits[k.account]; l == nil {
			a.w.violated("I2", fmt.Sprintf("posted to account %d, which no catalog has", k.account))
		} else if l.daily > 0 && a.posted[k] > l.daily {
			a.w.violated("I2", fmt.Sprintf("account %s, day %d: posted %v of %v", l.name, k.day, a.posted[k], l.daily))
		}
	}
	for id, l := range a.w.limits {
		if l.total > 0 && a.total[id] > l.total {
			a.w.violated("I2", fmt.Sprintf("account %s: posted %v of %v", l.name, a.total[id], l.total))
		}
	}
}

// judgeEvents judges I4, and that nothing was posted that nobody reported.
func (a *auditor) judgeEvents() {
	for k, c := range a.w.history.calls {
		s := a.stands[k]
		switch {
		case s == nil && c.acked:
			a.w.violated("I4", fmt.Sprintf("%s of win %+v was acknowledged at %v and stands nowhere", k.kind, k.win, c.ackedAt))
		case s != nil && s.posted && (!c.billable || s.amount != c.price || !slices.Equal(partAccounts(s.parts), namedAccounts(c.accounts))):
			a.w.violated("I4", fmt.Sprintf("%s of win %+v cost %v, posted is %v to %v", k.kind, k.win, c.price, s.amount, s.parts))
		}
	}
	for k := range a.stands {
		if a.w.history.calls[k] == nil {
			a.w.violated("I4", fmt.Sprintf("%s of win %+v stands in a journal; no client reported it", k.kind, k.win))
		}
	}
}

func partAccounts(parts []recount.Part) (ids []unit.AccountID) {
	for _, p := range parts {
		ids = append(ids, p.Account)
	}
	return ids
}

func namedAccounts(accounts [2]unit.AccountID) (ids []unit.AccountID) {
	for _, id := range accounts {
		if id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// outstanding is what journals say is out, by account.
func (a *auditor) outstanding() map[unit.AccountID]unit.Nanos {
	out := map[unit.AccountID]unit.Nanos{}
	for k, left := range a.leases {
		out[k.account] += left
	}
	return out
}

// judgeHeld compares what the brokers say they hold with what is out (I1).
// Nothing may be under way.
func (a *auditor) judgeHeld() {
	held := map[unit.AccountID]unit.Nanos{}
	for _, n := range a.w.nodes {
		for _, c := range n.cores {
			for _, b := range c.Broker().AppendBalances(nil) {
				held[b.Account] += b.Available + b.Reserved + b.Moving + b.Pool + b.Locked
			}
			if d := c.Broker().Counts().Defects; d > 0 {
				a.w.violated("I1", fmt.Sprintf("node %d: a broker met %d contradictions", n.id, d))
			}
		}
	}
	out := a.outstanding()
	for id, l := range a.w.limits {
		if held[id] != out[id] {
			a.w.violated("I1", fmt.Sprintf("account %s: %v is out in leases, the brokers hold %v", l.name, out[id], held[id]))
		}
	}
}

// judgeReturned: after an orderly end nothing is out (I1).
func (a *auditor) judgeReturned() {
	for id, left := range a.outstanding() {
		if left != 0 {
			a.w.violated("I1", fmt.Sprintf("account %s: %v is still out after everybody gave back", a.w.limits[id].name, left))
		}
	}
}

func sortedDays(m map[accountDay]unit.Nanos) []accountDay {
	keys := make([]accountDay, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y accountDay) int {
		if x.account != y.account {
			if x.account < y.account {
				return -1
			}
			return 1
		}
		return int(x.day) - int(y.day)
	})
	return keys
}

// calmMin is what it takes until everything that faults locked is back: a
// reservation's life, and the pause after which an exhausted store is asked again.
const calmMin = 100 * time.Second

// judgeDelivery gives the largest part of a budget that was left though its
// campaign found demand, at the end of the calm (I5).
func (a *auditor) judgeDelivery() (worst float64, judged int) {
	w := a.w
	h := &w.history
	if w.set.calm < calmMin {
		return 0, 0 // what dead lives hold is not back yet
	}
	reserved := map[unit.AccountID]unit.Nanos{}
	horizon := w.now - instant(w.set.reservationTTL+w.set.reservationTTL/8)
	for id, win := range h.wins {
		if win.at < horizon || a.billed(id) {
			continue
		}
		for _, acc := range win.accounts {
			reserved[acc] += win.reserved
		}
	}
	for i := range w.snapshot.Accounts {
		acc := &w.snapshot.Accounts[i]
		l := w.limits[acc.ID]
		if l.size < 0 || !l.asap || h.calmWon[l.size] > 0 || h.calmAsked[l.size] < 15 || w.dayIsYoung(acc.Zone) {
			continue
		}
		limit, spent := acc.Daily, a.posted[accountDay{acc.ID, w.wall().DayIn(acc.Zone)}]
		if acc.Total > 0 {
			limit, spent = acc.Total, a.total[acc.ID]
		}
		judged++
		left := limit - spent - reserved[acc.ID]
		if left > l.price { // what is left could have bought one more
			worst = max(worst, float64(left)/float64(limit))
		}
		if left > max(limit/100, l.price) {
			w.violated("I5", fmt.Sprintf("account %s wins nothing in calm weather, with %v of %v left (%v reserved)", l.name, left, limit, reserved[acc.ID]))
		}
	}
	return worst, judged
}
