// Package joint says what a node that is one of several needs to share with the
// others to keep budgets exact: a ledger that decides, and a counter that makes
// it cheap.
//
//	broker ─► Counter.Take ─► Ledger.Grant ─► journal Granted ─► lease
//	journal ─► drain ─► Ledger.Post (postings, returns) ─► Counter.Give
//
// So the leases in use are leases in the ledger, and those are within the
// limits, whatever becomes of the counter.
package joint
