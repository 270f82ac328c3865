package openrtb

import "millrace/codec/unit"

// BidResponse is the view of a bidder's answer, made by ParseResponse: like
// BidRequest it refers to the body, keeps its slabs and allocates nothing once
// warm. The zero value is ready for use.
type BidResponse struct {
	ID         Str
	BidID      Str
	CustomData Str
	// Cur is the currency of all prices: USD if absent (rule 9). With BadCur
	// the text is no currency, and no price means anything.
	Cur    unit.Currency
	BadCur bool
	NBR    NoBidReason // NoReason if absent

	Seats []SeatBid
	// Bids are those of all seats, in order.
	Bids []DemandBid
	Ext  Raw

	strs []Str
	ints []int32
	key  [keyMax]byte
}

// Strs is the list at s, valid until the next ParseResponse.
func (r *BidResponse) Strs(s StrSpan) []Str { return r.strs[s.off : s.off+s.n] }

// Ints is the list at s, valid until the next ParseResponse.
func (r *BidResponse) Ints(s IntSpan) []int32 { return r.ints[s.off : s.off+s.n] }

// BidsOf are the bids of a seat.
func (r *BidResponse) BidsOf(s *SeatBid) []DemandBid { return r.Bids[s.from : s.from+s.n] }

// SeatBid is what one buyer seat bids.
type SeatBid struct {
	Seat Str
	// Group: its impressions are won together or not at all.
	Group bool
	Ext   Raw

	from, n uint32
}

// DemandBid is one bid of a bidder. What is absent is zero.
type DemandBid struct {
	// SeatBid is the index of its seat in BidResponse.Seats.
	SeatBid int32
	// Invalid: a value of the bid could not be read (rule 5).
	Invalid  bool
	HasPrice bool

	ID    Str
	ImpID Str
	Price unit.CPMMicros

	NURL    Str
	BURL    Str
	LURL    Str
	Adm     Str
	AdID    Str
	ADomain StrSpan
	Bundle  Str
	IURL    Str
	CID     Str
	CRID    Str
	Tactic  Str
	CatTax  CategoryTaxonomy // of Cat; 0 = absent, which means IAB 1.0
	Cat     StrSpan
	Attr    IntSpan
	APIs    IntSpan
	API     int32 // deprecated for APIs

	Protocol       Protocol
	QAGMediaRating int32
	Language       Str // ISO 639-1
	LangB          Str // BCP 47
	DealID         Str
	W, H           int32
	WRatio, HRatio int32
	Exp            int32 // seconds the bidder waits for the impression; 0 = absent
	Dur            int32 // seconds, of video and audio
	MType          int32 // a MediaType, or something else
	SlotInPod      int32
	Ext            Raw
}

// ResponseLimits bound what one answer may cost.
type ResponseLimits struct {
	// Depth of nesting, at most 64.
	Depth int
	// Bids is the number of bids, and of seats.
	Bids int
	// Items is the number of strings, and of integers, in all lists together.
	Items int
}

// DefaultResponseLimits are ReadAnswer's.
func DefaultResponseLimits() ResponseLimits {
	return ResponseLimits{Depth: DepthMax, Bids: 1000, Items: 1 << 14}
}

// Answer is what an HTTP answer of a bidder comes to.
type Answer uint8

// Answers. All but Bids and NoBid are the bidder's errors: they are counted
// against it, and the auction goes on (rule 2).
const (
	// Bids: there is at least one, to be judged one by one.
	Bids Answer = iota
	// NoBid: 204, {}, no seatbid or an empty one, or no bid in any.
	NoBid
	// BadStatus: neither 2xx nor a body that could mean something.
	BadStatus
	// EmptyBody: 200 and nothing.
	EmptyBody
	// Malformed: a body that is not a BidResponse.
	Malformed
)

var answerNames = [...]string{"bids", "no_bid", "bad_status", "empty_body", "malformed"}

// String is the answer as a metric label.
func (a Answer) String() string { return answerNames[a] }

// OK reports whether the bidder did what it is to do.
func (a Answer) OK() bool { return a <= NoBid }

// ReadAnswer reads a bidder's answer, under the default limits. The error tells
// what is wrong with a malformed body.
func ReadAnswer(status int, body []byte, r *BidResponse) (Answer, Error) {
	r.reset()
	switch {
	case status == 204:
		return NoBid, Error{}
	case status < 200 || status > 299:
		return BadStatus, Error{}
	case blank(body):
		return EmptyBody, Error{}
	}
	if e := ParseResponse(body, r, DefaultResponseLimits()); !e.OK() {
		return Malformed, e
	}
	if len(r.Bids) == 0 {
		return NoBid, Error{}
	}
	return Bids, Error{}
}

func blank(body []byte) bool {
	for _, c := range body {
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
