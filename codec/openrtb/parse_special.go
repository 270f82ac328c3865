package openrtb

import (
	"unsafe"

	"millrace/codec/unit"
)

// special reads a field that takes more than a few lines.
func (p *walker) special(k int, base unsafe.Pointer, f *field) int {
	dst := unsafe.Add(base, f.off)
	switch f.kind {
	case mediaField:
		return p.media(k, (*Imp)(base), dst, f)
	case formatsField:
		s := (*FormatSpan)(dst)
		k, s.off, s.n = list(p, k, &p.l.formats, Format{}, formatTable)
		return k
	case cpmField:
		return p.price(k, (*unit.CPMMicros)(dst), p.presence(base, f))
	case currencyOf:
		return p.currency(k, (*unit.Currency)(dst))
	case floatField:
		return p.real(k, (*float64)(dst), p.presence(base, f))
	case objectRaw:
		return p.rawOf(k, (*Raw)(dst), '{')
	case arrayRaw:
		return p.rawOf(k, (*Raw)(dst), '[')
	case impExtField:
		m := (*Imp)(base)
		m.rewarded = false
		return p.extension(k, base, &m.Ext, impExtTable)
	case impsField:
		return p.imps(k)
	case pmpField:
		return p.pmp(k, (*Imp)(base))
	case dealsField:
		s := (*DealSpan)(dst)
		k, s.off, s.n = list(p, k, &p.l.deals, Deal{BidFloorCur: unit.USD}, dealTable)
		return k
	case inventoryField:
		return p.inventory(k, InventoryKind(f.arg), f.sub)
	case publisherField:
		return p.publisher(k)
	case contentField:
		return p.content(k)
	case deviceField:
		return p.device(k)
	case geoField:
		return p.geo(k, (*Geo)(dst), f.sub)
	case userField:
		return p.user(k)
	case dataField:
		s := (*DataSpan)(dst)
		k, s.off, s.n = list(p, k, &p.l.data, Data{}, f.sub)
		return k
	case segmentsField:
		s := (*SegmentSpan)(dst)
		k, s.off, s.n = list(p, k, &p.l.segments, Segment{}, segmentTable)
		return k
	case regsField:
		return p.regs(k)
	case sourceField:
		return p.source(k)
	case strictInt, strictWish, tmaxField, looseInt, looseFlag:
		return p.requestNumber(k, dst, f.kind)
	}
	return p.rare(k, base, f)
}

// rare is special for what few requests have.
func (p *walker) rare(k int, base unsafe.Pointer, f *field) int {
	dst := unsafe.Add(base, f.off)
	switch f.kind {
	case extStr:
		return p.extStr(k, (*Str)(dst))
	case extFlag:
		return p.extFlag(k, (*bool)(dst), p.presence(base, f))
	case extInts:
		return p.extInts(k, (*IntSpan)(dst))
	case prebidField:
		return p.extension(k, base, nil, prebidTable)
	case userExtField:
		return p.userExt(k, &p.r.User)
	case regsExtField:
		return p.regsExt(k, &p.r.Regs)
	case sourceExtField:
		return p.sourceExt(k, &p.r.Source)
	case nodesField, uidsField, browsersField, platformField, refSettingsField:
		return p.specialDetail(k, dst, f.kind)
	}
	panic("openrtb: a field's kind is read by nobody")
}

// presence is the bool that tells whether a field was given, or one that
// nobody asks for.
func (p *walker) presence(base unsafe.Pointer, f *field) *bool {
	if f.has == 0 {
		return &p.unasked
	}
	return (*bool)(unsafe.Add(base, f.has))
}

// requestNumber reads a number of the request itself. If a strict one can't be
// read then the object with the bad number is the request.
func (p *walker) requestNumber(k int, dst unsafe.Pointer, how kind) int {
	at := int(p.x[k])
	switch how {
	case strictInt, looseInt:
		k = p.int(k, (*int32)(dst), intField)
	case tmaxField:
		if v, ok := p.short(k); ok {
			*(*int32)(dst) = v
			return k + 1
		}
		k = p.after(k, p.tmax(at, (*int32)(dst)))
	default:
		k = p.after(k, p.flag(at, (*bool)(dst), how == strictWish))
	}
	if p.bad && k >= 0 && how != looseInt && how != looseFlag {
		return p.fail(at, Invalid)
	}
	p.bad = false
	return k
}

