package creative

import (
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

	Price    unit.CPMMicros // ${AUCTION_PRICE}: clearing price as a plain decimal
	Currency unit.Currency  // ${AUCTION_CURRENCY}
	// HasPrice: without it ${AUCTION_PRICE} is empty, as in a loss notice
	// that must not tell it.
	HasPrice bool
	// MarketBidRatio is ${AUCTION_MBR}, in 1e-6; 0 = not given.
	MarketBidRatio int32
	Loss           openrtb.LossReason // ${AUCTION_LOSS}
	HasLoss        bool
	MinToWin       unit.CPMMicros // ${AUCTION_MIN_TO_WIN}
	HasMinToWin    bool
	Multiplier     int64 // ${AUCTION_MULTIPLIER}, in 1e-6; 0 = not given
	ImpTS          int64 // ${AUCTION_IMP_TS}, milliseconds; 0 = not given
	// Audit: a test rendering; every macro without a value becomes AUDIT.
	Audit bool
}
