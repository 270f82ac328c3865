// Package serve is the shard's state machine: it takes one message at a time,
// decides, and emits effects. It reads no clock, no random source and no
// socket: the shard gives it the time of the batch, Effects take what is to be
// done. So the same Core runs behind real sockets and in a simulation.
//
//	BidRequest   selection ► auction.Ranking ► admit ► reserve ► render ► answer
//	Event        budget.Post ► (money arrives) ► journal ► (durable) ► answer
//	Budget       leases and sub-leases, between brokers and from the store
//	Rates        what other shards' users did, for prediction
//	Seen         what a user of this shard saw or clicked, posted by another shard
//	Wake         the journal is durable further than before
//
// # Predicting
//
// A request is decided by one arm of a rollout (which model) on one rung of the
// shard's ladder (how much work), chosen at its beginning. Models come ready made
// and are swapped inside a turn, with or without a catalog. What chose a win
// stands in its tokens, so that the events that follow can be held against it.
//
// # Lifetimes
//
// A Context is one request on its way. It belongs to the gateway until it is
// submitted, to the Core until Effects.Reply, and to nobody here afterwards.
// Everything else a decision needs is the Core's own scratch, reused.
//
// An answer to an event leaves only when the journal is durable up to its
// record: what was acknowledged is billed, whatever happens next.
package serve
