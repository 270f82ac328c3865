package partners

import (
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/state/campaign"
)

// eligibility are the tables of who may be asked for what. Immutable.
type eligibility struct {
	country [countries]Set // 0 is "not known"
	device  [devices]Set   // 0 likewise
	format  [openrtb.NativeMedia + 1]Set
	size    map[uint32]Set // those who list the size
	anySize Set            // those who list none
	deals   map[string]Set // those who list the deal
	asGiven Set            // those who take deals as they are offered
	places  map[string]place
}

// place is what the file says of a publisher, domain or bundle.
type place struct {
	except    Set
	premium   bool
	floor     int32 // in floorIndex.places, 0 = none
	publisher int32 // in Book.byPublisher, -1 = none
}

// Keys of places.
const (
	publisherKey = 'p'
	domainKey    = 'd'
	bundleKey    = 'b'
)

func sizeKey(w, h int32) uint32 { return uint32(w)<<16 | uint32(h) }

// spot is where a request comes from, as far as floors know it.
type spot struct {
	words []uint64 // the floors that hold for the request
	inv   []uint64
	seg   []uint64
}

// Match fills m with what the book says of a request.
func (b *Book) Match(r *openrtb.BidRequest, wall unit.WallTime, m *Match) {
	m.publisher, m.Premium = -1, false
	m.Imps = m.Imps[:0]
	set := b.asked
	set.And(&b.index.country[campaign.CountryOf(r.Device.Geo.Country.Raw())])
	device := r.Device.DeviceType
	if device < 0 || int(device) >= devices {
		device = 0
	}
	set.And(&b.index.device[device])
	if b.Rates(wall) == nil {
		set.AndNot(&b.foreign)
	}
	b.floors.begin(m)
	b.inventory(&r.Inventory, m, &set)
	if r.WSeat.Len()+r.BSeat.Len() > 0 {
		b.seats(r, m, &set)
	}
	b.floors.request(r, wall, int(device), m)
	m.Partners = Set{}
	for i := range r.Imp[:min(len(r.Imp), ImpsMax)] {
		b.imp(r, &r.Imp[i], wall, m, &set)
		m.Partners.Or(&m.Imps[i].Partners)
	}
}

// inventory looks up where the request comes from.
func (b *Book) inventory(inv *openrtb.Inventory, m *Match, set *Set) {
	if len(b.index.places) == 0 {
		return
	}
	b.visit(publisherKey, inv.PublisherID, m, set)
	b.visit(domainKey, inv.Domain, m, set)
	b.visit(bundleKey, inv.Bundle, m, set)
}

func (b *Book) visit(kind byte, text openrtb.Str, m *Match, set *Set) {
	if text.IsZero() {
		return
	}
	m.key = text.AppendLower(append(m.key[:0], kind))
	for from := 1; ; {
		m.key[from-1] = kind
		if p, ok := b.index.places[string(m.key[from-1:])]; ok {
			set.AndNot(&p.except)
			m.Premium = m.Premium || p.premium
			b.floors.place(p.floor, m)
			if p.publisher >= 0 {
				m.publisher = p.publisher
				set.AndNot(&b.byPublisher[p.publisher].block)
			}
		}
		if kind != domainKey {
			return
		}
		for m.key[from] != '.' {
			if from++; from == len(m.key) {
				return
			}
		}
		if from++; from == len(m.key) {
			return
		}
	}
}

// seats takes out partners none of whose seats the request lets bid. One that
// lists no seats is asked: which seat bids is seen in the answer.
func (b *Book) seats(r *openrtb.BidRequest, m *Match, set *Set) {
	for _, p := range b.Order {
		seats := b.Partners[p].Seats
		if len(seats) == 0 || !set.Has(p) {
			continue
		}
		allowed := false
		for _, s := range seats {
			in := r.WSeat.Len() == 0 || lists(r.Strs(r.WSeat), s)
			allowed = allowed || in && !lists(r.Strs(r.BSeat), s)
		}
		if !allowed {
			set.Remove(p)
		}
	}
}

func lists(list []openrtb.Str, text string) bool {
	for _, s := range list {
		if s.Equal(text) {
			return true
		}
	}
	return false
}

// imp appends what the book says of an impression.
func (b *Book) imp(r *openrtb.BidRequest, imp *openrtb.Imp, wall unit.WallTime, m *Match, set *Set) {
	m.Imps = append(m.Imps, ImpMatch{Class: ClassOf(imp.Media)})
	x := &m.Imps[len(m.Imps)-1]
	for media := openrtb.BannerMedia; media <= openrtb.NativeMedia; media++ {
		if !imp.Media.Has(media) {
			continue
		}
		who := b.index.format[media]
		if media == openrtb.BannerMedia {
			b.sized(r, &imp.Banner, &who)
		}
		x.Partners.Or(&who)
	}
	x.Partners.And(set)
	if imp.PrivateAuction {
		who := b.index.asGiven
		for i, deals := 0, r.Deals(imp.Deals); i < len(deals); i++ {
			m.key = deals[i].ID.AppendText(m.key[:0])
			if d, ok := b.index.deals[string(m.key)]; ok {
				who.Or(&d)
			}
		}
		if imp.Deals.Len() == 0 {
			who = Set{}
		}
		x.Partners.And(&who)
	}
	x.Floor = b.floor(imp, wall, m)
	p := &b.premium
	m.Premium = m.Premium || imp.Media&p.formats != 0 || p.deals && imp.Deals.Len() > 0 || p.floor > 0 && x.Floor >= p.floor
}

// sized keeps those who have a banner of a size that fits; an offer without a
// size fits all.
func (b *Book) sized(r *openrtb.BidRequest, banner *openrtb.Banner, who *Set) {
	formats := r.Formats(banner.Formats)
	if len(b.index.size) == 0 || len(formats) == 0 && (banner.W <= 0 || banner.H <= 0) {
		return
	}
	fit := b.index.anySize
	if banner.W > 0 && banner.H > 0 {
		s := b.index.size[sizeKey(banner.W, banner.H)]
		fit.Or(&s)
	}
	for i := range formats {
		if formats[i].W <= 0 || formats[i].H <= 0 { // a ratio, which any size may have
			return
		}
		s := b.index.size[sizeKey(formats[i].W, formats[i].H)]
		fit.Or(&s)
	}
	who.And(&fit)
}

// floor is the higher of the impression's own and the file's.
func (b *Book) floor(imp *openrtb.Imp, wall unit.WallTime, m *Match) unit.CPMMicros {
	floor := b.floors.of(imp.Media, m)
	if own := imp.BidFloor; own > 0 {
		// A floor without a rate can be held by nobody but those who bid in its
		// currency: the judge compares it as it is.
		if own, ok := b.Rates(wall).ConvertUp(own, imp.BidFloorCur, b.Currency); ok {
			floor = max(floor, own)
		}
	}
	return floor
}
