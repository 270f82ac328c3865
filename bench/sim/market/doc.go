// Package market is the simulated world that tries to break the demand side: the
// production shards ask bidders who are late or silent, answer for other requests,
// in other currencies, below floors, with garbage, pages of HTML and megabytes,
// with errors, rate limits and resets, with groups and repeated bids, while
// catalogs and demand files are swapped and auctions overlap. Everything follows
// from one seed.
//
//	seed ─► partners, lines, requests ─► sim.World ─► serve.Core ─► answers, notices, journal
//	     ─► what each bidder does with each call ┘                          │
//	             (what was sent, what came back in time) ─► oracle ─────────┘
//
// # The oracle
//
// It sees what bidders were sent and which of their answers the shard took before
// it decided, as bytes. It reads them with encoding/json into types of another
// project, judges the bids by codec/rulebook, works prices out with big rationals
// and finds the winners by sorting and trying. It shares no code with the judge,
// the auction or the collection.
//
// What is judged: each request is answered once, in its time; the winner and the
// price of every impression; that every call came back or was cancelled; that
// each losing bidder is told once, with a reason that fits; that what is billed
// stands in the journal once, with what the bidder owes.
package market
