package joint

import (
	"millrace/codec/unit"
)

// Sum is what the records of one node add up to for an account on one of its
// days. Postings and refunds are those of the account, whichever life's lease
// paid for them.
type Sum struct {
	AccountDay
	Granted  unit.Nanos
	Returned unit.Nanos
	Posted   unit.Nanos // gross
	Refunded unit.Nanos
}

// Committed is what the node holds or has spent.
func (s *Sum) Committed() unit.Nanos { return s.Granted - s.Returned - s.Refunded }

// Summing is a Ledger that tells one node's part, for comparison with that
// node's journal.
type Summing interface {
	// Sums gives, for every account and day of the node, what its postings add up
	// to, from the entries or from sums kept in the entries' own transactions, and
	// in one snapshot with drained, the position in the node's journal up to which returns, postings and refunds are
	// in it. Grants are in it from the moment of Ledger.Grant, so they may be ahead
	// of the journal.
	Sums(node unit.NodeID, done func(sums []Sum, drained uint64, err error))
}

// Reading is a Counter that tells what it counts.
type Reading interface {
	// Read gives what the counter says is committed, for the keys that it knows, in
	// their order; others are left out.
	Read(keys []AccountDay, done func([]Balance, error))
}
