package campaign

import "millrace/codec/openrtb"

// valuesMax bounds the known values a request may bring to one dimension; with
// it a hostile list of segments costs a bounded time. See Query.Overflow.
const valuesMax = 256

// mediaMax is one past the last openrtb.MediaType.
const mediaMax = openrtb.NativeMedia + 1

// Query is what targeting wants to know of one request and one of its imps,
// already as value ids of a snapshot. It is reused from request to request and
// allocates only while its slices grow to their working size. Not shared.
//
// Fill it in this order, then Match:
//
//	snapshot.Begin(&q)               forgets the last request
//	q.SetGeo, SetDevice, AddSite, …  what holds for the whole request
//	snapshot.MatchRequest(&q, …)     candidates of the request
//	for each imp:
//	    q.BeginImp()                 forgets the last imp
//	    q.Offer, AddSize, AddDeal, … what holds for this imp
//	    snapshot.MatchImp(&q, …)     candidates of the imp
//
// The bytes given to its methods are not kept.
type Query struct {
	// Overflow is set when a list was longer than targeting looks at: the rest
	// was left out.
	Overflow bool

	snapshot *Snapshot
	values   [dimensionsMax][]uint32
	// blocked has a bit for each blocking id that the request names; blockedIDs
	// are those bits, to clear them again.
	blocked    []uint64
	blockedIDs []uint32
	// Of the imp.
	media      openrtb.MediaMask
	private    bool
	secure     bool
	sized      bool // a banner size was stated
	sizes      []Size
	attributes [mediaMax]uint64
	types      uint16
	// scratch is one bit a line item; aside lists some of them.
	scratch []uint64
	aside   []uint32
	// joins are bitmaps of the snapshot, while a match is under way.
	joins  [dimensionsMax][]uint64
	joined int
	key    []byte
}

// Begin makes q a query of s for a new request.
func (s *Snapshot) Begin(q *Query) {
	if q.snapshot != s {
		if q.snapshot == nil {
			q.reserve()
		}
		q.snapshot = s
		if w := wordsFor(len(s.Lines)); cap(q.scratch) < w {
			q.scratch = make([]uint64, max(w, reservedBytes/8))[:w]
		}
		if w := wordsFor(int(s.blocks.next)); len(q.blocked) < w {
			q.blocked = make([]uint64, w)
		}
	}
	for d := range q.values {
		q.values[d] = q.values[d][:0]
	}
	for _, id := range q.blockedIDs {
		q.blocked[id/64] = 0
	}
	q.blockedIDs = q.blockedIDs[:0]
	q.Overflow = false
	q.BeginImp()
}

// reservedBytes is what a list is begun with. From this size on an allocation
// has its cache lines to itself; the lists of two shards' queries would
// otherwise lie side by side, and each write of one slow the other down.
const reservedBytes = 512

func (q *Query) reserve() {
	for d := range q.values {
		q.values[d] = make([]uint32, 0, reservedBytes/4)
	}
	q.key = make([]byte, 0, reservedBytes)
	q.sizes = make([]Size, 0, reservedBytes/4)
	q.blockedIDs = make([]uint32, 0, reservedBytes/4)
	q.blocked = make([]uint64, reservedBytes/8)
	q.aside = make([]uint32, 0, reservedBytes/4)
}

// add notes a value once; 0 is no value.
func (q *Query) add(d dimensionID, value uint32) {
	if value == 0 {
		return
	}
	have := q.values[d]
	for _, v := range have {
		if v == value {
			return
		}
	}
	if len(have) == valuesMax {
		q.Overflow = true
		return
	}
	q.values[d] = append(have, value)
}

// set notes the only value of a dimension.
func (q *Query) set(d dimensionID, value uint32) {
	q.values[d] = q.values[d][:0]
	q.add(d, value)
}

func (q *Query) dictionary(d dimensionID) *dictionary { return &q.snapshot.index.dictionaries[d] }

// SetGeo says where the user is: device.geo.country (alpha-3 or alpha-2),
// region (ISO 3166-2, with or without its country) and city. Empty is unknown.
func (q *Query) SetGeo(countryCode, region, city []byte) {
	c := parseCountry(countryCode)
	q.set(dimCountry, uint32(c))
	key, ok := appendRegion(q.key[:0], c, region)
	q.key = key
	if q.values[dimRegion] = q.values[dimRegion][:0]; ok {
		q.set(dimRegion, q.dictionary(dimRegion).find(key))
	}
	q.key = appendLower(q.key[:0], city)
	q.set(dimCity, q.dictionary(dimCity).find(q.key))
}

// SetDevice says what the user holds: device.devicetype (0 is unknown), os by
// name, and language. Empty is unknown.
func (q *Query) SetDevice(deviceType int, os, language []byte) {
	if deviceType < 0 || deviceType > deviceTypeLast {
		deviceType = 0
	}
	q.set(dimDevice, uint32(deviceType))
	var number uint32
	number, q.key = parseOS(q.key, os)
	q.set(dimOS, number)
	q.key = appendLanguage(q.key[:0], language)
	q.set(dimLanguage, q.dictionary(dimLanguage).find(q.key))
}

