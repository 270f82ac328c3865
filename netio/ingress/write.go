package ingress

import (
	"sync"

	"golang.org/x/sys/unix"

	"millrace/codec/http1"
)

// Flusher gathers the connections that have answers to send, so that the answers
// one connection gets during a batch leave in one write. It is owned by one
// goroutine; the zero value is ready.
type Flusher struct {
	conns []*conn
}

// Flush sends what was answered since the last Flush. It never blocks: what a
// client does not take waits in its own backlog.
func (f *Flusher) Flush() {
	for i, c := range f.conns {
		f.conns[i] = nil
		c.mu.Lock()
		if c.toucher == f {
			c.toucher = nil
		}
		c.write()
		c.mu.Unlock()
	}
	f.conns = f.conns[:0]
}

// touch schedules the write of c.out. Holds mu.
func (c *conn) touch(f *Flusher) {
	switch {
	case c.dead || c.waiting && len(c.out)-c.off <= c.srv.cfg.BacklogBytesMax:
		c.account()
	case f == nil:
		c.write()
	case c.toucher != f:
		// Another flusher may have it too; whoever comes second finds nothing.
		c.toucher = f
		f.conns = append(f.conns, c)
	}
}

// settle runs when no answer is pending: what had to wait for that is appended.
// last closes the connection once all has left. Holds mu.
func (c *conn) settle(last bool) {
	c.needOutput()
	if c.wantGo && !last {
		c.out = append(c.out, http1.ContinueHead...)
		c.wantGo = false
	}
	if c.final != 0 {
		head := http1.Head{
			ContentType: http1.TypeText, Date: c.srv.date(), Close: true, AcceptGzip: c.final == 415,
		}
		if c.final == 503 {
			head.RetryAfterSeconds = c.srv.cfg.RetryAfterSeconds
		}
		c.out = http1.AppendHead(c.out, c.final, len(c.reason), &head)
		c.out = append(c.out, c.reason...)
		c.srv.metrics.answers[c.final/100].Add(1)
		c.final = 0
		last = true
	}
	if last {
		c.finish, c.noMore = true, true
	}
}

// write sends, unless the slow lane is waiting for the client already or the
// turn in progress will. Holds mu.
func (c *conn) write() {
	if c.dead || c.corked || c.waiting && len(c.out)-c.off <= c.srv.cfg.BacklogBytesMax {
		c.account()
		return
	}
	c.push()
}

// push gives the kernel what it takes. Holds mu with dead false; the only place
// that writes to a connection.
func (c *conn) push() {
	if c.off < len(c.out) {
		n, err := send(c.fd, c.out[c.off:])
		c.srv.metrics.writes.Add(1)
		if err != 0 && err != unix.EAGAIN && err != unix.EINTR {
			c.killLocked(&c.srv.metrics.resets)
			return
		}
		c.off += n
		c.sent += int64(n)
	}
	if c.off < len(c.out) {
		c.hold()
		return
	}
	c.out, c.off = c.out[:0], 0
	if cap(c.out) > retainMax {
		c.out = nil
	}
	if c.waiting {
		c.srv.lane.remove(c)
		c.pace.running = false
		c.account()
	}
	if c.resumable() {
		c.srv.lane.resume(c)
	}
	if c.finish && !c.lingering {
		// Closing with unread input would reset the connection and could destroy
		// the answer (RFC 9112, section 9.6): shut our side, let the peer end.
		c.lingering = true
		c.since = c.srv.clock.Mono()
		_ = unix.Shutdown(c.fd, unix.SHUT_WR)
	}
	c.notice()
}

// hold hands the rest of out to the slow lane. Holds mu.
func (c *conn) hold() {
	s := c.srv
	if c.off > 0 && c.off >= len(c.out)/2 {
		c.out = c.out[:copy(c.out, c.out[c.off:])]
		c.off = 0
	}
	if !c.waiting {
		s.metrics.slowed.Add(1)
		c.measure(s.clock.Mono())
		if !s.lane.add(c) {
			c.resetLocked(&s.metrics.overflows)
			return
		}
	}
	c.account()
	if len(c.out)-c.off > s.cfg.BacklogBytesMax || s.buffered.Load() > int64(s.cfg.BufferedBytesMax) {
		c.resetLocked(&s.metrics.overflows)
	}
}

// account keeps Server.buffered in step with a backlog. Holds mu.
func (c *conn) account() {
	held := 0
	if c.waiting {
		held = len(c.out) - c.off
	}
	if held != c.held {
		c.srv.buffered.Add(int64(held - c.held))
		c.held = held
	}
}

// outputPool keeps the output buffers of connections that have gone quiet for
// those that have something to say: a connection with a request now and then
// allocates no more than a busy one.
type outputPool struct {
	mu   sync.Mutex
	free [][]byte
}

const (
	outputBytes = 4 << 10
	outputsFree = 4096 // kept at most: 16 MB
)

func (p *outputPool) get() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free) - 1; n >= 0 {
		b := p.free[n]
		p.free[n] = nil
		p.free = p.free[:n]
		return b
	}
	return make([]byte, 0, outputBytes)
}

func (p *outputPool) put(b []byte) {
	if cap(b) < outputBytes || cap(b) > retainMax {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < outputsFree {
		p.free = append(p.free, b[:0])
	}
}

// needOutput gives c a buffer to answer into. Holds mu.
func (c *conn) needOutput() {
	if c.out == nil {
		c.out = c.srv.outputs.get()
	}
}

// dropOutput gives the buffer back. Holds mu.
func (c *conn) dropOutput() {
	c.srv.outputs.put(c.out)
	c.out, c.off = nil, 0
}
