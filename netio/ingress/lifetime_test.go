package ingress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// later replies from other goroutines after a while.
type later struct {
	ch      chan *Exchange
	workers sync.WaitGroup
	wait    func() time.Duration
}

func newLater(t *testing.T, workers int, wait func() time.Duration) *later {
	h := &later{ch: make(chan *Exchange, 1<<16), wait: wait}
	for range workers {
		h.workers.Add(1)
		go func() {
			defer h.workers.Done()
			var f Flusher
			for x := range h.ch {
				time.Sleep(h.wait())
				x.Out = append(append(x.Out[:0], x.Req.Path...), x.Body...)
				x.Reply(&f, 200, ReplyHeaders{})
				f.Flush()
			}
		}()
	}
	t.Cleanup(func() { close(h.ch); h.workers.Wait() })
	return h
}

func (h *later) Serve(x *Exchange, _ *Flusher) { h.ch <- x }

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// TestNoByteReachesAnotherConnection: clients that go away before their answer,
// half of them by a reset, while new ones get the same descriptor numbers. Every
// client must see the answers to its own requests and not a byte else.
func TestNoByteReachesAnotherConnection(t *testing.T) {
	h := newLater(t, 8, func() time.Duration { return time.Duration(rand.IntN(400)) * time.Microsecond })
	s := serve(t, testConfig(), h)
	var wg sync.WaitGroup
	var answered, abandoned atomic.Int64
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 150 {
				c, err := net.Dial("tcp", s.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				path := fmt.Sprintf("/%d-%d", g, i)
				_, _ = io.WriteString(c, post(path, "a")+post(path, "b"))
				switch i % 3 {
				case 0:
					reset(c.(*net.TCPConn))
					abandoned.Add(1)
					continue
				case 1:
					_ = c.Close()
					abandoned.Add(1)
					continue
				}
				br := bufio.NewReader(c)
				for _, want := range []string{path + "a", path + "b"} {
					if _, body, _ := answer(t, br, "POST"); body != want {
						t.Errorf("got %q, want %q", body, want)
					}
				}
				_ = c.(*net.TCPConn).CloseWrite()
				if extra, _ := io.ReadAll(br); len(extra) > 0 {
					t.Errorf("unasked bytes: %q", extra)
				}
				_ = c.Close()
				answered.Add(1)
			}
		}()
	}
	wg.Wait()
	waitFor(t, func() bool { return s.Connections() == 0 && s.InFlight() == 0 })
	if answered.Load() == 0 || abandoned.Load() == 0 {
		t.Fatal("nothing was tested")
	}
}

// TestHalfClosedClientGetsItsAnswers: the end of what a client sends is not the
// end of what it wants to read, even if most of its requests have to wait.
func TestHalfClosedClientGetsItsAnswers(t *testing.T) {
	cfg := testConfig()
	cfg.PipelineMax = 3
	h := newLater(t, 2, func() time.Duration { return time.Millisecond })
	s := serve(t, cfg, h)
	for _, n := range []int{1, 2, 40} {
		c := dial(t, s)
		var b strings.Builder
		for i := range n {
			b.WriteString(post(fmt.Sprintf("/%d", i), ""))
		}
		say(t, c, b.String())
		_ = c.CloseWrite()
		br := bufio.NewReader(c)
		for i := range n {
			if _, body, _ := answer(t, br, "POST"); body != fmt.Sprintf("/%d", i) {
				t.Fatalf("%d of %d: %q", i, n, body)
			}
		}
		wantEOF(t, br)
	}
	waitFor(t, func() bool { return s.Connections() == 0 })
}

// TestClientThatStopsReading: it costs its own backlog; others on the same
// poller are served; in the end it is dropped.
func TestClientThatStopsReading(t *testing.T) {
	cfg := testConfig()
	cfg.WriteTimeout = 400 * time.Millisecond
	cfg.BacklogBytesMax = 64 << 10
	big := []byte(strings.Repeat("x", 32<<10))
	s := serve(t, cfg, handlerFunc(func(x *Exchange, f *Flusher) {
		x.Out = append(x.Out[:0], "ok"...)
		if string(x.Req.Path) == "/big" {
			x.Out = append(x.Out[:0], big...)
		}
		x.Reply(f, 200, ReplyHeaders{})
	}))
	const deaf = 20
	for range deaf {
		c := dial(t, s)
		_ = c.SetReadBuffer(4096)
		go func() {
			for range 400 {
				if _, err := io.WriteString(c, post("/big", "")); err != nil {
					return
				}
			}
		}()
	}
	waitFor(t, func() bool { return s.metrics.slowed.Load() >= deaf })
	for range 4 {
		c := dial(t, s)
		br := bufio.NewReader(c)
		for range 50 {
			say(t, c, post("/ok", ""))
			if _, body, _ := answer(t, br, "POST"); body != "ok" {
				t.Fatalf("%q", body)
			}
		}
	}
	waitFor(t, func() bool {
		return s.metrics.timeouts[timeoutWrite].Load()+s.metrics.overflows.Load() >= deaf
	})
	waitFor(t, func() bool { return s.buffered.Load() == 0 })
}

