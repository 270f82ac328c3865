package ingress

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/codec/http1"
	"millrace/shards"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		code = checkGoroutines()
	}
	os.Exit(code)
}

// checkGoroutines fails the run if a goroutine of this package outlived its server.
func checkGoroutines() int {
	buf := make([]byte, 1<<20)
	for range 100 {
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "ingress.(*conn).run") && !strings.Contains(stacks, "ingress.(*Server)") &&
			!strings.Contains(stacks, "ingress.(*lane)") && !strings.Contains(stacks, "ingress.(*acceptor).run") {
			return 0
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Printf("goroutines leaked:\n%s\n", buf[:runtime.Stack(buf, true)])
	return 1
}

type handlerFunc func(x *Exchange, f *Flusher)

func (h handlerFunc) Serve(x *Exchange, f *Flusher) { h(x, f) }

// echo answers with method, path and body.
var echo = handlerFunc(func(x *Exchange, f *Flusher) {
	x.Out = append(x.Out[:0], x.Req.MethodText...)
	x.Out = append(x.Out, ' ')
	x.Out = append(x.Out, x.Req.Path...)
	x.Out = append(x.Out, ' ')
	x.Out = append(x.Out, x.Body...)
	x.Reply(f, 200, ReplyHeaders{ContentType: http1.TypeText})
})

func testConfig() Config {
	cfg := Default()
	cfg.Addr = "127.0.0.1:0"
	cfg.Pollers = 2
	cfg.SweepInterval = 10 * time.Millisecond
	return cfg
}

func serve(t testing.TB, cfg Config, h Handler) *Server {
	t.Helper()
	return serveBy(t, cfg, shards.SystemClock(), h)
}

func serveBy(t testing.TB, cfg Config, clock shards.Clock, h Handler) *Server {
	t.Helper()
	s, err := Listen(cfg, clock, shards.NewRegistry(), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if n := s.buffered.Load(); n != 0 {
			t.Errorf("%d bytes are still counted as buffered", n)
		}
	})
	return s
}

func dial(t testing.TB, s *Server) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

func say(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func answer(t testing.TB, br *bufio.Reader, method string) (int, string, *http.Response) {
	t.Helper()
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("reading an answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading a body: %v", err)
	}
	return resp.StatusCode, string(body), resp
}

