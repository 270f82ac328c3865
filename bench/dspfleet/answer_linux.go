package dspfleet

import (
	"time"

	"golang.org/x/net/http2"
)

// Bodies of answers that are none.
var (
	pageBody  = []byte("<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>\n")
	errorBody = []byte("internal error\n")
	limitBody = []byte("slow down\n")
	badBody   = []byte("not a bid request\n")
)

// asked takes a request that has come whole and makes its answer; when it is
// given, the latency and the fault say.
func (w *worker) asked(c *conn, s *stream, body []byte, compressed, accepts bool) {
	d := c.dsp
	b := d.behaviour.Load()
	a := w.take()
	a.conn, a.stream, a.received = c, s, w.clock()
	a.due = a.received
	if s != nil {
		s.answer = a
	} else {
		c.pending = a
	}
	d.count.requests.Add(1)
	var err error
	if compressed {
		w.body, err = w.inflate.Append(w.body[:0], body, bodyMax)
		body = w.body
	}
	drawn, ok := draws(0), false
	if f := w.fleet.cfg.Respond; f != nil && err == nil {
		status, given, mine := f(d.index, body)
		if a.status = status; mine {
			w.given(a, given)
			return
		}
	}
	if err == nil {
		drawn, ok = w.maker.read(body, d.index)
	}
	if !ok {
		d.count.badRequests.Add(1)
		a.status, a.kind, a.body = 400, "text/plain", append(a.body, badBody...)
		w.give(a)
		return
	}
	if w.fleet.cfg.Observe != nil {
		id, _ := w.maker.req.ID.Text(nil)
		a.id = append(a.id, id...)
	}
	a.fault = b.fault(drawn)
	d.count.faults[a.fault].Add(1)
	a.due += int64(b.Latency.At(drawn.at(drawLatency)))
	w.fill(a, b, drawn)
	if accepts && b.Gzip && len(a.body) > 0 {
		w.body = append(w.body[:0], a.body...)
		for len(w.body) < a.length() {
			w.body = append(w.body, spaces[:min(len(spaces), a.length()-len(w.body))]...)
		}
		a.behind = 0
		a.body, a.gzip = w.deflate.Append(a.body[:0], w.body), true
	}
	switch {
	case a.fault == Hang:
	case a.due <= a.received:
		w.give(a)
	default:
		a.waiting = true
		w.answers.add(a)
	}
}

// given sends an answer that is not of the bid model.
func (w *worker) given(a *answer, body []byte) {
	a.kind, a.body = "application/json", append(a.body, body...)
	a.due += int64(a.conn.dsp.behaviour.Load().Latency.At(0.5))
	a.waiting = true
	w.answers.add(a)
}

// fill makes status and body.
func (w *worker) fill(a *answer, b *Behaviour, drawn draws) {
	d := a.conn.dsp
	a.status, a.kind = 200, "application/json"
	plain := func(status int, kind string, body []byte) {
		a.status, a.kind, a.body = status, kind, append(a.body, body...)
	}
	switch a.fault {
	case ServerError:
		plain(500, "text/plain", errorBody)
	case RateLimit:
		plain(429, "text/plain", limitBody)
		a.retry = b.Retry
	case HTML:
		plain(200, "text/html", pageBody)
	case Hang, Reset, ResetStream, Close, Empty:
	default:
		a.body, a.bids = w.maker.answer(a.body, d.index, d.cfg.Name, b, drawn, a.fault)
		switch {
		case a.fault == Malformed:
			a.body = append(a.body, `{"id":"cut`...)
			a.body = a.body[:len(a.body)*2/3]
		case a.fault == Oversized:
			a.oversize()
		case a.bids == 0:
			a.status, a.kind = 204, ""
		}
	}
}

// oversize makes a bid response too large, and leaves it a bid response.
func (a *answer) oversize() {
	if len(a.body) == 0 {
		a.body = append(a.body, "{}"...)
	}
	a.behind = OversizedBytes - len(a.body)
}

// give does what is due: the answer, or a piece of it.
func (w *worker) give(a *answer) {
	c := a.conn
	a.waiting = false
	switch {
	case a.gone:
		w.put(a)
		return
	case a.fault == ResetStream && c.h2 != nil:
		w.done(a, false)
		c.resetStream(a.stream, http2.ErrCodeInternal)
		return
	case a.fault == Reset || a.fault == ResetStream || a.fault == Close:
		w.done(a, false)
		c.drop(a.fault != Close)
		return
	}
	if first := !a.begun; first {
		w.done(a, true)
		if a.fault == GoAway && c.h2 != nil {
			c.goAway(http2.ErrCodeNo) // before the answer: who has that may ask again at once
		}
	}
	if !c.send(a) {
		if a.fault == SlowDrip {
			a.due, a.waiting = w.clock()+int64(c.dsp.behaviour.Load().Drip), true
			w.answers.add(a)
		}
		return // or flow control lets no more through for now
	}
	w.put(a)
}

// done counts an answer when it begins.
func (w *worker) done(a *answer, answered bool) {
	d := a.conn.dsp
	now := w.clock()
	if answered {
		d.count.answers.Add(1)
		d.count.bids.Add(uint64(a.bids))
		if a.status == 204 {
			d.count.noBids.Add(1)
		}
		d.mu.Lock()
		_ = d.latency.RecordValue(min(now-a.received, int64(time.Minute)))
		_ = d.late.RecordValue(min(max(now-a.due, 0), int64(time.Minute)))
		d.mu.Unlock()
	}
	w.observe(a, now, answered)
}

func (w *worker) observe(a *answer, now int64, answered bool) {
	if w.fleet.cfg.Observe == nil {
		return
	}
	call := Call{DSP: a.conn.dsp.index, ID: a.id, Received: time.Duration(a.received), Fault: a.fault}
	if answered {
		call.Answered = time.Duration(now)
	}
	w.fleet.cfg.Observe(call)
}

// forget drops an answer that nobody waits for.
func (w *worker) forget(a *answer) {
	a.gone = true
	if !a.begun {
		w.observe(a, 0, false)
	}
	if !a.waiting {
		w.put(a)
	}
}

func (w *worker) take() *answer {
	if n := len(w.spare); n > 0 {
		a := w.spare[n-1]
		w.spare = w.spare[:n-1]
		return a
	}
	return &answer{}
}

func (w *worker) put(a *answer) {
	body, id := a.body[:0], a.id[:0]
	*a = answer{body: body, id: id}
	w.spare = append(w.spare, a)
}
