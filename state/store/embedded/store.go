package embedded

import (
	"millrace/codec/unit"
	"millrace/state/outbox"
	"millrace/state/store"
)

// Store grants leases from the journal's books.
type Store struct{}

var _ store.BudgetStore = (*Store)(nil)

// Open makes the store of a journal. Replies go to deliver once durable.
func Open(j *outbox.Journal, wall func() unit.WallTime, deliver store.Deliver) (*Store, error) {
	panic("wip")
}

// Grant see store.BudgetStore.
func (s *Store) Grant(r *store.GrantRequest) { panic("wip") }

// Return see store.BudgetStore.
func (s *Store) Return(r *store.ReturnRequest) { panic("wip") }

// Close see store.BudgetStore.
func (s *Store) Close() error { panic("wip") }
