package openrtb

import "millrace/codec/unit"

// Standing is what decides between bids on one impression.
type Standing struct {
	Price unit.CPMMicros // in the auction's currency
	Tier  uint8          // of the bidder, 0 first
	Seat  Str
	ID    Str
	// Place tells bids apart that have all else in common: the bidder's and the
	// bid's position, any number that is the same in a replay.
	Place uint32
}

// Before is the total order of bids (rule 13): the higher price, the earlier
// tier, the lower seat, the lower bid id, the earlier place. It is false for
// equal standings.
func (a *Standing) Before(b *Standing) bool {
	switch {
	case a.Price != b.Price:
		return a.Price > b.Price
	case a.Tier != b.Tier:
		return a.Tier < b.Tier
	}
	if c := compareStr(a.Seat, b.Seat); c != 0 {
		return c < 0
	}
	if c := compareStr(a.ID, b.ID); c != 0 {
		return c < 0
	}
	return a.Place < b.Place
}

// compareStr compares two decoded texts byte by byte.
func compareStr(s, t Str) int {
	a, b := s.Raw(), t.Raw()
	var abuf, bbuf [8]byte
	var x, y []byte
	for {
		if len(x) == 0 {
			x, a = nextText(abuf[:0], a)
		}
		if len(y) == 0 {
			y, b = nextText(bbuf[:0], b)
		}
		switch {
		case len(x) == 0 || len(y) == 0:
			return len(x) - len(y)
		case x[0] != y[0]:
			return int(x[0]) - int(y[0])
		}
		x, y = x[1:], y[1:]
	}
}
