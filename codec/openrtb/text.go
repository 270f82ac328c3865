package openrtb

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Str is a JSON string of a parsed body, by reference: the bytes between its
// quotes, decoded only when read. It is valid as long as the body is.
//
// A pointer and a length instead of a slice: half the view is Str, and a view
// is cleared and filled for every request.
type Str struct {
	p       *byte
	n       uint32
	escaped bool
}

// MakeStr is b as a Str that needs no decoding; b must not contain quotes,
// backslashes or control characters. For tests and defaults.
func MakeStr(b []byte) Str {
	if len(b) == 0 {
		return Str{}
	}
	return Str{p: &b[0], n: uint32(len(b))}
}

// Raw is the text as it stands between the quotes, escapes and all.
func (s Str) Raw() []byte {
	if s.p == nil {
		return nil
	}
	return unsafe.Slice(s.p, s.n)
}

// Present reports whether the field was there, even if empty.
func (s Str) Present() bool { return s.p != nil }

// IsZero reports whether there is no text: the field was absent or empty.
func (s Str) IsZero() bool { return s.n == 0 }

// Len is the length of Raw, which no decoding exceeds by more than half
// (invalid bytes become three).
func (s Str) Len() int { return int(s.n) }

// Escaped reports whether Raw contains a backslash.
func (s Str) Escaped() bool { return s.escaped }

// Text is the decoded text: the body's own bytes where they need no decoding,
// else appended to scratch[:0]. The second value is scratch, maybe grown.
// Unlike AppendText it does not repair invalid UTF-8: it is meant for look-ups
// and hashes.
func (s Str) Text(scratch []byte) (text, grown []byte) {
	if !s.escaped {
		return s.Raw(), scratch
	}
	scratch = appendUnescaped(scratch[:0], s.Raw())
	return scratch, scratch
}

// AppendText appends the decoded text as valid UTF-8: every invalid byte and
// every lone surrogate becomes U+FFFD, as with encoding/json.
func (s Str) AppendText(dst []byte) []byte {
	raw := s.Raw()
	if !s.escaped {
		return appendValid(dst, raw)
	}
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return appendValid(dst, raw)
		}
		dst = appendValid(dst, raw[:i])
		dst, raw = appendEscape(dst, raw[i:])
	}
	return dst
}

// AppendJSON appends the text as the inside of a JSON string: what came in,
// made valid UTF-8.
func (s Str) AppendJSON(dst []byte) []byte { return appendValid(dst, s.Raw()) }

// String is AppendText as a string, for messages and tests; it allocates.
func (s Str) String() string { return string(s.AppendText(nil)) }

// Equal reports whether the decoded text is t.
func (s Str) Equal(t string) bool {
	if !s.escaped {
		return string(s.Raw()) == t
	}
	raw := s.Raw()
	var buf [8]byte
	for len(raw) > 0 {
		var got []byte
		if raw[0] == '\\' {
			got, raw = appendEscape(buf[:0], raw)
		} else {
			got, raw = raw[:1], raw[1:]
		}
		if len(t) < len(got) || t[:len(got)] != string(got) {
			return false
		}
		t = t[len(got):]
	}
	return t == ""
}

// EqualStr reports whether two decoded texts are the same.
func (s Str) EqualStr(t Str) bool {
	if !t.escaped {
		return s.Equal(unsafe.String(t.p, t.n))
	}
	if !s.escaped {
		return t.Equal(unsafe.String(s.p, s.n))
	}
	a, b := s.Raw(), t.Raw()
	var abuf, bbuf [8]byte
	var x, y []byte
	for {
		if len(x) == 0 {
			x, a = nextText(abuf[:0], a)
		}
		if len(y) == 0 {
			y, b = nextText(bbuf[:0], b)
		}
		if len(x) == 0 || len(y) == 0 {
			return len(x) == len(y)
		}
		if x[0] != y[0] {
			return false
		}
		x, y = x[1:], y[1:]
	}
}

// EqualFold is Equal with ASCII letters of either case alike; lower must be in
// lower case.
func (s Str) EqualFold(lower string) bool {
	if s.escaped {
		var buf [64]byte
		text, _ := s.Text(buf[:0])
		return equalFold(text, lower)
	}
	return equalFold(s.Raw(), lower)
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// AppendLower appends the decoded text with ASCII letters in lower case, for
// dictionary look-ups. It does not repair invalid UTF-8.
func (s Str) AppendLower(dst []byte) []byte {
	from := len(dst)
	if s.escaped {
		dst = appendUnescaped(dst, s.Raw())
	} else {
		dst = append(dst, s.Raw()...)
	}
	for i, c := range dst[from:] {
		if c-'A' < 26 {
			dst[from+i] = c | 0x20
		}
	}
	return dst
}

// Raw is a JSON value of a parsed body, byte for byte. It is valid as long as
// the body is.
type Raw struct {
	p *byte
	n uint32
}

// Bytes is the value's text, nil if absent.
func (r Raw) Bytes() []byte {
	if r.p == nil {
		return nil
	}
	return unsafe.Slice(r.p, r.n)
}

// Present reports whether the field was there and not null.
func (r Raw) Present() bool { return r.p != nil }

func nextText(dst, raw []byte) (text, rest []byte) {
	switch {
	case len(raw) == 0:
		return nil, nil
	case raw[0] == '\\':
		return appendEscape(dst, raw)
	}
	return raw[:1], raw[1:]
}

// appendUnescaped appends raw with its escapes decoded.
func appendUnescaped(dst, raw []byte) []byte {
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		dst, raw = appendEscape(dst, raw[i:])
	}
	return dst
}

// appendEscape decodes the escape (or surrogate pair of escapes) at the start
// of raw, which the parser has found well-formed.
func appendEscape(dst, raw []byte) (out, rest []byte) {
	if len(raw) < 2 {
		return dst, nil
	}
	switch c := raw[1]; c {
	case 'b':
		return append(dst, '\b'), raw[2:]
	case 'f':
		return append(dst, '\f'), raw[2:]
	case 'n':
		return append(dst, '\n'), raw[2:]
	case 'r':
		return append(dst, '\r'), raw[2:]
	case 't':
		return append(dst, '\t'), raw[2:]
	case 'u':
		r, ok := hex4(raw)
		if !ok {
			return dst, nil
		}
		raw = raw[6:]
		if utf16.IsSurrogate(r) {
			low, ok := hex4(raw)
			if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
				return utf8.AppendRune(dst, pair), raw[6:]
			}
			r = utf8.RuneError
		}
		return utf8.AppendRune(dst, r), raw
	default:
		return append(dst, c), raw[2:]
	}
}

// hex4 reads \uXXXX at the start of b.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c-'0' < 10:
			c -= '0'
		case (c|0x20)-'a' < 6:
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// appendValid appends b with every invalid byte of UTF-8 replaced by U+FFFD.
func appendValid(dst, b []byte) []byte {
	if utf8.Valid(b) {
		return append(dst, b...)
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		dst = utf8.AppendRune(dst, r)
		b = b[n:]
	}
	return dst
}
