package http1

import (
	"bytes"
	"encoding/binary"
)

// MaxHeaders is the number of header lines a request may have. Real exchanges
// send 8 to 20.
const MaxHeaders = 100

// Method is a request method; Other is any token not listed.
type Method uint8

// Methods.
const (
	Other Method = iota
	GET
	HEAD
	POST
	PUT
	PATCH
	DELETE
	OPTIONS
	CONNECT
	TRACE
)

// Request is the head of one request. All slices alias the parsed buffer; a
// header that was not sent is nil, an empty one is empty but not nil.
type Request struct {
	Method         Method
	Minor          uint8 // HTTP/1.Minor: 0 or 1
	KeepAlive      bool  // the connection may carry another request
	Chunked        bool  // the body is chunked; ContentLength is then -1
	ExpectContinue bool  // the client waits for "100 Continue" before its body
	EncodedTwice   bool  // more than one Content-Encoding line: codings were stacked
	ContentLength  int64 // bytes, −1 when not given

	MethodText []byte
	Target     []byte // as sent
	Path       []byte // of Target, "/" at least; not percent-decoded
	Query      []byte // of Target without the "?"; nil when there is none

	Host            []byte
	ContentType     []byte
	ContentEncoding []byte
	AcceptEncoding  []byte
	Connection      []byte // the last one sent; KeepAlive has read all of them
	XForwardedFor   []byte // the last one sent: the nearest proxy's
	UserAgent       []byte
	OpenRTBVersion  []byte // X-Openrtb-Version
	Debug           []byte // X-Millrace-Debug
}

// HasBody tells whether a body follows the head.
func (r *Request) HasBody() bool { return r.Chunked || r.ContentLength > 0 }

// NeedsLength tells whether the request's method carries a body but neither
// length nor chunking was given: answer 411 (RFC 9110, section 15.5.12).
func (r *Request) NeedsLength() bool {
	return r.ContentLength < 0 && !r.Chunked && (r.Method == POST || r.Method == PUT || r.Method == PATCH)
}

// Move re-bases every slice from the buffer that was parsed to a buffer that
// holds the same bytes from its start.
func (r *Request) Move(from, to []byte) {
	// A slice cut from the front part of a buffer keeps the buffer's end as its
	// capacity, so the difference of capacities is its offset: no unsafe needed.
	for _, s := range [...]*[]byte{
		&r.MethodText, &r.Target, &r.Path, &r.Query, &r.Host, &r.ContentType, &r.ContentEncoding,
		&r.AcceptEncoding, &r.Connection, &r.XForwardedFor, &r.UserAgent, &r.OpenRTBVersion, &r.Debug,
	} {
		if *s == nil {
			continue
		}
		if off := cap(from) - cap(*s); off >= 0 && off+len(*s) <= len(to) {
			*s = to[off : off+len(*s)]
		}
	}
}

// seen marks header lines that may come once only.
type seen uint8

const (
	seenHost seen = 1 << iota
	seenLength
	seenTransfer
	seenClose
	seenKeepAlive
)

// ParseRequest reads one request head from the start of b. With OK, n is the
// number of bytes up to and including the empty line; the body follows. With
// Incomplete b holds a valid beginning, as far as looked at. Anything else is a
// fault and nothing of r is to be used.
func ParseRequest(b []byte, r *Request) (n int, status Status) {
	*r = Request{ContentLength: -1}
	for n+1 < len(b) && b[n] == '\r' && b[n+1] == '\n' {
		n += 2
	}
	line, next, status := nextLine(b, n)
	if status != OK {
		return 0, status
	}
	if status = r.parseRequestLine(line); status != OK {
		return 0, status
	}
	var marks seen
	for count := 0; ; count++ {
		if line, next, status = nextLine(b, next); status != OK {
			return 0, status
		}
		if len(line) == 0 {
			break
		}
		if count == MaxHeaders {
			return 0, FaultHeaderCount
		}
		if status = r.parseHeader(line, &marks); status != OK {
			return 0, status
		}
	}
	return next, r.finish(marks)
}

// nextLine cuts the line that starts at i, without its CR LF.
func nextLine(b []byte, i int) (line []byte, next int, status Status) {
	k := bytes.IndexByte(b[i:], '\n')
	if k < 0 {
		return nil, 0, Incomplete
	}
	if k == 0 || b[i+k-1] != '\r' {
		return nil, 0, FaultLineEnd
	}
	// A CR inside the line is caught where the line's bytes are checked.
	return b[i : i+k-1], i + k + 1, OK
}

