package openrtb

// RejectReason is why a bid does not take part in the auction.
type RejectReason uint8

// Reasons. The number of the rule stands with each.
const (
	// Accepted: the bid takes part.
	Accepted RejectReason = iota
	// InvalidBid: a value of the bid cannot be read, or is negative (5).
	InvalidBid
	// UnknownImp: impid names no impression of the request (6).
	UnknownImp
	// InvalidImp: the impression itself was invalid: nobody was asked (5).
	InvalidImp
	// BadPrice: below 0, or 0 without a deal (7).
	BadPrice
	// MissingCRID: the policy wants a creative id (7).
	MissingCRID
	// WrongMedia: mtype, or what the markup is, is not on offer (8).
	WrongMedia
	// UnknownMedia: several types are on offer and nothing tells which it is (8).
	UnknownMedia
	// UnknownCurrency: cur is no currency (9).
	UnknownCurrency
	// ForeignCurrency: cur is not one the request allows (9).
	ForeignCurrency
	// NoRate: the price cannot be compared (9).
	NoRate
	// BelowFloor: below the impression's floor (9).
	BelowFloor
	// BelowDeal: below the deal's floor (9).
	BelowDeal
	// PrivateOnly: a private auction takes only bids on its deals (10).
	PrivateOnly
	// UnknownDeal: dealid names no deal of the impression (10).
	UnknownDeal
	// DealSeat: the deal is not for this seat (10).
	DealSeat
	// DealDomain: the deal is not for this advertiser (10).
	DealDomain
	// BlockedSeat: not in wseat, or in bseat (11).
	BlockedSeat
	// BlockedDomain: the advertiser, or a domain above it, is in badv (11).
	BlockedDomain
	// MissingADomain: the policy wants the advertiser's domain (11).
	MissingADomain
	// BlockedCategory: a category, or its parent, is in bcat (11).
	BlockedCategory
	// BlockedApp: the advertised app is in bapp (11).
	BlockedApp
	// BlockedAttribute: a creative attribute is in battr (11).
	BlockedAttribute
	// BlockedAdType: the markup is of a type in btype (11).
	BlockedAdType
	// NotSecure: markup for a secure impression that loads without https (12).
	NotSecure
	// GroupBroken: another bid of its group cannot be won (13).
	GroupBroken
	// NoMarkup: neither adm nor nurl (17).
	NoMarkup

	rejectReasons
)

// RejectReasons is their number, for counters by reason.
const RejectReasons = int(rejectReasons)

var rejects = [rejectReasons]struct {
	name string
	rule uint8
	loss LossReason
}{
	Accepted:         {"accepted", 0, BidWon},
	InvalidBid:       {"invalid_bid", 5, InvalidBidResponse},
	UnknownImp:       {"unknown_imp", 6, InvalidBidResponse},
	InvalidImp:       {"invalid_imp", 5, InvalidBidResponse},
	BadPrice:         {"bad_price", 7, MissingBidPrice},
	MissingCRID:      {"missing_crid", 7, MissingCreativeID},
	WrongMedia:       {"wrong_media", 8, CreativeFormat},
	UnknownMedia:     {"unknown_media", 8, CreativeFormat},
	UnknownCurrency:  {"unknown_currency", 9, InvalidBidResponse},
	ForeignCurrency:  {"foreign_currency", 9, InvalidBidResponse},
	NoRate:           {"no_rate", 9, InvalidBidResponse},
	BelowFloor:       {"below_floor", 9, BelowAuctionFloor},
	BelowDeal:        {"below_deal_floor", 9, BelowDealFloor},
	PrivateOnly:      {"private_only", 10, InvalidDealID},
	UnknownDeal:      {"unknown_deal", 10, InvalidDealID},
	DealSeat:         {"deal_seat", 10, BuyerSeatBlocked},
	DealDomain:       {"deal_domain", 10, InvalidAdvertiserDomain},
	BlockedSeat:      {"blocked_seat", 11, BuyerSeatBlocked},
	BlockedDomain:    {"blocked_domain", 11, CreativeAdvertiser},
	MissingADomain:   {"missing_adomain", 11, InvalidAdvertiserDomain},
	BlockedCategory:  {"blocked_category", 11, CreativeCategory},
	BlockedApp:       {"blocked_app", 11, CreativeApp},
	BlockedAttribute: {"blocked_attribute", 11, CreativeAttribute},
	BlockedAdType:    {"blocked_ad_type", 11, CreativeAdType},
	NotSecure:        {"not_secure", 12, CreativeNotSecure},
	GroupBroken:      {"group_broken", 13, InvalidBidResponse},
	NoMarkup:         {"no_markup", 17, MissingMarkup},
}

// String is the reason as a metric label.
func (r RejectReason) String() string { return rejects[r].name }

// Rule is the number of the OpenRTB rule that a rejected bid breaks.
func (r RejectReason) Rule() int { return int(rejects[r].rule) }

// Loss is the loss reason that the bidder is told (AUCTION_LOSS).
func (r RejectReason) Loss() LossReason { return rejects[r].loss }
