package dsp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func TestHTTP2Call(t *testing.T) {
	w := newWorld(t, nil, Endpoint{
		URL: "http://bid.example:81/rtb?x=1", Protocol: HTTP2, GzipResponse: true, Headers: []Header{{"X-Openrtb-Version", "2.6"}},
	})
	p := w.peer2()
	c := w.send(0, "hello")
	w.turn()
	stream, header, body := p.request()
	want := map[string]string{
		":method": "POST", ":scheme": "http", ":authority": "bid.example:81", ":path": "/rtb?x=1", "content-type": "application/json",
		"user-agent": "millrace", "accept-encoding": "gzip", "x-openrtb-version": "2.6", "content-length": "5",
	}
	if stream != 1 || body != "hello" || len(header.Fields) != len(want) {
		t.Fatalf("stream %d, %v, %q", stream, header, body)
	}
	for _, f := range header.Fields {
		if want[f.Name] != f.Value {
			t.Errorf("%s: %q, want %q", f.Name, f.Value, want[f.Name])
		}
	}
	w.now += 7
	p.headers(stream, false, ":status", "103", "link", "x")
	p.headers(stream, false, ":status", "200", "retry-after", "9", "content-length", "9")
	p.must(p.framer.WriteData(stream, false, []byte("fine ")))
	p.must(p.framer.WriteDataPadded(stream, false, []byte("then"), make([]byte, 30)))
	p.headers(stream, true, "x-trailer", "x")
	w.outcome(c, Answered)
	if c.Status != 200 || string(c.Response) != "fine then" || c.RetryAfter != 9*time.Second || c.FirstByte != c.Sent+7 || c.Done < c.FirstByte {
		t.Errorf("%d, %q, %v, %d %d %d", c.Status, c.Response, c.RetryAfter, c.Sent, c.FirstByte, c.Done)
	}
	// The same call again, on the same connection; no body in the answer.
	c.Deadline = w.now.Add(time.Second)
	if r := w.pool.Send(c, []byte("again"), w.now); r != Accepted {
		t.Fatal(r)
	}
	w.turn()
	if stream, _, body = p.request(); stream != 3 || body != "again" {
		t.Errorf("stream %d, %q", stream, body)
	}
	p.headers(stream, true, ":status", "204")
	if w.outcome(c, Answered); c.Status != 204 || c.Response != nil {
		t.Errorf("%d, %q", c.Status, c.Response)
	}
}

// TestHTTP2Coalesces: calls of one turn leave in one write, answers of one write
// come in one read.
func TestHTTP2Coalesces(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	p := w.peer2()
	_, writes := w.pool.Syscalls()
	var calls []*Call
	for i := range 20 {
		calls = append(calls, w.send(0, fmt.Sprint("request ", i)))
	}
	w.pool.Flush()
	if _, after := w.pool.Syscalls(); after != writes+1 {
		t.Errorf("%d writes for 20 calls", after-writes)
	}
	var all strings.Builder
	answers := http2.NewFramer(&all, nil)
	for i := range calls {
		stream, _, body := p.request()
		if body != fmt.Sprint("request ", i) {
			t.Errorf("%q", body)
		}
		block := p.head(":status", "200")
		p.must(answers.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true}))
		p.must(answers.WriteData(stream, true, []byte(fmt.Sprint("answer ", i))))
	}
	reads, _ := w.pool.Syscalls()
	p.write(all.String())
	w.outcome(calls[19], Answered)
	if after, _ := w.pool.Syscalls(); after != reads+1 {
		t.Errorf("%d reads for 20 answers", after-reads)
	}
	for i, c := range calls {
		if c.Outcome != Answered || string(c.Response) != fmt.Sprint("answer ", i) {
			t.Errorf("%d: %v %q", i, c.Outcome, c.Response)
		}
	}
}

