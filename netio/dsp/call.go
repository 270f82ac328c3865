package dsp

import (
	"time"

	"millrace/codec/unit"
)

// EndpointID is an endpoint's index in the list that SetEndpoints was given.
type EndpointID uint16

// Call is one bid request to one endpoint. It lives in a slab of the caller's:
// its address must not change, nor its memory be used otherwise, from a Send
// that accepted it until the pool has returned it by Next or the caller has
// taken it back by Cancel. The zero value is ready; a Call is used again and
// again.
type Call struct {
	// Set by the caller before Send.
	Endpoint EndpointID
	Deadline unit.MonoTime // past it the call comes back as TimedOut; a late answer is dropped
	Tag      uint64        // the caller's own

	// Set by the pool before Next returns the call.
	Outcome    Outcome
	Status     uint16        // HTTP status; 0 unless Answered
	Response   []byte        // the body, decompressed; valid until Release, nil when empty
	RetryAfter time.Duration // as the answer asked for; 0 = it did not
	Sent       unit.MonoTime // the turn in which it was given to Send
	FirstByte  unit.MonoTime // the turn in which the answer's head was read
	Done       unit.MonoTime // the turn in which the outcome was known

	flight
}

// Outcome says how a call ended.
type Outcome uint8

// Outcomes.
const (
	Pending     Outcome = iota // not yet known
	Answered                   // a complete answer, of whatever status
	TimedOut                   // not complete by its deadline; the stream was reset
	Reset                      // the peer reset the stream
	Unprocessed                // the peer said that it has not looked at the request (REFUSED_STREAM, GOAWAY)
	Lost                       // the connection ended before the answer did, or could not be made
	Malformed                  // what came is not valid HTTP; the connection was closed
	TooLarge                   // the body is larger than the endpoint's limit, sent or decompressed; cut off
	BadEncoding                // the body is not what its Content-Encoding says
	Outcomes                   // their number
)

var outcomeNames = [Outcomes]string{
	Pending: "pending", Answered: "answered", TimedOut: "timed out", Reset: "reset", Unprocessed: "unprocessed",
	Lost: "lost", Malformed: "malformed", TooLarge: "too large", BadEncoding: "bad encoding",
}

// String is the outcome's name.
func (o Outcome) String() string { return outcomeNames[o] }

// Refused says why Send did not take a call; Accepted is 0.
type Refused uint8

// Answers of Send.
const (
	Accepted        Refused = iota
	RefusedEndpoint         // no such endpoint
	RefusedDown             // no connection, and the next attempt waits for its back-off
	RefusedBusy             // every connection is full and so is the queue
	RefusedDeadline         // the deadline has passed
	RefusedBody             // the body is empty or above Config.RequestBytesMax
	Refusals                // their number
)

var refusedNames = [Refusals]string{
	Accepted: "accepted", RefusedEndpoint: "no such endpoint", RefusedDown: "down", RefusedBusy: "busy",
	RefusedDeadline: "deadline passed", RefusedBody: "body too large or empty",
}

// String is the reason's name.
func (r Refused) String() string { return refusedNames[r] }
