// Package store holds the contracts between the deterministic core and the
// stores that outlive a process, and the suite of tests that every adapter
// passes (storetest). Here: BudgetStore, which grants and takes back leases.
//
//	home shard ── Grant, Return ──► BudgetStore ── Deliver(Reply) ──► home shard
//
// Nothing blocks a shard: requests are handed over, replies come back by
// message. Every request has an identity, (node, epoch, shard, seq), and is
// idempotent under it: the shard repeats a request whose reply is late, with
// the same identity, and the store answers as it did the first time. So a lost
// reply, a full mailbox and a time-out with unknown outcome all end the same
// way: nothing granted twice, nothing lost.
//
// Adapters live in the folders below; they import this package, not each other.
package store
