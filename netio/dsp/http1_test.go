package dsp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// peer1 is the next connection with a reader of requests.
func (w *world) peer1() (*peer, *bufio.Reader) {
	w.t.Helper()
	p := w.peer()
	w.until("connection", func() bool { return w.pool.targetOf(p.name).dialing == 0 })
	return p, bufio.NewReader(p.Conn)
}

func (p *peer) request1(r *bufio.Reader) (*http.Request, string) {
	p.t.Helper()
	req, err := http.ReadRequest(r)
	p.must(err)
	body, err := io.ReadAll(req.Body)
	p.must(err)
	return req, string(body)
}

func TestHTTP1Call(t *testing.T) {
	w := newWorld(t, nil, Endpoint{
		URL: "http://bid.example:81/rtb?x=1", Protocol: HTTP1, GzipResponse: true, Headers: []Header{{"X-Openrtb-Version", "2.6"}},
	})
	p, r := w.peer1()
	c := w.send(0, "hello")
	w.turn()
	req, body := p.request1(r)
	if req.Method != "POST" || req.RequestURI != "/rtb?x=1" || req.Host != "bid.example:81" || body != "hello" || req.ContentLength != 5 ||
		req.UserAgent() != "millrace" || req.Header.Get("Content-Type") != "application/json" || len(req.Header) != 5 ||
		req.Header.Get("Accept-Encoding") != "gzip" || req.Header.Get("X-Openrtb-Version") != "2.6" {
		t.Errorf("%+v, %q", req, body)
	}
	p.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nRetry-After: Mon, 02 Jan 2006 15:04:35 GMT\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\nfine")
	if w.outcome(c, Answered); c.Status != 200 || string(c.Response) != "fine" || c.RetryAfter != 30*time.Second {
		t.Errorf("%d, %q, %v", c.Status, c.Response, c.RetryAfter)
	}
}

// TestHTTP1Answers sends every form of answer whole, in two parts cut everywhere,
// and byte by byte, and sees whether the connection is used again.
func TestHTTP1Answers(t *testing.T) {
	for _, c := range []struct {
		answer, body string
		status       uint16
		kept         bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", "fine", 200, true},
		{"HTTP/1.1 204 No Content\r\n\r\n", "", 204, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 200, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2;x=y\r\nne\r\n0\r\nX: y\r\n\r\n", "fine", 200, true},
		{"HTTP/1.1 429 Slow\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine", "fine", 429, false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfine", "fine", 200, false},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", "fine", 200, true},
	} {
		for cut := -1; cut < len(c.answer); cut++ {
			w := newWorld(t, nil, Endpoint{Protocol: HTTP1})
			p, r := w.peer1()
			call := w.send(0, "x")
			w.turn()
			p.request1(r)
			parts := []string{c.answer}
			if cut == 0 {
				parts = strings.Split(c.answer, "")
			} else if cut > 0 {
				parts = []string{c.answer[:cut], c.answer[cut:]}
			}
			for _, part := range parts {
				p.write(part)
				w.turn()
			}
			w.outcome(call, Answered)
			if call.Status != c.status || string(call.Response) != c.body {
				t.Errorf("%q cut at %d: %d %q", c.answer, cut, call.Status, call.Response)
			}
			if s := w.pool.Stats(0); (s.Opened == 1 && s.Dialing == 0) != c.kept {
				t.Errorf("%q cut at %d: %+v", c.answer, cut, s)
			}
			w.pool.Release(call)
			if w.pool.buffers.used != 0 {
				t.Errorf("%q cut at %d: %d bytes of buffers in use", c.answer, cut, w.pool.buffers.used)
			}
			w.pool.Close()
		}
	}
}

func TestHTTP1UntilClose(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP1})
	p, r := w.peer1()
	c := w.send(0, "x")
	w.turn()
	p.request1(r)
	p.write("HTTP/1.1 200 OK\r\n\r\n<html>")
	w.until("head", func() bool { return w.pool.targets[0].conns[0].h1.phase == inRest })
	p.write("</html>")
	_ = p.Close()
	if w.outcome(c, Answered); string(c.Response) != "<html></html>" {
		t.Errorf("%q", c.Response)
	}
}

// TestHTTP1LateCall: an answer that comes late, but soon, costs no connection; one
// that does not come does.
func TestHTTP1LateCall(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP1, ConnsMax: 1})
	p, r := w.peer1()
	late := w.send(0, "late")
	w.turn()
	p.request1(r)
	next := w.send(0, "next") // waits for the connection
	p.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")
	w.until("beginning", func() bool { return w.pool.targets[0].conns[0].h1.phase == inChunks })
	next.timer, _ = w.pool.timers.Schedule(w.now.Add(time.Hour), 0, uint64(next.index)), w.pool.timers.Cancel(next.timer)
	w.advance(150 * time.Millisecond)
	if late.Outcome != TimedOut || next.Outcome != Pending {
		t.Fatalf("%v, %v", late.Outcome, next.Outcome)
	}
	p.write("llo\r\n0\r\n\r\n")
	w.until("next request", func() bool { return next.conn != nil })
	if _, body := p.request1(r); body != "next" {
		t.Errorf("%q", body)
	}
	w.pool.Cancel(next)
	w.advance(200 * time.Millisecond)
	if s := w.pool.Stats(0); s.Opened != 1 || s.Drained != 0 || s.Late != 1 {
		t.Errorf("%+v", s)
	}
	w.advance(200 * time.Millisecond)
	if s := w.pool.Stats(0); s.Drained != 1 {
		t.Errorf("%+v", s)
	}
	if _, err := p.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%v, want the end", err)
	}
}

