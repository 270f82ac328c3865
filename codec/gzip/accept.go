package gzip

// Accepted reports whether a client that sent this Accept-Encoding wants gzip
// (RFC 9110, 12.5.3): it names it, or "*", with a weight above 0, and prefers
// no compression no more than that. An absent or empty header does not ask.
func Accepted(header []byte) bool {
	const unsaid = -1
	zip, star, identity := unsaid, unsaid, unsaid
	for len(header) > 0 {
		item := header
		header = nil
		for i, c := range item {
			if c == ',' {
				item, header = item[:i], item[i+1:]
				break
			}
		}
		name, weight := parseCoding(item)
		switch {
		case is(name, "gzip"), is(name, "x-gzip"):
			zip = max(zip, weight)
		case is(name, "identity"):
			identity = weight
		case len(name) == 1 && name[0] == '*':
			star = weight
		}
	}
	if zip == unsaid {
		zip = star
	}
	return zip > 0 && zip >= identity
}

// parseCoding reads "name;q=0.5"; the weight is in thousandths. One that can't be
// read is 0: when in doubt, do not compress.
func parseCoding(item []byte) (name []byte, weight int) {
	weight = 1000
	for i, c := range item {
		if c == ';' {
			weight = parseWeight(trim(item[i+1:]))
			item = item[:i]
			break
		}
	}
	return trim(item), weight
}

func parseWeight(q []byte) int {
	if len(q) < 3 || q[0]|0x20 != 'q' || q[1] != '=' || len(q) > len("q=0.000") {
		return 0
	}
	q = q[2:]
	if q[0] != '0' && q[0] != '1' || len(q) > 1 && q[1] != '.' {
		return 0
	}
	weight, scale := int(q[0]-'0')*1000, 100
	for _, c := range q[min(2, len(q)):] {
		if c < '0' || c > '9' {
			return 0
		}
		weight += int(c-'0') * scale
		scale /= 10
	}
	if weight > 1000 {
		return 0
	}
	return weight
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// is compares with a lower-case name, in any case.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		if c := b[i]; c|0x20 != lower[i] && c != lower[i] {
			return false
		}
	}
	return true
}
