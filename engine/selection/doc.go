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
// predicted click rate for CPC, and × predicted conversion rate for CPA. Rates
// are the creative's prior from the catalog, smoothed with what was observed
// (models/coldstart). They are recomputed when counts change, not when a
// request comes: a scan reads one number a line item.
//
// A Selector and Rates are owned by one shard. A Catalog is a snapshot prepared
// for one shard, off to the side by whoever loads it, and belongs to the shard
// from the swap on.
package selection