// TestHTTP1Grows: every call in flight has a connection of its own, up to the limit;
// what is too much waits, and then is refused; what is idle is closed again.
func TestHTTP1Grows(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP1, ConnsMax: 3, QueueMax: 2})
	w.peer1()
	var calls []*Call
	for i := range 3 {
		calls = append(calls, w.send(0, fmt.Sprint(i)))
	}
	w.peer1()
	w.peer1()
	w.until("three calls on their way", func() bool { return calls[1].conn != nil && calls[2].conn != nil })
	calls = append(calls, w.send(0, "3"), w.send(0, "4"))
	if r := w.pool.Send(&Call{Deadline: w.now + 1}, []byte("x"), w.now); r != RefusedBusy {
		t.Errorf("%v", r)
	}
	if s := w.pool.Stats(0); s.Conns != 3 || s.Queued != 2 || s.Calls != 5 || s.Dialing != 0 {
		t.Errorf("%+v", s)
	}
	for _, c := range calls {
		w.pool.Cancel(c)
	}
	for _, c := range w.pool.targets[0].conns {
		c.h1.busy = false // as if they had been answered
		w.pool.targets[0].idle = append(w.pool.targets[0].idle, c)
	}
	w.advance(w.pool.cfg.IdleTimeout + time.Second)
	if s := w.pool.Stats(0); s.Conns != 1 || s.Opened != 3 || s.Closed != 0 {
		t.Errorf("%+v", s)
	}
}

func TestGzipBothWays(t *testing.T) {
	for _, protocol := range []Protocol{HTTP1, HTTP2} {
		w := newWorld(t, nil, Endpoint{Protocol: protocol, GzipRequest: true, GzipResponse: true, ResponseBytesMax: 100_000})
		var p *peer
		var r *bufio.Reader
		if protocol == HTTP2 {
			p = w.peer2()
		} else {
			p, r = w.peer1()
		}
		for _, c := range []struct {
			body, coding string
			plain        string
			want         Outcome
		}{
			{zipped(strings.Repeat("answer ", 1000)), "gzip", strings.Repeat("answer ", 1000), Answered},
			{zipped("x"), "GZIP", "x", Answered},
			{"as it is", "", "as it is", Answered},
			{"as it is", "identity", "as it is", Answered},
			{"", "gzip", "", Answered},
			{zipped(strings.Repeat("a", 100_000)), "gzip", strings.Repeat("a", 100_000), Answered},
			{zipped(strings.Repeat("a", 100_001)), "gzip", "", TooLarge},
			{zipped(strings.Repeat("bomb", 1<<20)), "gzip", "", TooLarge},
			{"no gzip", "gzip", "", BadEncoding},
			{zipped("cut short")[:20], "gzip", "", BadEncoding},
			{"x", "br", "", BadEncoding},
		} {
			call := w.send(0, strings.Repeat("request ", 200))
			w.turn()
			var body, coding string
			if protocol == HTTP2 {
				stream, header, b := p.request()
				body = b
				for _, f := range header.Fields {
					if f.Name == "content-encoding" {
						coding = f.Value
					}
				}
				fields := []string{":status", "200"}
				if c.coding != "" {
					fields = append(fields, "content-encoding", c.coding)
				}
				p.headers(stream, c.body == "", fields...)
				if c.body != "" {
					p.must(p.framer.WriteData(stream, true, []byte(c.body)))
				}
			} else {
				req, b := p.request1(r)
				body, coding = b, req.Header.Get("Content-Encoding")
				head := ""
				if c.coding != "" {
					head = "Content-Encoding: " + c.coding + "\r\n"
				}
				p.write(fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", head, len(c.body), c.body))
			}
			if coding != "gzip" || unzipped(body) != strings.Repeat("request ", 200) {
				t.Errorf("request with %q: %q", coding, unzipped(body))
			}
			if w.outcome(call, c.want); string(call.Response) != c.plain {
				t.Errorf("%q: %d bytes, want %d", c.coding, len(call.Response), len(c.plain))
			}
			w.pool.Release(call)
		}
		if held := w.pool.targets[0].held; held != 0 {
			t.Errorf("%d bytes are held", held)
		}
		if s := w.pool.Stats(0); s.Opened != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// TestBodyGrows: a body outgrows several buffers, which are given back.
func TestBodyGrows(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP1})
	p, r := w.peer1()
	c := w.send(0, "x")
	w.turn()
	p.request1(r)
	body := bytes.Repeat([]byte("0123456789"), 20_000)
	p.write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)))
	go func() {
		for b := body; len(b) > 0; b = b[min(3000, len(b)):] {
			_, _ = p.Write(b[:min(3000, len(b))])
		}
	}()
	if w.outcome(c, Answered); !bytes.Equal(c.Response, body) {
		t.Errorf("%d bytes", len(c.Response))
	}
}
