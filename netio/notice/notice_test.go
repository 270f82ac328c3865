package notice

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/codec/event"
)

// receiver counts what it is asked and answers by a script: statuses in turn, the
// last one for ever.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newReceiver(t testing.TB, statuses ...int) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.asked = append(r.asked, q.URL.String())
		status := statuses[min(len(r.asked), len(statuses))-1]
		r.mu.Unlock()
		if status == http.StatusFound {
			http.Redirect(w, q, "/again", status)
			return
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

func start(t testing.TB, change func(*Config)) *Sender {
	t.Helper()
	c := Default(2)
	c.Private, c.Workers, c.BackoffMin, c.BackoffMax = true, 4, time.Millisecond, 4*time.Millisecond
	if change != nil {
		change(&c)
	}
	s, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-s.stop: // stopped by the test
			return
		default:
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Stop(ctx)
	})
	return s
}

// until waits for what has to come.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s never came", what)
}

func TestRule17BillingIsRetriedUnless200Or204(t *testing.T) {
	for _, last := range []int{200, 204} {
		r := newReceiver(t, 500, 202, 404, last)
		s := start(t, nil)
		if !s.Notify(0, event.Billed, []byte(r.URL+"/b?p=1")) {
			t.Fatal("refused")
		}
		until(t, "the answer", func() bool { return s.Status(event.Billed).Done == 1 })
		if st := s.Status(event.Billed); st.Failed != 3 || st.Retried != 3 || st.GaveUp != 0 || r.count() != 4 {
			t.Errorf("%+v, asked %d times", st, r.count())
		}
		if s.Waiting() != 0 {
			until(t, "the end", func() bool { return s.Waiting() == 0 })
		}
	}
}

func TestGivesUp(t *testing.T) {
	r := newReceiver(t, 500)
	s := start(t, nil)
	for n, tries := range map[event.Notice]int{event.Billed: 6, event.WonThere: 4, event.LostThere: 1} {
		before := r.count()
		s.Notify(1, n, []byte(r.URL))
		until(t, n.String(), func() bool { return s.Status(n).GaveUp == 1 })
		if got := r.count() - before; got != tries {
			t.Errorf("%v: %d tries, want %d", n, got, tries)
		}
	}
}

func TestRedirectsAreLimited(t *testing.T) {
	r := newReceiver(t, 302, 302, 200)
	s := start(t, nil)
	s.Notify(0, event.LostThere, []byte(r.URL))
	until(t, "two redirects", func() bool { return s.Status(event.LostThere).Done == 1 })
	round := newReceiver(t, 302)
	s.Notify(0, event.LostThere, []byte(round.URL))
	until(t, "the end of a circle", func() bool { return s.Status(event.LostThere).GaveUp == 1 })
	if n := round.count(); n != 4 {
		t.Errorf("asked %d times, want 4", n)
	}
}

func TestNotCalled(t *testing.T) {
	r := newReceiver(t, 200)
	away := httptest.NewServer(http.RedirectHandler("ftp://files.example/", http.StatusFound))
	defer away.Close()
	s := start(t, nil)
	for i, u := range []string{"", "nonsense", "ftp://x.example/", "file:///etc/passwd", "http://", "http://user:pw@x.example/", "https:///x", "\x00", away.URL} {
		s.Notify(0, event.WonThere, []byte(u))
		until(t, u, func() bool { return s.Status(event.WonThere).Refused == uint64(i+1) })
	}
	guarded := start(t, func(c *Config) { c.Private = false })
	host := strings.TrimPrefix(r.URL, "http://127.0.0.1")
	for i, u := range []string{r.URL, "http://localhost" + host, "http://[::ffff:127.0.0.1]" + host, "http://0.0.0.0" + host, "http://169.254.169.254/latest/meta-data"} {
		guarded.Notify(0, event.Billed, []byte(u))
		until(t, u, func() bool {
			st := guarded.Status(event.Billed)
			return st.Refused+st.GaveUp == uint64(i+1)
		})
	}
	if r.count() != 0 || guarded.Status(event.Billed).Refused < 4 {
		t.Errorf("asked %d times, %+v", r.count(), guarded.Status(event.Billed))
	}
}

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "2606:4700:4700::1111": true, "172.32.0.1": true,
		"127.0.0.1": false, "127.9.9.9": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "198.18.0.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "192.0.0.8": false,
		"::1": false, "::": false, "fe80::1": false, "fc00::1": false, "fd12::1": false, "ff02::1": false, "::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:db8::1": false, "2001::1": false, "fec0::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// TestHangingReceiver: who never answers costs its own calls, and Stop ends them.
func TestHangingReceiver(t *testing.T) {
	before := runtime.NumGoroutine()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	s := start(t, func(c *Config) { c.QueueMax, c.WaitingMax, c.Workers = 8, 4, 2 })
	took := 0
	for range 100 {
		if s.Notify(0, event.Billed, []byte(hangs.URL)) {
			took++
		}
	}
	if took < 8 || took > 8+4+2 {
		t.Errorf("%d taken, with room for 8 and 4", took)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Stop(ctx)
	if st := s.Status(event.Billed); st.GaveUp+st.Refused == 0 || s.Waiting() > 8 {
		t.Errorf("%+v, %d waiting", st, s.Waiting())
	}
	close(release)
	hangs.Close()
	until(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
}

func TestAllocNotify(t *testing.T) {
	s := &Sender{rings: []*ring{newRing(64)}}
	u := []byte("https://b.example/?p=" + strings.Repeat("1", 200))
	run := func() {
		if !s.Notify(0, event.Billed, u) {
			t.Fatal("full")
		}
		s.rings[0].out.Add(1)
	}
	for range 64 {
		run()
	}
	if n := testing.AllocsPerRun(200, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRing(t *testing.T) {
	r := newRing(4)
	next := 0
	for round := range 50 {
		for i := range round % 5 {
			if !r.put(event.LostThere, fmt.Appendf(nil, "%d.%d", round, i)) {
				t.Fatal("full")
			}
		}
		if round%5 == 4 && r.put(event.Billed, nil) {
			t.Fatal("took a fifth")
		}
		for i := range round % 5 {
			if n, u, ok := r.take(); !ok || n != event.LostThere || u != fmt.Sprintf("%d.%d", round, i) {
				t.Fatalf("%v %q %v", n, u, ok)
			}
			next++
		}
		if _, _, ok := r.take(); ok {
			t.Fatal("something was left")
		}
	}
}

func TestConfigFaults(t *testing.T) {
	c := Config{}
	err := c.Validate()
	for _, field := range []string{"Shards", "QueueMax", "WaitingMax", "Workers", "billed", "won", "lost", "BackoffMin", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not in %v", field, err)
		}
	}
	d := Default(1)
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzURL: whatever a bidder writes, only web addresses with a host are called.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"http://a/", "https://user@h/", "//x", "http://[::1]:80/", "javascript:1", "http://a b/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil || checkURL(u) != nil {
			return
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			t.Fatalf("%q would be called", text)
		}
	})
}
