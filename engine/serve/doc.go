// Package serve is the shard's state machine: it takes one message at a time,
// decides, and emits effects. It reads no clock, no random source and no
// socket: the shard gives it the time of the batch, Effects take what is to be
// done. So the same Core runs behind real sockets and in a simulation.
//
//	BidRequest   selection ► auction.Ranking ► admit ► reserve ► render ► answer
//	             with bidders, before: ask ► parked ► collect ► conclude
//	Socket       bidders' connections are ready
//	Demand       what other shards' desks learned
//	Notice       an exchange tells of a bid that was passed on
//	Event        budget.Post ► (money arrives) ► journal ► (durable) ► answer
//	Budget       leases and sub-leases, between brokers and from the store
//	Rates        what other shards' users did, for prediction
//	Seen         what a user of this shard saw or clicked, posted by another shard
//	Wake         the journal is durable further than before
//
// # Bidders
//
//	ask      desk.Plan ► patcher ► bidders.Send, a slot of the slab, a timer
//	collect  bidders.Next ► openrtb.Judge, against what that bidder was sent ► Collector
//	conclude the rest is cancelled ► gather: offers ► settle, as without bidders, but
//	         that offers and line items are taken in one order ► answer ► tellBidders
//
// The request goes out first and our own lines are looked at last, with the
// budgets of that moment. A parked auction keeps the exchange, its body and its
// view; each of its calls keeps its bidder's edit, and the answer where the pool
// has read it, until the auction is over. The slab is bounded, and full is no wait.
// Without a demand file there is one nil to look at.
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
// submitted, to the Core until Effects.Reply, however long it is parked, and to
// nobody here afterwards. A call is the pool's from Send until Next or Cancel.
// Everything else a decision needs is the Core's own scratch, reused.
//
// An answer to an event leaves only when the journal is durable up to its
// record: what was acknowledged is billed, whatever happens next.
package serve
