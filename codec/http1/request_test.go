package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const exchangeHead = "POST /openrtb2/auction?src=x HTTP/1.1\r\nHost: ads.example:8080\r\nContent-Type: application/json\r\n" +
	"Content-Length: 5\r\nUser-Agent: exchange/2\r\nAccept-Encoding: gzip\r\nX-Openrtb-Version: 2.6\r\n" +
	"X-Forwarded-For: 203.0.113.9, 10.0.0.1\r\nX-Millrace-Debug:  1 \r\nX-Other: a\tb\r\n\r\n"

func TestParseRequest(t *testing.T) {
	var r Request
	in := []byte("\r\n" + exchangeHead + "hello")
	n, status := ParseRequest(in, &r)
	if status != OK || string(in[n:]) != "hello" {
		t.Fatalf("n=%d status=%v", n, status)
	}
	for name, pair := range map[string][2]string{
		"method": {string(r.MethodText), "POST"}, "target": {string(r.Target), "/openrtb2/auction?src=x"},
		"path": {string(r.Path), "/openrtb2/auction"}, "query": {string(r.Query), "src=x"},
		"host": {string(r.Host), "ads.example:8080"}, "type": {string(r.ContentType), "application/json"},
		"ua": {string(r.UserAgent), "exchange/2"}, "accept": {string(r.AcceptEncoding), "gzip"},
		"rtb": {string(r.OpenRTBVersion), "2.6"}, "xff": {string(r.XForwardedFor), "203.0.113.9, 10.0.0.1"},
		"debug": {string(r.Debug), "1"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s = %q, want %q", name, pair[0], pair[1])
		}
	}
	if r.Method != POST || r.Minor != 1 || !r.KeepAlive || r.Chunked || r.ContentLength != 5 || r.NeedsLength() || !r.HasBody() {
		t.Errorf("%+v", r)
	}
	to := bytes.Clone(in[:n])
	r.Move(in, to)
	clear(in)
	if string(r.Path) != "/openrtb2/auction" || string(r.Debug) != "1" || string(r.Query) != "src=x" {
		t.Errorf("after Move: %q %q %q", r.Path, r.Debug, r.Query)
	}
}

func TestParseRequestPrefixesAreIncomplete(t *testing.T) {
	var r Request
	for i := range len(exchangeHead) {
		if _, status := ParseRequest([]byte(exchangeHead[:i]), &r); status != Incomplete {
			t.Fatalf("prefix of %d bytes: %v", i, status)
		}
	}
}

func TestParseRequestFaults(t *testing.T) {
	const host = "Host: h\r\n"
	cases := []struct {
		in   string
		want Status
	}{
		{"GET / HTTP/1.1\r\n" + host + "\r\n", OK},
		{"GET / HTTP/1.0\r\n\r\n", OK},
		{"GET http://h HTTP/1.1\r\n" + host + "\r\n", OK},
		{"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", OK},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", OK},
		{"GET / HTTP/1.1\n" + host + "\r\n", FaultLineEnd},
		{"GET / HTTP/1.1\r\nHost: h\n\r\n", FaultLineEnd},
		{"GET / HTTP/1.1\r\nHost: h\r\n\n", FaultLineEnd},
		{"GET / HTTP/1.1\r\nHo\rst: h\r\n\r\n", FaultHeader},
		{"GET / HTTP/1.1\r\n" + host + "X: a\rb\r\n\r\n", FaultHeader},
		{"GET / HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n", FaultHeader},
		{"GET / HTTP/1.1\r\n" + host + "X: a,b,c,d,e,f,\x7f,h\r\n\r\n", FaultHeader},
		{"GET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n", FaultFold},
		{"GET / HTTP/1.1\r\n" + host + "X : a\r\n\r\n", FaultHeader},
		{"GET / HTTP/1.1\r\n" + host + ": a\r\n\r\n", FaultHeader},
		{"GET / HTTP/1.1\r\n" + host + "novalue\r\n\r\n", FaultHeader},
		{"GET / HTTP/1.1\r\n\r\n", FaultHost},
		{"GET / HTTP/1.1\r\n" + host + host + "\r\n", FaultHost},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", FaultHost},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", FaultHost},
		{"GET  / HTTP/1.1\r\n" + host + "\r\n", FaultRequestLine},
		{"GET / HTTP/1.1 \r\n" + host + "\r\n", FaultRequestLine},
		{"GET /\r\n" + host + "\r\n", FaultRequestLine},
		{"G(T / HTTP/1.1\r\n" + host + "\r\n", FaultRequestLine},
		{"GET /a\x01 HTTP/1.1\r\n" + host + "\r\n", FaultTarget},
		{"GET a HTTP/1.1\r\n" + host + "\r\n", FaultTarget},
		{"CONNECT h:1 HTTP/1.1\r\n" + host + "\r\n", FaultTarget},
		{"GET http:// HTTP/1.1\r\n" + host + "\r\n", FaultTarget},
		{"GET / HTTP/2.0\r\n" + host + "\r\n", FaultVersion},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", FaultVersion},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", FaultLength},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: 5, 5\r\n\r\n", FaultLength},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\n", FaultLength},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: -5\r\n\r\n", FaultLength},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: 0x5\r\n\r\n", FaultLength},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n", FaultLength},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: 9999999999999999999\r\n\r\n", FaultLength},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", FaultLengthAndTransfer},
		{"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", FaultTransfer},
		{"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", FaultTransfer},
		{"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n", FaultTransfer},
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", FaultTransferVersion},
		{"POST / HTTP/1.1\r\n" + host + "Expect: 200-ok\r\n\r\n", FaultExpect},
		{"GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", MaxHeaders) + host + "\r\n", FaultHeaderCount},
	}
	for _, c := range cases {
		var r Request
		if _, got := ParseRequest([]byte(c.in), &r); got != c.want {
			t.Errorf("%q: %v, want %v", c.in, got, c.want)
		}
	}
}

