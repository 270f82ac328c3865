package openrtb

import (
	"unsafe"

	"millrace/codec/unit"
)

// Details reads those objects of a request that few ask for: what a view has
// as Raw is parsed when somebody wants it, by the same tables. Its lists are
// valid until Reset, its texts as long as the body. A part that is absent is
// empty and fine; one that is not what the specification says (a text where a
// number belongs) is not ok and empty, and nothing more is wrong with the
// request (rule 5). The zero value is ready for use.
type Details struct {
	lists
	metrics  []Metric
	floors   []DurFloor
	settings []RefreshSetting
	banners  []Banner
	brands   []BrandVersion
	eids     []EID
	uids     []UID
	nodes    []SupplyChainNode
	index    index
	key      [keyMax]byte
}

// Reset empties the lists. Whoever reads details of many requests calls it
// once a request.
func (d *Details) Reset() {
	d.lists.reset()
	d.metrics, d.floors, d.settings, d.banners = emptied(d.metrics), emptied(d.floors), emptied(d.settings), emptied(d.banners)
	d.brands, d.eids, d.uids, d.nodes = emptied(d.brands), emptied(d.eids), emptied(d.uids), emptied(d.nodes)
	d.index.shrink()
}

// Metric is a measurement of an impression by imp.metric.
type Metric struct {
	Type   Str
	Value  float64
	Vendor Str
	Ext    Raw
}

// Qty is how many see an impression (imp.qty).
type Qty struct {
	Multiplier float64
	SourceType int32
	Vendor     Str
	Ext        Raw
}

// Refresh says that a slot changes its ad by itself (imp.refresh).
type Refresh struct {
	Count    int32
	HasCount bool
	Settings []RefreshSetting
	Ext      Raw
}

// RefreshSetting is when it does.
type RefreshSetting struct {
	RefType int32
	MinInt  int32 // seconds
	Ext     Raw
}

// DurFloor is a floor for bids of some duration.
type DurFloor struct {
	MinDur, MaxDur int32 // seconds; 0 = open
	BidFloor       unit.CPMMicros
	Ext            Raw
}

// UserAgent is device.sua.
type UserAgent struct {
	Browsers     []BrandVersion
	Platform     BrandVersion
	Mobile       Tri
	Architecture Str
	Bitness      Str
	Model        Str
	Source       int32
	Ext          Raw
}

// BrandVersion is a browser or platform.
type BrandVersion struct {
	Brand   Str
	Version StrSpan // Details.Strs
	Ext     Raw
}

// EID are a user's ids from one source.
type EID struct {
	Inserter Str
	Matcher  Str
	MM       int32 // how it was matched
	Source   Str
	UIDs     UIDSpan
	Ext      Raw
}

// UIDSpan is a list of ids: Details.UIDs.
type UIDSpan struct{ off, n uint32 }

// UIDs is the list at s, valid until Reset.
func (d *Details) UIDs(s UIDSpan) []UID { return d.uids[s.off : s.off+s.n] }

// UID is one id.
type UID struct {
	ID    Str
	AType int32
	Ext   Raw
}

// SupplyChain is source.schain.
type SupplyChain struct {
	Complete int32
	Ver      Str
	Nodes    []SupplyChainNode // in their order (rule 21)
	Ext      Raw
}

// SupplyChainNode is one seller in it.
type SupplyChainNode struct {
	ASI    Str
	SID    Str
	RID    Str
	Name   Str
	Domain Str
	HP     Tri
	Ext    Raw
}

// Producer is who made content.
type Producer struct {
	ID     Str
	Name   Str
	Domain Str
	CatTax CategoryTaxonomy
	Cat    StrSpan // Details.Strs
	Ext    Raw
}

// Party is a network or channel of content.
type Party struct {
	ID     Str
	Name   Str
	Domain Str
	Ext    Raw
}

func (d *Details) walker(raw Raw) walker {
	return walker{parser: parser{b: raw.Bytes(), key: &d.key, limit: DefaultLimits(), imp: -1}, l: &d.lists, d: d}
}

