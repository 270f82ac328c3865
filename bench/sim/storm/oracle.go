package storm

import (
	"bytes"
	"fmt"
	"slices"

	"millrace/bench/recount"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/state/outbox/faultfs"
	"millrace/state/store/joint"
)

// Violation is the breach of one invariant.
type Violation struct {
	Invariant string `json:"invariant"`
	Text      string `json:"text"`
}

// The invariants, as they are judged here:
//
//	I1  per lease, granted ≥ returned + posted at every record, in the journals and
//	    in the shared ledger; what the brokers hold is what the journals say is
//	    out; after an orderly end nothing is out but what lost machines hold, and
//	    ledger and journals say the same of every lease; a refund is the whole of
//	    its posting, from the same accounts and days; whatever counts (brokers,
//	    journals' books, own stores, the ledger) counts by account and day what
//	    the records add up to
//	I2  posted − refunded ≤ limit by account and day and by account, over all
//	    machines, at every posting in the order of the stamps; the ledger never
//	    grants above a limit; every win is reserved on the day on which it was
//	    made, and before its life's time is over
//	I3  a win's event is posted or recorded once, over all journals, and once in the
//	    ledger; it is refunded at most once, in either
//	I4  what was acknowledged stands in a journal, with its price and accounts,
//	    and what is posted was reported by a client; what stands in a journal that
//	    is not lost stands in the ledger; so it is with refunds, of which each
//	    follows its posting in the same journal and was asked for; none is refused
//	    by the machine that acknowledged its event as billed
//	I5  in calm weather a campaign that wins nothing has less than 1 % left, what
//	    lost machines hold apart
//	I6  stamps of one writer rise strictly, a life's stamps are above those of the
//	    life before, a posting's above those of the lease it was paid from, a
//	    refund's above its posting's, and a grant's above those of the returns and
//	    refunds that the ledger had before it
//	I7  audit chains verify and hold the journal, whatever crashed; one flipped
//	    byte in them is found
type auditor struct {
	w      *World
	posted map[accountDay]unit.Nanos
	total  map[unit.AccountID]unit.Nanos
	leases map[leaseKey]*leaseSums
	lost   map[joint.Life]bool // lives whose disk is not with a node any more
	disk   *lostDisk           // whose journal is being read, nil: a node's own
	owner  machineDisk
	stands map[eventKey]*standing
	// foreign events were reported to a machine that may not bill them: the one
	// that made the win is lost.
	foreign map[eventKey]bool
	refunds map[eventKey]*standing
	moves   []move
	machine *node // whose journal is being read, nil: a lost disk
	journal int   // the how manieth it is
	books   map[bookKey]*bookSums
	counts  recountCounts
}

type recountCounts struct {
	Posted, Recorded, Granted, Returned, Refunded uint64
	Nanos, Back                                   unit.Nanos
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
	posted  bool
	amount  unit.Nanos
	parts   []recount.Part
	lost    bool // its journal is lost and was not recovered
	stamp   uint64
	journal int // in which it stands
	by      machineDisk
}

// why an event was recorded without being billed, as on disk.
const (
	unknownEpoch = 4
	foreignNode  = 5
)

// audit recounts every journal from its raw bytes. What the machines' books must
// say is added up only if they are to be compared.
func (w *World) audit(compare bool) *auditor {
	a := &auditor{
		w: w, posted: map[accountDay]unit.Nanos{}, total: map[unit.AccountID]unit.Nanos{},
		leases: map[leaseKey]*leaseSums{}, lost: map[joint.Life]bool{}, stands: map[eventKey]*standing{}, foreign: map[eventKey]bool{},
		refunds: map[eventKey]*standing{},
	}
	if compare {
		a.books = map[bookKey]*bookSums{}
	}
	for _, l := range w.attic {
		a.owner = l.of
		a.read(l.node, l.disk, l)
	}
	for _, n := range w.nodes {
		if !n.retired || n.sim != nil {
			a.machine, a.owner = n, n.machineDisk()
			a.read(n.id, n.disk, nil)
		}
	}
	return a
}

// read recounts one disk.
func (a *auditor) read(id unit.NodeID, disk *faultfs.FS, lost *lostDisk) {
	a.disk = lost
	a.journal++
	w := a.w
	segments, err := segmentsOf(disk)
	if err != nil {
		w.violated("I4", fmt.Sprintf("node %d: its journal can't be read: %v", id, err))
		return
	}
	stamps := newStampOracle(w, id)
	for i, b := range segments {
		err := recount.Segment(b, func(e *recount.Entry) {
			stamps.take(e)
			a.take(e)
		})
		// One that was made and not begun, because of a crash, is nothing but zeros.
		if err != nil && len(bytes.TrimLeft(b, "\x00")) > 0 {
			w.violated("I4", fmt.Sprintf("node %d, segment %d of %d: %v", id, i+1, len(segments), err))
		}
	}
}

