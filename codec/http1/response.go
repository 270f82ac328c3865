package http1

import "strconv"

// Head is what an answer's head may carry beside status and length. Empty
// fields are left out.
type Head struct {
	ContentType       []byte
	Location          []byte // bytes that do not belong into a header are percent-encoded
	Date              []byte // RFC 9110 HTTP date, see AppendDate
	RetryAfterSeconds int    // 0 = none
	NoStore           bool   // Cache-Control: no-store
	AcceptGzip        bool   // Accept-Encoding: gzip, beside 415
	Gzip              bool   // Content-Encoding: gzip
	VaryEncoding      bool   // Vary: Accept-Encoding
	Close             bool   // Connection: close
	KeepAlive         bool   // Connection: keep-alive, for HTTP/1.0 clients
	Extra             []byte // whole header lines, each ending with CR LF, trusted
}

// ContinueHead is the interim answer to "Expect: 100-continue".
const ContinueHead = "HTTP/1.1 100 Continue\r\n\r\n"

// Common content types, to be used as Head.ContentType.
var (
	TypeJSON = []byte("application/json")
	TypeText = []byte("text/plain; charset=utf-8")
	TypeGIF  = []byte("image/gif")
)

const jsonHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

// AppendHead appends status line and headers, up to and including the empty
// line. contentLength < 0 leaves the length out; 1xx, 204 and 304 never have
// one (RFC 9110, section 8.6).
func AppendHead(dst []byte, status, contentLength int, h *Head) []byte {
	if status == 200 && string(h.ContentType) == "application/json" {
		dst = append(dst, jsonHead...)
	} else {
		dst = appendStatusLine(dst, status)
		if len(h.ContentType) > 0 {
			dst = append(dst, "Content-Type: "...)
			dst = append(dst, h.ContentType...)
			dst = append(dst, "\r\n"...)
		}
	}
	if contentLength >= 0 && HasBody(status) {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendUint(dst, uint64(contentLength), 10)
		dst = append(dst, "\r\n"...)
	}
	if len(h.Date) > 0 {
		dst = append(dst, "Date: "...)
		dst = append(dst, h.Date...)
		dst = append(dst, "\r\n"...)
	}
	if len(h.Location) > 0 {
		dst = append(dst, "Location: "...)
		dst = appendTarget(dst, h.Location)
		dst = append(dst, "\r\n"...)
	}
	if h.RetryAfterSeconds > 0 {
		dst = append(dst, "Retry-After: "...)
		dst = strconv.AppendUint(dst, uint64(h.RetryAfterSeconds), 10)
		dst = append(dst, "\r\n"...)
	}
	if h.NoStore {
		dst = append(dst, "Cache-Control: no-store\r\n"...)
	}
	if h.AcceptGzip {
		dst = append(dst, "Accept-Encoding: gzip\r\n"...)
	}
	if h.Gzip {
		dst = append(dst, "Content-Encoding: gzip\r\n"...)
	}
	if h.VaryEncoding {
		dst = append(dst, "Vary: Accept-Encoding\r\n"...)
	}
	dst = append(dst, h.Extra...)
	switch {
	case h.Close:
		dst = append(dst, "Connection: close\r\n"...)
	case h.KeepAlive:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// HasBody tells whether answers of the status carry a body.
func HasBody(status int) bool { return status >= 200 && status != 204 && status != 304 }

func appendStatusLine(dst []byte, status int) []byte {
	if line := statusLines[min(max(status, 0), len(statusLines)-1)]; line != "" {
		return append(dst, line...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendUint(dst, uint64(min(max(status, 100), 999)), 10)
	return append(dst, " \r\n"...) // the reason may be empty, its blank may not
}

// appendTarget percent-encodes what would break out of the header line.
func appendTarget(dst, target []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range target {
		if c > ' ' && c < 0x7f {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

var statusLines = statusLineTable()

func statusLineTable() (t [600]string) {
	for code, reason := range map[int]string{
		200: "OK", 202: "Accepted", 204: "No Content", 301: "Moved Permanently", 302: "Found", 304: "Not Modified",
		307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
		404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
		411: "Length Required", 413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
		417: "Expectation Failed", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
		500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
		504: "Gateway Timeout", 505: "HTTP Version Not Supported",
	} {
		t[code] = "HTTP/1.1 " + strconv.Itoa(code) + " " + reason + "\r\n"
	}
	return t
}

// AppendDate appends the HTTP date (RFC 9110, section 5.6.7) of whole seconds
// since the Unix epoch: "Sun, 06 Nov 1994 08:49:37 GMT".
func AppendDate(dst []byte, unix int64) []byte {
	const days, months = "ThuFriSatSunMonTueWed", "JanFebMarAprMayJunJulAugSepOctNovDec"
	day, sec := unix/86400, int(unix%86400)
	if sec < 0 {
		day, sec = day-1, sec+86400
	}
	y, m, d := civil(day)
	w := int((day%7 + 7) % 7 * 3)
	dst = append(dst, days[w:w+3]...)
	dst = append(dst, ", "...)
	dst = two(dst, d)
	dst = append(dst, ' ')
	dst = append(dst, months[(m-1)*3:m*3]...)
	dst = append(dst, ' ')
	dst = two(two(dst, y/100), y%100)
	dst = append(dst, ' ')
	dst = append(two(dst, sec/3600), ':')
	dst = append(two(dst, sec/60%60), ':')
	return append(two(dst, sec%60), " GMT"...)
}

func two(dst []byte, v int) []byte { return append(dst, byte('0'+v/10%10), byte('0'+v%10)) }

// civil converts days since 1970-01-01 to a Gregorian date (the era method:
// 400-year cycles counted from March).
func civil(day int64) (y, m, d int) {
	z := day + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d, m = int(doy-(153*mp+2)/5)+1, int(mp)+3
	y = int(yoe + era*400)
	if m > 12 {
		m -= 12
		y++
	}
	return y, m, d
}
