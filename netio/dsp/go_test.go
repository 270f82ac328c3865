package dsp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/unit"
)

// loop runs a pool as a shard does: turns taken on a goroutine that Notify wakes,
// here under a lock. It drives netpoll, real sockets and real time.
type loop struct {
	t     testing.TB
	mu    sync.Mutex
	pool  *Pool
	start time.Time
	wake  chan struct{}
	quit  chan struct{}
	ended sync.WaitGroup
	out   map[*Call]chan struct{}
}

func newLoop(t testing.TB, change func(*Config), list ...Endpoint) *loop {
	t.Helper()
	l := &loop{t: t, start: time.Now(), wake: make(chan struct{}, 1), quit: make(chan struct{}), out: map[*Call]chan struct{}{}}
	endpoints, err := Prepare(list, "millrace")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.DialTimeout, cfg.PingAfter = patience, patience // the machine may be busy
	if change != nil {
		change(&cfg)
	}
	cfg.Notify = func() {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	if l.pool, err = New(cfg, endpoints, l.now()); err != nil {
		t.Fatal(err)
	}
	l.ended.Add(1)
	go l.run()
	t.Cleanup(func() {
		close(l.quit)
		l.ended.Wait()
		l.pool.Close()
	})
	return l
}

func (l *loop) now() unit.MonoTime { return unit.MonoTime(time.Since(l.start)) + 1 }

func (l *loop) run() {
	defer l.ended.Done()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-l.wake:
			l.turn(func(p *Pool, now unit.MonoTime) { p.Ready(now) })
		case <-tick.C:
			l.turn(func(p *Pool, now unit.MonoTime) { p.Tick(now) })
		}
	}
}

// turn takes a turn: f, then what follows from it.
func (l *loop) turn(f func(p *Pool, now unit.MonoTime)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.pool, l.now())
	for {
		c, ok := l.pool.Next()
		if !ok {
			break
		}
		close(l.out[c])
		delete(l.out, c)
	}
	l.pool.Flush()
}

// call makes calls at once and waits for them.
func (l *loop) call(timeout time.Duration, calls []*Call, body []byte) {
	l.t.Helper()
	var waits []chan struct{}
	l.turn(func(p *Pool, now unit.MonoTime) {
		for _, c := range calls {
			c.Deadline = now.Add(timeout)
			if r := p.Send(c, body, now); r != Accepted {
				l.t.Errorf("refused: %v (%s)", r, p.Stats(c.Endpoint).Reason)
				continue
			}
			wait := make(chan struct{})
			l.out[c] = wait
			waits = append(waits, wait)
		}
	})
	for _, wait := range waits {
		select {
		case <-wait:
		case <-time.After(patience):
			l.t.Fatal("a call did not end")
		}
	}
}

func (l *loop) stats(id EndpointID) (s Stats) {
	l.turn(func(p *Pool, _ unit.MonoTime) { s = p.Stats(id) })
	return s
}

// eventually waits until something holds.
func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never")
		}
	}
}

// connected waits for connections.
func (l *loop) connected(id EndpointID, n int) Stats {
	l.t.Helper()
	var s Stats
	eventually(l.t, func() bool { s = l.stats(id); return s.Conns >= n })
	return s
}

// goServer is net/http's server in one of its forms.
func goServer(t testing.TB, secure, http2 bool, h http.HandlerFunc) (*httptest.Server, Endpoint) {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(!http2 || secure)
	s.Config.Protocols.SetHTTP2(http2 && secure)
	s.Config.Protocols.SetUnencryptedHTTP2(http2 && !secure)
	e := Endpoint{Name: "go", ConnsMax: 16}
	switch {
	case secure && http2:
		s.EnableHTTP2 = true
		s.StartTLS()
	case secure:
		s.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
		s.StartTLS()
	default:
		s.Start()
		if http2 {
			e.Protocol = HTTP2
		}
	}
	if secure {
		e.RootCAs = x509.NewCertPool()
		e.RootCAs.AddCert(s.Certificate())
		e.ServerName = "example.com"
	}
	e.URL = s.URL + "/rtb"
	t.Cleanup(s.Close)
	return s, e
}

// echo answers with the body's length and the protocol.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%d bytes by %s", len(body), r.Proto)
}

