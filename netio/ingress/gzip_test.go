package ingress

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"millrace/codec/http1"
)

// TestGzipAnswers: who asks for gzip gets it where it pays, who does not does
// not, and a cache is told that the two differ.
func TestGzipAnswers(t *testing.T) {
	large, small := strings.Repeat(`{"price":1.25},`, 500), strings.Repeat("x", 99)
	r := rand.New(rand.NewPCG(1, 2))
	dense := make([]byte, 4096)
	for i := range dense {
		dense[i] = byte(r.Uint32())
	}
	bodies := map[string]string{"/large": large, "/small": small, "/dense": string(dense), "/empty": ""}
	h := handlerFunc(func(x *Exchange, f *Flusher) {
		x.Out = append(x.Out[:0], bodies[string(x.Req.Path)]...)
		status := 200
		if len(x.Out) == 0 {
			status = 204
		}
		x.Reply(f, status, ReplyHeaders{ContentType: http1.TypeJSON})
	})
	cfg := testConfig()
	cfg.GzipBytesMin = 100
	off := cfg
	off.GzipBytesMin = 0
	servers := map[bool]*Server{true: serve(t, cfg, h), false: serve(t, off, h)}
	for _, k := range []struct {
		on             bool
		path, accept   string
		zipped, varies bool
	}{
		{true, "/large", "gzip", true, true}, {true, "/large", "deflate, gzip;q=0.5", true, true}, {true, "/large", "*", true, true}, {true, "/large", "", false, true}, {true, "/large", "gzip;q=0", false, true}, {true, "/large", "br", false, true},
		{true, "/small", "gzip", false, false}, {true, "/dense", "gzip", false, true}, {true, "/empty", "gzip", false, false}, {false, "/large", "gzip", false, false},
	} {
		c := dial(t, servers[k.on])
		br := bufio.NewReader(c)
		for _, method := range []string{"GET", "HEAD", "GET"} {
			say(t, c, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\nAccept-Encoding: %s\r\n\r\n", method, k.path, k.accept))
			_, body, resp := answer(t, br, method)
			if vary := resp.Header.Get("Vary"); (vary == "Accept-Encoding") != k.varies {
				t.Errorf("%s %s for %q: Vary %q", method, k.path, k.accept, vary)
			}
			if method == "HEAD" {
				continue
			}
			if zipped := resp.Header.Get("Content-Encoding") == "gzip"; zipped != k.zipped {
				t.Errorf("%s for %q: zipped %v", k.path, k.accept, zipped)
				continue
			}
			if k.zipped {
				z, err := gzip.NewReader(strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				plain, err := io.ReadAll(z)
				if err != nil || len(body) >= len(plain) {
					t.Errorf("%v: %d bytes of %d", err, len(body), len(plain))
				}
				body = string(plain)
			}
			if body != bodies[k.path] {
				t.Errorf("%s for %q: %d bytes", k.path, k.accept, len(body))
			}
		}
	}
}

// Compressed answers of a pipeline leave in the order of their requests.
func TestGzipAnswersInAPipeline(t *testing.T) {
	cfg := testConfig()
	cfg.GzipBytesMin = 100
	s := serve(t, cfg, echo)
	c := dial(t, s)
	br := bufio.NewReader(c)
	text := ""
	for i := range 8 {
		body := strings.Repeat(fmt.Sprint(i), 50+100*(i%2))
		text += fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body)
	}
	say(t, c, text)
	for i := range 8 {
		_, body, resp := answer(t, br, "POST")
		if zipped := resp.Header.Get("Content-Encoding") == "gzip"; zipped != (i%2 == 1) {
			t.Fatalf("answer %d: zipped %v", i, zipped)
		} else if zipped {
			z, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			body = string(plain)
		}
		if want := fmt.Sprintf("POST /%d %s", i, strings.Repeat(fmt.Sprint(i), 50+100*(i%2))); body != want {
			t.Fatalf("answer %d: %q", i, body)
		}
	}
}

func TestAllocGzipAnswer(t *testing.T) {
	cfg := testConfig()
	cfg.GzipBytesMin, cfg.SweepInterval = 100, Default().SweepInterval
	s := serve(t, cfg, &fixedAnswer{body: []byte(strings.Repeat(`{"price":1.25}`, 300))})
	c := dial(t, s)
	request := []byte("POST /openrtb2/auction HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")
	buf := make([]byte, 64<<10)
	size := 0
	say(t, c, string(request))
	for {
		n, err := c.Read(buf[size:])
		if err != nil {
			t.Fatal(err)
		}
		size += n
		var length int
		if head, body, ok := strings.Cut(string(buf[:size]), "\r\n\r\n"); ok {
			if !strings.Contains(head, "Content-Encoding: gzip") {
				t.Fatal(head)
			}
			_, _ = fmt.Sscanf(head[strings.Index(head, "Content-Length:"):], "Content-Length: %d", &length)
			if len(body) == length {
				break
			}
		}
	}
	loop := &exchangeLoop{conn: c, request: request, buf: buf, size: size}
	least := ^uint64(0)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := loop.run(300); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	if least > 3 {
		t.Errorf("%d allocations in 300 requests", least)
	}
}
