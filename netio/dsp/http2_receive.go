package dsp

import (
	"millrace/codec/http2"
)

// receive2 reads frames. An incomplete one at the end is kept, and what comes next
// is copied only as far as that frame goes.
func (c *conn) receive2(b []byte) bool {
	var f http2.Frame
	for len(c.in) > 0 {
		n := min(c.missing(), len(b))
		if !c.keep(b[:n]) {
			return false
		}
		b = b[n:]
		used, code := http2.ParseFrame(c.in, &f)
		switch {
		case code != http2.NoError:
			c.refuse(code, "a malformed frame")
			return false
		case used > 0:
			if !c.frame(&f) {
				return false
			}
			c.pool.buffers.put(c.in)
			c.in = nil
		case len(b) == 0:
			return c.settle()
		}
	}
	for len(b) > 0 {
		n, code := http2.ParseFrame(b, &f)
		if code != http2.NoError {
			c.refuse(code, "a malformed frame")
			return false
		}
		if n == 0 {
			if !c.keep(b) {
				return false
			}
			break
		}
		if !c.frame(&f) {
			return false
		}
		b = b[n:]
	}
	return c.settle()
}

// missing is how many bytes the frame in c.in lacks, or its header does.
func (c *conn) missing() int {
	if len(c.in) < http2.FrameHeaderLen {
		return http2.FrameHeaderLen - len(c.in)
	}
	return http2.FrameHeaderLen + int(c.in[0])<<16 + int(c.in[1])<<8 + int(c.in[2]) - len(c.in)
}

// settle does once for all frames of a read what they gave rise to.
func (c *conn) settle() bool {
	h := &c.h2
	if credit := h.received - h.open; credit >= connWindow/4 && c.reply(16) {
		c.out = http2.AppendWindowUpdate(c.out, 0, credit)
		h.received = h.open
	}
	if h.unblocking && !c.dead {
		c.unblock()
	}
	if c.dead {
		return false
	}
	// What left made room, for calls of the queue or for the end.
	c.freed()
	return !c.dead
}

// frame takes one frame in; false when the connection has ended.
func (c *conn) frame(f *http2.Frame) bool {
	h := &c.h2
	switch {
	case h.continued != 0 && (f.Type != http2.Continuation || f.Stream != h.continued):
		return c.breach("a header block is interrupted")
	case !h.greeted && f.Type != http2.Settings:
		return c.breach("the first frame is not SETTINGS: not HTTP/2?")
	}
	switch f.Type {
	case http2.Data:
		return c.onData(f)
	case http2.Headers:
		return c.onHeaders(f)
	case http2.Continuation:
		return c.onContinuation(f)
	case http2.Settings:
		return c.onSettings(f)
	case http2.WindowUpdate:
		return c.onWindowUpdate(f)
	case http2.ResetStream:
		return c.onReset(f)
	case http2.GoAway:
		return c.onGoAway(f)
	case http2.Ping:
		return c.onPing(f)
	case http2.PushPromise:
		return c.breach("a push that was switched off")
	}
	return c.tolerate() // PRIORITY, and types that are not known
}

func (c *conn) breach(reason string) bool {
	c.refuse(http2.ProtocolError, reason)
	return false
}

// tolerate lets a frame pass that serves no call.
func (c *conn) tolerate() bool {
	if c.noisy() {
		c.refuse(http2.EnhanceYourCalm, "too many frames that serve no call")
		return false
	}
	return true
}

// opened tells whether a stream is one that we opened, now or earlier.
func (h *session2) opened(stream uint32) bool { return stream&1 == 1 && stream < h.next }

// smallData is a DATA frame so small that many of them are an attack.
const smallData = 64

func (c *conn) onData(f *http2.Frame) bool {
	h := &c.h2
	if !h.opened(f.Stream) {
		return c.breach("DATA on a stream that is idle")
	}
	if h.received += f.Length; h.received > connWindow {
		c.refuse(http2.FlowControlError, "more than the connection's window")
		return false
	}
	call := h.find(f.Stream)
	if (call == nil || len(f.Payload) < smallData && !f.Has(http2.EndStream)) && !c.tolerate() {
		return false
	}
	if call == nil { // its stream was reset
		if f.Has(http2.EndStream) {
			c.target.late++
		}
		return true
	}
	if !call.headed {
		return c.strike(call, http2.ProtocolError, Malformed)
	}
	h.open += f.Length
	if call.received += f.Length; call.received > c.target.prepared.spec.ResponseBytesMax {
		return c.strike(call, http2.FlowControlError, TooLarge)
	}
	if len(f.Payload) > 0 {
		var ok bool
		if call.body, ok = c.target.hold(c.pool, call.body, f.Payload); !ok {
			return c.strike(call, http2.Cancel, TooLarge)
		}
	}
	switch {
	case f.Has(http2.EndStream):
		return c.complete2(call)
	case call.received == c.target.prepared.spec.ResponseBytesMax:
		return c.strike(call, http2.Cancel, TooLarge) // its window is used up and won't be renewed
	}
	return true
}

