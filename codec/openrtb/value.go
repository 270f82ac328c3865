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

// parseCurrency sets dst to the code s, if there is one; what is no code is
// bad.
func (p *parser) parseCurrency(s Str, dst *unit.Currency) {
	if s.IsZero() {
		return
	}
	var buf [24]byte
	if s.Len() > len(buf) {
		p.bad = true
		return
	}
	text, _ := s.Text(buf[:0])
	if c, ok := unit.ParseCurrency(text); ok {
		*dst = c
	} else {
		p.bad = true
	}
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

// lenientStr reads a string inside ext, where nothing is required to be one.
func (p *parser) lenientStr(i int, dst *Str) int {
	if p.b[i] == '"' {
		return p.str(i, dst)
	}
	return p.skip(i)
}
