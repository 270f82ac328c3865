// Package ingress is the network edge for ad and event traffic: HTTP/1.1 over
// netpoll's pollers, with keep-alive and pipelining, and no goroutine a request.
//
//	            poller (netpoll)                         any goroutine
//	readable ──► recv ─► parse ─► Exchange ─► Handler ─ ─ ► shard ─ ─ ► Reply
//	                │                                                   │ in order
//	             partial: conn.in                                    conn.out ─► send
//	                                                                    │ EAGAIN
//	                                                                slow lane (own epoll)
//
// # How netpoll is used, and why so
//
// netpoll is used for readiness alone: each connection is registered with a
// poller as if it were a listener, and netpoll's "accept" call is our "it is
// readable". What its own Connection would do is left aside, because
//   - it allocates a closure for each readable event, which breaks the rule of
//     0 allocations a request;
//   - running handlers on the poller needs netpoll's process-wide runner to be
//     replaced, which would drag hertz's (blocking) admin handlers there too;
//   - its Flush blocks the poller when a client does not read;
//   - it closes the descriptor when the peer closes, whoever is about to write,
//     and a half-closed client would lose its answer.
//
// The price is one sleeping goroutine a connection (not a request), parked in
// netpoll's Serve for as long as the connection lives. It buries the connection.
//
// # Who owns what
//
// The descriptor is owned by the connection and is closed in one place only
// (conn.bury), under conn.mu, after netpoll has let go of it. Whoever writes
// holds conn.mu and looks at conn.dead first, so no byte can reach a stranger
// that was given the same descriptor number later. Everyone else who wants a
// connection gone calls shutdown(2); the poller then sees the hang-up, forgets
// the descriptor, and the burial follows.
//
// The reading side (parser state, conn.in) is guarded by conn.rmu. The poller
// takes it for a turn; so do the slow lane, when it resumes a connection that
// was stalled, and the sweep, for timeouts. Lock order: rmu, then mu. Neither is
// held while waiting for anything.
//
// An Exchange belongs to the handler from Serve until Reply, on whatever
// goroutine; then to the pool. If the connection has died meanwhile, Reply drops
// the answer.
//
// # Bounds
//
// Connections, exchanges in flight, pipelined requests a connection, head and
// body bytes, bytes buffered for slow senders and slow readers: each has a
// limit, an answer or a close when it is reached, and a counter. A client that
// does not read costs its own backlog and nothing else.
//
// Linux only (epoll, accept4). engine and tools may import it.
package ingress