func (a *auditor) take(e *recount.Entry) {
	switch e.Kind {
	case recount.EpochStarted:
		a.lost[joint.Life{Node: e.Node, Epoch: e.Epoch}] = a.disk != nil
	case recount.Granted:
		a.counts.Granted++
		a.lease(leaseKey{e.Node, e.Account, e.Day, e.Epoch}).granted += e.Amount
		a.book(e.Account, e.Day, e.Amount, 0, 0)
	case recount.Returned:
		a.counts.Returned++
		k := leaseKey{e.Node, e.Account, e.Day, e.LeaseEpoch}
		a.lease(k).returned += e.Amount
		a.judgeLease(k, e)
		a.book(e.Account, e.Day, -e.Amount, 0, 0)
	case recount.Posted, recount.Recorded:
		a.event(e)
	case recount.Refunded:
		a.refund(e)
	}
}

func (a *auditor) lease(k leaseKey) *leaseSums {
	s := a.leases[k]
	if s == nil {
		s = &leaseSums{}
		a.leases[k] = s
	}
	return s
}

// judgeLease judges I1 at one record.
func (a *auditor) judgeLease(k leaseKey, e *recount.Entry) {
	if left := a.leases[k].left(); left < 0 {
		a.w.violated("I1", fmt.Sprintf("lease %+v is %v below zero after kind %d, epoch %d, seq %d", k, -left, e.Kind, e.Epoch, e.Seq))
	}
}

// gone reports whether the lease is of a machine that was lost.
func (a *auditor) gone(k leaseKey) bool { return a.lost[joint.Life{Node: k.node, Epoch: k.epoch}] }

func (a *auditor) event(e *recount.Entry) {
	if e.Kind == recount.Recorded {
		a.counts.Recorded++
		if e.Reason == foreignNode || e.Reason == unknownEpoch {
			a.foreign[eventKey{e.Win, e.Event}] = true
			return // each time it is reported: never billed here
		}
	}
	k := eventKey{e.Win, e.Event}
	if a.stands[k] != nil {
		a.w.violated("I3", fmt.Sprintf("%s of win %+v stands twice (kind %d of epoch %d, reason %d, after one in the journal of a machine that is lost: %v)", e.Event, e.Win, e.Kind, e.Epoch, e.Reason, a.stands[k].lost))
	}
	a.stands[k] = &standing{e.Kind == recount.Posted, e.Amount, e.Parts, a.disk != nil && !a.disk.recovered, e.Stamp, a.journal, a.owner}
	if e.Kind == recount.Recorded {
		return
	}
	a.counts.Posted++
	a.counts.Nanos += e.Amount
	for _, p := range e.Parts {
		a.posted[accountDay{p.Account, p.Day}] += e.Amount
		a.total[p.Account] += e.Amount
		a.moves = append(a.moves, move{e.Stamp, p.Account, p.Day, e.Amount})
		a.book(p.Account, p.Day, 0, e.Amount, 0)
		l := leaseKey{e.Node, p.Account, p.Day, p.Epoch}
		a.lease(l).posted += e.Amount
		a.judgeLease(l, e)
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
		case s == nil && c.acked && !a.foreign[k]:
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

// outstanding is what journals of nodes that are there say is out, by account.
func (a *auditor) outstanding() map[unit.AccountID]unit.Nanos {
	out := map[unit.AccountID]unit.Nanos{}
	for k, s := range a.leases {
		if !a.gone(k) {
			out[k.account] += s.left()
		}
	}
	return out
}

// judgeHeld compares what the brokers say they hold with what is out (I1).
// Nothing may be under way.
func (a *auditor) judgeHeld() {
	held := map[unit.AccountID]unit.Nanos{}
	for _, n := range a.w.nodes {
		spent := map[unit.AccountID]budget.Balance{}
		for _, c := range n.cores {
			for _, b := range c.Broker().AppendBalances(nil) {
				held[b.Account] += b.Available + b.Reserved + b.Moving + b.Pool + b.Locked
				sum := spent[b.Account]
				sum.Add(&b)
				spent[b.Account] = sum
			}
			if d := c.Broker().Counts().Defects; d > 0 {
				a.w.violated("I1", fmt.Sprintf("node %d: a broker met %d contradictions", n.id, d))
			}
		}
		a.judgeSpent(n, spent)
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
