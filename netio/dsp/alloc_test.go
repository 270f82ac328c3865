package dsp

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"

	oracle "golang.org/x/net/http2"

	"millrace/codec/http2"
)

// pipe is a pool with one connection, to a peer that answers without allocating
// anything itself.
type pipe struct {
	*world
	fd      int
	speaks2 bool
	calls   []Call
	body    []byte
	answer  []byte
	block   []byte
	buf     []byte
	in, out []byte
}

func newPipe(t testing.TB, protocol Protocol, calls int, change func(*Endpoint)) *pipe {
	e := Endpoint{Protocol: protocol, StreamsMax: 200, ConnsMax: 1}
	if change != nil {
		change(&e)
	}
	p := &pipe{
		world: newWorld(t, nil, e), speaks2: protocol == HTTP2, calls: make([]Call, calls), body: bytes.Repeat([]byte("q"), 1500),
		answer: bytes.Repeat([]byte("a"), 600), buf: make([]byte, 1<<20),
	}
	var q *peer
	if p.speaks2 {
		q = p.peer2(oracle.Setting{ID: oracle.SettingInitialWindowSize, Val: 1 << 20}, oracle.Setting{ID: oracle.SettingMaxConcurrentStreams, Val: 200})
		p.block = http2.AppendField(p.block, ":status", "200")
		p.block = http2.AppendField(p.block, "content-type", "application/json")
	} else {
		q, _ = p.peer1()
	}
	if e.GzipResponse {
		p.answer = []byte(zipped(string(p.answer)))
		p.block = http2.AppendField(p.block, "content-encoding", "gzip")
	}
	if p.speaks2 {
		p.block = http2.AppendContentLength(p.block, len(p.answer))
	}
	raw, err := q.Conn.(*net.UnixConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { p.fd = int(fd) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// respond reads what there is and answers the complete requests.
func (p *pipe) respond() {
	n, err := recv(p.fd, p.buf[len(p.in):])
	if err != 0 {
		return
	}
	if !p.speaks2 { // one request, in one write
		p.out = append(fmt.Appendf(p.out[:0], "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(p.answer)), p.answer...)
		_, _ = send(p.fd, p.out)
		return
	}
	b := p.buf[:len(p.in)+n]
	p.out = p.out[:0]
	var f http2.Frame
	for {
		n, _ := http2.ParseFrame(b, &f)
		if n == 0 {
			break
		}
		b = b[n:]
		if f.Type != http2.Data {
			continue
		}
		p.out = http2.AppendWindowUpdate(p.out, 0, f.Length)
		if f.Has(http2.EndStream) {
			p.out = append(http2.AppendFrameHeader(p.out, len(p.block), http2.Headers, http2.EndHeaders, f.Stream), p.block...)
			p.out = append(http2.AppendFrameHeader(p.out, len(p.answer), http2.Data, http2.EndStream, f.Stream), p.answer...)
		}
	}
	p.in = p.buf[:copy(p.buf, b)]
	if len(p.out) > 0 {
		_, _ = send(p.fd, p.out)
	}
}

// round sends all calls and takes their answers.
func (p *pipe) round() {
	p.now = p.now.Add(time.Millisecond)
	for i := range p.calls {
		p.calls[i].Deadline = p.now.Add(time.Second)
		if r := p.pool.Send(&p.calls[i], p.body, p.now); r != Accepted {
			p.t.Fatal(r)
		}
	}
	p.pool.Flush()
	for done, turns := 0, 0; done < len(p.calls); turns++ {
		p.respond()
		_ = p.pool.Poll(0)
		p.pool.Ready(p.now)
		p.pool.Tick(p.now)
		for {
			c, ok := p.pool.Next()
			if !ok {
				break
			}
			if c.Outcome != Answered || len(c.Response) != 600 {
				p.t.Fatalf("%v, %d bytes", c.Outcome, len(c.Response))
			}
			p.pool.Release(c)
			done++
		}
		if p.pool.Flush(); turns > 1000 {
			p.t.Fatal("no answers")
		}
	}
}

// rounds are what the allocation gates and the benchmark do.
var rounds = []struct {
	name     string
	protocol Protocol
	calls    int
	change   func(*Endpoint)
}{
	{"HTTP2", HTTP2, 20, nil},
	{"HTTP2-gzip", HTTP2, 20, func(e *Endpoint) { e.GzipRequest, e.GzipResponse = true, true }},
	{"HTTP1", HTTP1, 1, nil},
}

// TestCallAllocNothing: a call costs no allocation, whichever way it goes.
func TestCallAllocNothing(t *testing.T) {
	for _, r := range rounds {
		p := newPipe(t, r.protocol, r.calls, r.change)
		for range 20 {
			p.round()
		}
		most := 0.0
		if r.protocol == HTTP1 {
			most = 1 // the peer's
		}
		if n := testing.AllocsPerRun(200, p.round); n > most {
			t.Errorf("%s: %v allocations for %d calls", r.name, n, r.calls)
		}
	}
}

// TestLateCallAllocNothing: nor does one that is late, or cancelled.
func TestLateCallAllocNothing(t *testing.T) {
	p := newPipe(t, HTTP2, 20, nil)
	var late, cancelled Call
	round := func() {
		late.Deadline, cancelled.Deadline = p.now.Add(500*time.Microsecond), p.now.Add(time.Second)
		_ = p.pool.Send(&late, p.body, p.now)
		_ = p.pool.Send(&cancelled, p.body, p.now)
		p.pool.Flush()
		p.pool.Cancel(&cancelled)
		p.now = p.now.Add(time.Millisecond)
		p.pool.Tick(p.now)
		if c, ok := p.pool.Next(); !ok || c.Outcome != TimedOut {
			t.Fatal("not late")
		}
		p.round()
	}
	for range 20 {
		round()
	}
	if n := testing.AllocsPerRun(200, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s := p.pool.Stats(0); s.Opened != 1 || s.Closed != 0 {
		t.Errorf("%+v", s)
	}
}

// BenchmarkCall is a call's whole way with a peer in the same process: one
// operation is the round of all calls.
func BenchmarkCall(b *testing.B) {
	for _, r := range rounds {
		b.Run(r.name, func(b *testing.B) {
			p := newPipe(b, r.protocol, r.calls, r.change)
			p.round()
			b.ReportAllocs()
			for b.Loop() {
				p.round()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*r.calls), "ns/call")
		})
	}
}
