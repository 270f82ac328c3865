package dsp

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/gzip"
	"millrace/codec/http2"
	"millrace/codec/unit"
	"millrace/shards"
)

// flight is what the pool keeps of a call.
type flight struct {
	list       *callList // that it is in: its target's queue, its connection's waiting calls, or done
	next, prev *Call
	timer      shards.TimerID
	index      uint32 // in Pool.flights, while in flight
	flying     bool   // between Send and its outcome

	target *target
	conn   *conn  // nil while queued
	stream uint32 // HTTP/2

	rest   []byte // the body, where it could not be sent at once
	sent   int    // of rest
	window int64  // of the stream, while rest waits for it

	answerHead
	headed   bool   // HTTP/2: the answer's head has come
	received int    // HTTP/2: bytes of DATA, padding included
	body     []byte // the answer's, and the memory of Response
}

// Pool is one shard's connections to all endpoints. All methods are called inside
// the shard's turn.
type Pool struct {
	cfg     Config
	list    *Endpoints
	targets []*target // by EndpointID
	now     unit.MonoTime
	closed  bool

	conns []*conn // by slot
	slots []int   // free ones, the last one freed last
	dirty []*conn // to be written at the next flush

	flights []*Call // in flight, by index
	free    []uint32
	timers  *shards.TimerWheel
	done    callList
	sweepAt unit.MonoTime

	poller   *poller
	dialer   dialer
	open     func(context.Context, *prepared, uint64) arrival // dialer.dial; tests put socket pairs here
	ctx      context.Context
	cancel   context.CancelFunc
	arrivals chan arrival
	arrived  atomic.Bool
	dials    int // goroutines off the shard
	running  sync.WaitGroup

	buffers buffers
	scratch []byte // what is read from a socket
	plain   []byte // what TLS makes of it
	retry   [64]byte
	date    [64]byte
	zip     *gzip.Deflater
	zipped  []byte
	unzip   gzip.Inflater

	seed          uint64
	reads, writes uint64 // system calls
}

// sweepInterval is how often connections and targets are looked at: the
// granularity of all times but the calls' deadlines.
const sweepInterval = 50 * time.Millisecond

// New makes a pool and begins to open its connections.
func New(cfg Config, list *Endpoints, now unit.MonoTime) (*Pool, error) {
	return newPool(cfg, list, now, nil)
}

func newPool(cfg Config, list *Endpoints, now unit.MonoTime, open func(context.Context, *prepared, uint64) arrival) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	zip, err := gzip.NewDeflater(gzip.LevelFastest)
	if err != nil {
		return nil, err
	}
	p := &Pool{
		cfg: cfg, now: now, zip: zip, seed: cfg.Seed*0x9E3779B97F4A7C15 | 1, sweepAt: now,
		flights: make([]*Call, cfg.CallsMax), free: make([]uint32, cfg.CallsMax),
		timers:   shards.NewTimerWheel(now, cfg.CallsMax),
		arrivals: make(chan arrival, cfg.DialsMax),
		buffers:  buffers{max: cfg.BufferBytesMax},
		scratch:  make([]byte, scratchBytes), plain: make([]byte, scratchBytes),
	}
	for i := range p.free {
		p.free[i] = uint32(cfg.CallsMax - 1 - i)
	}
	p.dialer = dialer{resolve: cfg.Resolve, timeout: cfg.DialTimeout}
	if p.dialer.resolve == nil {
		p.dialer.resolve = systemResolve
	}
	if p.open = open; open == nil {
		p.open = p.dialer.dial
	}
	if p.poller, err = newPoller(cfg.Notify); err != nil {
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.SetEndpoints(list, now)
	return p, nil
}

// SetEndpoints replaces the list. Connections of endpoints that stay as they were
// (by name, address, protocol, TLS and limits) stay; calls to others are let end.
func (p *Pool) SetEndpoints(list *Endpoints, now unit.MonoTime) {
	p.now = now
	old, targets := p.list, make([]*target, list.Len())
	for i := range list.all {
		next := &list.all[i]
		if old != nil {
			if k, ok := old.byName[next.spec.Name]; ok && old.all[k].print == next.print {
				targets[i] = p.targets[k]
				p.targets[k] = nil
				targets[i].prepared = next
				continue
			}
		}
		targets[i] = &target{prepared: next, want: next.spec.ConnsMin, lookUpAt: now.Add(p.jittered(p.cfg.ResolveInterval))}
	}
	for _, t := range p.targets {
		if t != nil {
			t.retire(p)
		}
	}
	p.list, p.targets = list, targets
	for _, t := range targets {
		t.ensure(p)
	}
}

