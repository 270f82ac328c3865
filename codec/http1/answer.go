package http1

import "bytes"

// Answer is the head of one answer, as a client reads it. All slices alias the
// parsed buffer; a header that was not sent is nil.
type Answer struct {
	Status        int
	Minor         uint8 // HTTP/1.Minor: 0 or 1
	KeepAlive     bool  // the connection may carry another request, if the body's end is known
	Chunked       bool  // the body is chunked; ContentLength is then -1
	EncodedTwice  bool  // more than one Content-Encoding line: codings were stacked
	ContentLength int64 // bytes, −1 when not given

	ContentType     []byte
	ContentEncoding []byte
	RetryAfter      []byte
	Date            []byte
}

// Interim tells whether another answer to the same request follows (RFC 9110,
// section 15.2). An upgrade, which was not asked for, is none.
func (a *Answer) Interim() bool { return a.Status < 200 && a.Status != 101 }

// HasBody tells whether a body follows the head, for methods other than HEAD and
// CONNECT. It ends by its chunks or its length or else with the connection (RFC
// 9112, section 6.3).
func (a *Answer) HasBody() bool { return HasBody(a.Status) && a.ContentLength != 0 }

// UntilClose tells whether the body ends with the connection.
func (a *Answer) UntilClose() bool { return a.HasBody() && !a.Chunked && a.ContentLength < 0 }

// ParseAnswer reads one answer's head from the start of b. With OK, n is the
// number of bytes up to and including the empty line; the body follows. With
// Incomplete b holds a valid beginning, as far as looked at. Anything else is a
// fault and nothing of a is to be used.
//
// It is as strict as ParseRequest where two readers could disagree on where an
// answer ends, and lenient about the reason phrase, which means nothing.
func ParseAnswer(b []byte, a *Answer) (n int, status Status) {
	*a = Answer{ContentLength: -1}
	line, next, status := nextLine(b, 0)
	if status != OK {
		return 0, status
	}
	if status = a.parseStatusLine(line); status != OK {
		return 0, status
	}
	var marks seen
	for count := 0; ; count++ {
		if line, next, status = nextLine(b, next); status != OK {
			return 0, status
		}
		if len(line) == 0 {
			return next, a.finish(marks)
		}
		if count == MaxHeaders {
			return 0, FaultHeaderCount
		}
		if status = a.parseHeader(line, &marks); status != OK {
			return 0, status
		}
	}
}

// parseStatusLine reads "HTTP/1.1 200 OK"; the reason and the blank before it may
// be missing (RFC 9112, section 4).
func (a *Answer) parseStatusLine(line []byte) Status {
	if len(line) < 12 || string(line[:5]) != "HTTP/" || line[6] != '.' || line[8] != ' ' || !isDigit(line[5]) || !isDigit(line[7]) {
		return FaultStatusLine
	}
	if line[5] != '1' || line[7] > '1' {
		return FaultVersion
	}
	a.Minor = line[7] - '0'
	for _, c := range line[9:12] {
		if !isDigit(c) {
			return FaultStatusLine
		}
		a.Status = a.Status*10 + int(c-'0')
	}
	if a.Status < 100 || len(line) > 12 && line[12] != ' ' || !isFieldValue(line[12:]) {
		return FaultStatusLine
	}
	return OK
}

func (a *Answer) parseHeader(line []byte, marks *seen) Status {
	if line[0] == ' ' || line[0] == '\t' {
		return FaultFold
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !isToken(line[:colon]) {
		return FaultHeader
	}
	name, value := line[:colon], trimBlanks(line[colon+1:])
	if !isFieldValue(value) {
		return FaultHeader
	}
	switch len(name) {
	case 4:
		if equalFold(name, "date") {
			a.Date = value
		}
	case 10:
		if equalFold(name, "connection") {
			*marks |= connectionTokens(value)
		}
	case 11:
		if equalFold(name, "retry-after") {
			a.RetryAfter = value
		}
	case 12:
		if equalFold(name, "content-type") {
			a.ContentType = value
		}
	case 14:
		if equalFold(name, "content-length") {
			return parseLength(value, &a.ContentLength, marks)
		}
	case 16:
		if equalFold(name, "content-encoding") {
			a.EncodedTwice = a.ContentEncoding != nil
			a.ContentEncoding = value
		}
	case 17:
		if equalFold(name, "transfer-encoding") {
			if *marks&seenTransfer != 0 || !equalFold(value, "chunked") {
				return FaultTransfer
			}
			*marks |= seenTransfer
			a.Chunked = true
		}
	}
	return OK
}

// finish applies the rules that need the whole head.
func (a *Answer) finish(marks seen) Status {
	switch {
	case a.Chunked && marks&seenLength != 0:
		return FaultLengthAndTransfer
	case a.Chunked && a.Minor == 0:
		return FaultTransferVersion
	}
	a.KeepAlive = marks&seenClose == 0 && (a.Minor == 1 || marks&seenKeepAlive != 0)
	return OK
}
