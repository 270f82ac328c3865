// Package node is the composition root: it reads the configuration, builds the
// parts, starts them in order and stops them in the reverse. It decides nothing
// about ads.
//
//	journal ─► listener (gate closed) ─► shards ─► catalog ─► first leases ─► gate open ─► admin
//
// A Node stops by closing the gate, answering what is in flight, returning the
// leases, and closing the journal; what a kill cuts short is recovered from the
// journal by the next start.
//
// Only tools and benchmarks import it.
package node
