package openrtb

// AuctionType is OpenRTB's `at`.
type AuctionType int32

// Auction types; exchanges' own are 500 and up.
const (
	FirstPrice      AuctionType = 1
	SecondPricePlus AuctionType = 2
	// FixedPrice: the deal's bidfloor is the agreed price (deals only).
	FixedPrice AuctionType = 3
)

// MediaType is a kind of ad, numbered as bid.mtype (AdCOM markup types).
type MediaType uint8

// Kinds of ads.
const (
	BannerMedia MediaType = 1
	VideoMedia  MediaType = 2
	AudioMedia  MediaType = 3
	NativeMedia MediaType = 4
)

// String is the name of the object in the imp.
func (m MediaType) String() string {
	switch m {
	case BannerMedia:
		return "banner"
	case VideoMedia:
		return "video"
	case AudioMedia:
		return "audio"
	case NativeMedia:
		return "native"
	}
	return "unknown"
}

// MediaMask is a set of media types.
type MediaMask uint8

// Mask is the set of m alone.
func (m MediaType) Mask() MediaMask { return 1 << m }

// Has reports whether m is in the set.
func (s MediaMask) Has(m MediaType) bool { return s&m.Mask() != 0 }

// Len is the number of types in the set.
func (s MediaMask) Len() int {
	n := 0
	for ; s != 0; s &= s - 1 {
		n++
	}
	return n
}

// DeviceType is AdCOM's list of device types.
type DeviceType int32

// Device types.
const (
	MobileTablet    DeviceType = 1
	PersonalComp    DeviceType = 2
	ConnectedTV     DeviceType = 3
	Phone           DeviceType = 4
	Tablet          DeviceType = 5
	ConnectedDevice DeviceType = 6
	SetTopBox       DeviceType = 7
	OOHDevice       DeviceType = 8
)

// String is the type's name in catalogs.
func (d DeviceType) String() string {
	names := [...]string{"", "mobile", "pc", "tv", "phone", "tablet", "connected", "settopbox", "ooh"}
	if d > 0 && int(d) < len(names) {
		return names[d]
	}
	return "unknown"
}

// CategoryTaxonomy is the list that category codes are of.
type CategoryTaxonomy int32

// Category taxonomies. Absent means IAB content categories 1.0.
const (
	IABContent10 CategoryTaxonomy = 1
	IABContent20 CategoryTaxonomy = 2
	IABProduct10 CategoryTaxonomy = 3
	IABAudience  CategoryTaxonomy = 4
	IABContent21 CategoryTaxonomy = 5
	IABContent22 CategoryTaxonomy = 6
	IABContent30 CategoryTaxonomy = 7
	IABProduct20 CategoryTaxonomy = 8
)

// Protocol is a version of VAST or DAAST that a player understands.
type Protocol int32

// Protocols of imp.video.protocols and imp.audio.protocols.
const (
	VAST1        Protocol = 1
	VAST2        Protocol = 2
	VAST3        Protocol = 3
	VAST1Wrapper Protocol = 4
	VAST2Wrapper Protocol = 5
	VAST3Wrapper Protocol = 6
	VAST4        Protocol = 7
	VAST4Wrapper Protocol = 8
	DAAST1       Protocol = 9
	DAAST1Wrap   Protocol = 10
	VAST41       Protocol = 11
	VAST41Wrap   Protocol = 12
	VAST42       Protocol = 13
	VAST42Wrap   Protocol = 14
	VAST43       Protocol = 15
	VAST43Wrap   Protocol = 16
)

// NoBidReason is why a response has no bid (nbr).
type NoBidReason int16

// No-bid reasons of OpenRTB 2.6 (AdCOM list). NoReason is sent as nothing.
const (
	NoReason               NoBidReason = -1
	UnknownError           NoBidReason = 0
	TechnicalError         NoBidReason = 1
	InvalidRequest         NoBidReason = 2
	KnownCrawler           NoBidReason = 3
	SuspectedNonHuman      NoBidReason = 4
	ProxyIP                NoBidReason = 5
	UnsupportedDevice      NoBidReason = 6
	BlockedPublisher       NoBidReason = 7
	UnmatchedUser          NoBidReason = 8
	DailyUserCap           NoBidReason = 9
	DailyDomainCap         NoBidReason = 10
	AdsTxtUnavailable      NoBidReason = 11
	AdsTxtViolation        NoBidReason = 12
	AdsCertUnavailable     NoBidReason = 13
	AdsCertViolation       NoBidReason = 14
	InsufficientTime       NoBidReason = 15
	IncompleteSupplyChain  NoBidReason = 16
	BlockedSupplyChainNode NoBidReason = 17
)

