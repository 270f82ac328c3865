package storm

import (
	"cmp"
	"fmt"
	"slices"

	"millrace/bench/recount"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/state/ledger"
	"millrace/state/refund"
	"millrace/state/store/embedded"
	"millrace/state/store/joint"
	"millrace/state/store/joint/memory"
)

// machineDisk is a machine with the disk that it has.
type machineDisk struct {
	machine *node
	disk    int
}

func (n *node) machineDisk() machineDisk { return machineDisk{n, n.disks} }

// refundRecord is what an operator knows of a refund.
type refundRecord struct {
	acked    bool
	ackedAt  instant
	refusals []refusal
}

// refusal: the machine said that there was nothing to refund.
type refusal struct {
	why refund.Status
	at  instant
	by  machineDisk
}

// askedRefund notes what an operator wanted, or found, and that a machine refunds
// nothing that nobody has reported to it.
func (h *history) askedRefund(w *World, n *node, it *refund.Item) {
	k := eventKey{it.ID.Win, it.ID.Kind}
	if h.refunds[k] == nil {
		h.refunds[k] = &refundRecord{}
		h.regretted = append(h.regretted, k)
	}
	switch c := h.calls[k]; {
	case it.Status == refund.Foreign:
		w.violated("I4", fmt.Sprintf("node %d says that win %+v is of another node", n.id, k.win))
	case (it.Status == refund.Done || it.Status == refund.Before) && (c == nil || !c.billable || c.price != it.Amount):
		w.violated("I4", fmt.Sprintf("node %d refunds %v for %s of win %+v, which no client reported at that price", n.id, it.Amount, k.kind, k.win))
	}
}

// answeredRefund notes what an operator was told.
func (h *history) answeredRefund(w *World, a *asking, it *refund.Item) {
	r := h.refunds[eventKey{it.ID.Win, it.ID.Kind}]
	kind := a.plan.kind
	switch it.Status {
	case refund.Done, refund.Before:
		if !r.acked {
			r.acked, r.ackedAt = true, w.now
		}
		if it.Status == refund.Done && (kind == Refunded || kind == RefundedLate) || it.Status == refund.Before && kind == RefundedAgain {
			w.hit(kind)
		}
	default:
		r.refusals = append(r.refusals, refusal{it.Status, a.at, a.disk})
		if kind == RefundedNothing {
			w.hit(kind)
		}
	}
}

// move is money that was spent, or came back, in the order of the stamps.
type move struct {
	stamp   uint64
	account unit.AccountID
	day     unit.Day
	amount  unit.Nanos
}

// bookKey is a day of an account in one machine's books, day 0 all of them.
type bookKey struct {
	machine *node
	account unit.AccountID
	day     unit.Day
}

type bookSums struct{ committed, posted, refunded unit.Nanos }

// book adds to what a machine's books must say.
func (a *auditor) book(account unit.AccountID, day unit.Day, committed, posted, refunded unit.Nanos) {
	if a.machine == nil || a.books == nil {
		return
	}
	for _, d := range [2]unit.Day{0, day} {
		k := bookKey{a.machine, account, d}
		s := a.books[k]
		if s == nil {
			s = &bookSums{}
			a.books[k] = s
		}
		s.committed += committed
		s.posted += posted
		s.refunded += refunded
	}
}

// refund takes a posting back: whole, once, to where it was taken from, and after
// it in the same journal.
func (a *auditor) refund(e *recount.Entry) {
	a.counts.Refunded++
	a.counts.Back += e.Amount
	k := eventKey{e.Win, e.Event}
	s := a.stands[k]
	switch {
	case a.refunds[k] != nil:
		a.w.violated("I3", fmt.Sprintf("%s of win %+v is refunded twice", e.Event, e.Win))
	case s == nil || !s.posted || s.journal != a.journal:
		a.w.violated("I4", fmt.Sprintf("%s of win %+v is refunded, and was not posted in that journal", e.Event, e.Win))
	case s.amount != e.Amount || !slices.Equal(s.parts, e.Parts):
		a.w.violated("I1", fmt.Sprintf("%s of win %+v: posted is %v to %v, refunded %v to %v", e.Event, e.Win, s.amount, s.parts, e.Amount, e.Parts))
	case e.Stamp <= s.stamp:
		a.w.violated("I6", fmt.Sprintf("%s of win %+v: its refund's stamp %x is not above %x of its posting", e.Event, e.Win, e.Stamp, s.stamp))
	}
	a.refunds[k] = &standing{true, e.Amount, e.Parts, a.disk != nil && !a.disk.recovered, e.Stamp, a.journal, a.owner}
	for _, p := range e.Parts {
		a.posted[accountDay{p.Account, p.Day}] -= e.Amount
		a.total[p.Account] -= e.Amount
		a.moves = append(a.moves, move{e.Stamp, p.Account, p.Day, -e.Amount})
		a.book(p.Account, p.Day, -e.Amount, -e.Amount, e.Amount)
	}
}