// readObject reads a Raw into the struct at base.
func (d *Details) readObject(raw Raw, base unsafe.Pointer, o *table) bool {
	if !raw.Present() {
		return true
	}
	p := d.walker(raw)
	return p.begin(&d.index, '{') && p.members(0, base, o) == p.n && !p.bad
}

// readList reads a Raw into a slab.
func readList[T any](d *Details, raw Raw, slab *[]T, o *table) ([]T, bool) {
	if !raw.Present() {
		return nil, true
	}
	p := d.walker(raw)
	if !p.begin(&d.index, '[') {
		return nil, false
	}
	var zero T
	k, from, n := list(&p, 0, slab, zero, o)
	if k != p.n {
		return nil, false
	}
	return (*slab)[from : from+n : from+n], true
}

// Metrics reads imp.metric.
func (d *Details) Metrics(raw Raw) ([]Metric, bool) {
	return readList(d, raw, &d.metrics, metricTable)
}

// DurFloors reads durfloors of a video, audio or deal.
func (d *Details) DurFloors(raw Raw) ([]DurFloor, bool) {
	return readList(d, raw, &d.floors, durFloorTable)
}

// Companions reads companionad of a video or audio; their formats and lists
// are those of Details.
func (d *Details) Companions(raw Raw) ([]Banner, bool) {
	return readList(d, raw, &d.banners, bannerTable)
}

// EIDs reads user.eids.
func (d *Details) EIDs(raw Raw) ([]EID, bool) { return readList(d, raw, &d.eids, eidTable) }

// Qty reads imp.qty.
func (d *Details) Qty(raw Raw) (q Qty, ok bool) {
	if ok = d.readObject(raw, unsafe.Pointer(&q), qtyTable); !ok {
		q = Qty{}
	}
	return q, ok
}

// Refresh reads imp.refresh.
func (d *Details) Refresh(raw Raw) (r Refresh, ok bool) {
	if ok = d.readObject(raw, unsafe.Pointer(&r), refreshTable); !ok {
		r = Refresh{}
	}
	return r, ok
}

// UserAgent reads device.sua.
func (d *Details) UserAgent(raw Raw) (u UserAgent, ok bool) {
	if ok = d.readObject(raw, unsafe.Pointer(&u), userAgentTable); !ok {
		u = UserAgent{}
	}
	return u, ok
}

// SupplyChain reads source.schain.
func (d *Details) SupplyChain(raw Raw) (c SupplyChain, ok bool) {
	if ok = d.readObject(raw, unsafe.Pointer(&c), chainTable); !ok {
		c = SupplyChain{}
	}
	return c, ok
}

// Producer reads a content's producer.
func (d *Details) Producer(raw Raw) (c Producer, ok bool) {
	if ok = d.readObject(raw, unsafe.Pointer(&c), producerTable); !ok {
		c = Producer{}
	}
	return c, ok
}

// Party reads a content's network or channel.
func (d *Details) Party(raw Raw) (c Party, ok bool) {
	if ok = d.readObject(raw, unsafe.Pointer(&c), partyTable); !ok {
		c = Party{}
	}
	return c, ok
}

// specialDetail reads the lists and objects within details.
func (p *walker) specialDetail(k int, dst unsafe.Pointer, how kind) int {
	switch how {
	case nodesField:
		// A chain without one of its nodes would be another chain.
		before := p.dropped
		k = detailList(p, k, (*[]SupplyChainNode)(dst), &p.d.nodes, nodeTable)
		p.bad = p.bad || p.dropped > before
		return k
	case browsersField:
		return detailList(p, k, (*[]BrandVersion)(dst), &p.d.brands, brandTable)
	case refSettingsField:
		return detailList(p, k, (*[]RefreshSetting)(dst), &p.d.settings, refSettingTable)
	case uidsField:
		s := (*UIDSpan)(dst)
		k, s.off, s.n = list(p, k, &p.d.uids, UID{}, uidTable)
		return k
	}
	b := (*BrandVersion)(dst) // platform
	*b = BrandVersion{}
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	return p.members(k, dst, brandTable)
}

func detailList[T any](p *walker, k int, dst, slab *[]T, o *table) int {
	var zero T
	k, from, n := list(p, k, slab, zero, o)
	*dst = (*slab)[from : from+n : from+n]
	return k
}