// TestHTTP2LateCall: a late call costs one RST_STREAM and the connection is kept,
// its header table too.
func TestHTTP2LateCall(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	p := w.peer2()
	late, cancelled, good := w.send(0, "late"), w.send(0, "cancelled"), w.send(0, "good")
	good.Deadline = 0 // of no effect after Send
	w.turn()
	for range 3 {
		p.request()
	}
	w.pool.Cancel(cancelled)
	w.pool.Flush()
	if f, ok := p.frame().(*http2.RSTStreamFrame); !ok || f.StreamID != 3 || f.ErrCode != http2.ErrCodeCancel {
		t.Fatalf("%v", f)
	}
	p.headers(5, false, ":status", "200", "x-new", "in the table")
	w.until("head", func() bool { return good.headed })
	p.must(p.framer.WriteData(5, true, []byte("in time")))
	w.outcome(good, Answered)
	w.now = w.now.Add(99 * time.Millisecond)
	if w.turn(); late.Outcome != Pending {
		t.Fatal("ended before its deadline")
	}
	w.now = w.now.Add(2 * time.Millisecond)
	if w.turn(); late.Outcome != TimedOut || cancelled.Outcome != Pending {
		t.Fatalf("%v, %v", late.Outcome, cancelled.Outcome)
	}
	if f, ok := p.frame().(*http2.RSTStreamFrame); !ok || f.StreamID != 1 || f.ErrCode != http2.ErrCodeCancel {
		t.Fatalf("%v", f)
	}
	p.headers(1, false, ":status", "200", "x-late", "for the table")
	p.must(p.framer.WriteData(1, true, []byte("too late")))
	p.answer(3, "cancelled")
	next := w.send(0, "next")
	w.turn()
	stream, _, _ := p.request()
	p.headers(stream, false, ":status", "200", "x-late", "for the table", "x-new", "in the table")
	p.must(p.framer.WriteData(stream, true, []byte("fine")))
	if w.outcome(next, Answered); string(next.Response) != "fine" {
		t.Errorf("%q", next.Response)
	}
	if s := w.pool.Stats(0); s.Opened != 1 || s.Closed != 0 || s.Late != 2 {
		t.Errorf("%+v", s)
	}
}

// TestHTTP2FlowControl sends through windows of a few bytes, for the stream and for
// the connection, which grow, shrink below zero, and grow again.
func TestHTTP2FlowControl(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	p := w.peer2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	c := w.send(0, "0123456789abcdefghij")
	w.turn()
	data := func(want string, end bool) {
		t.Helper()
		for {
			f := p.frame()
			if d, ok := f.(*http2.DataFrame); ok {
				if string(d.Data()) != want || d.StreamEnded() != end {
					t.Fatalf("%q, %v; want %q, %v", d.Data(), d.StreamEnded(), want, end)
				}
				return
			}
		}
	}
	data("0123456789", false)
	p.must(p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5})) // the window is now −5
	p.must(p.framer.WriteWindowUpdate(1, 7))                                                  // and 2
	w.until("more", func() bool { return c.sent == 12 })
	data("ab", false)
	p.must(p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100}))
	w.until("the rest", func() bool { return !c.waiting() })
	data("cdefghij", true)
	p.answer(1, "ok")
	w.outcome(c, Answered)

	// The connection's window: 65,535 less 20.
	big := strings.Repeat("x", 40000)
	p.must(p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}))
	w.until("setting", func() bool { return c.target.conns[0].h2.initial == 1<<20 })
	first, second := w.send(0, big), w.send(0, big)
	if first.waiting() || !second.waiting() || second.sent != 65535-20-40000 {
		t.Fatalf("%v, %v, %d sent", first.waiting(), second.waiting(), second.sent)
	}
	// While a body waits for the connection's window, calls go elsewhere.
	if c := w.pool.targets[0].conns[0]; c.capacity() != 0 {
		t.Error("more calls for a connection that is stuck")
	}
	w.turn()
	received := 0
	for received < 65535-20 {
		if d, ok := p.frame().(*http2.DataFrame); ok {
			received += len(d.Data())
		}
	}
	w.pool.Cancel(first)
	p.must(p.framer.WriteWindowUpdate(0, 1<<20))
	w.until("the rest", func() bool { return !second.waiting() })
	p.answer(second.stream, "ok")
	w.outcome(second, Answered)
}

