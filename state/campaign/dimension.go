package campaign

import (
	"unicode"
	"unicode/utf8"
)

// dimensionID is one of the questions that targeting asks of a request.
type dimensionID uint8

const (
	// dimSlot: what fits the place: a format, and for banners a size. Its values
	// come from the creatives and from targeting by size and format.
	dimSlot dimensionID = iota
	dimCountry
	dimRegion
	dimCity
	dimDevice
	dimOS
	dimLanguage
	// dimInventory is site, app and bundle in one: a request comes from one of
	// them, so that asking for this site AND that app could never match.
	dimInventory
	dimCategory
	dimSegment
	dimDeal
	dimensionsMax
)

// Values that exist in every snapshot.
const (
	slotBanner    = 1 // a banner of any size: for a place that states none
	slotFlexible  = 2 // a banner without a size of its own
	slotVideo     = 3
	slotAudio     = 4
	slotNative    = 5
	slotFirstSize = 6
)

// dictionary numbers the values of one dimension that the catalog mentions,
// from first. Request values outside it are 0: no line item names them.
type dictionary struct {
	ids  map[string]uint32
	next uint32
}

func newDictionary(first uint32) dictionary {
	return dictionary{ids: map[string]uint32{}, next: first}
}

func (d *dictionary) add(key []byte) uint32 {
	if id, ok := d.ids[string(key)]; ok {
		return id
	}
	id := d.next
	d.ids[string(key)] = id
	d.next++
	return id
}

func (d *dictionary) find(key []byte) uint32 { return d.ids[string(key)] }

// rule is one targeting value of one line item: the row form, from which
// Explain answers. Dimension, exclusion and value id in 32 bits.
type rule uint32

const ruleValueBits = 27

func makeRule(d dimensionID, exclude bool, value uint32) rule {
	r := rule(d)<<(ruleValueBits+1) | rule(value)
	if exclude {
		r |= 1 << ruleValueBits
	}
	return r
}

func (r rule) dimension() dimensionID { return dimensionID(r >> (ruleValueBits + 1)) }
func (r rule) exclude() bool          { return r>>ruleValueBits&1 != 0 }
func (r rule) value() uint32          { return uint32(r) & (1<<ruleValueBits - 1) }

// Keys. The catalog and the request pass through the same functions, so that a
// value is spelled the same way on both sides. All append to dst.

// appendLower appends text in lower case, without blanks around it.
func appendLower[T string | []byte](dst []byte, text T) []byte {
	start := len(dst)
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			if c > ' ' || len(dst) > start {
				dst = append(dst, c)
			}
			i++
			continue
		}
		r, n := decodeRune(text, i)
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		i += n
	}
	for len(dst) > start && dst[len(dst)-1] <= ' ' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

func decodeRune[T string | []byte](text T, at int) (rune, int) {
	var buffer [utf8.UTFMax]byte
	n := copy(buffer[:], text[at:min(at+utf8.UTFMax, len(text))])
	return utf8.DecodeRune(buffer[:n])
}

// appendUpper appends text in ASCII upper case, without blanks.
func appendUpper[T string | []byte](dst []byte, text T) []byte {
	for i := range len(text) {
		c := text[i]
		if 'a' <= c && c <= 'z' {
			c &^= 0x20
		}
		if c > ' ' {
			dst = append(dst, c)
		}
	}
	return dst
}

// appendRegion appends the key of an ISO 3166-2 subdivision: "USA/CA". The
// region may carry its country ("US-CA"), which then goes before in.
func appendRegion[T string | []byte](dst []byte, in country, region T) (key []byte, ok bool) {
	for i := 2; i <= 3 && i < len(region); i++ {
		if region[i] == '-' {
			if c := parseCountry(region[:i]); c != 0 {
				in, region = c, region[i+1:]
			}
			break
		}
	}
	if in == 0 || len(region) == 0 {
		return dst, false
	}
	dst = append(append(dst, in.alpha3()...), '/')
	return appendUpper(dst, region), true
}

// appendLanguage appends the ISO 639-1 part of "en", "en-US", "EN_us".
func appendLanguage[T string | []byte](dst []byte, text T) []byte {
	for i := range len(text) {
		if text[i] == '-' || text[i] == '_' {
			text = text[:i]
			break
		}
	}
	return appendLower(dst, text)
}

// categoryParent cuts "IAB1-2" to "IAB1"; ok is false at the top.
func categoryParent(key []byte) (parent []byte, ok bool) {
	for i := len(key) - 1; i > 0; i-- {
		if key[i] == '-' {
			return key[:i], true
		}
	}
	return nil, false
}

// domainParent cuts "news.example.com" to "example.com"; ok is false when
// nothing with a dot in it would remain.
func domainParent(key []byte) (parent []byte, ok bool) {
	first := -1
	for i, c := range key {
		if c != '.' {
			continue
		}
		if first >= 0 {
			return key[first+1:], true
		}
		first = i
	}
	return nil, false
}
