package openrtb

import (
	"bytes"
	"slices"

	"github.com/cespare/xxhash/v2"

	"millrace/codec/unit"
)

// Policy is what the rules leave to us. The zero value is the default; Cur
// stands for USD then.
type Policy struct {
	// Cur is the currency the auction is held in: all prices are compared in it.
	Cur unit.Currency
	// Rates convert prices and floors; without them only equal currencies are
	// compared.
	Rates *Rates
	// ConvertForeign takes bids in a currency that the request does not list
	// (rule 9), if there is a rate; else they are dropped.
	ConvertForeign bool
	// RequireCRID drops bids without a creative id (rule 7).
	RequireCRID bool
	// RequireADomain drops bids without the advertiser's domain (rule 11).
	RequireADomain bool
	// NeverInfer drops bids without mtype where several types are on offer,
	// instead of looking at the markup (rule 8).
	NeverInfer bool
	// OpenUnknownDeals takes bids on deals that were not offered as open ones
	// (rule 10).
	OpenUnknownDeals bool
	// Parents tell which categories are below which, in taxonomies other than
	// IAB 1.0 (rule 11).
	Parents *Parents
}

// Verdict is what becomes of a bid.
type Verdict struct {
	Reason RejectReason
	// Media is the type of the ad, as said or inferred (rule 8).
	Media MediaType
	// ByNURL: there is no adm, nurl's body is the markup (rule 17).
	ByNURL bool
	// Foreign: the bid is in a currency that the request does not list, and was
	// converted.
	Foreign bool
	Imp     int32 // index in BidRequest.Imp, -1 if unknown
	Deal    int32 // index in the impression's deals, -1 for an open bid
	// Price in the auction's currency. For a deal of a fixed price (at 3) it is
	// that price, and the bid is at least as high.
	Price unit.CPMMicros
	At    AuctionType // the deal's, else the request's; absent is 2 (rule 14)
	// Exp is how many seconds after the auction the impression may bill, by the
	// impression and the bid (rule 22); 0 = neither says.
	Exp int32
}

// Judge holds bids against a request and the policy, rule by rule. It is owned
// by one goroutine (a shard) and allocates nothing once warm; the zero value
// is ready for use.
type Judge struct {
	req    *BidRequest
	policy *Policy
	res    *BidResponse
	sent   *Edit // what the bidder's request differed in; nil: in nothing
	cur    unit.Currency

	verdicts []Verdict
	badv     textSet
	bapp     textSet
	bcat     textSet
	imps     [impSlots]uint16 // index + 1 by the hash of the id, where there are many
	many     bool
	won      []bool // by impression, of a group
	text     []byte // a decoded text
	markup   []byte // a decoded adm
}

// impSlots is more than twice the impressions a table is made for.
const (
	impSlots = 256
	impsMax  = 120
	fewImps  = 4
)

// Begin takes the request all further answers are held against. Both must stay
// unchanged until the next Begin.
func (j *Judge) Begin(req *BidRequest, policy *Policy) {
	j.req, j.policy, j.cur = req, policy, policy.Cur
	if j.cur == (unit.Currency{}) {
		j.cur = unit.USD
	}
	j.badv.built, j.bapp.built, j.bcat.built = false, false, false
	if j.many = len(req.Imp) > fewImps && len(req.Imp) <= impsMax; !j.many {
		return
	}
	j.imps = [impSlots]uint16{}
	for i := range req.Imp {
		at := j.slot(req.Imp[i].ID)
		for j.imps[at] != 0 {
			at = (at + 1) % impSlots
		}
		j.imps[at] = uint16(i + 1)
	}
}

func (j *Judge) slot(id Str) int {
	var text []byte
	text, j.text = id.Text(j.text)
	return int(xxhash.Sum64(text) % impSlots)
}

// imp is the index of the impression of an id, or -1.
func (j *Judge) imp(id Str) int32 {
	if id.IsZero() {
		return -1
	}
	if !j.many {
		for i := range j.req.Imp {
			if j.req.Imp[i].ID.EqualStr(id) {
				return int32(i)
			}
		}
		return -1
	}
	for at := j.slot(id); j.imps[at] != 0; at = (at + 1) % impSlots {
		if i := j.imps[at] - 1; j.req.Imp[i].ID.EqualStr(id) {
			return int32(i)
		}
	}
	return -1
}

