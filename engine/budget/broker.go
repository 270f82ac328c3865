package budget

import (
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
)

// Broker is one shard's part of the money. All methods are for the shard's
// goroutine; now and wall are the shard's clock, read once a batch.
type Broker struct{}

// NewBroker makes the broker of shard id. recovered is what the journal proved
// about earlier epochs (shared by the brokers, read only), nil for none.
func NewBroker(cfg Config, id unit.ShardID, shards int, node unit.NodeID, epoch unit.Epoch, fx Effects, recovered *ledger.Recovered) *Broker {
	panic("wip")
}

// SetAccounts makes specs the current accounts: index i of Reserve is specs[i].
// Every shard must get every call, in the same order.
func (b *Broker) SetAccounts(specs []AccountSpec, now unit.MonoTime, wall unit.WallTime) {
	panic("wip")
}

// Ready reports whether this shard has an answer for every account of the
// first SetAccounts: a share of a lease, or the certainty that there is none.
func (b *Broker) Ready() bool { panic("wip") }

// Reserve takes amount from each account (−1 is none) and makes the win.
func (b *Broker) Reserve(accounts [2]int32, amount unit.Nanos, pool Pool, now unit.MonoTime, wall unit.WallTime) (Win, Reason) {
	panic("wip")
}

// Cancel undoes a reservation whose tokens were never handed out.
func (b *Broker) Cancel(w *Win, accounts [2]int32, amount unit.Nanos, pool Pool) { panic("wip") }

// Available reports whether the account has anything to reserve.
func (b *Broker) Available(account int32) bool { panic("wip") }

// Dry is the bitmap of accounts without money, by index, kept current by the
// broker: bit i is set when account i can't pay for anything now. Valid until
// the next SetAccounts.
func (b *Broker) Dry() []uint64 { panic("wip") }

// Post decides about the event of t. The answer may be given to the client
// when the journal position pos is durable (pos 0: nothing to wait for).
func (b *Broker) Post(t *event.Token, now unit.MonoTime, wall unit.WallTime) (o Outcome, pos uint64) {
	panic("wip")
}

// Handle takes a message of another broker or of the store.
func (b *Broker) Handle(m *Message, now unit.MonoTime, wall unit.WallTime) { panic("wip") }

// Timer continues what After announced.
func (b *Broker) Timer(kind uint8, arg uint64, now unit.MonoTime, wall unit.WallTime) { panic("wip") }

// EndBatch sends what the calls of a batch left in the queues. Call it at the
// end of every batch in which the broker was called.
func (b *Broker) EndBatch() { panic("wip") }

// Halt stops spending for good: the journal is down. Serving goes on unpaid.
func (b *Broker) Halt() { panic("wip") }

// Drain begins the return of everything that is not reserved. Drained reports
// when nothing is left to do: the peers' money came home and the store has taken it.
func (b *Broker) Drain(now unit.MonoTime, wall unit.WallTime) { panic("wip") }

// Drained see Drain.
func (b *Broker) Drained() bool { panic("wip") }

// AppendBalances appends one Balance per account known to this shard.
func (b *Broker) AppendBalances(dst []Balance) []Balance { panic("wip") }
