package ingress

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRefusedBodyIsCutOff: whoever is cut off while sending is told so at once.
// A close that sends no reset leaves a client that has filled the window to its
// probes, for as long as the kernel keeps the orphan: a minute.
func TestRefusedBodyIsCutOff(t *testing.T) {
	cfg := testConfig()
	s := serve(t, cfg, echo)
	head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", 4<<20)
	huge := head + strings.Repeat("x", 4<<20)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				c, err := net.Dial("tcp", s.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(6 * time.Second))
				_, err = io.WriteString(c, huge)
				_ = c.Close()
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("neither read nor cut off; the server has %d connections", s.Connections())
					return
				}
			}
		})
	}
	wg.Wait()
}

// connection is the only one the server has.
func connection(t *testing.T, s *Server) *conn {
	t.Helper()
	waitFor(t, func() bool { return s.Connections() == 1 })
	return s.snapshot(nil)[0]
}

// TestCutOffWithFullWindow is the case in slow motion: the window is full when
// the connection is cut off, and only then does the poller come to read.
func TestCutOffWithFullWindow(t *testing.T) {
	cfg := testConfig()
	cfg.LingerTimeout = 300 * time.Millisecond
	s := serve(t, cfg, echo)
	client := dial(t, s)
	c := connection(t, s)
	say(t, client, "NONSENSE\r\n\r\n")
	waitFor(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.lingering })
	c.rmu.Lock() // the poller does not get to it
	_ = client.SetDeadline(time.Now().Add(6 * time.Second))
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(client, strings.Repeat("x", 64<<20))
		sent <- err
	}()
	waitFor(t, func() bool { return c.cut.Load() != notCut })
	c.rmu.Unlock()
	if err := <-sent; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("not cut off: %v", err)
	}
}
