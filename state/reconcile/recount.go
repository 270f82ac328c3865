package reconcile

import (
	"millrace/codec/unit"
	"millrace/state/books"
	"millrace/state/ledger"
)

// Recount holds what a node's records add up to, all of them, against the node's
// own books. The two are added up by different code.
func Recount(r *Report, days []books.Day, book *ledger.Book) {
	met := map[unit.AccountID]struct{}{}
	for _, a := range books.Accounts(days) {
		b, _ := book.Account(a.Account)
		met[a.Account] = struct{}{}
		r.Compared++
		r.differ("records-books", "committed in total", a.Account, a.Campaign, 0, a.Committed(), b.Committed)
		r.differ("records-books", "posted", a.Account, a.Campaign, 0, a.Spent, b.Posted)
		r.differ("records-books", "refunded", a.Account, a.Campaign, 0, a.Refunded, b.Refunded)
	}
	for _, b := range book.Accounts() {
		if _, ok := met[b.Account]; !ok {
			r.differ("records-books", "committed in total", b.Account, b.Campaign, 0, 0, b.Committed)
		}
	}
	for i := range days {
		d := &days[i]
		b, _ := book.Account(d.Account)
		if x := b.On(d.Day); x != nil {
			r.Compared++
			r.differ("records-books", "committed on the day", d.Account, d.Campaign, d.Day, d.Committed(), x.Committed)
			r.differ("records-books", "posted", d.Account, d.Campaign, d.Day, d.Spent, x.Posted)
		}
	}
	r.sort()
}
