// Package refund takes postings back that should not have been: fraud that was
// found later, mistakes. A posting is never changed; a correcting record follows
// it in the journal (ledger.Refunded), and goes wherever postings go.
//
//	operator ─► Query ─► Desk: find in the node's history ─► journal ─► durable ─► settled
//	                             │ not found, refunded before                        │
//	                             ▼                                                   ▼
//	                           Result                      budget store, home shard: there is more to be had
//
// # At most once
//
// The history that a Desk reads to find a posting has every refund of it as
// well, since that was written later and what is old goes first. So there is
// nothing to remember, however late a refund comes: while the posting can be
// found, so can its refund. What is under way, journalled and perhaps not yet
// readable, is remembered until it is durable. A query that is repeated, because
// its answer was lost, finds what it did.
//
// # What becomes of the money
//
// It is the account's again, on the day it was posted to: on the same day it can
// be granted and spent again as far as the account is open; later only the total
// limit has more room. The accounts learn of it when the record is durable.
//
// A win is refunded by the node that made it, which has it in its journal.
package refund
