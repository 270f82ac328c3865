package openrtb

import (
	"unsafe"

	"millrace/codec/unit"
)

// opensList enters the array at token k: the token of its first item; more is
// false if there is none, with the token after the array, or after the null
// in its place.
func (p *walker) opensList(k int) (first int, more bool) {
	switch at := int(p.x[k]); p.b[at] {
	case '[':
		if p.depth >= p.limit.Depth {
			return p.failAt(k, TooDeep), false
		}
		if k++; p.b[p.x[k]] == ']' {
			return k + 1, false
		}
		return k, true
	case 'n':
		return p.after(k, p.word(at, "null")), false
	}
	return p.failAt(k, Type), false
}

// endsList leaves an array of which no more items follow.
func (p *walker) endsList(k int) int {
	if p.b[p.x[k]] != ']' {
		return p.failAt(k, Syntax)
	}
	return k + 1
}

// strs reads a list of strings; null among them is left out.
func (p *walker) strs(k int, dst *StrSpan) int {
	*dst = StrSpan{}
	k, more := p.opensList(k)
	if !more {
		return k
	}
	c, list := p.cursor(), p.l.strs
	from := len(list)
	for {
		if len(list) >= p.limit.Items {
			return p.failAt(k, TooMany)
		}
		at, next := c.at(p, k), c.at(p, k+1)
		if n := next - at - 2; n >= 0 && c.byte(p, at) == '"' && c.byte(p, next-1) == '"' {
			list = append(list, c.str(at+1, n))
			k++
		} else {
			var s Str
			if k = p.slowStr(k, &s); k < 0 {
				return k
			}
			if s.Present() {
				list = append(list, s)
			}
		}
		if c.token(p, k) != ',' {
			break
		}
		k++
	}
	p.l.strs = list
	*dst = StrSpan{uint32(from), uint32(len(list) - from)}
	return p.endsList(k)
}

// ints reads a list of integers; null and what is no integer are left out.
func (p *walker) ints(k int, dst *IntSpan) int {
	*dst = IntSpan{}
	k, more := p.opensList(k)
	if !more {
		return k
	}
	c, list := p.cursor(), p.l.ints
	from, bad := len(list), p.bad
	for {
		if len(list) >= p.limit.Items {
			return p.failAt(k, TooMany)
		}
		var v int32
		null := c.token(p, k) == 'n'
		p.bad = false
		if k = p.int(k, &v, intField); k < 0 {
			return k
		}
		if !null && !p.bad {
			list = append(list, v)
		}
		if c.token(p, k) != ',' {
			break
		}
		k++
	}
	p.bad = bad
	p.l.ints = list
	*dst = IntSpan{uint32(from), uint32(len(list) - from)}
	return p.endsList(k)
}

// list reads a list of objects into a slab: each begins as zero, null is left
// out, and so is one with a bad number.
func list[T any](p *walker, k int, slab *[]T, zero T, o *table) (next int, from, n uint32) {
	from = uint32(len(*slab))
	k, more := p.opensList(k)
	if !more {
		return k, from, 0
	}
	bad := p.bad
	p.depth++
	for {
		if p.b[p.x[k]] == '{' {
			if len(*slab) >= p.limit.Items/8 {
				p.failAt(k, TooMany)
				return p.faultIn(o, nil), 0, 0
			}
			*slab = append(*slab, zero)
			p.bad = false
			k = p.members(k, unsafe.Pointer(&(*slab)[len(*slab)-1]), o)
			if p.bad {
				*slab = (*slab)[:len(*slab)-1]
				p.dropped++
			}
		} else {
			k = p.null(k)
		}
		if k < 0 {
			return p.faultIn(o, nil), 0, 0
		}
		if p.b[p.x[k]] != ',' {
			break
		}
		k++
	}
	p.depth--
	p.bad = bad
	return p.endsList(k), from, uint32(len(*slab)) - from
}

// null reads null where an object may stand.
func (p *walker) null(k int) int {
	at := int(p.x[k])
	if p.b[at] != 'n' {
		return p.failAt(k, Type)
	}
	return p.after(k, p.word(at, "null"))
}

// raw checks any value and keeps its bytes; null is absent.
func (p *walker) raw(k int, dst *Raw) int {
	*dst = Raw{}
	next := p.skip(k)
	if next < 0 || p.b[p.x[k]] == 'n' {
		return next
	}
	return p.keep(k, next, dst)
}

