// Package notice calls bidders' own URLs: that their bid has won, that it is
// billed, why it lost. It owns the queue of those calls, the HTTP client and its
// goroutines, all of it off the shards.
//
//	shard ─ Notify: copied ─► ring, one a shard ─► sender ─► workers ─► bidder
//	                          full: false, counted    ▲           │ neither 200 nor 204
//	                                                  └─ later ───┘ up to so many tries
//
// # Whom it calls
//
// The URLs come from bidders. So a call goes to http and https only, without
// credentials, and never to an address that is not public: what a name resolves to
// is looked at when the connection is made, for each connection, redirects
// included (Config.Private lifts that for tests and closed networks). Redirects are
// followed a few times, answers are not read beyond a little, and every call has a
// time-out.
//
// # Bounds
//
// Each ring has its slots, and so has the list of what waits for a worker or for its
// next try; while that is full nothing is taken from the rings. A call is given up
// after its tries or its age, counted. Nothing survives the process: billing does
// not rest on it, the journal says what is owed.
//
// A ring's slots keep their memory: Notify allocates nothing once they have grown.
// Anyone may import it who may import netio.
package notice
