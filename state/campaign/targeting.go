package campaign

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"millrace/codec/openrtb"
	"millrace/codec/strict"
)

// reader turns one written value into value ids of its dimension, appended to
// ids; a problem and a remedy where it can't.
type reader func(c *compiler, text string, ids []uint32) (out []uint32, problem, remedy string)

// targeted are the dimensions that are read value by value. Size and format are
// settled by the creatives, hours by the schedule.
var targeted = []struct {
	name string
	d    dimensionID
	of   func(*DimensionsSpec) []string
	read reader
}{
	{"country", dimCountry, func(s *DimensionsSpec) []string { return s.Country }, readCountry},
	{"region", dimRegion, func(s *DimensionsSpec) []string { return s.Region }, readRegion},
	{"city", dimCity, func(s *DimensionsSpec) []string { return s.City }, readCity},
	{"device_type", dimDevice, func(s *DimensionsSpec) []string { return s.DeviceType }, readDevice},
	{"os", dimOS, func(s *DimensionsSpec) []string { return s.OS }, readOS},
	{"language", dimLanguage, func(s *DimensionsSpec) []string { return s.Language }, readLanguage},
	{"site", dimInventory, func(s *DimensionsSpec) []string { return s.Site }, readInventory('s')},
	{"app", dimInventory, func(s *DimensionsSpec) []string { return s.App }, readInventory('a')},
	{"bundle", dimInventory, func(s *DimensionsSpec) []string { return s.Bundle }, readInventory('b')},
	{"category", dimCategory, func(s *DimensionsSpec) []string { return s.Category }, readCategory},
	{"segment", dimSegment, func(s *DimensionsSpec) []string { return s.Segment }, readSegment},
}

// targeting reads the line item's rules into ruleScratch.
func (c *compiler) targeting(l *pendingLine) {
	for _, side := range [...]struct {
		name    string
		spec    *DimensionsSpec
		exclude bool
	}{{"include", &l.spec.Targeting.Include, false}, {"exclude", &l.spec.Targeting.Exclude, true}} {
		for t := range targeted {
			dim := &targeted[t]
			for i, text := range dim.of(side.spec) {
				var buffer [4]uint32
				ids, problem, remedy := dim.read(c, text, buffer[:0])
				if problem != "" {
					c.fault(l.at, "targeting."+side.name+"."+dim.name+"["+strconv.Itoa(i)+"]", problem, remedy)
					continue
				}
				for _, id := range ids {
					c.rule(l, dim.d, side.exclude, id, side.name, dim.name, i)
				}
			}
		}
	}
	for _, deal := range l.spec.Deals {
		c.rule(l, dimDeal, false, c.snapshot.index.dictionaries[dimDeal].add([]byte(deal)), "", "", 0)
	}
}

// rule notes a rule once, and finds values that are included and excluded.
func (c *compiler) rule(l *pendingLine, d dimensionID, exclude bool, value uint32, side, name string, i int) {
	r := makeRule(d, exclude, value)
	if len(c.ruleScratch) < 64 && slices.Contains(c.ruleScratch, r) {
		return
	}
	if exclude && slices.Contains(c.ruleScratch, makeRule(d, false, value)) {
		c.fault(l.at, "targeting."+side+"."+name+"["+strconv.Itoa(i)+"]", "included as well as excluded", "keep it in one of the two")
	}
	c.ruleScratch = append(c.ruleScratch, r)
}

// rules moves the rules of the line item at hand to the snapshot and the index.
func (c *compiler) rules(l *pendingLine, index LineIndex) {
	s := c.snapshot
	slices.Sort(c.ruleScratch)
	c.ruleScratch = slices.Compact(c.ruleScratch)
	l.item.firstRule = uint32(len(s.rules))
	for _, r := range c.ruleScratch {
		s.rules = append(s.rules, r)
		value := r.value() << 1
		if r.exclude() {
			value |= 1
		}
		c.entries[r.dimension()] = append(c.entries[r.dimension()], indexEntry{value, index})
	}
	l.item.endRule = uint32(len(s.rules))
}

func readCountry(_ *compiler, text string, ids []uint32) ([]uint32, string, string) {
	if n := parseCountry(text); n != 0 {
		return append(ids, uint32(n)), "", ""
	}
	remedy := "write its ISO 3166-1 code: DEU or DE"
	if strings.EqualFold(text, "UK") {
		remedy = "the United Kingdom is GBR or GB"
	}
	return ids, fmt.Sprintf("%q is not a country", text), remedy
}

func readRegion(c *compiler, text string, ids []uint32) ([]uint32, string, string) {
	key, ok := appendRegion(c.key[:0], 0, text)
	if !ok {
		return ids, fmt.Sprintf("%q is not a region of a country", text), "write its ISO 3166-2 code with the country: US-CA, DE-BY"
	}
	c.key = key
	return append(ids, c.snapshot.index.dictionaries[dimRegion].add(key)), "", ""
}

// word makes a reader's key out of text that can be anything but empty.
func (c *compiler) word(d dimensionID, key []byte, ids []uint32) ([]uint32, string, string) {
	if c.key = key; len(key) == 0 {
		return ids, "an empty value", "write a value or remove it"
	}
	return append(ids, c.snapshot.index.dictionaries[d].add(key)), "", ""
}

func readCity(c *compiler, text string, ids []uint32) ([]uint32, string, string) {
	return c.word(dimCity, appendLower(c.key[:0], text), ids)
}

