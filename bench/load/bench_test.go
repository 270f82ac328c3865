package load

import (
	"bytes"
	"strconv"
	"testing"
)

// The client's own share of a request: rendering it, taking the answer apart.

func BenchmarkAppendRequest(b *testing.B) {
	bodies := Mix(1).render("127.0.0.1:8080", "/openrtb2/auction")
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	sum := 0
	for i := range b.N {
		dst = bodies[i%len(bodies)].appendTo(dst[:0], uint64(i), uint64(i)*7)
		sum += len(dst)
	}
	if sum == 0 && b.N > 0 {
		b.Fatal("nothing was rendered")
	}
}

func BenchmarkTakeAnswer(b *testing.B) {
	body := `{"id":"1","seatbid":[{"bid":[{"id":"1","impid":"1","price":1.5,"adm":"<a href=\"http://h/e/c?t=` +
		string(bytes.Repeat([]byte("x"), 160)) + `\"><img src=\"http://h/e/i?t=` + string(bytes.Repeat([]byte("y"), 160)) + `\"></a>"}]}]}`
	raw := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 447\r\n\r\n" + body)
	raw = bytes.Replace(raw, []byte("447"), strconv.AppendInt(nil, int64(len(body)), 10), 1)
	var a answer
	var l links
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for range b.N {
		if _, r := parseAnswer(raw, &a); r != parseDone || countBids(a.body) != 1 {
			b.Fatal("not taken")
		}
		if l.find(a.body, markImpression); l.n != 1 {
			b.Fatal("no link")
		}
	}
}
