package budget

import (
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
)

// Pool is which kind of promise a reservation is.
type Pool uint8

// Pools.
const (
	// Exact: the reserved amount is what the event will cost (CPM).
	Exact Pool = iota
	// Expected: price × predicted rate (CPC, CPA); the event costs Token.Price.
	Expected

	pools = 2
)

// PoolOf is the pool in which the reservation for a billable event of kind k was made.
func PoolOf(k event.Kind) Pool {
	if k == event.Impression {
		return Exact
	}
	return Expected
}

// Reason says why a reservation was refused. Zero is "it was not".
type Reason uint8

// Reasons of Reserve.
const (
	Reserved Reason = iota
	// NoFunds: an account has less than the amount here and now.
	NoFunds
	// DayClosed: within the margin around the account's local midnight, or the
	// clock jumped; no lease covers this instant.
	DayClosed
	// Halted: the journal is down or the broker is draining; nothing may be spent.
	Halted
	// NoAccount: the account index is not of the current catalog.
	NoAccount

	ReasonCount
)

var reasonNames = [ReasonCount]string{"reserved", "no-funds", "day-closed", "halted", "no-account"}

// String is the reason's name in metrics and the debug header.
func (r Reason) String() string {
	if r < ReasonCount {
		return reasonNames[r]
	}
	return "unknown"
}

// Outcome is what became of an event.
type Outcome uint8

// Outcomes of Post.
const (
	// Posted: billed. Acknowledge when the journal position is durable.
	Posted Outcome = iota
	// PostedLate: billed from available funds; its reservation had been voided.
	PostedLate
	// Recorded: seen, not to be billed (kind, test, unknown epoch, other node).
	Recorded
	// Unfunded: seen, to be billed, but no money was left: recorded, not billed.
	Unfunded
	// Duplicate: seen before; nothing changed. The position covers the first.
	Duplicate
	// Unknown: the win was never made, or is too old to tell; nothing changed.
	Unknown
	// Misrouted: another shard must decide (Route); nothing changed.
	Misrouted
	// NotDurable: the journal takes nothing; nothing changed: answer "try again".
	NotDurable
	// Deferred: there is not enough money here, and more was asked for; nothing
	// changed: post again when Funds has moved (PostOrWait only).
	Deferred
	// Resold: an impression that a bidder has, seen for the first time: the bidder
	// pays, and no account.
	Resold

	OutcomeCount
)

var outcomeNames = [OutcomeCount]string{
	"posted", "posted-late", "recorded", "unfunded", "duplicate", "unknown", "misrouted", "not-durable", "deferred", "resold",
}

// String is the outcome's name in metrics.
func (o Outcome) String() string {
	if o < OutcomeCount {
		return outcomeNames[o]
	}
	return "unknown"
}

// Win is a successful reservation: what the tokens of the win must carry.
type Win struct {
	ID event.WinID
	// Issued in whole seconds: Token.Issued, which names the bucket.
	Issued unit.WallTime
	// Day of the accounts: Token.Day.
	Day unit.Day
}

// AccountSpec is one account of the catalog. The position in the slice given
// to SetAccounts is the index that Reserve takes.
type AccountSpec struct {
	ID       unit.AccountID
	Campaign unit.CampaignID
	Name     string
	// Daily and Total limits; 0 is unlimited.
	Daily    unit.Nanos
	Total    unit.Nanos
	Currency unit.Currency
	Zone     *time.Location
	// Unit is the most one event of the account costs (the largest Price of a
	// token among its lines: of CPC and CPA the full price), 0 if unknown. Every
	// shard tries to keep that much at hand, so that a click finds its money.
	Unit unit.Nanos
	// Paused accounts hold no lease: what they have goes back.
	Paused bool
}

// Effects is what a broker wants done. Calls must not call back into it.
type Effects interface {
	// SendBudget puts a copy of m into the mailbox of another shard; false if it is full.
	SendBudget(to unit.ShardID, m *Message) bool
	// Grant and Return hand a request to the BudgetStore.
	Grant(r *store.GrantRequest)
	Return(r *store.ReturnRequest)
	// Journal appends to the shard's buffer; false when the journal is down.
	Journal(r *ledger.Record) (pos uint64, ok bool)
	// After calls Timer(kind, arg) once, d from now.
	After(d time.Duration, kind uint8, arg uint64)
}

