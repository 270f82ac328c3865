// Package load drives an ad server over HTTP/1.1 and measures what its clients
// would see. It owns its sockets, its requests and its histograms, and knows of
// the server only the wire.
//
//	arrivals (open loop) ─► free connection? ─► write ─► epoll ─► parse ─► histogram
//	      │ due at t, whether or not               ▲                │
//	      └ a connection is free                   └── beacons ◄────┘ tracking URLs of the answer
//
// # Open loop, corrected
//
// With a rate, request i is due at a time that does not depend on the server:
// evenly spaced or Poisson. Latency runs from that intended time, so a server
// that stops for a second is charged with all the requests that were due in
// that second ("coordinated omission" is the mistake of charging it with one).
// A request that found no free connection before the end is recorded with the
// time it had waited and counted as unsent. How late the generator itself was
// is a histogram of its own, send_delay: when it is not small against the
// latencies, the machine was too busy for the numbers to mean anything.
//
// Without a rate each connection has a fixed number of requests in flight and
// the next leaves when one is answered: a throughput measurement. Its latencies
// are not corrected and the summary says so.
//
// # Cost
//
// Client and server usually share a machine, so the client must cost less than
// what it measures: one goroutine with its own epoll set for many non-blocking
// sockets, requests rendered beforehand with only the ids patched in, answers
// parsed in the read buffer, nothing allocated per request. A request costs one
// write and one read; pipelined requests of a turn share them. net/http costs
// four times that, an own goroutine per connection twice.
package load
