package ingress

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"millrace/codec/http1"
	"millrace/codec/unit"
)

// conn is one connection. It is never recycled: a pointer to it means this
// connection and no later one, which is why no generation numbers are needed.
type conn struct {
	srv    *Server
	fd     int // open until bury; used under mu with dead false, or by the reading side
	remote netip.AddrPort
	index  int // in Server.conns; guarded by Server.connsMu

	// The reading side; guarded by rmu.
	rmu       sync.Mutex
	in        []byte        // input not yet served: a partial request, or requests that wait
	phase     phase         // of the request at the start of in
	headLen   int           // bytes of its head, once complete
	need      int           // bytes of head and body, once known
	chunked   http1.Chunked // inChunks
	scanned   int           // bytes of in already searched for the head's end
	ending    bool          // nothing more is served; input is thrown away
	eof       bool          // the peer has sent its last byte, or an error was read
	discarded int           // bytes thrown away while ending
	pipelined bool          // this turn serves more than one request: corked is set

	progress atomic.Uint32 // phase | count of requests<<2: the sweep's view of the reading side
	cut      atomic.Uint32 // notCut, cutPlain or cutReset: set before the shutdown(2) that follows

	// The answering side; guarded by mu.
	mu          sync.Mutex
	front, back *Exchange // unanswered, oldest first
	pending     int       // exchanges not yet replied; outlives front when the connection dies
	out         []byte    // answers in order; out[off:] has not been taken by the kernel
	off         int
	toucher     *Flusher      // the flusher that will write out
	waiting     bool          // registered with the slow lane for EPOLLOUT
	stalled     bool          // input waits for room
	resuming    bool          // the slow lane is about to go on with it
	corked      bool          // a turn is serving several requests and will write at its end
	noMore      bool          // no further request is admitted
	finish      bool          // close once out has left
	lingering   bool          // our side is shut; waiting for the peer's end
	dead        bool          // no write may happen any more
	final       int           // status of the answer that follows the pending ones; 0 = none
	reason      string        // its body
	wantGo      bool          // "100 Continue" is due once the pending answers have left
	held        int           // bytes of out counted in Server.buffered
	since       unit.MonoTime // lingering: when our last byte was last seen to be on its way
	sent        int64         // bytes the kernel took, ever
	pace        pace          // of a client that is slow to take what was sent
	buried      chan struct{} // set while bury waits; closed by notice

	// Owned by the sweep.
	seen   uint32
	seenAt unit.MonoTime
}

// Once a connection is cut off nothing is read from it. The kernel sends no
// window updates for reads after shutdown(2), and its close sends no reset if
// all input was read: a client that had filled the window would be left probing
// an orphan for a minute. Unread input makes the close a reset.
const (
	notCut   uint32 = iota
	cutPlain        // what has been sent may still be taken; a reset if input is unread
	cutReset        // closed by a reset, which also frees what the kernel holds
)

type phase uint8

const (
	atIdle   phase = iota // no byte of the next request
	inHead                // some bytes of a head
	inBody                // head complete, body of known length not
	inChunks              // head complete, chunked body not
)

// readable is a conn as netpoll sees it: a "listener" whose Accept means "there
// is something to read". Accept never returns a connection or an error.
type readable conn

var _ netpoll.Listener = (*readable)(nil)

// Fd implements netpoll.Listener.
func (r *readable) Fd() int { return r.fd }

// Addr implements net.Listener.
func (r *readable) Addr() net.Addr { return nil }

// Close implements net.Listener; the descriptor is closed by bury only.
func (r *readable) Close() error { return nil }

// Accept is called by the poller when the connection is readable.
func (r *readable) Accept() (net.Conn, error) {
	(*conn)(r).turn()
	return nil, nil
}

// run is the connection's goroutine: asleep in Serve until the poller has seen
// the hang-up and forgotten the descriptor, then it reads what is left and
// closes. A fresh event loop a connection, because netpoll keeps the poller's
// raw pointer into it: the loop has to stay reachable (from this stack) for as
// long as the descriptor is registered.
func (c *conn) run() {
	defer c.srv.running.Done()
	loop, err := netpoll.NewEventLoop(nil)
	if err == nil {
		err = loop.Serve((*readable)(c))
	}
	_ = err // "listener close" for a hang-up; a failed registration ends the same way
	c.drain()
	c.bury()
}

