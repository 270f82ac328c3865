package selection

import (
	"github.com/cespare/xxhash/v2"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/auction"
	"millrace/models/ladder"
	"millrace/shards"
	"millrace/state/campaign"
	"millrace/state/pacing"
	"millrace/state/profile"
)

// currenciesMax bounds the entries of request.cur that are looked at.
const currenciesMax = 16

// Selector runs the selection of one request at a time. Owned by one shard.
type Selector struct {
	_       shards.Pad
	catalog *Catalog
	rates   *Rates
	caps    *profile.Table
	groups  *groups

	query    campaign.Query
	activity campaign.Activity
	throttle *pacing.Throttle // nil: everything takes part
	draw     uint64           // of the request, for the throttle
	base     campaign.Bitmap  // candidates of the request
	match    campaign.Bitmap  // candidates of the impression
	scratch  []byte

	request    *openrtb.BidRequest
	imp        *openrtb.Imp
	user       unit.UserID
	known      bool
	now        unit.MonoTime
	wall       unit.WallTime
	currencies [currenciesMax]unit.Currency
	currencyN  int
	seatsNamed bool                 // the request allows or blocks seats
	won        []campaign.LineIndex // lines given to earlier impressions of the request

	predictor *Predictor // nil: none ever predicts
	choice    Choice
	arm       *Arm // the choice's; nil where it has no model of this catalog
	scores    int  // creatives scored

	// Of the impression: see Next.
	ranking    auction.Ranking
	next       int     // of the ranking's bids
	scans      int     // of the impression's candidates
	candidates int     // lines that targeting let compete
	position   float64 // scales rates that no model predicts
	tier       tier    // scales them too, where counts decide
	atCounts   bool    // predicted lines are worth what the catalog's columns say
	scoring    bool    // they are worth what the arm's model says
	preranked  bool    // of the best by counts, for there are too many
	bounded    bool    // it has begun the impression, and bound is
	bound      bound   // the most that it can say
	taken      auction.Bid
	waiting    []scored
	best       scored // the bid that Next returned
	batch      [batch]scored
	short      shortlist
	_          shards.Pad
}

// NewSelector is a selector over a catalog. Without a predictor (nil) rates are
// smoothed counts.
func NewSelector(c *Catalog, rates *Rates, caps *profile.Table, p *Predictor) *Selector {
	return &Selector{
		catalog: c, rates: rates, caps: caps, groups: newGroups(), predictor: p, waiting: shards.AlignedSlice[scored](2 * batch)[:0],
		scratch: shards.AlignedSlice[byte](1024)[:0], won: shards.AlignedSlice[campaign.LineIndex](128)[:0],
	}
}

// Catalog is the one in force.
func (s *Selector) Catalog() *Catalog { return s.catalog }

// Swap takes a newly prepared catalog and prices it with what was observed.
func (s *Selector) Swap(c *Catalog) {
	s.catalog = c
	for i, id := range s.rates.ids {
		c.count(id, &s.rates.totals[i])
		c.reprice(id, &s.rates.totals[i])
	}
	c.cats.settle(&s.groups.levels)
}

// Learn applies a delta of events, from this shard or another.
func (s *Selector) Learn(id unit.CreativeID, d *Counts) {
	s.catalog.count(id, d)
	s.groups.learn(d)
	s.catalog.reprice(id, s.rates.apply(id, d))
}

// Predicted are the rates a creative is priced with: clicks an impression, and
// conversions a click.
func (s *Selector) Predicted(c campaign.CreativeIndex) (ctr, cvr float64) {
	seen := s.rates.of(s.catalog.Snapshot.Creatives[c].ID)
	return s.catalog.rates(c, &seen)
}

// Fund brings the lines that can pay up to date; dry is budget.Broker.Dry.
func (s *Selector) Fund(dry []uint64) { s.catalog.fund(dry) }

// User is whom a request is for. Known is false when nothing identifies them.
type User struct {
	ID    unit.UserID
	Known bool
}

