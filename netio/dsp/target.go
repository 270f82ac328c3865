package dsp

import (
	"net/netip"
	"time"

	"millrace/codec/unit"
)

// target is an endpoint as one pool knows it. Owned by the shard.
type target struct {
	prepared *prepared
	gone     bool // no longer in the list: its calls may end, nothing is dialled

	conns []*conn // open ones, oldest first: the first with room gets a call, so that calls share writes and reads
	idle  []*conn // HTTP/1.1: those without a call, last used last
	queue callList
	calls int // in flight
	held  int // bytes of buffers with answers that are not complete

	dialing  int
	want     int           // connections; between ConnsMin and ConnsMax
	attempts uint64        // chooses among addresses
	failures int           // in a row
	retryAt  unit.MonoTime // no attempt before
	lookUpAt unit.MonoTime // when the name is resolved again
	lookedUp bool          // that is under way

	opened, failedDials, closed, resumed, lost, late uint64
	speaks2                                          bool
	reason                                           string
}

// provenAfter is how long a connection has to last for its end to be no failure,
// if it has answered nothing.
const provenAfter = 5 * time.Second

// pick is a connection for one more call, or nil.
func (t *target) pick() *conn {
	for n := len(t.idle) - 1; n >= 0; n-- {
		c := t.idle[n]
		t.idle = t.idle[:n]
		if c.capacity() > 0 {
			return c
		}
	}
	var old *conn
	for _, c := range t.conns {
		switch {
		case !c.speaks2 || c.capacity() == 0:
		case c.stale:
			old = c
		default:
			return c
		}
	}
	return old
}

// live is the number of connections that are to stay.
func (t *target) live() (n int) {
	for _, c := range t.conns {
		if !c.retiring && !c.stale {
			n++
		}
	}
	return n
}

// grow asks for one more connection.
func (t *target) grow(p *Pool, n int) {
	t.want = max(t.want, min(n, t.prepared.spec.ConnsMax))
	t.ensure(p)
}

// multiplexes tells whether one connection carries many calls, as far as is known.
func (t *target) multiplexes() bool {
	if t.opened > 0 {
		return t.speaks2
	}
	return t.prepared.spec.Protocol == HTTP2 || t.prepared.secure && t.prepared.spec.Protocol == Auto
}

// coming tells whether a connection is about to be of use.
func (t *target) coming() bool {
	for _, c := range t.conns {
		if c.speaks2 && !c.h2.greeted {
			return true
		}
	}
	return t.dialing > 0
}

// crowded asks for another connection before the last one is full.
func (t *target) crowded(p *Pool, c *conn) {
	if !c.speaks2 || c.capacity2() > min(int(c.h2.peerMax), t.prepared.spec.StreamsMax)/4 {
		return
	}
	if n := len(t.conns); n+t.dialing < t.prepared.spec.ConnsMax && t.conns[n-1] == c {
		t.grow(p, n+1)
	}
}

// ensure dials what is missing and may be dialled.
func (t *target) ensure(p *Pool) {
	if t.gone || p.closed || p.now < t.retryAt {
		return
	}
	want := max(t.want, t.prepared.spec.ConnsMin)
	for live := t.live(); live+t.dialing < want && p.dials < p.cfg.DialsMax; {
		if t.failures > 0 && t.dialing > 0 {
			return // one attempt at a time tells whether it is back
		}
		p.dial(t)
	}
}

// failed counts a failure and sets the time of the next attempt: the back-off
// doubles, and half of it is left to chance, so that a peer that comes back is not
// met by all its clients at once.
func (t *target) failed(p *Pool) {
	t.failedDials++
	d := min(p.cfg.BackoffMin<<min(t.failures, 20), p.cfg.BackoffMax)
	t.failures++
	t.retryAt = p.now.Add(d/2 + time.Duration(p.random()%uint64(d/2+1)))
}

// down tells that there is no connection and none under way.
func (t *target) down() bool { return len(t.conns) == 0 && t.dialing == 0 }