// IDMatches reports whether an answer names the request it is for. One that
// does not is to be counted, and stands (rule 6).
func (j *Judge) IDMatches(res *BidResponse) bool { return res.ID.EqualStr(j.req.ID) }

// Test reports whether the request is a test: then nothing of it is billed,
// budgeted or reported, whoever wins (rule 19).
func (j *Judge) Test() bool { return j.req.Test }

// Judge gives the verdict on every bid of an answer, in the order of res.Bids.
// The slice is valid until the next call.
func (j *Judge) Judge(res *BidResponse) []Verdict {
	j.res = res
	j.verdicts = emptied(j.verdicts)
	for i := range res.Seats {
		s := &res.Seats[i]
		from := len(j.verdicts)
		allowed := j.seatAllowed(s.Seat) && j.seatSent(s.Seat)
		for k := range res.BidsOf(s) {
			b := &res.BidsOf(s)[k]
			v := Verdict{Imp: j.imp(b.ImpID), Deal: -1}
			if v.Reason = j.bid(s, b, &v); v.Reason == Accepted && !allowed {
				v.Reason = BlockedSeat
			}
			j.verdicts = append(j.verdicts, v)
		}
		if s.Group {
			j.group(j.verdicts[from:])
		}
	}
	return j.verdicts
}

// seatAllowed applies wseat and bseat; a request has one of them at most, and
// one that has both means both.
func (j *Judge) seatAllowed(seat Str) bool {
	if w := j.req.Strs(j.req.WSeat); len(w) > 0 && !listed(seat, w) {
		return false
	}
	return seat.IsZero() || !listed(seat, j.req.Strs(j.req.BSeat))
}

func listed(s Str, list []Str) bool {
	for _, t := range list {
		if s.EqualStr(t) {
			return true
		}
	}
	return false
}

// group holds rule 13: each impression of the group has a bid that can win, or
// none has.
func (j *Judge) group(verdicts []Verdict) {
	j.won = j.won[:0]
	for range j.req.Imp {
		j.won = append(j.won, false)
	}
	for i := range verdicts {
		if v := &verdicts[i]; v.Reason == Accepted {
			j.won[v.Imp] = true
		}
	}
	for i := range verdicts {
		if v := &verdicts[i]; v.Imp >= 0 && j.won[v.Imp] {
			continue
		}
		for k := range verdicts {
			if verdicts[k].Reason == Accepted {
				verdicts[k].Reason = GroupBroken
			}
		}
		return
	}
}

// bid is the first rule a bid breaks, in the order of what is cheap to tell.
func (j *Judge) bid(s *SeatBid, b *DemandBid, v *Verdict) RejectReason {
	switch {
	case b.Invalid:
		return InvalidBid
	case v.Imp < 0:
		return UnknownImp
	case !j.asked(v.Imp):
		v.Imp = -1 // to this bidder it is as if it were not there
		return UnknownImp
	}
	m := &j.req.Imp[v.Imp]
	if m.Media == 0 {
		return InvalidImp
	}
	v.Exp = sooner(m.Exp, b.Exp)
	v.At = j.at()
	switch {
	case b.Price < 0 || b.Price == 0 && b.DealID.IsZero():
		return BadPrice
	case j.policy.RequireCRID && b.CRID.IsZero():
		return MissingCRID
	case b.Adm.IsZero() && b.NURL.IsZero():
		return NoMarkup
	}
	v.ByNURL = b.Adm.IsZero()
	if r := j.deal(s, b, m, v); r != Accepted {
		return r
	}
	if r := j.price(b, m, v); r != Accepted {
		return r
	}
	if r := j.blocked(b); r != Accepted {
		return r
	}
	return j.creative(b, m, v)
}

