package dsp

import (
	"crypto/tls"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"millrace/codec/http2"
	"millrace/codec/unit"
)

// conn is one connection. Owned by the shard; a slot of Pool.conns from adopt
// until fail or retire has closed it, never recycled.
type conn struct {
	pool   *Pool
	target *target
	slot   int
	fd     int
	tls    *tls.Conn // nil without TLS
	wire   *wire     // below tls
	remote netip.Addr

	dead     bool // closed: nothing of it is to be touched
	speaks2  bool // HTTP/2
	stale    bool // ends as soon as another has taken its place
	retiring bool // takes no more calls, and is closed when it has none
	dirty    bool // in Pool.dirty
	blocked  bool // the kernel took less than all: waits for EPOLLOUT

	in  []byte // an incomplete frame or head
	out []byte // gathered, not yet sent (or, with TLS, not yet encrypted)
	off int    // of what is to be sent: taken by the kernel already

	opened   unit.MonoTime
	heard    unit.MonoTime // last byte received
	used     unit.MonoTime // last call begun
	stuck    unit.MonoTime // since when nothing was taken of what waits; 0 = nothing waits
	answered uint64        // calls
	noise    int           // what the peer sent that no call needed; see noisy

	h1 stream1
	h2 session2
}

// Bounds that no peer has a reason to reach.
const (
	turnBytesMax = 256 << 10 // read from one connection before the others have their turn
	noiseMax     = 4000      // frames that serve no call, less what a sweep and answers forgive
	noiseForgive = 50        // a sweep
	noiseAnswer  = 8         // forgiven with each answer, and each reset of ours, after which frames may still come
	scratchBytes = 64 << 10
)

// noisy counts a frame that serves no call; true means that it was one too many.
func (c *conn) noisy() bool {
	c.noise++
	return c.noise > noiseMax
}

// capacity tells how many more calls the connection takes now.
func (c *conn) capacity() int {
	if c.dead || c.retiring || c.backlog() > c.pool.cfg.OutBytesMax {
		return 0
	}
	if c.speaks2 {
		return c.capacity2()
	}
	return c.capacity1()
}

// calls is the number of calls in flight.
func (c *conn) calls() int {
	if c.speaks2 {
		return c.h2.active
	}
	if c.h1.busy {
		return 1
	}
	return 0
}

// outgoing is what is to be sent as it is.
func (c *conn) outgoing() *[]byte {
	if c.tls != nil {
		return &c.wire.out
	}
	return &c.out
}

func (c *conn) backlog() int {
	n := len(c.out) - c.off
	if c.tls != nil {
		n += len(c.wire.out)
	}
	return n
}

// room makes room for n more bytes to be sent, and has them sent at the next
// flush. false: there is none, and the connection has failed.
func (c *conn) room(n int) bool {
	var ok bool
	if c.out, ok = c.pool.buffers.grow(c.out, n); !ok {
		c.fail(Lost, "Config.BufferBytesMax reached")
		return false
	}
	c.touch()
	return true
}

// reply is room for what the peer makes us say (acknowledgements, window updates,
// resets): a peer that does not read it may not go on asking.
func (c *conn) reply(n int) bool {
	if c.backlog() > 2*c.pool.cfg.OutBytesMax {
		c.fail(Lost, "does not read")
		return false
	}
	return c.room(n)
}

// touch has the connection written at the next flush.
func (c *conn) touch() {
	if !c.dirty {
		c.dirty = true
		c.pool.dirty = append(c.pool.dirty, c)
	}
}

// flush gives the kernel what it takes.
func (c *conn) flush() {
	if c.dead || c.tls != nil && !c.seal() {
		return
	}
	out := c.outgoing()
	if c.blocked || c.off == len(*out) {
		return
	}
	n, err := send(c.fd, (*out)[c.off:])
	c.pool.writes++
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		n = 0
	case err != 0:
		c.fail(Lost, "write: "+err.Error())
		return
	}
	if c.off += n; c.off == len(*out) {
		c.pool.buffers.put(*out)
		*out, c.off, c.stuck = nil, 0, 0
		return
	}
	c.blocked = true
	if n > 0 || c.stuck == 0 {
		c.stuck = max(c.pool.now, 1)
	}
	if c.off >= len(*out)/2 {
		*out = (*out)[:copy(*out, (*out)[c.off:])]
		c.off = 0
	}
	if err == unix.EINTR {
		c.pool.again(c)
	}
}

