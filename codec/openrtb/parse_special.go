package openrtb

import (
	"unsafe"

	"millrace/codec/unit"
)

// special reads a field of the request that takes more than a row of a table.
func (p *walker) special(k int, base unsafe.Pointer, f *field) int {
	dst := unsafe.Add(base, f.off)
	switch f.kind {
	case objectRaw:
		return p.rawOf(k, (*Raw)(dst), '{')
	case arrayRaw:
		return p.rawOf(k, (*Raw)(dst), '[')
	case floatField:
		var has bool
		k = p.after(k, p.float(int(p.x[k]), (*float64)(dst), &has))
		if f.has != 0 {
			*(*bool)(unsafe.Add(base, f.has)) = has
		}
		return k
	case cpmField:
		var has bool
		k = p.after(k, p.cpm(int(p.x[k]), (*unit.CPMMicros)(dst), &has))
		if f.has != 0 {
			*(*bool)(unsafe.Add(base, f.has)) = has
		}
		return k
	case currencyOf:
		return p.currency(k, (*unit.Currency)(dst))
	case extStr:
		return p.extStr(k, (*Str)(dst))
	case extFlag:
		var has bool
		k = p.extFlag(k, (*bool)(dst), &has)
		if f.has != 0 {
			*(*bool)(unsafe.Add(base, f.has)) = has
		}
		return k
	case extInts:
		return p.extInts(k, (*IntSpan)(dst))
	case strictInt, strictWish, tmaxField, looseInt, looseFlag:
		return p.requestNumber(k, dst, f.kind)
	case impsField, bannerField, videoField, audioField, nativeField, pmpField, formatsField, dealsField, impExtField, prebidField:
		return p.specialImp(k, base, dst, f.kind)
	case nodesField, uidsField, browsersField, platformField, refSettingsField:
		return p.specialDetail(k, dst, f.kind)
	}
	return p.specialParty(k, dst, f.kind)
}

// requestNumber reads a number of the request itself. If a strict one can't be
// read then the object with the bad number is the request.
func (p *walker) requestNumber(k int, dst unsafe.Pointer, how kind) int {
	at := int(p.x[k])
	switch how {
	case strictInt, looseInt:
		k = p.after(k, p.integer(at, (*int32)(dst)))
	case tmaxField:
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

func (p *walker) specialImp(k int, base, dst unsafe.Pointer, how kind) int {
	switch how {
	case impsField:
		return p.imps(k)
	case bannerField:
		m := (*Imp)(base)
		m.Banner = Banner{}
		return p.media(k, m, BannerMedia, dst, bannerTable)
	case videoField:
		m := (*Imp)(base)
		m.Video = Video{}
		k = p.media(k, m, VideoMedia, dst, videoTable)
		if v := &m.Video; v.protocol != 0 && v.Protocols.n == 0 {
			v.Protocols = IntSpan{uint32(len(p.l.ints)), 1}
			p.l.ints = append(p.l.ints, v.protocol)
		}
		return k
	case audioField:
		m := (*Imp)(base)
		m.Audio = Audio{}
		return p.media(k, m, AudioMedia, dst, audioTable)
	case nativeField:
		m := (*Imp)(base)
		m.Native = Native{}
		return p.media(k, m, NativeMedia, dst, nativeTable)
	case pmpField:
		return p.pmp(k, (*Imp)(base))
	case formatsField:
		s := (*FormatSpan)(dst)
		k, s.off, s.n = list(p, k, &p.l.formats, Format{}, formatTable)
		return k
	case dealsField:
		s := (*DealSpan)(dst)
		k, s.off, s.n = list(p, k, &p.l.deals, Deal{BidFloorCur: unit.USD}, dealTable)
		return k
	case impExtField:
		m := (*Imp)(base)
		m.rewarded = false
		return p.extension(k, base, &m.Ext, impExtTable)
	}
	return p.extension(k, base, nil, prebidTable)
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
			return p.faultIn("imp[]", "")
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
	if m.filled.Has(BannerMedia) {
		m.Banner = Banner{}
	}
	if m.filled.Has(VideoMedia) {
		m.Video = Video{}
	}
	if m.filled.Has(AudioMedia) {
		m.Audio = Audio{}
	}
	if m.filled.Has(NativeMedia) {
		m.Native = Native{}
	}
	m.imp = imp{BidFloorCur: unit.USD}
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
func (p *walker) media(k int, m *Imp, t MediaType, dst unsafe.Pointer, o *table) int {
	m.Media &^= t.Mask()
	m.Listed &^= t.Mask()
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	m.Listed |= t.Mask()
	m.filled |= t.Mask()
	bad := p.bad
	p.bad = false
	k = p.members(k, dst, o)
	if !p.bad {
		m.Media |= t.Mask()
	}
	p.bad = bad
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