// Message is what brokers tell each other, and the store's reply on its way to
// a broker. A plain value without pointers.
type Message struct {
	From  unit.ShardID
	Count uint8
	// Stamp is the sender's clock: what the receiver writes comes after it.
	Stamp ledger.Stamp
	// Until is how long the node's leases last, as far as the sender knows; 0 is
	// without end.
	Until   unit.MonoTime
	Entries [2]Entry
	// Elsewhere comes with the store's replies.
	Elsewhere store.Elsewhere
}

// Op is what an entry of a message says.
type Op uint8

// Operations.
const (
	opAsk      Op = iota + 1 // shard → home: give me Amount, Need at least; Need 0 is a first share, of any size
	opNeed                   // as opAsk, and without it something is refused
	opBack                   // shard → home: Amount returns to the lease of Day
	opGive                   // home → shard: Amount is yours for Day
	opRecall                 // home → shard: others go hungry, give back what lies idle
	opDone                   // shard → shard: phase Amount of the drain is over for me
	opGranted                // store → home
	opTaken                  // store → home: a return is taken
	opRefunded               // operator → home: a posting of Day was taken back
)

// Entry is one operation on one account.
type Entry struct {
	Account unit.AccountID
	Amount  unit.Nanos
	Need    unit.Nanos // opAsk; store replies: the request's Seq
	Day     unit.Day
	// Gen counts the changes of the account's terms (limits lowered, pause,
	// zone) that both sides have seen: money of an older one goes back to the
	// store, whichever way it was travelling.
	Gen    uint32
	Op     Op
	Status store.Status
}

// ReplyMessage carries a store's reply to its shard: Submit it to r.Shard.
func ReplyMessage(r *store.Reply) Message {
	m := Message{From: r.Shard, Count: 2, Stamp: r.Stamp, Elsewhere: r.Elsewhere}
	op := opGranted
	if r.Op == store.OpReturn {
		op = opTaken
	}
	m.Entries[0] = Entry{
		Account: r.Account, Amount: r.Amount, Need: unit.Nanos(r.Seq), Day: r.Day, Op: op, Status: r.Status,
	}
	// The second entry only extends the first.
	m.Entries[1] = Entry{Amount: r.Remaining, Need: unit.Nanos(r.Epoch), Gen: uint32(r.Lease / time.Millisecond)}
	return m
}

// RefundMessage tells the home shard, Home(r.Campaign, n), that a posting was
// taken back and that the store knows: what was spent is less, and there may be
// more to be had. Send it once the record is durable.
func RefundMessage(r *ledger.Record) (m Message) {
	m = Message{Count: r.Parts, Stamp: r.Stamp}
	for i := range r.From[:r.Parts] {
		m.Entries[i] = Entry{Account: r.From[i].Account, Amount: r.Amount, Day: r.From[i].Day, Op: opRefunded}
	}
	return m
}

// Timer kinds that the engine passes back to Broker.Timer.
const (
	// TimerTick drives day boundaries, voids and repeats.
	TimerTick uint8 = iota
	// TimerFlush tries refused messages again.
	TimerFlush
	// TimerWork continues work that was cut into slices.
	TimerWork

	TimerKinds
)

// Route is the shard that may decide about the event of t: the one that made
// the win while its epoch lives, the campaign's home shard afterwards.
func Route(t *event.Token, node unit.NodeID, epoch unit.Epoch, shards int) unit.ShardID {
	if t.Win.Node == node && t.Win.Epoch == epoch && int(t.Win.Shard) < shards {
		return t.Win.Shard
	}
	return Home(t.Campaign, shards)
}

// Home is the shard that holds the leases of a campaign's accounts.
func Home(c unit.CampaignID, shards int) unit.ShardID { return unit.Owner(uint64(c), shards) }
