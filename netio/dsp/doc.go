// Package dsp is the bid client: requests to many endpoints over pooled HTTP/2 and
// HTTP/1.1 connections that one shard owns. No goroutine, lock, map or allocation
// a call.
//
//	        Send ─► conn.out ─┐ (frames of several auctions)
//	shard   Cancel ─► RST ────┼─► Flush: one write a connection and turn ─► socket
//	        Tick: deadlines ──┘                                               │
//	          ▲                                                               ▼
//	        Next ◄─ calls ◄─ frames ◄─ Ready: one read a connection ◄─── readable
//	                                     ▲                                    │
//	                                   Notify ◄── netpoll's poller ◄── the pool's epoll
//
// # Who owns what
//
// A Pool and all its connections belong to one shard: whoever has its turn calls
// the methods, one at a time. Nothing is shared between pools but the list of
// Endpoints, which is immutable. Two kinds of code run elsewhere: netpoll's poller,
// which only sets bits and calls Notify; and goroutines that look up names, dial
// and shake hands, one for an attempt, never for a call, which hand over a
// descriptor (and TLS state) and end. After that a TLS connection reads and writes
// buffers: the shard does its socket's I/O too.
//
// A Call belongs to the caller, but for the time between Send and Next or Cancel.
// Its Response is the caller's until Release. A body given to Send is not kept.
//
// # A call's way
//
//	            pick: a connection with room         conn     answer complete
//	Send ─────────────────────────────────────► flying ─────────────────► Answered ─► Next
//	  │ none                                     │  ▲  │ deadline ─► TimedOut
//	  ├──► queued, and another connection is asked for │ RST_STREAM ─► Reset, Unprocessed
//	  │        └── room ───────────────────────────┘   │ connection fails ─► Lost, Malformed
//	  └──► refused: queue full, down, late             └ too much ─► TooLarge
//
// Over HTTP/2 the first connection with room gets the call, so that calls share
// frames' writes and reads; when it is three quarters full another is dialled. A
// late or cancelled call costs one RST_STREAM, and the connection stays. Over
// HTTP/1.1 a call has a connection to itself; if it is given up the answer is read
// for a while longer without it, which saves a new connection whenever it comes
// soon.
//
// # Bounds
//
// What a peer can make us keep or do is bounded for each connection or endpoint,
// so that one bad endpoint is a nuisance to nobody else:
//
//	what                                  bound                              at the bound
//	answer, sent and decompressed         ResponseBytesMax                   TooLarge; RST_STREAM
//	unfinished answers of a connection    4 MiB window, credited at the end  the peer waits
//	unfinished answers of an endpoint     1/8 of BufferBytesMax              TooLarge
//	header block, decompressed headers    HeaderBytesMax                     closed
//	frames that serve no call             4000, 1000 more a second           closed, ENHANCE_YOUR_CALM
//	what it does not read                 OutBytesMax; WriteTimeout          RefusedBusy; closed
//	read in one turn                      256 KiB a connection               goes on in the next turn
//	calls waiting for a connection        QueueMax                           RefusedBusy
//	connections, attempts                 ConnsMax; back-off with jitter     RefusedDown
//	silence                               PingAfter, PingTimeout (HTTP/2)    closed
//	an answer of any slowness             the call's Deadline                TimedOut
//
// Linux only (epoll). engine and tools may import it.
package dsp