// TestHTTP2WindowCredit: what answers take of the connection's window is given back
// when they are complete, also those that nobody waits for.
func TestHTTP2WindowCredit(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	p := w.peer2()
	body := strings.Repeat("x", 16000)
	credit := 0
	for i := 0; credit < 2*connWindow; i++ {
		c := w.send(0, "q")
		w.turn()
		var stream uint32
		for stream == 0 {
			switch f := p.frame().(type) {
			case *http2.WindowUpdateFrame:
				credit += int(f.Increment)
			case *http2.DataFrame:
				stream = f.StreamID
			}
		}
		if i%3 == 0 {
			w.pool.Cancel(c)
		}
		p.headers(stream, false, ":status", "200")
		for range 10 {
			p.must(p.framer.WriteData(stream, false, []byte(body)))
			w.turn()
		}
		p.must(p.framer.WriteData(stream, true, nil))
		if i%3 != 0 {
			w.outcome(c, Answered)
			w.pool.Release(c)
		}
	}
	if h := &w.pool.targets[0].conns[0].h2; h.open != 0 {
		t.Errorf("%d bytes are held", h.open)
	}
}

func TestHTTP2StreamLimit(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2, ConnsMax: 2, QueueMax: 1})
	p := w.peer2(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2})
	a := w.send(0, "a")
	w.send(0, "b")
	w.turn()
	s1, _, _ := p.request()
	p.request()
	// Full: another connection is wanted, and one call may wait.
	queued := w.send(0, "queued")
	if s := w.pool.Stats(0); s.Queued != 1 || s.Conns+s.Dialing != 2 {
		t.Errorf("%+v", s)
	}
	c := &Call{Deadline: w.now.Add(time.Second)}
	if r := w.pool.Send(c, []byte("x"), w.now); r != RefusedBusy {
		t.Errorf("%v", r)
	}
	p.answer(s1, "done")
	w.outcome(a, Answered)
	w.turn()
	if s, _, body := p.request(); body != "queued" {
		t.Errorf("stream %d: %q", s, body)
	}
	if queued.conn == nil {
		t.Error("still queued")
	}
	w.peer2()
	w.until("second connection", func() bool { return w.pool.Stats(0).Conns == 2 })
}

// TestHTTP2TableSize: a peer that allows a smaller header table is told once that it
// is not used, with the first block after that.
func TestHTTP2TableSize(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	p := w.peer2(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 100})
	for i := range 3 {
		if h := &w.pool.targets[0].conns[0].h2; h.shrink != (i == 0) {
			t.Fatalf("%d: %v", i, h.shrink)
		}
		c := w.send(0, "x")
		w.turn()
		stream, _, _ := p.request()
		p.answer(stream, "y")
		w.outcome(c, Answered)
	}
}

func TestHTTP2Reset(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	p := w.peer2()
	a, b := w.send(0, "a"), w.send(0, "b")
	w.turn()
	p.request()
	p.request()
	p.must(p.framer.WriteRSTStream(1, http2.ErrCodeInternal))
	p.must(p.framer.WriteRSTStream(3, http2.ErrCodeRefusedStream))
	w.outcome(a, Reset)
	w.outcome(b, Unprocessed)
	if s := w.pool.Stats(0); s.Conns != 1 || s.Closed != 0 {
		t.Errorf("%+v", s)
	}
}

