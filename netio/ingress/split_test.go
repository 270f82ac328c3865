package ingress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// script is requests of every form back to back, the last one closing.
func script() string {
	zipped := zip("zipped zipped zipped")
	const host = "Host: h\r\n"
	return post("/1", "one") +
		"GET /2?q HTTP/1.1\r\n" + host + "\r\n" +
		"POST /3 HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3;e=f\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n" +
		fmt.Sprintf("POST /4 HTTP/1.1\r\n"+host+"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(zipped), zipped) +
		"\r\n" + post("/5", strings.Repeat("five", 700)) +
		fmt.Sprintf("POST /6 HTTP/1.1\r\n"+host+"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(zipped), zipped) +
		"GET /7 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" +
		"GET /8 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"
}

// exchangeAll sends the pieces and reads to the end.
func exchangeAll(t testing.TB, addr string, pieces [][]byte, pause time.Duration) []byte {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(8 * time.Second))
	go func() {
		for _, p := range pieces {
			if _, err := c.Write(p); err != nil {
				return
			}
			time.Sleep(pause)
		}
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	var got bytes.Buffer
	if _, err = io.Copy(&got, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the connection was not closed; until then:\n%s", got.Bytes())
	}
	return got.Bytes()
}

// TestSplitsDoNotMatter: however the bytes of a connection are cut into
// segments, and wherever its handler answers, the answers are the same.
func TestSplitsDoNotMatter(t *testing.T) {
	cfg := testConfig()
	cfg.Date = false
	small := cfg
	small.PipelineMax = 1 // every further request has to wait for room
	h := newLater(t, 2, func() time.Duration { return 0 })
	same := handlerFunc(func(x *Exchange, f *Flusher) {
		x.Out = append(append(x.Out[:0], x.Req.Path...), x.Body...)
		x.Reply(f, 200, ReplyHeaders{})
	})
	all := []byte(script())
	servers := map[string]*Server{
		"on the poller": serve(t, cfg, same), "elsewhere": serve(t, cfg, h), "elsewhere, one at a time": serve(t, small, h),
	}
	want := exchangeAll(t, servers["on the poller"].Addr().String(), [][]byte{all}, 0)
	if n := bytes.Count(want, []byte("HTTP/1.1 200 OK")); n != 8 {
		t.Fatalf("%d answers:\n%s", n, want)
	}
	r := rand.New(rand.NewPCG(3, 5))
	for name, s := range servers {
		for round := range 40 {
			pieces := cut(r, all, round)
			if got := exchangeAll(t, s.Addr().String(), pieces, 50*time.Microsecond); !bytes.Equal(got, want) {
				t.Fatalf("%s, round %d:\n%s\nwant\n%s", name, round, got, want)
			}
		}
	}
}

// cut splits at a few places, and in late rounds into dribbles.
func cut(r *rand.Rand, b []byte, round int) (pieces [][]byte) {
	size := len(b) / (1 + round%7)
	if round%10 == 9 {
		size = 25
	}
	for len(b) > 0 {
		n := min(len(b), 1+r.IntN(2*size))
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return pieces
}

// FuzzConnection: any bytes, cut anywhere, get the same answers as in one piece,
// and nothing stays behind.
func FuzzConnection(f *testing.F) {
	cfg := testConfig()
	cfg.Date = false
	s := serve(f, cfg, echo)
	f.Add([]byte(script()), 100)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGARBAGE\r\n\r\n"), 60)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 57)
	f.Fuzz(func(t *testing.T, in []byte, at int) {
		if bytes.Contains(bytes.ToLower(in), []byte("expect")) {
			return // whether "100 Continue" is sent depends on what has arrived
		}
		at = min(max(at, 0), len(in))
		addr := s.Addr().String()
		whole := exchangeAll(t, addr, [][]byte{in}, 0)
		split := exchangeAll(t, addr, [][]byte{in[:at], in[at:]}, 100*time.Microsecond)
		if !bytes.Equal(whole, split) {
			t.Fatalf("cut at %d:\n%s\nin one piece:\n%s", at, split, whole)
		}
		if len(whole) > 0 && !bytes.HasPrefix(whole, []byte("HTTP/1.1 ")) {
			t.Fatalf("%q", whole)
		}
	})
}
