package creative

import (
	"unicode/utf8"

	"millrace/codec/openrtb"
)

// context is the place a value is written to. Each has a table of what becomes
// of a byte, inner escaping and JSON's together, so that a hole is filled in
// one pass whatever it is nested in.
type context uint8

const (
	plain     context = iota // as it is: notices, whose receiver parses them
	jsonText                 // inside a JSON string
	inHTML                   // HTML text or an attribute's value, inside a JSON string
	inScript                 // a string of a script, in an element or an attribute, inside a JSON string
	inStyle                  // a string or url() of a style sheet or a style attribute, inside a JSON string
	inXML                    // XML text or a quoted attribute, inside a JSON string
	htmlInXML                // HTML text or an attribute's value, inside XML text, inside a JSON string
	cdata                    // a URL in a CDATA section, inside a JSON string
	jsonJSON                 // a JSON string, inside a JSON string
	query                    // a component of a URL: percent-encoded, which needs no escaping wherever the URL stands
	contexts
)

const hexDigits = "0123456789ABCDEF"

// escapes maps each ASCII byte to what is written, "" for itself.
var escapes = buildEscapes()

func buildEscapes() (t [contexts][utf8.RuneSelf]string) {
	for x := range contexts {
		for c := range byte(utf8.RuneSelf) {
			s := escapeByte(x, c)
			if x != plain && x != query {
				s = string(openrtb.AppendEscaped(nil, s))
			}
			if s != string(c) {
				t[x][c] = s
			}
		}
	}
	return t
}

// escapeByte is what a byte becomes in its place, before JSON's escaping.
func escapeByte(x context, c byte) string {
	control := c < ' ' || c == 0x7f
	switch x {
	case inHTML:
		return htmlByte(c)
	case htmlInXML:
		s := ""
		for _, b := range []byte(htmlByte(c)) {
			s += xmlByte(b)
		}
		return s
	case inXML:
		return xmlByte(c)
	case inScript:
		// What would end a string, an element or an attribute, or be decoded by
		// one of them. % is: in a javascript: URL.
		if control || c == '"' || c == '\'' || c == '`' || c == '\\' || c == '<' || c == '>' || c == '&' || c == '$' || c == '%' {
			return `\u00` + string([]byte{hexDigits[c>>4], hexDigits[c&15]})
		}
	case inStyle:
		if !unreserved(c) {
			return `\` + string([]byte{hexDigits[c>>4], hexDigits[c&15], ' '})
		}
	case cdata:
		// No URL has these as they are; without ">" CDATA can't end. "[" and "]"
		// stay, for the macros of VAST.
		if control || c == ' ' || c == '<' || c == '>' || c == '"' {
			return percent(c)
		}
	case jsonJSON:
		return string(openrtb.AppendEscaped(nil, []byte{c}))
	case query:
		if !unreserved(c) {
			return percent(c)
		}
	}
	return string(c)
}

// htmlByte leaves nothing that could end a text or a value, quoted or not.
func htmlByte(c byte) string {
	switch c {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '"':
		return "&#34;"
	case '\'':
		return "&#39;"
	case '`':
		return "&#96;"
	case '\\':
		return "&#92;"
	case ' ', '\t', '\n', '\r':
		return "&#" + string([]byte{'0' + c/10, '0' + c%10}) + ";"
	}
	if c < ' ' || c == 0x7f {
		return "&#65533;"
	}
	return string(c)
}

// xmlByte: XML 1.0 has no control characters but tab and line ends, which
// attributes keep only as references.
func xmlByte(c byte) string {
	switch c {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '"':
		return "&#34;"
	case '\'':
		return "&#39;"
	case '\t':
		return "&#9;"
	case '\n':
		return "&#10;"
	case '\r':
		return "&#13;"
	}
	if c < ' ' {
		return "\uFFFD" // not a blank, which HTML would take for one
	}
	return string(c)
}

func percent(c byte) string { return string([]byte{'%', hexDigits[c>>4], hexDigits[c&15]}) }

// clean has the bytes that stay as they are: most of every value, passed over
// in a loop that looks at nothing else.
var clean = buildClean()

func buildClean() (t [contexts][256]bool) {
	for x := range contexts {
		for c := range utf8.RuneSelf {
			t[x][c] = escapes[x][c] == ""
		}
	}
	return t
}

func unreserved(c byte) bool {
	return c-'a' < 26 || c-'A' < 26 || c-'0' < 10 || c == '-' || c == '.' || c == '_' || c == '~'
}

// appendEscaped appends v as the context wants it. Invalid UTF-8 becomes
// U+FFFD, but for plain, and for URLs, where bytes are percent-encoded.
func appendEscaped[T string | []byte](dst []byte, x context, v T) []byte {
	if x == plain {
		return append(dst, v...)
	}
	table, skip, from := &escapes[x], &clean[x], 0
	for i := 0; i < len(v); i++ {
		c := v[i]
		if skip[c] {
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(append(dst, v[from:i]...), table[c]...)
			from = i + 1
			continue
		}
		if x == query || x == cdata {
			dst = append(append(dst, v[from:i]...), '%', hexDigits[c>>4], hexDigits[c&15])
			from = i + 1
			continue
		}
		var buf [utf8.UTFMax]byte
		r, n := utf8.DecodeRune(buf[:copy(buf[:], v[i:])])
		// XML has no U+FFFE and U+FFFF, and nobody needs them elsewhere.
		if n > 1 && r != 0xFFFE && r != 0xFFFF {
			i += n - 1
			continue
		}
		dst = append(append(dst, v[from:i]...), "\uFFFD"...)
		i += n - 1
		from = i + 1
	}
	return append(dst, v[from:]...)
}

// appendStr is appendEscaped for text by reference: it is decoded to the end
// of dst, escaped behind that, and moved to its place.
func appendStr(dst []byte, x context, s openrtb.Str) []byte {
	if !s.Escaped() {
		return appendEscaped(dst, x, s.Raw())
	}
	at := len(dst)
	dst = s.AppendText(dst)
	decoded := len(dst)
	dst = appendEscaped(dst, x, dst[at:decoded])
	return dst[:at+copy(dst[at:], dst[decoded:])]
}
