package storm

import (
	"fmt"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
)

// books is the oracle's own account of what the shared ledger let count, entry
// by entry as it happened. It shares nothing with the ledger's sums.
type books struct {
	w       *World
	leases  map[leaseKey]*leaseSums
	days    map[accountDay]unit.Nanos // granted − returned − refunded
	totals  map[unit.AccountID]unit.Nanos
	high    map[unit.AccountID]ledger.Stamp // of what was returned or refunded
	floor   map[store.OpID]ledger.Stamp     // what a grant rests on
	events  map[eventKey]unit.Nanos
	refunds map[eventKey]ledgerRefund
}

// ledgerRefund is a posting that was taken back, from the accounts and days that
// it was posted to.
type ledgerRefund struct {
	amount unit.Nanos
	parts  [2]accountDay
}

// leaseSums is what became of a lease.
type leaseSums struct{ granted, returned, posted unit.Nanos }

func (s *leaseSums) left() unit.Nanos { return s.granted - s.returned - s.posted }

func newBooks(w *World) *books {
	return &books{
		w: w, leases: map[leaseKey]*leaseSums{}, days: map[accountDay]unit.Nanos{}, totals: map[unit.AccountID]unit.Nanos{},
		high: map[unit.AccountID]ledger.Stamp{}, floor: map[store.OpID]ledger.Stamp{}, events: map[eventKey]unit.Nanos{}, refunds: map[eventKey]ledgerRefund{},
	}
}

func (b *books) lease(k leaseKey) *leaseSums {
	s := b.leases[k]
	if s == nil {
		s = &leaseSums{}
		b.leases[k] = s
	}
	return s
}

// take counts one entry and judges what must hold at each: nothing is granted
// above a limit over all nodes (I2), no lease pays more than it has (I1), no event
// counts twice (I3).
func (b *books) take(r *ledger.Record) {
	switch r.Kind {
	case ledger.Granted:
		d := accountDay{r.Account, r.Day}
		b.days[d] += r.Amount
		b.totals[r.Account] += r.Amount
		b.lease(leaseKey{r.Node, r.Account, r.Day, r.Epoch}).granted += r.Amount
		b.floor[store.OpID{Node: r.Node, Shard: r.Shard, Epoch: r.Epoch, Seq: r.Seq}] = b.high[r.Account]
		if r.Daily > 0 && b.days[d] > r.Daily || r.Total > 0 && b.totals[r.Account] > r.Total {
			b.w.violated("I2", fmt.Sprintf("account %s: the nodes together were granted %v on day %d of %v, %v in all of %v",
				b.w.limits[r.Account].name, b.days[d], r.Day, r.Daily, b.totals[r.Account], r.Total))
		}
	case ledger.Returned:
		b.days[accountDay{r.Account, r.Day}] -= r.Amount
		b.totals[r.Account] -= r.Amount
		b.high[r.Account] = max(b.high[r.Account], r.Stamp)
		k := leaseKey{r.Node, r.Account, r.Day, r.LeaseEpoch}
		b.lease(k).returned += r.Amount
		b.judge(k)
	case ledger.Posted, ledger.Recorded:
		b.event(r)
	case ledger.Refunded:
		b.refund(r)
	}
}

// refund gives money back to the accounts and days that it was posted to, once. The
// lease has spent it all the same.
func (b *books) refund(r *ledger.Record) {
	k := eventKey{r.Win, r.Event}
	amount, posted := b.events[k]
	if _, again := b.refunds[k]; again {
		b.w.violated("I3", fmt.Sprintf("the ledger has the refund of %s of win %+v twice", r.Event, r.Win))
	} else if !posted || amount != r.Amount {
		b.w.violated("I4", fmt.Sprintf("the ledger refunds %v for %s of win %+v, which it has for %v", r.Amount, r.Event, r.Win, amount))
	}
	back := ledgerRefund{amount: r.Amount}
	for i, p := range r.From[:r.Parts] {
		d := accountDay{p.Account, p.Day}
		back.parts[i] = d
		b.days[d] -= r.Amount
		b.totals[p.Account] -= r.Amount
		b.high[p.Account] = max(b.high[p.Account], r.Stamp)
	}
	b.refunds[k] = back
}

func (b *books) event(r *ledger.Record) {
	if r.Kind == ledger.Recorded && (r.Reason == foreignNode || r.Reason == unknownEpoch) {
		return
	}
	k := eventKey{r.Win, r.Event}
	if _, again := b.events[k]; again {
		b.w.violated("I3", fmt.Sprintf("the ledger has %s of win %+v twice", r.Event, r.Win))
	}
	b.events[k] = 0
	if r.Kind == ledger.Recorded {
		return
	}
	b.events[k] = r.Amount
	for _, p := range r.From[:r.Parts] {
		l := leaseKey{r.Node, p.Account, p.Day, p.Epoch}
		b.lease(l).posted += r.Amount
		b.judge(l)
	}
}

func (b *books) judge(k leaseKey) {
	if s := b.leases[k]; s.left() < 0 {
		b.w.violated("I1", fmt.Sprintf("the ledger's lease %+v: granted %v, returned %v, posted %v", k, s.granted, s.returned, s.posted))
	}
}