// TestSlowReaderGetsEverything: a backlog leaves as it is read, in order.
func TestSlowReaderGetsEverything(t *testing.T) {
	cfg := testConfig()
	cfg.BacklogBytesMax = 256 << 10
	s := serve(t, cfg, handlerFunc(func(x *Exchange, f *Flusher) {
		x.Out = append(x.Out[:0], x.Req.Path...)
		for len(x.Out) < 60<<10 {
			x.Out = append(x.Out, "0123456789abcdef"...)
		}
		x.Reply(f, 200, ReplyHeaders{})
	}))
	c := dial(t, s)
	_ = c.SetReadBuffer(128 << 10) // much less, and loopback's large segments crawl
	const n = 200
	go func() {
		for i := range n {
			_, _ = io.WriteString(c, post(fmt.Sprintf("/%04d", i), ""))
		}
	}()
	waitFor(t, func() bool { return s.metrics.slowed.Load() > 0 })
	time.Sleep(50 * time.Millisecond)
	br := bufio.NewReader(c)
	for i := range n {
		if _, body, _ := answer(t, br, "POST"); !strings.HasPrefix(body, fmt.Sprintf("/%04d", i)) {
			t.Fatalf("%d: %.20q", i, body)
		}
	}
}

func TestTimeouts(t *testing.T) {
	cfg := testConfig()
	cfg.HeadTimeout, cfg.BodyTimeout = 60*time.Millisecond, 90*time.Millisecond
	cfg.IdleTimeout, cfg.AnswerTimeout, cfg.LingerTimeout = 150*time.Millisecond, 200*time.Millisecond, 50*time.Millisecond
	var held []*Exchange
	var mu sync.Mutex
	s := serve(t, cfg, handlerFunc(func(x *Exchange, f *Flusher) {
		if string(x.Req.Path) == "/never" {
			mu.Lock()
			held = append(held, x)
			mu.Unlock()
			return
		}
		echo.Serve(x, f)
	}))
	for name, c := range map[string]struct {
		in     string
		kind   timeoutKind
		status int
	}{
		"nothing":   {"", timeoutIdle, 0},
		"head":      {"POST / HT", timeoutHead, 408},
		"body":      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", timeoutBody, 408},
		"chunks":    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", timeoutBody, 408},
		"keepalive": {post("/", ""), timeoutIdle, 200},
		"answer":    {post("/never", ""), timeoutAnswer, 0},
		"linger":    {"NONSENSE\r\n\r\n", timeoutLinger, 400},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.metrics.timeouts[c.kind].Load()
			conn := dial(t, s)
			say(t, conn, c.in)
			br := bufio.NewReader(conn)
			if c.status != 0 {
				if status, _, _ := answer(t, br, "POST"); status != c.status {
					t.Fatalf("%d", status)
				}
			}
			if c.kind != timeoutLinger {
				if _, err := br.ReadByte(); err == nil {
					t.Fatal("the connection goes on")
				}
			}
			waitFor(t, func() bool { return s.metrics.timeouts[c.kind].Load() > before })
		})
	}
	waitFor(t, func() bool { return s.Connections() == 0 })
	for _, x := range held { // long after its connection
		x.Reply(nil, 200, ReplyHeaders{})
	}
	if n := s.InFlight(); n != 0 {
		t.Fatalf("%d exchanges were not returned", n)
	}
}

// TestDribbledHeadIsNotExtended: a byte now and then does not buy more time.
func TestDribbledHeadIsNotExtended(t *testing.T) {
	cfg := testConfig()
	cfg.HeadTimeout = 100 * time.Millisecond
	s := serve(t, cfg, echo)
	c := dial(t, s)
	go func() {
		for range 1000 {
			if _, err := io.WriteString(c, "P"); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if status, _, _ := answer(t, bufio.NewReader(c), "POST"); status != 408 {
		t.Fatalf("%d", status)
	}
}

func TestManySlowConnections(t *testing.T) {
	want := 5000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil && int(limit.Cur) < 2*want+1000 {
		if want = (int(limit.Cur) - 1000) / 2; want < 1000 {
			t.Skipf("the descriptor limit of %d leaves no room for a thousand connections", limit.Cur)
		}
	}
	if testing.Short() {
		want = 1000
	}
	cfg := testConfig()
	cfg.HeadTimeout, cfg.BodyTimeout = time.Minute, time.Minute
	s := serve(t, cfg, echo)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	conns := make([]net.Conn, 0, want)
	defer func() {
		for _, c := range conns {
			reset(c.(*net.TCPConn))
		}
	}()
	for i := range want {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, c)
		say(t, c, "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc"[:10+i%45])
	}
	waitFor(t, func() bool { return s.Connections() == want })
	runtime.GC()
	runtime.ReadMemStats(&after)
	// The client's half of each connection is counted too.
	each := int(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse) / want
	t.Logf("%d slow connections: %d bytes each, client side included; %d buffered", want, each, s.buffered.Load())
	if s.buffered.Load() > int64(want)*2048 {
		t.Errorf("%d bytes buffered", s.buffered.Load())
	}
	c := dial(t, s)
	br := bufio.NewReader(c)
	for range 100 {
		say(t, c, post("/ok", "x"))
		if status, _, _ := answer(t, br, "POST"); status != 200 {
			t.Fatalf("%d", status)
		}
	}
}

func TestBufferedBytesCap(t *testing.T) {
	cfg := testConfig()
	cfg.BufferedBytesMax = 256 << 10
	s := serve(t, cfg, echo)
	for range 12 {
		c := dial(t, s)
		go func() {
			_, _ = io.WriteString(c, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 60000))
		}()
	}
	waitFor(t, func() bool { return s.metrics.refusedMemory.Load() > 0 })
	if n := s.buffered.Load(); n > int64(cfg.BufferedBytesMax) {
		t.Errorf("%d bytes buffered", n)
	}
	c := dial(t, s)
	say(t, c, post("/ok", "x"))
	if status, _, _ := answer(t, bufio.NewReader(c), "POST"); status != 200 {
		t.Fatalf("a small request got %d", status)
	}
}

