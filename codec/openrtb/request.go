package openrtb

import "millrace/codec/unit"

// BidRequest is the view of a parsed request. Strings and raw values point
// into the body; lists are slabs of the view, reached through its methods.
// Reset by the next Parse, so that a pooled view allocates nothing once warm.
// The zero value is ready for use.
type BidRequest struct {
	ID      Str
	TMax    int32 // milliseconds; 0 = absent
	At      AuctionType
	Test    bool
	AllImps bool
	CatTax  CategoryTaxonomy // of bcat; 0 = absent, which means IAB 1.0

	Cur   StrSpan
	BCat  StrSpan
	BAdv  StrSpan
	BApp  StrSpan
	WSeat StrSpan
	BSeat StrSpan
	WLang StrSpan

	// Imp are the impressions in the order of the request, invalid ones too.
	Imp []Imp

	Inventory Inventory
	Device    Device
	User      User
	Regs      Regs
	Source    Source
	Ext       Raw

	strs     []Str
	ints     []int32
	formats  []Format
	deals    []Deal
	data     []Data
	segments []Segment
	scratch  []byte
	key      [keyMax]byte // a key that had escapes, decoded
}

// Spans of the view's slabs; the zero span is empty.
type (
	// StrSpan is a list of strings: BidRequest.Strs.
	StrSpan struct{ off, n uint32 }
	// IntSpan is a list of integers: BidRequest.Ints.
	IntSpan struct{ off, n uint32 }
	// FormatSpan is a list of banner sizes: BidRequest.Formats.
	FormatSpan struct{ off, n uint32 }
	// DealSpan is a list of deals: BidRequest.Deals.
	DealSpan struct{ off, n uint32 }
	// DataSpan is a list of data providers: BidRequest.Data.
	DataSpan struct{ off, n uint32 }
	// SegmentSpan is a list of segments: BidRequest.Segments.
	SegmentSpan struct{ off, n uint32 }
)

// Strs is the list at s, valid until the next Parse.
func (r *BidRequest) Strs(s StrSpan) []Str { return r.strs[s.off : s.off+s.n] }

// Ints is the list at s, valid until the next Parse.
func (r *BidRequest) Ints(s IntSpan) []int32 { return r.ints[s.off : s.off+s.n] }

// Formats is the list at s, valid until the next Parse.
func (r *BidRequest) Formats(s FormatSpan) []Format { return r.formats[s.off : s.off+s.n] }

// Deals is the list at s, valid until the next Parse.
func (r *BidRequest) Deals(s DealSpan) []Deal { return r.deals[s.off : s.off+s.n] }

// Data is the list at s, valid until the next Parse.
func (r *BidRequest) Data(s DataSpan) []Data { return r.data[s.off : s.off+s.n] }

// Segments is the list at s, valid until the next Parse.
func (r *BidRequest) Segments(s SegmentSpan) []Segment { return r.segments[s.off : s.off+s.n] }

// AllSegments are the user's and the content's segments of all providers.
func (r *BidRequest) AllSegments() []Segment { return r.segments }

// Len is the number of elements.
func (s StrSpan) Len() int     { return int(s.n) }
func (s IntSpan) Len() int     { return int(s.n) }
func (s FormatSpan) Len() int  { return int(s.n) }
func (s DealSpan) Len() int    { return int(s.n) }
func (s DataSpan) Len() int    { return int(s.n) }
func (s SegmentSpan) Len() int { return int(s.n) }

// Imp is an impression on offer.
type Imp struct {
	ID     Str
	TagID  Str
	Media  MediaMask // offered and valid
	Listed MediaMask // offered, valid or not

	// Invalid: a number of the impression itself could not be read (rule 5).
	// Media is empty then; the rest of the request stands.
	Invalid bool
	// HasBidFloor: bidfloor was given.
	HasBidFloor bool
	Secure      bool // markup must be https only
	Instl       bool // interstitial
	Rwdd        bool // rewarded; also from the 2.5 places in ext
	HasPMP      bool
	// PrivateAuction: only the listed deals may bid.
	PrivateAuction bool

	BidFloor    unit.CPMMicros
	BidFloorCur unit.Currency // USD if absent
	Exp         int32         // seconds between auction and impression; 0 = absent

	Banner Banner
	Video  Video
	Audio  Audio
	Native Native
	Deals  DealSpan
	Ext    Raw

	idHash uint64
}

// Banner is an offer to show a banner.
type Banner struct {
	W, H    int32 // 0 = absent
	Pos     int32
	Formats FormatSpan
	BType   IntSpan
	BAttr   IntSpan
	Mimes   StrSpan
	API     IntSpan
}

// Format is one size a banner may have. A flexible one has a ratio instead.
type Format struct {
	W, H           int32
	WRatio, HRatio int32
	WMin           int32
}

