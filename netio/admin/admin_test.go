package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/unit"
)

// node is a stand-in for what a running node offers.
type node struct {
	level     slog.LevelVar
	reloads   atomic.Int32
	reloadErr atomic.Pointer[error]
	notReady  atomic.Bool
	slow      chan struct{}
}

func (n *node) sources() Sources {
	campaigns := []CampaignStatus{{
		ID: "00000000000000aa", Name: "summer", Advertiser: "acme", Currency: "USD",
		Budget: Budget{Daily: Amount(5 * unit.NanosPerUnit), SpentToday: 1_250_000_000},
		Lines:  []LineStatus{{ID: "00000000000000bb", Name: "banner", Kind: "direct", Pricing: "cpm", Active: true, Wins: 7}},
	}}
	return Sources{
		Version: "test",
		Metrics: func(w io.Writer) error {
			_, err := io.WriteString(w, "# HELP x_total X.\n# TYPE x_total counter\nx_total 1\n")
			return err
		},
		Config:    func() any { return map[string]any{"shards": 2} },
		Campaigns: func(context.Context) (any, error) { return campaigns, nil },
		Campaign: func(_ context.Context, id string) (any, error) {
			if id == "summer" {
				return campaigns[0], nil
			}
			if id == "boom" {
				panic("boom")
			}
			return nil, fmt.Errorf("campaign %q: %w", id, ErrNotFound)
		},
		Shards: func(context.Context) (any, error) {
			if n.slow != nil {
				<-n.slow
			}
			return []ShardStatus{{ID: 0, Pinned: "cpu 0"}}, nil
		},
		Ready: func() error {
			if n.notReady.Load() {
				return errors.New("the catalog is still compiling")
			}
			return nil
		},
		Reload: func() error {
			n.reloads.Add(1)
			if e := n.reloadErr.Load(); e != nil {
				return *e
			}
			return nil
		},
		Level: &n.level,
	}
}

func start(t *testing.T, src Sources) *Server {
	t.Helper()
	cfg := Default()
	cfg.Listen, cfg.BodyBytesMax = "127.0.0.1:0", 1<<16
	s, err := Listen(cfg, src)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

func do(t *testing.T, s *Server, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+s.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// TestBodyTooLarge sends the head alone: with a body on its way the server's close
// may reset the connection before the refusal is read.
func TestBodyTooLarge(t *testing.T) {
	n := &node{}
	s := start(t, n.sources())
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "PUT /log/level HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", s.Addr(), 1<<17); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Fatalf("status %d", resp.StatusCode)
	}
}

func TestPages(t *testing.T) {
	n := &node{}
	s := start(t, n.sources())
	cases := []struct {
		method, path, body string
		header             []string
		status             int
		contains           string
	}{
		{"GET", "/", "", nil, 200, "/metrics"},
		{"GET", "/healthz", "", nil, 200, `"ok"`},
		{"HEAD", "/healthz", "", nil, 405, ""},
		{"GET", "/readyz", "", nil, 200, "ready"},
		{"GET", "/metrics", "", nil, 200, "x_total 1"},
		{"GET", "/config", "", nil, 200, `"shards": 2`},
		{"GET", "/campaigns", "", nil, 200, `"spent_today": "1.25"`},
		{"GET", "/campaigns/summer", "", nil, 200, `"name": "summer"`},
		{"GET", "/campaigns/none", "", nil, 404, "no campaign none"},
		{"GET", "/campaigns/boom", "", nil, 500, "boom"},
		{"GET", "/shards", "", nil, 200, "cpu 0"},
		{"GET", "/nowhere", "", nil, 404, "/nowhere"},
		{"POST", "/metrics", "", nil, 405, "POST"},
		{"GET", "/reload", "", nil, 405, "GET"},
		{"POST", "/reload", "", nil, 200, "reloaded"},
		{"POST", "/reload", "", []string{"Origin", "http://evil.example"}, 403, "origin"},
		{"GET", "/campaigns", "", []string{"Host", "evil.example"}, 403, "not this machine"},
		{"GET", "/campaigns", "", []string{"Host", "localhost:1"}, 200, "summer"},
		{"GET", "/log/level", "", nil, 200, "info"},
		{"PUT", "/log/level", "debug", nil, 200, "debug"},
		{"PUT", "/log/level", `{"level":"warn"}`, nil, 200, "warn"},
		{"PUT", "/log/level", `{"level":`, nil, 400, "not JSON"},
		{"PUT", "/log/level", "loud", nil, 400, "use debug, info, warn or error"},
		{"GET", "/debug/pprof/", "", nil, 200, "goroutine"},
		{"GET", "/debug/pprof/cmdline", "", nil, 200, "admin"},
		{"GET", "/debug/pprof/goroutine?debug=1", "", nil, 200, "goroutine profile"},
	}
	for _, c := range cases {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			status, head, body := do(t, s, c.method, c.path, c.body, c.header...)
			if status != c.status || !strings.Contains(body, c.contains) {
				t.Fatalf("got %d %q; want %d with %q", status, body, c.status, c.contains)
			}
			if status >= 400 && c.method != "HEAD" {
				var p problem
				if err := json.Unmarshal([]byte(body), &p); err != nil || p.Error == "" {
					t.Fatalf("an error must be JSON with an error field, got %q (%v)", body, err)
				}
			}
			if c.path == "/metrics" && status == 200 && head.Get("Content-Type") != metricsContentType {
				t.Errorf("content type %q", head.Get("Content-Type"))
			}
		})
	}
	if got := n.reloads.Load(); got != 1 {
		t.Errorf("%d reloads, want 1: the foreign origin must not have reloaded", got)
	}
	if n.level.Level() != slog.LevelWarn {
		t.Errorf("level is %v", n.level.Level())
	}
}