// sooner is the smaller of two times of which 0 means none.
func sooner(a, b int32) int32 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// deal holds rule 10.
func (j *Judge) deal(s *SeatBid, b *DemandBid, m *Imp, v *Verdict) RejectReason {
	if b.DealID.IsZero() {
		if m.PrivateAuction {
			return PrivateOnly
		}
		return Accepted
	}
	deals := j.req.Deals(m.Deals)
	for i := range deals {
		if deals[i].ID.EqualStr(b.DealID) && j.offered(&deals[i], v.Imp) {
			v.Deal = int32(i)
			break
		}
	}
	if v.Deal < 0 {
		switch {
		case m.PrivateAuction || !j.policy.OpenUnknownDeals:
			return UnknownDeal
		case b.Price == 0:
			return BadPrice
		}
		return Accepted
	}
	d := &deals[v.Deal]
	if d.At != 0 {
		v.At = d.At
	}
	if w := j.req.Strs(d.WSeat); len(w) > 0 && !listed(s.Seat, w) {
		return DealSeat
	}
	return j.dealDomains(b, j.req.Strs(d.WADomain))
}

// dealDomains: every domain of the bid must be allowed, and there must be one.
func (j *Judge) dealDomains(b *DemandBid, allowed []Str) RejectReason {
	if len(allowed) == 0 {
		return Accepted
	}
	domains := j.res.Strs(b.ADomain)
	for _, d := range domains {
		var text, of []byte
		text, j.text = d.Text(j.text)
		ok := false
		for _, a := range allowed {
			of, j.markup = a.Text(j.markup)
			if ok = under(text, of); ok {
				break
			}
		}
		if !ok {
			return DealDomain
		}
	}
	if len(domains) == 0 {
		return DealDomain
	}
	return Accepted
}

// price holds rule 9: allowed currencies, the floor that applies, and the price
// in the auction's currency.
func (j *Judge) price(b *DemandBid, m *Imp, v *Verdict) RejectReason {
	res, p := j.res, j.policy
	if res.BadCur {
		return UnknownCurrency
	}
	if v.Foreign = !j.allows(res.Cur); v.Foreign && !p.ConvertForeign {
		return ForeignCurrency
	}
	floor, cur := j.floor(m, v.Imp)
	below := BelowFloor
	if v.Deal >= 0 {
		d := &j.req.Deals(m.Deals)[v.Deal]
		floor, cur, below = d.BidFloor, d.BidFloorCur, BelowDeal
	}
	if floor > 0 {
		price, ok := p.Rates.Convert(b.Price, res.Cur, cur)
		switch {
		case !ok:
			return NoRate
		case price < floor:
			return below
		}
	}
	price, from := b.Price, res.Cur
	if v.At == FixedPrice && v.Deal >= 0 && floor > 0 {
		price, from = floor, cur
	}
	ok := false
	if v.Price, ok = p.Rates.Convert(price, from, j.cur); !ok {
		return NoRate
	}
	return Accepted
}

// allows reports whether the request allows a currency; one that lists none
// allows USD.
func (j *Judge) allows(c unit.Currency) bool {
	if j.sent != nil && len(j.sent.Cur) > 0 {
		return slices.Contains(j.sent.Cur, c)
	}
	list := j.req.Strs(j.req.Cur)
	if len(list) == 0 {
		return c == unit.USD
	}
	for _, s := range list {
		var text []byte
		text, j.text = s.Text(j.text)
		if a, ok := unit.ParseCurrency(text); ok && a == c {
			return true
		}
	}
	return false
}

// blocked holds the lists of rule 11 that are the request's.
func (j *Judge) blocked(b *DemandBid) RejectReason {
	r := j.req
	domains := j.res.Strs(b.ADomain)
	if len(domains) == 0 && j.policy.RequireADomain {
		return MissingADomain
	}
	if len(domains) > 0 && r.BAdv.Len() > 0 {
		if !j.badv.built {
			j.badv.build(r.Strs(r.BAdv), true)
		}
		for _, d := range domains {
			var text []byte
			if text, j.text = d.Text(j.text); j.badv.covers(text) {
				return BlockedDomain
			}
		}
	}
	if j.sent != nil && j.sentBAdv(domains) {
		return BlockedDomain
	}
	if !b.Bundle.IsZero() && r.BApp.Len() > 0 {
		if !j.bapp.built {
			j.bapp.build(r.Strs(r.BApp), false)
		}
		var text []byte
		if text, j.text = b.Bundle.Text(j.text); j.bapp.has(text) {
			return BlockedApp
		}
	}
	if j.sent != nil && j.sentBApp(b.Bundle) {
		return BlockedApp
	}
	if b.Cat.Len() == 0 || taxonomy(b.CatTax) != taxonomy(r.CatTax) {
		return Accepted
	}
	if j.sent != nil && j.sentBCat(b) {
		return BlockedCategory
	}
	if r.BCat.Len() > 0 {
		return j.categories(b)
	}
	return Accepted
}

