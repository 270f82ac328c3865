package auction

import (
	"slices"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// Offer is a bidder's bid on one impression, in the same order as the line
// items' Bids: by tier, then by rank.
type Offer struct {
	// Standing orders the offers of a tier. Its Price is the offer's rank: the
	// bid in the auction's currency, adjusted and weighed by format; nobody is
	// charged it.
	openrtb.Standing
	// Price is what the impression is worth to us if the offer wins: adjusted,
	// in the auction's currency.
	Price unit.CPMMicros
	// Imp is the impression's index in the request.
	Imp int32
	// Group is above 0 for offers that win all their impressions or none.
	Group int32
	// Priority is the tier, as a line item's: 0 first.
	Priority uint8
}

// Rank is the offer's, as a Bid's.
func (o *Offer) Rank() unit.Nanos { return o.Standing.Price.PerImpression() }

// Beats reports whether the offer precedes a line item's bid whose rank, in the
// auction's currency, is rank. Of equals our own goes first: it costs no other
// party a notice.
func (o *Offer) Beats(b *Bid, rank unit.Nanos) bool {
	if o.Priority != b.Tier {
		return o.Priority < b.Tier
	}
	return o.Rank() > rank
}

// before is the total order of one impression's offers.
func (o *Offer) before(p *Offer) bool {
	if o.Priority != p.Priority {
		return o.Priority < p.Priority
	}
	return o.Standing.Before(&p.Standing)
}

// Offers are the offers of one request, on all its impressions. Reset, Add, then
// Settle; the zero value is ready for use. Owned by a shard.
type Offers struct {
	list    []Offer
	from    []int32 // by impression: where its offers begin in the settled list
	dropped []int32 // groups that are out
}

// Reset empties it for a request of so many impressions.
func (a *Offers) Reset(imps int) {
	a.list, a.dropped = a.list[:0], a.dropped[:0]
	a.from = slices.Grow(a.from[:0], imps+1)[:imps+1]
	clear(a.from)
}

// Len is the number of offers.
func (a *Offers) Len() int { return len(a.list) }

// Add takes an offer in.
func (a *Offers) Add(o *Offer) { a.list = append(a.list, *o) }

// Settle orders the offers. None may be added after it.
func (a *Offers) Settle() {
	slices.SortFunc(a.list, compareOffers)
	for i := range a.list {
		a.from[a.list[i].Imp+1]++
	}
	for i := 1; i < len(a.from); i++ {
		a.from[i] += a.from[i-1]
	}
}

func compareOffers(x, y Offer) int {
	switch {
	case x.Imp != y.Imp:
		return int(x.Imp) - int(y.Imp)
	case x.before(&y):
		return -1
	case y.before(&x):
		return 1
	}
	return 0
}

// On are the offers on an impression, first in order first, those of dropped
// groups among them.
func (a *Offers) On(imp int) []Offer { return a.list[a.from[imp]:a.from[imp+1]] }

// Drop takes a group out of the auction.
func (a *Offers) Drop(group int32) { a.dropped = append(a.dropped, group) }

// Out reports whether the offer's group was dropped.
func (a *Offers) Out(o *Offer) bool {
	return o.Group > 0 && slices.Contains(a.dropped, o.Group)
}

// Increment is what the winner of a second-price auction pays above the second
// price: a hundredth of the currency's unit, a thousand impressions.
const Increment unit.CPMMicros = 10_000

// Clear is what a winning offer pays, in whatever currency its arguments are:
// its bid, or where the bidder was told that the second price counts (at 2, which
// only deals say), the next price and the increment, no less than the floor and
// no more than the bid. second is 0 where nobody else competed.
func Clear(at openrtb.AuctionType, bid, second, floor unit.CPMMicros) unit.CPMMicros {
	if at != openrtb.SecondPricePlus {
		return bid
	}
	return min(bid, max(second+Increment, floor))
}
