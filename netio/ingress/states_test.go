package ingress

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// stubborn answers by the path: in full, not at all, or without ever flushing.
type stubborn struct {
	mu   sync.Mutex
	held []*Exchange
	kept Flusher
}

func (h *stubborn) Serve(x *Exchange, f *Flusher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch string(x.Req.Path) {
	case "/never":
		h.held = append(h.held, x)
	case "/unflushed":
		x.Reply(&h.kept, 200, ReplyHeaders{})
	case "/large":
		large.Serve(x, f)
	default:
		x.Reply(f, 200, ReplyHeaders{})
	}
}

// TestEveryStateEnds puts a connection into each state of doc.go's table. The
// peer does nothing more: it does not even read or close.
func TestEveryStateEnds(t *testing.T) {
	cfg := testConfig()
	cfg.HeadTimeout, cfg.BodyTimeout, cfg.IdleTimeout = 60*time.Millisecond, 80*time.Millisecond, 100*time.Millisecond
	cfg.AnswerTimeout, cfg.WriteTimeout, cfg.LingerTimeout = 120*time.Millisecond, 100*time.Millisecond, 60*time.Millisecond
	cfg.PipelineMax = 2
	h := &stubborn{}
	s := serve(t, cfg, h)
	timeout := func(k timeoutKind) func() uint64 { return s.metrics.timeouts[k].Load }
	shut := func(c *net.TCPConn) { _ = c.CloseWrite() }
	flood := func(pause time.Duration, piece int) func(c *net.TCPConn) {
		return func(c *net.TCPConn) {
			go func() {
				for b := make([]byte, piece); ; time.Sleep(pause) {
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			}()
		}
	}
	const head = "POST / HTTP/1.1\r\nHost: h\r\n"
	unread := strings.Repeat(post("/large", ""), 400)
	for _, c := range []struct {
		name  string
		in    string
		then  func(c *net.TCPConn)
		count func() uint64
	}{
		{"silent", "", nil, timeout(timeoutIdle)},
		{"silent after an answer", post("/", ""), nil, timeout(timeoutIdle)},
		{"line ends", "\r\n\r\n", nil, timeout(timeoutHead)},
		{"head", head, nil, timeout(timeoutHead)},
		{"head behind an answer", post("/", "") + head, nil, timeout(timeoutHead)},
		{"head behind an answer that is due", post("/never", "") + head, nil, timeout(timeoutAnswer)},
		{"body", head + "Content-Length: 9\r\n\r\nabc", nil, timeout(timeoutBody)},
		{"no body after 100 Continue", head + "Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", nil, timeout(timeoutBody)},
		{"chunk", head + "Transfer-Encoding: chunked\r\n\r\n9\r\nabc", nil, timeout(timeoutBody)},
		{"trailers", head + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n", nil, timeout(timeoutBody)},
		{"unanswered", post("/never", ""), nil, timeout(timeoutAnswer)},
		{"unanswered, half-closed", post("/never", ""), shut, timeout(timeoutAnswer)},
		{"unanswered, input waits", strings.Repeat(post("/never", ""), 10), nil, timeout(timeoutAnswer)},
		{"unanswered, input waits, half-closed", strings.Repeat(post("/never", ""), 10), shut, timeout(timeoutAnswer)},
		{"unanswered, an error behind", post("/never", "") + "NONSENSE\r\n\r\n", nil, timeout(timeoutAnswer)},
		{"unflushed", post("/unflushed", ""), nil, timeout(timeoutAnswer)},
		{"unflushed, half-closed", post("/unflushed", ""), shut, timeout(timeoutAnswer)},
		{"does not read", unread, nil, timeout(timeoutWrite)},
		{"does not read, half-closed", unread, shut, timeout(timeoutWrite)},
		{"lingering", "NONSENSE\r\n\r\n", nil, timeout(timeoutLinger)},
		{"lingering after a timeout", head, nil, timeout(timeoutLinger)},
		{"lingering, sends a little", "NONSENSE\r\n\r\n", flood(5*time.Millisecond, 10), timeout(timeoutLinger)},
		{"lingering, sends a lot", "NONSENSE\r\n\r\n", flood(0, 64<<10), s.metrics.overflows.Load},
		{"half-closed at once", "", shut, s.metrics.accepted.Load},
		{"half-closed in a head", head, shut, s.metrics.accepted.Load},
		{"half-closed in a body", head + "Content-Length: 9\r\n\r\nabc", shut, s.metrics.accepted.Load},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := c.count()
			client := dial(t, s)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = io.WriteString(client, c.in)
				if c.then != nil {
					c.then(client)
				}
			}()
			waitFor(t, func() bool { return c.count() > before })
			waitFor(t, func() bool { return s.Connections() == 0 })
			_ = client.Close()
			<-sent
			if n := s.buffered.Load(); n != 0 {
				t.Errorf("%d bytes are still buffered", n)
			}
		})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept.Flush()
	for _, x := range h.held {
		x.Reply(nil, 200, ReplyHeaders{})
	}
	if n := s.InFlight(); n != 0 {
		t.Errorf("%d exchanges were not returned", n)
	}
}

// TestOrphan: what the kernel holds for a client that has half-closed is sent as
// long as the client takes it, and not kept for the minutes that probing a client
// that does not read would take.
func TestOrphan(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.WriteTimeout = time.Second // the kernel's clock, not ours
	s := serve(t, cfg, large)
	orphan := func() *net.TCPConn {
		client := dial(t, s)
		_ = client.SetReadBuffer(64 << 10)
		say(t, client, strings.Repeat(post("/", ""), 8)) // the kernel takes it all
		_ = client.CloseWrite()
		return client
	}
	slow, deaf := orphan(), orphan()
	waitFor(t, func() bool { return s.metrics.accepted.Load() == 2 && s.Connections() == 0 })
	got := 0
	for b := make([]byte, 8<<10); ; time.Sleep(25 * time.Millisecond) {
		n, err := slow.Read(b)
		got += n
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
	}
	if got < 8*60<<10 {
		t.Errorf("a slow reader got %d bytes", got)
	}
	time.Sleep(time.Second)
	if n, err := io.Copy(io.Discard, deaf); err == nil {
		t.Errorf("a client that did not read still got all %d bytes", n)
	}
}