// Send begins a call. body is not kept. What was accepted comes back by Next, or
// is taken back by Cancel.
func (p *Pool) Send(c *Call, body []byte, now unit.MonoTime) Refused {
	p.now = now
	p.Release(c)
	switch {
	case int(c.Endpoint) >= len(p.targets):
		return RefusedEndpoint
	case c.Deadline <= now:
		return RefusedDeadline
	case len(body) == 0 || len(body) > p.cfg.RequestBytesMax:
		return RefusedBody
	case len(p.free) == 0 || p.closed:
		return RefusedBusy
	}
	t := p.targets[c.Endpoint]
	to := t.pick()
	if to == nil {
		if refused := t.admit(p); refused != Accepted {
			return refused
		}
	}
	if t.prepared.spec.GzipRequest {
		p.zipped = p.zip.Append(p.zipped[:0], body)
		body = p.zipped
	}
	if to == nil {
		rest := p.buffers.get(len(body))
		if rest == nil {
			return RefusedBusy
		}
		c.flight = flight{rest: append(rest, body...)}
	} else {
		c.flight = flight{}
	}
	p.launch(c, t)
	if to == nil {
		t.queue.push(c)
		return Accepted
	}
	p.start(to, c, body)
	return Accepted
}

// admit tells whether a call may wait for a connection, and asks for one.
func (t *target) admit(p *Pool) Refused {
	if t.queue.n >= t.prepared.spec.QueueMax {
		return RefusedBusy
	}
	switch {
	case !t.multiplexes():
		t.grow(p, t.live()+t.queue.n+1)
	case !t.coming():
		t.grow(p, t.live()+1)
	}
	if t.down() {
		return RefusedDown
	}
	return Accepted
}

// launch begins the call's time.
func (p *Pool) launch(c *Call, t *target) {
	n := len(p.free) - 1
	c.index, p.free = p.free[n], p.free[:n]
	p.flights[c.index] = c
	c.Outcome, c.Status, c.RetryAfter = Pending, 0, 0
	c.Sent, c.FirstByte, c.Done = p.now, 0, 0
	c.flying, c.target = true, t
	c.timer = p.timers.Schedule(c.Deadline, 0, uint64(c.index))
	t.calls++
}

// start gives a call to a connection.
func (p *Pool) start(c *conn, call *Call, body []byte) {
	c.used = p.now
	if c.speaks2 {
		if !c.start2(call, body) {
			p.strand(call)
			return
		}
		c.target.crowded(p, c)
	} else if !c.start1(call, body) {
		p.strand(call)
		return
	}
	if !call.waiting() && call.rest != nil {
		p.buffers.put(call.rest)
		call.rest = nil
	}
}

// strand ends a call whose connection failed while it was given to it, unless that
// has ended it already.
func (p *Pool) strand(call *Call) {
	if call.flying {
		p.finish(call, Lost)
	}
}

// waiting tells whether the body waits for a window.
func (c *Call) waiting() bool { return c.list != nil && c.conn != nil && c.list == &c.conn.h2.waiting }

// land ends the call's time and frees what it held, but for the answer.
func (p *Pool) land(c *Call) {
	p.timers.Cancel(c.timer)
	p.flights[c.index] = nil
	p.free = append(p.free, c.index)
	c.target.calls--
	c.flying, c.conn = false, nil
	p.buffers.put(c.rest)
	c.rest = nil
}

// finish gives the call its outcome; its connection and lists have let it go.
func (p *Pool) finish(c *Call, o Outcome) {
	if o != Answered {
		c.target.unhold(p, c.body)
		c.body = nil
	}
	p.land(c)
	c.Outcome, c.Done = o, p.now
	p.done.push(c)
}

// leave takes a call from its queue or its connection.
func (p *Pool) leave(c *Call) {
	to := c.conn
	switch {
	case to == nil:
		c.list.remove(c)
	case to.speaks2:
		to.leave2(c, http2.Cancel)
	default:
		to.leave1()
	}
}

// Cancel takes a call back that Next has not returned: it is the caller's again.
// The peer is told by the next Flush, and the connection stays.
func (p *Pool) Cancel(c *Call) {
	if !c.flying {
		if c.list == &p.done {
			p.done.remove(c)
		}
		p.Release(c)
		return
	}
	to := c.conn
	p.leave(c)
	c.target.unhold(p, c.body)
	c.body = nil
	p.land(c)
	if to != nil && to.speaks2 && !to.dead {
		to.freed()
	}
}

// Release gives back the memory of a call's Response. Send does so too.
func (p *Pool) Release(c *Call) {
	p.buffers.put(c.body)
	c.body, c.Response = nil, nil
}

// Flush writes what Send, Cancel and the protocol gathered, once a connection: at
// the end of a turn.
func (p *Pool) Flush() {
	for i := 0; i < len(p.dirty); i++ { // a failing connection may have others dial, never write
		c := p.dirty[i]
		p.dirty[i] = nil
		c.dirty = false
		c.flush()
	}
	p.dirty = p.dirty[:0]
}

