package openrtb

import (
	"math/bits"
	"strconv"
	"unicode/utf8"

	"millrace/codec/unit"
)

// Response is what we answer, as references to what it is made of. Strings of
// the catalog are escaped on the way out; Adm is escaped already.
type Response struct {
	// ID is the request's id, echoed.
	ID Str
	// BidID is our own id of the response; empty = left out.
	BidID []byte
	// Cur of every bid; the zero value is left out, which means USD.
	Cur unit.Currency
	// CustomData is for the exchange to keep in its cookie; empty = left out.
	CustomData string
	// NBR is sent if there is no bid and it is not NoReason.
	NBR NoBidReason
	// Bids in order; neighbours of one seat and group share a seatbid.
	Bids []Bid
	// Ext is a JSON value, sent as it is; empty = left out.
	Ext []byte
}

// Bid is one bid of a response. Empty and zero fields are left out, but for
// the required ones (ID, ImpID, Price).
type Bid struct {
	Seat string
	// Group: the bids of the seatbid are taken together or not at all.
	Group   bool
	ID      []byte
	ImpID   Str
	Price   unit.CPMMicros
	AdID    string
	NURL    []byte
	BURL    []byte
	LURL    []byte
	Adm     []byte // the inside of a JSON string, as creative.Template appends it
	ADomain []string
	Bundle  string
	IURL    string // an image of the creative, for reviews
	CID     string
	CRID    string
	Tactic  string
	Cat     []string
	CatTax  CategoryTaxonomy
	Attr    uint64   // bit n: creative attribute n
	APIs    []int32  // what the markup needs
	Proto   Protocol // of VAST markup
	Rating  int32    // QAG media rating
	Lang    string   // ISO 639-1; or else LangB, BCP 47
	LangB   string
	DealID  Str
	MType   MediaType
	W, H    int32
	WRatio  int32 // of a flexible ad, instead of its size
	HRatio  int32
	Dur     int32 // seconds, of video and audio
	Slot    int32 // in the pod
	Exp     int32 // seconds the bid may wait for its impression
	Ext     []byte
	// Passed, if not nil, is the bidder's bid that this one passes on.
	Passed *Passed
}

// AppendResponse appends the response as OpenRTB 2.6 JSON. It allocates
// nothing if dst has room.
func AppendResponse(dst []byte, r *Response) []byte {
	dst = append(dst, `{"id":"`...)
	dst = r.ID.AppendJSON(dst)
	dst = append(dst, '"')
	if len(r.Bids) > 0 {
		dst = appendSeats(append(dst, `,"seatbid":[`...), r.Bids)
		dst = append(dst, ']')
	}
	if len(r.BidID) > 0 {
		dst = appendField(dst, `,"bidid":`, r.BidID)
	}
	if r.Cur != (unit.Currency{}) {
		dst = append(dst, `,"cur":"`...)
		dst = append(dst, r.Cur[:]...)
		dst = append(dst, '"')
	}
	dst = appendText(dst, `,"customdata":`, r.CustomData)
	if len(r.Bids) == 0 && r.NBR != NoReason {
		dst = appendInt(dst, `,"nbr":`, int64(r.NBR))
	}
	if len(r.Ext) > 0 {
		dst = append(append(dst, `,"ext":`...), r.Ext...)
	}
	return append(dst, '}')
}

