package demand

import (
	"time"

	"millrace/codec/openrtb"
)

// Outcome is how a call ended.
type Outcome uint8

// Outcomes.
const (
	// Answered: with bids or without.
	Answered Outcome = iota
	// Timeout: no answer by the choice's deadline.
	Timeout
	// Cancelled: the collection ended before its deadline came.
	Cancelled
	// Refused: it could not be sent, for want of a connection or a stream.
	Refused
	// Broken: the connection failed, or the protocol was violated.
	Broken
	// BadStatus: an answer that is neither a bid nor a no-bid.
	BadStatus
	// Limited: 429 or 503. Result.RetryAfter is honoured.
	Limited
	// Malformed: a body that is none, is no BidResponse or is too large.
	Malformed

	Outcomes = int(Malformed) + 1
)

var outcomeNames = [Outcomes]string{"answered", "timeout", "cancelled", "refused", "broken", "bad_status", "limited", "malformed"}

// String is the outcome as a metric label.
func (o Outcome) String() string { return outcomeNames[o] }

// Result is what a call came to.
type Result struct {
	Outcome Outcome
	// Latency from Send to the end: answer, failure, or giving up.
	Latency time.Duration
	// Sent is how many bytes went out; 0 keeps what Plan reckoned.
	Sent int
	// Unsent: it never left. What it took of the budgets is given back.
	Unsent bool
	// RetryAfter of a Limited answer, 0 if it named none.
	RetryAfter time.Duration
	// Bids in the answer, and those of them that break a rule: see Lies.
	Bids, Lies int
}

// Lies reports whether a rejected bid counts against its partner: it breaks a
// rule that the request told it. A group that another's verdict broke does not.
func Lies(r openrtb.RejectReason) bool { return r != openrtb.Accepted && r != openrtb.GroupBroken }
