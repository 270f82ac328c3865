package dsp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"millrace/codec/unit"
)

// patience bounds how long a test waits for what has to come; it is never what a
// test measures.
const patience = time.Minute

// world is a pool whose connections are socket pairs and whose clock the test moves.
// The test is the shard, and the peers.
type world struct {
	t    testing.TB
	pool *Pool
	now  unit.MonoTime
	done []*Call

	mu      sync.Mutex
	refuse  error // what attempts come to
	remote  string
	dialled int
	peers   chan *peer
}

func newWorld(t testing.TB, change func(*Config), list ...Endpoint) *world {
	t.Helper()
	w := &world{t: t, now: unit.MonoTime(time.Hour), peers: make(chan *peer, 1024)}
	for i := range list {
		if list[i].Name == "" {
			list[i].Name = string(rune('a' + i))
		}
		if list[i].URL == "" {
			list[i].URL = "http://bid.example/" + list[i].Name
		}
	}
	endpoints, err := Prepare(list, "millrace")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.CallsMax = 1024
	if change != nil {
		change(&cfg)
	}
	if w.pool, err = newPool(cfg, endpoints, w.now, w.open); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

func (w *world) close() {
	w.pool.Close()
	w.collect()
	for _, c := range w.done {
		w.pool.Release(c)
	}
	if used := w.pool.buffers.used; used != 0 {
		w.t.Errorf("%d bytes of buffers were not given back", used)
	}
	if len(w.pool.free) != w.pool.cfg.CallsMax || w.pool.timers.Pending() != 0 {
		w.t.Errorf("%d calls and %d timers are left", w.pool.cfg.CallsMax-len(w.pool.free), w.pool.timers.Pending())
	}
}

// open makes a socket pair; the test gets the other end.
func (w *world) open(ctx context.Context, p *prepared, attempt uint64) arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialled++
	if w.refuse != nil {
		return arrival{err: w.refuse}
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return arrival{err: err}
	}
	file := os.NewFile(uintptr(pair[1]), "peer")
	conn, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		return arrival{err: err}
	}
	a := arrival{fd: pair[0], speaks2: p.spec.Protocol == HTTP2}
	if w.remote != "" {
		a.remote = mustAddr(w.remote)
	}
	w.peers <- &peer{t: w.t, Conn: conn, name: p.spec.Name}
	return a
}

func (w *world) setRefuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = err
}

func (w *world) attempts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dialled
}

// turn is what a shard does in one turn.
func (w *world) turn() {
	_ = w.pool.Poll(0)
	w.pool.Ready(w.now)
	w.pool.Tick(w.now)
	w.collect()
	w.pool.Flush()
}

func (w *world) collect() {
	for {
		c, ok := w.pool.Next()
		if !ok {
			return
		}
		w.done = append(w.done, c)
	}
}

// until takes turns until something holds.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
		_ = w.pool.Poll(10 * time.Millisecond)
		w.turn()
	}
}

// advance moves the clock, and takes a turn at each sweep on the way.
func (w *world) advance(d time.Duration) {
	for end := w.now.Add(d); w.now < end; {
		w.now = min(w.now.Add(sweepInterval), end)
		w.turn()
	}
}

// peer is the other end of the next connection.
func (w *world) peer() *peer {
	w.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case p := <-w.peers:
			w.t.Cleanup(func() { _ = p.Close() })
			_ = p.SetDeadline(time.Now().Add(patience))
			return p
		default:
			_ = w.pool.Poll(10 * time.Millisecond)
			w.turn()
		}
	}
	w.t.Fatal("no connection was opened")
	return nil
}

// peer2 is the next connection, greeted as HTTP/2 wants it.
func (w *world) peer2(settings ...http2.Setting) *peer {
	w.t.Helper()
	p := w.peer()
	w.until("connection", func() bool { return w.pool.targetOf(p.name).dialing == 0 })
	p.greet(settings...)
	w.until("greeting", func() bool { return w.greeted(p.name) })
	p.acked()
	return p
}

// pair2 is the HTTP/2 connections of endpoints a and b.
func (w *world) pair2() (a, b *peer) {
	w.t.Helper()
	a, b = w.peer(), w.peer()
	if a.name != "a" {
		a, b = b, a
	}
	w.until("connections", func() bool { return w.pool.Stats(0).Conns == 1 && w.pool.Stats(1).Conns == 1 })
	a.greet()
	b.greet()
	w.until("greetings", func() bool { return w.greeted("a") && w.greeted("b") })
	a.acked()
	b.acked()
	return a, b
}

func (w *world) greeted(name string) bool {
	t := w.pool.targetOf(name)
	for _, c := range t.conns {
		if !c.h2.greeted {
			return false
		}
	}
	return len(t.conns) > 0
}

