package ingress

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"millrace/shards"
)

// large answers with its path and 60 KB.
var large = handlerFunc(func(x *Exchange, f *Flusher) {
	x.Out = append(x.Out[:0], x.Req.Path...)
	for len(x.Out) < 60<<10 {
		x.Out = append(x.Out, "0123456789abcdef"...)
	}
	x.Reply(f, 200, ReplyHeaders{})
})

// stepped is a server whose time, and sweep, the test moves.
type stepped struct {
	*Server
	clock *shards.ManualClock
}

func serveStepped(t *testing.T, cfg Config, h Handler) *stepped {
	t.Helper()
	cfg.SweepInterval = time.Hour
	// Its time may run ahead of the poller and the slow lane; not of the bytes.
	cfg.HeadTimeout, cfg.AnswerTimeout, cfg.IdleTimeout = time.Hour, time.Hour, time.Hour
	clock := shards.NewManualClock(0)
	return &stepped{serveBy(t, cfg, clock, h), clock}
}

func (s *stepped) step(d time.Duration) {
	s.clock.Advance(d)
	s.sweepOnce(nil)
}

// TestSteadySlowReaderIsKept: it takes many times WriteTimeout to read what it
// asked for, and its backlog waits longer than that in one piece; but it goes on
// taking.
func TestSteadySlowReaderIsKept(t *testing.T) {
	cfg := testConfig()
	cfg.BacklogBytesMax = 256 << 10
	s := serveStepped(t, cfg, large)
	client := dial(t, s.Server)
	_ = client.SetReadBuffer(128 << 10)
	c := connection(t, s.Server)
	const n = 100
	go func() {
		for i := range n {
			_, _ = io.WriteString(client, post(fmt.Sprintf("/%04d", i), ""))
		}
	}()
	waitFor(t, func() bool { return s.metrics.slowed.Load() > 0 })
	pause := cfg.WriteTimeout / 6
	var waited, longest time.Duration
	br := bufio.NewReaderSize(client, 60<<10)
	for i := range n {
		if _, body, _ := answer(t, br, "POST"); !strings.HasPrefix(body, fmt.Sprintf("/%04d", i)) {
			t.Fatalf("%d: %.20q", i, body)
		}
		s.step(pause)
		c.mu.Lock()
		waited += pause
		if !c.waiting {
			waited = 0
		}
		c.mu.Unlock()
		longest = max(longest, waited)
	}
	if longest <= cfg.WriteTimeout {
		t.Skipf("the socket buffers took too much: it waited only %v at most", longest)
	}
}

// TestDribblingReaderIsDropped: it takes something all the time, but a quarter of
// what is due.
func TestDribblingReaderIsDropped(t *testing.T) {
	cfg := testConfig()
	cfg.BacklogBytesMax = 32 << 20
	s := serveStepped(t, cfg, large)
	client := dial(t, s.Server)
	_ = client.SetReadBuffer(128 << 10)
	go func() { _, _ = io.WriteString(client, strings.Repeat(post("/", ""), 400)) }()
	waitFor(t, func() bool { return s.metrics.requests.Load() >= 200 })
	b := make([]byte, 32<<10)
	for read := 0; s.metrics.timeouts[timeoutWrite].Load() == 0; {
		n, err := io.ReadFull(client, b)
		if read += n; err != nil || read > 8<<20 {
			t.Fatalf("after %d bytes: %v", read, err)
		}
		s.step(cfg.WriteTimeout / 8)
	}
	waitFor(t, func() bool { return s.Connections() == 0 })
}

// TestLingerWaitsForTheLastAnswer: a client that reads the last answer slowly
// gets all of it, though it takes longer than LingerTimeout and it has sent
// more than was served; one that does not read it is cut off.
func TestLingerWaitsForTheLastAnswer(t *testing.T) {
	cfg := testConfig()
	cfg.BacklogBytesMax = 2 << 20
	size := 1 << 20
	s := serveStepped(t, cfg, handlerFunc(func(x *Exchange, f *Flusher) {
		x.Out = append(x.Out[:0], make([]byte, size)...)
		x.Reply(f, 200, ReplyHeaders{})
	}))
	for _, reads := range []bool{true, false} {
		client := dial(t, s.Server)
		_ = client.SetReadBuffer(64 << 10)
		c := connection(t, s.Server)
		c.mu.Lock()
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
		c.mu.Unlock()
		say(t, client, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"+post("/", "more"))
		if !reads {
			waitFor(t, func() bool {
				s.step(cfg.WriteTimeout / 4)
				return s.metrics.timeouts[timeoutWrite].Load() == 1
			})
			waitFor(t, func() bool { return s.Connections() == 0 })
			continue
		}
		got := 0
		for b := make([]byte, 32<<10); ; {
			n, err := io.ReadFull(client, b)
			if got += n; err == io.EOF || err == io.ErrUnexpectedEOF {
				break
			}
			if err != nil {
				t.Fatalf("after %d bytes: %v", got, err)
			}
			s.step(cfg.WriteTimeout / 8) // more than LingerTimeout
		}
		if got < size {
			t.Errorf("%d bytes", got)
		}
		_ = client.Close()
		waitFor(t, func() bool { return s.Connections() == 0 })
	}
}