func TestShutdownFinishesRequestsInFlight(t *testing.T) {
	h := newLater(t, 4, func() time.Duration { return 50 * time.Millisecond })
	s, err := Listen(testConfig(), clockForTests, nil, h)
	if err != nil {
		t.Fatal(err)
	}
	idle := dial(t, s)
	say(t, idle, post("/idle", ""))
	idleReader := bufio.NewReader(idle)
	answer(t, idleReader, "POST")
	var busy []*net.TCPConn
	for i := range 8 {
		c := dial(t, s)
		say(t, c, post(fmt.Sprintf("/%d", i), "")+post("/second", ""))
		busy = append(busy, c)
	}
	partial := dial(t, s)
	say(t, partial, "POST /partial HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
	waitFor(t, func() bool { return s.InFlight() == 16 && s.Connections() == 10 })
	done := make(chan error)
	go func() { done <- s.Shutdown(context.Background()) }()
	wantEOF(t, idleReader)
	time.Sleep(10 * time.Millisecond)
	say(t, partial, "cd")
	for i, c := range busy {
		br := bufio.NewReader(c)
		if _, body, _ := answer(t, br, "POST"); body != fmt.Sprintf("/%d", i) {
			t.Errorf("%q", body)
		}
		if _, body, resp := answer(t, br, "POST"); body != "/second" || !resp.Close {
			t.Errorf("%q, close %v", body, resp.Close)
		}
		wantEOF(t, br)
		c.Close()
	}
	br := bufio.NewReader(partial)
	if _, body, resp := answer(t, br, "POST"); body != "/partialabcd" || !resp.Close {
		t.Errorf("%q", body)
	}
	partial.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestShutdownCutsOffAtItsDeadline(t *testing.T) {
	var held atomic.Pointer[Exchange]
	s, err := Listen(testConfig(), clockForTests, nil, handlerFunc(func(x *Exchange, _ *Flusher) { held.Store(x) }))
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s)
	say(t, c, post("/never", ""))
	waitFor(t, func() bool { return held.Load() != nil })
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := bufio.NewReader(c).ReadByte(); err == nil {
		t.Error("the connection goes on")
	}
	held.Load().Reply(nil, 200, ReplyHeaders{})
	if s.InFlight() != 0 {
		t.Error("the exchange was not returned")
	}
}

func TestReplyTwicePanics(t *testing.T) {
	got := make(chan any, 1)
	s := serve(t, testConfig(), handlerFunc(func(x *Exchange, f *Flusher) {
		x.Reply(f, 200, ReplyHeaders{})
		defer func() { got <- recover() }()
		x.Reply(f, 200, ReplyHeaders{})
	}))
	c := dial(t, s)
	say(t, c, post("/", ""))
	if p := <-got; p == nil {
		t.Fatal("no panic")
	}
}

// TestGarbage throws mutated requests at the server; it must answer or close,
// and serve a well-behaved client all the while.
func TestGarbage(t *testing.T) {
	s := serve(t, testConfig(), echo)
	good := dial(t, s)
	goodReader := bufio.NewReader(good)
	r := rand.New(rand.NewPCG(7, 11))
	seeds := []string{
		post("/a", "hello") + post("/b", "x"), "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		fmt.Sprintf("POST /z HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(zip("abc")), zip("abc")),
	}
	for range 300 {
		c := dial(t, s)
		b := []byte(seeds[r.IntN(len(seeds))])
		for range 1 + r.IntN(4) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		_, _ = c.Write(b)
		_ = c.CloseWrite()
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, unix.ECONNRESET) {
			t.Fatal(err)
		}
		c.Close()
		say(t, good, post("/ok", ""))
		if _, body, _ := answer(t, goodReader, "POST"); body != "POST /ok " {
			t.Fatalf("%q", body)
		}
	}
}
