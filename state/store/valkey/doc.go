// Package valkey is joint.Counter on a Valkey server, a Sentinel group or a
// cluster: the fast, shared and forgetful count of what may still be granted.
//
//	Take ─► queue ─► breaker ─► one pipeline of scripts, one script a campaign ─► done
//	                   │open: at once, no effect        NOSCRIPT ─► the same scripts as EVAL
//	                   └ a probe, later and later
//
// What is kept, in hashes whose keys share the campaign's slot ({campaign}):
//
//	millrace:{c}:a:ACCOUNT    t: committed in all   dDAY: committed on a day   hNODE: when it last took
//	millrace:{c}:o:NODE:TIME  what a node's requests of that minute got, by their identity
//
// An account that is not there, or has no count of the day, must be loaded from
// the ledger: after FLUSHALL, an empty restart, a failover that lost it, and when
// Config.Keep is over. So whatever goes wrong with a count (a give that came
// twice, a take whose identity was forgotten) is put right by the ledger
// within that time, and the server's memory has a bound. Evictions do no harm.
//
// Amounts are int64 and a Lua number has 53 bits: the scripts calculate in two
// parts, and are tested against store.Headroom and store.Chunk.
//
// A call that got no answer in time has an unknown outcome and is told so; it is
// repeated with the same identities, by the client within the call's time and by
// the caller after it, and gets its first outcome as long as that is remembered.
// A server that answers READONLY was demoted: the client is thrown away, and the
// next one looks for the primary again.
//
// Ownership: arguments are copied before a call returns. done is called once, by
// a goroutine of the counter, whatever happens; after Close at once.
package valkey