func TestKeepAlive(t *testing.T) {
	for in, want := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n":                                             true,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n":                        false,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, CLOSE\r\n\r\n":               false,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close\r\n\r\n":       false,
		"GET / HTTP/1.0\r\n\r\n":                                                        false,
		"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n":                              true,
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n":         false,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, , \t close-not\r\n\r\n\r": true,
	} {
		var r Request
		if _, status := ParseRequest([]byte(in), &r); status != OK || r.KeepAlive != want {
			t.Errorf("%q: %v, keep-alive %v", in, status, r.KeepAlive)
		}
	}
}

var headSeeds = []string{
	exchangeHead,
	"GET /e/i?t=abc HTTP/1.1\r\nHost: h\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n",
	"GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close, x\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
	"GET / HTTP/1.0\nHost: h\n\n",
	"GET / HTTP/1.1\r\nHost: [::1]:80\r\nX:\r\n folded\r\n\r\n",
}

// FuzzParseRequest holds the parser against net/http: what both accept means the
// same to both, and what only we accept is in the short list here.
func FuzzParseRequest(f *testing.F) {
	for _, s := range headSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var r Request
		before := bytes.Clone(in)
		n, status := ParseRequest(in, &r)
		if !bytes.Equal(in, before) {
			t.Fatal("the input was changed")
		}
		if status == Incomplete && bytes.Contains(in, []byte("\r\n\r\n")) && !bytes.HasPrefix(in, []byte("\r\n")) {
			t.Fatal("incomplete although the head has its end")
		}
		if status != OK {
			return
		}
		compare(t, in, n, &r)
	})
}