// keep keeps the bytes of the value between two tokens.
func (p *walker) keep(k, next int, dst *Raw) int {
	if next < 0 || next >= p.n {
		return p.failAt(p.n, Syntax)
	}
	at, end := int(p.x[k]), int(p.x[next])
	for byteClass[p.b[end-1]] == spaceByte {
		end--
	}
	*dst = Raw{p: &p.b[at], n: uint32(end - at)}
	return next
}

// rawOf is raw for a value that must begin with the bracket, or be null.
func (p *walker) rawOf(k int, dst *Raw, bracket byte) int {
	if c := p.b[p.x[k]]; c != bracket && c != 'n' {
		return p.failAt(k, Type)
	}
	return p.raw(k, dst)
}

// currency reads a currency code; absent or empty is USD, and what is no code
// is bad.
func (p *walker) currency(k int, dst *unit.Currency) int {
	var s Str
	if k = p.str(k, &s); k >= 0 {
		*dst = unit.USD
		p.parseCurrency(s, dst)
	}
	return k
}

// extStr reads a string inside ext, where nothing is required to be one.
func (p *walker) extStr(k int, dst *Str) int {
	if *dst = (Str{}); p.b[p.x[k]] == '"' {
		return p.str(k, dst)
	}
	return p.skip(k)
}

// extFlag reads a flag inside ext; what is none is skipped.
func (p *walker) extFlag(k int, dst, has *bool) int {
	var text Raw
	next := p.raw(k, &text)
	if *dst = false; next >= 0 {
		b := text.Bytes()
		*dst = string(b) == "1" || string(b) == "true" || string(b) == `"1"`
		*has = b != nil
	}
	return next
}

// extInts reads a list inside ext.
func (p *walker) extInts(k int, dst *IntSpan) int {
	*dst = IntSpan{}
	next := p.skip(k)
	if next < 0 || p.b[p.x[k]] != '[' {
		return next
	}
	before := p.err
	if p.ints(k, dst) < 0 {
		// A list of something else, or too long.
		p.err, *dst = before, IntSpan{}
	}
	return next
}

// skip checks a value nobody reads.
func (p *walker) skip(k int) int {
	c := p.cursor()
	switch c.token(p, k) {
	case '"':
		if k++; c.token(p, k) != '\\' {
			return k
		}
		return p.escapes(k - 1)
	case '{', '[':
		return p.skipNested(k)
	}
	return p.skipScalar(k)
}

// skipScalar is skip for numbers and words.
func (p *walker) skipScalar(k int) int {
	if _, ok := p.short(k); ok {
		return k + 1
	}
	return p.after(k, p.parser.skip(int(p.x[k])))
}

// skipNested checks an object or array without recursion: one bit tells for
// each open bracket what it is, which bounds the depth to 64.
func (p *walker) skipNested(k int) int {
	c, room, open := p.cursor(), p.limit.Depth-p.depth, uint64(0)
value:
	switch c.token(p, k) {
	case '"':
		if k++; c.token(p, k) == '\\' {
			k = p.escapes(k - 1)
		}
	case '{':
		if room--; room < 0 {
			return p.failAt(k, TooDeep)
		}
		open = open<<1 | 1
		if k++; c.token(p, k) != '}' {
			goto key
		}
		goto closing
	case '[':
		if room--; room < 0 {
			return p.failAt(k, TooDeep)
		}
		open <<= 1
		if k++; c.token(p, k) != ']' {
			goto value
		}
		goto closing
	default:
		k = p.skipScalar(k)
	}
	if k < 0 {
		return k
	}
after:
	if c.token(p, k) == ',' {
		k++
		if open&1 == 0 {
			goto value
		}
		goto key
	}
closing:
	if c.token(p, k) != byte(']'+open&1<<5) {
		return p.failAt(k, Syntax)
	}
	k++
	room++
	if open >>= 1; room < p.limit.Depth-p.depth {
		goto after
	}
	return k
key:
	if c.token(p, k) != '"' {
		return p.failAt(k, Syntax)
	}
	if k++; c.token(p, k) == '\\' {
		if k = p.escapes(k - 1); k < 0 {
			return k
		}
	}
	if c.token(p, k) != ':' {
		return p.failAt(k, Syntax)
	}
	k++
	goto value
}