func (r *Request) parseRequestLine(line []byte) Status {
	sp := bytes.IndexByte(line, ' ')
	if sp <= 0 || !isToken(line[:sp]) {
		return FaultRequestLine
	}
	r.MethodText = line[:sp]
	r.Method = methodOf(r.MethodText)
	rest := line[sp+1:]
	if sp = bytes.IndexByte(rest, ' '); sp <= 0 {
		return FaultRequestLine
	}
	if status := r.parseVersion(rest[sp+1:]); status != OK {
		return status
	}
	return r.parseTarget(rest[:sp])
}

func (r *Request) parseVersion(v []byte) Status {
	if len(v) != 8 || string(v[:5]) != "HTTP/" || v[6] != '.' || !isDigit(v[5]) || !isDigit(v[7]) {
		return FaultRequestLine
	}
	if v[5] != '1' || v[7] > '1' {
		return FaultVersion
	}
	r.Minor = v[7] - '0'
	return OK
}

// parseTarget accepts origin-form, absolute-form and the "*" of OPTIONS (RFC
// 9112, section 3.2); CONNECT's authority-form names no resource of ours.
func (r *Request) parseTarget(t []byte) Status {
	for _, c := range t {
		if class[c]&isTargetByte == 0 {
			return FaultTarget
		}
	}
	r.Target = t
	path, scheme := t, 0
	switch {
	case t[0] == '/':
	case len(t) == 1 && t[0] == '*' && r.Method == OPTIONS:
		r.Path = t
		return OK
	default:
		if len(t) > 7 && equalFold(t[:7], "http://") {
			scheme = 7
		} else if len(t) > 8 && equalFold(t[:8], "https://") {
			scheme = 8
		}
		end := bytes.IndexAny(t[scheme:], "/?")
		if scheme == 0 || end == 0 {
			return FaultTarget
		}
		if end < 0 {
			path = t[len(t):]
		} else {
			path = t[scheme+end:]
		}
	}
	if q := bytes.IndexByte(path, '?'); q >= 0 {
		path, r.Query = path[:q], path[q+1:]
	}
	if len(path) == 0 && scheme > 0 {
		// "http://host" asks for "/" (RFC 9112, section 3.2.1); the scheme's last
		// byte is one, and lies in the buffer, as Move needs.
		path = t[scheme-1 : scheme]
	}
	r.Path = path
	return OK
}