// compare checks an accepted head against net/http's reading of it.
func compare(t *testing.T, in []byte, n int, r *Request) {
	t.Helper()
	head := bytes.TrimLeft(in[:n], "\r\n") // net/http refuses leading empty lines
	want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		// net/http's URL parser wants valid percent-encoding and no odd hosts in
		// absolute targets; OPTIONS * and others agree.
		if _, uerr := url.ParseRequestURI(string(r.Target)); uerr != nil {
			return
		}
		t.Fatalf("net/http refuses %q: %v", head, err)
	}
	if want.Method != string(r.MethodText) || want.RequestURI != string(r.Target) || want.ProtoMinor != int(r.Minor) {
		t.Fatalf("request line of %q: %s %s %d", head, want.Method, want.RequestURI, want.ProtoMinor)
	}
	if want.URL.RawQuery != string(r.Query) {
		t.Fatalf("query of %q: %q, want %q", head, r.Query, want.URL.RawQuery)
	}
	if got := string(r.Path); got != want.URL.EscapedPath() && got != want.URL.Path && want.URL.Path != "" {
		if p, err := url.PathUnescape(got); err != nil || p != want.URL.Path {
			t.Fatalf("path of %q: %q, want %q", head, got, want.URL.Path)
		}
	}
	if want.URL.Host == "" && want.Host != string(r.Host) {
		t.Fatalf("host of %q: %q, want %q", head, r.Host, want.Host)
	}
	if chunked := len(want.TransferEncoding) == 1; chunked != r.Chunked {
		t.Fatalf("chunked of %q: %v", head, r.Chunked)
	}
	if !r.Chunked && max(r.ContentLength, 0) != want.ContentLength {
		t.Fatalf("length of %q: %d, want %d", head, r.ContentLength, want.ContentLength)
	}
	if want.Close == r.KeepAlive {
		t.Fatalf("keep-alive of %q: %v, net/http closes: %v", head, r.KeepAlive, want.Close)
	}
	for name, got := range map[string][]byte{
		"Content-Type": r.ContentType, "User-Agent": r.UserAgent, "Accept-Encoding": r.AcceptEncoding,
		"X-Forwarded-For": r.XForwardedFor, "X-Openrtb-Version": r.OpenRTBVersion, "X-Millrace-Debug": r.Debug,
	} {
		last := ""
		if v := want.Header.Values(name); len(v) > 0 {
			last = v[len(v)-1]
		}
		if last != string(got) {
			t.Fatalf("%s of %q: %q, want %q", name, head, got, last)
		}
	}
}

func TestDifferentialSeeds(t *testing.T) {
	accepted := 0
	for _, s := range headSeeds {
		var r Request
		if n, status := ParseRequest([]byte(s), &r); status == OK {
			accepted++
			compare(t, []byte(s), n, &r)
		}
	}
	if accepted < 4 {
		t.Fatalf("only %d seeds are accepted: nothing was compared", accepted)
	}
}

func TestChunked(t *testing.T) {
	const body = "4;ext=\"a b\"\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nX-Trailer: v\r\n\r\nGET /next"
	const want = "Wikipedia in \r\n\r\nchunks."
	for step := 1; step <= len(body); step++ {
		d := Chunked{Limit: 1000}
		var buf []byte
		status := Incomplete
		for at := 0; status == Incomplete; at += step {
			if at >= len(body) {
				t.Fatalf("step %d: not complete", step)
			}
			var n int
			buf = append(buf, body[at:min(len(body), at+step)]...)
			n, status = d.Decode(buf)
			buf = buf[:n]
			if status == OK {
				rest := string(buf[d.Len():]) + body[min(len(body), at+step):]
				if string(buf[:d.Len()]) != want || rest != "GET /next" {
					t.Fatalf("step %d: %q, rest %q", step, buf[:d.Len()], rest)
				}
				if again, s := d.Decode(buf); s != OK || again != n {
					t.Fatalf("step %d: asking again gives %d %v", step, again, s)
				}
			}
		}
		if status != OK {
			t.Fatalf("step %d: %v", step, status)
		}
	}
}

func TestChunkedFaults(t *testing.T) {
	for in, want := range map[string]Status{
		"5\r\nhello\r\n0\r\n\r\n":       OK,
		"5\nhello\r\n0\r\n\r\n":         FaultChunk,
		"\r\n":                          FaultChunk,
		"g\r\n":                         FaultChunk,
		"-1\r\n":                        FaultChunk,
		"5 \r\nhello\r\n0\r\n\r\n":      OK,
		"5 x\r\n":                       FaultChunk,
		"5\r\nhelloX\r\n":               FaultChunk,
		"fffffffffffffffff\r\n":         FaultChunk,
		"7d1\r\n":                       FaultBodySize,
		"0\r\nbad trailer\r\n\r\n":      FaultChunk,
		"0\r\nX: a\r\n":                 Incomplete,
		"1;" + strings.Repeat("x", 300): FaultChunk,
		strings.Repeat("1;"+strings.Repeat("x", 200)+"\r\na\r\n", 100): FaultChunk,
	} {
		d := Chunked{Limit: 2000}
		if _, got := d.Decode([]byte(in)); got != want {
			t.Errorf("%.40q: %v, want %v", in, got, want)
		}
	}
}

