package openrtb

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"millrace/codec/unit"
)

// Limits bound what one request may cost.
type Limits struct {
	// Depth of nesting, at most 64.
	Depth int
	// Imps is the number of impressions.
	Imps int
	// Items is the number of strings, and of integers, in all lists together;
	// of what is larger (sizes, deals, data, segments) an eighth. It bounds
	// the memory of a view: about 50 bytes an item.
	Items int
}

// DepthMax is the greatest Limits.Depth.
const DepthMax = 64

// DefaultLimits are Parse's.
func DefaultLimits() Limits { return Limits{Depth: DepthMax, Imps: 100, Items: 1 << 15} }

// Parse reads a request into r, under the default limits. On a fault r holds
// what was read until then and must not be used.
func Parse(body []byte, r *BidRequest) Error { return ParseLimits(body, r, DefaultLimits()) }

// ParseLimits is Parse under the given limits.
func ParseLimits(body []byte, r *BidRequest, limit Limits) Error {
	p := parser{b: body, r: r, key: &r.key, limit: limit, imp: -1}
	p.limit.Depth = min(limit.Depth, DepthMax)
	r.reset()
	if len(body) > math.MaxInt32 {
		p.fail(0, TooLong)
		return p.err
	}
	i := p.space(0)
	if i >= len(body) || body[i] != '{' {
		p.fail(i, Syntax)
		return p.err
	}
	if i = p.request(i); i >= 0 {
		if i = p.space(i); i < len(body) {
			p.fail(i, Syntax)
		} else {
			p.check()
		}
	}
	return p.err
}

// reset empties the view and keeps its slabs. Objects that the last request
// did not have are clean already.
func (r *BidRequest) reset() {
	r.ID, r.TMax, r.At, r.Test, r.AllImps, r.CatTax, r.Ext = Str{}, 0, 0, false, false, 0, Raw{}
	r.Cur, r.BCat, r.BAdv, r.BApp = StrSpan{}, StrSpan{}, StrSpan{}, StrSpan{}
	r.WSeat, r.BSeat, r.WLang = StrSpan{}, StrSpan{}, StrSpan{}
	r.Imp = r.Imp[:0]
	if r.Inventory.Kind != NoInventory {
		r.Inventory = Inventory{}
	}
	if r.Device.Present {
		r.Device = Device{}
	}
	if r.User.Present {
		r.User = User{}
	}
	if r.Regs.Present {
		r.Regs = Regs{}
	}
	if r.Source.Present {
		r.Source = Source{}
	}
	r.strs, r.ints, r.formats = emptied(r.strs), emptied(r.ints), emptied(r.formats)
	r.deals, r.data, r.segments = emptied(r.deals), emptied(r.data), emptied(r.segments)
	r.scratch = emptied(r.scratch)
}

// keptMax is the size of a slab, in items, that a view keeps for the next
// request; one rare giant is not to weigh on a pool for ever.
const keptMax = 1 << 14

func emptied[T any](slab []T) []T {
	if cap(slab) > keptMax {
		return nil
	}
	return slab[:0]
}

// room reports whether a slab of n items may grow under the limit.
func (p *parser) room(i, n, limit int) bool {
	if n >= limit {
		p.fail(i, TooMany)
	}
	return n < limit
}

// request reads the outermost object.
func (p *parser) request(i int) int {
	r := p.r
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.str(i, &r.ID)
		case "imp":
			i = p.imps(i)
		case "site":
			i = p.inventory(i, SiteInventory)
		case "app":
			i = p.inventory(i, AppInventory)
		case "dooh":
			i = p.inventory(i, DOOHInventory)
		case "device":
			i = p.device(i)
		case "user":
			i = p.user(i)
		case "regs":
			i = p.regs(i)
		case "source":
			i = p.source(i)
		case "at":
			i = p.integer(i, (*int32)(&r.At))
		case "tmax":
			i = p.tmax(i)
		case "test":
			i = p.flag(i, &r.Test, true)
		case "allimps":
			i = p.flag(i, &r.AllImps, false)
			p.bad = false
		case "cattax":
			i = p.integer(i, (*int32)(&r.CatTax))
			p.bad = false
		case "cur":
			i = p.strs(i, &r.Cur)
		case "bcat":
			i = p.strs(i, &r.BCat)
		case "badv":
			i = p.strs(i, &r.BAdv)
		case "bapp":
			i = p.strs(i, &r.BApp)
		case "wseat":
			i = p.strs(i, &r.WSeat)
		case "bseat":
			i = p.strs(i, &r.BSeat)
		case "wlang":
			i = p.strs(i, &r.WLang)
		case "ext":
			i = p.raw(i, &r.Ext)
		default:
			i = p.skip(i)
		}
		if p.bad && i >= 0 {
			// at, tmax or test: the object with the bad number is the request.
			i = p.fail(i, Invalid)
		}
		if i < 0 {
			return p.fault("", k)
		}
		k, i = p.next(i)
	}
	return i
}

