package partners

import (
	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// blocklist is a ListSpec ready for use. Immutable.
type blocklist struct {
	domains, categories, apps, seats map[string]struct{}
}

// publisher is what a publisher does not want. Immutable.
type publisher struct {
	block  Set
	common openrtb.Edit
	lists  blocklist
}

// premium is what tier 3 is asked for, places apart. Immutable.
type premium struct {
	formats openrtb.MediaMask
	deals   bool
	floor   unit.CPMMicros
}

// Common is what all partners' requests differ in from the request of m: for
// Patcher.Begin.
func (b *Book) Common(m *Match) *openrtb.Edit {
	if m.publisher >= 0 {
		return &b.byPublisher[m.publisher].common
	}
	return &b.common
}

// Publisher is what the file has on the publisher of a request: for a Screen
// later. -1 is nothing.
func (m *Match) Publisher() int32 { return m.publisher }

// Screen holds bids against the lists of the file: those of the publisher, and
// the partner's own. The judge (codec/openrtb) knows only the request's. The
// zero Screen is ready; it belongs to a shard.
type Screen struct{ text []byte }

// Bid is the first list a bid breaks, or Accepted. publisher is Match's, of the
// same book.
func (s *Screen) Bid(b *Book, publisher int32, p *Partner, res *openrtb.BidResponse, bid *openrtb.DemandBid) openrtb.RejectReason {
	seat := res.Seats[bid.SeatBid].Seat
	if len(p.Seats) > 0 && !seat.IsZero() && !among(p.Seats, seat) {
		return openrtb.BlockedSeat
	}
	r := s.against(&p.lists, seat, res, bid)
	if r == openrtb.Accepted && publisher >= 0 && int(publisher) < len(b.byPublisher) {
		r = s.against(&b.byPublisher[publisher].lists, seat, res, bid)
	}
	return r
}

func among(texts []string, s openrtb.Str) bool {
	for _, t := range texts {
		if s.Equal(t) {
			return true
		}
	}
	return false
}

func (s *Screen) against(l *blocklist, seat openrtb.Str, res *openrtb.BidResponse, bid *openrtb.DemandBid) openrtb.RejectReason {
	if len(l.seats) > 0 && s.in(l.seats, seat) {
		return openrtb.BlockedSeat
	}
	if len(l.domains) > 0 {
		for _, d := range res.Strs(bid.ADomain) {
			if s.under(l.domains, d) {
				return openrtb.BlockedDomain
			}
		}
	}
	if len(l.categories) > 0 && bid.CatTax <= openrtb.IABContent10 {
		for _, c := range res.Strs(bid.Cat) {
			if s.category(l.categories, c) {
				return openrtb.BlockedCategory
			}
		}
	}
	if len(l.apps) > 0 && s.in(l.apps, bid.Bundle) {
		return openrtb.BlockedApp
	}
	return openrtb.Accepted
}

func (s *Screen) in(set map[string]struct{}, text openrtb.Str) bool {
	if text.IsZero() {
		return false
	}
	s.text = text.AppendLower(s.text[:0])
	_, ok := set[string(s.text)]
	return ok
}

// under looks up a domain and those above it, without scheme, path and port.
func (s *Screen) under(set map[string]struct{}, domain openrtb.Str) bool {
	s.text = domain.AppendLower(s.text[:0])
	text := host(s.text)
	for len(text) > 0 {
		if _, ok := set[string(text)]; ok {
			return true
		}
		i := 0
		for i < len(text) && text[i] != '.' {
			i++
		}
		text = text[min(i+1, len(text)):]
	}
	return false
}

// host cuts scheme, path and port off what should be a domain.
func host(text []byte) []byte {
	for i := 0; i+2 < len(text); i++ {
		if text[i] == ':' && text[i+1] == '/' && text[i+2] == '/' {
			text = text[i+3:]
			break
		}
	}
	for i, c := range text {
		if c == '/' || c == ':' || c == '?' || c == '#' {
			return text[:i]
		}
	}
	return text
}

// category looks up a code of IAB 1.0 and those above it: IAB1 above IAB1-3.
func (s *Screen) category(set map[string]struct{}, code openrtb.Str) bool {
	s.text = code.AppendLower(s.text[:0])
	text := s.text
	for {
		if _, ok := set[string(text)]; ok {
			return true
		}
		i := len(text) - 1
		for i > 0 && text[i] != '-' {
			i--
		}
		if i <= 0 {
			return false
		}
		text = text[:i]
	}
}