// judgeSpending judges I2 at every moment: what was billed and not refunded. Stamps
// put a refund before whatever was spent of its money, on any machine.
func (a *auditor) judgeSpending() {
	slices.SortStableFunc(a.moves, func(x, y move) int { return cmp.Compare(x.stamp, y.stamp) })
	days, totals := map[accountDay]unit.Nanos{}, map[unit.AccountID]unit.Nanos{}
	for _, m := range a.moves {
		d := accountDay{m.account, m.day}
		days[d] += m.amount
		totals[m.account] += m.amount
		if m.amount < 0 {
			continue
		}
		if l := a.w.limits[m.account]; l != nil && (l.daily > 0 && days[d] > l.daily || l.total > 0 && totals[m.account] > l.total) {
			a.w.violated("I2", fmt.Sprintf("account %s, at stamp %x: %v is billed and not refunded on day %d of %v, %v in all of %v",
				l.name, m.stamp, days[d], m.day, l.daily, totals[m.account], l.total))
			return
		}
	}
}

// judgeRefunds compares what operators were told with what stands (I4).
func (a *auditor) judgeRefunds() {
	h := &a.w.history
	for k := range a.refunds {
		if h.refunds[k] == nil {
			a.w.violated("I4", fmt.Sprintf("%s of win %+v is refunded; nobody asked for it", k.kind, k.win))
		}
	}
	for _, k := range h.regretted {
		r, c, s := h.refunds[k], h.calls[k], a.stands[k]
		if r.acked && a.refunds[k] == nil {
			a.w.violated("I4", fmt.Sprintf("the refund of %s of win %+v was acknowledged at %v and stands nowhere", k.kind, k.win, r.ackedAt))
		}
		for _, x := range r.refusals {
			// A machine acknowledges also what it does not know: another that has the
			// number of its node may bill that.
			if s != nil && s.posted && s.by == x.by && c.acked && c.ackedAt < x.at && c.by == x.by {
				a.w.violated("I4", fmt.Sprintf("node %d was asked to refund %s of win %+v, which it had acknowledged and posted, and said %s", x.by.machine.id, k.kind, k.win, x.why))
			}
		}
	}
}

// judgeBooks compares every count that is kept with the recount: those of the
// nodes' journals and own stores, and of the shared ledger (I1). Nothing may be
// under way.
func (a *auditor) judgeBooks() {
	for _, n := range a.w.nodes {
		if n.sim == nil {
			continue
		}
		err := n.journal.Inspect(func(b *ledger.Book) { a.judgeBook(n, "books", b.Accounts(), false) })
		if err != nil {
			a.w.violated("I1", err.Error())
		}
		if s, own := n.refunding.(*embedded.Store); own {
			a.judgeBook(n, "store", s.Balances(), true)
		}
	}
	if a.w.books == nil {
		return
	}
	keys := []joint.AccountDay{}
	for _, d := range sortedDays(a.w.books.days) {
		keys = append(keys, joint.AccountDay{Account: d.account, Day: d.day})
	}
	a.w.ledger.Client(memory.Direct).Balances(keys, func(out []joint.Balance, err error) {
		for i := range out {
			b := &out[i]
			day, total := a.w.books.days[accountDay{b.Account, b.Day}], a.w.books.totals[b.Account]
			if b.CommittedDay != day || b.CommittedTotal != total {
				a.w.violated("I1", fmt.Sprintf("account %d, day %d: the ledger says %v and %v in all, its entries %v and %v", b.Account, b.Day, b.CommittedDay, b.CommittedTotal, day, total))
			}
		}
	})
}

func (a *auditor) judgeBook(n *node, what string, have []ledger.Balance, committedOnly bool) {
	for i := range have {
		b := &have[i]
		a.judgeLine(n, what, b.Account, 0, bookSums{b.Committed, b.Posted, b.Refunded}, committedOnly)
		for _, d := range b.Days {
			if d.Day != 0 {
				a.judgeLine(n, what, b.Account, d.Day, bookSums{d.Committed, d.Posted, d.Refunded}, committedOnly)
			}
		}
	}
}

func (a *auditor) judgeLine(n *node, what string, account unit.AccountID, day unit.Day, have bookSums, committedOnly bool) {
	want := bookSums{}
	if s := a.books[bookKey{n, account, day}]; s != nil {
		want = *s
	}
	if committedOnly {
		have.posted, have.refunded = want.posted, want.refunded
	}
	if have != want {
		a.w.violated("I1", fmt.Sprintf("node %d, account %d, day %d: its %s say %+v, its journal %+v", n.id, account, day, what, have, want))
	}
}

// judgeSpent: what the brokers of a node take for spent is what its journal says (I1).
// What a day has spent is for the pacer, and is kept from when the day begins: of a
// machine whose clock was wrong there may be postings that came before.
func (a *auditor) judgeSpent(n *node, spent map[unit.AccountID]budget.Balance) {
	if n.sim == nil {
		return
	}
	for id, l := range a.w.limits {
		have, ever, day := spent[id], unit.Nanos(0), unit.Nanos(0)
		if s := a.books[bookKey{n, id, 0}]; s != nil {
			ever = s.posted
		}
		if s := a.books[bookKey{n, id, have.Day}]; s != nil && have.Day != 0 {
			day = s.posted
		}
		if have.PostedTotal != ever || have.PostedDay != day && !n.misled {
			a.w.violated("I1", fmt.Sprintf("node %d, account %s: its brokers have spent %v, %v on day %d, its journal %v and %v", n.id, l.name, have.PostedTotal, have.PostedDay, have.Day, ever, day))
		}
	}
}
