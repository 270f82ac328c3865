package dsp

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func unzipped(s string) string {
	z, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		return err.Error()
	}
	b, _ := io.ReadAll(z)
	return string(b)
}

// frame is one frame's bytes.
func frame(length int, kind http2.FrameType, flags http2.Flags, stream uint32, payload string) string {
	return string([]byte{byte(length >> 16), byte(length >> 8), byte(length), byte(kind), byte(flags),
		byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}) + payload
}

// flood repeats a frame, each with what make gives, until written or cut off.
func flood(n int, make func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(make(i))
	}
	return b.String()
}

// abuses are what a peer sends to a client with a call on stream 1.
var abuses2 = []struct {
	name string
	send string
	code http2.ErrCode // of the GOAWAY that ends the connection; 0xffff: it stays
	call Outcome
}{
	{"no HTTP/2 at all", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", http2.ErrCodeFrameSize, Malformed},
	{"a frame of 16 MB", frame(1<<24-1, http2.FrameData, 0, 1, ""), http2.ErrCodeFrameSize, Malformed},
	{"data on an idle stream", frame(1, http2.FrameData, 0, 99, "x"), http2.ErrCodeProtocol, Malformed},
	{"data on a stream of its own", frame(1, http2.FrameData, 0, 2, "x"), http2.ErrCodeProtocol, Malformed},
	{"headers on an idle stream", frame(1, http2.FrameHeaders, 4, 99, "\x88"), http2.ErrCodeProtocol, Malformed},
	{"a push", frame(5, http2.FramePushPromise, 4, 1, "\x00\x00\x00\x02\x82"), http2.ErrCodeProtocol, Malformed},
	{"reset of an idle stream", frame(4, http2.FrameRSTStream, 0, 99, "\x00\x00\x00\x08"), http2.ErrCodeProtocol, Malformed},
	{"window of an idle stream", frame(4, http2.FrameWindowUpdate, 0, 99, "\x00\x00\x00\x08"), http2.ErrCodeProtocol, Malformed},
	{"window of 0", frame(4, http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00"), http2.ErrCodeProtocol, Malformed},
	{"window beyond 2^31", frame(4, http2.FrameWindowUpdate, 0, 0, "\x7f\xff\xff\xff"), http2.ErrCodeFlowControl, Malformed},
	{"initial window of 2^31", frame(6, http2.FrameSettings, 0, 0, "\x00\x04\x80\x00\x00\x00"), http2.ErrCodeFlowControl, Malformed},
	{"frame size of 1", frame(6, http2.FrameSettings, 0, 0, "\x00\x05\x00\x00\x00\x01"), http2.ErrCodeProtocol, Malformed},
	{"headers interrupted", frame(1, http2.FrameHeaders, 0, 1, "\x88") + frame(8, http2.FramePing, 0, 0, "01234567"), http2.ErrCodeProtocol, Malformed},
	{"continuation of another stream", frame(1, http2.FrameHeaders, 0, 1, "\x88") + frame(0, http2.FrameContinuation, 4, 3, ""), http2.ErrCodeProtocol, Malformed},
	{"continuation of nothing", frame(0, http2.FrameContinuation, 4, 1, ""), http2.ErrCodeProtocol, Malformed},
	{"a broken header block", frame(1, http2.FrameHeaders, 4, 1, "\xff"), http2.ErrCodeCompression, Malformed},
	{"headers of 4 MB", frame(16000, http2.FrameHeaders, 4, 1, "\x40\x01a\x7f\xa0\x1e"+strings.Repeat("v", 3999)+strings.Repeat("\xbe", 11995)), http2.ErrCodeEnhanceYourCalm, Malformed},
	{"a flood of CONTINUATION", frame(0, http2.FrameHeaders, 0, 1, "") + flood(50_000, func(int) string { return frame(0, http2.FrameContinuation, 0, 1, "") }), http2.ErrCodeEnhanceYourCalm, Malformed},
	{"a header block without an end", frame(0, http2.FrameHeaders, 0, 1, "") + flood(50, func(int) string { return frame(1000, http2.FrameContinuation, 0, 1, strings.Repeat("x", 1000)) }), http2.ErrCodeEnhanceYourCalm, Malformed},
	{"a flood of PING", flood(50_000, func(int) string { return frame(8, http2.FramePing, 0, 0, "01234567") }), http2.ErrCodeEnhanceYourCalm, Malformed},
	{"a flood of SETTINGS", flood(50_000, func(i int) string {
		return frame(6, http2.FrameSettings, 0, 0, "\x00\x04\x00\x00\x00"+string(rune(i%100)))
	}), http2.ErrCodeEnhanceYourCalm, Malformed},
	{"a flood of empty DATA", frame(1, http2.FrameHeaders, 4, 1, "\x88") + flood(50_000, func(int) string { return frame(0, http2.FrameData, 0, 1, "") }), http2.ErrCodeEnhanceYourCalm, Malformed},
	{"a flood of padding", frame(1, http2.FrameHeaders, 4, 1, "\x88") + flood(50_000, func(int) string { return frame(2, http2.FrameData, 8, 1, "\x01\x00") }), http2.ErrCodeEnhanceYourCalm, Malformed},
	{"a flood of WINDOW_UPDATE", flood(50_000, func(int) string { return frame(4, http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x01") }), http2.ErrCodeEnhanceYourCalm, Malformed},
	{"a flood of PRIORITY", flood(50_000, func(int) string { return frame(5, http2.FramePriority, 0, 1, "\x00\x00\x00\x03\x01") }), http2.ErrCodeEnhanceYourCalm, Malformed},
	{"a flood of what is not known", flood(50_000, func(int) string { return frame(0, 0xbe, 0, 7, "") }), http2.ErrCodeEnhanceYourCalm, Malformed},
	{"a flood of RST_STREAM", flood(50_000, func(int) string { return frame(4, http2.FrameRSTStream, 0, 1, "\x00\x00\x00\x08") }), http2.ErrCodeEnhanceYourCalm, Reset},
	{"interim answers without end", flood(50_000, func(int) string { return frame(5, http2.FrameHeaders, 4, 1, "\x08\x03103") }), http2.ErrCodeEnhanceYourCalm, Malformed},

	{"data before headers", frame(1, http2.FrameData, 0, 1, "x"), 0xffff, Malformed},
	{"headers without a status", frame(0, http2.FrameHeaders, 5, 1, ""), 0xffff, Malformed},
	{"two statuses", frame(2, http2.FrameHeaders, 5, 1, "\x88\x89"), 0xffff, Malformed},
	{"a status of letters", frame(5, http2.FrameHeaders, 5, 1, "\x08\x03abc"), 0xffff, Malformed},
	{"an answer shorter than it says", frame(5, http2.FrameHeaders, 4, 1, "\x88\x0f\x0d\x01"+"9") + frame(1, http2.FrameData, 1, 1, "x"), 0xffff, Malformed},
	{"a length with an empty body", frame(5, http2.FrameHeaders, 5, 1, "\x88\x0f\x0d\x01"+"9"), 0xffff, Malformed},
	{"a length of 5 MB", frame(11, http2.FrameHeaders, 4, 1, "\x88\x0f\x0d\x07"+"5000000"), 0xffff, TooLarge},
	{"a body of 5 MB", frame(1, http2.FrameHeaders, 4, 1, "\x88") + flood(320, func(int) string { return frame(16000, http2.FrameData, 0, 1, strings.Repeat("x", 16000)) }), 0xffff, TooLarge},
	{"trailers that do not end", frame(1, http2.FrameHeaders, 4, 1, "\x88") + frame(3, http2.FrameHeaders, 4, 1, "\x00\x01a")[:9] + "\x10\x00\x00", 0xffff, Malformed},
}

// TestHTTP2Abuse: whatever a peer does costs itself a call or a connection, in
// bounded memory, and the other endpoint's calls go on meanwhile.
func TestHTTP2Abuse(t *testing.T) {
	for _, a := range abuses2 {
		t.Run(a.name, func(t *testing.T) {
			w := newWorld(t, nil, Endpoint{Protocol: HTTP2}, Endpoint{Protocol: HTTP2})
			one, two := w.pair2()
			good := w.send(1, "good")
			c := w.send(0, "bad")
			w.turn()
			one.request()
			two.request()
			// What is not read any more fills the socket: the writer must not wait for it.
			wrote := make(chan struct{})
			go func() {
				_, _ = io.WriteString(one.Conn, a.send)
				close(wrote)
			}()
			w.outcome(c, a.call)
			if a.code == 0xffff {
				// The connection stays, and is of use.
				w.until("written", func() bool { return ended(wrote) })
				next := w.send(0, "next")
				w.turn()
				for {
					if f, ok := one.frame().(*http2.MetaHeadersFrame); ok {
						one.answer(f.StreamID, "well again")
						break
					}
				}
				w.outcome(next, Answered)
			} else {
				w.until("closed", func() bool { return w.pool.Stats(0).Closed == 1 })
				if code := one.closed(); code != a.code && code != 0xffff {
					t.Errorf("%v, want %v", code, a.code)
				}
				_ = one.Close()
				<-wrote
			}
			two.answer(1, "unharmed")
			if w.outcome(good, Answered); string(good.Response) != "unharmed" {
				t.Errorf("%q", good.Response)
			}
		})
	}
}

func ended(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestHTTP1Abuse is the same for HTTP/1.1, where a fault always costs the
// connection.
func TestHTTP1Abuse(t *testing.T) {
	for _, a := range []struct {
		name, send string
		call       Outcome
	}{
		{"no HTTP", "<html><body>it works</body></html>\r\n\r\n", Malformed},
		{"HTTP/2", frame(0, http2.FrameSettings, 0, 0, "") + "\r\n\r\n", Malformed},
		{"a head without end", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1<<16), Malformed},
		{"a line without end", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 1<<20), Malformed},
		{"a head too large", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 17<<10) + "\r\n\r\n", Malformed},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", Malformed},
		{"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Malformed},
		{"broken chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Malformed},
		{"a chunk of 5 MB", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n500000\r\n", TooLarge},
		{"chunks of one byte with long extensions", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("1;"+strings.Repeat("x", 200)+"\r\nx\r\n", 5000), Malformed},
		{"a length of 5 MB", "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n", TooLarge},
		{"5 MB until the end", "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 5<<20), TooLarge},
		{"interim answers without end", strings.Repeat("HTTP/1.1 103 Early\r\n\r\n", 50_000), Malformed},
		{"more than an answer", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny", Answered},
		{"half an answer", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", Lost},
		{"nothing", "", Lost},
	} {
		t.Run(a.name, func(t *testing.T) {
			w := newWorld(t, nil, Endpoint{Protocol: HTTP1}, Endpoint{Protocol: HTTP1})
			one, r1 := w.peer1()
			two, r2 := w.peer1()
			if one.name != "a" {
				one, two, r1, r2 = two, one, r2, r1
			}
			good, c := w.send(1, "good"), w.send(0, "bad")
			w.turn()
			one.request1(r1)
			two.request1(r2)
			wrote := make(chan struct{})
			go func() {
				_, _ = io.WriteString(one.Conn, a.send)
				if a.call == Lost {
					_ = one.Close()
				}
				close(wrote)
			}()
			w.outcome(c, a.call)
			w.until("closed", func() bool { return w.pool.Stats(0).Closed == 1 })
			<-wrote
			two.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nunharmed")
			if w.outcome(good, Answered); string(good.Response) != "unharmed" {
				t.Errorf("%q", good.Response)
			}
		})
	}
}

// TestUnaskedAnswer: bytes on an idle connection are nobody's answer.
func TestUnaskedAnswer(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP1})
	p, _ := w.peer1()
	p.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
	w.until("closed", func() bool { return w.pool.Stats(0).Closed == 1 })
}

// TestSlowReader: a peer that reads nothing costs its own backlog, is refused more
// calls, and is closed.
func TestSlowReader(t *testing.T) {
	for _, protocol := range []Protocol{HTTP1, HTTP2} {
		w := newWorld(t, func(c *Config) { c.OutBytesMax, c.RequestBytesMax = 64<<10, 4<<20 },
			Endpoint{Protocol: protocol, ConnsMax: 1, QueueMax: 1, StreamsMax: 1000})
		var p *peer
		if protocol == HTTP2 {
			p = w.peer2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 5000})
			w.pool.targets[0].conns[0].h2.window = 1 << 30
		} else {
			w.peer1()
		}
		body := strings.Repeat("x", 1<<20)
		refused := RefusedBusy
		for i := 0; ; i++ {
			c := &Call{Deadline: w.now.Add(time.Hour)}
			if refused = w.pool.Send(c, []byte(body), w.now); refused != Accepted {
				break
			}
			if w.pool.Flush(); i > 100 {
				t.Fatal("never refused")
			}
		}
		if refused != RefusedBusy || w.pool.buffers.used > 16<<20 {
			t.Errorf("%v, %d bytes of buffers", refused, w.pool.buffers.used)
		}
		// It talks, but does not listen.
		for i := 0; i < 30 && w.pool.Stats(0).Closed == 0; i++ {
			if w.advance(100 * time.Millisecond); p != nil && w.pool.Stats(0).Closed == 0 {
				p.must(p.framer.WritePing(false, [8]byte{}))
			}
		}
		if w.pool.Stats(0).Closed != 1 || !strings.Contains("takes nothing of what is sent, does not read", w.pool.Stats(0).Reason) {
			t.Errorf("%+v", w.pool.Stats(0))
		}
		for _, c := range w.done {
			if c.Outcome != Lost {
				t.Errorf("%v", c.Outcome)
			}
		}
	}
}

// TestShareOfMemory: one endpoint's unfinished answers take their share of the
// buffers and no more.
func TestShareOfMemory(t *testing.T) {
	const all = 4 << 20
	w := newWorld(t, func(c *Config) { c.BufferBytesMax = all },
		Endpoint{Protocol: HTTP2, ResponseBytesMax: 1 << 20}, Endpoint{Protocol: HTTP2})
	one, two := w.pair2()
	var calls []*Call
	for range 50 {
		calls = append(calls, w.send(0, "x"))
	}
	w.turn()
	for i := range calls {
		one.must(one.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: one.head(":status", "200"), EndHeaders: true}))
		one.must(one.framer.WriteData(uint32(2*i+1), false, make([]byte, 15000)))
		w.turn()
	}
	w.until("refused", func() bool { return len(w.done) > 0 })
	if held := w.pool.targets[0].held; held > all/holdShare || w.done[0].Outcome != TooLarge {
		t.Errorf("%d bytes held, %v", held, w.done[0].Outcome)
	}
	c := w.send(1, "y")
	w.turn()
	stream, _, _ := two.request()
	two.answer(stream, "fine")
	w.outcome(c, Answered)
}