func (r *Request) parseHeader(line []byte, marks *seen) Status {
	if line[0] == ' ' || line[0] == '\t' {
		return FaultFold
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !isToken(line[:colon]) {
		return FaultHeader
	}
	value := trimBlanks(line[colon+1:])
	if !isFieldValue(value) {
		return FaultHeader
	}
	return r.setHeader(line[:colon], value, marks)
}

// setHeader keeps what the hot path needs. The name's length selects at most
// two candidates, so an unknown header costs one comparison or none.
func (r *Request) setHeader(name, value []byte, marks *seen) Status {
	switch len(name) {
	case 4:
		if equalFold(name, "host") {
			if *marks&seenHost != 0 || !isHost(value) {
				return FaultHost
			}
			*marks |= seenHost
			r.Host = value
		}
	case 6:
		if equalFold(name, "expect") {
			if !equalFold(value, "100-continue") {
				return FaultExpect
			}
			r.ExpectContinue = true
		}
	case 10:
		if equalFold(name, "user-agent") {
			r.UserAgent = value
		} else if equalFold(name, "connection") {
			r.Connection = value
			*marks |= connectionTokens(value)
		}
	case 12:
		if equalFold(name, "content-type") {
			r.ContentType = value
		}
	case 14:
		if equalFold(name, "content-length") {
			return parseLength(value, &r.ContentLength, marks)
		}
	case 15:
		if equalFold(name, "accept-encoding") {
			r.AcceptEncoding = value
		} else if equalFold(name, "x-forwarded-for") {
			r.XForwardedFor = value
		}
	case 16:
		if equalFold(name, "content-encoding") {
			r.EncodedTwice = r.ContentEncoding != nil
			r.ContentEncoding = value
		} else if equalFold(name, "x-millrace-debug") {
			r.Debug = value
		}
	case 17:
		if equalFold(name, "transfer-encoding") {
			if *marks&seenTransfer != 0 || !equalFold(value, "chunked") {
				return FaultTransfer
			}
			*marks |= seenTransfer
			r.Chunked = true
		} else if equalFold(name, "x-openrtb-version") {
			r.OpenRTBVersion = value
		}
	}
	return OK
}

// parseLength reads a Content-Length into *length.
func parseLength(value []byte, length *int64, marks *seen) Status {
	if len(value) == 0 || len(value) > 18 {
		return FaultLength
	}
	var v int64
	for _, c := range value {
		if !isDigit(c) {
			return FaultLength
		}
		v = v*10 + int64(c-'0')
	}
	// RFC 9110, section 8.6 lets equal repetitions pass.
	if *marks&seenLength != 0 && v != *length {
		return FaultLength
	}
	*marks |= seenLength
	*length = v
	return OK
}

// finish applies the rules that need the whole head.
func (r *Request) finish(marks seen) Status {
	switch {
	case r.Minor == 1 && marks&seenHost == 0:
		return FaultHost
	case r.Chunked && marks&seenLength != 0:
		return FaultLengthAndTransfer
	case r.Chunked && r.Minor == 0:
		return FaultTransferVersion
	}
	if r.Minor == 0 {
		r.ExpectContinue = false // RFC 9110, section 10.1.1
		r.KeepAlive = marks&seenKeepAlive != 0 && marks&seenClose == 0
	} else {
		r.KeepAlive = marks&seenClose == 0
	}
	return OK
}

// connectionTokens reads a Connection header's list.
func connectionTokens(v []byte) (marks seen) {
	for len(v) > 0 {
		item := v
		if k := bytes.IndexByte(v, ','); k >= 0 {
			item, v = v[:k], v[k+1:]
		} else {
			v = nil
		}
		item = trimBlanks(item)
		if equalFold(item, "close") {
			marks |= seenClose
		} else if equalFold(item, "keep-alive") {
			marks |= seenKeepAlive
		}
	}
	return marks
}

func methodOf(b []byte) Method {
	switch string(b) {
	case "GET":
		return GET
	case "HEAD":
		return HEAD
	case "POST":
		return POST
	case "PUT":
		return PUT
	case "PATCH":
		return PATCH
	case "DELETE":
		return DELETE
	case "OPTIONS":
		return OPTIONS
	case "CONNECT":
		return CONNECT
	case "TRACE":
		return TRACE
	}
	return Other
}

// Classes of bytes (RFC 9110, section 5.6.2; RFC 3986).
const (
	isTokenByte = 1 << iota
	isTargetByte
	isHostByte
)

var class = classTable()

func classTable() (t [256]uint8) {
	for c := '!'; c <= '~'; c++ {
		t[c] |= isTargetByte
	}
	// UTF-8 in targets is not allowed by the RFC, but publishers send it.
	for c := 0x80; c <= 0xff; c++ {
		t[c] |= isTargetByte
	}
	for c := '0'; c <= 'z'; c++ {
		if c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' {
			t[c] |= isTokenByte | isHostByte
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= isTokenByte
	}
	for _, c := range []byte("-._~%!$&'()*+,;=:[]") {
		t[c] |= isHostByte
	}
	return t
}

func isToken(b []byte) bool {
	for _, c := range b {
		if class[c]&isTokenByte == 0 {
			return false
		}
	}
	return len(b) > 0
}

// isHost accepts an empty Host too: RFC 9112 demands it where the target has no
// authority.
func isHost(b []byte) bool {
	for _, c := range b {
		if class[c]&isHostByte == 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c-'0' < 10 }

// isFieldValue refuses controls except tab (RFC 9110, section 5.5), eight bytes
// at a time: values are most of a head's bytes.
func isFieldValue(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		// Borrow-exact as long as it is only asked "is there any": a false mark
		// can only stand above a true one.
		below := (w - ones*0x20) &^ w & highs
		del := w ^ ones*0x7f
		del = (del - ones) &^ del & highs
		if below|del != 0 && !slowFieldValue(b[i:i+8]) {
			return false
		}
	}
	return slowFieldValue(b[i:])
}

func slowFieldValue(b []byte) bool {
	for _, c := range b {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold compares with a lower-case ASCII text.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := b[i]
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// EqualFold tells whether a header's value is the given lower-case text in any
// case.
func EqualFold(b []byte, lower string) bool { return equalFold(b, lower) }