// readable reads what is there, up to turnBytesMax. ended says that the peer will
// send no more after that.
func (c *conn) readable(ended bool) {
	if c.blocked {
		c.blocked = false
		c.flush()
	}
	for budget := turnBytesMax; !c.dead; {
		if budget <= 0 {
			if ended {
				c.pool.poller.ended[c.slot>>6].Or(1 << (c.slot & 63))
			}
			c.pool.again(c)
			return
		}
		buf := c.pool.scratch
		n, err := recv(c.fd, buf)
		c.pool.reads++
		switch {
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
			continue
		case err != 0:
			c.ended("read: " + err.Error())
			return
		case n == 0 && c.tls != nil:
			c.fail(Lost, "cut off by the peer") // without TLS's own end: it may be anybody's
			return
		case n == 0:
			c.ended("closed by the peer")
			return
		}
		c.heard = c.pool.now
		if c.tls != nil {
			if !c.readTLS(buf[:n]) {
				return
			}
		} else if !c.receive(buf[:n]) {
			return
		}
		if budget -= n; n < len(buf) && !ended {
			return // a short read has emptied the socket; whatever comes now is a new edge
		}
	}
}

// receive takes bytes of the peer in; false when the connection has ended.
func (c *conn) receive(b []byte) bool {
	if c.speaks2 {
		return c.receive2(b)
	}
	return c.receive1(b)
}

// ended is the end of what the peer sends.
func (c *conn) ended(reason string) {
	if !c.speaks2 && c.ended1() {
		return
	}
	c.fail(Lost, reason)
}

// fail closes the connection; its calls end with the outcome.
func (c *conn) fail(o Outcome, reason string) {
	if c.dead {
		return
	}
	t := c.target
	t.closed++
	if reason != "" {
		t.reason = reason
	}
	// A connection that never was of use is as bad as an attempt that failed: without
	// a back-off, a peer that hangs up at once would be dialled as fast as it can.
	switch {
	case o == Malformed, c.answered == 0 && c.pool.now.Sub(c.opened) < provenAfter:
		t.failed(c.pool)
	case c.answered == 0:
		t.failures = 0
	}
	c.close(o)
}

// refuse is fail for a peer that broke HTTP/2's rules, which is told so.
func (c *conn) refuse(code http2.Code, reason string) {
	if c.dead {
		return
	}
	if c.tls == nil && !c.blocked && c.room(32) {
		c.out = http2.AppendGoAway(c.out, code)
		_, _ = send(c.fd, c.out[c.off:]) // best effort
	}
	c.fail(Malformed, reason)
}

// retire closes the connection as soon as it has no calls.
func (c *conn) retire() {
	c.retiring = true
	if c.calls() > 0 || c.dead {
		return
	}
	if c.speaks2 && !c.blocked && c.room(32) {
		c.out = http2.AppendGoAway(c.out, http2.NoError)
		c.flush()
	}
	c.close(Lost)
}

// close is the only place that closes a descriptor of a connection.
func (c *conn) close(o Outcome) {
	if c.dead {
		return
	}
	c.dead = true
	p := c.pool
	p.conns[c.slot] = nil
	p.slots = append(p.slots, c.slot)
	c.target.forget(c)
	_ = unix.Close(c.fd) // which also takes it out of the epoll
	c.fd = -1
	if c.speaks2 {
		c.abandon2(o)
	} else {
		c.abandon1(o)
	}
	p.buffers.put(c.in)
	p.buffers.put(c.out)
	c.in, c.out = nil, nil
	if c.wire != nil {
		p.buffers.put(c.wire.out)
		c.wire.out = nil
	}
	c.target.ensure(p)
}

// freed is called when a call has left: another may take its place.
func (c *conn) freed() {
	if c.retiring {
		c.retire()
		return
	}
	c.target.dispatch(c.pool)
}

// check applies the timeouts of one sweep.
func (c *conn) check(now unit.MonoTime) {
	cfg := &c.pool.cfg
	c.noise = max(c.noise-noiseForgive, 0)
	switch {
	case c.blocked && now.Sub(c.stuck) > cfg.WriteTimeout:
		c.fail(Lost, "takes nothing of what is sent")
	case c.speaks2:
		c.check2(now)
	default:
		c.check1(now)
	}
}

// idleFor tells whether the connection has had nothing to do for so long.
func (c *conn) idleFor(now unit.MonoTime, d time.Duration) bool {
	return c.calls() == 0 && now.Sub(c.used) > d && now.Sub(c.opened) > d
}
