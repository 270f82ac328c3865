package storm

import (
	"fmt"
	"time"

	"millrace/codec/unit"
)

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
	locked := a.locked()
	for k, s := range a.refunds {
		if s.lost && w.books.refunds[k].amount == 0 { // the ledger does not know that it is back
			for _, p := range s.parts {
				locked[accountDay{p.Account, p.Day}] += s.amount
			}
		}
	}
	for i := range w.snapshot.Accounts {
		acc := &w.snapshot.Accounts[i]
		l := w.limits[acc.ID]
		if l.size < 0 || !l.asap || h.calmWon[l.size] > 0 || h.calmAsked[l.size] < 15 || w.dayIsYoung(acc.Zone) {
			continue
		}
		today := accountDay{acc.ID, w.wall().DayIn(acc.Zone)}
		limit, spent, gone := acc.Daily, a.posted[today], locked[today]
		if acc.Total > 0 {
			limit, spent, gone = acc.Total, a.total[acc.ID], 0
			for k, amount := range locked {
				if k.account == acc.ID {
					gone += amount
				}
			}
		}
		judged++
		left := limit - spent - reserved[acc.ID] - gone
		crumbs := l.price
		if w.set.nodes > 1 { // each may have less than the dearest event costs, and nobody collects that
			crumbs = l.dearest * unit.Nanos(w.set.nodes)
		}
		if left > crumbs {
			worst = max(worst, float64(left)/float64(limit))
		}
		if left > max(limit/100, crumbs) {
			w.violated("I5", fmt.Sprintf("account %s wins nothing in calm weather, with %v of %v left (%v reserved)", l.name, left, limit, reserved[acc.ID]))
		}
	}
	return worst, judged
}

// locked is what machines that are lost hold, by the ledger and their own journals.
func (a *auditor) locked() map[accountDay]unit.Nanos {
	out := map[accountDay]unit.Nanos{}
	if a.w.books == nil {
		return out
	}
	for k, s := range a.w.books.leases {
		if a.gone(k) {
			posted := unit.Nanos(0)
			if own := a.leases[k]; own != nil {
				posted = own.posted
			}
			out[accountDay{k.account, k.day}] += s.granted - s.returned - posted
		}
	}
	return out
}
