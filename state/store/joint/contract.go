package joint

import (
	"errors"
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
)

// ErrUnknown is wrapped by the error of a call whose outcome is not known: a
// time-out, a connection lost in a commit. The caller repeats it with the same
// identities.
var ErrUnknown = errors.New("outcome unknown")

// Life is one run of a node, from start to crash or stop. Epochs of a node
// never repeat, whatever happens to its disk.
type Life struct {
	Node  unit.NodeID
	Epoch unit.Epoch
}

// AccountDay is one account on one of its local days.
type AccountDay struct {
	Account  unit.AccountID
	Campaign unit.CampaignID
	Day      unit.Day
}

// Granted is the outcome of one grant.
type Granted struct {
	// Status is OK, Exhausted or Fenced.
	Status store.Status
	Amount unit.Nanos
	// Committed is what all lives together hold and have spent, after the grant.
	CommittedDay   unit.Nanos
	CommittedTotal unit.Nanos
}

// Balance is what is committed on an account: granted − returned, of all lives.
type Balance struct {
	AccountDay
	CommittedDay   unit.Nanos
	CommittedTotal unit.Nanos
}

// DeadLease is what a dead life of a node holds by the ledger.
type DeadLease struct {
	Epoch    unit.Epoch
	Account  unit.AccountID
	Campaign unit.CampaignID
	Day      unit.Day
	Currency unit.Currency
	Granted  unit.Nanos
	Returned unit.Nanos
	Posted   unit.Nanos
}

// Began is the answer to Ledger.Begin.
type Began struct {
	// Lease is how long from the moment of the request the life may spend.
	Lease time.Duration
	// Dead are the leases of earlier lives of the node that are not settled.
	Dead []DeadLease
	// Drained is the position in the node's journal up to which the ledger has
	// its records.
	Drained uint64
	Stamp   ledger.Stamp
}

// Ledger is what all nodes share: append-only double-entry postings in one
// serializable database. It decides; nothing granted without it is ever spent.
//
// Calls return at once and keep nothing of what they are given but copies; done
// is called exactly once, later, from any goroutine. An error that wraps
// ErrUnknown leaves the outcome open; any other had no effect. A repeat with the
// same identities gets the first outcome.
//
// Contract: at every commit, for every account, granted − returned ≤ Daily on
// each day and ≤ Total over all days, by the limits in the grant; every record
// counts once.
type Ledger interface {
	// LastEpoch is the highest epoch of a life of the node, 0 if it has none.
	LastEpoch(node unit.NodeID, done func(unit.Epoch, error))
	// Begin opens a life and fences all earlier ones of the node. It is refused
	// (store.Fenced by the error ErrFenced) when a later one exists.
	Begin(l Life, stamp ledger.Stamp, done func(Began, error))
	// Renew extends what a life may spend by time.
	Renew(l Life, stamp ledger.Stamp, done func(lease time.Duration, err error))
	// Grant commits each request's Amount, or as much as the limits leave and at
	// least AtLeast. One transaction; outcomes in the order of the batch.
	Grant(batch []store.GrantRequest, done func([]Granted, error))
	// Post takes a node's journal records in their order, from position from to
	// position to, in one transaction with the cursor. What it has already, by
	// identity, it takes as a repeat.
	Post(node unit.NodeID, records []ledger.Record, from, to uint64, done func(error))
	// Balances reads what is committed.
	Balances(keys []AccountDay, done func([]Balance, error))
}

// ErrFenced: a later life of the node has begun, or an operator has given up on
// this one.
var ErrFenced = errors.New("fenced: a later life of this node has begun, or an operator has written this one off")

// Taken is the outcome of one Counter.Take.
type Taken struct {
	// Status is OK, Exhausted or Unavailable: the counter does not know the
	// account and must be loaded.
	Status    store.Status
	Amount    unit.Nanos
	Remaining unit.Nanos
}

// Counter is a fast, shared and forgetful count of what may still be granted. It
// spares the ledger the requests of accounts that have nothing left, and divides
// the last of a budget among the nodes. What it says is never the last word.
//
// Calls are asynchronous as the Ledger's.
type Counter interface {
	// Take checks and deducts, one round trip a batch; a repeat of an ID gets its
	// first outcome while the counter remembers it.
	Take(batch []store.GrantRequest, done func([]Taken, error))
	// Load sets the counts to what the ledger says.
	Load(batch []Balance, done func(error))
	// Give adds what a node has returned, or has taken and not been granted.
	Give(batch []store.ReturnRequest, done func(error))
}
