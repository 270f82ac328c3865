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
// # Messages can be refused, money can't be lost
//
// Money leaves a broker's books only with a message that the mailbox took.
// Refused ones wait in a queue per peer, in order, and a timer tries again.
// What waits is counted (Balance.Moving).
package budget
