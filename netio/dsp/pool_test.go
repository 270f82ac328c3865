package dsp

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestPrepareFaults(t *testing.T) {
	_, err := Prepare([]Endpoint{
		{Name: "", URL: "http://a/"}, {Name: "b", URL: "ftp://b/"}, {Name: "b", URL: "https://"},
		{Name: "c", URL: "http://c/", ConnsMin: 9, ConnsMax: 3, StreamsMax: -1, QueueMax: 1 << 20, ResponseBytesMax: 7, Protocol: 9},
		{Name: "d", URL: "http://d/", Headers: []Header{{"Content-Length", "1"}, {"a b", "c"}, {"", "x"}, {"x", "y\r\nz: 1"}}},
		{Name: "e", URL: "http://user:pass@e/"}, {Name: "f", URL: "http://f/"},
	}, "mill\nrace")
	_, err2 := Prepare([]Endpoint{{Name: "g", URL: "http://g/" + strings.Repeat("g", 9000)}}, "")
	err = errors.Join(err, err2)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		": Name: empty", `b: URL: "ftp://b/"`, `b: URL: "https://"`, "b: Name: used twice", "c: ConnsMin: 9", "c: StreamsMax: -1",
		"c: QueueMax: 1048576", "c: ResponseBytesMax: 7", "c: Protocol: 9", `d: Headers: "Content-Length"`, `d: Headers: "a b"`,
		`d: Headers: ""`, `d: Headers: "x"`, "e: URL", "user agent", "g: Headers: 90",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	if err := new(Config).Validate(); err == nil || len(strings.Split(err.Error(), "\n")) != 15 {
		t.Errorf("%v", err)
	}
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.BackoffMin = 2 * c.BackoffMax
	if _, err := New(c, nil, 0); err == nil {
		t.Error("accepted")
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	w.peer2()
	for _, c := range []struct {
		call Call
		body string
		want Refused
	}{
		{Call{Endpoint: 1, Deadline: w.now + 1}, "x", RefusedEndpoint},
		{Call{Deadline: w.now}, "x", RefusedDeadline},
		{Call{Deadline: w.now + 1}, "", RefusedBody},
		{Call{Deadline: w.now + 1}, strings.Repeat("x", w.pool.cfg.RequestBytesMax+1), RefusedBody},
	} {
		if got := w.pool.Send(&c.call, []byte(c.body), w.now); got != c.want {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
}

// TestBackoff: attempts that fail are made less and less often, one at a time, and
// calls are refused meanwhile; when the peer is back it is found.
func TestBackoff(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.BackoffMin, c.BackoffMax = 100*time.Millisecond, 4*time.Second },
		Endpoint{Protocol: HTTP2, ConnsMin: 3, ConnsMax: 3})
	w.setRefuse(errors.New("connection refused"))
	w.until("first attempts", func() bool { return w.pool.dials == 0 })
	for len(w.peers) > 0 { // those that were under way before
		_ = (<-w.peers).Close()
	}
	w.until("down", func() bool { return w.pool.Stats(0).Conns == 0 && w.pool.dials == 0 })
	c := &Call{Deadline: w.now.Add(time.Second)}
	if r := w.pool.Send(c, []byte("x"), w.now); r != RefusedDown {
		t.Errorf("%v", r)
	}
	var gaps []time.Duration
	last, before := w.now, w.attempts()
	for len(gaps) < 9 {
		w.now = w.now.Add(sweepInterval)
		w.turn()
		if n := w.attempts(); n > before || w.pool.dials > 0 {
			w.until("attempt", func() bool { return w.pool.dials == 0 })
			if n = w.attempts(); n != before+1 {
				t.Fatalf("%d attempts at once", n-before)
			}
			gaps = append(gaps, w.now.Sub(last))
			last, before = w.now, n
		}
	}
	for i, gap := range gaps[3:] {
		if gap < 400*time.Millisecond || gap > 4*time.Second+sweepInterval {
			t.Errorf("gap %d: %v", i+3, gap)
		}
	}
	if s := w.pool.Stats(0); s.Reason != "connection refused" || s.Failures < 9 {
		t.Errorf("%+v", s)
	}
	w.setRefuse(nil)
	w.advance(4 * time.Second)
	w.until("all connections", func() bool { return w.pool.Stats(0).Conns == 3 })
}

// TestUselessPeer: one that accepts and hangs up is met with the same back-off.
func TestUselessPeer(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2})
	for range 5 {
		_ = w.peer().Close()
		closed := w.pool.Stats(0).Closed
		w.until("closed", func() bool { return w.pool.Stats(0).Closed > closed })
		w.now = w.now.Add(20 * time.Second)
	}
	if f := w.pool.targets[0].failures; f < 4 {
		t.Errorf("%d failures in a row", f)
	}
	// And one that never greets.
	w.peer()
	w.until("connected", func() bool { return w.pool.Stats(0).Conns == 1 })
	w.advance(w.pool.cfg.DialTimeout + time.Second)
	if s := w.pool.Stats(0); !strings.Contains(s.Reason, "no SETTINGS") {
		t.Errorf("%+v", s)
	}
}