// tmax is milliseconds; exchanges that compute it send fractions (rule 5).
func (p *parser) tmax(i int, dst *int32) int {
	var v number
	if i = p.number(i, &v); i < 0 {
		return i
	}
	if *dst = 0; v.absent {
		return i
	}
	n, ok := v.int32(true)
	*dst = n
	p.bad = p.bad || !ok || n < 0
	return i
}

func (p *walker) imps(k int) int {
	r := p.r
	r.Imp = r.Imp[:0]
	k, more := p.opensList(k)
	if !more {
		return k
	}
	p.depth++
	for {
		p.imp = int32(len(r.Imp))
		if len(r.Imp) >= p.limit.Imps {
			p.imp = -1
			return p.failAt(k, TooMany)
		}
		if p.b[p.x[k]] != '{' {
			p.failAt(k, Type)
			return p.faultIn(impTable, nil)
		}
		if len(r.Imp) < cap(r.Imp) {
			r.Imp = r.Imp[:len(r.Imp)+1]
		} else {
			r.Imp = append(r.Imp, Imp{})
		}
		if k = p.impression(k, &r.Imp[len(r.Imp)-1]); k < 0 {
			return k
		}
		if p.b[p.x[k]] != ',' {
			break
		}
		k++
	}
	p.depth--
	p.imp = -1
	return p.endsList(k)
}

// clear empties an impression that may have been used.
func (m *Imp) clear() {
	if m.filled != 0 {
		m.clearMedia(m.filled)
	}
	m.imp = imp{}
	m.BidFloorCur = unit.USD
}

func (m *Imp) clearMedia(set MediaMask) {
	if set.Has(BannerMedia) {
		m.Banner = Banner{}
	}
	if set.Has(VideoMedia) {
		m.Video = Video{}
	}
	if set.Has(AudioMedia) {
		m.Audio = Audio{}
	}
	if set.Has(NativeMedia) {
		m.Native = Native{}
	}
}

func (p *walker) impression(k int, m *Imp) int {
	start := p.pos(k)
	m.clear()
	if k = p.members(k, unsafe.Pointer(m), impTable); k < 0 {
		return k
	}
	m.Rwdd = m.Rwdd || m.rewarded
	if m.Invalid, p.bad = p.bad, false; m.Invalid {
		m.Media = 0
	}
	switch {
	case m.ID.IsZero():
		return p.missing(start, "imp[]", "id")
	case m.Listed == 0:
		return p.missing(start, "imp[]", "banner|video|audio|native")
	}
	return k
}

// media reads the object of a media type: absent, or listed, and valid unless
// it has a bad number.
func (p *walker) media(k int, m *Imp, dst unsafe.Pointer, f *field) int {
	t := MediaType(f.arg)
	if m.filled.Has(t) {
		m.clearMedia(t.Mask())
	}
	m.Media &^= t.Mask()
	m.Listed &^= t.Mask()
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	m.Listed |= t.Mask()
	m.filled |= t.Mask()
	bad := p.bad
	p.bad = false
	k = p.members(k, dst, f.sub)
	if !p.bad {
		m.Media |= t.Mask()
	}
	p.bad = bad
	if v := &m.Video; t == VideoMedia && v.protocol != 0 && v.Protocols.n == 0 {
		v.Protocols = IntSpan{uint32(len(p.l.ints)), 1}
		p.l.ints = append(p.l.ints, v.protocol)
	}
	return k
}

func (p *walker) pmp(k int, m *Imp) int {
	m.HasPMP, m.PrivateAuction, m.Deals, m.PMPExt = false, false, DealSpan{}, Raw{}
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	m.HasPMP = true
	return p.members(k, unsafe.Pointer(m), pmpTable)
}

// extension reads what is known of an ext and keeps it as a whole. Nothing in
// ext is ever a fault, but for its syntax.
func (p *walker) extension(k int, base unsafe.Pointer, whole *Raw, o *table) int {
	if p.b[p.x[k]] != '{' {
		if whole == nil {
			return p.skip(k)
		}
		return p.raw(k, whole)
	}
	next := p.members(k, base, o)
	if whole == nil || next < 0 {
		return next
	}
	return p.keep(k, next, whole)
}
