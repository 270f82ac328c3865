package campaign

import (
	"math"
	"strconv"
	"time"

	"millrace/codec/creative"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/state/pacing"
)

type (
	// LineIndex is a line item's place in Snapshot.Lines: ordered by tier, then
	// as written in the file. It means something within one snapshot only.
	LineIndex uint32
	// CreativeIndex is a creative's place in Snapshot.Creatives.
	CreativeIndex uint32
	// CampaignIndex is a campaign's place in Snapshot.Campaigns.
	CampaignIndex uint32
	// AdvertiserIndex is an advertiser's place in Snapshot.Advertisers.
	AdvertiserIndex uint32
	// AccountIndex is a budget account's place in Snapshot.Accounts.
	AccountIndex int32
)

// NoAccount stands where nothing is to be paid from.
const NoAccount AccountIndex = -1

// Kind is how a line item was sold.
type Kind uint8

// Kinds, in the order of their default tiers.
const (
	ProgrammaticGuaranteed Kind = iota
	Guaranteed
	Direct
	House
)

var kindNames = []string{"programmatic_guaranteed", "guaranteed", "direct", "house"}

// String is the kind as written in the catalog.
func (k Kind) String() string { return kindNames[k] }

// Pricing is the event a line item pays for.
type Pricing uint8

// CPM pays an impression, CPC a click, CPA a conversion.
const (
	CPM Pricing = iota
	CPC
	CPA
)

var pricingNames = []string{"cpm", "cpc", "cpa"}

// String is the pricing as written in the catalog.
func (p Pricing) String() string { return pricingNames[p] }

// Size is a width and height in device-independent pixels.
type Size struct{ W, H uint16 }

// String is "300x250".
func (z Size) String() string {
	return strconv.Itoa(int(z.W)) + "x" + strconv.Itoa(int(z.H))
}

// Tiers: 0 is served first. A line item of a better tier goes before any of a
// worse one, whatever it pays.
const (
	TierProgrammaticGuaranteed = 0  // default of programmatic guaranteed
	TierGuaranteed             = 2  // default of guaranteed
	TierGuaranteedLast         = 7  // the guaranteed kinds stand in 0…7
	TierDirect                 = 10 // default of direct, which stands in 8…14
	TierDirectLast             = 14
	TierHouse                  = 15 // always, and of nothing else
)

// Never is the end of what does not end.
const Never = unit.WallTime(math.MaxInt64)

// FrequencyCap bounds the impressions of a line item to one user. Impressions
// 0 is "no cap".
type FrequencyCap struct {
	Impressions uint16
	Window      time.Duration
}

// LineItem is one row of the catalog as the engine reads it.
type LineItem struct {
	ID       unit.LineID
	Name     string // the id written in the catalog
	Campaign CampaignIndex
	// Creatives[FirstCreative:EndCreative] of the snapshot are its creatives.
	FirstCreative, EndCreative CreativeIndex
	// Account pays, NoAccount for house ads. LineAccount pays too where the line
	// item has a budget of its own; otherwise NoAccount.
	Account, LineAccount AccountIndex
	// Price is of one billable event: of one impression for CPM.
	Price        unit.Nanos
	Currency     unit.Currency // the campaign's
	FrequencyCap FrequencyCap
	// Start ≤ now < End; the campaign's dates are already applied.
	Start, End unit.WallTime
	// Snapshot.Deals(line) are the deals it serves in; none: the open market.
	firstDeal, endDeal uint32
	firstRule, endRule uint32
	schedule           uint32
	Kind               Kind
	Pricing            Pricing
	Tier               uint8
	Paused             bool
}

// Accounts is the pair to reserve on, as the budget broker takes it.
func (l *LineItem) Accounts() [2]int32 { return [2]int32{int32(l.Account), int32(l.LineAccount)} }

// Billable is the price where the line item is paid for at all.
func (l *LineItem) Billable() bool { return l.Account != NoAccount }

// Creative is one advertisement of a line item.
type Creative struct {
	ID   unit.CreativeID
	Name string // the id written in the catalog: OpenRTB's crid
	Line LineIndex
	// Size 0×0 is "any": a responsive banner, a native, a scaling video.
	Size  Size
	Media openrtb.MediaType
	// Secure: no markup or media of it is fetched without TLS (imp.secure).
	Secure bool
	// BannerType is OpenRTB's banner type for btype; 0 where not a banner.
	BannerType uint8
	// Duration of a video or audio ad, in whole seconds; 0 otherwise.
	DurationSeconds uint16
	// Attributes has bit n set for creative attribute n (battr): 1 ≤ n ≤ 63.
	Attributes uint64
	// Domains are bid.adomain; Domains[0] is the advertiser's.
	Domains []string
	// Categories are bid.cat, IAB codes in upper case. CategoryKey is a hash of
	// the first, by which users' interests are kept; 0 where there is none.
	Categories  []string
	CategoryKey uint32
	// Bundle is the app it advertises (bid.bundle), "" for none.
	Bundle string
	// Language is ISO 639-1 in lower case (bid.language), "" where unsaid.
	Language string
	// Template is its markup and Landing its landing page, compiled; LandingURL
	// is the latter as written.
	Template   *creative.Template
	Landing    *creative.Landing
	LandingURL string
	// CTR is the prior probability of a click after an impression, CVR of a
	// conversion after a click.
	CTR, CVR float32
	// Unrated: the catalog states no click rate, CTR is its media type's usual one.
	Unrated bool
	// Quality scales its rank among the bids of its tier, not what it pays: 0
	// (last) to 10, QualityDefault where the catalog says nothing.
	Quality float32
	// What blocks it: ids into the snapshot's blocking dictionaries.
	firstBlock, endBlock uint32
}