// Ready does the I/O that Notify announced. Next then has what was completed.
func (p *Pool) Ready(now unit.MonoTime) {
	p.now = now
	p.poller.notified.Store(false)
	p.welcome()
	for w := range (len(p.conns) + 63) / 64 {
		set := p.poller.ready[w].Load()
		if set == 0 {
			continue
		}
		set = p.poller.ready[w].Swap(0)
		ended := uint64(0)
		if p.poller.ended[w].Load() != 0 {
			ended = p.poller.ended[w].Swap(0)
		}
		for ; set != 0; set &= set - 1 {
			bit := bits.TrailingZeros64(set)
			if c := p.conns[w<<6+bit]; c != nil {
				c.readable(ended>>bit&1 != 0)
			}
		}
	}
}

// again has a connection looked at in a later turn.
func (p *Pool) again(c *conn) {
	p.poller.mark(c.slot)
	p.poller.announce()
}

// Poll waits for something to do, at most so long, for callers without Notify;
// a negative time is for ever. Ready or Tick then does it. Unlike all else it may
// be called outside the turn, by one goroutine.
func (p *Pool) Poll(long time.Duration) error {
	milliseconds := -1
	if long >= 0 {
		milliseconds = int((long + time.Millisecond - 1) / time.Millisecond)
	}
	return p.poller.wait(milliseconds)
}

// Tick does what time demands: deadlines, and now and then the care for
// connections; also what a lost Notify announced. It tells when it wants to be
// called again at the latest; call it when a timer for that has fired, or simply
// in every turn: it costs nothing when there is nothing to do.
func (p *Pool) Tick(now unit.MonoTime) (next unit.MonoTime) {
	if p.poller.notified.Load() {
		p.Ready(now)
	}
	p.now = now
	for now >= p.timers.Next() {
		_, index, ok := p.timers.Pop(now)
		if !ok {
			break
		}
		p.expire(p.flights[index])
	}
	if now >= p.sweepAt {
		p.sweepAt = now.Add(sweepInterval)
		for _, t := range p.targets {
			t.sweep(p, now)
		}
		for _, c := range p.conns {
			if c != nil {
				c.check(now)
			}
		}
	}
	return min(p.timers.Next(), p.sweepAt)
}

// expire ends a call that is late.
func (p *Pool) expire(c *Call) {
	to := c.conn
	p.leave(c)
	p.finish(c, TimedOut)
	if to != nil && to.speaks2 && !to.dead {
		to.freed()
	}
}

// Next takes a completed call, oldest first; false when there is none.
func (p *Pool) Next() (c *Call, ok bool) {
	if c = p.done.first; c == nil {
		return nil, false
	}
	p.done.remove(c)
	return c, true
}

// Close ends the pool: its connections are closed, calls in flight come back as
// Lost by Next. Nothing else may be called after that.
func (p *Pool) Close() {
	if p.closed {
		return
	}
	p.closed = true
	p.cancel()
	for _, t := range p.targets {
		t.gone = true
		for t.queue.first != nil {
			c := t.queue.first
			t.queue.remove(c)
			p.finish(c, Lost)
		}
	}
	for _, c := range p.conns {
		if c != nil {
			c.close(Lost)
		}
	}
	for ; p.dials > 0; p.dials-- { // they end soon: their context has
		a := <-p.arrivals
		p.receive(&a)
	}
	p.running.Wait()
	p.poller.close()
}

// random is a step of splitmix64.
func (p *Pool) random() uint64 {
	p.seed += 0x9E3779B97F4A7C15
	x := p.seed
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// jittered is d, more or less a tenth.
func (p *Pool) jittered(d time.Duration) time.Duration {
	return d*9/10 + time.Duration(p.random()%uint64(d/5+1))
}

// Stats is what is known of one endpoint in this pool.
type Stats struct {
	Conns    int    // open
	Dialing  int    // attempts under way
	Calls    int    // in flight, those that wait for a connection included
	Queued   int    // waiting for a connection
	Opened   uint64 // connections, ever
	Failures uint64 // attempts that failed, and connections that were of no use, ever
	Closed   uint64 // connections that ended by a fault or by the peer, ever
	Drained  uint64 // HTTP/1.1 connections given up for an answer that was too late, ever
	Resumed  uint64 // TLS sessions resumed, ever
	Late     uint64 // answers that came, to their end, after their call had ended, ever
	HTTP2    bool   // what the last connection speaks
	Reason   string // why the last attempt failed or connection ended; for people
}

// Stats tells of one endpoint.
func (p *Pool) Stats(id EndpointID) Stats {
	t := p.targets[id]
	return Stats{
		Conns: len(t.conns), Dialing: t.dialing, Calls: t.calls, Queued: t.queue.n,
		Opened: t.opened, Failures: t.failedDials, Closed: t.closed, Drained: t.lost, Resumed: t.resumed, Late: t.late,
		HTTP2: t.speaks2, Reason: t.reason,
	}
}

// Syscalls is how often the pool has read from and written to sockets.
func (p *Pool) Syscalls() (reads, writes uint64) { return p.reads, p.writes }
