package ingress

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// large answers with its path and 60 KB.
var large = handlerFunc(func(x *Exchange, f *Flusher) {
	x.Out = append(x.Out[:0], x.Req.Path...)
	for len(x.Out) < 60<<10 {
		x.Out = append(x.Out, "0123456789abcdef"...)
	}
	x.Reply(f, 200, ReplyHeaders{})
})

// TestSteadySlowReaderIsKept: it takes many times WriteTimeout to read what it
// asked for, and its backlog does not once become empty for longer than that;
// but it goes on taking.
func TestSteadySlowReaderIsKept(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.WriteTimeout = 300 * time.Millisecond
	cfg.BacklogBytesMax = 256 << 10
	s := serve(t, cfg, large)
	client := dial(t, s)
	_ = client.SetReadBuffer(128 << 10)
	c := connection(t, s)
	const n = 80
	go func() {
		for i := range n {
			_, _ = io.WriteString(client, post(fmt.Sprintf("/%04d", i), ""))
		}
	}()
	waitFor(t, func() bool { return s.metrics.slowed.Load() > 0 })
	longest := make(chan time.Duration)
	stop := make(chan struct{})
	go func() { // how long it waited in one piece
		var most time.Duration
		from := time.Now()
		for tick := time.Tick(5 * time.Millisecond); ; {
			select {
			case <-stop:
				longest <- most
				return
			case <-tick:
			}
			c.mu.Lock()
			waiting := c.waiting
			c.mu.Unlock()
			if !waiting {
				from = time.Now()
			}
			most = max(most, time.Since(from))
		}
	}()
	br := bufio.NewReaderSize(client, 60<<10)
	for i := range n {
		if _, body, _ := answer(t, br, "POST"); !strings.HasPrefix(body, fmt.Sprintf("/%04d", i)) {
			t.Fatalf("%d: %.20q", i, body)
		}
		time.Sleep(30 * time.Millisecond)
	}
	close(stop)
	if most := <-longest; most <= cfg.WriteTimeout {
		t.Skipf("the socket buffers took it all: it waited only %v at most", most)
	}
}

// TestDribblingReaderIsDropped: it takes something all the time, but a quarter of
// what is due.
func TestDribblingReaderIsDropped(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.WriteTimeout = 400 * time.Millisecond
	cfg.BacklogBytesMax = 32 << 20
	s := serve(t, cfg, large)
	client := dial(t, s)
	_ = client.SetReadBuffer(128 << 10)
	go func() { _, _ = io.WriteString(client, strings.Repeat(post("/", ""), 400)) }()
	go func() {
		b := make([]byte, 32<<10)
		for {
			if _, err := client.Read(b); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	waitFor(t, func() bool { return s.metrics.timeouts[timeoutWrite].Load() == 1 })
	waitFor(t, func() bool { return s.Connections() == 0 })
}

// TestLingerWaitsForTheLastAnswer: a client that reads the last answer slowly
// gets all of it, though it takes longer than LingerTimeout and it has sent
// more than was served; one that does not read it is cut off.
func TestLingerWaitsForTheLastAnswer(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.LingerTimeout, cfg.WriteTimeout = 100*time.Millisecond, 400*time.Millisecond
	cfg.BacklogBytesMax = 8 << 20
	size := 1 << 20
	s := serve(t, cfg, handlerFunc(func(x *Exchange, f *Flusher) {
		x.Out = append(x.Out[:0], make([]byte, size)...)
		x.Reply(f, 200, ReplyHeaders{})
	}))
	for _, reads := range []bool{true, false} {
		client := dial(t, s)
		_ = client.SetReadBuffer(64 << 10)
		c := connection(t, s)
		c.mu.Lock()
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
		c.mu.Unlock()
		say(t, client, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"+post("/", "more"))
		if !reads {
			waitFor(t, func() bool { return s.metrics.timeouts[timeoutWrite].Load() == 1 })
			waitFor(t, func() bool { return s.Connections() == 0 })
			continue
		}
		got := 0
		b := make([]byte, 32<<10)
		for {
			n, err := client.Read(b)
			got += n
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("after %d bytes: %v", got, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if got < size {
			t.Errorf("%d bytes", got)
		}
		_ = client.Close()
		waitFor(t, func() bool { return s.Connections() == 0 })
	}
}
