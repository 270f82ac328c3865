package ingress

import (
	"bytes"

	"millrace/codec/http1"
)

// advance serves every complete request at the start of buf and returns what is
// left: the beginning of a request, or requests that have to wait. Holds rmu.
func (c *conn) advance(t *turn, buf []byte) []byte {
	for more := true; more && len(buf) > 0 && !c.ending; {
		switch c.phase {
		case inBody:
			if len(buf) < c.need {
				return buf
			}
			// The head was parsed when it was complete; its slices have moved.
			http1.ParseRequest(buf, &t.req)
			buf, more = c.serve(t, buf, c.headLen, c.need, c.need)
		case inChunks:
			buf, more = c.advanceChunks(t, buf)
		default:
			buf, more = c.advanceHead(t, buf)
		}
	}
	if len(buf) == 0 {
		c.phase = atIdle
	}
	return buf
}

// advanceHead reads the head at the start of buf and, if the body is there too,
// serves the request.
func (c *conn) advanceHead(t *turn, buf []byte) (rest []byte, more bool) {
	cfg := &c.srv.cfg
	if c.phase == inHead {
		// A dribbled head is parsed again for each line, not for each byte.
		from := min(c.scanned, len(buf))
		if bytes.IndexByte(buf[from:], '\n') < 0 {
			return c.partialHead(buf)
		}
	}
	n, status := http1.ParseRequest(buf, &t.req)
	switch {
	case status == http1.Incomplete:
		return c.partialHead(buf)
	case status != http1.OK:
		c.srv.metrics.malformed.Add(1)
		c.fail(status.Code(), status.String())
		return nil, false
	case n > cfg.HeadBytesMax:
		c.failHead()
		return nil, false
	}
	c.headLen, c.scanned = n, 0
	if !c.admissible(&t.req) {
		return nil, false
	}
	if t.req.Chunked {
		c.phase, c.chunked = inChunks, http1.Chunked{Limit: cfg.BodyBytesMax}
		c.expect(&t.req, len(buf) > n)
		return buf, true
	}
	c.need = n + int(max(0, t.req.ContentLength))
	if len(buf) < c.need {
		c.phase = inBody
		c.expect(&t.req, len(buf) > n)
		return buf, false
	}
	return c.serve(t, buf, n, c.need, c.need)
}

func (c *conn) partialHead(buf []byte) (rest []byte, more bool) {
	c.phase, c.scanned = inHead, len(buf)
	if len(buf) > c.srv.cfg.HeadBytesMax {
		c.failHead()
		return nil, false
	}
	return buf, false
}

func (c *conn) failHead() {
	c.srv.metrics.malformed.Add(1)
	c.fail(431, "head: request line and headers together are larger than this server accepts")
}

// admissible checks what the head says about the body.
func (c *conn) admissible(r *http1.Request) bool {
	status, reason := 0, ""
	switch {
	case r.NeedsLength():
		status, reason = 411, "Content-Length: missing; give it, or use Transfer-Encoding: chunked"
	case r.ContentLength > int64(c.srv.cfg.BodyBytesMax):
		status, reason = 413, "body: larger than this server accepts"
	case r.HasBody() && (r.EncodedTwice || coding(r.ContentEncoding) == codingUnknown):
		status, reason = 415, "Content-Encoding: only gzip and identity are accepted"
	default:
		return true
	}
	c.srv.metrics.malformed.Add(1)
	c.fail(status, reason)
	return false
}

// expect answers "Expect: 100-continue", unless the body has begun to arrive.
func (c *conn) expect(r *http1.Request, begun bool) {
	if !r.ExpectContinue || begun {
		return
	}
	c.mu.Lock()
	if !c.dead {
		c.wantGo = true
		if c.front == nil {
			c.settle(false)
			c.write()
		}
	}
	c.mu.Unlock()
}

// isInput tells whether buf is a part of the connection's own buffer: then they
// end at the same place, counted with their capacities.
func (c *conn) isInput(buf []byte) bool {
	own := c.in[:cap(c.in)]
	all := buf[:cap(buf)]
	return len(own) > 0 && &all[len(all)-1] == &own[len(own)-1]
}

