package openrtb

import "time"

// Allowance is what a request's time is spent on before and after the bidders
// have theirs.
type Allowance struct {
	// Elapsed since the first byte of the request.
	Elapsed time.Duration
	// Network to the bidder and back.
	Network time.Duration
	// Answer is what we need to decide and to answer.
	Answer time.Duration
	// Least is the time under which a bidder is not worth asking.
	Least time.Duration
	// Absent stands for the tmax of a request that has none; Most caps it: 0 =
	// no cap. Both in milliseconds.
	Absent, Most int32
}

// BidderTMax is the tmax to send to a bidder (rule 15): what is left of the
// request's own, in whole milliseconds, rounded down so that no bidder thinks
// it has more than it has. ok is false if that is less than is worth asking:
// then the bidder is not called.
func BidderTMax(tmax int32, a *Allowance) (out int32, ok bool) {
	if tmax <= 0 {
		tmax = a.Absent
	}
	if a.Most > 0 {
		tmax = min(tmax, a.Most)
	}
	left := time.Duration(tmax)*time.Millisecond - a.Elapsed - a.Network - a.Answer
	out = int32(left / time.Millisecond)
	if left <= 0 || out <= 0 || left < a.Least {
		return 0, false
	}
	return out, true
}
