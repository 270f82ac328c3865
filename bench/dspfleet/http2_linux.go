package dspfleet

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2State is the HTTP/2 side of a connection (RFC 9113).
type http2State struct {
	streams map[uint32]*stream
	spare   []*stream
	last    uint32 // the highest stream the client opened
	leaving bool   // GOAWAY was sent: no new stream, closed after the last

	window   int64 // of the connection, for us to send
	initial  int64 // of a stream
	received int64 // since the last WINDOW_UPDATE of the connection
	settled  bool  // the client's first SETTINGS came
	told     bool  // the client has acknowledged ours

	decoder *hpack.Decoder
	encoder *hpack.Encoder
	encoded bytes.Buffer
	fields  fields
	block   []byte // HEADERS and CONTINUATION so far
	blockOf uint32 // 0: none begun
	ends    bool   // the block's stream has no body
}

// fields are those of a request that matter.
type fields struct {
	post            bool
	zipped, accepts bool
}

// stream is a request and its answer.
type stream struct {
	id      uint32
	window  int64
	body    []byte
	zipped  bool
	accepts bool
	answer  *answer
}

const (
	streamWindow = 1 << 20 // we let a request have
	connWindow   = 8 << 20
	frameMax     = 16 << 10
)

func (c *conn) beginHTTP2() {
	h := &http2State{streams: map[uint32]*stream{}, window: 65_535, initial: 65_535}
	h.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		switch f.Name {
		case ":method":
			h.fields.post = f.Value == "POST"
		case "content-encoding":
			h.fields.zipped = f.Value == "gzip"
		case "accept-encoding":
			h.fields.accepts = bytes.Contains([]byte(f.Value), []byte("gzip"))
		}
	})
	h.encoder = hpack.NewEncoder(&h.encoded)
	c.h2 = h
	c.dsp.count.h2.Add(1)
	var settings [12]byte
	binary.BigEndian.PutUint16(settings[0:], uint16(http2.SettingMaxConcurrentStreams))
	binary.BigEndian.PutUint32(settings[2:], c.w.fleet.cfg.Streams)
	binary.BigEndian.PutUint16(settings[6:], uint16(http2.SettingInitialWindowSize))
	binary.BigEndian.PutUint32(settings[8:], streamWindow)
	c.append(http2.FrameSettings, 0, 0, settings[:])
	c.append(http2.FrameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, connWindow-65_535))
}

// append adds a frame to what is sent.
func (c *conn) append(t http2.FrameType, flags http2.Flags, id uint32, payload []byte) {
	n := len(payload)
	c.out = append(c.out, byte(n>>16), byte(n>>8), byte(n), byte(t), byte(flags))
	c.out = binary.BigEndian.AppendUint32(c.out, id)
	c.out = append(c.out, payload...)
	c.w.mark(c)
}

// frame takes one frame, if it has come whole; the preface is one of a kind.
func (c *conn) frame(data []byte) int {
	h := c.h2
	if h.last == 0 && !h.settled && len(data) > 0 && data[0] == 'P' {
		if len(data) < len(http2.ClientPreface) {
			return 0
		}
		if string(data[:len(http2.ClientPreface)]) != http2.ClientPreface {
			c.breach("HTTP/2: no preface")
			return 0
		}
		return len(http2.ClientPreface)
	}
	if len(data) < 9 {
		return 0
	}
	n := int(data[0])<<16 | int(data[1])<<8 | int(data[2])
	t, flags, id := http2.FrameType(data[3]), http2.Flags(data[4]), binary.BigEndian.Uint32(data[5:])&(1<<31-1)
	if n > frameMax {
		c.breach("HTTP/2: a %v frame of %d bytes", t, n)
		return 0
	}
	if len(data) < 9+n {
		return 0
	}
	switch {
	case !h.settled && t != http2.FrameSettings:
		c.breach("HTTP/2: %v before SETTINGS", t)
	case h.blockOf != 0 && (t != http2.FrameContinuation || id != h.blockOf):
		c.breach("HTTP/2: %v of stream %d inside the headers of %d", t, id, h.blockOf)
	default:
		c.take(t, flags, id, data[9:9+n])
	}
	return 9 + n
}