// strike ends one call for what the peer did on its stream; the connection stays.
func (c *conn) strike(call *Call, code http2.Code, o Outcome) bool {
	c.leave2(call, code)
	if c.dead {
		// The connection failed over the reset; this call was no longer its.
		c.pool.finish(call, o)
		return false
	}
	c.pool.finish(call, o)
	return true
}

// complete2 hands an answer over.
func (c *conn) complete2(call *Call) bool {
	if call.length >= 0 && call.length != int64(len(call.body)) && http2HasBody(call.status) {
		return c.strike(call, http2.ProtocolError, Malformed)
	}
	c.answered++
	c.noise = max(c.noise-noiseAnswer, 0)
	if call.waiting() {
		// An answer before the whole request: the rest is of no use (section 8.1).
		c.leave2(call, http2.NoError)
		if c.dead {
			c.pool.answered(call)
			return false
		}
	} else {
		c.h2.drop(call)
	}
	c.pool.answered(call)
	return true
}

// http2HasBody: a Content-Length beside these says nothing of a body.
func http2HasBody(status uint16) bool { return status != 204 && status != 304 }

func (c *conn) onHeaders(f *http2.Frame) bool {
	h := &c.h2
	if !h.opened(f.Stream) {
		return c.breach("HEADERS on a stream that is idle")
	}
	if f.Has(http2.EndHeaders) {
		return c.headers(f.Stream, f.Payload, f.Has(http2.EndStream))
	}
	h.continued, h.ends = f.Stream, f.Has(http2.EndStream)
	return c.keepBlock(f.Payload)
}

func (c *conn) onContinuation(f *http2.Frame) bool {
	h := &c.h2
	if h.continued == 0 {
		return c.breach("CONTINUATION of nothing")
	}
	if !c.tolerate() || !c.keepBlock(f.Payload) {
		return false
	}
	if !f.Has(http2.EndHeaders) {
		return true
	}
	stream := h.continued
	h.continued = 0
	ok := c.headers(stream, h.block, h.ends)
	c.pool.buffers.put(h.block)
	h.block = nil
	return ok
}

// keepBlock keeps a part of a header block. Without the whole the connection
// can't go on, since blocks depend on earlier ones.
func (c *conn) keepBlock(b []byte) (ok bool) {
	h := &c.h2
	if len(h.block)+len(b) > c.pool.cfg.HeaderBytesMax {
		c.refuse(http2.EnhanceYourCalm, "a header block larger than Config.HeaderBytesMax")
		return false
	}
	if h.block, ok = c.pool.buffers.grow(h.block, len(b)); !ok {
		c.fail(Lost, "Config.BufferBytesMax reached")
		return false
	}
	h.block = append(h.block, b...)
	return true
}

// headers takes a complete header block: an answer's head, an interim one, or
// trailers.
func (c *conn) headers(stream uint32, block []byte, ends bool) bool {
	h := &c.h2
	head := answerHead{length: -1}
	valid := true // of the fields: a fault of the stream only
	var field http2.Field
	var retry, date []byte
	h.decoder.Begin(block)
	for {
		step := h.decoder.Next(&field)
		if step == http2.Done {
			break
		}
		if step != http2.More {
			code, reason := http2.CompressionError, "a malformed header block"
			if step == http2.TooLarge {
				code, reason = http2.EnhanceYourCalm, "headers larger than Config.HeaderBytesMax"
			}
			c.refuse(code, reason)
			return false
		}
		switch string(field.Name) {
		case "retry-after":
			retry = append(c.pool.retry[:0], field.Value...)
		case "date":
			date = append(c.pool.date[:0], field.Value...)
		default:
			valid = head.set(&field) && valid
		}
	}
	call := h.find(stream)
	if call == nil { // its stream was reset
		if ends {
			c.target.late++
		}
		return c.tolerate()
	}
	return c.onHead(call, &head, retry, date, valid, ends)
}

func (c *conn) onHead(call *Call, head *answerHead, retry, date []byte, valid, ends bool) bool {
	switch {
	case call.headed: // trailers
		if !ends || head.status != 0 {
			return c.strike(call, http2.ProtocolError, Malformed)
		}
		return c.complete2(call)
	case !valid || head.status < 100 || head.status == 101 || ends && head.status < 200:
		return c.strike(call, http2.ProtocolError, Malformed)
	case head.status < 200:
		return c.tolerate()
	case head.length > int64(c.target.prepared.spec.ResponseBytesMax):
		return c.strike(call, http2.Cancel, TooLarge)
	}
	head.setRetryAfter(retry, date)
	call.headed, call.answerHead = true, *head
	call.FirstByte = c.pool.now
	if ends {
		if head.length > 0 && http2HasBody(head.status) {
			return c.strike(call, http2.ProtocolError, Malformed)
		}
		return c.complete2(call)
	}
	return true
}