func (p *Pool) targetOf(name string) *target { return p.targets[p.list.byName[name]] }

// send sends a call that must be accepted.
func (w *world) send(id EndpointID, body string) *Call {
	w.t.Helper()
	c := &Call{Endpoint: id, Deadline: w.now.Add(100 * time.Millisecond)}
	if r := w.pool.Send(c, []byte(body), w.now); r != Accepted {
		w.t.Fatalf("refused: %v (%s)", r, w.pool.Stats(id).Reason)
	}
	return c
}

// outcome waits for a call's.
func (w *world) outcome(c *Call, want Outcome) *Call {
	w.t.Helper()
	w.until("outcome "+want.String(), func() bool { return c.Outcome != Pending })
	if c.Outcome != want {
		w.t.Fatalf("%v, want %v (%s)", c.Outcome, want, c.target.reason)
	}
	return c
}

// peer is the other end of a connection.
type peer struct {
	t testing.TB
	net.Conn
	name    string
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   blockBuffer
}

type blockBuffer struct{ b []byte }

func (b *blockBuffer) Write(p []byte) (int, error) { b.b = append(b.b, p...); return len(p), nil }

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("peer: %v", err)
	}
}

func (p *peer) write(b string) {
	p.t.Helper()
	_, err := io.WriteString(p.Conn, b)
	p.must(err)
}

// read reads exactly n bytes.
func (p *peer) read(n int) string {
	p.t.Helper()
	b := make([]byte, n)
	k, err := io.ReadFull(p.Conn, b)
	if err != nil {
		p.t.Fatalf("peer: %v after %q", err, b[:k])
	}
	return string(b)
}

// greet reads the preface and the client's settings, and sends the peer's.
func (p *peer) greet(settings ...http2.Setting) {
	p.t.Helper()
	if got := p.read(len(http2.ClientPreface)); got != http2.ClientPreface {
		p.t.Fatalf("preface %q", got)
	}
	p.framer = http2.NewFramer(p.Conn, p.Conn)
	p.framer.AllowIllegalWrites = true
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.encoder = hpack.NewEncoder(&p.block)
	if _, ok := p.frame().(*http2.SettingsFrame); !ok {
		p.t.Fatal("the first frame is not SETTINGS")
	}
	if f, ok := p.frame().(*http2.WindowUpdateFrame); !ok || f.StreamID != 0 {
		p.t.Fatal("the second frame is not the connection's window")
	}
	p.must(p.framer.WriteSettings(settings...))
}

// acked reads the acknowledgement of the peer's settings.
func (p *peer) acked() {
	p.t.Helper()
	if f, ok := p.frame().(*http2.SettingsFrame); !ok || !f.IsAck() {
		p.t.Fatalf("%v, want an acknowledgement", f)
	}
}

func (p *peer) frame() http2.Frame {
	p.t.Helper()
	f, err := p.framer.ReadFrame()
	p.must(err)
	return f
}

// request reads one request; window updates and the like in between are passed over.
func (p *peer) request() (stream uint32, header http2.MetaHeadersFrame, body string) {
	p.t.Helper()
	for {
		switch f := p.frame().(type) {
		case *http2.MetaHeadersFrame:
			stream, header = f.StreamID, *f
		case *http2.DataFrame:
			if f.StreamID != stream {
				p.t.Fatalf("DATA of stream %d within %d", f.StreamID, stream)
			}
			if body += string(f.Data()); f.StreamEnded() {
				return stream, header, body
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			p.t.Fatalf("%v", f)
		}
	}
}

// head encodes a header block.
func (p *peer) head(fields ...string) []byte {
	p.block.b = p.block.b[:0]
	for i := 0; i < len(fields); i += 2 {
		p.must(p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return p.block.b
}

func (p *peer) headers(stream uint32, end bool, fields ...string) {
	p.t.Helper()
	p.must(p.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: p.head(fields...), EndHeaders: true, EndStream: end,
	}))
}

// answer answers a stream with status 200 and a body.
func (p *peer) answer(stream uint32, body string) {
	p.t.Helper()
	p.headers(stream, false, ":status", "200", "content-type", "application/json")
	p.must(p.framer.WriteData(stream, true, []byte(body)))
}

// closed reads to the end of the connection, and tells the code of a GOAWAY.
func (p *peer) closed() http2.ErrCode {
	p.t.Helper()
	code := http2.ErrCode(0xffff)
	for {
		f, err := p.framer.ReadFrame()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				p.t.Fatal("the connection was not closed")
			}
			return code
		}
		if f, ok := f.(*http2.GoAwayFrame); ok {
			code = f.ErrCode
		}
	}
}
