// Package storm is the simulated world that tries to break the money: nodes
// that run the production code (engine/serve, engine/budget, state/outbox,
// state/store) on simulated shards, disks, clocks and networks, clients that
// click, repeat themselves and give up, and a plan of faults. Everything follows
// from one seed: two runs of a Config are the same run, event for event.
//
//	seed ─► plan of faults ──────────┐
//	     ─► traffic ─► World ─► nodes┴─ serve.Core ─► broker ─► joint.Store ── network ─► ledger, counter (memory)
//	                     │        └─ outbox.Journal ─► faultfs (crash, torn, lost, full)
//	                     ▼
//	                  history: wins, answers, raw bytes of the disks, the ledger's entries ─► oracles
//
// A world has one node with an embedded store, or some that share a ledger and a
// counter behind a network that loses, doubles and delays calls and answers alike.
// Machines can be lost with their disks, and replaced while they are only cut off:
// then two have one number for a while.
//
// Operators find fraud now and then, of today and of earlier days, and ask for
// refunds until they have an answer (refunds.go). They have random streams of their
// own: without them a seed is the same run.
//
// Time is the world's: nodes have clocks of their own that drift and jump. A
// node's next timer, the next message and the next fault are all that ever
// happens, so an idle hour costs nothing but its timers.
//
// # Oracles
//
// They recount from what clients were told, from the raw bytes of the journals
// (bench/recount), and from what the ledger let count, entry by entry (books.go);
// they share no code with the ledger or the broker they judge. See oracle.go for
// what each invariant means here, and refunds_oracle.go for what a refund is.
//
// # A failure
//
// Shrink runs the failing seed again with fewer events and fewer faults until
// nothing more can be left out, and says what is left.
//
// # Can it fail
//
// Config.Removed takes one safety away, through the disk, the clock margin or
// the store that the world hands to the nodes. For each there are seeds that
// catch it, pinned in the tests.
package storm
