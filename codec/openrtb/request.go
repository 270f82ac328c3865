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

	Cur    StrSpan
	ACat   StrSpan
	BCat   StrSpan
	BAdv   StrSpan
	BApp   StrSpan
	WSeat  StrSpan
	BSeat  StrSpan
	WLang  StrSpan // ISO 639-1
	WLangB StrSpan // BCP 47

	// Imp are the impressions in the order of the request, invalid ones too.
	Imp []Imp

	Inventory Inventory
	Device    Device
	User      User
	Regs      Regs
	Source    Source
	Ext       Raw

	lists
	index   index
	scratch []byte
	key     [keyMax]byte // a key that had escapes, decoded
}

// lists are the slabs that hold the lists of a view, one after the other.
type lists struct {
	strs     []Str
	ints     []int32
	formats  []Format
	deals    []Deal
	data     []Data
	segments []Segment
}

// Spans of the view's slabs; the zero span is empty.
type (
	// StrSpan is a list of strings: Strs.
	StrSpan struct{ off, n uint32 }
	// IntSpan is a list of integers: Ints.
	IntSpan struct{ off, n uint32 }
	// FormatSpan is a list of banner sizes: Formats.
	FormatSpan struct{ off, n uint32 }
	// DealSpan is a list of deals: Deals.
	DealSpan struct{ off, n uint32 }
	// DataSpan is a list of data providers: Data.
	DataSpan struct{ off, n uint32 }
	// SegmentSpan is a list of segments: Segments.
	SegmentSpan struct{ off, n uint32 }
)

// Strs is the list at s, valid until the next Parse.
func (l *lists) Strs(s StrSpan) []Str { return l.strs[s.off : s.off+s.n] }

// Ints is the list at s, valid until the next Parse.
func (l *lists) Ints(s IntSpan) []int32 { return l.ints[s.off : s.off+s.n] }

// Formats is the list at s, valid until the next Parse.
func (l *lists) Formats(s FormatSpan) []Format { return l.formats[s.off : s.off+s.n] }

// Deals is the list at s, valid until the next Parse.
func (l *lists) Deals(s DealSpan) []Deal { return l.deals[s.off : s.off+s.n] }

// Data is the list at s, valid until the next Parse.
func (l *lists) Data(s DataSpan) []Data { return l.data[s.off : s.off+s.n] }

// Segments is the list at s, valid until the next Parse.
func (l *lists) Segments(s SegmentSpan) []Segment { return l.segments[s.off : s.off+s.n] }

func (l *lists) reset() {
	l.strs, l.ints, l.formats = emptied(l.strs), emptied(l.ints), emptied(l.formats)
	l.deals, l.data, l.segments = emptied(l.deals), emptied(l.data), emptied(l.segments)
}

// Len is the number of elements.
func (s StrSpan) Len() int     { return int(s.n) }
func (s IntSpan) Len() int     { return int(s.n) }
func (s FormatSpan) Len() int  { return int(s.n) }
func (s DealSpan) Len() int    { return int(s.n) }
func (s DataSpan) Len() int    { return int(s.n) }
func (s SegmentSpan) Len() int { return int(s.n) }

// Tri is a flag that may be absent. Any number but 0 is Yes.
type Tri uint8

// Values of a Tri.
const (
	Unset Tri = iota
	No
	Yes
)

// Imp is an impression on offer.
type Imp struct {
	imp

	Banner Banner
	Video  Video
	Audio  Audio
	Native Native
}

// imp are an impression's own fields, apart so that a used Imp is cleared
// without what it did not have.
type imp struct {
	ID     Str
	TagID  Str
	Media  MediaMask // offered and valid
	Listed MediaMask // offered, valid or not
	filled MediaMask // whose fields are perhaps not zero

	// Invalid: a number of the impression itself could not be read (rule 5).
	// Media is empty then; the rest of the request stands.
	Invalid bool
	// HasBidFloor: bidfloor was given.
	HasBidFloor bool
	Secure      bool // markup must be https only
	Instl       bool // interstitial
	Rwdd        bool // rewarded; also from the 2.5 places in ext
	rewarded    bool // what ext says
	HasPMP      bool
	// PrivateAuction: only the listed deals may bid.
	PrivateAuction bool
	ClickBrowser   Tri // Yes: the device's own browser opens

	BidFloor    unit.CPMMicros
	BidFloorCur unit.Currency // USD if absent
	Exp         int32         // seconds between auction and impression; 0 = absent
	SSAI        int32         // server-side ad insertion
	DT          float64       // when it is estimated to be shown, Unix milliseconds

	DisplayManager    Str
	DisplayManagerVer Str
	IframeBuster      StrSpan

	Deals  DealSpan
	PMPExt Raw
	Ext    Raw

	// Read by Details.
	Metric  Raw
	Qty     Raw
	Refresh Raw

	idHash uint64
}

