package serve

import (
	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/selection"
)

// Context is one request and its answer, reused from request to request.
type Context struct {
	// Request and User are a bid request's. Request points into its body.
	Request openrtb.BidRequest
	User    selection.User
	// Body is what Request points into; bidders' requests are made of it. Arrived
	// is when it did, 0 for just now.
	Body    []byte
	Arrived unit.MonoTime
	// Debug asks for an explanation of the decision.
	Debug bool

	// Token is an event's. Its Landing points into TokenBuffer.
	// Notice is which of a sale's notices it is, with the exchange's reason for a
	// loss.
	Notice event.Notice
	Loss   openrtb.LossReason

	Token       event.Token
	TokenBuffer []byte

	// sold: the bidder's own notice is to be given when the record is durable.
	sold bool

	Answer Answer

	// Carrier is what the request came on: for Effects, not for the Core.
	Carrier any
}

// RespondEvent makes the answer what the client of the token's event gets: 204,
// or for a click the way to the landing page.
func (x *Context) RespondEvent() {
	x.Answer.Set(204, "")
	if x.Token.Kind == event.Click {
		x.Answer.Status, x.Answer.Location = 302, x.Token.Landing
	}
}

// Answer is what a request gets.
type Answer struct {
	Status int
	// JSON: the body is a bid response; otherwise it is plain text.
	JSON bool
	// Location of a redirect; valid until Reply returns.
	Location []byte
	// Body is appended to; its memory is kept.
	Body []byte
}

// Set makes the answer a status with a plain-text body.
func (a *Answer) Set(status int, text string) {
	a.Status, a.JSON, a.Location = status, false, nil
	a.Body = append(a.Body[:0], text...)
}
