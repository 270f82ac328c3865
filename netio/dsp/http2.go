package dsp

import (
	"math/bits"

	"millrace/codec/http2"
	"millrace/codec/unit"
)

// session2 is an HTTP/2 connection's state.
//
// A stream is found by its identifier in a table of twice as many places as there
// can be streams, without a map: identifiers grow, so those in flight lie close
// together; one whose place is taken is left out (RFC 9113, section 5.1.1 lets a
// client skip identifiers).
type session2 struct {
	table   []*Call // by stream>>1 & mask
	mask    uint32
	next    uint32 // the next stream's identifier
	active  int
	peerMax uint32 // SETTINGS_MAX_CONCURRENT_STREAMS
	greeted bool   // the peer's first SETTINGS came: it is what it was taken for

	tableMax uint32 // SETTINGS_HEADER_TABLE_SIZE
	shrink   bool   // it became smaller: the next header block begins by saying that none is used

	window     int64    // what the peer lets us send on the connection
	initial    int64    // and on a new stream
	received   int      // DATA bytes that no WINDOW_UPDATE of ours has credited
	open       int      // those of them on streams that have not ended
	waiting    callList // calls with body left to send, oldest first
	unblocking bool     // windows grew: try again at the end of what was read

	continued uint32 // the stream whose header block goes on; 0 = none
	ends      bool   // with that block the stream ends
	block     []byte
	decoder   http2.Decoder

	pinged unit.MonoTime // when an unanswered PING was sent; 0 = none is
}

// connWindow is what a peer may send on one connection without having completed
// an answer with it: what ends is credited, what does not is memory.
const connWindow = 4 << 20

// open2 greets the peer. Calls wait until it has answered.
func (c *conn) open2() {
	spec := &c.target.prepared.spec
	n := 2 << bits.Len(uint(spec.StreamsMax-1))
	c.h2 = session2{
		table: make([]*Call, n), mask: uint32(n - 1), next: 1, peerMax: 100, tableMax: http2.TableBytes,
		window: http2.WindowInitial, initial: http2.WindowInitial,
	}
	c.h2.decoder.Init(http2.TableBytes, c.pool.cfg.HeaderBytesMax)
	if !c.room(128) {
		return
	}
	c.out = append(c.out, http2.Preface...)
	c.out = http2.AppendFrameHeader(c.out, 3*6, http2.Settings, 0, 0)
	c.out = http2.AppendSetting(c.out, http2.EnablePush, 0)
	// A stream's window is the limit of its answer: it is never renewed, and what is
	// larger can't even be sent.
	c.out = http2.AppendSetting(c.out, http2.InitialWindowSize, uint32(spec.ResponseBytesMax))
	c.out = http2.AppendSetting(c.out, http2.MaxHeaderListSize, uint32(c.pool.cfg.HeaderBytesMax))
	c.out = http2.AppendWindowUpdate(c.out, 0, connWindow-http2.WindowInitial)
}

func (c *conn) capacity2() int {
	h := &c.h2
	if !h.greeted || h.waiting.n > 0 || h.next > http2.StreamMax-2*uint32(len(h.table)) {
		return 0
	}
	return max(min(int(h.peerMax), c.target.prepared.spec.StreamsMax)-h.active, 0)
}

func (h *session2) place(stream uint32) **Call { return &h.table[stream>>1&h.mask] }

// find is the call of a stream, or nil: it has ended, or never was.
func (h *session2) find(stream uint32) *Call {
	if c := *h.place(stream); c != nil && c.stream == stream {
		return c
	}
	return nil
}

// start2 sends a request as far as the windows allow. Room is made for all of it
// first.
func (c *conn) start2(call *Call, body []byte) bool {
	p, h := c.target.prepared, &c.h2
	frames := len(body)/http2.FrameBytesMax + 2
	if !c.room(len(p.block) + len(body) + 24 + frames*http2.FrameHeaderLen) {
		return false
	}
	for *h.place(h.next) != nil {
		h.next += 2
	}
	stream := h.next
	h.next += 2
	*h.place(stream) = call
	h.active++
	call.conn, call.stream = c, stream

	at := len(c.out)
	c.out = append(c.out, "\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	if h.shrink {
		h.shrink = false
		c.out = http2.AppendTableSize(c.out, 0)
	}
	c.out = append(c.out, p.block...)
	c.out = http2.AppendContentLength(c.out, len(body))
	http2.PutFrameHeader(c.out[at:], len(c.out)-at-http2.FrameHeaderLen, http2.Headers, http2.EndHeaders, stream)
	if int64(len(body)) <= min(h.window, h.initial) {
		h.window -= int64(len(body))
		c.out = appendData(c.out, stream, body, true)
		return true
	}
	return c.startBlocked(call, body)
}

