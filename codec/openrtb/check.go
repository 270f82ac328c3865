package openrtb

import (
	"fmt"
	"strings"

	"millrace/codec/strict"
)

// Severity of a finding.
type Severity uint8

// Severities. An error is refused, left out or dropped; a warning is read, but
// hardly meant.
const (
	Warning Severity = iota
	Fault
)

// String is the severity in words.
func (s Severity) String() string {
	if s == Fault {
		return "error"
	}
	return "warning"
}

// Finding is something about a document that breaks a rule or looks unmeant.
type Finding struct {
	// Path of the value: "imp[0].banner.w"; "" is the document.
	Path     string
	Severity Severity
	Rule     int // by number; see docs/openrtb.md
	Message  string
	Remedy   string
	Offset   int // byte of the document
}

// findingsMax bounds what is told of one document.
const findingsMax = 100

// Checker checks documents for a human: it allocates, and says all that it
// finds, where the parser stops at the first fault. Not for servers. The zero
// value is ready for use.
type Checker struct {
	req      BidRequest
	res      BidResponse
	native   NativeRequest
	judge    Judge
	key      [keyMax]byte
	findings []Finding
	more     bool
	where    map[string]int // byte of each value, by path
}

func (c *Checker) add(s Severity, rule int, path string, at int, remedy, message string, args ...any) {
	if len(c.findings) >= findingsMax {
		c.more = true
		return
	}
	for of := path; at == 0 && of != ""; of = of[:max(strings.LastIndexAny(of, ".["), 0)] {
		at = c.where[of]
	}
	c.findings = append(c.findings, Finding{path, s, rule, fmt.Sprintf(message, args...), remedy, at})
}

func (c *Checker) begin() { c.findings, c.more, c.where = nil, false, map[string]int{} }

func (c *Checker) end() []Finding {
	if c.more {
		c.findings = append(c.findings, Finding{Severity: Warning, Rule: 5, Message: fmt.Sprintf("more than %d findings: the rest is not told", findingsMax), Remedy: "correct these first"})
	}
	return c.findings
}

// refusals say what to do about each fault of the parser, and its rule.
var refusals = map[Code]struct {
	rule   int
	remedy string
}{
	Syntax:    {1, "send one JSON object; look for a missing comma, bracket or quote near that byte"},
	TooDeep:   {5, fmt.Sprintf("nest no deeper than %d", DepthMax)},
	TooMany:   {5, "send fewer: at most 100 impressions, 1000 bids, and lists of some thousand items"},
	TooLong:   {5, "send a smaller document"},
	Type:      {5, "use the JSON type that the specification gives the field"},
	Missing:   {4, "send the field: it is required"},
	Invalid:   {5, "send a number the field can have"},
	Duplicate: {4, "give each impression an id of its own"},
	Conflict:  {4, "send one of site, app and dooh"},
}

// refused tells the parser's fault. What it noticed at the end of the document
// is about its beginning.
func (c *Checker) refused(e Error) {
	r := refusals[e.Code]
	path := string(e.AppendPath(nil))
	at := int(e.Offset)
	if e.Imp < 0 && e.Code == Missing {
		at = 0 // noticed at the end
	}
	c.add(Fault, r.rule, path, at, r.remedy, "%s", e.Code)
}

// shape is what the checker knows of an object.
type shape struct {
	members map[string]shapeMember
	names   []string
}

type shapeMember struct {
	how   valueHow
	child *shape // of an object, or of the objects of a list
}

type valueHow uint8

const (
	anyValue valueHow = iota
	textHow
	wholeHow // an integer
	sizeHow  // one that is not negative
	millisHow
	decimalHow
	objectHow
	listHow
)