func readSegment(c *compiler, text string, ids []uint32) ([]uint32, string, string) {
	return c.word(dimSegment, append(c.key[:0], text...), ids)
}

func readInventory(prefix byte) reader {
	return func(c *compiler, text string, ids []uint32) ([]uint32, string, string) {
		if text == "" || strings.ContainsAny(text, " /") {
			return ids, fmt.Sprintf("%q is neither a domain nor an id", text), "write a domain without scheme and path, or the id that the exchange sends"
		}
		return c.word(dimInventory, appendLower(append(c.key[:0], prefix, ':'), text), ids)
	}
}

func readLanguage(c *compiler, text string, ids []uint32) ([]uint32, string, string) {
	key := appendLanguage(c.key[:0], text)
	if len(key) != 2 || strings.IndexFunc(string(key), func(r rune) bool { return r < 'a' || r > 'z' }) >= 0 {
		return ids, fmt.Sprintf("%q is not a language", text), "write its two letters of ISO 639-1: en, de"
	}
	return c.word(dimLanguage, key, ids)
}

func readCategory(c *compiler, text string, ids []uint32) ([]uint32, string, string) {
	key := appendUpper(c.key[:0], text)
	if !validCategory(string(key)) {
		return ids, fmt.Sprintf("%q is not a category", text), "write an IAB code: IAB1 (with all below it), IAB1-2, or a number of a later taxonomy"
	}
	return c.word(dimCategory, key, ids)
}

func readDevice(_ *compiler, text string, ids []uint32) ([]uint32, string, string) {
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= deviceTypeLast {
		return append(ids, uint32(n)), "", ""
	}
	var names []string
	for _, t := range deviceTypes {
		if strings.EqualFold(t.name, text) {
			return append(ids, t.values...), "", ""
		}
		names = append(names, t.name)
	}
	return ids, fmt.Sprintf("%q is not a device type", text), strict.Remedy(text, names)
}

func readOS(c *compiler, text string, ids []uint32) ([]uint32, string, string) {
	if n, err := strconv.Atoi(text); err == nil {
		for _, o := range operatingSystems {
			if int(o.number) == n {
				return append(ids, o.number), "", ""
			}
		}
	}
	var number uint32
	if number, c.key = parseOS(c.key, text); number != 0 {
		return append(ids, number), "", ""
	}
	var names []string
	for _, o := range operatingSystems {
		names = append(names, o.name)
	}
	remedy := strict.Remedy(text, names)
	if strict.Nearest(text, names) == "" {
		remedy = "write android, ios, windows, macos, linux, … or an AdCOM number"
	}
	return ids, fmt.Sprintf("%q is not an operating system", text), remedy
}

// slots is the set of slots a line item's size and format targeting leaves open.
type slots struct {
	includeSizes, excludeSizes []Size
	include, exclude           openrtb.MediaMask
}

func (c *compiler) slots(l *pendingLine) (s slots) {
	t := &l.spec.Targeting
	s.includeSizes = c.sizes(l.at, "targeting.include.size", t.Include.Size)
	s.excludeSizes = c.sizes(l.at, "targeting.exclude.size", t.Exclude.Size)
	s.include = c.formats(l.at, "targeting.include.format", t.Include.Format)
	s.exclude = c.formats(l.at, "targeting.exclude.format", t.Exclude.Format)
	return s
}

// allow reports whether a creative may be used at all.
func (s *slots) allow(m openrtb.MediaType, z Size) bool {
	if s.include != 0 && !s.include.Has(m) || s.exclude.Has(m) {
		return false
	}
	if z == (Size{}) {
		return true
	}
	return (len(s.includeSizes) == 0 || slices.Contains(s.includeSizes, z)) && !slices.Contains(s.excludeSizes, z)
}

func (c *compiler) sizes(p place, field string, texts []string) (sizes []Size) {
	for i, text := range texts {
		z, ok := parseSize(text)
		if !ok {
			c.fault(p, field+"["+strconv.Itoa(i)+"]", fmt.Sprintf("%q is not a size", text), "write width x height: 300x250")
			continue
		}
		sizes = append(sizes, z)
	}
	return sizes
}

func (c *compiler) formats(p place, field string, texts []string) (mask openrtb.MediaMask) {
	for i, text := range texts {
		if n := c.choice(p, field+"["+strconv.Itoa(i)+"]", text, formatNames, 0); n > 0 {
			mask |= openrtb.MediaType(n).Mask()
		}
	}
	return mask
}

// formatNames by openrtb.MediaType.
var formatNames = []string{"", "banner", "video", "audio", "native"}

func parseSize(text string) (Size, bool) {
	w, h, ok := strings.Cut(strings.ToLower(text), "x")
	width, err1 := strconv.ParseUint(strings.TrimSpace(w), 10, 16)
	height, err2 := strconv.ParseUint(strings.TrimSpace(h), 10, 16)
	return Size{uint16(width), uint16(height)}, ok && err1 == nil && err2 == nil && width > 0 && height > 0
}

// validCategory: IAB 1.0 codes, and the plain numbers of later taxonomies.
func validCategory(key string) bool {
	rest, iab := strings.CutPrefix(key, "IAB")
	first, second, sub := strings.Cut(rest, "-")
	return digits(first) && (!sub || iab && digits(second))
}

func digits(s string) bool {
	return s != "" && len(s) <= 6 && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}
