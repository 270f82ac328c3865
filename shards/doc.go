// Package shards runs the deterministic core: a Group of shards, each a
// partition of the state with a mailbox, a timer wheel and counters of its own.
package shards
