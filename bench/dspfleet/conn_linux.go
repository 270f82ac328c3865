package dspfleet

import (
	"bytes"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"

	"millrace/bench/epoll"
	"millrace/codec/gzip"
	"millrace/codec/http1"
)

// conn is one connection, HTTP/1.1 until it shows to be HTTP/2. Owned by its
// worker.
//
//	socket ─► (TLS) ─► in ─► HTTP/1.1 one request at a time ─┐
//	                    └──► HTTP/2 frames ─► streams ───────┴► answer ─► out ─► (TLS) ─► raw ─► socket
type conn struct {
	w    *worker
	dsp  *dsp // nil: notices
	fd   int  // -1: closed
	slot int
	tls  *secured

	known   bool   // which protocol is spoken
	in      []byte // the start of what has not fully come
	out     []byte // text to be sent
	blocked bool   // the socket took no more
	marked  bool   // in worker.dirty
	closing bool   // as soon as all is sent

	pending *answer // HTTP/1.1: being waited for
	close   bool    // HTTP/1.1: no request after this one
	h2      *http2State
}

const (
	inMax   = 4 << 20  // of one request
	bodyMax = 1 << 20  // decompressed
	outMax  = 64 << 20 // waiting for a client that does not read
)

// receive takes what the socket has. It is asked once an event, and the socket
// is read until it says that there is nothing.
func (c *conn) receive() {
	w := c.w
	for c.fd >= 0 {
		n, e := epoll.Read(c.fd, w.buf)
		switch {
		case e == unix.EAGAIN:
			return
		case e == unix.EINTR:
			continue
		case e != 0 || n == 0:
			c.abandoned()
			c.drop(false)
			return
		}
		data := w.buf[:n]
		if c.dsp != nil {
			c.dsp.count.bytesIn.Add(uint64(n))
			c.dsp.count.reads.Add(1)
		}
		if c.tls != nil {
			c.decrypt(data)
			continue
		}
		c.feed(data)
	}
}

// decrypt takes records; none, to go on with what came with the handshake.
func (c *conn) decrypt(records []byte) {
	text, err := c.tls.plain(c.w.text[:0], records)
	c.w.text = text[:0]
	c.feed(text)
	if err != nil && c.fd >= 0 {
		c.abandoned()
		c.drop(false)
	}
}

// feed takes bytes of the client.
func (c *conn) feed(data []byte) {
	if len(c.in) > 0 {
		c.in = append(c.in, data...)
		data = c.in
	}
	n := c.consume(data)
	if c.fd < 0 {
		return
	}
	if len(data)-n > inMax {
		c.breach("a request of more than 4 MB")
		return
	}
	c.in = append(c.in[:0], data[n:]...)
}

// resume goes on with requests that waited for an answer before them.
func (c *conn) resume() {
	if c.fd >= 0 && c.h2 == nil && c.pending == nil && len(c.in) > 0 {
		c.feed(nil)
	}
}

// consume takes whole requests or frames from data and returns their length.
func (c *conn) consume(data []byte) (n int) {
	if !c.known && len(data) > 0 {
		preface := []byte(http2.ClientPreface)
		if c.dsp != nil && c.dsp.cfg.Protocol == H2C && bytes.HasPrefix(preface, data[:min(len(data), len(preface))]) {
			if len(data) < len(preface) {
				return 0
			}
			c.beginHTTP2()
		}
		c.known = true
	}
	for c.fd >= 0 && !c.closing {
		took := 0
		if c.h2 != nil {
			took = c.frame(data[n:])
		} else if c.pending == nil && !c.close {
			took = c.request(data[n:])
		}
		if took == 0 {
			break
		}
		n += took
	}
	return n
}

// request takes one HTTP/1.1 request, if it has come whole.
func (c *conn) request(data []byte) int {
	var r http1.Request
	n, status := http1.ParseRequest(data, &r)
	if status == http1.Incomplete {
		return 0
	}
	if status != http1.OK {
		c.breach("HTTP/1.1: %v", status)
		return 0
	}
	body := data[n:]
	switch {
	case r.Chunked:
		w := c.w
		w.body = append(w.body[:0], body...)
		d := http1.Chunked{Limit: inMax}
		left, status := d.Decode(w.body)
		if status == http1.Incomplete {
			return 0
		}
		if status != http1.OK {
			c.breach("HTTP/1.1: %v", status)
			return 0
		}
		n += len(body) - (left - d.Len())
		body = w.body[:d.Len()]
	case r.ContentLength > inMax:
		c.breach("HTTP/1.1: a body of more than 4 MB")
		return 0
	case r.ContentLength > int64(len(body)):
		return 0
	default:
		body = body[:max(r.ContentLength, 0)]
		n += len(body)
	}
	c.close = !r.KeepAlive
	if c.dsp == nil {
		c.noticed(&r)
		return n
	}
	c.w.asked(c, nil, body, http1.EqualFold(r.ContentEncoding, "gzip"), gzip.Accepted(r.AcceptEncoding))
	return n
}