// Begin finds the lines that may serve the request at all. All of the request is
// decided by the choice.
func (s *Selector) Begin(r *openrtb.BidRequest, u User, by Choice, now unit.MonoTime, wall unit.WallTime) {
	s.request, s.user, s.known, s.now, s.wall = r, u.ID, u.Known, now, wall
	s.won = s.won[:0]
	s.choice, s.scores, s.arm = by, 0, s.predictor.arm(s, by.Arm)
	s.atCounts = by.Rung == ladder.ColdStart || s.arm == nil && by.Rung != ladder.Prior
	if s.predictor != nil {
		s.predictor.beginRequest(s)
	}
	s.beginTiers()
	s.setCurrencies()
	s.seatsNamed = r.WSeat.Len()+r.BSeat.Len() > 0
	snap := s.catalog.Snapshot
	snap.Begin(&s.query)
	s.describe()
	snap.MatchRequest(&s.query, s.activity.At(snap, wall), &s.catalog.funded, &s.base)
	s.pace()
}

// Pace makes the throttle of the catalog in force decide which lines sit a
// request out.
func (s *Selector) Pace(t *pacing.Throttle) { s.throttle = t }

// pace leaves out the lines that are not in the request's mask. It is drawn from
// the request's id, so that the same request is decided alike on every shard.
func (s *Selector) pace() {
	if s.throttle == nil {
		return
	}
	s.draw = xxhash.Sum64(s.request.ID.Raw())
	mask := s.throttle.Mask(s.draw)
	for i, w := range s.base.Words() {
		s.base.Words()[i] = w & mask[i]
	}
}

// Paced reports whether the line sits the request out.
func (s *Selector) Paced(line campaign.LineIndex) bool {
	if s.throttle == nil {
		return false
	}
	return s.throttle.Mask(s.draw)[line/64]>>(line%64)&1 == 0 || !s.throttle.Passes(int(line), s.draw)
}

func (s *Selector) setCurrencies() {
	s.currencyN = 0
	for _, c := range s.request.Strs(s.request.Cur) {
		if cur, ok := unit.ParseCurrency(c.Raw()); ok && s.currencyN < currenciesMax {
			s.currencies[s.currencyN] = cur
			s.currencyN++
		}
	}
	if s.currencyN == 0 {
		s.currencies[0], s.currencyN = unit.USD, 1
	}
}

// RestrictCurrency makes c the only currency of the rest of the request: a
// response has one.
func (s *Selector) RestrictCurrency(c unit.Currency) { s.currencies[0], s.currencyN = c, 1 }

// Currencies are those that a bid may have: the request's, or one where an
// earlier impression's bid has set it.
func (s *Selector) Currencies() []unit.Currency { return s.currencies[:s.currencyN] }

// Weigh is the rank of a bidder's bid beside creatives of other formats: its price
// by the weight of its format, and of no quality but the usual.
func (s *Selector) Weigh(m openrtb.MediaType, price unit.CPMMicros) unit.CPMMicros {
	return weigh(price.PerImpression(), float32(s.catalog.cfg.Format[m])).CPM()
}

// HousePrice is what a house ad bids where there is no floor: nobody pays it,
// but exchanges drop bids of nothing.
const HousePrice unit.CPMMicros = 10_000

// Place is under what terms an admitted bid serves.
type Place struct {
	// Deal is the deal it serves in; absent in the open auction.
	Deal openrtb.Str
	// Price is bid: the candidate's worth, or for a house ad the floor.
	Price unit.CPMMicros
}

// Admit says whether the bid may have the impression, but for its money.
func (s *Selector) Admit(b *auction.Bid) (Place, Reason) {
	line := campaign.LineIndex(b.Line)
	l := &s.catalog.Snapshot.Lines[line]
	if !s.allowed(l.Currency) {
		return Place{}, CurrencyNotAllowed
	}
	seat := s.catalog.Snapshot.Advertiser(line).Name
	if s.seatBlocked(seat) {
		return Place{}, SeatBlocked
	}
	place, reason := s.place(line, b, seat)
	place.Price = b.Price.CPM()
	if l.Kind == campaign.House {
		place.Price = max(s.imp.BidFloor, HousePrice)
	}
	if reason == Won {
		reason = s.cap(line, l)
	}
	return place, reason
}

func (s *Selector) allowed(c unit.Currency) bool {
	for _, a := range s.currencies[:s.currencyN] {
		if a == c {
			return true
		}
	}
	return false
}

func (s *Selector) seatBlocked(seat string) bool {
	r := s.request
	return r.WSeat.Len() > 0 && !listed(r.Strs(r.WSeat), seat) || listed(r.Strs(r.BSeat), seat)
}

func listed(list []openrtb.Str, text string) bool {
	for _, s := range list {
		if s.Equal(text) {
			return true
		}
	}
	return false
}

