package openrtb

import (
	"math"
	"strconv"
	"unsafe"

	"millrace/codec/unit"
)

// number is a decimal as read: ±mant × 10^exp, and whether digits beyond the
// nineteenth were dropped.
type number struct {
	mant    uint64
	exp     int
	neg     bool
	dropped bool
	absent  bool // null, or an empty string
	bad     bool // not a number: NaN, Infinity, a string of something else
	text    []byte
}

// number reads a JSON number, a number in quotes, null, or one of the words
// for no number that some exchanges write (rule 5).
func (p *parser) number(i int, v *number) int {
	b := p.b
	switch c := b[i]; {
	case c-'0' < 10 || c == '-':
		end := v.read(b, i)
		if end < 0 {
			return p.notNumber(i, v)
		}
		return end
	case c == '"':
		end, escaped := p.scan(i + 1)
		if end < 0 {
			return end
		}
		v.absent = end == i+1
		if !v.absent && (escaped || v.read(b[:end], i+1) != end) {
			*v = number{bad: true}
		}
		return end + 1
	case c == 'n':
		v.absent = true
		return p.word(i, "null")
	case c == 'N' || c == 'I':
		return p.notNumber(i, v)
	}
	return p.fail(i, Type)
}

// notNumber accepts NaN, Infinity, Inf and their negatives as bad numbers.
func (p *parser) notNumber(i int, v *number) int {
	*v = number{bad: true}
	rest := p.b[i:]
	for _, w := range [...]string{"NaN", "Infinity", "Inf", "-Infinity", "-Inf", "-NaN"} {
		if len(rest) >= len(w) && string(rest[:len(w)]) == w {
			return i + len(w)
		}
	}
	return p.fail(i, Syntax)
}

// read reads the JSON number at b[i:] and is the index after it, or -1.
func (v *number) read(b []byte, i int) int {
	start := i
	if i < len(b) && b[i] == '-' {
		v.neg = true
		i++
	}
	from := i
	i = v.digits(b, i, 0)
	if i == from || b[from] == '0' && i > from+1 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		from = i + 1
		if i = v.digits(b, from, -1); i == from {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		neg := false
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			neg = b[i] == '-'
			i++
		}
		e := 0
		for from = i; i < len(b) && b[i]-'0' < 10; i++ {
			if e < 1<<32 { // further digits only make it larger
				e = e*10 + int(b[i]-'0')
			}
		}
		if i == from {
			return -1
		}
		if neg {
			e = -e
		}
		v.exp += e
	}
	v.text = b[start:i]
	return i
}

// digits gathers digits; each moves the exponent by step.
func (v *number) digits(b []byte, i, step int) int {
	for ; i < len(b) && b[i]-'0' < 10; i++ {
		if v.mant >= (math.MaxUint64-9)/10 {
			v.dropped = v.dropped || b[i] != '0'
			v.exp += 1 + step
			continue
		}
		v.mant = v.mant*10 + uint64(b[i]-'0')
		v.exp += step
	}
	return i
}

// scaled is mant × 10^(exp+shift) as an integer. exact is false if a fraction
// was cut off; half tells that the fraction was at least a half.
func (v *number) scaled(shift int) (n uint64, exact, half, ok bool) {
	n, exact = v.mant, !v.dropped
	if n == 0 {
		return 0, exact, false, true
	}
	e := v.exp + shift
	for ; e > 0; e-- {
		if n > math.MaxInt64/10 {
			return 0, false, false, false
		}
		n *= 10
	}
	for ; e < 0; e++ {
		if n == 0 {
			return 0, false, false, true
		}
		digit := n % 10
		exact = exact && digit == 0
		half = digit >= 5
		n /= 10
	}
	return n, exact, half, n <= math.MaxInt64
}

// int32 is the number as an integer; truncate cuts a fraction off.
func (v *number) int32(truncate bool) (int32, bool) {
	n, exact, _, ok := v.scaled(0)
	if v.bad || !ok || !exact && !truncate || n > math.MaxInt32 {
		return 0, false
	}
	if v.neg {
		return -int32(n), true
	}
	return int32(n), true
}

// cpm is the number as a CPM, rounded half away from zero to a micro. It is
// read from the decimal text: a floor of 0.1 is exactly that.
func (v *number) cpm() (unit.CPMMicros, bool) {
	n, _, half, ok := v.scaled(6)
	if v.bad || !ok || n >= math.MaxInt64 {
		return 0, false
	}
	c := unit.CPMMicros(n)
	if half {
		c++
	}
	if v.neg {
		c = -c
	}
	return c, true
}

var pow10 = [...]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// float is the nearest float64. Where mantissa and power of ten are both exact
// one operation rounds correctly; else strconv does it.
func (v *number) float() (float64, bool) {
	if v.bad {
		return 0, false
	}
	if v.mant < 1<<53 && !v.dropped && v.exp >= -22 && v.exp <= 22 {
		f := float64(v.mant)
		if v.exp < 0 {
			f /= pow10[-v.exp]
		} else {
			f *= pow10[v.exp]
		}
		if v.neg {
			f = -f
		}
		return f, true
	}
	// Beyond this strconv would make an error, on the heap; no quantity in a
	// request is near it.
	if v.mant != 0 && v.exp > 250 {
		return 0, false
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(v.text), len(v.text)), 64)
	return f, err == nil
}

// integer reads an integer; an unreadable one leaves 0 and sets bad.
func (p *parser) integer(i int, dst *int32) int {
	// Most are one to four digits and nothing else.
	if b := p.b; i+5 < len(b) {
		n := int32(0)
		for k := i; k < i+5; k++ {
			d := b[k] - '0'
			if d >= 10 {
				if k > i && (b[k] == ',' || b[k] == '}' || b[k] == ']') && (b[i] != '0' || k == i+1) {
					*dst = n
					return k
				}
				break
			}
			n = n*10 + int32(d)
		}
	}
	var v number
	if i = p.number(i, &v); i < 0 {
		return i
	}
	ok := true
	if *dst = 0; !v.absent {
		*dst, ok = v.int32(false)
	}
	p.bad = p.bad || !ok
	return i
}

// size reads an integer that can't be negative.
func (p *parser) size(i int, dst *int32) int {
	i = p.integer(i, dst)
	if *dst < 0 {
		*dst = 0
		p.bad = true
	}
	return i
}

// flag reads 0 or 1, or a boolean; an unreadable one sets bad and is
// otherwise.
func (p *parser) flag(i int, dst *bool, otherwise bool) int {
	switch p.b[i] {
	case 't':
		*dst = true
		return p.word(i, "true")
	case 'f':
		*dst = false
		return p.word(i, "false")
	}
	bad := p.bad
	p.bad = false
	var n int32
	i = p.integer(i, &n)
	*dst = n != 0
	if p.bad {
		*dst = otherwise
	}
	p.bad = p.bad || bad
	return i
}

// cpm reads a price per thousand; has tells whether one was given.
func (p *parser) cpm(i int, dst *unit.CPMMicros, has *bool) int {
	var v number
	if i = p.number(i, &v); i < 0 {
		return i
	}
	if *dst, *has = 0, !v.absent; v.absent {
		return i
	}
	c, ok := v.cpm()
	*dst = c
	p.bad = p.bad || !ok
	return i
}

// float reads any number; has tells whether one was given.
func (p *parser) float(i int, dst *float64, has *bool) int {
	var v number
	if i = p.number(i, &v); i < 0 {
		return i
	}
	if *dst, *has = 0, !v.absent; v.absent {
		return i
	}
	f, ok := v.float()
	*dst = f
	p.bad = p.bad || !ok
	return i
}