// noticed answers a notice.
func (c *conn) noticed(r *http1.Request) {
	status := 204
	if !c.w.fleet.notices.take(r.Path, r.Query) {
		status = 404
	}
	c.out = http1.AppendHead(c.out, status, 0, &http1.Head{Close: c.close})
	c.closing = c.close
	c.w.mark(c)
}

// send gives an answer whole, or its head and one byte more each time while it
// drips; true when it is finished.
func (c *conn) send(a *answer) bool {
	if c.h2 != nil {
		return c.sendStream(a)
	}
	if !a.begun {
		a.begun = true
		leave := c.close || a.fault == GoAway
		h := http1.Head{ContentType: []byte(a.kind), RetryAfterSeconds: a.retry, Gzip: a.gzip, Close: leave}
		c.out = http1.AppendHead(c.out, a.status, a.length(), &h)
		c.close = leave
	}
	most := a.length()
	if a.fault == SlowDrip {
		most = min(1, most)
	}
	for most > 0 && a.sent < a.length() {
		part := a.piece(most)
		c.out = append(c.out, part...)
		a.sent += len(part)
		most -= len(part)
	}
	c.w.mark(c)
	if a.sent < a.length() {
		return false
	}
	c.pending = nil
	c.closing = c.close
	return true
}

// write sends what is to be sent, as far as the socket takes it.
func (c *conn) write() {
	if c.fd < 0 || c.blocked {
		return
	}
	out := &c.out
	if c.tls != nil {
		if len(c.out) > 0 {
			_, _ = c.tls.conn.Write(c.out) // into memory
			c.out = c.out[:0]
		}
		out = &c.tls.wire.out
	}
	sent := 0
	for sent < len(*out) {
		n, e := epoll.Write(c.fd, (*out)[sent:])
		if e == unix.EAGAIN {
			c.blocked = true
			break
		}
		if e != 0 && e != unix.EINTR {
			c.abandoned()
			c.drop(false)
			return
		}
		if e == 0 {
			sent += n
		}
		if c.dsp != nil {
			c.dsp.count.writes.Add(1)
		}
	}
	if c.dsp != nil {
		c.dsp.count.bytesOut.Add(uint64(sent))
	}
	rest := copy(*out, (*out)[sent:])
	if *out = (*out)[:rest]; rest == 0 && cap(*out) > 1<<20 {
		*out = nil // an oversized answer has gone
	}
	switch {
	case rest > outMax:
		c.abandoned()
		c.drop(true)
	case rest == 0 && c.closing:
		c.drop(false)
	}
}

// breach counts what a client does against the protocol, and ends with it.
func (c *conn) breach(format string, args ...any) {
	if c.dsp != nil {
		c.dsp.breached(fmt.Sprintf(format, args...))
	}
	if c.h2 != nil {
		c.goAway(http2.ErrCodeProtocol)
	}
	c.closing = true
	c.w.mark(c)
}

// abandoned counts the answers nobody waits for any more, since the client has
// closed or reset the connection.
func (c *conn) abandoned() {
	if c.pending != nil {
		c.dsp.count.cancelled.Add(1)
	}
	if c.h2 != nil {
		c.dsp.count.cancelled.Add(uint64(len(c.h2.streams)))
	}
}

// drop closes the connection; with reset the client sees it at once.
func (c *conn) drop(reset bool) {
	if c.fd < 0 {
		return
	}
	if reset {
		_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // else it is closed a little more politely
	}
	_ = unix.Close(c.fd) // leaves the epoll set with it
	c.fd = -1
	c.w.slots[c.slot] = slot{listener: -1}
	c.w.freeSlots = append(c.w.freeSlots, int32(c.slot))
	if c.dsp != nil {
		c.dsp.count.open.Add(^uint64(0))
	}
	if c.pending != nil {
		c.w.forget(c.pending)
		c.pending = nil
	}
	if c.h2 != nil {
		for _, s := range c.h2.streams {
			if s.answer != nil {
				c.w.forget(s.answer)
			}
		}
		c.h2.streams = nil
	}
}
