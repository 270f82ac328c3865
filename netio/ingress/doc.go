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
// # How each state ends
//
// The sweep looks at every connection each SweepInterval. Whatever a connection
// waits for, one of these ends it if the peer does nothing more; the first line
// that fits is the one that counts.
//
//	state                                      ended by           how
//	refused over ConnectionsMax                at once            503, closed
//	cut off                                    the poller's next  reset where input is unread, where the
//	                                           turn, or bury      peer sent too much or took too little
//	our last byte sent, not confirmed          WriteTimeout       reset; restarts with each share taken
//	  confirmed (lingering)                    LingerTimeout      closed
//	  and the peer goes on sending             BodyBytesMax or    reset
//	                                           LingerTimeout
//	answers wait for the peer to take them     WriteTimeout       reset; restarts with each share taken
//	a request is with the handler              AnswerTimeout      closed; later replies are dropped
//	answered, not flushed; input about to be   AnswerTimeout      closed
//	  resumed by the slow lane
//	input waits for room (pipelining)          as the two above; BacklogBytesMax, the input's limit
//	half a head (or line ends before one)      HeadTimeout        408, then lingering
//	half a body, or none after 100 Continue    BodyTimeout        408, then lingering
//	nothing of the next request                IdleTimeout        closed
//	the peer has ended (half-closed)           at once, when nothing is owed to it; else as above
//	closed by us, bytes with the kernel        WriteTimeout       (TCP_USER_TIMEOUT)
//
// A share is 1/32 of BacklogBytesMax, or all that waits if that is less.
// Neither head nor body time is extended by dribbling.
//
// Linux only (epoll, accept4). engine and tools may import it.
package ingress
