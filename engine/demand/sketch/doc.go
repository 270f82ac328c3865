// Package sketch remembers, in bounded memory, how long a partner takes and
// what it bids.
//
// Latencies are counted in buckets of an eighth of an octave, in three ways: an
// answer with a bid, one without, and a call that was given up before it was
// answered. The last is no latency: it says that the answer would have taken
// longer. A mean over the answers that were waited for would be too fast, and
// the more so the less one waits; counting what was given up as never answered
// would be too slow, for ever. So Fit makes the product-limit estimate (Kaplan
// and Meier, 1958): of those still open when a bucket begins, the share that is
// answered within it.
//
//	Survives(t)   no answer by t
//	Bids(t)       a bid by t (the cumulative incidence, no bid and bid competing)
//	P(bid in (t, u] | nothing by t) = (Bids(u) − Bids(t)) / Survives(t)
//
// Everything is plain values, owned by a shard; nothing allocates.
package sketch