// Banner is an offer to show a banner.
type Banner struct {
	W, H       int32 // 0 = absent
	WMin, HMin int32 // deprecated, as the next two
	WMax, HMax int32
	Pos        int32
	TopFrame   bool // not in an iframe
	Vcm        Tri  // companions only: No = concurrently, Yes = end card
	ID         Str
	Formats    FormatSpan
	BType      IntSpan
	BAttr      IntSpan
	ExpDir     IntSpan
	API        IntSpan
	Mimes      StrSpan
	Ext        Raw
}

// Format is one size a banner may have. A flexible one has a ratio instead.
type Format struct {
	W, H           int32
	WRatio, HRatio int32
	WMin           int32
	Ext            Raw
}

// Video is an offer to play a video.
type Video struct {
	W, H          int32 // 0 = absent
	MinDuration   int32 // seconds
	MaxDuration   int32 // seconds; 0 = absent
	StartDelay    int32
	HasStartDelay bool
	BoxingAllowed Tri
	Linearity     int32
	Placement     int32 // the deprecated field
	Plcmt         int32
	Pos           int32
	Skip          int32
	SkipMin       int32 // seconds a video must have to be skippable
	SkipAfter     int32 // seconds that must have played
	Sequence      int32 // the deprecated field
	MaxExtended   int32 // seconds; -1 = no limit, 0 = not allowed
	MinBitrate    int32 // kbit/s
	MaxBitrate    int32 // kbit/s; 0 = absent
	PlaybackEnd   int32

	// Pods.
	PodID        Str
	PodSeq       int32 // -1 = last, 1 = first in the stream
	SlotInPod    int32
	MaxSeq       int32 // ads in a dynamic pod
	PodDur       int32 // seconds of a dynamic pod
	MinCPMPerSec unit.CPMMicros
	RqdDurs      IntSpan // exact seconds
	PodDedupe    IntSpan

	Mimes          StrSpan
	Protocols      IntSpan // includes the deprecated single protocol
	BAttr          IntSpan
	API            IntSpan
	Delivery       IntSpan
	PlaybackMethod IntSpan
	CompanionType  IntSpan
	Ext            Raw

	// Read by Details.
	CompanionAd Raw
	DurFloors   Raw

	protocol int32
}

// Audio is an offer to play audio.
type Audio struct {
	MinDuration   int32
	MaxDuration   int32
	StartDelay    int32
	HasStartDelay bool
	HasNVol       bool
	Stitched      Tri
	NVol          int32 // volume normalization
	Feed          int32
	Sequence      int32 // the deprecated field
	MaxExtended   int32
	MinBitrate    int32
	MaxBitrate    int32

	// Pods, as in Video.
	PodID        Str
	PodSeq       int32
	SlotInPod    int32
	MaxSeq       int32
	PodDur       int32
	MinCPMPerSec unit.CPMMicros
	RqdDurs      IntSpan

	Mimes         StrSpan
	Protocols     IntSpan
	BAttr         IntSpan
	API           IntSpan
	Delivery      IntSpan
	CompanionType IntSpan
	Ext           Raw

	// Read by Details.
	CompanionAd Raw
	DurFloors   Raw
}

// Native is an offer to show a native ad. Request is itself JSON, encoded as a
// string: NativeRequest.Parse reads it.
type Native struct {
	Request Str
	Ver     Str
	API     IntSpan
	BAttr   IntSpan
	Ext     Raw
}

// Deal is a private deal on an impression.
type Deal struct {
	ID           Str
	BidFloor     unit.CPMMicros
	HasBidFloor  bool
	Guaranteed   bool          // the bid must be made and wins
	BidFloorCur  unit.Currency // USD if absent: it does not inherit the impression's
	At           AuctionType   // 0 = the request's
	MinCPMPerSec unit.CPMMicros
	WSeat        StrSpan
	WADomain     StrSpan
	Ext          Raw

	DurFloors Raw // read by Details
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

	Mobile          Tri  // site: made for small screens
	PrivacyPolicy   Tri  // site, app
	Paid            Tri  // app
	HasVenueTypeTax bool // dooh

	ID            Str
	Name          Str
	Domain        Str
	Page          Str // site
	Ref           Str // site
	Search        Str // site: what was searched for to get there
	Bundle        Str // app
	StoreURL      Str // app
	Ver           Str // app
	Keywords      Str
	PartnerDomain Str // site, app: inventorypartnerdomain
	KwArray       StrSpan
	VenueType     StrSpan // dooh
	VenueTypeTax  int32   // dooh

	CatTax     CategoryTaxonomy
	Cat        StrSpan
	SectionCat StrSpan
	PageCat    StrSpan

	PublisherID     Str
	PublisherName   Str
	PublisherDomain Str
	PublisherCatTax CategoryTaxonomy
	PublisherCat    StrSpan
	PublisherExt    Raw

	Content Content
	Ext     Raw
}

