package store

import (
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
)

// OpID is the identity of a request; a repeat carries the same one. Seq rises
// within (Node, Epoch, Shard) and starts at 1.
type OpID struct {
	Node  unit.NodeID
	Shard unit.ShardID
	Epoch unit.Epoch
	Seq   uint64
}

// GrantRequest asks for money of one account for one day.
type GrantRequest struct {
	ID       OpID
	Account  unit.AccountID
	Campaign unit.CampaignID
	Currency unit.Currency
	Day      unit.Day
	// Amount 0 asks for time alone (Reply.Lease) and names no account; a store
	// whose leases have no end is never asked. Otherwise Amount is wanted; with less than a tenth of the budget left the store
	// gives remaining/(holders × 10), yet AtLeast when it has that.
	Amount  unit.Nanos
	AtLeast unit.Nanos
	// Daily and Total are the limits in force; 0 is unlimited.
	Daily unit.Nanos
	Total unit.Nanos
	// The store grants only while Opens ≤ its clock < Expires: the account's
	// local day without the margin around midnight.
	Opens   unit.WallTime
	Expires unit.WallTime
	// Stamp is the asking shard's clock; the store goes on from it.
	Stamp ledger.Stamp
}

// ReturnRequest gives unspent money of a lease back.
type ReturnRequest struct {
	ID       OpID
	Account  unit.AccountID
	Campaign unit.CampaignID
	Day      unit.Day
	// LeaseEpoch is the life in which the lease was granted: the caller's own,
	// or a dead one whose remains it looks after.
	LeaseEpoch unit.Epoch
	Amount     unit.Nanos
	Stamp      ledger.Stamp
}

// Status is how a request ended.
type Status uint8

// Statuses.
const (
	// OK: a grant of Reply.Amount (0 only if it was asked for time alone), or a
	// return taken.
	OK Status = iota + 1
	// Exhausted: the limit is reached; ask again when something changed.
	Exhausted
	// Closed: the day is not open at the store's clock.
	Closed
	// Unavailable: the store can't write; the request had no effect. Spending
	// stops when the leases in hand are used up.
	Unavailable
	// Refused: the request contradicts the store's books, for example a return
	// of more than the lease has. It had no effect; this is a defect somewhere.
	Refused
	// Fenced: the store has given up on this life of the node, which must not
	// spend any more.
	Fenced
)

var statusNames = [...]string{"", "ok", "exhausted", "closed", "unavailable", "refused", "fenced"}

// String is the status's name in metrics and logs.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

// Op tells the two requests apart in a reply.
type Op uint8

// Operations.
const (
	OpGrant Op = iota + 1
	OpReturn
)

// Reply is the answer to one request. A plain value: it travels in a mailbox.
type Reply struct {
	Op      Op
	Status  Status
	Shard   unit.ShardID // the asking shard: where to deliver
	Epoch   unit.Epoch   // of the request: a reply to a dead life is dropped
	Seq     uint64
	Account unit.AccountID
	Day     unit.Day
	Amount  unit.Nanos
	// Remaining is what the account could still be granted today: a hint.
	Remaining unit.Nanos
	// Elsewhere is what other nodes hold and have spent of the account, as far as
	// the store knew when it granted: pacing goes by what all spend together. Zero
	// where there is one node.
	Elsewhere Elsewhere
	// Lease is how long from the moment at which it sent the request this life of
	// the node may spend what it was granted, all of it, if its clock is right; 0
	// is without end. What was reserved within that time may be posted later, as
	// long as a reservation lives.
	Lease time.Duration
	// Stamp is not below that of any record which the outcome rests on.
	Stamp ledger.Stamp
}

// Elsewhere is money of an account at other nodes: on a day, and over all days.
type Elsewhere struct{ InDay, Ever unit.Nanos }

// Deliver passes a reply to the shard Reply.Shard. It is called from any
// goroutine of the store, must not block, and may fail (mailbox full): then
// the reply is dropped and the shard's repeat of the request fetches it again.
type Deliver func(r *Reply) bool

// BudgetStore grants and takes back leases. Grant and Return never block, are
// safe from any goroutine, keep nothing of the request, and are answered
// through Deliver once the outcome is durable.
//
// Contract: for every account and day, granted − returned ≤ Daily, and over
// all days granted − returned ≤ Total, at the moment of each grant, whatever is
// repeated, reordered or lost.
type BudgetStore interface {
	Grant(r *GrantRequest)
	Return(r *ReturnRequest)
	// Close answers what is under way and stops; requests after it are dropped.
	Close() error
}

// Refunding is a BudgetStore that counts by itself what is committed, or what of it
// is the node's own, and has to be told of refunds. Refunded is called once for
// each that is durable, from any goroutine, and must not block.
type Refunding interface {
	Refunded(r *ledger.Record)
}

// Unlimited is the remaining budget of an account without a limit: more than
// any sum of prices, and far from overflow when added to.
const Unlimited unit.Nanos = 1 << 61

// Limits of a request are checked by one function in all adapters that can
// call Go. Headroom is what may still be granted: the smaller of both limits'
// rest, never negative.
func Headroom(daily, total, committedDay, committedTotal unit.Nanos) unit.Nanos {
	rest := Unlimited
	if daily > 0 {
		rest = min(rest, daily-committedDay)
	}
	if total > 0 {
		rest = min(rest, total-committedTotal)
	}
	return max(rest, 0)
}

// Chunk is what is granted of the headroom: all that is wanted while more than
// a tenth of the budget is left, then remaining/(holders × 10), so that no
// holder sits on the last pennies; never less than atLeast while there is that
// much, since a crumb buys nothing.
func Chunk(want, atLeast, headroom, limit unit.Nanos, holders int) unit.Nanos {
	if headroom <= limit/10 {
		want = min(want, max(headroom/unit.Nanos(max(holders, 1)*10), atLeast))
	}
	return max(min(want, headroom), 0)
}

// Limit is the binding limit of an account for Chunk: the smaller that is set.
func Limit(daily, total unit.Nanos) unit.Nanos {
	switch {
	case daily > 0 && total > 0:
		return min(daily, total)
	case daily > 0:
		return daily
	case total > 0:
		return total
	}
	return Unlimited
}
