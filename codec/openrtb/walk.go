package openrtb

import (
	"unsafe"

	"millrace/codec/unit"
)

// walker is the second pass: it goes from token to token and fills a view. Its
// methods take the number of a value's first token and return the number of
// the token after the value, or a negative one with err set. Whatever is not
// as simple as nearly everything is (escapes, white space, odd numbers) is
// left to the parser, which reads by bytes.
type walker struct {
	parser
	x []uint32 // positions of the tokens, with padding
	n int      // tokens without the padding
	l *lists
	r *BidRequest // nil in details
	d *Details    // nil in a request
	// dropped counts the items that lists left out for a bad number.
	dropped int
	unasked bool // see presence
	steps   int  // accesses to tokens, counted with -tags invariants
}

// pos is where token k is, or the end.
func (p *walker) pos(k int) int {
	if k < p.n {
		return int(p.x[k])
	}
	return len(p.b)
}

// failAt notes the fault at token k.
//
//go:noinline
func (p *walker) failAt(k int, c Code) int { return p.fail(p.pos(k), c) }

// faultIn names the object and the field of a fault, as parser.fault does.
//
//go:noinline
func (p *walker) faultIn(o *table, f *field) int {
	if !p.named() {
		p.err.Object = o.path
		if f != nil && p.err.Code != Syntax && p.err.Code != TooDeep {
			p.err.Field = f.name
		}
	}
	return -1
}

// after is the number of the first token after a value that begins with token
// k and that was read by bytes up to end. A number or word must end there.
func (p *walker) after(k, end int) int {
	if end < 0 {
		return end
	}
	for k++; k < p.n && int(p.x[k]) < end; k++ {
	}
	if k >= p.n || end != int(p.x[k]) && byteClass[p.b[end]] != spaceByte {
		return p.fail(end, Syntax)
	}
	return k
}

const (
	zeros  = '0' * ones
	belowX = (0x80 - 10) * ones
)

// members reads the object whose brace is token k into the struct at base, by
// its table.
func (p *walker) members(k int, base unsafe.Pointer, o *table) int {
	c := p.cursor()
	if p.depth++; p.depth > p.limit.Depth {
		return p.failAt(k, TooDeep)
	}
	k++
	if c.token(p, k) == '}' {
		p.depth--
		return k + 1
	}
	for {
		// The key: nearly always a quote, the name, a quote and a colon.
		quote, colon := c.at(p, k), c.at(p, k+1)
		if c.byte(p, quote) != '"' {
			return p.failMember(k, o)
		}
		var f *field
		if n := colon - quote - 2; n > 0 && quote+9 <= len(p.b) && c.pair(p, colon-1) == '"'|':'<<8 {
			f = o.lookup(c.word(p, quote+1)<<shiftOf(n), (*byte)(unsafe.Add(c.b, quote+1)), n)
			k += 2
		} else if f, k = p.slowKey(k, o); k < 0 {
			return p.faultIn(o, nil)
		}

		at, dst := c.at(p, k), unsafe.Add(base, f.off)
		switch f.kind {
		case noField:
			k = p.skip(k)
		case strField:
			next := c.at(p, k+1)
			if n := next - at - 2; n >= 0 && c.byte(p, at) == '"' && c.byte(p, next-1) == '"' {
				*(*Str)(dst) = c.str(at+1, n)
				k++
			} else {
				k = p.slowStr(k, (*Str)(dst))
			}
		case intField, sizeField:
			k = p.int(k, (*int32)(dst), f.kind)
			if f.has != 0 {
				*(*bool)(unsafe.Add(base, f.has)) = c.byte(p, at) != 'n'
			}
		case flagField, wishField:
			k = p.truth(k, (*bool)(dst), f.kind == wishField)
			if f.has != 0 {
				*(*bool)(unsafe.Add(base, f.has)) = c.byte(p, at) != 'n'
			}
		case triField:
			k = p.tri(k, (*Tri)(dst))
		case strsField:
			k = p.strs(k, (*StrSpan)(dst))
		case intsField:
			k = p.ints(k, (*IntSpan)(dst))
		case rawField:
			k = p.raw(k, (*Raw)(dst))
		default:
			k = p.special(k, base, f)
		}
		if k < 0 {
			return p.faultIn(o, f)
		}
		switch c.token(p, k) {
		case ',':
			k++
		case '}':
			p.depth--
			return k + 1
		default:
			return p.failMember(k, o)
		}
	}
}

// failMember is a fault between the members of an object.
//
//go:noinline
func (p *walker) failMember(k int, o *table) int {
	p.failAt(k, Syntax)
	return p.faultIn(o, nil)
}

// slowKey reads the key at token k that is not as most are: its field, and the
// token of its value.
func (p *walker) slowKey(k int, o *table) (*field, int) {
	i := int(p.x[k]) + 1
	end, escaped := p.scan(i)
	if end < 0 {
		return nil, end
	}
	name := p.b[i:end:end]
	if escaped {
		name = p.decodeKey(name)
	}
	for k++; k < p.n && int(p.x[k]) < end; k++ {
	}
	if p.b[p.x[k]] != ':' {
		return nil, p.failAt(k, Syntax)
	}
	return o.find(name), k + 1
}