// turn reads once and serves what is complete. Called by the poller.
func (c *conn) turn() {
	t := c.srv.turns.get()
	c.rmu.Lock()
	c.read(t)
	c.uncork()
	c.rmu.Unlock()
	t.flusher.Flush()
	c.srv.turns.put(t)
}

// resume serves input that had to wait. Called by the slow lane.
func (c *conn) resume(t *turn) {
	c.rmu.Lock()
	if len(c.in) > 0 && !c.ending {
		t.now = c.srv.clock.Mono()
		c.advanceIn(t)
	}
	c.uncork()
	c.mu.Lock()
	c.resuming = false
	if c.resumable() {
		c.srv.lane.resume(c)
	}
	c.notice()
	c.mu.Unlock()
	c.rmu.Unlock()
	t.flusher.Flush()
}

// uncork writes what the answers of a pipelined turn came to. Without it, a
// handler that flushes after each request (a shard's turn run inline does) would
// need a write for each: 5 µs instead of 1. Holds rmu.
func (c *conn) uncork() {
	if !c.pipelined {
		return
	}
	c.pipelined = false
	c.mu.Lock()
	c.corked = false
	c.write()
	c.mu.Unlock()
}

// drain reads to the end after the poller let go: the peer has closed (or half
// closed), or the connection was shut down. Reads never block.
func (c *conn) drain() {
	s := c.srv
	s.drainMu.Lock() // one at a time: a mass disconnect must not need a scratch buffer each
	c.rmu.Lock()
	for !c.eof {
		if !c.read(&s.drainTurn) {
			break
		}
	}
	c.uncork()
	c.eof, c.ending = true, c.ending || !c.hasWaiting()
	c.rmu.Unlock()
	s.drainTurn.flusher.Flush()
	s.drainMu.Unlock()
}

// bury waits until nothing is owed to the peer any more (or it has died), then
// closes the descriptor: the only place that does.
func (c *conn) bury() {
	for {
		c.mu.Lock()
		if c.dead || c.owesNothing() {
			break
		}
		c.buried = make(chan struct{})
		buried := c.buried
		c.mu.Unlock()
		<-buried
	}
	c.die()
	if c.waiting {
		c.srv.lane.remove(c)
	}
	c.parting()
	_ = unix.Close(c.fd)
	c.fd = -1
	c.mu.Unlock()
	c.rmu.Lock()
	c.srv.buffered.Add(-int64(cap(c.in)))
	c.in = nil
	c.rmu.Unlock()
	c.srv.forget(c)
}

// parting settles what the kernel does with the connection after its close.
// Holds mu.
func (c *conn) parting() {
	if c.cut.Load() == cutReset {
		_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		return
	}
	if unacknowledged(c.fd) > 0 {
		// The kernel goes on sending: for minutes if the peer takes nothing.
		_ = unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(c.srv.cfg.WriteTimeout.Milliseconds()))
	}
}

// hasWaiting tells whether input waits for room.
func (c *conn) hasWaiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return (c.stalled || c.resuming) && !c.dead
}

// owesNothing holds mu.
func (c *conn) owesNothing() bool {
	return c.pending == 0 && !c.stalled && !c.resuming && c.final == 0 && c.off == len(c.out)
}

// notice wakes bury. Holds mu.
func (c *conn) notice() {
	if c.buried != nil && (c.dead || c.owesNothing()) {
		close(c.buried)
		c.buried = nil
	}
}

// read takes in what one recv gives and serves it; false means there is nothing
// more for now. Holds rmu.
func (c *conn) read(t *turn) bool {
	if c.cut.Load() != notCut {
		return false
	}
	t.now = c.srv.clock.Mono()
	buf, direct := t.scratch, true
	if c.ending {
		c.dropInput()
	} else if len(c.in) > 0 {
		if !c.grow() {
			return false
		}
		buf, direct = c.in[len(c.in):cap(c.in)], false
	}
	n, err := recv(c.fd, buf)
	switch {
	case n > 0 && c.cut.Load() != notCut: // cut off meanwhile: no longer unread, so the kernel would not reset
		c.cut.Store(cutReset)
		return false
	case err == unix.EAGAIN || err == unix.EINTR:
		return false
	case err != 0:
		c.eof = true
		c.kill(&c.srv.metrics.resets)
		return false
	case n == 0:
		c.eof = true
		return false
	case c.ending:
		if c.discarded += n; c.discarded > c.srv.cfg.inputMax() {
			c.reset(&c.srv.metrics.overflows)
		}
		return true
	}
	if !direct {
		c.in = c.in[:len(c.in)+n]
		c.advanceIn(t)
		return true
	}
	rest := c.advance(t, buf[:n])
	if len(rest) > 0 && !c.ending {
		if c.keep(rest) && c.phase == inChunks {
			c.advanceIn(t) // chunks are decoded in a buffer that is the connection's
		}
	}
	c.publish()
	return true
}

