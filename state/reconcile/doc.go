// Package reconcile compares what must be equal: the journal, the ledger and the
// budget store, by account and day. Every look is harmless to those who work.
//
//	journal ═ ledger     what a node's records add up to, up to where the ledger has them (Shared)
//	ledger  ═ counter    what all nodes have committed (Shared)
//	journal ═ store      of a node on its own: the Book and the embedded store's books (Embedded)
//
// The journal is the truth, then the ledger, then the counter. So a counter that
// differs is set to what the ledger says; a ledger that differs from a journal is
// told, and never set: its postings are the history, and millrace ledger recover
// posts what it lacks.
//
// # What is under way
//
// Grants, returns and refunds are on their way between the three at any moment.
// Journal and ledger are compared as of the ledger's own cursor, where they are
// equal to the nano. The others are read several times, and a difference counts
// when it is the same each time: what moves is not drift. A grant that the counter
// gave between reading the ledger and setting the counter is lost to the counter
// by a repair; the ledger, which decides, then refuses what goes beyond a limit.
package reconcile