// TestHTTP2GoAway: what the peer will still answer is waited for; the rest is told
// at once, and another connection opened.
func TestHTTP2GoAway(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	p := w.peer2()
	first := w.send(0, "first")
	w.turn()
	p.request()
	p.answer(1, "first")
	w.outcome(first, Answered)
	a, b := w.send(0, "a"), w.send(0, "b")
	w.turn()
	p.request()
	p.request()
	p.must(p.framer.WriteGoAway(3, http2.ErrCodeNo, nil))
	w.outcome(b, Unprocessed)
	q := w.peer2()
	c := w.send(0, "c")
	w.turn()
	if stream, _, body := q.request(); stream != 1 || body != "c" {
		t.Errorf("stream %d: %q", stream, body)
	}
	p.answer(3, "still")
	if w.outcome(a, Answered); string(a.Response) != "still" {
		t.Errorf("%q", a.Response)
	}
	p.closed()
	q.answer(1, "new")
	w.outcome(c, Answered)
}

func TestHTTP2Ping(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PingAfter, c.PingTimeout = time.Second, time.Second }, Endpoint{Protocol: HTTP2})
	p := w.peer2()
	p.must(p.framer.WritePing(false, [8]byte{1, 2, 3}))
	w.until("ping read", func() bool { return len(w.pool.targets[0].conns[0].out) == 0 && w.pool.targets[0].conns[0].noise > 1 })
	if f, ok := p.frame().(*http2.PingFrame); !ok || !f.IsAck() || f.Data != [8]byte{1, 2, 3} {
		t.Fatalf("%v", f)
	}
	for range 3 {
		w.advance(1100 * time.Millisecond)
		f, ok := p.frame().(*http2.PingFrame)
		if !ok || f.IsAck() {
			t.Fatalf("%v", f)
		}
		p.must(p.framer.WritePing(true, f.Data))
		w.until("answer", func() bool { return w.pool.targets[0].conns[0].h2.pinged == 0 })
	}
	c := w.send(0, "x")
	c.Outcome = Pending
	w.advance(2200 * time.Millisecond) // the connection does not answer any more
	w.until("closed", func() bool { return w.pool.Stats(0).Closed == 1 })
	if c.Outcome != TimedOut {
		t.Errorf("%v", c.Outcome)
	}
	p.closed()
	w.peer2() // and there is another
}

// TestHTTP2Continuation: header blocks in many frames, with padding and priority,
// and frames that mean nothing in between.
func TestHTTP2Continuation(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	p := w.peer2()
	c := w.send(0, "x")
	w.turn()
	stream, _, _ := p.request()
	p.must(p.framer.WritePriority(stream, http2.PriorityParam{StreamDep: 3, Weight: 7}))
	p.must(p.framer.WriteRawFrame(0xbe, 0xff, 77, []byte("unknown")))
	block := p.head(":status", "200", "x-a", strings.Repeat("a", 300), "content-length", "2")
	p.must(p.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: block[:10], PadLength: 9, Priority: http2.PriorityParam{StreamDep: 5, Weight: 1},
	}))
	for i := 10; i < len(block); i += 50 {
		end := min(i+50, len(block))
		p.must(p.framer.WriteContinuation(stream, end == len(block), block[i:end]))
	}
	p.must(p.framer.WriteDataPadded(stream, true, []byte("ok"), make([]byte, 200)))
	if w.outcome(c, Answered); string(c.Response) != "ok" {
		t.Errorf("%q", c.Response)
	}
}

// TestHTTP2Drip sends an answer byte by byte.
func TestHTTP2Drip(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	p := w.peer2()
	c := w.send(0, "x")
	w.turn()
	stream, _, _ := p.request()
	var all strings.Builder
	f := http2.NewFramer(&all, nil)
	p.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.head(":status", "200"), EndHeaders: true}))
	p.must(f.WriteData(stream, false, []byte("some")))
	p.must(f.WritePing(false, [8]byte{}))
	p.must(f.WriteData(stream, true, []byte("thing")))
	for i := range all.Len() {
		p.write(all.String()[i : i+1])
		heard := w.pool.reads
		w.until("byte", func() bool { return w.pool.reads > heard })
	}
	if w.outcome(c, Answered); string(c.Response) != "something" {
		t.Errorf("%q", c.Response)
	}
	if used := w.pool.buffers.used; used != cap(c.body) {
		t.Errorf("%d bytes of buffers in use", used)
	}
}
