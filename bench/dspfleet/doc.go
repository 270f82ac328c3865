// Package dspfleet is a fleet of mock bidders on real sockets, in one process:
// what a demo, a bench or a test calls instead of the bidders of the world.
//
//	bid requests ─► listener ─► worker: epoll, HTTP/1.1 or HTTP/2, TLS ─► bid model ─┐
//	                                 ▲                                               ▼
//	                                 └── answers ◄── timers ◄── latency, faults ◄────┘
//	notices      ─► one listener for all ─► counted, and held against what was bid
//	operator     ─► admin (HTTP) and schedule ─► behaviour, swapped by pointer
//
// Each bidder has a port of its own, so that to a client it is a host of its
// own, with its connections and its manners. What it answers is a function of
// the fleet's seed, the bidder and the request's id: two runs see the same
// bids at the same latencies whatever else happened, so that a scenario can be
// played with and without a fault and compared bid by bid.
//
// # Behaviour
//
// Behaviour is a value that is parsed from text (docs/demand.md), never
// changed, and swapped whole: at the start, by an admin request, or by the
// schedule. Faults are drawn for each request, at a share.
//
// # Cost
//
// The fleet usually shares the machine with what is measured. A worker is one
// goroutine on a thread of its own with an epoll set; it reads a socket until
// it is empty, answers what is due, and writes once a connection and turn. The
// connections of a bidder belong to one worker; only counters and the pointer
// to the behaviour are shared.
//
// HTTP/2 stands on the frame constants and the HPACK of golang.org/x/net and
// shares no code with Millrace's client: what one misreads the other does not
// misread too. What a client does against the protocol is counted.
package dspfleet