// shapeOf is the shape of a table: the checker knows what the parser knows.
func shapeOf(t *table, children map[string]*shape) *shape {
	s := &shape{members: map[string]shapeMember{}}
	for i := range t.fields {
		f := &t.fields[i]
		if f.kind == noField {
			continue
		}
		m := shapeMember{}
		switch f.kind {
		case strField, currencyOf:
			m.how = textHow
		case intField, triField, flagField, wishField, strictInt, strictWish:
			m.how = wholeHow
		case sizeField:
			m.how = sizeHow
		case tmaxField:
			m.how = millisHow
		case floatField, cpmField:
			m.how = decimalHow
		}
		if child := children[f.name]; child != nil {
			m.how, m.child = objectHow, child
		}
		if child := children[f.name+"[]"]; child != nil {
			m.how, m.child = listHow, child
		}
		s.members[f.name] = m
		s.names = append(s.names, f.name)
	}
	return s
}

// walk looks at the members of the object at i, which the parser has accepted.
func (c *Checker) walk(p *parser, i int, path string, s *shape) int {
	seen := map[string]bool{}
	k, i := p.first(i)
	for k != nil {
		name, at := string(k), i
		inner := name
		if path != "" {
			inner = path + "." + name
		}
		if seen[name] {
			c.add(Warning, 5, inner, at, "send it once", "given more than once: the last one counts")
		}
		seen[name], c.where[inner] = true, at
		m, known := s.members[name]
		if !known {
			c.unknown(s, seen, name, inner, at)
		}
		if i = c.value(p, i, inner, m); i < 0 {
			return i
		}
		k, i = p.next(i)
	}
	return i
}

// unknown tells a name that is hardly meant to be one's own.
func (c *Checker) unknown(s *shape, seen map[string]bool, name, path string, at int) {
	near := strict.Nearest(name, s.names)
	if near != "" && !seen[near] && (len(name) > 3 || strings.EqualFold(name, near)) {
		c.add(Warning, 3, path, at, fmt.Sprintf("write %q, or move what is your own into ext", near), "unknown, and ignored")
	}
}

func (c *Checker) value(p *parser, i int, path string, m shapeMember) int {
	b := p.b[i]
	switch {
	case b == 'n':
	case m.how == objectHow && b == '{':
		return c.walk(p, i, path, m.child)
	case m.how == listHow && b == '[':
		i, done := p.firstItem(i)
		for n := 0; !done; n++ {
			at := fmt.Sprintf("%s[%d]", path, n)
			c.where[at] = i
			if p.b[i] == '{' {
				i = c.walk(p, i, at, m.child)
			} else {
				i = p.skip(i)
			}
			if i < 0 {
				return i
			}
			i, done = p.nextItem(i)
		}
		return i
	case m.how >= wholeHow && m.how <= decimalHow && b != '{' && b != '[' && b != 't' && b != 'f':
		return c.numeral(p, i, path, m.how)
	}
	return p.skip(i)
}

// numeral is a number where one belongs (rule 5).
func (c *Checker) numeral(p *parser, i int, path string, how valueHow) int {
	var v number
	end := p.number(i, &v)
	if end < 0 || v.absent {
		return end
	}
	text := string(p.b[i:end])
	n, whole := v.int32(false)
	switch {
	case v.bad:
		c.add(Fault, 5, path, i, "send a number, or leave the field out", "%.40s is no number: its object is not used", text)
	case how == millisHow && !whole:
		if cut, ok := v.int32(true); ok {
			c.add(Warning, 5, path, i, "send whole milliseconds", "%.40s is read as %d", text, cut)
		}
	case how != decimalHow && !whole:
		c.add(Fault, 5, path, i, "send a whole number below 2,147,483,648", "%.40s is no whole number of 31 bits: its object is not used", text)
	case (how == sizeHow || how == millisHow) && n < 0:
		c.add(Fault, 5, path, i, "send a number of 0 or more, or leave the field out", "%.40s is negative: its object is not used", text)
	case p.b[i] == '"':
		c.add(Warning, 5, path, i, "write the number without quotes", "a number in quotes")
	}
	return end
}
