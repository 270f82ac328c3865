package openrtb

import (
	"math"

	"millrace/codec/unit"
)

// answerParser reads a bidder's answer by the same scanner as requests. It is
// more lenient: ids that are numbers are read as their digits, and a value of
// the wrong type makes its bid invalid, not the answer.
type answerParser struct {
	parser
	a     *BidResponse
	items int
	bids  int
}

// ParseResponse reads a BidResponse into r. On a fault r holds what was read
// until then and must not be used.
func ParseResponse(body []byte, r *BidResponse, limit ResponseLimits) Error {
	p := answerParser{a: r, items: limit.Items, bids: limit.Bids}
	p.parser = parser{b: body, key: &r.key, limit: Limits{Depth: min(limit.Depth, DepthMax)}, imp: -1}
	r.reset()
	if len(body) > math.MaxInt32 {
		p.fail(0, TooLong)
		return p.err
	}
	i := p.space(0)
	if i >= len(body) || body[i] != '{' {
		p.fail(i, Syntax)
		return p.err
	}
	if i = p.response(i); i >= 0 {
		if i = p.space(i); i < len(body) {
			p.fail(i, Syntax)
		}
	}
	return p.err
}

// reset empties the view and keeps its slabs.
func (r *BidResponse) reset() {
	seats, bids, strs, ints := emptied(r.Seats), emptied(r.Bids), emptied(r.strs), emptied(r.ints)
	*r = BidResponse{Cur: unit.USD, NBR: NoReason, Seats: seats, Bids: bids, strs: strs, ints: ints}
}

func (p *answerParser) response(i int) int {
	r := p.a
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.text(i, &r.ID)
		case "bidid":
			i = p.text(i, &r.BidID)
		case "customdata":
			i = p.text(i, &r.CustomData)
		case "cur":
			i = p.cur(i)
		case "nbr":
			i = p.nbr(i)
		case "seatbid":
			i = p.seats(i)
		case "ext":
			i = p.raw(i, &r.Ext)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("", k)
		}
		// What is about no price and no bid is not worth an answer.
		p.bad = false
		k, i = p.next(i)
	}
	return i
}

func (p *answerParser) cur(i int) int {
	var s Str
	p.bad = false
	i = p.text(i, &s)
	p.a.Cur, p.a.BadCur = unit.USD, p.bad
	if i < 0 || s.IsZero() {
		return i
	}
	var buf [24]byte
	if s.Len() > len(buf) {
		p.a.BadCur = true
		return i
	}
	text, _ := s.Text(buf[:0])
	c, ok := unit.ParseCurrency(text)
	if p.a.BadCur = !ok; ok {
		p.a.Cur = c
	}
	return i
}

func (p *answerParser) nbr(i int) int {
	n := int32(0)
	p.bad = false
	absent := p.b[i] == 'n'
	i = p.number32(i, &n)
	switch p.a.NBR = UnknownError; {
	case absent:
		p.a.NBR = NoReason
	case !p.bad && n >= 0 && n <= math.MaxInt16:
		p.a.NBR = NoBidReason(n)
	}
	return i
}

func (p *answerParser) seats(i int) int {
	r := p.a
	r.Seats, r.Bids = r.Seats[:0], r.Bids[:0]
	i, ok := p.array(i)
	if !ok {
		return i
	}
	i, done := p.firstItem(i)
	for !done {
		if i, ok = p.object(i); ok {
			if !p.room(i, len(r.Seats), p.bids) {
				return p.fault("seatbid[]", nil)
			}
			r.Seats = append(r.Seats, SeatBid{from: uint32(len(r.Bids))})
			i = p.seat(i, &r.Seats[len(r.Seats)-1])
		}
		if i < 0 {
			return p.fault("seatbid[]", nil)
		}
		i, done = p.nextItem(i)
	}
	return i
}

func (p *answerParser) seat(i int, s *SeatBid) int {
	p.bad = false
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "seat":
			i = p.text(i, &s.Seat)
		case "group":
			i = p.yes(i, &s.Group)
		case "bid":
			i = p.bidList(i, s)
		case "ext":
			i = p.raw(i, &s.Ext)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("seatbid[]", k)
		}
		k, i = p.next(i)
	}
	if p.bad {
		// Whose seat, or whether all or none, can't be told.
		for n := range p.a.BidsOf(s) {
			p.a.BidsOf(s)[n].Invalid = true
		}
	}
	return p.end(i, "seatbid[]")
}

func (p *answerParser) bidList(i int, s *SeatBid) int {
	r := p.a
	r.Bids, s.n = r.Bids[:s.from], 0
	i, ok := p.array(i)
	if !ok {
		return i
	}
	bad := p.bad
	i, done := p.firstItem(i)
	for !done {
		if i, ok = p.object(i); ok {
			if !p.room(i, len(r.Bids), p.bids) {
				return p.fault("seatbid[].bid[]", nil)
			}
			r.Bids = append(r.Bids, DemandBid{SeatBid: int32(len(r.Seats) - 1)})
			b := &r.Bids[len(r.Bids)-1]
			p.bad = false
			i = p.bid(i, b)
			b.Invalid = p.bad
		}
		if i < 0 {
			return p.fault("seatbid[].bid[]", nil)
		}
		i, done = p.nextItem(i)
	}
	p.bad, s.n = bad, uint32(len(r.Bids))-s.from
	return i
}

func (p *answerParser) bid(i int, b *DemandBid) int {
	k, i := p.first(i)
	for k != nil {
		if i = p.bidMember(i, k, b); i < 0 {
			return p.fault("seatbid[].bid[]", k)
		}
		k, i = p.next(i)
	}
	return p.end(i, "seatbid[].bid[]")
}

