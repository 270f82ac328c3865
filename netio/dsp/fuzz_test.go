package dsp

import (
	"testing"
	"time"
)

// FuzzPeer lets a peer with calls in flight send anything, in two parts: nothing
// panics, every call ends exactly once, and all memory comes back.
func FuzzPeer(f *testing.F) {
	for i, a := range abuses2 {
		if len(a.send) < 4000 {
			f.Add(true, uint16(i), []byte(a.send))
		}
	}
	f.Add(true, uint16(12), []byte(frame(1, 1, 4, 1, "\x88")+frame(3, 0, 1, 1, "abc")+frame(1, 1, 5, 3, "\x89")))
	f.Add(false, uint16(20), []byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"))
	f.Add(false, uint16(50), []byte("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n"))
	f.Add(false, uint16(40), []byte("HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, two bool, cut uint16, b []byte) {
		if len(b) > 64<<10 {
			return
		}
		e := Endpoint{Protocol: HTTP1, ConnsMax: 1, ResponseBytesMax: 4096}
		if two {
			e.Protocol = HTTP2
		}
		w := newWorld(t, nil, e)
		var calls []*Call
		var p *peer
		if two {
			p = w.peer2()
			calls = append(calls, w.send(0, "one"), w.send(0, "two"), w.send(0, "three"))
		} else {
			p, _ = w.peer1()
			calls = append(calls, w.send(0, "one"))
		}
		w.turn()
		at := min(int(cut), len(b))
		for _, part := range [][]byte{b[:at], b[at:]} {
			if len(part) > 0 {
				_, _ = p.Write(part)
				w.turn()
			}
		}
		if two && len(b)%3 == 0 && calls[1].flying {
			w.pool.Cancel(calls[1])
			calls = append(calls[:1], calls[2])
		}
		w.now = w.now.Add(time.Second)
		w.turn()
		if len(w.done) != len(calls) {
			t.Fatalf("%d outcomes for %d calls", len(w.done), len(calls))
		}
		for _, c := range w.done {
			if c.Outcome == Pending || c.Outcome == Answered && len(c.Response) > 4096 {
				t.Fatalf("%v, %d bytes", c.Outcome, len(c.Response))
			}
		}
	})
}
