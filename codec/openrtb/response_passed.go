package openrtb

import "strconv"

// Passed is a bidder's bid that is passed on: what of a Bid describes the ad is
// taken from it, as it came. Of the Bid itself count ID, ImpID, Price, the
// notices, Adm, DealID, MType, Dur and Exp, and Seat where the bidder names none.
type Passed struct {
	Bid *DemandBid
	Of  *BidResponse
	// Group is above 0, and the same, for bids that are won together or not at
	// all.
	Group int32
}

// Seat is the seat as the bidder names it.
func (p *Passed) Seat() Str { return p.Of.Seats[p.Bid.SeatBid].Seat }

// beside reports whether two bids passed on share a seatbid.
func (p *Passed) beside(q *Passed) bool {
	return p.Group == q.Group && p.Seat().EqualStr(q.Seat())
}

func appendPassed(dst []byte, b *Bid) []byte {
	s, of := b.Passed.Bid, b.Passed.Of
	dst = appendOwn(dst, b)
	dst = appendStr(dst, `,"adid":`, s.AdID)
	dst = appendNotices(dst, b)
	dst = appendStrs(dst, `,"adomain":[`, of.Strs(s.ADomain))
	dst = appendStr(dst, `,"bundle":`, s.Bundle)
	dst = appendStr(dst, `,"iurl":`, s.IURL)
	dst = appendStr(dst, `,"cid":`, s.CID)
	dst = appendStr(dst, `,"crid":`, s.CRID)
	dst = appendStr(dst, `,"tactic":`, s.Tactic)
	dst = appendStrs(dst, `,"cat":[`, of.Strs(s.Cat))
	dst = appendNonZero(dst, `,"cattax":`, int64(s.CatTax))
	dst = appendInts(dst, `,"attr":[`, of.Ints(s.Attr))
	dst = appendInts(dst, `,"apis":[`, of.Ints(s.APIs))
	dst = appendNonZero(dst, `,"api":`, int64(s.API))
	dst = appendNonZero(dst, `,"protocol":`, int64(s.Protocol))
	dst = appendNonZero(dst, `,"qagmediarating":`, int64(s.QAGMediaRating))
	dst = appendStr(dst, `,"language":`, s.Language)
	dst = appendStr(dst, `,"langb":`, s.LangB)
	dst = appendStr(dst, `,"dealid":`, b.DealID)
	dst = appendNonZero(dst, `,"mtype":`, int64(b.MType))
	dst = appendNonZero(dst, `,"w":`, int64(s.W))
	dst = appendNonZero(dst, `,"h":`, int64(s.H))
	dst = appendNonZero(dst, `,"wratio":`, int64(s.WRatio))
	dst = appendNonZero(dst, `,"hratio":`, int64(s.HRatio))
	dst = appendNonZero(dst, `,"dur":`, int64(s.Dur))
	dst = appendNonZero(dst, `,"slotinpod":`, int64(s.SlotInPod))
	dst = appendNonZero(dst, `,"exp":`, int64(b.Exp))
	if raw := s.Ext.Bytes(); len(raw) > 0 {
		dst = append(append(dst, `,"ext":`...), raw...)
	}
	return append(dst, '}')
}

func appendStr(dst []byte, name string, s Str) []byte {
	if s.IsZero() {
		return dst
	}
	return append(s.AppendJSON(append(append(dst, name...), '"')), '"')
}

func appendStrs(dst []byte, name string, list []Str) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, name...)
	for _, s := range list {
		dst = append(s.AppendJSON(append(dst, '"')), '"', ',')
	}
	dst[len(dst)-1] = ']'
	return dst
}

func appendInts(dst []byte, name string, list []int32) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, name...)
	for _, v := range list {
		dst = append(strconv.AppendInt(dst, int64(v), 10), ',')
	}
	dst[len(dst)-1] = ']'
	return dst
}
