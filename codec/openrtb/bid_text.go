package openrtb

import "bytes"

// textSet finds texts of a request's block list, ASCII letters of either case
// alike, in one look however long the list is: lists of thousands of domains
// are common, and each of twenty bidders' bids is held against them.
type textSet struct {
	list  []Str
	slots []uint32 // index in list + 1, 0 is free; a power of two of them
	text  []byte   // of an entry with escapes
	built bool
}

// build fills the set; as domains the entries are cut to the host.
func (s *textSet) build(list []Str, domains bool) {
	s.list, s.built = list, true
	n := 8
	for n < 2*len(list) {
		n *= 2
	}
	if cap(s.slots) < n {
		s.slots = make([]uint32, n)
	}
	s.slots = s.slots[:n]
	clear(s.slots)
	for i := range list {
		text := s.entry(i, domains)
		if len(text) == 0 {
			continue
		}
		h := uint64(0)
		for k := len(text) - 1; k >= 0; k-- {
			h = mix(h, text[k])
		}
		at := slotOf(h, n)
		for s.slots[at] != 0 {
			at = (at + 1) & (n - 1)
		}
		s.slots[at] = uint32(i + 1)
	}
}

func (s *textSet) entry(i int, domain bool) (text []byte) {
	text, s.text = s.list[i].Text(s.text)
	if domain {
		text = host(text)
	}
	return text
}

// mix is a hash from the last byte to the first: so the hashes of a domain and
// of all above it are found in one pass.
func mix(h uint64, c byte) uint64 { return (h ^ uint64(lower(c))) * 0x9e3779b97f4a7c15 }

func slotOf(h uint64, n int) int { return int(h>>32) & (n - 1) }

func lower(c byte) byte {
	if c-'A' < 26 {
		c |= 0x20
	}
	return c
}

// has reports whether the set has the text.
func (s *textSet) has(text []byte) bool {
	h := uint64(0)
	for k := len(text) - 1; k >= 0; k-- {
		h = mix(h, text[k])
	}
	return len(text) > 0 && s.at(h, text, false)
}

// covers reports whether the set has the host of a domain, or a domain above.
func (s *textSet) covers(domain []byte) bool {
	domain = host(domain)
	h := uint64(0)
	for k := len(domain) - 1; k >= 0; k-- {
		h = mix(h, domain[k])
		if (k == 0 || domain[k-1] == '.') && s.at(h, domain[k:], true) {
			return true
		}
	}
	return false
}

func (s *textSet) at(h uint64, text []byte, domain bool) bool {
	n := len(s.slots)
	for at := slotOf(h, n); s.slots[at] != 0; at = (at + 1) & (n - 1) {
		if sameFold(s.entry(int(s.slots[at]-1), domain), text) {
			return true
		}
	}
	return false
}

func sameFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// host is a domain without what some write around it: a scheme, a path, a
// port, a final dot.
func host(d []byte) []byte {
	d = bytes.TrimSpace(d)
	if i := bytes.Index(d, []byte("//")); i >= 0 {
		d = d[i+2:]
	}
	for i, c := range d {
		if c == '/' || c == '?' || c == '#' || c == ':' {
			d = d[:i]
			break
		}
	}
	return bytes.TrimRight(d, ".")
}

// under reports whether a domain is another one or below it.
func under(domain, of []byte) bool {
	domain, of = host(domain), host(of)
	n := len(domain) - len(of)
	return len(of) > 0 && n >= 0 && sameFold(domain[n:], of) && (n == 0 || domain[n-1] == '.')
}
