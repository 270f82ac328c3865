package ingress

import (
	"sync/atomic"
	"time"

	"millrace/codec/http1"
	"millrace/codec/unit"
)

// sweep looks at every connection each SweepInterval. One coarse pass instead of
// a timer a connection: the hot path then sets no deadline at all, it only
// leaves a trace of progress, and the sweep measures how long a trace is old.
// 10,000 connections cost it about half a millisecond.
func (s *Server) sweep() {
	defer close(s.swept)
	tick := time.NewTicker(s.cfg.SweepInterval)
	defer tick.Stop()
	var conns []*conn
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
		}
		s.setDate()
		conns = s.sweepOnce(conns)
	}
}

func (s *Server) sweepOnce(conns []*conn) []*conn {
	conns = s.snapshot(conns[:0])
	now := s.clock.Mono()
	for i, c := range conns {
		conns[i] = nil
		c.check(now)
	}
	return conns
}

// releaseAfter is how long a connection keeps its buffers without a request.
const releaseAfter = time.Second

// check applies the timeouts to one connection: doc.go has the table of states.
func (c *conn) check(now unit.MonoTime) {
	cfg, m := &c.srv.cfg, &c.srv.metrics
	seen := c.progress.Load()
	if seen != c.seen {
		c.seen, c.seenAt = seen, now
	}
	quiet := now.Sub(c.seenAt)
	c.mu.Lock()
	switch {
	case c.dead:
	case c.lingering:
		c.checkLinger(now)
	case c.waiting && c.stuck(now):
		c.resetLocked(&m.timeouts[timeoutWrite])
	case c.front != nil:
		c.seenAt = now
		if now.Sub(c.front.Arrived) > cfg.AnswerTimeout {
			c.killLocked(&m.timeouts[timeoutAnswer])
		}
	case c.waiting:
		c.seenAt = now
	case c.stalled || c.resuming || c.off < len(c.out):
		// Ours to go on with, and at once; but a handler may keep the Flusher it
		// replied with.
		if quiet > cfg.AnswerTimeout {
			c.killLocked(&m.timeouts[timeoutAnswer])
		}
	default:
		c.mu.Unlock()
		c.checkInput(phase(seen&3), quiet)
		return
	}
	c.mu.Unlock()
}

// checkLinger bounds how long a connection waits for its peer's end: not counting
// the time in which the peer takes our last bytes. Holds mu.
func (c *conn) checkLinger(now unit.MonoTime) {
	cfg, m := &c.srv.cfg, &c.srv.metrics
	switch {
	case now.Sub(c.since) <= cfg.LingerTimeout:
	case unacknowledged(c.fd) == 0:
		c.killLocked(&m.timeouts[timeoutLinger])
	case c.stuck(now):
		c.resetLocked(&m.timeouts[timeoutWrite])
	default:
		c.since = now
	}
}

// pace is what a slow client has taken in an interval of WriteTimeout.
type pace struct {
	running bool
	from    unit.MonoTime
	taken   int64 // bytes the peer had confirmed at from
	due     int64 // bytes it has to confirm in the interval
}

// paceShare is the part of BacklogBytesMax that a slow client has to take in
// each WriteTimeout (or all that waits, if that is less): with the defaults
// 1.6 KB a second. Time since the backlog began would not do, it is as long as
// the backlog is large; nor would any progress do, a byte now and then would
// keep half a megabyte for ever.
const paceShare = 32

// measure begins an interval. Holds mu.
func (c *conn) measure(now unit.MonoTime) {
	unseen := int64(unacknowledged(c.fd))
	waits := unseen + int64(len(c.out)-c.off)
	c.pace = pace{
		running: true, from: now, taken: c.sent - unseen,
		due: min(waits, int64(c.srv.cfg.BacklogBytesMax/paceShare)),
	}
}

// stuck tells whether the client took too little in the interval that has ended.
// What counts is what the peer has confirmed, not what our kernel took: that
// takes more only when a third of a send buffer of megabytes is free, which is
// minutes for a slow client. Holds mu.
func (c *conn) stuck(now unit.MonoTime) bool {
	switch {
	case !c.pace.running:
	case now.Sub(c.pace.from) <= c.srv.cfg.WriteTimeout:
		return false
	case c.sent-int64(unacknowledged(c.fd))-c.pace.taken < c.pace.due:
		return true
	}
	c.measure(now)
	return false
}

// checkInput applies the timeouts of a connection to which nothing is owed.
func (c *conn) checkInput(p phase, quiet time.Duration) {
	cfg, m := &c.srv.cfg, &c.srv.metrics
	limit, kind := cfg.IdleTimeout, timeoutIdle
	switch p {
	case inHead:
		limit, kind = cfg.HeadTimeout, timeoutHead
	case inBody:
		limit, kind = cfg.BodyTimeout, timeoutBody
	}
	if quiet <= min(limit, releaseAfter) {
		return
	}
	if !c.rmu.TryLock() {
		return // it is being read: that is progress
	}
	defer c.rmu.Unlock()
	if phase(c.progress.Load()&3) != p {
		return
	}
	switch {
	case c.ending:
		// Nothing is served and nothing is owed, yet our side is not shut: only a
		// fault of ours could leave it so. It must not stay.
		if quiet > limit {
			c.kill(&m.timeouts[kind])
		}
	case quiet > limit && kind != timeoutIdle:
		m.timeouts[kind].Add(1)
		c.fail(408, "request: not complete in time")
	case quiet > limit:
		c.killIdle(&m.timeouts[timeoutIdle])
	case p == atIdle && quiet > releaseAfter:
		c.release()
	}
}

// drainIdle closes the connection if no request has begun on it. Called during a
// shutdown.
func (c *conn) drainIdle() {
	if !c.rmu.TryLock() {
		return
	}
	defer c.rmu.Unlock()
	if len(c.in) == 0 && !c.ending {
		c.killIdle(&c.srv.metrics.drained)
	}
}

// killIdle closes the connection if nothing is owed to it, and no request has
// arrived that the poller has yet to read. Holds rmu.
func (c *conn) killIdle(why *atomic.Uint64) {
	c.mu.Lock()
	if !c.dead && c.front == nil && c.owesNothing() && !hasInput(c.fd) {
		c.killLocked(why)
	}
	c.mu.Unlock()
}

// release gives back an idle connection's buffers: ten thousand idle ones cost
// little more than their descriptors. Holds rmu.
func (c *conn) release() {
	c.dropInput()
	c.mu.Lock()
	if len(c.out) == 0 {
		c.dropOutput()
	}
	c.mu.Unlock()
}

// setDate renews the Date header's text.
func (s *Server) setDate() {
	if !s.cfg.Date {
		return
	}
	if sec := s.clock.Wall().Unix(); sec != s.dateSec {
		s.dateSec = sec
		text := http1.AppendDate(make([]byte, 0, 32), sec)
		s.dateText.Store(&text)
	}
}

func (s *Server) date() []byte {
	if text := s.dateText.Load(); text != nil {
		return *text
	}
	return nil
}
