package load

import (
	"math"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"millrace/bench/epoll"
)

// worker is one client goroutine: its sockets, its share of the arrivals, its
// beacons. Only run touches it.
type worker struct {
	cfg   Config
	plan  timing
	conns []conn
	free  []int32 // connections with room, as a stack: the warm ones first
	poll  epoll.Poll
	to    unix.Sockaddr
	af    int

	bodies []body
	users  users
	rng    *rand.Rand
	serial uint64 // of bid requests, in their ids
	step   uint64 // distance of serials: ids differ between workers
	gap    float64
	due    float64 // when the next bid request is due
	sent   int64
	now    int64

	beacons  [kindCount]beaconQueue
	waiting  int // requests without an answer yet
	buf      []byte
	found    [2]links
	path     []byte // of the conversion being planned
	host     []byte
	live     *recording
	spare    chan *recording // back from the collector
	spans    chan<- span
	spanFrom int64
	nextWork int64 // next sweep for timeouts
	stop     <-chan struct{}
	stopped  bool
	closing  bool // the end has come; answers are still waited for
	everUp   bool
}

const (
	spanLength  = int64(100 * time.Millisecond)
	sweepLength = int64(50 * time.Millisecond)
	retryDelay  = int64(50 * time.Millisecond)
	waitMax     = 20 * time.Millisecond
	// connectMax is how long the first connection may take to come about.
	connectMax = 3 * time.Second
)

func (w *worker) clock() int64 { return int64(time.Since(w.plan.begin)) }

// run is the worker's life: connect, send what is due, take what has come,
// until the end and the last answer.
func (w *worker) run() {
	defer w.closeAll()
	defer epoll.PreciseTimers()()
	w.now = w.clock()
	for i := range w.conns {
		w.connect(i)
	}
	for {
		w.now = w.clock()
		w.observeStop()
		w.sendDue()
		if w.finished() {
			break
		}
		if w.now >= w.nextWork {
			w.sweep()
		}
		events := w.poll.Wait(w.pause())
		w.now = w.clock()
		for _, ev := range events {
			w.event(int(ev.Fd), ev.Events)
		}
	}
	w.settle()
}

func (w *worker) observeStop() {
	if w.stopped {
		return
	}
	select {
	case <-w.stop:
		w.stopped = true
		w.plan.end = min(w.plan.end, w.now)
		w.plan.giveUp = w.plan.end + int64(min(w.cfg.Timeout, time.Second))
	default:
	}
}

// lateMax is how long after the end a request is still sent that was due before
// it: the client itself may have been held up.
const lateMax = int64(100 * time.Millisecond)

// ended reports that no further bid request will be sent.
func (w *worker) ended() bool {
	switch {
	case w.sent >= w.plan.requests:
		return true
	case w.gap > 0:
		return int64(w.due) >= w.plan.end || w.now >= w.plan.end+lateMax
	}
	return w.now >= w.plan.end
}

func (w *worker) finished() bool {
	if !w.ended() {
		return false
	}
	if !w.closing {
		w.closing = true
		w.plan.giveUp = min(w.plan.giveUp, w.now+int64(min(w.cfg.Timeout, settleMax)+3*w.cfg.BeaconDelay))
	}
	if w.now >= w.plan.giveUp {
		return true
	}
	pending := w.waiting
	if !w.stopped {
		for k := range w.beacons {
			pending += w.beacons[k].size
		}
	}
	return pending == 0
}

// pause is how long nothing is due.
func (w *worker) pause() time.Duration {
	until := w.now + int64(waitMax)
	if len(w.free) > 0 {
		if !w.ended() {
			if w.gap == 0 {
				return 0
			}
			until = min(until, int64(w.due))
		}
		for k := range w.beacons {
			if b := w.beacons[k].front(); b != nil {
				until = min(until, b.due)
			}
		}
	}
	return time.Duration(until - w.now)
}

// sendDue sends beacons and bid requests that are due while connections have
// room. Requests of one connection in one turn leave in one write.
func (w *worker) sendDue() {
	for k := kindImpression; k < kindCount; k++ {
		q := &w.beacons[k]
		for b := q.front(); b != nil && b.due <= w.now; b = q.front() {
			i, ok := w.take()
			if !ok {
				return
			}
			w.sendBeacon(i, b)
			q.pop()
		}
	}
	for !w.ended() && (w.gap == 0 || int64(w.due) <= w.now) {
		i, ok := w.take()
		if !ok {
			return
		}
		w.sendBids(i)
	}
}