// short is the number of n digits, if it is one, that a word begins with: all
// digits at once; the bytes after it are shifted out, which leaves zeros
// before it.
func short(w uint64, n int) (int32, bool) {
	d := (w ^ zeros) << (uint(64-8*n) & 63)
	ok := uint(n-1) < 8 && (d+belowX|d)&highs == 0 && (n == 1 || byte(w) != '0')
	d = d * (10<<8 + 1) >> 8 & 0x00ff00ff00ff00ff
	d = d * (100<<16 + 1) >> 16 & 0x0000ffff0000ffff
	return int32(d * (10000<<32 + 1) >> 32), ok
}

// decimal is the number of up to 15 digits between two tokens, as digits and
// how many of them are behind the point.
func (p *walker) decimal(at, next int) (mant int64, behind int, ok bool) {
	b := p.b
	if next-at > 16 || b[at] == '0' && next-at > 1 && b[at+1] != '.' {
		return 0, 0, false
	}
	point := next
	for i := at; i < next; i++ {
		if d := b[i] - '0'; d <= 9 {
			mant = mant*10 + int64(d)
		} else if b[i] == '.' && point == next && i > at && i < next-1 {
			point = i + 1
		} else {
			return 0, 0, false
		}
	}
	return mant, next - point, point < next || next-at < 16
}

// price reads a price per thousand.
func (p *walker) price(k int, dst *unit.CPMMicros, has *bool) int {
	at := int(p.x[k])
	if mant, behind, ok := p.decimal(at, int(p.x[k+1])); ok && behind <= 6 && mant < 1e12 {
		for ; behind < 6; behind++ {
			mant *= 10
		}
		*dst, *has = unit.CPMMicros(mant), true
		return k + 1
	}
	return p.after(k, p.cpm(at, dst, has))
}

// real reads any number. Fifteen digits and a power of ten are exact, so that
// one division rounds correctly.
func (p *walker) real(k int, dst *float64, has *bool) int {
	at := int(p.x[k])
	if mant, behind, ok := p.decimal(at, int(p.x[k+1])); ok {
		*dst, *has = float64(mant)/pow10[behind], true
		return k + 1
	}
	return p.after(k, p.float(at, dst, has))
}

// short is the number at token k if that is a short one.
func (p *walker) short(k int) (int32, bool) {
	c := p.cursor()
	at := c.at(p, k)
	if at+8 > len(p.b) {
		return 0, false
	}
	return short(c.word(p, at), c.at(p, k+1)-at)
}

// int reads an integer.
func (p *walker) int(k int, dst *int32, how kind) int {
	if v, ok := p.short(k); ok {
		*dst = v
		return k + 1
	}
	at := int(p.x[k])
	// Negative, in quotes, null, or none.
	if how == sizeField {
		return p.after(k, p.size(at, dst))
	}
	return p.after(k, p.integer(at, dst))
}

// truth reads a flag; an unreadable one is bad and otherwise.
func (p *walker) truth(k int, dst *bool, otherwise bool) int {
	c := p.cursor()
	at := c.at(p, k)
	if d := c.byte(p, at) - '0'; d <= 1 && c.at(p, k+1) == at+1 {
		*dst = d != 0
		return k + 1
	}
	return p.after(k, p.flag(at, dst, otherwise))
}

func (p *walker) tri(k int, dst *Tri) int {
	at := int(p.x[k])
	if d := p.b[at] - '0'; d <= 1 && int(p.x[k+1]) == at+1 {
		*dst = No + Tri(d)
		return k + 1
	}
	if *dst = Unset; p.b[at] == 'n' {
		return p.after(k, p.word(at, "null"))
	}
	bad, set := p.bad, false
	p.bad = false
	k = p.after(k, p.flag(at, &set, false))
	if set {
		*dst = Yes
	} else if !p.bad {
		*dst = No
	}
	p.bad = p.bad || bad
	return k
}

// str reads a string or null.
func (p *walker) str(k int, dst *Str) int {
	b, at, next := p.b, int(p.x[k]), int(p.x[k+1])
	if n := next - at - 2; n >= 0 && b[at] == '"' && b[next-1] == '"' {
		*dst = Str{p: &b[at+1], n: uint32(n)}
		return k + 1
	}
	return p.slowStr(k, dst)
}

// slowStr is str for a string with escapes or with space after it, and null.
func (p *walker) slowStr(k int, dst *Str) int {
	b, at := p.b, int(p.x[k])
	if b[at] != '"' {
		return p.after(k, p.parser.str(at, dst))
	}
	next := p.escapes(k)
	if next < 0 || next >= p.n {
		return p.failAt(p.n, Syntax)
	}
	end := int(p.x[next]) - 1
	for b[end] != '"' {
		end-- // white space
	}
	*dst = Str{p: &b[at+1], n: uint32(end - at - 1), escaped: next > k+1}
	return next
}

// escapes checks the escapes of the string at token k, each of which is a
// token: the token after the string.
func (p *walker) escapes(k int) int {
	c := p.cursor()
	for k++; c.token(p, k) == '\\'; k++ {
		// A string that ends, and all do, has a byte after a backslash.
		i := c.at(p, k)
		if !shortEscape[c.byte(p, i+1)] && p.escape(i) < 0 {
			return -1
		}
	}
	return k
}

// shortEscape are the bytes that are an escape with a backslash before them.
var shortEscape = [256]bool{'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}
