package reconcile

import (
	"context"

	"millrace/codec/unit"
	"millrace/state/ledger"
)

// Books are a budget store's own, which follow from a journal (embedded.Store).
type Books interface {
	Balances() []ledger.Balance
	// Correct adds to what is committed on a day, or, of day 0, in all.
	Correct(account unit.AccountID, day unit.Day, by unit.Nanos) bool
}

// Embedded compares a node's store with its journal.
type Embedded struct {
	Store Books
	// Journal runs a function on the journal's Book, as durable (Journal.Inspect).
	Journal func(func(*ledger.Book)) error
	// Looks is how often a difference must be seen, Pause between.
	Looks int
	Pause func(ctx context.Context)
}

// Look compares, and, unless dry, repairs the store.
func (e *Embedded) Look(ctx context.Context, dry bool) (Report, error) {
	var r Report
	var drifts []Drift
	for look := range max(e.Looks, 1) {
		if look > 0 {
			if len(drifts) == 0 {
				break
			}
			e.Pause(ctx)
			if err := ctx.Err(); err != nil {
				return r, err
			}
		}
		var book []ledger.Balance
		if err := e.Journal(func(b *ledger.Book) {
			book = b.Accounts()
			if err := b.Check(); err != nil && look == 0 {
				r.skip("the journal's own books: %v", err)
			}
		}); err != nil {
			return r, err
		}
		now := differingBooks(book, e.Store.Balances())
		r.Compared = len(book)
		if look > 0 {
			now = stable(drifts, now)
		}
		drifts = now
	}
	if !dry {
		for i := range drifts {
			d := &drifts[i]
			d.Repaired = e.Store.Correct(d.Account, d.Day, d.True-d.Other)
		}
	}
	r.Drifts = drifts
	r.sort()
	return r, nil
}

// differingBooks compares by account and by each day that both keep.
func differingBooks(journal, store []ledger.Balance) []Drift {
	known := make(map[unit.AccountID]*ledger.Balance, len(store))
	for i := range store {
		known[store[i].Account] = &store[i]
	}
	var r Report
	for i := range journal {
		j := &journal[i]
		s := known[j.Account]
		delete(known, j.Account)
		if s == nil {
			if j.Committed != 0 {
				r.differ("journal-store", "committed in total", j.Account, j.Campaign, 0, j.Committed, 0)
			}
			continue
		}
		r.differ("journal-store", "committed in total", j.Account, j.Campaign, 0, j.Committed, s.Committed)
		for _, d := range j.Days {
			if x := s.On(d.Day); x != nil && d.Day != 0 {
				r.differ("journal-store", "committed on the day", j.Account, j.Campaign, d.Day, d.Committed, x.Committed)
			}
		}
	}
	for _, s := range known {
		r.differ("journal-store", "committed in total", s.Account, s.Campaign, 0, 0, s.Committed)
	}
	return r.Drifts
}
