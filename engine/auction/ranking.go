package auction

import "millrace/codec/unit"

// Depth is how many bids one scan keeps: enough that a second scan is rare,
// few enough that insertion stays within the nearest cache.
const Depth = 16

// Bid is one candidate's offer for one impression.
type Bid struct {
	// Price an impression; for CPC and CPA the expected revenue.
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
	if a.Price != b.Price {
		return a.Price > b.Price
	}
	if a.Line != b.Line {
		return a.Line < b.Line
	}
	return a.Creative < b.Creative
}

// Ranking collects the first Depth bids, in order, of those offered. The zero
// value is ready for a first scan.
type Ranking struct {
	bids  [Depth]Bid
	n     int
	after Bid
	next  bool // only bids behind after are taken
	more  bool // some bid was left out for want of room
}

// Reset empties the ranking for a first scan.
func (r *Ranking) Reset() { r.n, r.next, r.more = 0, false, false }

// Continue empties the ranking for the scan that finds the bids behind the last
// one it holds.
func (r *Ranking) Continue() {
	r.after, r.next = r.bids[r.n-1], true
	r.n, r.more = 0, false
}

// Exhausted reports that no bid of the scan was left out: Continue would find
// nothing.
func (r *Ranking) Exhausted() bool { return !r.more }

// Bids are the collected bids, first in order first. The slice is valid until
// the next Reset, Continue or Offer.
func (r *Ranking) Bids() []Bid { return r.bids[:r.n] }

// Takes reports whether a bid of the tier with at most the price may enter. A
// scan asks it before it works out what a line's bids are; a no is remembered
// as a bid left out.
func (r *Ranking) Takes(tier uint8, most unit.Nanos) bool {
	if r.n < Depth {
		return true
	}
	last := &r.bids[Depth-1]
	if tier < last.Tier || tier == last.Tier && most >= last.Price {
		return true
	}
	r.more = true
	return false
}

// Closed reports that no bid of the tier or of a later one can enter. A scan in
// order of tiers may stop there.
func (r *Ranking) Closed(tier uint8) bool {
	if r.n < Depth || tier <= r.bids[Depth-1].Tier {
		return false
	}
	r.more = true
	return true
}

// Offer considers a bid.
func (r *Ranking) Offer(b Bid) {
	if r.next && !Before(&r.after, &b) {
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
