// Package selection finds the candidates of an impression and says what each is
// worth and why it may not have it.
//
//	Begin(request)   targeting of the request      bitmap over line items
//	BeginImp(i)      targeting of the impression   bitmap, narrower
//	Next             worth of each candidate       auction.Ranking: bid by bid, in order
//	Admit            floors, currency, deals,      Reason, asked only of those that
//	                 seats, frequency cap          came up
//
// Worth is the expected revenue of one impression: the price for CPM, price ×
// predicted click rate for CPC, and × predicted conversion rate for CPA. It is
// what is bid and reserved. A bid's rank is its worth weighed by the creative's
// quality (7 of 10 weighs 1) and by its format.
//
// Rates come from a model where one is in force (Predictor), else from the
// creative's prior smoothed with what was observed (Catalog, Rates). Those are
// recomputed when counts change, not when a request comes: without a model a scan
// reads one number a line item. What is known of the request's groups and of its
// user scales them, one scale an impression (tiers.go); an ad of which the catalog
// states no rate begins with its category's (categories.go).
//
// With a model the ranking holds bids at the most they can be worth, and only
// those that may come up next are scored:
//
//	scan ► ranking by bound ► batch ► model ► exact bids in a heap ► Next
//	            ▲                                                     │
//	            └────── while something unscored could come before ───┘
//
// A Selector, a Predictor, an Arm, groups and Rates are owned by one shard. A Catalog is
// a snapshot prepared for one shard, off to the side by whoever loads it, and
// belongs to the shard from the swap on. A Model is made ready for one snapshot,
// shared by all shards and immutable; one of another snapshot than the catalog's
// predicts nothing.
package selection