var noBidNames = [...]string{
	"unknown_error", "technical_error", "invalid_request", "known_crawler", "suspected_nonhuman", "proxy_ip",
	"unsupported_device", "blocked_publisher", "unmatched_user", "daily_user_cap", "daily_domain_cap",
	"ads_txt_unavailable", "ads_txt_violation", "ads_cert_unavailable", "ads_cert_violation",
	"insufficient_time", "incomplete_supply_chain", "blocked_supply_chain_node",
}

// String is the reason as a metric label.
func (n NoBidReason) String() string {
	switch {
	case n == NoReason:
		return "none"
	case n >= 0 && int(n) < len(noBidNames):
		return noBidNames[n]
	}
	return "exchange_specific"
}

// LossReason is why a bid did not win (AUCTION_LOSS).
type LossReason uint16

// Loss reasons of OpenRTB 2.6 (AdCOM list).
const (
	BidWon                  LossReason = 0
	InternalError           LossReason = 1
	ImpressionExpired       LossReason = 2
	InvalidBidResponse      LossReason = 3
	InvalidDealID           LossReason = 4
	InvalidAuctionID        LossReason = 5
	InvalidAdvertiserDomain LossReason = 6
	MissingMarkup           LossReason = 7
	MissingCreativeID       LossReason = 8
	MissingBidPrice         LossReason = 9
	MissingApprovalData     LossReason = 10
	BelowAuctionFloor       LossReason = 100
	BelowDealFloor          LossReason = 101
	LostToHigherBid         LossReason = 102
	LostToDealBid           LossReason = 103
	BuyerSeatBlocked        LossReason = 104
	CreativeFiltered        LossReason = 200
	CreativePending         LossReason = 201
	CreativeDisapproved     LossReason = 202
	CreativeSize            LossReason = 203
	CreativeFormat          LossReason = 204
	CreativeAdvertiser      LossReason = 205
	CreativeApp             LossReason = 206
	CreativeNotSecure       LossReason = 207
	CreativeLanguage        LossReason = 208
	CreativeCategory        LossReason = 209
	CreativeAttribute       LossReason = 210
	CreativeAdType          LossReason = 211
	CreativeAnimation       LossReason = 212
	CreativeNotAllowed      LossReason = 213
)

var lossNames = map[LossReason]string{
	BidWon: "won", InternalError: "internal_error", ImpressionExpired: "impression_expired",
	InvalidBidResponse: "invalid_bid_response", InvalidDealID: "invalid_deal_id",
	InvalidAuctionID: "invalid_auction_id", InvalidAdvertiserDomain: "invalid_advertiser_domain",
	MissingMarkup: "missing_markup", MissingCreativeID: "missing_creative_id",
	MissingBidPrice: "missing_bid_price", MissingApprovalData: "missing_approval_data",
	BelowAuctionFloor: "below_auction_floor", BelowDealFloor: "below_deal_floor",
	LostToHigherBid: "lost_to_higher_bid", LostToDealBid: "lost_to_deal_bid", BuyerSeatBlocked: "buyer_seat_blocked",
	CreativeFiltered: "creative_filtered", CreativePending: "creative_pending",
	CreativeDisapproved: "creative_disapproved", CreativeSize: "creative_size", CreativeFormat: "creative_format",
	CreativeAdvertiser: "creative_advertiser", CreativeApp: "creative_app", CreativeNotSecure: "creative_not_secure",
	CreativeLanguage: "creative_language", CreativeCategory: "creative_category",
	CreativeAttribute: "creative_attribute", CreativeAdType: "creative_ad_type",
	CreativeAnimation: "creative_animation", CreativeNotAllowed: "creative_not_allowed",
}

// String is the reason's name in explanations and metrics.
func (l LossReason) String() string {
	if s, ok := lossNames[l]; ok {
		return s
	}
	return "exchange_specific"
}
