// Package ledger holds what the node writes down about money and what follows
// from it: the records of the journal, their encoding, and the Book, which is
// the fold of all records into leases, balances and the set of events seen.
//
//	budget store ── Granted, Returned ──┐
//	                                    ├──► journal ──► Book ──► checkpoint
//	shards ─ Posted, Recorded ──────────┤                 │
//	operator ─ Refunded ────────────────┘                 │
//	                                                      └──► Recovered (after a restart)
//
// A lease is known by (account, day, epoch). Money enters it with Granted and
// leaves it with Returned (unspent, back to the account) or Posted (spent):
//
//	outstanding = granted − returned − posted ≥ 0         (I1, conservation)
//	granted − returned − refunded of a day ≤ the limit in force (I2, no over-delivery)
//	an event (win, kind) is posted at most once, and of what is posted each is
//	refunded at most once                                 (I3)
//
// Refunded takes a posting back: its money is the account's again, of the day it
// was posted to. If that day is open, it can be granted and spent again; of an
// earlier day only the total limit notices. Leases are as they were.
//
// Records of different shards may reach the journal in either order; the fold
// gives the same Book for every order in which a grant stands before what was
// spent from it, and the writers guarantee that order by making a grant
// durable before anybody may spend it.
//
// The package is pure: no clock, no files, no goroutines. Every layer above
// codec may import it.
package ledger
