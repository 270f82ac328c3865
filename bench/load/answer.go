package load

import "bytes"

// answer is one parsed HTTP/1.1 response; its slices point into the read
// buffer and are valid until the next read.
type answer struct {
	status   int
	body     []byte
	location []byte
	close    bool
}

type parseResult uint8

const (
	parsePartial parseResult = iota // more bytes are needed
	parseDone
	parseBroken // not an answer this client takes; the connection is given up
)

var (
	headEnd    = []byte("\r\n\r\n")
	lineEnd    = []byte("\r\n")
	headerLen  = []byte("content-length:")
	headerTE   = []byte("transfer-encoding:")
	headerConn = []byte("connection:")
	headerLoc  = []byte("location:")
)

// answerHeadMax bounds a response head.
const answerHeadMax = 64 << 10

// answerBodyMax bounds a response body.
const answerBodyMax = 64 << 20

// parseAnswer parses the first response in b and returns the bytes it took.
// Bodies need a Content-Length: both servers this is made for send one, and
// chunked bodies would hide the cost of the server in that of the client.
func parseAnswer(b []byte, a *answer) (int, parseResult) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		if len(b) > answerHeadMax {
			return 0, parseBroken
		}
		return 0, parsePartial
	}
	if end < 12 || string(b[:7]) != "HTTP/1." || b[8] != ' ' {
		return 0, parseBroken
	}
	*a = answer{}
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			return 0, parseBroken
		}
		a.status = a.status*10 + int(c-'0')
	}
	length := -1
	for rest := b[:end]; ; {
		i := bytes.Index(rest, lineEnd)
		if i < 0 {
			break
		}
		rest = rest[i+2:]
		line := rest
		if j := bytes.Index(rest, lineEnd); j >= 0 {
			line = rest[:j]
		}
		if len(line) == 0 {
			break
		}
		switch line[0] | 0x20 {
		case 'c':
			if v, ok := headerValue(line, headerLen); ok {
				n, good := decimal(v)
				if !good || n > answerBodyMax {
					return 0, parseBroken
				}
				length = n
			} else if v, ok := headerValue(line, headerConn); ok {
				a.close = len(v) == 5 && foldEqual(v, "close")
			}
		case 'l':
			if v, ok := headerValue(line, headerLoc); ok {
				a.location = v
			}
		case 't':
			if _, ok := headerValue(line, headerTE); ok {
				return 0, parseBroken
			}
		}
	}
	total := end + len(headEnd)
	if a.status == 204 || a.status == 304 || a.status < 200 {
		return total, parseDone
	}
	if length < 0 {
		return 0, parseBroken
	}
	if len(b) < total+length {
		return 0, parsePartial
	}
	a.body = b[total : total+length]
	return total + length, parseDone
}

// headerValue is the trimmed value when the line starts with name, which is in
// lower case and ends in a colon.
func headerValue(line, name []byte) ([]byte, bool) {
	if len(line) < len(name) || !foldEqual(line[:len(name)], string(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}

// foldEqual compares ASCII, lower being in lower case.
func foldEqual(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func decimal(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<40 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) > 0
}

var bidMark = []byte(`"impid":`)

// countBids counts the bids of a bid response.
func countBids(body []byte) int { return bytes.Count(body, bidMark) }

// The paths that tracking URLs start with.
var (
	markImpression = []byte("/e/i")
	markClick      = []byte("/e/c")
	markConversion = []byte("/e/v")
)

// linksMax bounds the tracking URLs taken from one answer.
const linksMax = 128

// links are the tracking URLs of one kind in an answer, as path and query.
type links struct {
	n    int
	path [linksMax][]byte
}

// find collects the distinct occurrences of the marker's path (neighbours that
// repeat count once). The text may be JSON in HTML in JSON; a URL in it ends
// where no character of a URL can stand.
func (l *links) find(text, marker []byte) {
	l.n = 0
	for l.n < linksMax {
		i := bytes.Index(text, marker)
		if i < 0 {
			return
		}
		end := i + len(marker)
		for end < len(text) && urlByte[text[end]] {
			end++
		}
		path := text[i:end]
		text = text[end:]
		if len(path) == len(marker) || path[len(marker)] != '?' && path[len(marker)] != '/' || l.n > 0 && bytes.Equal(path, l.path[l.n-1]) {
			continue
		}
		l.path[l.n] = path
		l.n++
	}
}

// urlByte marks what may stand in path and query of a tracking URL: unreserved
// characters and / ? = & % + : , not quotes, brackets or backslashes. An "&"
// that HTML writes as "&amp;" is cut at the ";", which no token needs.
var urlByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || bytes.IndexByte([]byte("-._~/?=&%+:"), byte(c)) >= 0
	}
	return t
}()

// tokenMin is the least length of what is taken for a token in a landing URL.
const tokenMin = 60

// appendConversion appends the path that reports a conversion after the
// redirect to location, nothing where there is none. An advertiser gets the
// token in a parameter of its own choosing and hands it back to /e/v; here the
// longest run of base64url stands for "its parameter".
func appendConversion(dst, location []byte) []byte {
	from, longest := 0, 0
	for i := 0; i < len(location); {
		j := i
		for j < len(location) && base64urlByte[location[j]] {
			j++
		}
		if j-i > longest {
			from, longest = i, j-i
		}
		i = j + 1
	}
	if longest < tokenMin {
		return dst
	}
	dst = append(dst, markConversion...)
	dst = append(dst, "?t="...)
	return append(dst, location[from:from+longest]...)
}

var base64urlByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	return t
}()
