package creative

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// Macros are the values of the substitution macros of OpenRTB 4.4. Empty ones
// are replaced by nothing.
type Macros struct {
	AuctionID openrtb.Str // ${AUCTION_ID}: BidRequest.id
	BidID     []byte      // ${AUCTION_BID_ID}: BidResponse.bidid
	ImpID     openrtb.Str // ${AUCTION_IMP_ID}
	SeatID    string      // ${AUCTION_SEAT_ID}
	AdID      string      // ${AUCTION_AD_ID}: Bid.adid
	// Bidder has the last three of a bidder's bid, as it wrote them. They count
	// where the fields above are empty.
	Bidder Bidder

	Price    unit.CPMMicros // ${AUCTION_PRICE}: clearing price as a plain decimal
	Currency unit.Currency  // ${AUCTION_CURRENCY}
	// HasPrice: without it ${AUCTION_PRICE} is empty, as in a loss notice
	// that must not tell it.
	HasPrice bool
	// MarketBidRatio is ${AUCTION_MBR}, in 1e-6; 0 = not given.
	MarketBidRatio int32
	Loss           openrtb.LossReason // ${AUCTION_LOSS}
	HasLoss        bool
	// LossLater leaves ${AUCTION_LOSS} as it is, for who knows it.
	LossLater   bool
	MinToWin    unit.CPMMicros // ${AUCTION_MIN_TO_WIN}
	HasMinToWin bool
	Multiplier  int64 // ${AUCTION_MULTIPLIER}, in 1e-6; 0 = not given
	ImpTS       int64 // ${AUCTION_IMP_TS}, milliseconds; 0 = not given
	// Audit: a test rendering; every macro without a value becomes AUDIT.
	Audit bool
}

// Bidder is what a bidder calls its answer, its seat and its ad.
type Bidder struct{ BidID, SeatID, AdID openrtb.Str }

// hole is a place for a value of the auction.
type hole uint8

const (
	noHole hole = iota
	auctionID
	auctionBidID
	auctionImpID
	auctionSeatID
	auctionAdID
	auctionPrice
	auctionCurrency
	auctionMBR
	auctionLoss
	auctionMinToWin
	auctionMultiplier
	auctionImpTS
	// The rest are ours.
	impressionURL
	clickURL
	clickURLEscaped
	cacheBuster
	conversionToken
	creativeID
)

var holeNames = map[string]hole{
	"AUCTION_ID": auctionID, "AUCTION_BID_ID": auctionBidID, "AUCTION_IMP_ID": auctionImpID,
	"AUCTION_SEAT_ID": auctionSeatID, "AUCTION_AD_ID": auctionAdID, "AUCTION_PRICE": auctionPrice,
	"AUCTION_CURRENCY": auctionCurrency, "AUCTION_MBR": auctionMBR, "AUCTION_LOSS": auctionLoss,
	"AUCTION_MIN_TO_WIN": auctionMinToWin, "AUCTION_MULTIPLIER": auctionMultiplier, "AUCTION_IMP_TS": auctionImpTS,
	"MILLRACE_IMPRESSION": impressionURL, "MILLRACE_CLICK": clickURL, "MILLRACE_CLICK_ESC": clickURLEscaped,
	"MILLRACE_CACHEBUSTER": cacheBuster, "MILLRACE_CONVERSION": conversionToken, "MILLRACE_CREATIVE_ID": creativeID,
}

// macroMax is the length of the longest known macro, from ${ to }.
const macroMax = len("${MILLRACE_CACHEBUSTER:B64}")

// findMacro finds the next known macro in text: its bounds and what it stands
// for. A name after which ":B64" stands asks for base64.
func findMacro[T string | []byte](text T, from int) (start, end int, h hole, b64 bool) {
	for i := from; i+3 < len(text); i++ {
		if text[i] != '$' || text[i+1] != '{' {
			continue
		}
		for j := i + 2; j < len(text) && j-i < macroMax; j++ {
			if text[j] != '}' {
				continue
			}
			// Conversions of map keys do not allocate.
			name := text[i+2 : j]
			if n := len(name) - len(":B64"); n > 0 && string(name[n:]) == ":B64" {
				name, b64 = name[:n], true
			}
			if h = holeNames[string(name)]; h != noHole {
				return i, j + 1, h, b64
			}
			b64 = false
			break
		}
	}
	return len(text), len(text), noHole, false
}

// AppendMacros appends text with the macros of OpenRTB 4.4 replaced by their
// values as they are (rule 16): for win, billing and loss notices, whose text
// is known only now. One pass: what a value contains is not expanded. Macros
// of ours have no meaning there and stay.
func AppendMacros(dst, text []byte, m *Macros) []byte {
	from := 0
	for from < len(text) {
		if bytes.IndexByte(text[from:], '$') < 0 {
			break
		}
		start, end, h, b64 := findMacro(text, from)
		dst = append(dst, text[from:start]...)
		switch {
		case h >= impressionURL, h == auctionLoss && m.LossLater:
			dst = append(dst, text[start:end]...)
		case h != noHole:
			dst = m.append(dst, plain, h, b64)
		}
		from = end
	}
	return append(dst, text[from:]...)
}

// append appends the value of an auction macro.
func (m *Macros) append(dst []byte, x context, h hole, b64 bool) []byte {
	at := len(dst)
	if b64 {
		// The value as it is, encoded behind itself and moved to its place.
		dst = m.value(dst, plain, h)
		if end := len(dst); end > at {
			dst = base64.StdEncoding.AppendEncode(dst, dst[at:end])
			coded := len(dst)
			dst = appendEscaped(dst, x, dst[end:coded])
			dst = dst[:at+copy(dst[at:], dst[coded:])]
		}
	} else {
		dst = m.value(dst, x, h)
	}
	if m.Audit && len(dst) == at {
		dst = append(dst, "AUDIT"...)
	}
	return dst
}

func (m *Macros) value(dst []byte, x context, h hole) []byte {
	switch h {
	case auctionID:
		return appendStr(dst, x, m.AuctionID)
	case auctionBidID:
		if len(m.BidID) == 0 {
			return appendStr(dst, x, m.Bidder.BidID)
		}
		return appendEscaped(dst, x, m.BidID)
	case auctionImpID:
		return appendStr(dst, x, m.ImpID)
	case auctionSeatID:
		if m.SeatID == "" {
			return appendStr(dst, x, m.Bidder.SeatID)
		}
		return appendEscaped(dst, x, m.SeatID)
	case auctionAdID:
		if m.AdID == "" {
			return appendStr(dst, x, m.Bidder.AdID)
		}
		return appendEscaped(dst, x, m.AdID)
	case auctionPrice:
		if m.HasPrice {
			return m.Price.Append(dst)
		}
	case auctionCurrency:
		if m.Currency != (unit.Currency{}) {
			return append(dst, m.Currency[:]...)
		}
	case auctionMBR:
		if m.MarketBidRatio != 0 {
			return unit.CPMMicros(m.MarketBidRatio).Append(dst)
		}
	case auctionLoss:
		if m.HasLoss {
			return strconv.AppendUint(dst, uint64(m.Loss), 10)
		}
	case auctionMinToWin:
		if m.HasMinToWin {
			return m.MinToWin.Append(dst)
		}
	case auctionMultiplier:
		if m.Multiplier != 0 {
			return unit.CPMMicros(m.Multiplier).Append(dst)
		}
	case auctionImpTS:
		if m.ImpTS != 0 {
			return strconv.AppendInt(dst, m.ImpTS, 10)
		}
	}
	return dst
}