// place finds the deal, where the line has some, and compares with the floor:
// equal passes.
func (s *Selector) place(line campaign.LineIndex, b *auction.Bid, seat string) (Place, Reason) {
	deals := s.catalog.Snapshot.Deals(line)
	if len(deals) == 0 {
		if s.imp.HasPMP && s.imp.PrivateAuction {
			return Place{}, NotInDeal
		}
		return Place{}, s.floor(line, b, s.imp.HasBidFloor, s.imp.BidFloor, s.imp.BidFloorCur, BelowFloor)
	}
	reason := NotInDeal
	for i := range s.request.Deals(s.imp.Deals) {
		d := &s.request.Deals(s.imp.Deals)[i]
		if !named(deals, d.ID) {
			continue
		}
		if reason = s.dealTerms(line, d, seat); reason != Won {
			continue
		}
		if reason = s.floor(line, b, d.HasBidFloor, d.BidFloor, d.BidFloorCur, BelowDealFloor); reason == Won {
			return Place{Deal: d.ID}, Won
		}
	}
	return Place{}, reason
}

func named(deals []string, id openrtb.Str) bool {
	for _, d := range deals {
		if id.Equal(d) {
			return true
		}
	}
	return false
}

func (s *Selector) dealTerms(line campaign.LineIndex, d *openrtb.Deal, seat string) Reason {
	if d.WSeat.Len() > 0 && !listed(s.request.Strs(d.WSeat), seat) {
		return SeatBlocked
	}
	if d.WADomain.Len() == 0 {
		return Won
	}
	for _, allowed := range s.request.Strs(d.WADomain) {
		if allowed.EqualFold(s.catalog.Snapshot.Advertiser(line).Domain) {
			return Won
		}
	}
	return DealDomainBlocked
}

func (s *Selector) floor(line campaign.LineIndex, b *auction.Bid, has bool, floor unit.CPMMicros, cur unit.Currency, below Reason) Reason {
	switch {
	case !has || floor <= 0:
		return Won
	case cur != s.catalog.Snapshot.Lines[line].Currency:
		return FloorCurrency
	case s.catalog.Snapshot.Lines[line].Kind == campaign.House:
		return Won // bids whatever the floor is
	case b.Price < floor.PerImpression():
		return below
	}
	return Won
}

func (s *Selector) cap(line campaign.LineIndex, l *campaign.LineItem) Reason {
	limit := l.FrequencyCap.Impressions
	if limit == 0 {
		return Won
	}
	if !s.known {
		return UserUnknown
	}
	for _, w := range s.won {
		if w == line {
			limit--
		}
		if limit == 0 {
			return FrequencyCapped
		}
	}
	switch s.caps.Check(s.user, l.ID, s.now, l.FrequencyCap.Window, limit) {
	case profile.Capped:
		return FrequencyCapped
	case profile.Full:
		return CapsFull
	}
	return Won
}

// Give notes that the line has one of the request's impressions.
func (s *Selector) Give(line campaign.LineIndex) { s.won = append(s.won, line) }

// Overflow reports that the request named more values than targeting looks at:
// the rest was left out.
func (s *Selector) Overflow() bool { return s.query.Overflow }

// Explain says why a line is not a candidate of the impression, without the
// index.
func (s *Selector) Explain(line campaign.LineIndex, wall unit.WallTime) (e campaign.Exclusion, funded bool) {
	return s.catalog.Snapshot.Explain(&s.query, wall, line), s.catalog.funded.Has(line)
}

// Reject says why a creative can't take the impression.
func (s *Selector) Reject(c campaign.CreativeIndex) Reason {
	if r := s.catalog.Snapshot.Reject(&s.query, c); r != campaign.Accepted {
		return rejected(r)
	}
	return Won
}

// Worth is the expected revenue of an impression of the creative.
func (s *Selector) Worth(c campaign.CreativeIndex) unit.Nanos { return s.catalog.values[c] }

// WorthAt is what it would be at these rates.
func (s *Selector) WorthAt(c campaign.CreativeIndex, ctr, cvr float64) unit.Nanos {
	l := &s.catalog.Snapshot.Lines[s.catalog.Snapshot.Creatives[c].Line]
	if l.Pricing == campaign.CPM {
		return l.Price
	}
	return expected(l, ctr, cvr)
}

// WorthHere is what an impression of the creative is worth at the impression at
// hand where no model predicts it.
func (s *Selector) WorthHere(c campaign.CreativeIndex) unit.Nanos {
	return s.price(&s.catalog.Snapshot.Lines[s.catalog.Snapshot.Creatives[c].Line], c)
}