// advanceIn serves from the connection's own buffer and closes the gap.
func (c *conn) advanceIn(t *turn) {
	rest := c.advance(t, c.in)
	c.in = c.in[:copy(c.in[:cap(c.in)], rest)]
	if c.ending || len(c.in) == 0 && cap(c.in) > retainMax {
		c.dropInput()
	}
	c.publish()
}

// publish tells the sweep where the reading side stands.
func (c *conn) publish() {
	p := c.phase
	if p == atIdle && len(c.in) > 0 {
		p = inHead
	}
	if p == inChunks {
		p = inBody
	}
	c.progress.Store(c.progress.Load()&^3 | uint32(p))
}

// keep copies a partial request into the connection's own buffer.
func (c *conn) keep(rest []byte) bool {
	for cap(c.in) < len(rest) {
		if !c.growTo(max(1024, 2*cap(c.in), len(rest))) {
			return false
		}
	}
	c.in = append(c.in[:0], rest...)
	return true
}

// grow makes room behind the input; false ended the connection.
func (c *conn) grow() bool {
	if len(c.in) < cap(c.in) {
		return true
	}
	limit := c.srv.cfg.inputMax()
	if cap(c.in) >= limit {
		// Only input that waits for answers can come here: a single request has
		// its own limits below this one.
		c.reset(&c.srv.metrics.overflows)
		c.ending = true
		return false
	}
	return c.growTo(min(2*cap(c.in), limit))
}

func (c *conn) growTo(size int) bool {
	s := c.srv
	if s.buffered.Add(int64(size-cap(c.in))) > int64(s.cfg.BufferedBytesMax) {
		s.buffered.Add(-int64(size - cap(c.in)))
		s.metrics.refusedMemory.Add(1)
		c.fail(503, "server: too many bytes of unfinished requests are buffered; retry")
		return false
	}
	grown := make([]byte, len(c.in), size)
	copy(grown, c.in)
	c.in = grown
	return true
}

func (c *conn) dropInput() {
	c.srv.buffered.Add(-int64(cap(c.in)))
	c.in = nil
	c.phase, c.scanned = atIdle, 0
}

// fail ends the connection with an error answer, behind those still pending.
// Holds rmu.
func (c *conn) fail(status int, reason string) {
	if c.ending {
		return
	}
	c.ending = true
	c.mu.Lock()
	c.noMore, c.stalled = true, false
	if !c.dead {
		c.final, c.reason = status, reason
		if c.front == nil {
			c.settle(false)
		}
		c.write()
	}
	c.mu.Unlock()
}

// kill ends the connection without another byte.
func (c *conn) kill(why *atomic.Uint64) {
	c.mu.Lock()
	c.killLocked(why)
	c.mu.Unlock()
}

// reset is kill for a client that does not deserve what the kernel still holds
// for it.
func (c *conn) reset(why *atomic.Uint64) {
	c.mu.Lock()
	c.resetLocked(why)
	c.mu.Unlock()
}

func (c *conn) killLocked(why *atomic.Uint64)  { c.cutOff(why, cutPlain) }
func (c *conn) resetLocked(why *atomic.Uint64) { c.cutOff(why, cutReset) }

// cutOff holds mu.
func (c *conn) cutOff(why *atomic.Uint64, how uint32) {
	if c.dead {
		return
	}
	why.Add(1)
	c.die()
	c.cut.Store(how)
	// The poller sees the hang-up, lets go of the descriptor and run goes on to
	// bury. Where it has let go already, notice wakes bury.
	_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
}

// die stops all writing and frees what only the connection holds. Exchanges
// still with their handlers come back through Reply. Holds mu.
func (c *conn) die() {
	c.dead, c.noMore, c.stalled, c.wantGo, c.final = true, true, false, false, 0
	for x := c.front; x != nil; {
		next := x.next
		x.next = nil
		if x.done {
			c.pending--
			c.srv.exchanges.put(x)
		}
		x = next
	}
	c.front, c.back = nil, nil
	c.dropOutput()
	c.account()
	c.notice()
}