// TestGoServer has calls answered by net/http: both versions of HTTP, with and
// without TLS, many at once, bodies larger than windows.
func TestGoServer(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("secure=%v,http2=%v", secure, http2), func(t *testing.T) {
				_, e := goServer(t, secure, http2, echo)
				l := newLoop(t, func(c *Config) { c.RequestBytesMax = 1 << 20 }, e)
				if s := l.connected(0, 1); s.HTTP2 != http2 {
					t.Errorf("%+v", s)
				}
				want := "HTTP/1.1"
				if http2 {
					want = "HTTP/2.0"
				}
				for _, size := range []int{1, 1500, 20_000, 300_000} {
					body := []byte(strings.Repeat("x", size))
					for range 5 {
						calls := make([]*Call, 12)
						for i := range calls {
							calls[i] = new(Call)
						}
						l.call(patience, calls, body)
						for _, c := range calls {
							if c.Outcome != Answered || c.Status != 200 || string(c.Response) != fmt.Sprintf("%d bytes by %s", size, want) {
								t.Fatalf("%v, %d, %q (%s)", c.Outcome, c.Status, c.Response, l.stats(0).Reason)
							}
						}
					}
				}
				if s := l.stats(0); s.Closed != 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// TestGoServerLateCalls: net/http's server sees the resets (its requests' contexts
// end), and goes on with the same connection.
func TestGoServerLateCalls(t *testing.T) {
	for _, secure := range []bool{false, true} {
		var hung, given atomic.Int64
		_, e := goServer(t, secure, true, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Hang") != "" {
				hung.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				given.Add(1)
				return
			}
			echo(w, r)
		})
		hanging := e
		hanging.Name, hanging.Headers = "hanging", []Header{{"X-Hang", "1"}}
		l := newLoop(t, nil, e, hanging)
		l.connected(0, 1)
		l.connected(1, 1)
		for i := range int64(10) {
			good, late := &Call{Endpoint: 0}, &Call{Endpoint: 1}
			l.turn(func(p *Pool, now unit.MonoTime) {
				late.Deadline = now.Add(time.Hour)
				if r := p.Send(late, []byte("x"), now); r != Accepted {
					t.Fatal(r)
				}
			})
			eventually(t, func() bool { return hung.Load() == i+1 })
			l.turn(func(p *Pool, _ unit.MonoTime) { p.Cancel(late) })
			l.call(patience, []*Call{good}, []byte("x"))
			if good.Outcome != Answered {
				t.Fatalf("%v", good.Outcome)
			}
			eventually(t, func() bool { return given.Load() == i+1 })
		}
		if s := l.stats(1); s.Opened != 1 || s.Closed != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// TestSessionResumption: a second connection resumes the first one's session.
func TestSessionResumption(t *testing.T) {
	server, e := goServer(t, true, true, echo)
	l := newLoop(t, func(c *Config) { c.BackoffMin, c.BackoffMax = time.Millisecond, 10*time.Millisecond }, e)
	c := new(Call)
	for opened := uint64(1); l.stats(0).Resumed == 0; opened = l.stats(0).Opened {
		if opened > 20 {
			t.Fatalf("%+v", l.stats(0))
		}
		l.connected(0, 1)
		l.call(patience, []*Call{c}, []byte("x"))
		server.CloseClientConnections()
		eventually(t, func() bool { return l.stats(0).Opened > opened })
	}
}

// TestTLSFaults: what is wrong with a certificate or a protocol is told.
func TestTLSFaults(t *testing.T) {
	_, e := goServer(t, true, false, echo)
	stranger, only2, name := e, e, e
	stranger.Name, stranger.RootCAs = "stranger", x509.NewCertPool()
	only2.Name, only2.Protocol = "only2", HTTP2
	name.Name, name.ServerName = "name", "other.example"
	l := newLoop(t, nil, stranger, only2, name)
	for i, want := range []string{"certificate", "TLS", "other.example"} {
		eventually(t, func() bool { return l.stats(EndpointID(i)).Reason != "" })
		if s := l.stats(EndpointID(i)); !strings.Contains(s.Reason, want) || s.Conns != 0 {
			t.Errorf("%+v, want a reason with %q", s, want)
		}
	}
}

// TestNotListening: nobody there is a reason too, and a name without an address.
func TestNotListening(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	url := server.URL
	server.Close()
	l := newLoop(t, nil, Endpoint{Name: "a", URL: url})
	eventually(t, func() bool { return l.stats(0).Failures >= 2 })
	if s := l.stats(0); !strings.Contains(s.Reason, "refused") {
		t.Errorf("%+v", s)
	}
}