func appendSeats(dst []byte, bids []Bid) []byte {
	for i := range bids {
		b := &bids[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		if i == 0 || !b.Beside(&bids[i-1]) {
			dst = append(dst, `{"bid":[`...)
		}
		dst = appendBid(dst, b)
		if i+1 == len(bids) || !bids[i+1].Beside(b) {
			dst = append(dst, ']')
			if b.Passed != nil && !b.Passed.Seat().IsZero() {
				dst = appendStr(dst, `,"seat":`, b.Passed.Seat())
			} else {
				dst = appendText(dst, `,"seat":`, b.Seat)
			}
			if b.Group {
				dst = append(dst, `,"group":1`...)
			}
			dst = append(dst, '}')
		}
	}
	return dst
}

// Beside reports whether the two share a seatbid where they are neighbours.
func (b *Bid) Beside(other *Bid) bool {
	if b.Passed != nil && other.Passed != nil && !b.Passed.beside(other.Passed) || (b.Passed == nil) != (other.Passed == nil) {
		return false
	}
	return b.Seat == other.Seat && b.Group == other.Group
}

// appendOwn appends what every bid has.
func appendOwn(dst []byte, b *Bid) []byte {
	dst = appendField(dst, `{"id":`, b.ID)
	dst = append(dst, `,"impid":"`...)
	dst = b.ImpID.AppendJSON(dst)
	dst = append(dst, `","price":`...)
	return b.Price.Append(dst)
}

func appendNotices(dst []byte, b *Bid) []byte {
	dst = appendText(dst, `,"nurl":`, b.NURL)
	dst = appendText(dst, `,"burl":`, b.BURL)
	dst = appendText(dst, `,"lurl":`, b.LURL)
	if len(b.Adm) > 0 {
		dst = append(dst, `,"adm":"`...)
		dst = append(append(dst, b.Adm...), '"')
	}
	return dst
}

func appendBid(dst []byte, b *Bid) []byte {
	if b.Passed != nil {
		return appendPassed(dst, b)
	}
	dst = appendOwn(dst, b)
	dst = appendText(dst, `,"adid":`, b.AdID)
	dst = appendNotices(dst, b)
	dst = appendTexts(dst, `,"adomain":[`, b.ADomain)
	dst = appendText(dst, `,"bundle":`, b.Bundle)
	dst = appendText(dst, `,"iurl":`, b.IURL)
	dst = appendText(dst, `,"cid":`, b.CID)
	dst = appendText(dst, `,"crid":`, b.CRID)
	dst = appendText(dst, `,"tactic":`, b.Tactic)
	dst = appendTexts(dst, `,"cat":[`, b.Cat)
	dst = appendNonZero(dst, `,"cattax":`, int64(b.CatTax))
	if b.Attr != 0 {
		dst = append(dst, `,"attr":[`...)
		for rest := b.Attr; rest != 0; rest &= rest - 1 {
			dst = append(strconv.AppendInt(dst, int64(bits.TrailingZeros64(rest)), 10), ',')
		}
		dst[len(dst)-1] = ']'
	}
	if len(b.APIs) > 0 {
		dst = append(dst, `,"apis":[`...)
		for _, a := range b.APIs {
			dst = append(strconv.AppendInt(dst, int64(a), 10), ',')
		}
		dst[len(dst)-1] = ']'
	}
	dst = appendNonZero(dst, `,"protocol":`, int64(b.Proto))
	dst = appendNonZero(dst, `,"qagmediarating":`, int64(b.Rating))
	dst = appendText(dst, `,"language":`, b.Lang)
	dst = appendText(dst, `,"langb":`, b.LangB)
	if !b.DealID.IsZero() {
		dst = append(dst, `,"dealid":"`...)
		dst = append(b.DealID.AppendJSON(dst), '"')
	}
	dst = appendNonZero(dst, `,"mtype":`, int64(b.MType))
	dst = appendNonZero(dst, `,"w":`, int64(b.W))
	dst = appendNonZero(dst, `,"h":`, int64(b.H))
	dst = appendNonZero(dst, `,"wratio":`, int64(b.WRatio))
	dst = appendNonZero(dst, `,"hratio":`, int64(b.HRatio))
	dst = appendNonZero(dst, `,"dur":`, int64(b.Dur))
	dst = appendNonZero(dst, `,"slotinpod":`, int64(b.Slot))
	dst = appendNonZero(dst, `,"exp":`, int64(b.Exp))
	if len(b.Ext) > 0 {
		dst = append(append(dst, `,"ext":`...), b.Ext...)
	}
	return append(dst, '}')
}

func appendInt(dst []byte, name string, v int64) []byte {
	return strconv.AppendInt(append(dst, name...), v, 10)
}

func appendNonZero(dst []byte, name string, v int64) []byte {
	if v == 0 {
		return dst
	}
	return appendInt(dst, name, v)
}

func appendField[T string | []byte](dst []byte, name string, v T) []byte {
	dst = append(append(dst, name...), '"')
	return append(AppendEscaped(dst, v), '"')
}

func appendText[T string | []byte](dst []byte, name string, v T) []byte {
	if len(v) == 0 {
		return dst
	}
	return appendField(dst, name, v)
}

func appendTexts(dst []byte, name string, v []string) []byte {
	if len(v) == 0 {
		return dst
	}
	dst = append(dst, name...)
	for _, s := range v {
		dst = append(AppendEscaped(append(dst, '"'), s), '"', ',')
	}
	dst[len(dst)-1] = ']'
	return dst
}

// AppendEscaped appends text as the inside of a JSON string. Invalid UTF-8
// becomes U+FFFD.
func AppendEscaped[T string | []byte](dst []byte, text T) []byte {
	from := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			n := runeLen(text, i)
			if n == 0 {
				dst = append(append(dst, text[from:i]...), `\ufffd`...)
				i++
				from = i
				continue
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = appendEscapedByte(append(dst, text[from:i]...), c)
		i++
		from = i
	}
	return append(dst, text[from:]...)
}

// runeLen is the length of the valid rune at text[i:], 0 if it is not one.
func runeLen[T string | []byte](text T, i int) int {
	var buf [utf8.UTFMax]byte
	n := copy(buf[:], text[i:])
	r, size := utf8.DecodeRune(buf[:n])
	if r == utf8.RuneError && size <= 1 {
		return 0
	}
	return size
}

func appendEscapedByte(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
