package dsp

import (
	"bytes"
	"strconv"

	"millrace/codec/http1"
	"millrace/codec/unit"
)

// stream1 is an HTTP/1.1 connection's state: one call at a time.
//
//	        start1               head complete
//	idle ──────────► awaiting ────────────────► inLength, inChunks, inRest
//	  ▲                                              │ complete
//	  └──────────────────────────────────────────────┘ (or closed)
//
// A call that was cancelled, or is late, leaves; what it asked for is still read,
// for a while: an answer that is about to come costs less than a new connection.
type stream1 struct {
	busy    bool          // between the request and the end of its answer
	call    *Call         // nil while nobody waits for the answer
	stale   unit.MonoTime // since when nobody does
	phase   phase1
	keep    bool // the connection may carry another request
	scanned int  // bytes of in already searched for the head's end
	left    int  // of a body with a length
	body    []byte
	chunked http1.Chunked
	answer  answerHead
}

type phase1 uint8

const (
	awaiting phase1 = iota // the head
	inLength
	inChunks
	inRest // ends with the connection
)

func (c *conn) capacity1() int {
	if c.h1.busy {
		return 0
	}
	return 1
}

// start1 sends a request. Room is made for all of it first.
func (c *conn) start1(call *Call, body []byte) bool {
	p := c.target.prepared
	if !c.room(len(p.head) + len(body) + 24) {
		return false
	}
	c.out = append(c.out, p.head...)
	c.out = strconv.AppendUint(c.out, uint64(len(body)), 10)
	c.out = append(append(c.out, "\r\n\r\n"...), body...)
	c.h1 = stream1{busy: true, call: call}
	call.conn = c
	return true
}

// receive1 reads answers' bytes.
func (c *conn) receive1(b []byte) bool {
	if !c.h1.busy {
		c.fail(Malformed, "an answer that was not asked for")
		return false
	}
	if c.h1.phase == awaiting {
		if len(c.in) > 0 {
			if !c.keep(b) {
				return false
			}
			b = c.in
		}
		n, ok := c.readHead(b)
		if !ok {
			return false
		}
		b = b[n:]
		if c.h1.phase == awaiting {
			return c.keepHead(b)
		}
	}
	ok := c.readBody(b)
	if ok && len(c.in) > 0 {
		c.pool.buffers.put(c.in)
		c.in = nil
	}
	return ok
}

// keep appends to what waits for more.
func (c *conn) keep(b []byte) (ok bool) {
	if c.in, ok = c.pool.buffers.grow(c.in, len(b)); !ok {
		c.fail(Lost, "Config.BufferBytesMax reached")
		return false
	}
	c.in = append(c.in, b...)
	return true
}

// keepHead keeps an incomplete head, which may be the end of what is kept already,
// for the next read.
func (c *conn) keepHead(b []byte) bool {
	if len(b) > c.pool.cfg.HeaderBytesMax {
		c.fail(Malformed, "a head larger than Config.HeaderBytesMax")
		return false
	}
	if len(c.in) == 0 {
		return len(b) == 0 || c.keep(b)
	}
	if c.in = c.in[:copy(c.in, b)]; len(c.in) == 0 {
		c.pool.buffers.put(c.in)
		c.in = nil
	}
	return true
}

var headEnd = []byte("\r\n\r\n")

// readHead parses heads at the start of b up to the first that is final; n is how
// much is read.
func (c *conn) readHead(b []byte) (n int, ok bool) {
	h := &c.h1
	for {
		// Looking for the end first, a head that drips in is parsed once.
		if !bytes.Contains(b[n+max(h.scanned-3, 0):], headEnd) {
			h.scanned = len(b) - n
			return n, true
		}
		var a http1.Answer
		used, status := http1.ParseAnswer(b[n:], &a)
		switch {
		case status != http1.OK:
			c.fail(Malformed, status.String())
			return 0, false
		case used > c.pool.cfg.HeaderBytesMax:
			c.fail(Malformed, "a head larger than Config.HeaderBytesMax")
			return 0, false
		case !a.Interim():
			return n + used, c.begin1(&a)
		case c.noisy():
			c.fail(Malformed, "too many interim answers")
			return 0, false
		}
		n += used
		h.scanned = 0
	}
}

