package openrtb

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// keyMax bounds the keys that had escapes and are decoded; it is longer than
// all we know.
const keyMax = 48

// parser walks a body. Its methods take the index of a value's first byte and
// return the index after it, or a negative one with err set: the position
// stays in a register, and no value is looked at twice.
type parser struct {
	b     []byte
	key   *[keyMax]byte
	depth int
	limit Limits
	imp   int32 // index of the impression being read, -1 outside
	// bad is set by readers of numbers that could not be read; the reader of
	// the enclosing object decides what that means and clears it.
	bad bool
	// kinds are the distribution channels seen, a bit each.
	kinds uint8
	err   Error
}

// fail notes the first fault; later ones are consequences.
func (p *parser) fail(i int, c Code) int {
	if p.err.Code == OK {
		p.err = Error{Code: c, Offset: int32(min(i, len(p.b))), Imp: p.imp}
	}
	return -1
}

// fault names the object and the field in which a fault was found, unless the
// reader of an inner object did. Keys that are not ours stay unnamed: a reason
// never echoes what a client made up.
func (p *parser) fault(object string, key []byte) int {
	if !p.named() {
		p.err.Object = object
		if p.err.Code != Syntax && p.err.Code != TooDeep {
			p.err.Field = unsafe.String(unsafe.SliceData(key), len(key))
		}
	}
	return -1
}

// missing is the fault of a required field.
func (p *parser) missing(i int, object, field string) int {
	p.fail(i, Missing)
	p.err.Object, p.err.Field = object, field
	return -1
}

func (p *parser) named() bool { return p.err.Object != "" || p.err.Field != "" }

// room reports whether a slab of n items may grow under the limit.
func (p *parser) room(i, n, limit int) bool {
	if n >= limit {
		p.fail(i, TooMany)
	}
	return n < limit
}

// end names the object whose syntax failed between members.
func (p *parser) end(i int, object string) int {
	if i < 0 {
		return p.fault(object, nil)
	}
	return i
}

// space skips white space.
func (p *parser) space(i int) int {
	for ; i < len(p.b); i++ {
		switch p.b[i] {
		case ' ', '\n', '\t', '\r':
		default:
			return i
		}
	}
	return i
}

// first enters the object whose brace is at i: the first key and the index of
// its value. A nil key is the end: of the object, or with a negative index a
// fault.
func (p *parser) first(i int) ([]byte, int) {
	if p.depth++; p.depth > p.limit.Depth {
		return nil, p.fail(i, TooDeep)
	}
	if i++; i < len(p.b) && p.b[i] <= ' ' {
		i = p.space(i)
	}
	if i < len(p.b) && p.b[i] == '}' {
		p.depth--
		return nil, i + 1
	}
	return p.keyAt(i)
}

// next goes on to the next key, as first.
func (p *parser) next(i int) ([]byte, int) {
	// Nearly always: a comma, a short key and a colon without spaces.
	if b := p.b; i+13 <= len(b) && b[i] == ',' && b[i+1] == '"' {
		end := i + 2 + bits.TrailingZeros64(ending(binary.LittleEndian.Uint64(b[i+2:])))>>3
		if b[end] == '"' && b[end+1] == ':' && b[end+2] > ' ' {
			return b[i+2 : end : end], end + 2
		}
	}
	if i < len(p.b) && p.b[i] <= ' ' {
		i = p.space(i)
	}
	if i >= len(p.b) {
		return nil, p.fail(i, Syntax)
	}
	switch p.b[i] {
	case ',':
		if i++; i < len(p.b) && p.b[i] <= ' ' {
			i = p.space(i)
		}
		return p.keyAt(i)
	case '}':
		p.depth--
		return nil, i + 1
	}
	return nil, p.fail(i, Syntax)
}

// keyAt reads the key at i and its colon. Most keys are shorter than eight
// bytes and take one step.
func (p *parser) keyAt(i int) ([]byte, int) {
	b := p.b
	if i >= len(b) || b[i] != '"' {
		return nil, p.fail(i, Syntax)
	}
	i++
	start, end, escaped := i, 0, false
	if i+8 <= len(b) {
		end = i + bits.TrailingZeros64(ending(binary.LittleEndian.Uint64(b[i:])))>>3
	}
	if end >= len(b) || b[end] != '"' {
		if end, escaped = p.scan(i); end < 0 {
			return nil, end
		}
	}
	key := b[start:end:end]
	if escaped {
		key = p.decodeKey(key)
	}
	i = end + 1
	if i < len(b) && b[i] <= ' ' {
		i = p.space(i)
	}
	if i >= len(b) || b[i] != ':' {
		return nil, p.fail(i, Syntax)
	}
	if i++; i < len(b) && b[i] <= ' ' {
		i = p.space(i)
	}
	if i >= len(b) {
		return nil, p.fail(i, Syntax)
	}
	return key, i
}

// decodeKey is the key without its escapes if it can be one of ours.
func (p *parser) decodeKey(raw []byte) []byte {
	if len(raw) > 6*keyMax {
		return raw[:1] // a backslash: nobody's key
	}
	var buf [6 * keyMax]byte
	return p.key[:copy(p.key[:], appendUnescaped(buf[:0], raw))]
}

// firstItem enters the array whose bracket is at i: the index of its first
// item; done with the index after the array if there is none.
func (p *parser) firstItem(i int) (at int, done bool) {
	if p.depth++; p.depth > p.limit.Depth {
		return p.fail(i, TooDeep), true
	}
	i = p.space(i + 1)
	if i >= len(p.b) {
		return p.fail(i, Syntax), true
	}
	if p.b[i] == ']' {
		p.depth--
		return i + 1, true
	}
	return i, false
}

