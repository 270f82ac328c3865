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
	// Status is OK or Exhausted.
	Status store.Status
	Amount unit.Nanos
	// Committed is what all lives together hold and have spent, after the grant.
	CommittedDay   unit.Nanos
	CommittedTotal unit.Nanos
	// Stamp is not below that of any record of the account that the ledger had:
	// what is granted now may be what another node returned.
	Stamp ledger.Stamp
}

// Balance is what is committed on an account: granted − returned, of all lives.
type Balance struct {
	AccountDay
	CommittedDay   unit.Nanos
	CommittedTotal unit.Nanos
}

// Beginning opens a life.
type Beginning struct {
	Life
	// Previous is the life before this one in the same journal, 0 if the journal
	// is new.
	Previous unit.Epoch
	// Stamp is that of the record with which the journal opens the life. It is the
	// same in each repeat, and never the same in two lives.
	Stamp ledger.Stamp
}

// Began is the answer to Ledger.Begin.
type Began struct {
	// Lease is how long from the moment of the request the life may spend.
	Lease time.Duration
	// Drained is the position up to which the ledger has the journal's records,
	// by what life Beginning.Previous (or, in a repeat, this one) posted; 0 is unknown.
	Drained uint64
	// Stamp is not below that of any record of the node that the ledger had.
	Stamp ledger.Stamp
}

// Orphan is a grant of an earlier life that no record posted has confirmed.
type Orphan struct {
	ID       store.OpID
	Account  unit.AccountID
	Campaign unit.CampaignID
	Currency unit.Currency
	Day      unit.Day
	Amount   unit.Nanos
	Daily    unit.Nanos
	Total    unit.Nanos
}

// Ledger is what all nodes share: append-only double-entry postings in one
// serializable database. It decides; nothing granted without it is ever spent.
//
// Calls return at once and keep nothing of what they are given but copies; done
// is called exactly once, later, from any goroutine, and soon enough: a call has
// a time-out of its own. An error that wraps ErrUnknown leaves the outcome open;
// any other had no effect. A repeat with the same identities gets the first
// outcome.
//
// Contract: at every commit, for every account, granted − returned ≤ Daily on
// each day and ≤ Total over all days, by the limits in the grant; every record
// counts once.
type Ledger interface {
	// LastEpoch is the highest epoch of a life of the node, 0 if it has none.
	LastEpoch(node unit.NodeID, done func(unit.Epoch, error))
	// Begin opens a life and fences all earlier ones of the node. It is refused
	// with ErrFenced when a later one exists, or one of the same epoch and another
	// stamp; with ErrForked when a life other than this one has the same Previous
	// above 0.
	Begin(b Beginning, done func(Began, error))
	// Renew extends what a life may spend by time; ErrFenced.
	Renew(l Life, stamp ledger.Stamp, done func(lease time.Duration, err error))
	// Grant commits each request's Amount, or as much as the limits leave: OK with
	// what it is, Exhausted if that is nothing. One transaction; outcomes in the
	// order of the batch; ErrFenced if the life is not the node's last.
	//
	// number rises by one with each batch of the life, from 1, and a batch is sent
	// when the one before is answered. One whose number is not above the last is a
	// repeat, or was under way too long: what it granted before is answered again,
	// and for the rest it is Exhausted. So a batch that was given up can't be
	// granted behind the back of the one who repeated it.
	Grant(l Life, number uint64, batch []store.GrantRequest, done func([]Granted, error))
	// Post takes a journal's records in their order, from position from to position
	// to, in one transaction with the cursor of the life that carries them, which
	// never goes back. l is the life that writes the journal now, or its last: a
	// fenced one may post, since what its journal says is true. Records are of l and
	// of the lives before it in that journal. What it has already, by identity, it
	// takes as a repeat: a Granted confirms the grant of its (Node, Epoch, Shard,
	// Seq), Returned have the same key, Posted and Recorded (Win, Event), Refunded (Win, Event) too — except
	// those for ledger.ForeignNode and ledger.UnknownEpoch, which can come again
	// and need no memory. A record that contradicts the books counts all the same,
	// and is reported: the journal is the truth.
	Post(l Life, records []ledger.Record, from, to uint64, done func(error))
	// Orphans lists the grants of earlier lives of the node that are not confirmed.
	// Asked when the journal is posted up to the start of l, it tells what those
	// lives in this journal were granted and never knew of; what lives of another,
	// lost journal hold is among it too.
	Orphans(l Life, done func([]Orphan, error))
	// Balances reads what is committed, in the order of keys.
	Balances(keys []AccountDay, done func([]Balance, error))
}

// ErrForked: the journal was restored from a copy that is older than what the
// ledger knows of it.
var ErrForked = errors.New("forked: the ledger knows a later state of this node's journal than the one in its folder; restore the later one, or start with an empty folder")

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