// taxonomy is the list codes are of; absent means IAB 1.0. Codes of two lists
// are not compared: 12 is one thing here and another there.
func taxonomy(t CategoryTaxonomy) CategoryTaxonomy {
	if t == 0 {
		return IABContent10
	}
	return t
}

// categories looks each category and those above it up: in IAB 1.0 the code
// says what is above, IAB1 above IAB1-3; in others the policy's table does.
func (j *Judge) categories(b *DemandBid) RejectReason {
	if !j.bcat.built {
		j.bcat.build(j.req.Strs(j.req.BCat), false)
	}
	tax := taxonomy(b.CatTax)
	for _, c := range j.res.Strs(b.Cat) {
		var text []byte
		text, j.text = c.Text(j.text)
		if j.bcat.has(text) {
			return BlockedCategory
		}
		for i := len(text) - 1; i > 0 && tax == IABContent10; i-- {
			if text[i] == '-' && j.bcat.has(text[:i]) {
				return BlockedCategory
			}
		}
		for range tiersMax {
			parent := j.policy.Parents.of(tax, text)
			if parent == "" {
				break
			}
			if j.text = append(j.text[:0], parent...); j.bcat.has(j.text) {
				return BlockedCategory
			}
			text = j.text
		}
	}
	return Accepted
}

// creative holds rules 8 and 12 and what of rule 11 depends on the markup.
func (j *Judge) creative(b *DemandBid, m *Imp, v *Verdict) RejectReason {
	if r := j.media(b, m, v); r != Accepted {
		return r
	}
	var battr IntSpan
	switch v.Media {
	case BannerMedia:
		battr = m.Banner.BAttr
	case VideoMedia:
		battr = m.Video.BAttr
	case AudioMedia:
		battr = m.Audio.BAttr
	case NativeMedia:
		battr = m.Native.BAttr
	}
	for _, a := range j.res.Ints(b.Attr) {
		if has(j.req.Ints(battr), a) {
			return BlockedAttribute
		}
	}
	if v.Media == BannerMedia && m.Banner.BType.Len() > 0 && !v.ByNURL {
		types := bannerTypes(j.adm(b))
		for _, t := range j.req.Ints(m.Banner.BType) {
			if t > 0 && t < 32 && types&(1<<t) != 0 {
				return BlockedAdType
			}
		}
	}
	if m.Secure && !j.secure(b, v) {
		return NotSecure
	}
	return Accepted
}

func has(list []int32, n int32) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

// adm is the markup, decoded.
func (j *Judge) adm(b *DemandBid) (text []byte) {
	text, j.markup = b.Adm.Text(j.markup)
	return text
}

// media holds rule 8.
func (j *Judge) media(b *DemandBid, m *Imp, v *Verdict) RejectReason {
	switch {
	case b.MType != 0:
		if b.MType < 0 || b.MType > int32(NativeMedia) {
			return WrongMedia
		}
		v.Media = MediaType(b.MType)
	case m.Media.Len() == 1:
		for v.Media = BannerMedia; !m.Media.Has(v.Media); v.Media++ {
		}
	case j.policy.NeverInfer || v.ByNURL:
		return UnknownMedia
	default:
		v.Media = mediaOf(j.adm(b), m.Media)
	}
	switch {
	case v.Media == 0:
		return UnknownMedia
	case !m.Media.Has(v.Media):
		return WrongMedia
	}
	return Accepted
}

// secure holds rule 12. Most markup names no http: at all, which shows without
// decoding it.
func (j *Judge) secure(b *DemandBid, v *Verdict) bool {
	if v.ByNURL {
		var text []byte
		text, j.text = b.NURL.Text(j.text)
		return len(text) < 5 || !equalFold(text[:5], "http:")
	}
	raw := b.Adm.Raw()
	if nextHTTP(raw, 0) < 0 && (!b.Adm.Escaped() || !bytes.Contains(raw, unicodeEscape)) {
		return true
	}
	return !loadsInsecurely(j.adm(b))
}

var unicodeEscape = []byte(`\u`)