func TestCampaignsRoundTripExactMoney(t *testing.T) {
	s := start(t, (&node{}).sources())
	_, _, body := do(t, s, "GET", "/campaigns", "")
	var got []CampaignStatus
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Budget.SpentToday != 1_250_000_000 || got[0].Lines[0].Wins != 7 {
		t.Fatalf("%+v", got)
	}
	var a Amount
	if err := a.UnmarshalText([]byte("1e5")); err == nil {
		t.Error("an exponent was taken as money")
	}
}

func TestNotReadyAndRefusedReload(t *testing.T) {
	n := &node{}
	s := start(t, n.sources())
	n.notReady.Store(true)
	if status, _, body := do(t, s, "GET", "/readyz", ""); status != 503 || !strings.Contains(body, "compiling") {
		t.Errorf("readyz: %d %s", status, body)
	}
	err := errors.New("catalog.yaml:3:5: price: missing")
	n.reloadErr.Store(&err)
	if status, _, body := do(t, s, "POST", "/reload", ""); status != 422 || !strings.Contains(body, "catalog.yaml:3:5") {
		t.Errorf("reload: %d %s", status, body)
	}
}

func TestAbsentSources(t *testing.T) {
	s := start(t, Sources{})
	for _, path := range []string{"/config", "/campaigns", "/campaigns/x", "/shards", "/store", "/models", "/log/level"} {
		if status, _, _ := do(t, s, "GET", path, ""); status != 501 {
			t.Errorf("%s: %d, want 501", path, status)
		}
	}
	if status, _, _ := do(t, s, "POST", "/reload", ""); status != 501 {
		t.Errorf("reload: %d, want 501", status)
	}
	if status, _, _ := do(t, s, "POST", "/models/promote", ""); status != 501 {
		t.Errorf("promote: %d, want 501", status)
	}
	if status, _, _ := do(t, s, "GET", "/readyz", ""); status != 200 {
		t.Errorf("readyz: %d, want 200", status)
	}
}

func TestModelSteps(t *testing.T) {
	var faulty atomic.Bool
	step := func(context.Context) error {
		if faulty.Load() {
			return errors.New("no version is on trial")
		}
		return nil
	}
	s := start(t, Sources{Promote: step, Rollback: step})
	for _, path := range []string{"/models/promote", "/models/rollback"} {
		faulty.Store(false)
		if status, _, body := do(t, s, "POST", path, ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
		faulty.Store(true)
		if status, _, body := do(t, s, "POST", path, ""); status != 409 || !strings.Contains(body, "on trial") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestListenFaults(t *testing.T) {
	_, err := Listen(Config{Listen: "nonsense"}, Sources{})
	if err == nil || !strings.Contains(err.Error(), "admin.Listen") || !strings.Contains(err.Error(), "BodyBytesMax") {
		t.Errorf("want every fault at once, got %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := Default()
	cfg.Listen = ln.Addr().String()
	if _, err := Listen(cfg, Sources{}); err == nil || !strings.Contains(err.Error(), "--admin") {
		t.Errorf("a taken port: %v", err)
	}
}

func TestShutdownDrainsThenCuts(t *testing.T) {
	n := &node{slow: make(chan struct{})}
	cfg := Default()
	cfg.Listen = "127.0.0.1:0"
	s, err := Listen(cfg, n.sources())
	if err != nil {
		t.Fatal(err)
	}
	idle, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	got := make(chan int, 1)
	go func() {
		resp, err := http.Get("http://" + s.Addr().String() + "/shards")
		if err != nil {
			got <- 0
			return
		}
		resp.Body.Close()
		got <- resp.StatusCode
	}()
	for s.inFlight.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.AfterFunc(20*time.Millisecond, func() { close(n.slow) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("shutdown with an idle client and a request in flight: %v", err)
	}
	if status := <-got; status != 200 {
		t.Errorf("the request in flight got %d, want its answer", status)
	}
	if _, err := net.DialTimeout("tcp", s.Addr().String(), time.Second); err == nil {
		t.Error("still accepting after Shutdown")
	}
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
}

func TestRuntimeMetricsAreWellFormed(t *testing.T) {
	s := start(t, Sources{})
	_, _, body := do(t, s, "GET", "/metrics", "")
	described := map[string]bool{}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, _, _ := strings.Cut(rest, " ")
			if described[name] {
				t.Errorf("%s is described twice", name)
			}
			described[name] = true
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); described[base] {
				name = base
			}
		}
		if !described[name] {
			t.Errorf("no HELP before %q", line)
		}
	}
	for _, name := range []string{"go_gc_cycles_total", "go_memstats_mallocs_total", "go_gc_pauses_seconds", "process_cpu_seconds_total"} {
		if !described[name] {
			t.Errorf("%s is missing", name)
		}
	}
}