// QualityDefault is the quality of a creative about which nobody said anything;
// QualityMax is the best.
const (
	QualityDefault = 7
	QualityMax     = 10
)

// Account is a budget to spend from: a campaign's, or a line item's own.
type Account struct {
	ID       unit.AccountID
	Name     string // "campaign/…" or "line/…"
	Campaign unit.CampaignID
	// Daily and Total bound what is spent in a calendar day of Zone and
	// altogether; 0 is "no bound".
	Daily, Total unit.Nanos
	Currency     unit.Currency
	Zone         *time.Location
	// Pacing is how its money is spread over a day, and over the days of
	// Start ≤ now < End, in which its line items serve; End is Never where one
	// of them has no end.
	Pacing     pacing.Mode
	Start, End unit.WallTime
	open       hours // when any of its line items may serve
}

// OpenHours says in which hours from start to end, at most 32, any of the
// account's line items may serve: bit i is the hour that begins i hours after
// start.
func (a *Account) OpenHours(start, end unit.WallTime) (set uint32) {
	for i := 0; i < 32 && start < end; i, start = i+1, start.Add(time.Hour) {
		if hour, _ := hourOfWeek(a.Zone, start); a.open.has(hour) {
			set |= 1 << i
		}
	}
	return set
}

// Campaign groups line items that share a budget, a currency and a time zone.
type Campaign struct {
	ID         unit.CampaignID
	Name       string // the id written in the catalog: OpenRTB's cid
	Title      string
	Advertiser AdvertiserIndex
	Account    AccountIndex // NoAccount: it has house ads only
	Currency   unit.Currency
	Zone       *time.Location
	Start, End unit.WallTime
	Paused     bool
}

// Advertiser owns campaigns; its name is the seat of a bid.
type Advertiser struct {
	ID     unit.AdvertiserID
	Name   string // the id written in the catalog
	Title  string
	Domain string
}

// Snapshot is a compiled catalog. It is immutable and shared by all shards;
// a new one is built off to the side and swapped in by pointer.
type Snapshot struct {
	// Version counts the snapshots of a Watcher from 1.
	Version uint64
	// Hash is of the file's bytes: equal files, equal hashes.
	Hash uint64
	// Lines are ordered by tier, then as written: a smaller index wins a tie.
	Lines       []LineItem
	Creatives   []Creative
	Campaigns   []Campaign
	Advertisers []Advertiser
	Accounts    []Account

	deals     []string
	rules     []rule
	schedules []schedule
	timed     []timedLine
	untimed   []uint64
	index     index
	blocks    blockIndex
	blockIDs  []uint32

	lineByID     map[unit.LineID]LineIndex
	campaignByID map[unit.CampaignID]CampaignIndex
	creativeByID map[unit.CreativeID]CreativeIndex
	accountByID  map[unit.AccountID]AccountIndex
}

// Deals are the ids of the deals the line item serves in. Borrowed.
func (s *Snapshot) Deals(line LineIndex) []string {
	l := &s.Lines[line]
	return s.deals[l.firstDeal:l.endDeal]
}

// Line finds a line item by its id.
func (s *Snapshot) Line(id unit.LineID) (LineIndex, bool) {
	i, ok := s.lineByID[id]
	return i, ok
}

// Campaign finds a campaign by its id.
func (s *Snapshot) Campaign(id unit.CampaignID) (CampaignIndex, bool) {
	i, ok := s.campaignByID[id]
	return i, ok
}

// Creative finds a creative by its id.
func (s *Snapshot) Creative(id unit.CreativeID) (CreativeIndex, bool) {
	i, ok := s.creativeByID[id]
	return i, ok
}

// Account finds an account by its id; NoAccount where it is not in the catalog.
func (s *Snapshot) Account(id unit.AccountID) (AccountIndex, bool) {
	i, ok := s.accountByID[id]
	if !ok {
		return NoAccount, false
	}
	return i, true
}

// Advertiser is the owner of a line item.
func (s *Snapshot) Advertiser(line LineIndex) *Advertiser {
	return &s.Advertisers[s.Campaigns[s.Lines[line].Campaign].Advertiser]
}
