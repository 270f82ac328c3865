// Package budget keeps every account inside its limit without asking anybody
// at the moment of spending. Each shard has a Broker; a broker is a
// deterministic state machine: time comes with every call, what it wants done
// leaves through Effects, and it owns no goroutine, lock or clock.
//
//	    BudgetStore (journal, or a server)
//	        ▲ Grant, Return   │ Reply (durable)
//	        │                 ▼
//	┌──────────────── home shard of the campaign ───────────────┐
//	│ pool: the node's lease for (account, local day)            │
//	└──┬────────────────────────▲───────────────────────────────┘
//	   │ Give                   │ Ask, Back        (Message, shard to shard)
//	   ▼                        │
//	┌──────────── any shard, serving its users ─────────────────┐
//	│ available ──Reserve──► reserved (bucket) ──Post──► posted  │──► journal
//	│     ▲                     │                                │
//	│     └──── void (TTL) ─────┘                                │
//	└────────────────────────────────────────────────────────────┘
//
// # Who may bill a win
//
// The shard that made the win, while its epoch lives: the token names it.
// After a restart, the home shard of the campaign. Both are functions of the
// token and the configuration alone (Route), and a shard handles one message
// at a time, so one event sent twice meets itself on one shard, whatever
// connection it came by: two shards can't both find it new.
//
// # Reservations without records
//
// A reservation is not stored. What is pending is summed by (account, time
// bucket, pool); the token's Issued names the bucket. When a bucket is older
// than the reservation TTL, what is left in it was not billed in time and is
// available again. Exact reservations (CPM) and expected ones (CPC, CPA) are
// separate pools: a click that costs a hundred times its expectation must not
// eat the money of impressions already won.
//
// Bucket widths divide 15 minutes and every time zone's offset is a multiple
// of that, so no bucket straddles a local midnight: a bucket belongs to one
// day of the account.
//
// # Shares
//
// The first lease of a day has the price of one event for every shard, or an
// eighth of the budget if that is less, and every shard gets the same first
// share, be it nothing: Ready waits for that answer, not for money. After that
// a shard asks when half its share is gone (a refill), and urgently when it
// can't pay the next event (opNeed): the home gives from its pool, asks the
// store, and when that is exhausted recalls what lies idle elsewhere, so that
// the rests of all shards add up for the one that is next. A shard keeps its
// own rest meanwhile: a cheaper line may live on it; and what it fetched, until
// its next request had time to come. The hungry get what each lacks, in turn,
// or nothing; what is too little for all of them is offered to one at the next
// tick. On its home shard an account's slot draws on the pool directly.
//
// # Events that lack money
//
// A click costs a hundred times what was reserved for it. PostOrWait asks for
// what its shard lacks and leaves no trace; the caller posts the event again
// when Funds has moved, and when it can't wait longer lets Post decide. What
// may be missing then: money that is nowhere, that is reserved, or that another
// shard fetched for itself a moment ago.
//
// # The day
//
// A lease is for one local day of the account. Around midnight (by the wall
// clock or the monotonic one, whichever is earlier) nothing is reserved; then
// what is available goes back and the new day's lease is asked for. What is
// reserved is posted to the day it was won on. Clocks that jump only refuse.
//
// # Order
//
// A broker's stamp (a hybrid logical clock, ledger.Stamp) begins above every
// stamp of the journal, travels with every message to other shards and to the
// store and with every reply, and is merged on receipt. So a posting's stamp is
// above that of the lease it was paid from, whichever way the wall clock was
// set meanwhile, before a restart too. Counts.Behind is the most that a stamp
// was ahead of our wall clock. What a reservation holds is voided by the wall
// clock or by the monotonic one: a step back does not prolong it.
//
// # Leases that end
//
// A store may answer that its leases end (Reply.Lease). Then everything this life
// of the node holds ends together, so long after the last request that the store
// answered: the holder counts from when it sent it, by the monotonic clock, less
// DriftMax, and the store from when it got it, so the holder is over first. The
// end travels with the messages between shards and is renewed by each when a
// third of the time is gone. After it nothing is reserved, reachable store or
// not; what was reserved before is posted as long as a reservation lives. A life
// that the store has fenced spends nothing any more (Counts.Fenced).
//
// # Terms that change
//
// A lower limit, a pause, another zone or the removal of an account gives
// everything unreserved back to the store and asks anew under the new terms;
// Entry.Gen keeps money of the old terms from being spent on its way. A cut
// does not undo what was won before it: the limit in force is the new one, or
// what was posted and reserved at the cut if that is more.
//
// # Refunds
//
// A posting that was taken back (ledger.Refunded) is no business of the lease it
// was paid from: its money is the account's, in the store. The home shard is told
// (RefundMessage), corrects what was spent, and asks the store again.
//
// # Wiring
//
// SendBudget and the store's Deliver put a Message into a shard's mailbox,
// which calls Handle; After arms a timer that calls Timer with the same kind
// and argument (a delay of 0 means soon, in a later batch); EndBatch follows
// every batch, and then the appender's Commit. An event's answer is given when
// Appender.Durable covers the position. When the journal fails, Halt. A
// shutdown calls Drain on every shard, delivers messages, replies and timers
// until all are Drained, then closes the store and the journal.
//
// # Messages can be refused, money can't be lost
//
// Money leaves a broker's books only with a message that the mailbox took.
// Refused ones wait in a queue per peer, in order, and a timer tries again.
// What waits is counted (Balance.Moving).
package budget