func wantEOF(t testing.TB, br *bufio.Reader) {
	t.Helper()
	if b, err := br.ReadByte(); err != io.EOF {
		t.Fatalf("want the end of the connection, got %q %v", b, err)
	}
}

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// gzipped is a request with a body that says it is gzip.
func gzipped(body string) string {
	return fmt.Sprintf("POST /z HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func zip(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func TestRequestForms(t *testing.T) {
	s := serve(t, testConfig(), echo)
	const host = "Host: h\r\n"
	zipped := zip("hello hello hello")
	cases := map[string]struct {
		in     string
		status int
		body   string
		closes bool
	}{
		"get":           {"GET /a?b HTTP/1.1\r\n" + host + "\r\n", 200, "GET /a ", false},
		"post":          {post("/p", "body"), 200, "POST /p body", false},
		"empty post":    {post("/p", ""), 200, "POST /p ", false},
		"chunked":       {"POST /c HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, "POST /c abcde", false},
		"gzip":          {fmt.Sprintf("POST /z HTTP/1.1\r\n"+host+"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(zipped), zipped), 200, "POST /z hello hello hello", false},
		"http/1.0":      {"GET /o HTTP/1.0\r\n\r\n", 200, "GET /o ", true},
		"1.0 keepalive": {"GET /o HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "GET /o ", false},
		"close":         {"GET /x HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", 200, "GET /x ", true},
		"no length":     {"POST /x HTTP/1.1\r\n" + host + "\r\n", 411, "", true},
		"bad line":      {"GARBAGE\r\n\r\n", 400, "", true},
		"two members":   {gzipped(zipped + zipped), 200, "POST /z hello hello hellohello hello hello", false},
		"gzip and more": {gzipped(zipped + "more"), 400, "", true},
		"cut gzip":      {gzipped(zipped[:len(zipped)-4]), 400, "", true},
		"bad gzip":      {"POST /z HTTP/1.1\r\n" + host + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 400, "", true},
		"deflate":       {"POST /z HTTP/1.1\r\n" + host + "Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc", 415, "", true},
		"too large":     {"POST /z HTTP/1.1\r\n" + host + "Content-Length: 99999999\r\n\r\nabc", 413, "", true},
		"large head":    {"GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", 431, "", true},
		"endless head":  {"GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 20<<10), 431, "", true},
		"smuggling":     {"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "", true},
		"bad chunk":     {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "", true},
		"http/2":        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "", true},
		"expectation":   {"POST / HTTP/1.1\r\n" + host + "Expect: x\r\nContent-Length: 1\r\n\r\n", 417, "", true},
	}
	for name, c := range cases {
		for _, step := range []int{len(c.in), 7} {
			t.Run(fmt.Sprintf("%s by %d", name, step), func(t *testing.T) {
				t.Parallel()
				conn := dial(t, s)
				if step < len(c.in) && len(c.in) < 1000 {
					go func() {
						for at := 0; at < len(c.in); at += step {
							if _, err := io.WriteString(conn, c.in[at:min(len(c.in), at+step)]); err != nil {
								return
							}
							time.Sleep(200 * time.Microsecond)
						}
					}()
				} else {
					say(t, conn, c.in)
				}
				br := bufio.NewReader(conn)
				status, body, resp := answer(t, br, "GET")
				if status != c.status || c.body != "" && body != c.body || resp.Close != c.closes {
					t.Fatalf("%d %q close=%v", status, body, resp.Close)
				}
				if resp.Header.Get("Date") == "" {
					t.Error("no Date")
				}
				if c.closes {
					wantEOF(t, br)
					return
				}
				say(t, conn, "GET /again HTTP/1.1\r\nHost: h\r\n\r\n")
				if status, body, _ = answer(t, br, "GET"); status != 200 || body != "GET /again " {
					t.Fatalf("then %d %q", status, body)
				}
			})
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	s := serve(t, testConfig(), echo)
	c := dial(t, s)
	br := bufio.NewReader(c)
	say(t, c, "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\nGET /g HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, body, resp := answer(t, br, "HEAD"); body != "" || resp.ContentLength != int64(len("HEAD /h ")) {
		t.Fatalf("%q, length %d", body, resp.ContentLength)
	}
	if _, body, _ := answer(t, br, "GET"); body != "GET /g " {
		t.Fatalf("%q", body)
	}
}

func TestGzipBomb(t *testing.T) {
	cfg := testConfig()
	cfg.BodyBytesMax = 64 << 10
	s := serve(t, cfg, echo)
	for size, want := range map[int]int{cfg.BodyBytesMax: 200, cfg.BodyBytesMax + 1: 413, 4 << 20: 413} {
		bomb := zip(strings.Repeat("0", size))
		c := dial(t, s)
		say(t, c, fmt.Sprintf("POST /z HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(bomb), bomb))
		if status, _, _ := answer(t, bufio.NewReader(c), "POST"); status != want {
			t.Errorf("%d bytes in %d: %d, want %d", size, len(bomb), status, want)
		}
	}
}

func TestLargeBodies(t *testing.T) {
	cfg := testConfig()
	s := serve(t, cfg, echo)
	body := strings.Repeat("0123456789abcdef", cfg.BodyBytesMax/16)
	c := dial(t, s)
	br := bufio.NewReader(c)
	for i := range 3 {
		go io.WriteString(c, post("/big", body))
		if status, got, _ := answer(t, br, "POST"); status != 200 || got != "POST /big "+body {
			t.Fatalf("request %d: %d, %d bytes", i, status, len(got))
		}
		go func() {
			var b strings.Builder
			b.WriteString("POST /big HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
			for at := 0; at < len(body); at += 1000 {
				piece := body[at:min(len(body), at+1000)]
				fmt.Fprintf(&b, "%x\r\n%s\r\n", len(piece), piece)
			}
			b.WriteString("0\r\n\r\n")
			_, _ = io.WriteString(c, b.String())
		}()
		if status, got, _ := answer(t, br, "POST"); status != 200 || got != "POST /big "+body {
			t.Fatalf("chunked request %d: %d, %d bytes", i, status, len(got))
		}
	}
}

func TestExpectContinue(t *testing.T) {
	s := serve(t, testConfig(), echo)
	c := dial(t, s)
	br := bufio.NewReader(c)
	for range 3 {
		say(t, c, "POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
		line, err := br.ReadString('\n')
		if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q %v", line, err)
		}
		if line, _ = br.ReadString('\n'); line != "\r\n" {
			t.Fatalf("%q", line)
		}
		say(t, c, "body")
		if _, body, _ := answer(t, br, "POST"); body != "POST /e body" {
			t.Fatalf("%q", body)
		}
	}
	// A body too large is refused without inviting it.
	say(t, c, "POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
	if status, _, _ := answer(t, br, "POST"); status != 413 {
		t.Fatalf("%d", status)
	}
}

// shuffler replies from other goroutines, in an order unlike that of arrival.
type shuffler struct {
	mu    sync.Mutex
	held  []*Exchange
	batch int
}

func (h *shuffler) Serve(x *Exchange, _ *Flusher) {
	x.Out = append(append(x.Out[:0], x.Req.Path...), ' ')
	x.Out = append(x.Out, x.Body...)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held = append(h.held, x); len(h.held) < h.batch {
		return
	}
	held := h.held
	h.held = nil
	go func() {
		var f Flusher
		for i := range held {
			held[(i*7+3)%len(held)].Reply(&f, 200, ReplyHeaders{})
		}
		f.Flush()
	}()
}

func TestPipelinedAnswersKeepOrder(t *testing.T) {
	h := &shuffler{batch: 16}
	s := serve(t, testConfig(), h)
	c := dial(t, s)
	br := bufio.NewReader(c)
	const rounds, per = 20, 16
	go func() {
		for r := range rounds {
			var b strings.Builder
			for i := range per {
				b.WriteString(post(fmt.Sprintf("/%d", r*per+i), "x"))
			}
			_, _ = io.WriteString(c, b.String())
		}
	}()
	for i := range rounds * per {
		if status, body, _ := answer(t, br, "POST"); status != 200 || body != fmt.Sprintf("/%d x", i) {
			t.Fatalf("answer %d: %d %q", i, status, body)
		}
	}
}

func TestPipelineCoalesces(t *testing.T) {
	t.Run("with the turn's flusher", func(t *testing.T) { testCoalesces(t, echo) })
	t.Run("flushed one by one", func(t *testing.T) {
		testCoalesces(t, handlerFunc(func(x *Exchange, _ *Flusher) { echo.Serve(x, nil) }))
	})
}

func testCoalesces(t *testing.T, h Handler) {
	s := serve(t, testConfig(), h)
	c := dial(t, s)
	br := bufio.NewReader(c)
	const n = 50
	say(t, c, strings.Repeat(post("/p", "x"), n))
	for range n {
		answer(t, br, "POST")
	}
	if w := s.metrics.writes.Load(); w > n/5 {
		t.Errorf("%d answers took %d writes", n, w)
	}
}

// TestPipelineBeyondTheCap: input waits for room, then goes on in order.
func TestPipelineBeyondTheCap(t *testing.T) {
	cfg := testConfig()
	cfg.PipelineMax = 4
	h := &shuffler{batch: 4}
	s := serve(t, cfg, h)
	c := dial(t, s)
	br := bufio.NewReader(c)
	const n = 400
	var b strings.Builder
	for i := range n {
		b.WriteString(post(fmt.Sprintf("/%d", i), "x"))
	}
	say(t, c, b.String())
	for i := range n {
		if status, body, _ := answer(t, br, "POST"); status != 200 || body != fmt.Sprintf("/%d x", i) {
			t.Fatalf("answer %d: %d %q", i, status, body)
		}
	}
	if s.metrics.stalls.Load() == 0 {
		t.Error("nothing stalled: the cap was not reached")
	}
}

func TestErrorFollowsPendingAnswers(t *testing.T) {
	h := &shuffler{batch: 3}
	s := serve(t, testConfig(), h)
	c := dial(t, s)
	br := bufio.NewReader(c)
	say(t, c, post("/0", "")+post("/1", "")+"NONSENSE\r\n\r\n")
	time.Sleep(20 * time.Millisecond)
	other := dial(t, s)
	say(t, other, post("/2", ""))
	for i := range 2 {
		if _, body, _ := answer(t, br, "POST"); body != fmt.Sprintf("/%d ", i) {
			t.Fatalf("%d: %q", i, body)
		}
	}
	if status, _, resp := answer(t, br, "POST"); status != 400 || !resp.Close {
		t.Fatalf("%d", status)
	}
	wantEOF(t, br)
}

func TestInFlightCap(t *testing.T) {
	cfg := testConfig()
	cfg.InFlightMax = 4
	var held []*Exchange
	var mu sync.Mutex
	s := serve(t, cfg, handlerFunc(func(x *Exchange, _ *Flusher) {
		mu.Lock()
		held = append(held, x)
		mu.Unlock()
	}))
	for range cfg.InFlightMax {
		say(t, dial(t, s), post("/hold", "x"))
	}
	waitFor(t, func() bool { return s.InFlight() == cfg.InFlightMax })
	c := dial(t, s)
	br := bufio.NewReader(c)
	for range 3 { // the connection survives its refusals
		say(t, c, post("/more", "x"))
		if status, _, resp := answer(t, br, "POST"); status != 503 || resp.Header.Get("Retry-After") == "" || resp.Close {
			t.Fatalf("%d %v", status, resp.Header)
		}
	}
	mu.Lock()
	for _, x := range held {
		x.Reply(nil, 204, ReplyHeaders{})
	}
	mu.Unlock()
	waitFor(t, func() bool { return s.InFlight() == 0 })
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not happen in ten seconds")
}

func TestConnectionCap(t *testing.T) {
	cfg := testConfig()
	cfg.ConnectionsMax = 3
	s := serve(t, cfg, echo)
	var conns []*net.TCPConn
	for range 3 {
		c := dial(t, s)
		say(t, c, post("/", ""))
		answer(t, bufio.NewReader(c), "POST")
		conns = append(conns, c)
	}
	c := dial(t, s)
	br := bufio.NewReader(c)
	if status, _, resp := answer(t, br, "GET"); status != 503 || !resp.Close {
		t.Fatalf("%d", status)
	}
	wantEOF(t, br)
	conns[0].Close()
	waitFor(t, func() bool { return s.Connections() == 2 })
	c = dial(t, s)
	say(t, c, post("/", ""))
	if status, _, _ := answer(t, bufio.NewReader(c), "POST"); status != 200 {
		t.Fatalf("%d", status)
	}
}

func TestConfigFaultsAllListed(t *testing.T) {
	cfg := Config{Pollers: -1, InFlightMax: -2}
	err := cfg.Validate()
	for _, field := range []string{"Addr", "Pollers", "InFlightMax", "ConnectionsMax", "HeadTimeout", "SweepInterval"} {
		if err == nil || !strings.Contains(err.Error(), field+":") {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
	cfg = Default()
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := Listen(Config{}, shards.SystemClock(), nil, echo); err == nil {
		t.Error("Listen accepts an empty configuration")
	}
}

func TestMetricsAreWritten(t *testing.T) {
	reg := shards.NewRegistry()
	s, err := Listen(testConfig(), shards.SystemClock(), reg, echo)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s)
	say(t, c, post("/", ""))
	answer(t, bufio.NewReader(c), "POST")
	var b strings.Builder
	if err := reg.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"millrace_ingress_requests_total 1\n", `millrace_ingress_answers_total{class="2xx"} 1` + "\n",
		"millrace_ingress_connections 1\n", `millrace_ingress_timeouts_total{of="idle"} 0` + "\n",
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("%q is missing in:\n%s", line, b.String())
		}
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error("the second time:", err)
	}
}