// TestReload: what stays the same keeps its connections and calls, what is gone
// ends when its calls have, what is new is dialled.
func TestReload(t *testing.T) {
	w := newWorld(t, nil, Endpoint{Protocol: HTTP2}, Endpoint{Protocol: HTTP2})
	one, two := w.pair2()
	stays, goes := w.send(0, "stays"), w.send(1, "goes")
	w.turn()
	list, err := Prepare([]Endpoint{
		{Name: "new", URL: "http://new.example/", Protocol: HTTP2},
		{Name: "a", URL: "http://bid.example/a", Protocol: HTTP2, Headers: []Header{{"X-New", "1"}}},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	w.pool.SetEndpoints(list, w.now)
	w.turn()
	if s := w.pool.Stats(1); s.Opened != 1 || s.Calls != 1 {
		t.Errorf("%+v", s)
	}
	s1, _, _ := one.request()
	s2, _, _ := two.request()
	one.answer(s1, "x")
	two.answer(s2, "y")
	w.outcome(stays, Answered)
	w.outcome(goes, Answered)
	if code := two.closed(); code != http2.ErrCodeNo {
		t.Errorf("%v", code)
	}
	if p := w.peer2(); p.name != "new" {
		t.Errorf("dialled %s", p.name)
	}
	c := w.send(1, "z")
	w.turn()
	stream, header, _ := one.request()
	if f := header.Fields[len(header.Fields)-2]; f.Name != "x-new" {
		t.Errorf("%v", header)
	}
	one.answer(stream, "z")
	w.outcome(c, Answered)
}

// TestNameMoves: when a name has other addresses, connections to the old ones end
// as soon as there are new ones, and no call is lost.
func TestNameMoves(t *testing.T) {
	addrs := make(chan []netip.Addr, 100)
	w := newWorld(t, func(c *Config) {
		c.ResolveInterval, c.IdleTimeout = 10*time.Second, time.Hour
		c.Resolve = func(context.Context, string) ([]netip.Addr, error) { return <-addrs, nil }
	})
	list, _ := Prepare([]Endpoint{{Name: "a", URL: "http://bid.example/", Protocol: HTTP2}}, "")
	w.mu.Lock()
	w.remote = "192.0.2.1"
	w.mu.Unlock()
	w.pool.SetEndpoints(list, w.now)
	p := w.peer2()
	lookUp := func(found ...netip.Addr) {
		began := w.now
		for n := &w.pool.targets[0].lookUpAt; w.now <= *n && w.pool.dials == 0; { // the clock stands while somebody has to answer
			for _, c := range w.pool.targets[0].conns {
				c.h2.pinged, c.heard = 0, w.now // it is alive
			}
			w.advance(sweepInterval)
		}
		if d := w.now.Sub(began); d > 11*time.Second+sweepInterval {
			t.Errorf("looked up after %v", d)
		}
		addrs <- found
		w.until("looked up", func() bool { return !w.pool.targets[0].lookedUp })
	}
	lookUp(mustAddr("192.0.2.7"), mustAddr("192.0.2.1"))
	lookUp(mustAddr("192.0.2.1"))
	if s := w.pool.Stats(0); s.Opened != 1 || s.Dialing != 0 {
		t.Fatalf("%+v", s)
	}
	w.mu.Lock()
	w.remote = "192.0.2.9"
	w.mu.Unlock()
	lookUp(mustAddr("192.0.2.9"))
	w.until("replacement", func() bool { return w.pool.Stats(0).Opened == 2 })
	q := w.peer2()
	p.closed()
	c := w.send(0, "x")
	w.turn()
	stream, _, _ := q.request()
	q.answer(stream, "y")
	w.outcome(c, Answered)
}
