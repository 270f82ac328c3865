// Package cockroach is the ledger that nodes share (joint.Ledger) in a
// CockroachDB or PostgreSQL database, and what reads it.
//
//	joint ─ Grant, Begin, Renew ─► lane ─┐  one serializable transaction each,
//	drain ─ Post ────────────────► lane ─┼─► whole again on 40001, with jitter,
//	joint ─ Orphans, Balances ───► lane ─┘  until the call's time is up
//
//	lives, cursors, pending      who runs, how far its journal is in, grants not yet confirmed
//	account_totals, account_days what guards the limits: locked and moved by Grant
//	leases                       the fold of the posted records, by life, account and day
//	postings                     append-only transfers; all balances follow from them
//
// SQL stands in statements.sql and migrations/, none in Go: one dialect that
// both databases take. tools/cockroach parses it with CockroachDB's grammar, the
// tests run it on PostgreSQL.
//
// # Outcomes
//
// A call that fails before its commit was sent had no effect. One whose commit
// was not answered is tried again, which is harmless by the identities, and is
// joint.ErrUnknown if its time runs out before an answer. Calls of a lane are
// answered in order, its queue is bounded, and a full one refuses at once.
//
// # Hot rows
//
// Two rows of an account are written by every grant of every node, and by
// returns and refunds. Grants are rare (a lease lasts for many events) and come
// in batches, and the rows are locked in order of the account. Postings of
// events, which are many, write no row that another node writes.
package cockroach