// FuzzChunked feeds the same body whole and in two pieces, and to net/http.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), 3)
	f.Add([]byte("a;x=y\r\n0123456789\r\n1\r\nZ\r\n0\r\nT: v\r\n\r\nrest"), 17)
	f.Add([]byte("5\r\nhel"), 1)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		d := Chunked{Limit: 1 << 20}
		whole := bytes.Clone(in)
		n, status := d.Decode(whole)
		cut = min(max(cut, 0), len(in))
		e := Chunked{Limit: 1 << 20}
		buf := bytes.Clone(in[:cut])
		m, split := e.Decode(buf)
		if split == Incomplete {
			buf = append(buf[:m], in[cut:]...)
			m, split = e.Decode(buf)
		} else if split == OK {
			buf = append(buf[:m:m], in[cut:]...)
			m = len(buf)
		}
		if split != status || status == OK && (e.Len() != d.Len() || !bytes.Equal(buf[:m], whole[:n])) {
			t.Fatalf("whole: %v %q; in two: %v %q", status, whole[:n], split, buf[:m])
		}
		if status != OK {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(
			strings.NewReader("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"), bytes.NewReader(in))))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := io.ReadAll(r.Body); err == nil && !bytes.Equal(want, whole[:d.Len()]) {
			t.Fatalf("%q, net/http reads %q", whole[:d.Len()], want)
		}
	})
}

func TestAppendHead(t *testing.T) {
	h := Head{
		ContentType: TypeJSON, Location: []byte("https://x/\r\nSet-Cookie: a=ä"), Date: []byte("D"), RetryAfterSeconds: 3,
		NoStore: true, Extra: []byte("X: y\r\n"), Close: true,
	}
	got := string(AppendHead(nil, 200, 12, &h))
	want := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\nDate: D\r\n" +
		"Location: https://x/%0D%0ASet-Cookie:%20a=%C3%A4\r\nRetry-After: 3\r\nCache-Control: no-store\r\nX: y\r\nConnection: close\r\n\r\n"
	if got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	if got := string(AppendHead(nil, 204, 0, &Head{})); got != "HTTP/1.1 204 No Content\r\n\r\n" {
		t.Errorf("%q", got)
	}
	for status := range 700 {
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(AppendHead(nil, status, 0, &Head{}))), nil)
		if err != nil || resp.StatusCode != max(status, 100) {
			t.Fatalf("status %d: %v", status, err)
		}
	}
}

func TestAppendDate(t *testing.T) {
	for _, unix := range []int64{0, 784111777, 951782399, 951782400, 4102444799, 1709164800, -1, -86401} {
		if got, want := string(AppendDate(nil, unix)), time.Unix(unix, 0).UTC().Format(http.TimeFormat); got != want {
			t.Errorf("%d: %q, want %q", unix, got, want)
		}
	}
}

func TestAllocParseAndAppend(t *testing.T) {
	in := []byte(exchangeHead + "hello")
	chunks := []byte("5\r\nhello\r\n0\r\n\r\n")
	raw := make([]byte, len(in))
	scratch := make([]byte, 0, 1024)
	var r Request
	h := Head{ContentType: TypeJSON, Date: []byte("Sun, 06 Nov 1994 08:49:37 GMT")}
	if n := testing.AllocsPerRun(100, func() {
		if _, status := ParseRequest(in, &r); status != OK {
			t.Fatal(status)
		}
		r.Move(in, raw)
		d := Chunked{Limit: 100}
		scratch = append(scratch[:0], chunks...)
		if _, status := d.Decode(scratch); status != OK {
			t.Fatal(status)
		}
		scratch = AppendDate(AppendHead(scratch[:0], 200, 600, &h), 1e9)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	in := []byte(exchangeHead)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var r Request
	sum := 0
	for b.Loop() {
		n, _ := ParseRequest(in, &r)
		sum += n + len(r.Path)
	}
	b.ReportMetric(float64(sum/b.N), "result")
}

func BenchmarkAppendHead(b *testing.B) {
	dst := make([]byte, 0, 512)
	h := Head{ContentType: TypeJSON, Date: []byte("Sun, 06 Nov 1994 08:49:37 GMT")}
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendHead(dst[:0], 200, 612, &h)
	}
	b.ReportMetric(float64(len(dst)), "result")
}

func ExampleAppendHead() {
	fmt.Printf("%q\n", AppendHead(nil, 302, 0, &Head{Location: []byte("https://shop.example/")}))
	// Output: "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: https://shop.example/\r\n\r\n"
}
