// Package ledger tries the shared ledger (state/store/cockroach) on a real
// PostgreSQL: the suite that every ledger passes, nodes that fight for one
// account, a server that dies in a commit, and how fast it is.
//
// Tests and benchmarks only.
package ledger