// Content is what the ad is shown beside or in.
type Content struct {
	Present            bool
	LiveStream         Tri
	SourceRelationship Tri // Yes = direct
	Embeddable         Tri
	Realtime           Tri
	FirstBroadcast     Tri

	Episode        int32
	Len            int32 // seconds
	ProdQ          int32 // as the next, 0 is unknown
	VideoQuality   int32 // the deprecated field
	Context        int32
	QAGMediaRating int32

	ID            Str
	Title         Str
	Series        Str
	Season        Str
	Artist        Str
	Genre         Str
	Album         Str
	ISRC          Str
	URL           Str
	ContentRating Str
	UserRating    Str
	Keywords      Str
	Language      Str // ISO 639-1
	LangB         Str // BCP 47

	CatTax  CategoryTaxonomy
	GTax    CategoryTaxonomy // of Genres
	Cat     StrSpan
	Genres  StrSpan
	KwArray StrSpan
	Data    DataSpan
	Ext     Raw

	// Read by Details.
	Producer Raw
	Network  Raw
	Channel  Raw
}

// Device is what the user holds.
type Device struct {
	Present bool
	// DNT and LMT ask for no tracking; one that can't be read counts as set.
	DNT, LMT bool
	JS       Tri
	GeoFetch Tri

	DeviceType     DeviceType
	ConnectionType int32
	W, H           int32
	PPI            int32
	PxRatio        float64

	UA       Str
	IP       Str
	IPv6     Str
	IFA      Str
	OS       Str
	OSV      Str
	Make     Str
	Model    Str
	HWV      Str
	Language Str // ISO 639-1
	LangB    Str // BCP 47
	Carrier  Str
	MCCMNC   Str
	FlashVer Str

	// Deprecated hashes of ids.
	DIDSHA1, DIDMD5   Str
	DPIDSHA1, DPIDMD5 Str
	MACSHA1, MACMD5   Str

	Geo Geo
	SUA Raw // read by Details
	Ext Raw
}

// Geo is a place.
type Geo struct {
	Present       bool
	HasLatLon     bool // both were given
	hasLat        bool
	hasLon        bool
	Lat, Lon      float64
	Type          int32
	Accuracy      int32 // metres
	LastFix       int32 // seconds since the fix
	IPService     int32
	UTCOffset     int32 // minutes
	Country       Str   // ISO 3166-1 alpha-3
	Region        Str
	RegionFIPS104 Str
	City          Str
	Metro         Str
	Zip           Str
	Ext           Raw
}

// User is the human.
type User struct {
	Present    bool
	ID         Str
	BuyerUID   Str
	Gender     Str
	Keywords   Str
	CustomData Str
	KwArray    StrSpan
	YOB        int32
	Consent    Str // 2.6, or 2.5 user.ext.consent
	Geo        Geo
	Data       DataSpan
	EIDs       Raw // 2.6, or 2.5 user.ext.eids; read by Details
	Ext        Raw

	old25 struct { // what ext says
		consent Str
		eids    Raw
	}
}

// Data is what one provider says about the user or the content.
type Data struct {
	ID       Str
	Name     Str
	CIDs     StrSpan
	Segments SegmentSpan
	Ext      Raw
}

// Segment is one thing it says.
type Segment struct {
	ID    Str
	Name  Str
	Value Str
	Ext   Raw
}

// Regs are the regulations in force. A flag that can't be read counts as set.
type Regs struct {
	Present   bool
	COPPA     bool
	GDPR      bool // 2.6, or 2.5 regs.ext.gdpr
	HasGDPR   bool
	USPrivacy Str     // 2.6, or 2.5 regs.ext.us_privacy
	GPP       Str     // 2.6, or regs.ext.gpp
	GPPSID    IntSpan // 2.6, or regs.ext.gpp_sid
	Ext       Raw

	old25 struct { // what ext says
		gdpr, hasGDPR  bool
		usPrivacy, gpp Str
		gppSID         IntSpan
	}
}

// Source is who sells.
type Source struct {
	Present bool
	TID     Str
	PChain  Str
	FD      int32
	SChain  Raw // 2.6, or 2.5 source.ext.schain; read by Details
	Ext     Raw

	old25 struct { // what ext says
		schain Raw
	}
}
