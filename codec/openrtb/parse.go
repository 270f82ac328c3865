package openrtb

import (
	"math"
	"unsafe"

	"github.com/cespare/xxhash/v2"
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
	var p walker
	p.request(body, r, limit)
	return p.err
}

func (p *walker) request(body []byte, r *BidRequest, limit Limits) {
	r.reset()
	p.b, p.key, p.limit, p.imp, p.r, p.l = body, &r.key, limit, -1, r, &r.lists
	if !p.begin(&r.index, '{') {
		return
	}
	switch k := p.members(0, unsafe.Pointer(r), requestTable); {
	case k < 0:
	case k != p.n:
		p.failAt(k, Syntax)
	default:
		p.check()
	}
}

// begin indexes the body; it is false if that can't be what the bracket opens.
func (p *walker) begin(x *index, bracket byte) bool {
	p.limit.Depth = min(p.limit.Depth, DepthMax)
	if len(p.b) > math.MaxInt32 {
		p.fail(0, TooLong)
		return false
	}
	if i := p.space(0); i >= len(p.b)-1 || p.b[i] != bracket {
		p.fail(i, Syntax)
		return false
	}
	if i, ok := x.build(p.b); !ok {
		p.fail(i, Syntax)
		return false
	}
	p.x, p.n = x.at, x.n
	return true
}

// reset empties the view and keeps its slabs. Objects that the last request
// did not have are clean already.
func (r *BidRequest) reset() {
	r.ID, r.TMax, r.At, r.Test, r.AllImps, r.CatTax, r.Ext = Str{}, 0, 0, false, false, 0, Raw{}
	r.Cur, r.ACat, r.BCat, r.BAdv, r.BApp = StrSpan{}, StrSpan{}, StrSpan{}, StrSpan{}, StrSpan{}
	r.WSeat, r.BSeat, r.WLang, r.WLangB = StrSpan{}, StrSpan{}, StrSpan{}, StrSpan{}
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
	r.lists.reset()
	r.index.shrink()
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

// check holds what can be known only at the end (rule 4).
func (p *walker) check() {
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
func (p *walker) checkImpIDs() {
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