// startBlocked keeps a body that the windows do not allow to be sent.
func (c *conn) startBlocked(call *Call, body []byte) bool {
	h := &c.h2
	rest := call.rest
	if rest == nil {
		if rest = c.pool.buffers.get(len(body)); rest == nil {
			c.fail(Lost, "Config.BufferBytesMax reached")
			return false
		}
		rest = append(rest, body...)
	}
	call.rest, call.sent, call.window = rest, 0, h.initial
	h.waiting.push(call)
	c.unblock()
	return !c.dead
}

func appendData(dst []byte, stream uint32, body []byte, end bool) []byte {
	for {
		n, flags := len(body), uint8(0)
		if n > http2.FrameBytesMax {
			n = http2.FrameBytesMax
		} else if end {
			flags = http2.EndStream
		}
		dst = append(http2.AppendFrameHeader(dst, n, http2.Data, flags, stream), body[:n]...)
		if body = body[n:]; len(body) == 0 {
			return dst
		}
	}
}

// unblock sends of the waiting bodies what the windows allow now.
func (c *conn) unblock() {
	h := &c.h2
	h.unblocking = false
	for call := h.waiting.first; call != nil && h.window > 0; {
		next := call.next
		rest := call.rest[call.sent:]
		n := int(min(h.window, call.window, int64(len(rest))))
		if n > 0 {
			if !c.reply(n + (n/http2.FrameBytesMax+1)*http2.FrameHeaderLen) {
				return
			}
			c.out = appendData(c.out, call.stream, rest[:n], n == len(rest))
			h.window -= int64(n)
			call.window -= int64(n)
			call.sent += n
			if n == len(rest) {
				h.waiting.remove(call)
				c.pool.buffers.put(call.rest)
				call.rest = nil
			}
		}
		call = next
	}
}

// drop forgets a call's stream.
func (h *session2) drop(call *Call) {
	if call.list == &h.waiting {
		h.waiting.remove(call)
	}
	*h.place(call.stream) = nil
	h.active--
	h.open -= call.received
}

// leave2 resets a call's stream and lets the call go; the connection stays.
func (c *conn) leave2(call *Call, code http2.Code) {
	c.h2.drop(call)
	c.noise = max(c.noise-noiseAnswer, 0)
	if c.reply(16) {
		c.out = http2.AppendReset(c.out, call.stream, code)
	}
}

// abandon2 ends all calls of a connection that is no more.
func (c *conn) abandon2(o Outcome) {
	h := &c.h2
	for _, call := range h.table {
		if call != nil {
			h.drop(call)
			c.pool.finish(call, o)
		}
	}
	c.pool.buffers.put(h.block)
	h.block = nil
}

// check2 asks a silent connection whether it lives.
func (c *conn) check2(now unit.MonoTime) {
	cfg, h := &c.pool.cfg, &c.h2
	switch {
	case !h.greeted && now.Sub(c.opened) > cfg.DialTimeout:
		c.fail(Lost, "no SETTINGS after the connection was made: not HTTP/2?")
	case h.pinged != 0 && now.Sub(h.pinged) > cfg.PingTimeout:
		c.fail(Lost, "no answer to PING")
	case h.greeted && h.pinged == 0 && now.Sub(c.heard) > cfg.PingAfter:
		if c.reply(32) {
			h.pinged = max(now, 1)
			c.out = http2.AppendPing(c.out, 0, pingData)
		}
	case h.next > http2.StreamMax/2 && !c.retiring:
		c.target.replace(c.pool, c) // long before its identifiers are used up
	}
}

const pingData = 0x6d696c6c72616365