func (c *conn) take(t http2.FrameType, flags http2.Flags, id uint32, p []byte) {
	h := c.h2
	switch t {
	case http2.FrameSettings:
		c.takeSettings(flags, p)
	case http2.FrameHeaders:
		c.takeHeaders(flags, id, p)
	case http2.FrameContinuation:
		if h.blockOf == 0 {
			c.breach("HTTP/2: CONTINUATION without HEADERS")
			return
		}
		h.block = append(h.block, p...)
		if flags.Has(http2.FlagContinuationEndHeaders) {
			c.headersDone()
		}
	case http2.FrameData:
		c.takeData(flags, id, p)
	case http2.FrameWindowUpdate:
		c.takeWindow(id, p)
	case http2.FramePing:
		if len(p) != 8 {
			c.breach("HTTP/2: PING of %d bytes", len(p))
			return
		}
		if !flags.Has(http2.FlagPingAck) {
			c.dsp.count.pings.Add(1)
			c.append(http2.FramePing, http2.FlagPingAck, 0, p)
		}
	case http2.FrameRSTStream:
		c.takeReset(id, p)
	case http2.FrameGoAway:
		h.leaving = true
		c.left()
	case http2.FramePushPromise:
		c.breach("HTTP/2: a client's PUSH_PROMISE")
	}
}

func (c *conn) takeSettings(flags http2.Flags, p []byte) {
	h := c.h2
	h.settled = true
	if flags.Has(http2.FlagSettingsAck) {
		h.told = true
		return
	}
	if len(p)%6 != 0 {
		c.breach("HTTP/2: SETTINGS of %d bytes", len(p))
		return
	}
	for ; len(p) > 0; p = p[6:] {
		v := binary.BigEndian.Uint32(p[2:])
		switch http2.SettingID(binary.BigEndian.Uint16(p)) {
		case http2.SettingInitialWindowSize:
			more := int64(v) - h.initial
			h.initial = int64(v)
			for _, s := range h.streams {
				s.window += more
			}
		case http2.SettingHeaderTableSize:
			h.encoder.SetMaxDynamicTableSize(min(v, 4096))
		}
	}
	c.append(http2.FrameSettings, http2.FlagSettingsAck, 0, nil)
	c.goOn()
}

// unpadded is the payload without padding; false is a breach.
func (c *conn) unpadded(p []byte, padded bool) ([]byte, bool) {
	if !padded {
		return p, true
	}
	if len(p) == 0 || int(p[0]) >= len(p) {
		c.breach("HTTP/2: more padding than frame")
		return nil, false
	}
	return p[1 : len(p)-int(p[0])], true
}

func (c *conn) takeHeaders(flags http2.Flags, id uint32, p []byte) {
	h := c.h2
	if id%2 == 0 || id <= h.last {
		c.breach("HTTP/2: HEADERS of stream %d after %d", id, h.last)
		return
	}
	p, ok := c.unpadded(p, flags.Has(http2.FlagHeadersPadded))
	if ok && flags.Has(http2.FlagHeadersPriority) {
		if ok = len(p) >= 5; ok {
			p = p[5:]
		}
	}
	if !ok {
		c.breach("HTTP/2: HEADERS too short")
		return
	}
	h.last, h.blockOf, h.ends = id, id, flags.Has(http2.FlagHeadersEndStream)
	h.block = append(h.block[:0], p...)
	if flags.Has(http2.FlagHeadersEndHeaders) {
		c.headersDone()
	}
}

// headersDone opens the stream.
func (c *conn) headersDone() {
	h := c.h2
	id := h.blockOf
	h.blockOf, h.fields = 0, fields{}
	if _, err := h.decoder.Write(h.block); err != nil {
		c.breach("HTTP/2: headers: %v", err)
		return
	}
	if err := h.decoder.Close(); err != nil {
		c.breach("HTTP/2: headers: %v", err)
		return
	}
	if h.leaving {
		c.appendReset(id, http2.ErrCodeRefusedStream)
		return
	}
	if len(h.streams) >= int(c.w.fleet.cfg.Streams) {
		if h.told {
			c.dsp.breached("HTTP/2: more streams than MAX_CONCURRENT_STREAMS")
		}
		c.appendReset(id, http2.ErrCodeRefusedStream)
		return
	}
	s := &stream{}
	if n := len(h.spare); n > 0 {
		s, h.spare = h.spare[n-1], h.spare[:n-1]
	}
	*s = stream{id: id, window: h.initial, body: s.body[:0], zipped: h.fields.zipped, accepts: h.fields.accepts}
	h.streams[id] = s
	if h.ends {
		c.w.asked(c, s, nil, false, s.accepts)
	}
}

