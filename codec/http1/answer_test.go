package http1_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"millrace/codec/http1"
)

func TestParseAnswer(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: application/json\r\nContent-Length: 600\r\nRetry-After: 7\r\n" +
		"Content-Encoding: gzip\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\n"
	var a http1.Answer
	n, status := http1.ParseAnswer([]byte(head+"body"), &a)
	if n != len(head) || status != http1.OK || a.Status != 200 || a.ContentLength != 600 || !a.KeepAlive || a.Chunked ||
		string(a.ContentEncoding) != "gzip" || string(a.RetryAfter) != "7" || string(a.ContentType) != "application/json" ||
		len(a.Date) != 29 || !a.HasBody() || a.UntilClose() || a.Interim() {
		t.Errorf("%d, %v, %+v", n, status, a)
	}
	for i := range head {
		if n, status := http1.ParseAnswer([]byte(head[:i]), &a); n != 0 || status != http1.Incomplete {
			t.Fatalf("%d bytes: %d, %v", i, n, status)
		}
	}
}

func TestParseAnswerKinds(t *testing.T) {
	for _, c := range []struct {
		head                            string
		keep, body, untilClose, interim bool
	}{
		{"HTTP/1.1 204 No Content\r\n\r\n", true, false, false, false},
		{"HTTP/1.1 204\r\nContent-Length: 5\r\n\r\n", true, false, false, false},
		{"HTTP/1.1 304 \r\n\r\n", true, false, false, false},
		{"HTTP/1.1 100 Continue\r\n\r\n", true, false, false, true},
		{"HTTP/1.1 101 Switching Protocols\r\n\r\n", true, false, false, false},
		{"HTTP/1.1 200 OK\r\n\r\n", true, true, true, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, false, false, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, true, false, false},
		{"HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 1\r\n\r\n", false, true, false, false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false, true, false, false},
		{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", true, true, false, false},
		{"HTTP/1.1 503 \xe9 x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", true, true, false, false},
	} {
		var a http1.Answer
		_, status := http1.ParseAnswer([]byte(c.head), &a)
		if status != http1.OK || a.KeepAlive != c.keep || a.HasBody() != c.body || a.UntilClose() != c.untilClose || a.Interim() != c.interim {
			t.Errorf("%q: %v, %+v", c.head, status, a)
		}
	}
}

func TestParseAnswerFaults(t *testing.T) {
	for _, c := range []struct {
		head string
		want http1.Status
	}{
		{"HTTP/1.1 20 OK\r\n\r\n", http1.FaultStatusLine},
		{"HTTP/1.1 099 OK\r\n\r\n", http1.FaultStatusLine},
		{"HTTP/1.1 200OK\r\n\r\n", http1.FaultStatusLine},
		{"HTTP/1.1 2000 OK\r\n\r\n", http1.FaultStatusLine},
		{"HTTP/2.0 200 OK\r\n\r\n", http1.FaultVersion},
		{"HTTP/1.1  200 OK\r\n\r\n", http1.FaultStatusLine},
		{"http/1.1 200 OK\r\n\r\n", http1.FaultStatusLine},
		{"<html>not http</html>\r\n\r\n", http1.FaultStatusLine},
		{"HTTP/1.1 200 O\x00K\r\n\r\n", http1.FaultStatusLine},
		{"HTTP/1.1 200 OK\n\n", http1.FaultLineEnd},
		{"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", http1.FaultHeader},
		{"HTTP/1.1 200 OK\r\nA : c\r\n\r\n", http1.FaultHeader},
		{"HTTP/1.1 200 OK\r\nA: c\r\n d\r\n\r\n", http1.FaultFold},
		{"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", http1.FaultLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", http1.FaultLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n", http1.FaultLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", http1.FaultLengthAndTransfer},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", http1.FaultTransfer},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", http1.FaultTransfer},
		{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", http1.FaultTransferVersion},
		{"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", http1.MaxHeaders+1) + "\r\n", http1.FaultHeaderCount},
	} {
		var a http1.Answer
		if n, status := http1.ParseAnswer([]byte(c.head), &a); n != 0 && status == http1.OK || status != c.want {
			t.Errorf("%q: %d, %v, want %v", c.head, n, status, c.want)
		}
	}
}

func TestParseAnswerAllocNothing(t *testing.T) {
	head := []byte("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: application/json\r\nContent-Length: 600\r\n\r\n")
	var a http1.Answer
	if n := testing.AllocsPerRun(100, func() { http1.ParseAnswer(head, &a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzAnswer holds what is accepted against net/http's reading of it, and that a
// head means the same however much follows.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.0 503 Busy\r\nConnection: keep-alive\r\nRetry-After: 3\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a, again http1.Answer
		n, status := http1.ParseAnswer(b, &a)
		if status != http1.OK {
			return
		}
		if k, s := http1.ParseAnswer(b[:n], &again); k != n || s != http1.OK || again.Status != a.Status || again.ContentLength != a.ContentLength {
			t.Fatalf("without its body: %d, %v, %+v; before: %d, %+v", k, s, again, n, a)
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), &http.Request{Method: "POST"})
		if err != nil {
			return // stricter, in things of no matter here: values of headers
		}
		if theirs.StatusCode != a.Status {
			t.Fatalf("status %d, theirs %d", a.Status, theirs.StatusCode)
		}
		chunked := len(theirs.TransferEncoding) > 0
		if a.HasBody() && (chunked != a.Chunked || !chunked && theirs.ContentLength != a.ContentLength) {
			t.Fatalf("length %d, chunked %v; theirs %d, %v", a.ContentLength, a.Chunked, theirs.ContentLength, theirs.TransferEncoding)
		}
	})
}
