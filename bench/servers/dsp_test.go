package servers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/bench/servers"
	"millrace/codec/unit"
	"millrace/netio/dsp"
)

// bidder drives netio/dsp from the test's own goroutine.
type bidder struct {
	t     *testing.T
	pool  *dsp.Pool
	start time.Time
}

// bidderPatience bounds the wait for what has to come.
const bidderPatience = time.Minute

func newBidder(t *testing.T, list ...dsp.Endpoint) *bidder {
	t.Helper()
	endpoints, err := dsp.Prepare(list, "millrace")
	if err != nil {
		t.Fatal(err)
	}
	b := &bidder{t: t, start: time.Now()}
	cfg := dsp.Default()
	cfg.DialTimeout, cfg.PingAfter, cfg.RequestBytesMax = bidderPatience, bidderPatience, 4<<20
	if b.pool, err = dsp.New(cfg, endpoints, b.now()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.pool.Close)
	return b
}

func (b *bidder) now() unit.MonoTime { return unit.MonoTime(time.Since(b.start)) + 1 }

// until takes turns until something holds, and counts outcomes.
func (b *bidder) until(what string, holds func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(bidderPatience); !holds(); {
		if time.Now().After(deadline) {
			b.t.Fatalf("never: %s (%+v)", what, b.pool.Stats(0))
		}
		_ = b.pool.Poll(time.Millisecond)
		b.pool.Ready(b.now())
		b.pool.Tick(b.now())
		for more := true; more; {
			_, more = b.pool.Next()
		}
		b.pool.Flush()
	}
}

// call makes calls at once and waits for all of them.
func (b *bidder) call(timeout time.Duration, n int, body string) []*dsp.Call {
	b.t.Helper()
	calls := make([]*dsp.Call, n)
	for i := range calls {
		calls[i] = &dsp.Call{Deadline: b.now().Add(timeout)}
		if r := b.pool.Send(calls[i], []byte(body), b.now()); r != dsp.Accepted {
			b.t.Fatalf("refused: %v (%+v)", r, b.pool.Stats(0))
		}
	}
	b.pool.Flush()
	b.until("outcomes", func() bool {
		for _, c := range calls {
			if c.Outcome == dsp.Pending {
				return false
			}
		}
		return true
	})
	return calls
}

// answered makes calls that have to be answered so.
func (b *bidder) answered(n int, body, want string) {
	b.t.Helper()
	for _, c := range b.call(bidderPatience, n, body) {
		if c.Outcome != dsp.Answered || c.Status != 200 || string(c.Response) != want {
			b.t.Fatalf("%v, %d, %d bytes %.80q (%+v)", c.Outcome, c.Status, len(c.Response), c.Response, b.pool.Stats(0))
		}
		b.pool.Release(c)
	}
}