// tmax is milliseconds; exchanges that compute it send fractions (rule 5).
func (p *parser) tmax(i int) int {
	var v number
	if i = p.number(i, &v); i < 0 {
		return i
	}
	if p.r.TMax = 0; v.absent {
		return i
	}
	n, ok := v.int32(true)
	p.r.TMax = n
	p.bad = p.bad || !ok || n < 0
	return i
}

// check holds what can be known only at the end (rule 4).
func (p *parser) check() {
	r, end := p.r, len(p.b)
	switch {
	case r.ID.IsZero():
		p.missing(end, "", "id")
	case len(r.Imp) == 0:
		p.missing(end, "", "imp")
	default:
		p.checkImpIDs()
	}
}

// checkImpIDs finds two impressions of one id. Few are compared pair by pair;
// for many, hashes keep the work linear in their bytes.
func (p *parser) checkImpIDs() {
	r := p.r
	if len(r.Imp) < 2 {
		return
	}
	const few = 4
	for i := range r.Imp {
		if len(r.Imp) > few {
			var text []byte
			text, r.scratch = r.Imp[i].ID.Text(r.scratch)
			r.Imp[i].idHash = xxhash.Sum64(text)
		}
		for j := range i {
			if r.Imp[i].idHash == r.Imp[j].idHash && r.Imp[i].ID.EqualStr(r.Imp[j].ID) {
				p.imp = int32(i)
				p.fail(len(p.b), Duplicate)
				p.err.Object, p.err.Field = "imp[]", "id"
				return
			}
		}
	}
}

func (p *parser) imps(i int) int {
	r := p.r
	r.Imp = r.Imp[:0]
	i, ok := p.array(i)
	if !ok {
		return i
	}
	i, done := p.firstItem(i)
	for !done {
		p.imp = int32(len(r.Imp))
		if len(r.Imp) >= p.limit.Imps {
			p.imp = -1
			return p.fail(i, TooMany)
		}
		if p.b[i] != '{' {
			p.fail(i, Type)
			p.err.Object = "imp[]"
			return -1
		}
		r.Imp = append(r.Imp, Imp{})
		if i = p.impression(i, &r.Imp[len(r.Imp)-1]); i < 0 {
			return i
		}
		i, done = p.nextItem(i)
	}
	p.imp = -1
	return i
}

func (p *parser) impression(i int, m *Imp) int {
	start := i
	m.BidFloorCur = unit.USD
	rewarded := false
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.str(i, &m.ID)
		case "tagid":
			i = p.str(i, &m.TagID)
		case "banner":
			i = p.banner(i, m)
		case "video":
			i = p.video(i, m)
		case "audio":
			i = p.audio(i, m)
		case "native":
			i = p.native(i, m)
		case "pmp":
			i = p.pmp(i, m)
		case "bidfloor":
			i = p.cpm(i, &m.BidFloor, &m.HasBidFloor)
		case "bidfloorcur":
			i = p.currency(i, &m.BidFloorCur, unit.USD)
		case "exp":
			i = p.size(i, &m.Exp)
		case "secure":
			i = p.flag(i, &m.Secure, true)
		case "instl":
			i = p.flag(i, &m.Instl, false)
		case "rwdd":
			i = p.flag(i, &m.Rwdd, false)
		case "ext":
			i = p.impExt(i, m, &rewarded)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("imp[]", k)
		}
		k, i = p.next(i)
	}
	if i < 0 {
		return p.fault("imp[]", nil)
	}
	m.Rwdd = m.Rwdd || rewarded
	if m.Invalid, p.bad = p.bad, false; m.Invalid {
		m.Media = 0
	}
	switch {
	case m.ID.IsZero():
		return p.missing(start, "imp[]", "id")
	case m.Listed == 0:
		return p.missing(start, "imp[]", "banner|video|audio|native")
	}
	return i
}

// media begins the object of a media type: absent, or listed and valid until
// endMedia finds a bad number.
func (p *parser) media(i int, m *Imp, t MediaType) (next int, ok bool) {
	m.Media &^= t.Mask()
	m.Listed &^= t.Mask()
	if i, ok = p.object(i); ok {
		m.Listed |= t.Mask()
	}
	return i, ok
}

// endMedia ends what media began; bad is the impression's own.
func (p *parser) endMedia(i int, m *Imp, t MediaType, bad bool, object string) int {
	if !p.bad {
		m.Media |= t.Mask()
	}
	p.bad = bad
	return p.end(i, object)
}

// end names the object whose syntax failed between members.
func (p *parser) end(i int, object string) int {
	if i < 0 {
		return p.fault(object, nil)
	}
	return i
}