// take pops a connection with room. The caller gives it back by release.
func (w *worker) take() (int, bool) {
	for n := len(w.free); n > 0; n = len(w.free) {
		i := int(w.free[n-1])
		w.free = w.free[:n-1]
		w.conns[i].free = false
		if w.conns[i].room() {
			return i, true
		}
	}
	return 0, false
}

func (w *worker) release(i int) {
	if c := &w.conns[i]; c.room() && !c.free {
		c.free = true
		w.free = append(w.free, int32(i))
	}
}

// sendBids fills the connection with what is due: one request when spaced, as
// many as the pipeline takes in a closed loop or a backlog.
func (w *worker) sendBids(i int) {
	c := &w.conns[i]
	c.out = c.out[:0]
	for c.size < len(c.queue) && !w.ended() && (w.gap == 0 || int64(w.due) <= w.now) {
		intended := w.now
		if w.gap > 0 {
			intended = int64(w.due)
			w.advance()
		}
		b := &w.bodies[w.serial%uint64(len(w.bodies))]
		id := w.serial * 0x9E3779B97F4A7C15
		c.out = b.appendTo(c.out, id, w.users.next())
		w.serial += w.step
		w.sent++
		measured := intended >= w.plan.measure
		if measured {
			t := &w.live.kinds[kindBid]
			t.sent++
			t.bytesOut += int64(len(b.sendable))
			if w.gap > 0 {
				record(w.live.sendDelay, w.now-intended)
			}
		}
		c.push(request{intended: intended, sent: w.now, id: id, kind: kindBid, measured: measured})
		w.waiting++
	}
	w.flush(i)
	w.release(i)
}

// advance moves the next arrival on.
func (w *worker) advance() {
	if w.cfg.Poisson {
		w.due += w.rng.ExpFloat64() * w.gap
		return
	}
	w.due += w.gap
}

func (w *worker) sendBeacon(i int, b *beacon) {
	c := &w.conns[i]
	c.out = append(c.out[:0], "GET "...)
	c.out = append(c.out, b.path[:b.n]...)
	c.out = append(c.out, " HTTP/1.1\r\nHost: "...)
	c.out = append(c.out, w.host...)
	c.out = append(c.out, "\r\n\r\n"...)
	t := &w.live.kinds[b.kind]
	t.sent++
	t.bytesOut += int64(len(c.out))
	c.push(request{intended: b.due, sent: w.now, kind: b.kind, measured: true})
	w.waiting++
	w.flush(i)
	w.release(i)
}

// flush writes what the socket takes; the rest waits for EPOLLOUT.
func (w *worker) flush(i int) {
	c := &w.conns[i]
	for len(c.out) > 0 {
		n, e := epoll.Write(c.fd, c.out)
		switch e {
		case 0:
			c.out = c.out[:copy(c.out, c.out[n:])]
		case unix.EAGAIN:
			return
		case unix.EINTR:
		default:
			w.drop(i, failReset)
			return
		}
	}
}

// connect opens connection i.
func (w *worker) connect(i int) {
	c := &w.conns[i]
	fd, err := dial(w.to, w.af)
	if err == nil {
		c.fd, c.connecting, c.closing = fd, true, false
		c.in, c.out = c.in[:0], c.out[:0]
		if err = w.poll.Add(fd, i); err == nil {
			return
		}
		_ = unix.Close(fd)
	}
	c.fd, c.retryAt = -1, w.now+retryDelay
	if w.everUp {
		w.live.kinds[kindBid].failed[failConnect]++
	}
}

// drop closes connection i; requests on it have failed as why says.
func (w *worker) drop(i int, why failure) {
	c := &w.conns[i]
	_ = unix.Close(c.fd) // leaves the epoll set with it
	c.fd, c.connecting, c.retryAt = -1, false, w.now+retryDelay
	if c.size == 0 && why == failConnect && w.everUp {
		w.live.kinds[kindBid].failed[why]++
	}
	for c.size > 0 {
		r := c.pop()
		w.waiting--
		if r.measured {
			w.live.kinds[r.kind].failed[why]++
			if r.kind == kindBid {
				record(w.live.latency, w.now-r.intended)
			}
		}
	}
	if why == failReset || c.closing {
		c.retryAt = w.now // a server may close kept-alive connections
	}
	c.in, c.out = c.in[:0], c.out[:0]
}