// begin1 takes a final answer's head.
func (c *conn) begin1(a *http1.Answer) bool {
	h := &c.h1
	h.keep = a.KeepAlive && a.Status != 101
	h.answer = answerHead{status: uint16(a.Status), length: -1}
	h.answer.setEncoding(a.ContentEncoding, a.EncodedTwice)
	h.answer.setRetryAfter(a.RetryAfter, a.Date)
	if h.call != nil {
		h.call.FirstByte = c.pool.now
	}
	limit := c.target.prepared.spec.ResponseBytesMax
	switch {
	case !a.HasBody():
		h.phase, h.left = inLength, 0
	case a.Chunked:
		h.phase, h.chunked = inChunks, http1.Chunked{Limit: limit}
	case a.ContentLength < 0:
		h.phase, h.keep = inRest, false
	case a.ContentLength > int64(limit):
		c.fail(TooLarge, "an answer larger than ResponseBytesMax")
		return false
	default:
		h.phase, h.left = inLength, int(a.ContentLength)
	}
	return true
}

// readBody takes the body's bytes.
func (c *conn) readBody(b []byte) bool {
	h := &c.h1
	switch h.phase {
	case inLength:
		n := min(h.left, len(b))
		if !c.addBody(b[:n]) {
			return false
		}
		if h.left -= n; h.left > 0 {
			return true
		}
		b = b[n:]
	case inChunks:
		if !c.addBody(b) {
			return false
		}
		n, status := h.chunked.Decode(h.body)
		switch status {
		case http1.Incomplete:
			h.body = h.body[:n]
			return true
		case http1.FaultBodySize:
			c.fail(TooLarge, "an answer larger than ResponseBytesMax")
			return false
		case http1.OK:
			b = h.body[h.chunked.Len():n] // what follows the answer
			h.body = h.body[:h.chunked.Len()]
		default:
			c.fail(Malformed, status.String())
			return false
		}
	case inRest:
		if len(h.body)+len(b) > c.target.prepared.spec.ResponseBytesMax {
			c.fail(TooLarge, "an answer larger than ResponseBytesMax")
			return false
		}
		return c.addBody(b)
	}
	c.complete1(len(b) > 0)
	return !c.dead
}

func (c *conn) addBody(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	var ok bool
	if c.h1.body, ok = c.target.hold(c.pool, c.h1.body, b); !ok {
		c.fail(TooLarge, "its share of Config.BufferBytesMax reached")
	}
	return ok
}

// complete1 hands the answer over and makes the connection ready for the next
// call; surplus says that the peer sent more than an answer.
func (c *conn) complete1(surplus bool) {
	h := &c.h1
	call := h.call
	c.answered++
	c.noise = max(c.noise-noiseAnswer, 0)
	if call != nil {
		call.body, call.answerHead = h.body, h.answer
		h.body, h.call = nil, nil
		c.pool.answered(call)
	} else {
		c.target.late++
		c.target.unhold(c.pool, h.body)
	}
	keep := h.keep
	*h = stream1{}
	switch {
	case surplus:
		c.fail(Malformed, "more than an answer")
	case !keep:
		c.retire()
	case c.retiring:
		c.retire()
	default:
		c.target.idle = append(c.target.idle, c)
		c.target.dispatch(c.pool)
	}
}

// ended1 is the peer's end; true when it was the end of an answer.
func (c *conn) ended1() bool {
	if c.h1.phase != inRest {
		return false
	}
	c.complete1(false)
	return true
}

// leave1 lets the call go; the answer is read without it.
func (c *conn) leave1() { c.h1.call, c.h1.stale = nil, c.pool.now }

func (c *conn) abandon1(o Outcome) {
	call := c.h1.call
	c.target.unhold(c.pool, c.h1.body)
	c.h1 = stream1{}
	if call != nil {
		c.pool.finish(call, o)
	}
}

func (c *conn) check1(now unit.MonoTime) {
	if c.h1.busy && c.h1.call == nil && now.Sub(c.h1.stale) > c.pool.cfg.DrainTimeout {
		c.target.lost++
		c.close(Lost)
	}
}