// TestNghttpd sends bodies of many sizes through windows of many sizes, with a
// header table and without, padded and not, and gets them back.
func TestNghttpd(t *testing.T) {
	for _, options := range [][]string{
		nil,
		{"--max-concurrent-streams=3", "--header-table-size=0", "--encoder-header-table-size=0"},
		{"--window-bits=8", "--connection-window-bits=16", "--padding=100"}, // a stream's window of 255 bytes
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v,secure=%v", options, secure), func(t *testing.T) {
				server := servers.Nghttpd(t, secure, options...)
				e := dsp.Endpoint{Name: "nghttpd", URL: "http://" + server.Addr + "/rtb", Protocol: dsp.HTTP2}
				if secure {
					e.URL, e.Protocol, e.RootCAs, e.ServerName = "https://"+server.Addr+"/rtb", dsp.Auto, server.RootCAs, "localhost"
				}
				b := newBidder(t, e)
				b.until("connection", func() bool { return b.pool.Stats(0).Conns > 0 })
				for _, size := range []int{1, 1500, 70_000} {
					for range 3 {
						body := strings.Repeat("x", size)
						b.answered(10, body, body)
					}
				}
				if s := b.pool.Stats(0); s.Closed != 0 || !s.HTTP2 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// TestNghttpdLateCalls has the server stand still until calls are late: it is told
// by RST_STREAM, as its own log shows, and the connection is used again.
func TestNghttpdLateCalls(t *testing.T) {
	server := servers.Nghttpd(t, false)
	b := newBidder(t, dsp.Endpoint{Name: "nghttpd", URL: "http://" + server.Addr + "/rtb", Protocol: dsp.HTTP2})
	b.answered(1, "before", "before")
	opened := b.pool.Stats(0).Opened
	server.Pause()
	for _, c := range b.call(20*time.Millisecond, 5, "late") {
		if c.Outcome != dsp.TimedOut {
			t.Errorf("%v", c.Outcome)
		}
	}
	server.Resume()
	b.answered(3, "after", "after")
	if s := b.pool.Stats(0); s.Opened != opened || s.Closed != 0 {
		t.Errorf("%+v", s)
	}
	b.until("log", func() bool { return strings.Count(server.Log(), "recv RST_STREAM") == 5 })
	if n := strings.Count(server.Log(), "(error_code=CANCEL"); n != 5 {
		t.Errorf("%d of CANCEL in\n%s", n, server.Log())
	}
	// A crash costs its calls and nothing more.
	server.Kill()
	b.until("closed", func() bool { return b.pool.Stats(0).Conns == 0 })
	server.Start()
	b.until("another connection", func() bool { return b.pool.Stats(0).Conns > 0 })
	b.answered(3, "again", "again")
}

// TestNginx has nginx answer, by every protocol it speaks, and end connections after
// a few requests: what it has not processed it says so, and nothing else is lost.
func TestNginx(t *testing.T) {
	const answer = `{"id":"1","seatbid":[]}`
	for _, c := range []struct {
		parameters string
		protocol   dsp.Protocol
		http2      bool
	}{
		{"", dsp.HTTP1, false}, {"http2", dsp.HTTP2, true}, {"ssl http2", dsp.Auto, true}, {"ssl", dsp.Auto, false}, {"ssl http2", dsp.HTTP1, false},
	} {
		t.Run(fmt.Sprintf("%q,%d", c.parameters, c.protocol), func(t *testing.T) {
			server := servers.Nginx(t, c.parameters, `keepalive_requests 50; gzip on; gzip_min_length 1; gzip_types application/json;
				location / { default_type application/json; return 200 '`+answer+`'; }`)
			e := dsp.Endpoint{
				Name: "nginx", URL: "http://" + server.Addr + "/rtb", Protocol: c.protocol, GzipResponse: true, ConnsMin: 2, ConnsMax: 8,
			}
			if strings.Contains(c.parameters, "ssl") {
				e.URL, e.RootCAs, e.ServerName = "https://"+server.Addr+"/rtb", server.RootCAs, "localhost"
			}
			b := newBidder(t, e)
			b.until("connections", func() bool { return b.pool.Stats(0).Conns > 1 })
			answered, turned := 0, 0
			for answered < 500 {
				for _, call := range b.call(bidderPatience, 8, `{"id":"1"}`) {
					switch {
					case call.Outcome == dsp.Answered && call.Status == 200 && string(call.Response) == answer:
						answered++
					case call.Outcome == dsp.Unprocessed, call.Outcome == dsp.Lost && !c.http2:
						turned++ // the connection's last requests; over HTTP/1.1 there is no saying so
					default:
						t.Fatalf("%v, %d %q (%+v)", call.Outcome, call.Status, call.Response, b.pool.Stats(0))
					}
					b.pool.Release(call)
				}
			}
			s := b.pool.Stats(0)
			t.Logf("%d answered, %d turned away, %+v", answered, turned, s)
			if s.HTTP2 != c.http2 || s.Opened < 8 || turned > answered/5 {
				t.Errorf("%+v", s)
			}
			if strings.Contains(c.parameters, "ssl") && s.Resumed == 0 {
				t.Errorf("no TLS session was resumed: %+v", s)
			}
		})
	}
}

// TestNginxDrip: an answer that drips is given up at its deadline, on a connection
// that goes on.
func TestNginxDrip(t *testing.T) {
	server := servers.Nginx(t, "http2", `location /drip { limit_rate 10; return 200 '`+strings.Repeat("drip ", 100)+`'; }`)
	b := newBidder(t, dsp.Endpoint{Name: "nginx", URL: "http://" + server.Addr + "/drip", Protocol: dsp.HTTP2})
	b.until("connection", func() bool { return b.pool.Stats(0).Conns > 0 })
	for range 3 {
		for _, c := range b.call(100*time.Millisecond, 5, "x") {
			if c.Outcome != dsp.TimedOut {
				t.Errorf("%v, %d bytes", c.Outcome, len(c.Response))
			}
		}
	}
	if s := b.pool.Stats(0); s.Opened != 1 || s.Closed != 0 {
		t.Errorf("%+v", s)
	}
}
