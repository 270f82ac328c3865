package auction

import (
	"slices"

	"millrace/codec/unit"
	"millrace/shards"
)

// Depth is how many bids a first scan keeps: enough that a second one is rare,
// few enough that insertion stays within the nearest cache.
const Depth = 16

// Bid is one candidate's offer for one impression.
type Bid struct {
	// Rank orders the bids of a tier: the price, weighed by what is not money.
	// Nobody is charged a rank.
	Rank unit.Nanos
	// Price an impression; for CPC and CPA the expected revenue. It is what is
	// bid and reserved.
	Price unit.Nanos
	// Line is the line item's index in the snapshot.
	Line uint32
	// Creative is the creative's index in the snapshot.
	Creative uint32
	// Tier is the line's priority, 0 first.
	Tier uint8
}

// Before reports whether a precedes b in the total order of the package
// comment. It is false for equal bids.
func Before(a, b *Bid) bool {
	if a.Tier != b.Tier {
		return a.Tier < b.Tier
	}
	if a.Rank != b.Rank {
		return a.Rank > b.Rank
	}
	if a.Line != b.Line {
		return a.Line < b.Line
	}
	return a.Creative < b.Creative
}

// Deepening: each further scan of an impression keeps so many times more bids
// than the one before, unless Select says otherwise. Scans of one depth would take time in the square of the
// candidates when none of them is admitted, as happens to every request with a
// floor above all prices.
const deepening = 64

// Ranking collects the first bids, in order, of those offered: Depth of them in
// the first scan, deepening times more in each that continues it. Reset
// makes it ready for a first scan.
type Ranking struct {
	bids  [Depth]Bid
	n     int
	after Bid
	next  bool // only bids behind after are taken
	more  bool // some bid was left out for want of room

	// Of a scan that continues another: deep holds the bids kept, sorted once
	// settled, and up to as many again behind them.
	depth   int // 0 in a first scan of Depth
	growth  int // of depth, from scan to scan
	deep    []Bid
	settled bool
	cut     bool // deep[depth-1] is the last that may enter
}

// Reset empties the ranking for a first scan.
func (r *Ranking) Reset() {
	r.n, r.depth, r.growth, r.next, r.more = 0, 0, deepening, false, false
}

// Select empties the ranking for a first scan that keeps depth bids, and growth
// times more in each that continues it: for a caller to whom a bid kept is work
// of its own.
func (r *Ranking) Select(depth, growth int) {
	if cap(r.deep) < 2*depth {
		r.deep = shards.AlignedSlice[Bid](2 * depth)
	}
	r.depth, r.growth, r.next, r.more = depth, growth, false, false
	r.deep, r.settled, r.cut = r.deep[:0], true, false
}

// Continue empties the ranking for the scan that finds the bids behind the last
// one it holds.
func (r *Ranking) Continue() {
	held := r.Bids()
	r.after, r.next = held[len(held)-1], true
	r.depth = max(r.depth, Depth) * r.growth
	r.deep, r.settled, r.cut, r.more = r.deep[:0], true, false, false
}

// Exhausted reports that no bid of the scan was left out: Continue would find
// nothing.
func (r *Ranking) Exhausted() bool {
	r.settle()
	return !r.more
}

// Bids are the collected bids, first in order first. The slice is valid until
// the next Reset, Continue or Offer.
func (r *Ranking) Bids() []Bid {
	if r.depth == 0 {
		return r.bids[:r.n]
	}
	r.settle()
	return r.deep
}

// last is the bid that a further one must precede to enter; nil while there is
// room.
func (r *Ranking) last() *Bid {
	switch {
	case r.depth == 0 && r.n == Depth:
		return &r.bids[Depth-1]
	case r.depth > 0 && r.cut:
		return &r.deep[r.depth-1]
	}
	return nil
}

// Takes reports whether a bid of the tier with at most the rank may enter. A
// scan asks it before it works out what a line's bids are; a no is remembered
// as a bid left out.
func (r *Ranking) Takes(tier uint8, most unit.Nanos) bool {
	last := r.last()
	if last == nil || tier < last.Tier || tier == last.Tier && most >= last.Rank {
		return true
	}
	r.more = true
	return false
}

// Closed reports that no bid of the tier or of a later one can enter. A scan in
// order of tiers may stop there.
func (r *Ranking) Closed(tier uint8) bool {
	last := r.last()
	if last == nil || tier <= last.Tier {
		return false
	}
	r.more = true
	return true
}

// Stop ends a scan in order of tiers before a line of the tier, if there are
// bids of a better one: the rest is left for a scan that continues this one.
func (r *Ranking) Stop(tier uint8) bool {
	if len(r.deep) == 0 || r.deep[len(r.deep)-1].Tier >= tier {
		return false
	}
	r.more = true
	return true
}

// Offer considers a bid.
func (r *Ranking) Offer(b Bid) {
	if r.depth > 0 {
		r.offerDeep(b)
		return
	}
	if r.n == Depth {
		r.more = true
		if !Before(&b, &r.bids[Depth-1]) {
			return
		}
		r.n--
	}
	i := r.n
	for ; i > 0 && Before(&b, &r.bids[i-1]); i-- {
		r.bids[i] = r.bids[i-1]
	}
	r.bids[i] = b
	r.n++
}

// offerDeep gathers bids up to twice the depth before it sorts them and drops
// the later half: a few comparisons a bid, whatever the depth.
func (r *Ranking) offerDeep(b Bid) {
	if r.next && !Before(&r.after, &b) {
		return
	}
	if r.cut && !Before(&b, &r.deep[r.depth-1]) {
		r.more = true
		return
	}
	r.deep = append(r.deep, b)
	r.settled = false
	if len(r.deep) == 2*r.depth {
		r.settle()
	}
}

func (r *Ranking) settle() {
	if r.depth == 0 || r.settled {
		return
	}
	slices.SortFunc(r.deep, order)
	r.settled = true
	if len(r.deep) > r.depth {
		r.deep, r.cut, r.more = r.deep[:r.depth], true, true
	}
}

func order(a, b Bid) int {
	switch {
	case Before(&a, &b):
		return -1
	case Before(&b, &a):
		return 1
	}
	return 0
}
