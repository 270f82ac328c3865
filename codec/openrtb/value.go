package openrtb

import "millrace/codec/unit"

// str reads a string or null.
func (p *parser) str(i int, dst *Str) int {
	if p.b[i] != '"' {
		*dst = Str{}
		if p.b[i] == 'n' {
			return p.word(i, "null")
		}
		return p.fail(i, Type)
	}
	end, escaped := p.scan(i + 1)
	if end < 0 {
		return end
	}
	*dst = Str{p: &p.b[i+1], n: uint32(end - i - 1), escaped: escaped}
	return end + 1
}

// raw checks any value and keeps its bytes; null is absent.
func (p *parser) raw(i int, dst *Raw) int {
	end := p.skip(i)
	if end < 0 {
		return end
	}
	*dst = Raw{}
	if p.b[i] != 'n' {
		*dst = Raw{p: &p.b[i], n: uint32(end - i)}
	}
	return end
}

// currency reads a currency code; absent or empty is otherwise, and what is no
// code is bad.
func (p *parser) currency(i int, dst *unit.Currency, otherwise unit.Currency) int {
	var s Str
	if i = p.str(i, &s); i < 0 {
		return i
	}
	*dst = otherwise
	if s.IsZero() {
		return i
	}
	var buf [24]byte
	if s.Len() > len(buf) {
		p.bad = true
		return i
	}
	text, _ := s.Text(buf[:0])
	c, ok := unit.ParseCurrency(text)
	if *dst = c; !ok {
		*dst = otherwise
		p.bad = true
	}
	return i
}

// object reports whether an object begins at i. If not, it is null, and next
// is the index after it, or a fault.
func (p *parser) object(i int) (next int, ok bool) { return p.opens(i, '{') }

// array is object for an array.
func (p *parser) array(i int) (next int, ok bool) { return p.opens(i, '[') }

func (p *parser) opens(i int, bracket byte) (next int, ok bool) {
	switch p.b[i] {
	case bracket:
		return i, true
	case 'n':
		return p.word(i, "null"), false
	}
	return p.fail(i, Type), false
}

// strs reads a list of strings; null among them is left out.
func (p *parser) strs(i int, dst *StrSpan) int {
	*dst = StrSpan{}
	i, ok := p.array(i)
	if !ok {
		return i
	}
	from := len(p.r.strs)
	i, done := p.firstItem(i)
	for !done {
		var s Str
		if i = p.str(i, &s); i < 0 || !p.room(i, len(p.r.strs), p.limit.Items) {
			return -1
		}
		if s.Present() {
			p.r.strs = append(p.r.strs, s)
		}
		i, done = p.nextItem(i)
	}
	*dst = StrSpan{uint32(from), uint32(len(p.r.strs) - from)}
	return i
}

// ints reads a list of integers; null and what is no integer are left out.
func (p *parser) ints(i int, dst *IntSpan) int {
	*dst = IntSpan{}
	i, ok := p.array(i)
	if !ok {
		return i
	}
	bad, from := p.bad, len(p.r.ints)
	i, done := p.firstItem(i)
	for !done {
		var n int32
		null := p.b[i] == 'n'
		p.bad = false
		if i = p.integer(i, &n); i < 0 || !p.room(i, len(p.r.ints), p.limit.Items) {
			return -1
		}
		if !null && !p.bad {
			p.r.ints = append(p.r.ints, n)
		}
		i, done = p.nextItem(i)
	}
	p.bad = bad
	*dst = IntSpan{uint32(from), uint32(len(p.r.ints) - from)}
	return i
}

// lenientStr reads a string inside ext, where nothing is required to be one.
func (p *parser) lenientStr(i int, dst *Str) int {
	if p.b[i] == '"' {
		return p.str(i, dst)
	}
	return p.skip(i)
}

// strIf reads a string if the object has such a field at all; a field it does
// not have may be anything.
func (p *parser) strIf(has bool, i int, dst *Str) int {
	if !has {
		return p.skip(i)
	}
	return p.str(i, dst)
}

// strsIf is strIf for a list.
func (p *parser) strsIf(has bool, i int, dst *StrSpan) int {
	if !has {
		return p.skip(i)
	}
	return p.strs(i, dst)
}
