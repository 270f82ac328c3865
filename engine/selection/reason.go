package selection

import (
	"millrace/codec/openrtb"
	"millrace/state/campaign"
)

// Reason is why a candidate did not win its impression. It is finer than
// OpenRTB's loss reasons; Code is the one to report.
type Reason uint8

// Reasons, in the order in which they are looked for.
const (
	// Won: no reason.
	Won Reason = iota
	// MediaNotOffered to AppBlocked are campaign.Rejection, in its order.
	MediaNotOffered
	SizeNotOffered
	NotSecure
	TypeBlocked
	AttributeBlocked
	CategoryBlocked
	DomainBlocked
	AppBlocked
	// Paced: its budget's pacing lets it sit this request out.
	Paced
	// Worthless: its expected revenue is less than a nano.
	Worthless
	// CurrencyNotAllowed: request.cur does not list the campaign's currency, or
	// another impression's bid has set the response's.
	CurrencyNotAllowed
	// SeatBlocked: wseat or bseat, of the request or of the deal.
	SeatBlocked
	// NotInDeal: none of the line's deals is offered, or the auction is private.
	NotInDeal
	// DealDomainBlocked: the deal's wadomain does not list the advertiser.
	DealDomainBlocked
	BelowFloor
	BelowDealFloor
	// FloorCurrency: a floor in another currency than the campaign's can't be
	// compared.
	FloorCurrency
	// FrequencyCapped: the user has seen the line often enough.
	FrequencyCapped
	// UserUnknown: a capped line is not shown to whom nothing can be remembered.
	UserUnknown
	// CapsFull: the table of caps has no room to remember the impression.
	CapsFull
	// NoFunds: the reservation was refused.
	NoFunds
	// NoMarkup: the creative can't be rendered for this impression.
	NoMarkup
	// LostToHigherBid: another candidate came first in the total order.
	LostToHigherBid

	// ReasonCount bounds tables indexed by Reason.
	ReasonCount
)

var reasonNames = [ReasonCount]string{
	"won", "media type not offered", "size not offered", "not secure", "banner type blocked", "attribute blocked",
	"category blocked", "advertiser domain blocked", "advertised app blocked", "paced", "worth nothing", "currency not allowed", "seat blocked",
	"not in an offered deal", "domain not in the deal", "below the floor", "below the deal's floor",
	"floor in another currency", "frequency capped", "user unknown", "frequency table full", "no funds",
	"no markup for this impression", "lost to a higher bid",
}

var reasonCodes = [ReasonCount]openrtb.LossReason{
	Won:             openrtb.BidWon,
	MediaNotOffered: openrtb.CreativeFormat, SizeNotOffered: openrtb.CreativeSize, NotSecure: openrtb.CreativeNotSecure,
	TypeBlocked: openrtb.CreativeAdType, AttributeBlocked: openrtb.CreativeAttribute,
	CategoryBlocked: openrtb.CreativeCategory, DomainBlocked: openrtb.CreativeAdvertiser, AppBlocked: openrtb.CreativeApp,
	Paced: openrtb.CreativeFiltered, Worthless: openrtb.MissingBidPrice,
	CurrencyNotAllowed: openrtb.InvalidBidResponse, SeatBlocked: openrtb.BuyerSeatBlocked,
	NotInDeal: openrtb.InvalidDealID, DealDomainBlocked: openrtb.InvalidAdvertiserDomain,
	BelowFloor: openrtb.BelowAuctionFloor, BelowDealFloor: openrtb.BelowDealFloor, FloorCurrency: openrtb.BelowAuctionFloor,
	FrequencyCapped: openrtb.CreativeFiltered, UserUnknown: openrtb.CreativeFiltered, CapsFull: openrtb.CreativeFiltered,
	NoFunds: openrtb.InternalError, NoMarkup: openrtb.MissingMarkup, LostToHigherBid: openrtb.LostToHigherBid,
}

// String says it in words: a metric label and the explanation's text.
func (r Reason) String() string { return reasonNames[r] }

// Code is the nearest loss reason of OpenRTB.
func (r Reason) Code() openrtb.LossReason { return reasonCodes[r] }

func rejected(r campaign.Rejection) Reason { return MediaNotOffered + Reason(r-campaign.WrongMedia) }
