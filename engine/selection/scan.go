package selection

import (
	"math/bits"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/auction"
	"millrace/models/ladder"
	"millrace/state/campaign"
)

func trailing(w uint64) int { return bits.TrailingZeros64(w) }

// Next is the impression's next bid in the total order: first the best of all
// that targeting, funds and the creative allow. Whether it may have the
// impression is Admit's to say. Candidates that can not win at all are counted
// into lost. False when there is none left. The bid is good until the next call.
func (s *Selector) Next(lost *[ReasonCount]uint32) (*auction.Bid, bool) {
	s.best = scored{}
	if s.scoring {
		if l := &s.short; l.chosen && l.next < l.n {
			l.next++
			s.best = l.bids[l.next-1]
			return &s.best.Bid, true
		}
		return s.nextScored(lost)
	}
	for {
		if bids := s.ranking.Bids(); s.next < len(bids) {
			s.next++
			s.best.Bid = bids[s.next-1]
			return &s.best.Bid, true
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

// nextScored is Next where worth is predicted. The ranking then holds bids at
// the most they can be worth, and is taken in batches: each is scored and its
// bids, now exact, wait in a heap. The first of them is the next of all as soon
// as it stands before or at the place up to which the ranking was taken, for
// whatever has not been scored stands behind that place, and behind what it
// could be at most. So the order is that of scoring every candidate, ties and
// all, and usually one batch is all that is scored.
//
// Where too many lines compete (Config.ScoredMax) the ranking holds them by what
// counts say they are worth, and those that it holds are scored and come before
// the others. Bounds alone would not bound the work: a forest's are wide.
func (s *Selector) nextScored(lost *[ReasonCount]uint32) (*auction.Bid, bool) {
	for {
		done := s.scans > 0 && s.ranking.Exhausted()
		if len(s.waiting) > 0 && (done || s.preranked || !auction.Before(&s.taken, &s.waiting[0].Bid)) {
			s.best = s.popScored()
			return &s.best.Bid, true
		}
		if done {
			return nil, false
		}
		if s.scans > 0 {
			s.ranking.Continue()
		}
		s.scan(lost)
		s.scoreRanking(lost)
	}
}

// scoreRanking scores what the ranking holds and lets it wait.
func (s *Selector) scoreRanking(lost *[ReasonCount]uint32) {
	bids := s.ranking.Bids()
	if len(bids) == 0 {
		return
	}
	s.taken = bids[len(bids)-1]
	n := 0
	for i := range bids {
		if s.catalog.Snapshot.Lines[bids[i].Line].Pricing == campaign.CPM {
			s.pushScored(scored{Bid: bids[i]})
			continue
		}
		s.batch[n] = scored{Bid: bids[i]}
		if n++; n == len(s.batch) {
			s.scoreBatch(s.batch[:n], lost)
			n = 0
		}
	}
	s.scoreBatch(s.batch[:n], lost)
}

// scoreBatch makes the bids exact.
func (s *Selector) scoreBatch(bids []scored, lost *[ReasonCount]uint32) {
	if len(bids) == 0 {
		return
	}
	c := s.catalog
	if s.predictor.begun != s.arm {
		s.predictor.begin(s, s.arm, false) // the other arm predicted in between
	}
	s.predictor.score(s, bids)
	s.scores += len(bids)
	for i := range bids {
		b := &bids[i]
		l := &c.Snapshot.Lines[b.Line]
		if !b.sound() {
			s.predictor.failed = true
			lost[Worthless]++
			continue
		}
		s.predictor.remember(b, l)
		b.Price = expected(l, float64(b.ctr), float64(b.cvr))
		b.Rank = weigh(b.Price, c.weights[b.Creative])
		if b.Price <= 0 {
			lost[Worthless]++
			continue
		}
		s.pushScored(*b)
	}
}

// pushScored and popScored keep s.waiting a heap with the first bid in front.
func (s *Selector) pushScored(b scored) {
	s.waiting = append(s.waiting, b)
	h := s.waiting
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !auction.Before(&h[i].Bid, &h[up].Bid) {
			return
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (s *Selector) popScored() scored {
	h := s.waiting
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < len(h) && auction.Before(&h[down+1].Bid, &h[down].Bid) {
			down++
		}
		if down >= len(h) || !auction.Before(&h[down].Bid, &h[i].Bid) {
			break
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
	s.waiting = h
	return first
}

// Candidates is how many lines targeting lets compete for the impression, and
// Scores how many creatives the request's models have scored so far.
func (s *Selector) Candidates() int { return s.candidates }

// Scores is how many creatives were scored for the request so far.
func (s *Selector) Scores() int { return s.scores }

// beginScan readies Next for an impression.
func (s *Selector) beginScan() {
	s.next, s.scans, s.candidates = 0, 0, 0
	s.waiting = s.waiting[:0]
	if s.predictor != nil {
		s.predictor.encoded = false
	}
	s.short.n, s.short.next, s.short.chosen = 0, 0, false
	if s.scoring = s.predicts(); !s.scoring {
		s.ranking.Reset()
		return
	}
	s.bounded = false
	most := s.catalog.cfg.ScoredMax
	if s.preranked = most > 0 && countFrom(s.match.Words()) > most; s.preranked {
		s.ranking.Select(most, batchGrowth)
		return
	}
	s.ranking.Select(batch, batchGrowth)
}

// predicts reports whether worth at this impression is a model's to say: it is
// in force, and some candidate pays by click or conversion.
func (s *Selector) predicts() bool {
	if s.arm == nil || s.choice.Rung != ladder.Full {
		return false
	}
	predicted := s.catalog.predicted.Words()
	for i, w := range s.match.Words() {
		if w&predicted[i] != 0 {
			return true
		}
	}
	return false
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
			if s.ranking.Closed(l.Tier) || s.scoring && s.ranking.Stop(l.Tier) {
				return
			}
			price, rank := s.most(i, l)
			if !s.ranking.Takes(l.Tier, rank) {
				continue
			}
			if s.throttle != nil && !s.throttle.Passes(int(i), s.draw) {
				lost[Paced]++
				continue
			}
			if s.preranked && l.Pricing != campaign.CPM {
				price = s.mostScored(l) // a model may see more in it than counts do
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
	switch {
	case l.Pricing == campaign.CPM:
		return c.bounds[i], c.ranks[i]
	case s.scoring && !s.preranked:
		price = s.mostScored(l)
		return price, weigh(price, c.lineWeights[i])
	case s.atCounts || s.preranked:
		by := s.scaling()
		if by == 1 {
			return c.bounds[i], c.ranks[i]
		}
		// Bounds: what rounding down took from the rank is scaled too, and the
		// price is not held to the line's, which lies a cache miss away.
		return unit.Nanos(float64(c.bounds[i]) * by), unit.Nanos(float64(c.ranks[i]+1)*by) + 1
	}
	for cr := l.FirstCreative; cr < l.EndCreative; cr++ {
		p := s.price(l, cr)
		price, rank = max(price, p), max(rank, weigh(p, c.weights[cr]))
	}
	return price, rank
}

// mostScored is the most that a model can find an impression of the line worth.
func (s *Selector) mostScored(l *campaign.LineItem) unit.Nanos {
	if !s.bounded {
		s.bound, s.bounded = s.predictor.begin(s, s.arm, !s.preranked && s.candidates > batch), true
	}
	return expected(l, s.bound.ctr, s.bound.cvr)
}

// price is what an impression of the creative is worth without scoring, on the
// request's rung.
func (s *Selector) price(l *campaign.LineItem, cr campaign.CreativeIndex) unit.Nanos {
	c := s.catalog
	if l.Pricing == campaign.CPM {
		return c.values[cr]
	}
	switch {
	case s.choice.Rung == ladder.Prior:
		prior := &c.Snapshot.Creatives[cr]
		return scale(expected(l, float64(prior.CTR), float64(prior.CVR)), s.position, l)
	case s.choice.Rung == ladder.Cached && s.arm != nil:
		// Of an impression at some position: not scaled again.
		if rate := s.arm.cached[s.arm.model.slots[cr]]; rate > 0 {
			return unit.Nanos(float64(l.Price) * float64(rate))
		}
	}
	return scale(c.values[cr], s.scaling(), l)
}

// scale is the worth of a line at a rate so many times as high, of at most 1. It
// never falls when the value rises.
func scale(v unit.Nanos, by float64, l *campaign.LineItem) unit.Nanos {
	if by == 1 {
		return v
	}
	return min(unit.Nanos(float64(v)*by), l.Price)
}

// offer puts the line's creatives into the ranking: at what they are worth, or
// where that is still to be scored, at the most it can be.
func (s *Selector) offer(i campaign.LineIndex, l *campaign.LineItem, lost *[ReasonCount]uint32) {
	c := s.catalog
	bounded := s.scoring && !s.preranked && l.Pricing != campaign.CPM
	for cr := l.FirstCreative; cr < l.EndCreative; cr++ {
		if r := c.Snapshot.Reject(&s.query, cr); r != campaign.Accepted {
			lost[rejected(r)]++
			continue
		}
		var price unit.Nanos
		if bounded {
			price = expected(l, s.bound.ctr, s.bound.cvr)
		} else {
			price = s.price(l, cr)
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
