package http1

// Status is the outcome of parsing: OK, Incomplete, or a fault that is answered
// with Code and closes the connection, because the next request's start is no
// longer known.
type Status uint8

// Outcomes of ParseRequest, ParseAnswer and Chunked.Decode.
const (
	OK                     Status = iota
	Incomplete                    // more bytes are needed
	FaultRequestLine              // not "METHOD target HTTP/1.x"
	FaultTarget                   // controls, blanks or an unknown form of target
	FaultVersion                  // another major version
	FaultHeader                   // a header line that is not "name: value"
	FaultLineEnd                  // a bare CR or LF
	FaultFold                     // obs-fold
	FaultHeaderCount              // more than MaxHeaders header lines
	FaultHost                     // missing, repeated or malformed Host
	FaultLength                   // malformed or contradicting Content-Length
	FaultLengthAndTransfer        // Content-Length beside Transfer-Encoding
	FaultTransfer                 // a transfer coding other than chunked
	FaultTransferVersion          // Transfer-Encoding in HTTP/1.0
	FaultExpect                   // an expectation other than 100-continue
	FaultChunk                    // malformed chunked framing
	FaultBodySize                 // a chunked body above the limit
	FaultStatusLine               // not "HTTP/1.x 200 reason"
	statuses
)

var statusTable = [statuses]struct {
	code   int
	reason string
}{
	OK:                     {200, "ok"},
	Incomplete:             {400, "request: ended early"},
	FaultRequestLine:       {400, "request line: want METHOD SP target SP HTTP/1.1 CR LF"},
	FaultTarget:            {400, "request target: want /path or http://host/path without blanks or controls"},
	FaultVersion:           {505, "version: want HTTP/1.0 or HTTP/1.1"},
	FaultHeader:            {400, "header line: want name: value without controls"},
	FaultLineEnd:           {400, "line end: want CR LF, not a bare CR or LF"},
	FaultFold:              {400, "header line: folded lines are not accepted"},
	FaultHeaderCount:       {431, "headers: too many header lines"},
	FaultHost:              {400, "Host: want exactly one valid Host header"},
	FaultLength:            {400, "Content-Length: want one plain decimal number"},
	FaultLengthAndTransfer: {400, "Content-Length: not allowed beside Transfer-Encoding"},
	FaultTransfer:          {501, "Transfer-Encoding: only chunked is supported"},
	FaultTransferVersion:   {400, "Transfer-Encoding: not part of HTTP/1.0"},
	FaultExpect:            {417, "Expect: only 100-continue is supported"},
	FaultChunk:             {400, "chunked body: malformed chunk"},
	FaultStatusLine:        {502, "status line: want HTTP/1.1 SP three digits SP reason CR LF"},
	FaultBodySize:          {413, "body: larger than this server accepts"},
}

// Code is the HTTP status that answers the outcome.
func (s Status) Code() int { return statusTable[s].code }

// String is the plain reason: the field at fault and what is wanted.
func (s Status) String() string { return statusTable[s].reason }