// nextItem goes on to the next item, as firstItem.
func (p *parser) nextItem(i int) (at int, done bool) {
	if i < len(p.b) && p.b[i] <= ' ' {
		i = p.space(i)
	}
	if i < len(p.b) {
		switch p.b[i] {
		case ',':
			if i++; i < len(p.b) && p.b[i] <= ' ' {
				i = p.space(i)
			}
			if i < len(p.b) {
				return i, false
			}
		case ']':
			p.depth--
			return i + 1, true
		}
	}
	return p.fail(i, Syntax), true
}

const (
	ones   = 0x0101010101010101
	highs  = 0x8080808080808080
	twos   = 0x02 * ones
	below  = 0x21 * ones
	slants = '\\' * ones
)

// ending marks, in the high bits of the bytes of w, those that end a plain run
// of a string: quotes, backslashes and control characters; the lowest mark is
// exact. With bit 1 flipped a quote (0x22) is 0x20 and control characters stay
// below it, so that one comparison finds both.
func ending(w uint64) uint64 {
	x, s := w^twos, w^slants
	return ((x-below)&^w | (s-ones)&^s) & highs
}

// scan finds the end of the string whose first byte is at i: the index of the
// closing quote. Eight bytes are looked at in one step.
func (p *parser) scan(i int) (end int, escaped bool) {
	b := p.b
	for i+8 <= len(b) {
		m := ending(binary.LittleEndian.Uint64(b[i:]))
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if b[i] == '"' {
			return i, escaped
		}
		if i = p.escape(i); i < 0 {
			return i, true
		}
		escaped = true
	}
	for i < len(b) {
		switch c := b[i]; {
		case c == '"':
			return i, escaped
		case c == '\\':
			escaped = true
			if i = p.escape(i); i < 0 {
				return i, true
			}
		case c < ' ':
			return p.fail(i, Syntax), escaped
		default:
			i++
		}
	}
	return p.fail(i, Syntax), escaped
}

// escape checks the escape at i, which may be a control character instead,
// and is the index after it.
func (p *parser) escape(i int) int {
	if p.b[i] == '\\' && i+1 < len(p.b) {
		switch p.b[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			return i + 2
		case 'u':
			if _, ok := hex4(p.b[i:]); ok {
				return i + 6
			}
		}
	}
	return p.fail(i, Syntax)
}

// skip checks a value nobody reads.
func (p *parser) skip(i int) int {
	switch c := p.b[i]; c {
	case '"':
		end, _ := p.scan(i + 1)
		if end < 0 {
			return end
		}
		return end + 1
	case '{', '[':
		return p.skipNested(i)
	case 't':
		return p.word(i, "true")
	case 'f':
		return p.word(i, "false")
	case 'n':
		return p.word(i, "null")
	default:
		return p.skipNumber(i)
	}
}

// word checks a literal.
func (p *parser) word(i int, w string) int {
	if len(p.b)-i < len(w) || string(p.b[i:i+len(w)]) != w {
		return p.fail(i, Syntax)
	}
	return i + len(w)
}

// skipNumber checks a number by JSON's grammar.
func (p *parser) skipNumber(i int) int {
	b := p.b
	if i < len(b) && b[i] == '-' {
		i++
	}
	from := i
	i = digits(b, i)
	if i == from || b[from] == '0' && i > from+1 {
		return p.fail(from, Syntax)
	}
	if i < len(b) && b[i] == '.' {
		from = i + 1
		if i = digits(b, from); i == from {
			return p.fail(i, Syntax)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from = i
		if i = digits(b, from); i == from {
			return p.fail(i, Syntax)
		}
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' < 10 {
		i++
	}
	return i
}

// skipNested checks an object or array without recursion: one bit tells for
// each open bracket what it is, which bounds the depth to 64.
func (p *parser) skipNested(i int) int {
	b, open, depth := p.b, uint64(0), 0
	for {
		// b[i] opens an object or array.
		if depth++; p.depth+depth > p.limit.Depth {
			return p.fail(i, TooDeep)
		}
		open <<= 1
		closing := byte(']')
		if b[i] == '{' {
			open |= 1
			closing = '}'
		}
		i = p.space(i + 1)
		ended := i < len(b) && b[i] == closing
		for {
			if ended {
				i++
				open >>= 1
				if depth--; depth == 0 {
					return i
				}
			} else {
				if open&1 != 0 {
					_, i = p.keyAt(i)
					if i < 0 {
						return i
					}
				}
				if i >= len(b) {
					return p.fail(i, Syntax)
				}
				if b[i] == '{' || b[i] == '[' {
					break
				}
				if i = p.skip(i); i < 0 {
					return i
				}
			}
			if i, ended = p.separator(i, open&1 != 0); i < 0 {
				return i
			}
		}
	}
}

// separator goes over a comma to the next member or item, or stands on the
// closing bracket with ended.
func (p *parser) separator(i int, object bool) (at int, ended bool) {
	b := p.b
	if i < len(b) && b[i] <= ' ' {
		i = p.space(i)
	}
	if i < len(b) {
		switch {
		case b[i] == ',':
			if i++; i < len(b) && b[i] <= ' ' {
				i = p.space(i)
			}
			return i, false
		case object && b[i] == '}', !object && b[i] == ']':
			return i, true
		}
	}
	return p.fail(i, Syntax), false
}
