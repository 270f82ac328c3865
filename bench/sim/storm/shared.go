package storm

import (
	"fmt"

	"millrace/codec/unit"
)

// judgeShared compares journals and ledger at the end, when the ledger has had
// time to hear of everything (I1, I3, I4).
func (a *auditor) judgeShared() {
	b := a.w.books
	if b == nil {
		return
	}
	for k, s := range a.leases {
		have := leaseSums{}
		if l := b.leases[k]; l != nil {
			have = *l
		}
		if !a.gone(k) && have != *s {
			a.w.violated("I1", fmt.Sprintf("lease %+v: the ledger has %+v, the journal %+v", k, have, *s))
		}
	}
	for k, s := range b.leases {
		if a.leases[k] == nil && !a.gone(k) {
			a.w.violated("I1", fmt.Sprintf("lease %+v: the ledger has %+v, no journal knows of it", k, *s))
		}
	}
	for k, s := range a.stands {
		amount, there := b.events[k]
		switch {
		case !there && !s.lost:
			a.w.violated("I4", fmt.Sprintf("%s of win %+v stands in a journal and not in the ledger", k.kind, k.win))
		case there && s.posted && amount != s.amount:
			a.w.violated("I4", fmt.Sprintf("%s of win %+v: %v in the journal, %v in the ledger", k.kind, k.win, s.amount, amount))
		}
	}
	a.judgeSharedRefunds()
	for k := range b.events {
		if a.stands[k] == nil {
			a.w.violated("I4", fmt.Sprintf("%s of win %+v stands in the ledger and in no journal", k.kind, k.win))
		}
	}
}

// lockedSum is what lost machines hold in the end.
func (a *auditor) lockedSum() (sum unit.Nanos) {
	for _, amount := range a.locked() {
		sum += amount
	}
	return sum
}

// judgeSharedRefunds: what came back by the journals came back in the ledger, to
// the same accounts and days (I4).
func (a *auditor) judgeSharedRefunds() {
	b := a.w.books
	for k, s := range a.refunds {
		have, there := b.refunds[k]
		want := ledgerRefund{amount: s.amount}
		for i, p := range s.parts {
			want.parts[i] = accountDay{p.Account, p.Day}
		}
		if there && have != want || !there && !s.lost {
			a.w.violated("I4", fmt.Sprintf("the refund of %s of win %+v is %+v in a journal; in the ledger (%v) %+v", k.kind, k.win, want, there, have))
		}
	}
	for k := range b.refunds {
		if a.refunds[k] == nil {
			a.w.violated("I4", fmt.Sprintf("the refund of %s of win %+v stands in the ledger and in no journal", k.kind, k.win))
		}
	}
}
