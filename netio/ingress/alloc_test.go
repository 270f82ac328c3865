package ingress

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"millrace/codec/http1"
	"millrace/shards"
)

var clockForTests = shards.SystemClock()

// fixedAnswer is a handler of the size that an auction's answer has.
type fixedAnswer struct{ body []byte }

func (h *fixedAnswer) Serve(x *Exchange, f *Flusher) {
	x.Out = append(x.Out[:0], h.body...)
	x.Reply(f, 200, ReplyHeaders{ContentType: http1.TypeJSON})
}

// hopper answers from another goroutine, over a bounded queue, in batches.
type hopper struct {
	answer fixedAnswer
	mu     sync.Mutex
	ring   []*Exchange
	wake   chan struct{}
}

func (h *hopper) Serve(x *Exchange, _ *Flusher) {
	h.mu.Lock()
	h.ring = append(h.ring, x)
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *hopper) run() {
	var f Flusher
	var batch []*Exchange
	for range h.wake {
		h.mu.Lock()
		batch, h.ring = h.ring, batch[:0]
		h.mu.Unlock()
		for _, x := range batch {
			h.answer.Serve(x, &f)
		}
		f.Flush()
	}
}

// exchangeLoop sends request as often as told over one connection and reads
// answers of the size of the first; it allocates nothing.
type exchangeLoop struct {
	conn    net.Conn
	request []byte
	buf     []byte
	size    int
}

func newExchangeLoop(t testing.TB, s *Server, request string, answers int) *exchangeLoop {
	l := &exchangeLoop{conn: dial(t, s), request: []byte(request), buf: make([]byte, 64<<10)}
	say(t, l.conn, request)
	for strings.Count(string(l.buf[:l.size]), "HTTP/1.1 ") < answers || !strings.HasSuffix(string(l.buf[:l.size]), "\n}") {
		n, err := l.conn.Read(l.buf[l.size:])
		if err != nil {
			t.Fatal(err)
		}
		l.size += n
	}
	return l
}

func (l *exchangeLoop) run(n int) error {
	for range n {
		if _, err := l.conn.Write(l.request); err != nil {
			return err
		}
		for got := 0; got < l.size; {
			k, err := l.conn.Read(l.buf)
			if err != nil {
				return err
			}
			got += k
		}
	}
	return nil
}

// TestAllocPerRequest counts allocations of the whole process over real sockets:
// plain, pipelined, chunked, gzipped, split over two segments; answered on the
// poller and from another goroutine.
func TestAllocPerRequest(t *testing.T) {
	answer := fixedAnswer{body: []byte(strings.Repeat("{}", 299) + "\n}")}
	hop := &hopper{answer: answer, wake: make(chan struct{}, 1)}
	go hop.run()
	body := strings.Repeat("x", 1500)
	zipped := zip(body)
	const host = "Host: ads.example\r\nContent-Type: application/json\r\n"
	for name, request := range map[string]struct {
		text    string
		answers int
	}{
		"plain":     {post("/openrtb2/auction", body), 1},
		"get":       {"GET /e/i?t=abcdef HTTP/1.1\r\n" + host + "\r\n", 1},
		"pipelined": {strings.Repeat(post("/openrtb2/auction", body), 8), 8},
		"chunked":   {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5dc\r\n" + body + "\r\n0\r\n\r\n", 1},
		"gzip":      {fmt.Sprintf("POST / HTTP/1.1\r\n"+host+"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(zipped), zipped), 1},
		"large":     {post("/openrtb2/auction", strings.Repeat("x", 40000)), 1},
	} {
		for mode, h := range map[string]Handler{"poller": &answer, "other goroutine": hop} {
			t.Run(name+" by "+mode, func(t *testing.T) {
				cfg := testConfig()
				cfg.SweepInterval = Default().SweepInterval
				s := serve(t, cfg, h)
				l := newExchangeLoop(t, s, request.text, request.answers)
				if err := l.run(200); err != nil {
					t.Fatal(err)
				}
				const n = 500
				least := ^uint64(0)
				// The runtime allocates now and then on its own; the least of a few
				// rounds is what the requests do.
				for range 4 {
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					if err := l.run(n); err != nil {
						t.Fatal(err)
					}
					runtime.ReadMemStats(&after)
					least = min(least, after.Mallocs-before.Mallocs)
				}
				if least > n/100 {
					t.Errorf("%d allocations in %d requests", least, n)
				}
			})
		}
	}
	close(hop.wake)
}