// Video is an offer to play a video.
type Video struct {
	W, H           int32 // 0 = absent
	MinDuration    int32 // seconds
	MaxDuration    int32 // seconds; 0 = absent
	StartDelay     int32
	HasStartDelay  bool
	Linearity      int32
	Placement      int32 // the deprecated field
	Plcmt          int32
	Pos            int32
	Skip           int32
	MinBitrate     int32 // kbit/s
	MaxBitrate     int32 // kbit/s; 0 = absent
	Mimes          StrSpan
	Protocols      IntSpan // includes the deprecated single protocol
	BAttr          IntSpan
	API            IntSpan
	Delivery       IntSpan
	PlaybackMethod IntSpan
}

// Audio is an offer to play audio.
type Audio struct {
	MinDuration int32
	MaxDuration int32
	Mimes       StrSpan
	Protocols   IntSpan
	BAttr       IntSpan
	API         IntSpan
}

// Native is an offer to show a native ad. Request is itself JSON, encoded as a
// string: NativeRequest.Parse reads it.
type Native struct {
	Request Str
	Ver     Str
	API     IntSpan
	BAttr   IntSpan
}

// Deal is a private deal on an impression.
type Deal struct {
	ID          Str
	BidFloor    unit.CPMMicros
	HasBidFloor bool
	BidFloorCur unit.Currency // USD if absent: it does not inherit the impression's
	At          AuctionType   // 0 = the request's
	WSeat       StrSpan
	WADomain    StrSpan
}

// InventoryKind tells which distribution channel a request is for.
type InventoryKind uint8

// Distribution channels; a request has at most one.
const (
	NoInventory InventoryKind = iota
	SiteInventory
	AppInventory
	DOOHInventory
)

// String is the name of the object in the request.
func (k InventoryKind) String() string {
	switch k {
	case SiteInventory:
		return "site"
	case AppInventory:
		return "app"
	case DOOHInventory:
		return "dooh"
	}
	return "none"
}

// Inventory is the site, app or screen (dooh) of the request: one struct,
// since a request has at most one of them and their fields mean the same.
type Inventory struct {
	Kind InventoryKind

	ID       Str
	Name     Str
	Domain   Str
	Page     Str // site
	Ref      Str // site
	Bundle   Str // app
	StoreURL Str // app
	Ver      Str // app
	Keywords Str

	CatTax     CategoryTaxonomy
	Cat        StrSpan
	SectionCat StrSpan
	PageCat    StrSpan

	PublisherID     Str
	PublisherName   Str
	PublisherDomain Str
	PublisherCat    StrSpan

	Content Content
	Ext     Raw
}

// Content is what the ad is shown beside or in.
type Content struct {
	Present  bool
	ID       Str
	Title    Str
	Genre    Str
	Keywords Str
	Language Str
	CatTax   CategoryTaxonomy
	Cat      StrSpan
	Data     DataSpan
}

// Device is what the user holds.
type Device struct {
	Present bool
	// DNT and LMT ask for no tracking; one that can't be read counts as set.
	DNT, LMT bool

	DeviceType DeviceType
	W, H       int32

	UA             Str
	IP             Str
	IPv6           Str
	IFA            Str
	OS             Str
	OSV            Str
	Make           Str
	Model          Str
	Language       Str
	Carrier        Str
	ConnectionType int32

	Geo Geo
	SUA Raw
	Ext Raw
}

// Geo is a place.
type Geo struct {
	Present   bool
	HasLatLon bool // both were given
	Lat, Lon  float64
	Type      int32
	Country   Str // ISO 3166-1 alpha-3
	Region    Str
	City      Str
	Metro     Str
	Zip       Str
}

// User is the human.
type User struct {
	Present  bool
	ID       Str
	BuyerUID Str
	Gender   Str
	Keywords Str
	YOB      int32
	Consent  Str // 2.6, or 2.5 user.ext.consent
	Geo      Geo
	Data     DataSpan
	EIDs     Raw // 2.6, or 2.5 user.ext.eids
	Ext      Raw
}

// Data is what one provider says about the user or the content.
type Data struct {
	ID       Str
	Name     Str
	Segments SegmentSpan
}

// Segment is one thing it says.
type Segment struct {
	ID    Str
	Name  Str
	Value Str
}

// Regs are the regulations in force. A flag that can't be read counts as set.
type Regs struct {
	Present   bool
	COPPA     bool
	GDPR      bool // 2.6, or 2.5 regs.ext.gdpr
	HasGDPR   bool
	USPrivacy Str // 2.6, or 2.5 regs.ext.us_privacy
	GPP       Str // 2.6, or regs.ext.gpp
	GPPSID    IntSpan
	Ext       Raw
}

// Source is who sells.
type Source struct {
	Present bool
	TID     Str
	FD      int32
	SChain  Raw // 2.6, or 2.5 source.ext.schain
	Ext     Raw
}