func (c *conn) takeData(flags http2.Flags, id uint32, p []byte) {
	h := c.h2
	if h.received += int64(len(p)); h.received > connWindow/2 {
		c.append(http2.FrameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(h.received)))
		h.received = 0
	}
	p, ok := c.unpadded(p, flags.Has(http2.FlagDataPadded))
	s := h.streams[id]
	switch {
	case !ok:
		return
	case id == 0 || id > h.last:
		c.breach("HTTP/2: DATA on idle stream %d", id)
		return
	case s == nil:
		return // reset, and the client had not heard of it
	case s.answer != nil:
		c.breach("HTTP/2: DATA after the end of stream %d", id)
		return
	case len(s.body)+len(p) > streamWindow:
		c.breach("HTTP/2: flow control of stream %d not kept", id)
		return
	}
	if flags.Has(http2.FlagDataEndStream) {
		body := p
		if len(s.body) > 0 {
			s.body = append(s.body, p...)
			body = s.body
		}
		c.w.asked(c, s, body, s.zipped, s.accepts)
		return
	}
	s.body = append(s.body, p...)
}

func (c *conn) takeWindow(id uint32, p []byte) {
	if len(p) != 4 || binary.BigEndian.Uint32(p) == 0 {
		c.breach("HTTP/2: WINDOW_UPDATE of nothing")
		return
	}
	more := int64(binary.BigEndian.Uint32(p) & (1<<31 - 1))
	if id == 0 {
		c.h2.window += more
	} else if s := c.h2.streams[id]; s != nil {
		s.window += more
	}
	c.goOn()
}

// goOn sends more of the answers that flow control held up.
func (c *conn) goOn() {
	h := c.h2
	for _, s := range h.streams {
		if a := s.answer; a != nil && a.begun && !a.waiting && h.window > 0 && s.window > 0 {
			c.w.give(a)
		}
	}
}

func (c *conn) takeReset(id uint32, p []byte) {
	h := c.h2
	if len(p) != 4 || id == 0 || id > h.last {
		c.breach("HTTP/2: RST_STREAM of idle stream %d", id)
		return
	}
	c.dsp.count.resets.Add(1)
	s := h.streams[id]
	if s == nil {
		c.dsp.count.lateResets.Add(1) // its answer had left already
		return
	}
	if s.answer != nil {
		c.dsp.count.cancelled.Add(1)
		c.w.forget(s.answer)
	}
	c.closeStream(s)
}

func (c *conn) closeStream(s *stream) {
	h := c.h2
	delete(h.streams, s.id)
	s.answer = nil
	if cap(s.body) <= 64<<10 {
		h.spare = append(h.spare, s)
	}
	c.left()
}

// left closes a connection that has been left by its last stream.
func (c *conn) left() {
	if c.h2.leaving && len(c.h2.streams) == 0 {
		c.closing = true
		c.w.mark(c)
	}
}

func (c *conn) appendReset(id uint32, code http2.ErrCode) {
	c.append(http2.FrameRSTStream, 0, id, binary.BigEndian.AppendUint32(nil, uint32(code)))
}

// resetStream ends a stream without an answer.
func (c *conn) resetStream(s *stream, code http2.ErrCode) {
	c.appendReset(s.id, code)
	a := s.answer
	c.closeStream(s)
	c.w.put(a)
}

// goAway tells the client to use another connection.
func (c *conn) goAway(code http2.ErrCode) {
	h := c.h2
	if !h.leaving {
		c.dsp.count.goAways.Add(1)
		c.append(http2.FrameGoAway, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, h.last), uint32(code)))
	}
	h.leaving = true
	c.left()
}

// sendStream gives an answer, or what flow control and dripping let through;
// true when it is finished.
func (c *conn) sendStream(a *answer) bool {
	h, s := c.h2, a.stream
	if !a.begun {
		a.begun = true
		flags := http2.FlagHeadersEndHeaders
		if a.length() == 0 {
			flags |= http2.FlagHeadersEndStream
		}
		c.append(http2.FrameHeaders, flags, s.id, c.head(a))
	}
	for a.sent < a.length() {
		n := min(int64(a.length()-a.sent), frameMax, h.window, s.window)
		if a.fault == SlowDrip {
			n = min(n, 1)
		}
		if n <= 0 {
			return false
		}
		part := a.piece(int(n))
		var flags http2.Flags
		if a.sent += len(part); a.sent == a.length() {
			flags = http2.FlagDataEndStream
		}
		c.append(http2.FrameData, flags, s.id, part)
		h.window -= int64(len(part))
		s.window -= int64(len(part))
		if a.fault == SlowDrip && a.sent < a.length() {
			return false
		}
	}
	c.closeStream(s)
	return true
}

// head is the header block of an answer.
func (c *conn) head(a *answer) []byte {
	h := c.h2
	h.encoded.Reset()
	field := func(name, value string) {
		_ = h.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) // into memory
	}
	field(":status", strconv.Itoa(a.status))
	if a.kind != "" {
		field("content-type", a.kind)
	}
	if a.retry > 0 {
		field("retry-after", strconv.Itoa(a.retry))
	}
	if a.gzip {
		field("content-encoding", "gzip")
	}
	return h.encoded.Bytes()
}
