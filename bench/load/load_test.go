package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestMixIsValidAndRepeatable(t *testing.T) {
	a, b := Mix(7), Mix(7)
	kinds := map[string]int{}
	for i := range a.Len() {
		if !bytes.Equal(a.Body(i), b.Body(i)) {
			t.Fatal("the same seed gave another mix")
		}
		var r struct {
			ID  string `json:"id"`
			Imp []map[string]any
		}
		if err := json.Unmarshal(a.Body(i), &r); err != nil {
			t.Fatalf("%v in %s", err, a.Body(i))
		}
		if r.ID != idHole || len(r.Imp) == 0 {
			t.Fatalf("%s", a.Body(i))
		}
		for _, k := range []string{"banner", "video", "native"} {
			if r.Imp[0][k] != nil {
				kinds[k]++
			}
		}
		if a.bodies[i].userAt < 0 {
			t.Fatalf("no user in %s", a.Body(i))
		}
	}
	if kinds["banner"] < 128 || kinds["video"] < 10 || kinds["native"] < 10 {
		t.Errorf("%v", kinds)
	}
	if bytes.Equal(Mix(8).Body(0), a.Body(0)) {
		t.Error("another seed gave the same mix")
	}
}

func TestPatchedRequest(t *testing.T) {
	c := NewCorpus([][]byte{[]byte(`{"id":"` + idHole + `","user":{"id":"` + userHole + `"}}`)})
	b := c.render("h:1", "/p")[0]
	got := string(b.appendTo([]byte("before"), 0xabc, 42))
	want := "beforePOST /p HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\nX-Openrtb-Version: 2.6\r\nContent-Length: 59\r\n\r\n" +
		`{"id":"0000000000000abc","user":{"id":"000000000042"}}`
	want = strings.Replace(want, "59", fmt.Sprint(len(c.bodies[0].json)), 1)
	if got != want {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
}

func TestReadCorpus(t *testing.T) {
	c, err := readCorpus(strings.NewReader("{\"id\":\"1\"}\n\n  {\"id\":\"2\"}  \n"))
	if err != nil || c.Len() != 2 || string(c.Body(1)) != `{"id":"2"}` {
		t.Fatal(c, err)
	}
	for text, want := range map[string]string{"": "no request", "{}\n{": "line 2 is not JSON"} {
		if _, err := readCorpus(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ReadCorpus(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestConfigFaults(t *testing.T) {
	if f := Default().Validate(); f != nil {
		t.Fatal(f)
	}
	bad := Config{Address: "x", Path: "y", Rate: math.NaN(), Clicks: 2, Corpus: &Corpus{}}
	_, err := Run(context.Background(), bad)
	for _, want := range []string{"address", "path", "connections", "workers", "pipeline", "rate", "duration", "timeout", "clicks", "corpus"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %s in %v", want, err)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	cases := []struct {
		in     string
		n      int
		result parseResult
		want   answer
	}{
		{"HTTP/1.1 200 OK\r\ncontent-LENGTH: 2 \r\n\r\nhiHTTP", 41, parseDone, answer{status: 200, body: []byte("hi")}},
		{"HTTP/1.1 204 No Content\r\n\r\n", 27, parseDone, answer{status: 204}},
		{"HTTP/1.1 302 Found\r\nLocation: http://a/b\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", 82, parseDone, answer{status: 302, location: []byte("http://a/b"), close: true}},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", 0, parsePartial, answer{}},
		{"HTTP/1.1 200 OK\r\nContent-Len", 0, parsePartial, answer{}},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, parseBroken, answer{}},
		{"HTTP/1.1 200 OK\r\n\r\n", 0, parseBroken, answer{}},
		{"HTTP/1.1 2x0 OK\r\n\r\n", 0, parseBroken, answer{}},
		{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", 0, parseBroken, answer{}},
		{"SSH-2.0-OpenSSH\r\n\r\n", 0, parseBroken, answer{}},
	}
	for _, c := range cases {
		var a answer
		n, result := parseAnswer([]byte(c.in), &a)
		if n != c.n || result != c.result {
			t.Errorf("%q: took %d, %d", c.in, n, result)
			continue
		}
		if result == parseDone && (a.status != c.want.status || !bytes.Equal(a.body, c.want.body) || !bytes.Equal(a.location, c.want.location) || a.close != c.want.close) {
			t.Errorf("%q: %+v", c.in, a)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	f.Add([]byte("HTTP/1.1 302 Found\r\nLocation: /e/v?t=1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a answer
		n, result := parseAnswer(b, &a)
		if result != parseDone && n != 0 || n > len(b) {
			t.Fatal(n, result)
		}
		if result == parseDone {
			// A shorter read must not be taken for a whole answer, and more
			// bytes after it must not change it.
			var c answer
			if m, r := parseAnswer(b[:n-1], &c); r == parseDone && m >= n {
				t.Fatal("took more than it was given")
			}
			if m, r := parseAnswer(append(bytes.Clone(b[:n]), "HTTP/1.1 "...), &c); r != parseDone || m != n || c.status != a.status {
				t.Fatal("bytes after an answer changed it")
			}
		}
		var l links
		l.find(b, markImpression)
	})
}

func TestLinks(t *testing.T) {
	var l links
	l.find([]byte(`"adm":"<img src=\"http://h/e/i?t=AB-_1\"><img src='/e/i/CD'>/e/image.png /e/i?t=EF /e/i?t=EF /e/i`), markImpression)
	var got []string
	for i := range l.n {
		got = append(got, string(l.path[i]))
	}
	if fmt.Sprint(got) != "[/e/i?t=AB-_1 /e/i/CD /e/i?t=EF]" {
		t.Fatal(got)
	}
}

func TestConversionPath(t *testing.T) {
	token := strings.Repeat("aZ0-_", 14)
	for location, want := range map[string]string{
		"https://s.example/?click=" + token:             "/e/v?t=" + token,
		"https://s.example/x/" + token + "/y?z=1":       "/e/v?t=" + token,
		"https://s.example/install?click=short&other=1": "",
		"": "",
	} {
		if got := string(appendConversion(nil, []byte(location))); got != want {
			t.Errorf("%s: %q", location, got)
		}
	}
}

// adServer is a stand-in that answers as an ad server does and counts.
type adServer struct {
	bids, impressions, clicks, conversions atomic.Int64
	mu                                     sync.Mutex
	ids                                    map[string]int
	url                                    string // guarded by mu, as is pause: raw sockets order nothing for the race detector
	pause                                  func()
}

func (s *adServer) slowDown(f func()) {
	s.mu.Lock()
	s.pause = f
	s.mu.Unlock()
}

func (s *adServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	url, pause := s.url, s.pause
	s.mu.Unlock()
	switch r.URL.Path {
	case "/openrtb2/auction":
		b, _ := io.ReadAll(r.Body)
		var q struct{ ID string }
		if json.Unmarshal(b, &q) != nil {
			http.Error(w, "bad", 400)
			return
		}
		s.mu.Lock()
		s.ids[q.ID]++
		s.mu.Unlock()
		if pause != nil {
			pause()
		}
		n := s.bids.Add(1)
		if n%4 == 0 {
			w.WriteHeader(204)
			return
		}
		answer := fmt.Sprintf(`{"id":%q,"seatbid":[{"bid":[{"id":"1","impid":"1","price":1,"adm":"<a href=\"%s/e/c?t=%d\"><img src=\"%s/e/i?t=%d\"></a>"}]}]}`, q.ID, url, n, url, n)
		w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
		_, _ = io.WriteString(w, answer)
	case "/e/i":
		s.impressions.Add(1)
		w.WriteHeader(204)
	case "/e/c":
		s.clicks.Add(1)
		w.Header().Set("Location", "https://shop.example/a-landing-page?src=ads&sub="+strings.Repeat("T_-9", 20)+"&x=1")
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(302)
	case "/e/v":
		if r.FormValue("t") == strings.Repeat("T_-9", 20) {
			s.conversions.Add(1)
		}
		w.WriteHeader(204)
	default:
		http.NotFound(w, r)
	}
}

func serveAds(t *testing.T) (*adServer, Config) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the load generator needs Linux")
	}
	s := &adServer{ids: map[string]int{}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.mu.Lock()
	s.url = h.URL
	s.mu.Unlock()
	cfg := Default()
	cfg.Address = strings.TrimPrefix(h.URL, "http://")
	cfg.Connections = 8
	return s, cfg
}

func TestOpenLoopWithBeacons(t *testing.T) {
	srv, cfg := serveAds(t)
	cfg.Rate, cfg.Duration, cfg.Poisson = 2000, 500*time.Millisecond, true
	cfg.Impressions, cfg.Clicks, cfg.Conversions = 1, 0.5, 0.5
	cfg.BeaconDelay = time.Millisecond
	cfg.ProgressEvery = 100 * time.Millisecond
	var progressed int64
	cfg.Progress = func(p Progress) { progressed += p.Answered }
	s, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if due := s.Sent + s.Unsent; due < 700 || due > 1300 || s.Answered != s.Sent || s.Failed() != 0 {
		t.Errorf("%+v", s)
	}
	if s.Answered != srv.bids.Load() || progressed != s.Answered || s.Bids != s.Status["200"] || s.Latency.Count != s.Answered+s.Unsent {
		t.Errorf("answered %d, served %d, progress %d, bids %d of %v", s.Answered, srv.bids.Load(), progressed, s.Bids, s.Status)
	}
	b := s.Beacons
	if b.Impressions != s.Bids || b.Impressions != srv.impressions.Load() || b.Clicks != srv.clicks.Load() || b.Conversions != srv.conversions.Load() {
		t.Errorf("beacons %+v, served %d %d %d", b, srv.impressions.Load(), srv.clicks.Load(), srv.conversions.Load())
	}
	if b.Clicks < b.Impressions*3/10 || b.Clicks > b.Impressions*7/10 || b.Conversions == 0 {
		t.Errorf("shares: %+v", b)
	}
	if !s.Corrected || s.Arrivals != "poisson" {
		t.Errorf("%+v", s)
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for id, n := range srv.ids {
		if n != 1 || len(id) != idDigits {
			t.Fatalf("request id %q was sent %d times", id, n)
		}
	}
	var text bytes.Buffer
	if err := s.WriteText(&text); err != nil || !strings.Contains(text.String(), "intended send time") {
		t.Error(text.String(), err)
	}
	if _, err := json.Marshal(s); err != nil {
		t.Error(err)
	}
}

// TestCoordinatedOmission stops the server once: the requests that were due
// meanwhile must be charged with it, though only one was on the wire.
func TestCoordinatedOmission(t *testing.T) {
	srv, cfg := serveAds(t)
	var once sync.Once
	srv.slowDown(func() { once.Do(func() { time.Sleep(300 * time.Millisecond) }) })
	cfg.Connections, cfg.Rate, cfg.Duration, cfg.Impressions = 1, 500, time.Second, 0
	s, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	// 150 of 500 requests fell due during the pause.
	if s.Latency.Max < 250_000 || s.Latency.P90 < 50_000 {
		t.Errorf("one pause of 300 ms shows as p90 %.0f µs, max %.0f µs", s.Latency.P90, s.Latency.Max)
	}
}

func TestOverloadIsSaid(t *testing.T) {
	srv, cfg := serveAds(t)
	srv.slowDown(func() { time.Sleep(20 * time.Millisecond) })
	cfg.Connections, cfg.Rate, cfg.Duration, cfg.Impressions = 2, 1000, 300*time.Millisecond, 0
	s, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Overloaded || s.Unsent == 0 || s.Sent+s.Unsent < 280 {
		t.Errorf("sent %d, unsent %d", s.Sent, s.Unsent)
	}
}

func TestClosedLoopPipelined(t *testing.T) {
	srv, cfg := serveAds(t)
	cfg.Rate, cfg.Duration, cfg.Requests, cfg.Pipeline, cfg.Workers, cfg.Impressions = 0, 0, 1001, 4, 2, 0
	s, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s.Sent != 1001 || s.Answered != 1001 || srv.bids.Load() != 1001 || s.Corrected || s.Arrivals != "closed" {
		t.Errorf("%+v, served %d", s, srv.bids.Load())
	}
}

func TestWarmupIsNotMeasured(t *testing.T) {
	srv, cfg := serveAds(t)
	cfg.Rate, cfg.Warmup, cfg.Duration, cfg.Impressions = 1000, 200*time.Millisecond, 200*time.Millisecond, 0
	s, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if served := srv.bids.Load(); s.Sent >= served*3/4 || s.Sent+s.Unsent < 150 {
		t.Errorf("measured %d of %d", s.Sent, served)
	}
}

func TestUnreachableServer(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the load generator needs Linux")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Address = ln.Addr().String()
	ln.Close()
	cfg.Duration = time.Minute
	if _, err := Run(context.Background(), cfg); !errors.Is(err, ErrUnreachable) {
		t.Fatal(err)
	}
}

func TestFailuresAreNamed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the load generator needs Linux")
	}
	for name, reply := range map[string]func(net.Conn){
		"reset":    func(c net.Conn) { c.Close() },
		"protocol": func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n\r\n") },
		"timeout":  func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					go func() {
						defer c.Close()
						b := make([]byte, 64<<10)
						if n, _ := c.Read(b); n > 0 {
							reply(c)
						}
						_, _ = io.Copy(io.Discard, c)
					}()
				}
			}()
			cfg := Default()
			cfg.Address, cfg.Connections, cfg.Rate = ln.Addr().String(), 2, 20
			cfg.Duration, cfg.Timeout = 300*time.Millisecond, 100*time.Millisecond
			s, err := Run(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if s.Errors[name] == 0 || s.Answered != 0 {
				t.Errorf("%v %v", s.Errors, s.Status)
			}
		})
	}
}

func TestCancelEndsTheRun(t *testing.T) {
	_, cfg := serveAds(t)
	cfg.Rate, cfg.Duration = 500, time.Hour
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	s, err := Run(ctx, cfg)
	if err != nil || s.Answered == 0 || s.Seconds > 30 {
		t.Fatal(s, err)
	}
}

func TestDelta(t *testing.T) {
	before := ParseMetrics([]byte("# HELP x y\ngo_gc_cycles_total 2\ngo_memstats_mallocs_total 1e3\ngo_gc_pauses_seconds_bucket{le=\"0.0001\"} 4\ngo_gc_pauses_seconds_bucket{le=\"+Inf\"} 4\n"))
	after := ParseMetrics([]byte("go_gc_cycles_total 5\ngo_memstats_mallocs_total 3000 1700000000\ngo_gc_pauses_seconds_bucket{le=\"0.0001\"} 9\ngo_gc_pauses_seconds_bucket{le=\"0.001\"} 10\ngo_gc_pauses_seconds_bucket{le=\"+Inf\"} 10\nx{a=\"b c\"} 1\nx{a=\"d\"} 2\nbroken\n"))
	d := Delta(before, after, 1000)
	if d.GCCycles != 3 || d.MallocsPer != 2 || math.Abs(d.GCPauseMax-1000) > 1e-6 {
		t.Errorf("%+v", d)
	}
	if sum, ok := after.Sum("x"); !ok || sum != 3 {
		t.Error(sum, ok)
	}
}

// TestAllocPerRequest runs the client's own code between two counts of the
// process: the server is a goroutine that allocates nothing either.
func TestAllocPerRequest(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the load generator needs Linux")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				b := make([]byte, 64<<10)
				reply := []byte("HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n" + `{"impid":"1", "adm":"/e/i?t=abcd"}`)
				for {
					if n, err := c.Read(b); err != nil || n == 0 {
						c.Close()
						return
					}
					if _, err := c.Write(reply); err != nil {
						c.Close()
						return
					}
				}
			}()
		}
	}()
	cfg := Default()
	cfg.Address, cfg.Connections, cfg.Rate, cfg.Duration = ln.Addr().String(), 2, 0, 0
	cfg.BeaconDelay, cfg.Impressions = 0, 1
	allocs := func(n int64) uint64 {
		var before, after runtime.MemStats
		cfg.Requests = n
		runtime.ReadMemStats(&before)
		if s, err := Run(context.Background(), cfg); err != nil || s.Answered != n || s.Beacons.Impressions != n {
			t.Fatal(s, err)
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	allocs(100)
	few, many := allocs(500), allocs(10_500)
	if extra := int64(many) - int64(few); extra > 500 {
		t.Fatalf("10,000 more requests and beacons made %d allocations", extra)
	}
}

// TestAnswered: the hook sees every answer, by the id that the server saw.
func TestAnswered(t *testing.T) {
	srv, cfg := serveAds(t)
	cfg.Rate, cfg.Duration, cfg.Requests, cfg.Impressions = 0, 0, 100, 0
	var mu sync.Mutex
	with, seen := 0, map[string]int{}
	cfg.Answered = func(a Answered) {
		mu.Lock()
		defer mu.Unlock()
		seen[fmt.Sprintf("%016x", a.ID)]++
		with += a.Bids
		if a.Done.Before(a.Sent) || a.Sent.Before(a.Due) || a.Status != 200 && a.Status != 204 {
			t.Errorf("%+v", a)
		}
	}
	s, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 100 || int64(with) != s.Bids {
		t.Errorf("%d ids, %d bids, %d by the summary", len(seen), with, s.Bids)
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for id, n := range srv.ids {
		if seen[id] != n {
			t.Errorf("%s: seen %d times, served %d", id, seen[id], n)
		}
	}
}