// sweep finds requests past their timeout, opens closed connections again and
// hands the recording over.
func (w *worker) sweep() {
	w.nextWork = w.now + sweepLength
	if !w.everUp && w.now > int64(connectMax) && w.now < w.plan.end {
		w.plan.end, w.plan.giveUp = w.now, w.now // nobody is there
	}
	for i := range w.conns {
		c := &w.conns[i]
		switch {
		case c.fd < 0:
			if c.retryAt <= w.now && !w.ended() {
				w.connect(i)
			}
		case c.size > 0 && w.now-c.queue[c.head].sent > int64(w.cfg.Timeout):
			w.drop(i, failTimeout)
		}
	}
	if w.now-w.spanFrom >= spanLength {
		w.handOver(false)
	}
}

// handOver gives the recording to the collector, if it has given one back: a
// slow collector must not hold up the clock, so the span just grows.
func (w *worker) handOver(last bool) {
	s := span{rec: w.live, warmup: w.now < w.plan.measure, to: w.now, home: w.spare}
	if last {
		w.spans <- s
		w.live = nil
		return
	}
	select {
	case r := <-w.spare:
		w.spans <- s
		w.live, w.spanFrom = r, w.now
	default:
	}
}

// settle accounts for what was due but never sent, and for answers that never
// came: each has waited at least until now.
func (w *worker) settle() {
	for i := range w.conns {
		if c := &w.conns[i]; c.fd >= 0 && c.size > 0 {
			w.drop(i, failTimeout)
		}
	}
	if w.gap > 0 && !math.IsInf(w.due, 0) {
		for int64(w.due) < w.plan.end && w.sent < w.plan.requests {
			if d := int64(w.due); d >= w.plan.measure {
				w.live.unsent++
				record(w.live.latency, w.plan.end-d)
			}
			w.sent++
			w.advance()
		}
	}
	w.handOver(true)
}

func (w *worker) closeAll() {
	for i := range w.conns {
		if w.conns[i].fd >= 0 {
			_ = unix.Close(w.conns[i].fd)
		}
	}
	_ = w.poll.Close()
}

func newWorkers(cfg Config, spans chan<- span, stop <-chan struct{}) ([]*worker, error) {
	bodies := cfg.Corpus.render(cfg.Address, cfg.Path)
	workers := make([]*worker, cfg.Workers)
	begin := time.Now()
	for i := range workers {
		plan := timing{begin: begin, measure: int64(cfg.Warmup), end: math.MaxInt64 / 2, requests: math.MaxInt64}
		if cfg.Duration > 0 {
			plan.end = int64(cfg.Warmup + cfg.Duration)
		}
		plan.giveUp = plan.end + int64(min(cfg.Timeout, settleMax)) + int64(3*cfg.BeaconDelay)
		if cfg.Requests > 0 {
			plan.requests = cfg.Requests / int64(cfg.Workers)
			if int64(i) < cfg.Requests%int64(cfg.Workers) {
				plan.requests++
			}
		}
		// One each: Connect writes into the Sockaddr it is given.
		to, family, err := resolve(cfg.Address)
		if err != nil {
			return nil, err
		}
		p, err := epoll.New()
		if err != nil {
			return nil, err
		}
		w := &worker{
			cfg: cfg, plan: plan, poll: p, to: to, af: family, bodies: bodies,
			users:  newUsers(cfg.Seed + uint64(i)),
			rng:    rand.New(rand.NewPCG(cfg.Seed, uint64(i))),
			serial: uint64(i), step: uint64(cfg.Workers),
			buf: make([]byte, 256<<10), host: []byte(cfg.Address),
			live: newRecording(), spare: make(chan *recording, spareRecordings), spans: spans, stop: stop,
		}
		for range spareRecordings - 1 {
			w.spare <- newRecording()
		}
		share := cfg.Connections / cfg.Workers
		if i < cfg.Connections%cfg.Workers {
			share++
		}
		w.conns = make([]conn, share)
		w.free = make([]int32, 0, share)
		for j := range w.conns {
			w.conns[j] = conn{fd: -1, queue: make([]request, cfg.Pipeline)}
		}
		if cfg.Rate > 0 {
			w.gap = 1e9 * float64(cfg.Workers) / cfg.Rate
			w.due = w.gap * float64(i) / float64(cfg.Workers)
		}
		for k := range w.beacons {
			w.beacons[k].max = 16_384
		}
		workers[i] = w
	}
	return workers, nil
}
