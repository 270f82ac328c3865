package openrtb

import (
	"strconv"

	"millrace/codec/unit"
)

// changeKind is what a change does.
type changeKind uint8

const (
	replaces changeKind = iota // the bytes [at, end) by the text
	inserts                    // the text at the end of a container
	cuts                       // a member or item, with one comma
)

// change is one splice of the body. The text of an inserting one begins with
// a comma, which is left out where nothing precedes it; that is known when it
// is written, after all cuts in its container.
type change struct {
	at, end  int32
	from, to int32 // of Patcher.text
	in       int32
	// Of a cut: the end of the member before it and its own, and its place.
	prev, last, ord int32
	kind            changeKind
}

// made stands for a container that is being made in the text.
const made = int32(-1)

func (p *Patcher) cut(in int32, m *place) {
	if in != made {
		p.changes = append(p.changes, change{kind: cuts, at: m.key, end: m.next, in: in, prev: m.prev, last: m.end, ord: m.ord})
	}
}

// put begins to write the value of a member: over the one that is there, or
// behind the last of its container. The value is appended to p.text; done ends
// it.
func (p *Patcher) put(l *layout, in int32, m *place, name string) {
	if in == made {
		if p.text[len(p.text)-1] != '{' {
			p.text = append(p.text, ',')
		}
		p.name(name)
		p.depth++
		return
	}
	s := change{kind: replaces, at: m.val, end: m.end, in: in, from: int32(len(p.text))}
	if !m.there() {
		c := l.container(in)
		s.kind, s.at, s.end = inserts, c.close, c.close
		p.text = append(p.text, ',')
		if name != "" {
			p.name(name)
		}
	}
	p.changes = append(p.changes, s)
	p.depth = 1
}

func (p *Patcher) name(name string) {
	p.text = append(append(append(p.text, '"'), name...), '"', ':')
}

func (p *Patcher) done() {
	if p.depth--; p.depth == 0 {
		p.changes[len(p.changes)-1].to = int32(len(p.text))
	}
}

// enter is the container of a member's object, which is made if it is none;
// leave must follow.
func (p *Patcher) enter(l *layout, parent int32, m *place, name string, own int32) int32 {
	if parent != made && l.container(own).there() {
		return own
	}
	p.put(l, parent, m, name)
	p.text = append(p.text, '{')
	return made
}

func (p *Patcher) leave(in int32) {
	if in == made {
		p.text = append(p.text, '}')
		p.done()
	}
}

func (p *Patcher) putInt(l *layout, in int32, m *place, name string, v int64) {
	p.put(l, in, m, name)
	p.text = strconv.AppendInt(p.text, v, 10)
	p.done()
}

func (p *Patcher) putJSON(l *layout, in int32, m *place, name string, v []byte) {
	p.put(l, in, m, name)
	p.text = append(p.text, v...)
	p.done()
}

// putText sets or removes a string.
func (p *Patcher) putText(l *layout, in int32, m *place, name string, e *TextEdit) {
	switch {
	case e.Op == Set:
		p.put(l, in, m, name)
		p.text = append(AppendEscaped(append(p.text, '"'), e.Text), '"')
		p.done()
	case e.Op == Remove && m.there():
		p.cut(in, m)
	}
}

func (p *Patcher) putCurrency(c unit.Currency) {
	p.text = append(append(append(p.text, '"'), c[:]...), '"')
}

// noPlace is a member that is not there.
var noPlace place

// addTexts adds items to a list of the request.
func (p *Patcher) addTexts(l *layout, slot int, name string, items []string) {
	if len(items) == 0 {
		return
	}
	in := int32(slot-atBCat) + inBCat
	listed := l.in[in].there()
	if listed {
		p.put(l, in, &noPlace, "")
	} else {
		p.put(l, inRoot, &l.root[slot], name)
		p.text = append(p.text, '[')
	}
	for i, s := range items {
		if i > 0 {
			p.text = append(p.text, ',')
		}
		p.text = append(AppendEscaped(append(p.text, '"'), s), '"')
	}
	if !listed {
		p.text = append(p.text, ']')
	}
	p.done()
}

// order sorts the splices by where they begin, those of one place as they were
// made: they come nearly so. And it clears what writing counts.
func (p *Patcher) order(l *layout) {
	s := p.changes
	for i := range s {
		if s[i].kind != replaces {
			c := l.container(s[i].in)
			c.cut, c.lead, c.added = 0, 0, 0
		}
		for k := i; k > 0 && s[k].at < s[k-1].at; k-- {
			s[k], s[k-1] = s[k-1], s[k]
		}
	}
}

// resolve is where the bytes copied before a splice end, the text that follows
// and where copying goes on.
func (p *Patcher) resolve(l *layout, s *change) (upTo int32, text []byte, next int32) {
	text = p.text[s.from:s.to]
	switch s.kind {
	case inserts:
		c := l.container(s.in)
		if c.n-c.cut+c.added == 0 {
			text = text[1:]
		}
		c.added++
	case cuts:
		c := l.container(s.in)
		c.cut++
		if s.ord != c.lead {
			// Some member before it stays: it goes with the comma before it.
			return s.prev, nil, s.last
		}
		c.lead++
		return s.at, nil, s.end
	}
	return s.at, text, s.end
}

func (p *Patcher) write(dst, body []byte, l *layout) []byte {
	at := int32(0)
	for i := range p.changes {
		s := &p.changes[i]
		if s.at < at {
			continue // inside of what was cut
		}
		upTo, text, next := p.resolve(l, s)
		dst = append(append(dst, body[at:upTo]...), text...)
		at = next
	}
	return append(dst, body[at:]...)
}

func (p *Patcher) writeVector(dst [][]byte, body []byte, l *layout) (pieces [][]byte, size int) {
	at := int32(0)
	for i := range p.changes {
		s := &p.changes[i]
		if s.at < at {
			continue
		}
		upTo, text, next := p.resolve(l, s)
		if upTo > at {
			dst = append(dst, body[at:upTo:upTo])
			size += int(upTo - at)
		}
		if len(text) > 0 {
			dst = append(dst, text)
			size += len(text)
		}
		at = next
	}
	return append(dst, body[at:]), size + len(body) - int(at)
}