// dispatch gives queued calls to connections that have room.
func (t *target) dispatch(p *Pool) {
	for t.queue.first != nil {
		c := t.pick()
		if c == nil {
			return
		}
		call := t.queue.first
		t.queue.remove(call)
		p.start(c, call, call.rest)
	}
}

// adopt takes a new connection in.
func (t *target) adopt(p *Pool, c *conn) {
	t.opened++
	t.speaks2 = c.speaks2
	t.conns = append(t.conns, c)
	for i := 0; i < len(t.conns); i++ {
		if old := t.conns[i]; old.stale {
			if old.retire(); old.dead {
				i--
			}
		}
	}
	if !c.speaks2 {
		t.idle = append(t.idle, c)
		t.dispatch(p)
	}
	t.ensure(p) // after failures attempts are made one by one
}

// forget takes a closed connection out.
func (t *target) forget(c *conn) {
	t.conns = without(t.conns, c)
	t.idle = without(t.idle, c)
	// Growth was for a load that may be over; if it is not, it grows again.
	t.want = max(min(t.want, t.live()+t.dialing), t.prepared.spec.ConnsMin)
}

func without(list []*conn, c *conn) []*conn {
	for i, x := range list {
		if x == c {
			n := len(list) - 1
			copy(list[i:], list[i+1:])
			list[n] = nil
			return list[:n]
		}
	}
	return list
}

// replace has a new connection take the place of c, which ends when it has.
func (t *target) replace(p *Pool, c *conn) {
	c.stale = true
	t.ensure(p)
}

// sweep is the care that is due now and then.
func (t *target) sweep(p *Pool, now unit.MonoTime) {
	if t.gone {
		return
	}
	t.shrink(p, now)
	t.ensure(p)
	if !t.lookedUp && now >= t.lookUpAt && len(t.conns) > 0 && p.dials < p.cfg.DialsMax {
		t.lookUpAt = now.Add(p.jittered(p.cfg.ResolveInterval))
		p.lookUp(t)
	}
}

// shrink closes one connection beyond the minimum that nobody has needed.
func (t *target) shrink(p *Pool, now unit.MonoTime) {
	if t.live() <= t.prepared.spec.ConnsMin {
		return
	}
	for i := len(t.conns) - 1; i >= 0; i-- {
		if c := t.conns[i]; !c.retiring && c.idleFor(now, p.cfg.IdleTimeout) {
			c.retire()
			return
		}
	}
}

// moved marks connections to addresses that the name no longer has.
func (t *target) moved(p *Pool, addrs []netip.Addr) {
	for _, c := range t.conns {
		found := !c.remote.IsValid()
		for _, a := range addrs {
			found = found || a.Unmap() == c.remote
		}
		c.stale = c.stale || !found
	}
	t.ensure(p)
}

// holdShare is the part of all buffers that one endpoint's unfinished answers may
// take: what it sends must not be to the cost of others.
const holdShare = 8

// hold appends to an unfinished answer. false: there is no more room, for it.
func (t *target) hold(p *Pool, body, b []byte) ([]byte, bool) {
	before := cap(body)
	body, ok := p.buffers.grow(body, len(b))
	t.held += cap(body) - before
	if !ok || t.held > p.cfg.BufferBytesMax/holdShare {
		return body, false
	}
	return append(body, b...), true
}

// unhold gives an unfinished answer's buffer back.
func (t *target) unhold(p *Pool, body []byte) {
	t.held -= cap(body)
	p.buffers.put(body)
}

// retire lets an endpoint end that is no longer wanted.
func (t *target) retire(p *Pool) {
	t.gone = true
	for t.queue.first != nil {
		call := t.queue.first
		t.queue.remove(call)
		p.finish(call, Lost)
	}
	for i := len(t.conns) - 1; i >= 0; i-- {
		t.conns[i].retire()
	}
}

// callList is a list of calls; a call is in one at a time.
type callList struct {
	first, last *Call
	n           int
}

func (l *callList) push(c *Call) {
	c.list, c.prev, c.next = l, l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
	l.n++
}

func (l *callList) remove(c *Call) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.list, c.prev, c.next = nil, nil, nil
	l.n--
}