func (p *answerParser) bidMember(i int, k []byte, b *DemandBid) int {
	switch string(k) {
	case "id":
		return p.text(i, &b.ID)
	case "impid":
		return p.text(i, &b.ImpID)
	case "price":
		return p.price(i, b)
	case "nurl":
		return p.text(i, &b.NURL)
	case "burl":
		return p.text(i, &b.BURL)
	case "lurl":
		return p.text(i, &b.LURL)
	case "adm":
		return p.text(i, &b.Adm)
	case "adid":
		return p.text(i, &b.AdID)
	case "adomain":
		return p.texts(i, &b.ADomain)
	case "bundle":
		return p.text(i, &b.Bundle)
	case "iurl":
		return p.text(i, &b.IURL)
	case "cid":
		return p.text(i, &b.CID)
	case "crid":
		return p.text(i, &b.CRID)
	case "tactic":
		return p.text(i, &b.Tactic)
	case "cat":
		return p.texts(i, &b.Cat)
	case "attr":
		return p.numbers(i, &b.Attr)
	case "apis":
		return p.numbers(i, &b.APIs)
	case "language":
		return p.text(i, &b.Language)
	case "langb":
		return p.text(i, &b.LangB)
	case "dealid":
		return p.text(i, &b.DealID)
	case "ext":
		return p.raw(i, &b.Ext)
	}
	return p.bidNumber(i, k, b)
}

func (p *answerParser) bidNumber(i int, k []byte, b *DemandBid) int {
	dst := (*int32)(nil)
	switch string(k) {
	case "w":
		dst = &b.W
	case "h":
		dst = &b.H
	case "wratio":
		dst = &b.WRatio
	case "hratio":
		dst = &b.HRatio
	case "exp":
		dst = &b.Exp
	case "dur":
		dst = &b.Dur
	case "mtype":
		return p.number32(i, &b.MType)
	case "cattax":
		return p.number32(i, (*int32)(&b.CatTax))
	case "api":
		return p.number32(i, &b.API)
	case "protocol":
		return p.number32(i, (*int32)(&b.Protocol))
	case "qagmediarating":
		return p.number32(i, &b.QAGMediaRating)
	case "slotinpod":
		return p.number32(i, &b.SlotInPod) // -1 is the last, -2 is neither first nor last
	default:
		return p.skip(i)
	}
	if i = p.number32(i, dst); *dst < 0 {
		*dst, p.bad = 0, true
	}
	return i
}

// text reads a string; a number stands for its digits.
func (p *answerParser) text(i int, dst *Str) int {
	switch c := p.b[i]; {
	case c == '"' || c == 'n':
		return p.str(i, dst)
	case c == '-' || c-'0' < 10:
		end := p.skip(i)
		if end > i {
			*dst = Str{p: &p.b[i], n: uint32(end - i)}
		}
		return end
	}
	return p.wrong(i)
}

// wrong goes over a value of the wrong type.
func (p *answerParser) wrong(i int) int {
	p.bad = true
	return p.skip(i)
}

// numeric reports whether a number, a number in quotes or null may begin at i.
func (p *answerParser) numeric(i int) bool {
	c := p.b[i]
	return c != '{' && c != '[' && c != 't' && c != 'f'
}

func (p *answerParser) number32(i int, dst *int32) int {
	if *dst = 0; !p.numeric(i) {
		return p.wrong(i)
	}
	return p.integer(i, dst)
}

func (p *answerParser) price(i int, b *DemandBid) int {
	if !p.numeric(i) {
		return p.wrong(i)
	}
	return p.cpm(i, &b.Price, &b.HasPrice)
}

func (p *answerParser) yes(i int, dst *bool) int {
	if c := p.b[i]; c == '{' || c == '[' {
		return p.wrong(i)
	}
	return p.flag(i, dst, true)
}

// texts reads a list of strings; null among them is left out.
func (p *answerParser) texts(i int, dst *StrSpan) int {
	r := p.a
	if *dst = (StrSpan{}); p.b[i] != '[' && p.b[i] != 'n' {
		return p.wrong(i)
	}
	i, ok := p.array(i)
	if !ok {
		return i
	}
	from := len(r.strs)
	i, done := p.firstItem(i)
	for !done {
		var s Str
		if i = p.text(i, &s); i < 0 || !p.room(i, len(r.strs), p.items) {
			return -1
		}
		if s.Present() {
			r.strs = append(r.strs, s)
		}
		i, done = p.nextItem(i)
	}
	*dst = StrSpan{uint32(from), uint32(len(r.strs) - from)}
	return i
}

// numbers reads a list of integers; null and what is no integer are left out.
func (p *answerParser) numbers(i int, dst *IntSpan) int {
	r := p.a
	if *dst = (IntSpan{}); p.b[i] != '[' && p.b[i] != 'n' {
		return p.wrong(i)
	}
	i, ok := p.array(i)
	if !ok {
		return i
	}
	bad, from := p.bad, len(r.ints)
	i, done := p.firstItem(i)
	for !done {
		var n int32
		null := p.b[i] == 'n'
		p.bad = false
		if i = p.number32(i, &n); i < 0 || !p.room(i, len(r.ints), p.items) {
			return -1
		}
		if !null && !p.bad {
			r.ints = append(r.ints, n)
		}
		i, done = p.nextItem(i)
	}
	p.bad = bad
	*dst = IntSpan{uint32(from), uint32(len(r.ints) - from)}
	return i
}
