// Package pacing spreads a budget over its day: it says how large a share of
// the auctions an account should take part in, so that it neither spends all at
// breakfast nor has half left at midnight.
//
//	requests ─► Forecast ─► Plan.Target(t) ──┐
//	                                         ├─► Pacer.Step ─► participation ─► Throttle ─► selection
//	money committed, requests seen ──────────┘      0 … 1                      masks, AND-ed
//
// Forecast learns from the node's own requests which share of a week's traffic
// each hour brings; until it has seen an hour it takes the same hour of other
// days, and before that a uniform week. A Plan is the budget of an interval laid
// over that traffic. A Pacer compares what was committed with the plan and sets
// the participation: what the plan wants now, divided by what full participation
// would spend now, plus a bounded share of what it is behind or ahead. So it
// follows bursts of traffic within seconds, and a hole in the supply is made up
// for at no more than twice the planned rate.
//
// Participation is about when money is spent, never about how much may be: the
// hard stop stays with the lease (engine/budget). That is why floats may live
// here. Nothing in this package reads a clock or a random source.
//
// Everything is owned by one shard. Shards that are told the same totals
// compute the same participation.
package pacing