// set takes one field; false if it makes the answer malformed.
func (h *answerHead) set(f *http2.Field) bool {
	switch string(f.Name) {
	case ":status":
		if len(f.Value) != 3 || h.status != 0 {
			return false
		}
		for _, d := range f.Value {
			if d < '0' || d > '9' {
				return false
			}
			h.status = h.status*10 + uint16(d-'0')
		}
	case "content-length":
		n := int64(0)
		for _, d := range f.Value {
			if d < '0' || d > '9' || n > 1<<40 {
				return false
			}
			n = n*10 + int64(d-'0')
		}
		if len(f.Value) == 0 || h.length >= 0 && h.length != n {
			return false
		}
		h.length = n
	case "content-encoding":
		h.setEncoding(f.Value, h.unreadable)
	case "connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection":
		return false // RFC 9113, section 8.2.2
	}
	return true
}

func (c *conn) onSettings(f *http2.Frame) bool {
	h := &c.h2
	if !c.tolerate() {
		return false
	}
	if f.Has(http2.Ack) {
		return h.greeted || c.breach("the first frame is an acknowledgement")
	}
	for i := range f.Length / 6 {
		id, v := f.Setting(i)
		if code := http2.CheckSetting(id, v); code != http2.NoError {
			c.refuse(code, "a setting out of its range")
			return false
		}
		switch id {
		case http2.MaxConcurrentStreams:
			h.peerMax = v
		case http2.HeaderTableSize:
			h.shrink = h.shrink || v < h.tableMax
			h.tableMax = v
		case http2.InitialWindowSize:
			if !c.moveWindows(int64(v)) {
				return false
			}
		}
	}
	h.greeted = true
	if !c.reply(http2.FrameHeaderLen) {
		return false
	}
	c.out = http2.AppendFrameHeader(c.out, 0, http2.Settings, http2.Ack, 0)
	return true
}

// moveWindows applies a new initial window to the streams that still send
// (section 6.9.2).
func (c *conn) moveWindows(v int64) bool {
	h := &c.h2
	for call := h.waiting.first; call != nil; call = call.next {
		if call.window += v - h.initial; call.window > http2.WindowMax {
			c.refuse(http2.FlowControlError, "a window beyond 2^31-1")
			return false
		}
	}
	h.initial, h.unblocking = v, true
	return true
}

func (c *conn) onWindowUpdate(f *http2.Frame) bool {
	h := &c.h2
	n := int64(f.Uint32(0) & http2.WindowMax)
	if f.Stream == 0 {
		if h.window += n; n == 0 || h.window > http2.WindowMax {
			code := http2.FlowControlError
			if n == 0 {
				code = http2.ProtocolError
			}
			c.refuse(code, "a WINDOW_UPDATE of 0, or beyond 2^31-1")
			return false
		}
		h.unblocking = h.waiting.n > 0
		return c.tolerate()
	}
	if !h.opened(f.Stream) {
		return c.breach("WINDOW_UPDATE on a stream that is idle")
	}
	if !c.tolerate() {
		return false
	}
	call := h.find(f.Stream)
	switch {
	case call == nil || !call.waiting() && n > 0:
		return true
	case n == 0:
		return c.strike(call, http2.ProtocolError, Malformed)
	}
	if call.window += n; call.window > http2.WindowMax {
		return c.strike(call, http2.FlowControlError, Malformed)
	}
	h.unblocking = true
	return true
}

func (c *conn) onReset(f *http2.Frame) bool {
	h := &c.h2
	if !h.opened(f.Stream) {
		return c.breach("RST_STREAM on a stream that is idle")
	}
	if !c.tolerate() {
		return false
	}
	if call := h.find(f.Stream); call != nil {
		h.drop(call)
		o := Reset
		if http2.Code(f.Uint32(0)) == http2.RefusedStream {
			o = Unprocessed
		}
		c.pool.finish(call, o)
	}
	return true
}

// onGoAway lets the streams end that the peer will still answer.
func (c *conn) onGoAway(f *http2.Frame) bool {
	h := &c.h2
	if !c.tolerate() {
		return false
	}
	last := f.Uint32(0) & http2.StreamMax
	for _, call := range h.table {
		if call != nil && call.stream > last {
			h.drop(call)
			c.pool.finish(call, Unprocessed)
		}
	}
	if code := http2.Code(f.Uint32(4)); code != http2.NoError {
		c.target.reason = "GOAWAY: " + code.String()
	}
	if !c.retiring {
		if c.retiring = true; c.answered == 0 {
			c.target.failed(c.pool)
		}
		c.target.ensure(c.pool)
	}
	return true
}

func (c *conn) onPing(f *http2.Frame) bool {
	if !c.tolerate() {
		return false
	}
	if f.Has(http2.Ack) {
		c.h2.pinged = 0
		return true
	}
	if !c.reply(http2.FrameHeaderLen + 8) {
		return false
	}
	c.out = append(http2.AppendFrameHeader(c.out, 8, http2.Ping, http2.Ack, 0), f.Payload...)
	return true
}