// AddSite names the site by its id or its domain. A domain stands for the
// domains above it too.
func (q *Query) AddSite(idOrDomain []byte) {
	d := q.dictionary(dimInventory)
	q.key = appendLower(append(q.key[:0], 's', ':'), idOrDomain)
	for name, more := q.key[2:], true; more; name, more = domainParent(name) {
		// The prefix goes right before what remains: it was already looked up.
		at := len(q.key) - len(name) - 2
		q.key[at], q.key[at+1] = 's', ':'
		q.add(dimInventory, d.find(q.key[at:]))
	}
}

// AddApp names the app by app.id.
func (q *Query) AddApp(id []byte) {
	q.key = appendLower(append(q.key[:0], 'a', ':'), id)
	q.add(dimInventory, q.dictionary(dimInventory).find(q.key))
}

// AddBundle names the app by app.bundle.
func (q *Query) AddBundle(bundle []byte) {
	q.key = appendLower(append(q.key[:0], 'b', ':'), bundle)
	q.add(dimInventory, q.dictionary(dimInventory).find(q.key))
}

// AddCategory adds a content category of the site, app, section, page or
// content. "IAB1-2" stands for "IAB1" too.
func (q *Query) AddCategory(category []byte) {
	d := q.dictionary(dimCategory)
	q.key = appendUpper(q.key[:0], category)
	for key, more := q.key, true; more; key, more = categoryParent(key) {
		q.add(dimCategory, d.find(key))
	}
}

// AddSegment adds a segment of user.data: its id, and the id of its provider
// (data.id, may be empty). The catalog names either "segment" or
// "provider/segment".
func (q *Query) AddSegment(provider, segment []byte) {
	d := q.dictionary(dimSegment)
	q.key = append(append(append(q.key[:0], provider...), '/'), segment...)
	q.add(dimSegment, d.find(q.key[len(provider)+1:]))
	if len(provider) > 0 {
		q.add(dimSegment, d.find(q.key))
	}
}

func (q *Query) block(id uint32) {
	if id != 0 {
		q.blocked[id/64] |= 1 << (id % 64)
		q.blockedIDs = append(q.blockedIDs, id)
	}
}

// BlockCategory adds an entry of bcat: it blocks its children too.
func (q *Query) BlockCategory(category []byte) {
	q.key = appendUpper(append(q.key[:0], blockCategory), category)
	q.block(q.snapshot.blocks.find(q.key))
}

// BlockDomain adds an entry of badv: it blocks its subdomains too.
func (q *Query) BlockDomain(domain []byte) {
	q.key = appendLower(append(q.key[:0], blockDomain), domain)
	q.block(q.snapshot.blocks.find(q.key))
}

// BlockApp adds an entry of bapp.
func (q *Query) BlockApp(bundle []byte) {
	q.key = appendLower(append(q.key[:0], blockApp), bundle)
	q.block(q.snapshot.blocks.find(q.key))
}

// BeginImp forgets the last imp.
func (q *Query) BeginImp() {
	q.values[dimSlot] = q.values[dimSlot][:0]
	q.values[dimDeal] = q.values[dimDeal][:0]
	q.sizes = q.sizes[:0]
	q.media, q.private, q.secure, q.sized = 0, false, false, false
	q.attributes, q.types = [mediaMax]uint64{}, 0
}

// Offer says that the imp takes a media type. Banner sizes come by AddSize.
func (q *Query) Offer(m openrtb.MediaType) { q.media |= m.Mask() }

// AddSize adds a size that the banner may have (banner.w and h, each of
// banner.format). A banner offer without any takes every size.
func (q *Query) AddSize(w, h int) {
	if w <= 0 || h <= 0 || w > 1<<16-1 || h > 1<<16-1 {
		return
	}
	q.sized = true
	z := Size{uint16(w), uint16(h)}
	for _, have := range q.sizes {
		if have == z {
			return
		}
	}
	if len(q.sizes) == valuesMax {
		q.Overflow = true
		return
	}
	q.sizes = append(q.sizes, z)
	q.add(dimSlot, q.snapshot.index.sizes[z])
}

// AddDeal adds a deal of imp.pmp.
func (q *Query) AddDeal(id []byte) { q.add(dimDeal, q.dictionary(dimDeal).find(id)) }

// SetPrivate says that only the deals may be served (pmp.private_auction).
func (q *Query) SetPrivate() { q.private = true }

// SetSecure says that the imp needs TLS throughout (imp.secure).
func (q *Query) SetSecure() { q.secure = true }

// BlockAttribute adds an entry of battr of one media object.
func (q *Query) BlockAttribute(m openrtb.MediaType, attribute int) {
	if m < mediaMax && attribute > 0 && attribute < 64 {
		q.attributes[m] |= 1 << attribute
	}
}

// BlockType adds an entry of banner.btype.
func (q *Query) BlockType(bannerType int) {
	if bannerType > 0 && bannerType < 16 {
		q.types |= 1 << bannerType
	}
}
