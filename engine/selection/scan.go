package selection

import (
	"math/bits"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/auction"
	"millrace/state/campaign"
)

func trailing(w uint64) int { return bits.TrailingZeros64(w) }

// Next is the impression's next bid in the total order: first the best of all
// that targeting, funds and the creative allow. Whether it may have the
// impression is Admit's to say. Candidates that can not win at all are counted
// into lost. False when there is none left.
func (s *Selector) Next(lost *[ReasonCount]uint32) (*auction.Bid, bool) {
	for {
		if bids := s.ranking.Bids(); s.next < len(bids) {
			s.next++
			return &bids[s.next-1], true
		}
		if s.scans > 0 {
			if s.ranking.Exhausted() {
				return nil, false
			}
			s.ranking.Continue()
		}
		s.scan(lost)
	}
}

// Candidates is how many lines targeting lets compete for the impression.
func (s *Selector) Candidates() int { return s.candidates }

// begin readies Next for an impression.
func (s *Selector) beginScan() {
	s.ranking.Reset()
	s.next, s.scans, s.candidates = 0, 0, 0
}

// scan offers the impression's bids to the ranking. What a repeated scan leaves
// out was counted by the first.
func (s *Selector) scan(lost *[ReasonCount]uint32) {
	var again [ReasonCount]uint32
	if s.scans++; s.scans > 1 {
		lost = &again
	} else {
		s.candidates = countFrom(s.match.Words())
	}
	s.next = 0
	lines := s.catalog.Snapshot.Lines
	for w, word := range s.match.Words() {
		for ; word != 0; word &= word - 1 {
			i := campaign.LineIndex(w*64 + trailing(word))
			l := &lines[i]
			if s.ranking.Closed(l.Tier) {
				return
			}
			price, rank := s.most(i, l)
			if !s.ranking.Takes(l.Tier, rank) {
				continue
			}
			if r := s.hopeless(i, l, price); r != Won {
				lost[r]++
				continue
			}
			s.offer(i, l, lost)
		}
	}
}

// most is the most that a bid of the line can be worth and rank.
func (s *Selector) most(i campaign.LineIndex, l *campaign.LineItem) (price, rank unit.Nanos) {
	c := s.catalog
	if l.Pricing == campaign.CPM || s.position == 1 {
		return c.bounds[i], c.ranks[i]
	}
	price = scale(c.bounds[i], s.position)
	return price, weigh(price, c.lineWeights[i])
}

// scale never falls when the value rises.
func scale(v unit.Nanos, by float64) unit.Nanos { return unit.Nanos(float64(v) * by) }

// offer puts the line's creatives into the ranking.
func (s *Selector) offer(i campaign.LineIndex, l *campaign.LineItem, lost *[ReasonCount]uint32) {
	c := s.catalog
	for cr := l.FirstCreative; cr < l.EndCreative; cr++ {
		if r := c.Snapshot.Reject(&s.query, cr); r != campaign.Accepted {
			lost[rejected(r)]++
			continue
		}
		price := c.values[cr]
		if l.Pricing != campaign.CPM && s.position != 1 {
			price = scale(price, s.position)
		}
		if price <= 0 && l.Kind != campaign.House {
			lost[Worthless]++
			continue
		}
		s.ranking.Offer(auction.Bid{Rank: weigh(price, c.weights[cr]), Price: price, Line: uint32(i), Creative: uint32(cr), Tier: l.Tier})
	}
}

// hopeless is what Admit would say of every bid of the line that is worth no
// more than price, where that takes no more than a look at it. Without this a
// request whose floor is above all prices would rank thousands of bids to
// refuse each.
func (s *Selector) hopeless(line campaign.LineIndex, l *campaign.LineItem, price unit.Nanos) Reason {
	switch {
	case !s.allowed(l.Currency):
		return CurrencyNotAllowed
	case s.seatsNamed && s.seatBlocked(s.catalog.Snapshot.Advertiser(line).Name):
		return SeatBlocked
	case len(s.catalog.Snapshot.Deals(line)) > 0:
		return Won // each deal has terms of its own
	}
	best := auction.Bid{Line: uint32(line), Price: price}
	return s.floor(line, &best, s.imp.HasBidFloor, s.imp.BidFloor, s.imp.BidFloorCur, BelowFloor)
}

func countFrom(words []uint64) (n int) {
	for _, w := range words {
		n += bits.OnesCount64(w)
	}
	return n
}

// positionOf is where on the page or screen the impression is.
func positionOf(imp *openrtb.Imp) int32 {
	pos := imp.Banner.Pos
	if !imp.Media.Has(openrtb.BannerMedia) {
		pos = imp.Video.Pos
	}
	if pos < 0 || pos > PositionMax {
		return 0
	}
	return pos
}