// advanceChunks decodes a chunked body inside buf, which must be in the
// connection's own buffer: decoding moves what comes behind.
func (c *conn) advanceChunks(t *turn, buf []byte) (rest []byte, more bool) {
	if !c.isInput(buf) {
		return buf, false // read copies it there first
	}
	n, status := c.chunked.Decode(buf[c.headLen:])
	switch status {
	case http1.Incomplete:
		return buf[:c.headLen+n], false
	case http1.OK:
		http1.ParseRequest(buf, &t.req)
		return c.serve(t, buf, c.headLen, c.headLen+c.chunked.Len(), c.headLen+n)
	}
	c.srv.metrics.malformed.Add(1)
	c.fail(status.Code(), status.String())
	return nil, false
}

// serve hands the request buf[:total], whose head is t.req, to the handler; the
// next request starts at total, and buf is meaningful up to end or, where end is
// total, up to its length. Without room the request stays and more is false.
func (c *conn) serve(t *turn, buf []byte, head, total, end int) (rest []byte, more bool) {
	s := c.srv
	rest = buf[total:]
	if end > total || c.phase == inChunks {
		rest = buf[total:end]
		buf = buf[:end]
	}
	x := s.exchanges.get()
	if x == nil {
		s.metrics.refusedInFlight.Add(1)
		return rest, c.refuse(t)
	}
	x.conn, x.Arrived, x.Remote = c, t.now, c.remote
	x.raw = append(x.raw[:0], buf[:total]...)
	x.Req = t.req
	x.Req.Move(buf, x.raw)
	x.Body = x.raw[head:]
	x.Out = x.Out[:0]
	x.last = !t.req.KeepAlive || s.draining.Load()
	if len(x.Body) > 0 && coding(x.Req.ContentEncoding) == codingGzip {
		if status, reason := s.inflate(x); status != 0 {
			s.exchanges.put(x)
			s.metrics.malformed.Add(1)
			c.fail(status, reason)
			return nil, false
		}
	}
	if !c.enqueue(x, len(rest) > 0) {
		last := c.ending
		s.exchanges.put(x)
		if last {
			return nil, false
		}
		return buf, false
	}
	c.phase = atIdle
	c.ending = x.last
	c.progress.Add(1 << 2)
	s.metrics.requests.Add(1)
	s.handler.Serve(x, &t.flusher)
	return rest, true
}

// enqueue puts x behind the connection's other unanswered exchanges, if there is
// room; otherwise the connection is stalled until there is. followed tells that
// more input of the same turn comes behind it.
func (c *conn) enqueue(x *Exchange, followed bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noMore {
		c.ending = true
		return false
	}
	if !c.roomy() {
		if !c.stalled {
			c.stalled = true
			c.srv.metrics.stalls.Add(1)
		}
		return false
	}
	if followed {
		c.corked, c.pipelined = true, true
	}
	c.stalled = false
	c.wantGo = false // the body came without waiting
	if c.back == nil {
		c.front = x
	} else {
		c.back.next = x
	}
	c.back = x
	c.pending++
	x.state.Store(exchangeServing)
	return true
}

// roomy tells whether the connection may have another request. Holds mu.
func (c *conn) roomy() bool {
	cfg := &c.srv.cfg
	return c.pending < cfg.PipelineMax && len(c.out)-c.off <= cfg.BacklogBytesMax/2
}

// resumable tells whether stalled input may go on: with some room, so that a
// long pipeline is not resumed for one request at a time. Whatever keeps it from
// being so ends in answer or push, which look here. Holds mu.
func (c *conn) resumable() bool {
	cfg := &c.srv.cfg
	return c.stalled && c.pending <= cfg.PipelineMax/2 && len(c.out)-c.off <= cfg.BacklogBytesMax/4
}

// refuse answers 503 because all exchanges are taken. The connection stays open
// where the answer is next in order anyway.
func (c *conn) refuse(t *turn) (more bool) {
	const reason = "server: too many requests in flight; retry"
	s := c.srv
	c.mu.Lock()
	if c.front != nil || c.noMore || !t.req.KeepAlive {
		c.mu.Unlock()
		c.fail(503, reason)
		return false
	}
	head := http1.Head{
		ContentType: http1.TypeText, Date: s.date(), RetryAfterSeconds: s.cfg.RetryAfterSeconds,
		KeepAlive: t.req.Minor == 0,
	}
	c.needOutput()
	c.out = http1.AppendHead(c.out, 503, len(reason), &head)
	if t.req.Method != http1.HEAD {
		c.out = append(c.out, reason...)
	}
	s.metrics.answers[5].Add(1)
	c.phase = atIdle
	c.progress.Add(1 << 2)
	c.touch(&t.flusher)
	c.mu.Unlock()
	return true
}
