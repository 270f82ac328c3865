package gzip

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// The oracle is compress/gzip: what one writes the other reads, and what one
// refuses the other refuses.

func stdDeflate(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := stdgzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// stdInflate reads limit bytes at most, and one more if there is one.
func stdInflate(body []byte, limit int) ([]byte, error) {
	r, err := stdgzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, int64(limit)+1))
}

func pool(t testing.TB) *Pool {
	t.Helper()
	p, err := NewPool(LevelFastest)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestInflate(t *testing.T) {
	p := pool(t)
	text := []byte(strings.Repeat("hello ", 1000))
	zip := stdDeflate(t, text)
	wrong := bytes.Clone(zip)
	wrong[len(wrong)-6] ^= 1 // the checksum
	named := bytes.Clone(zip)
	for _, k := range []struct {
		name  string
		body  []byte
		limit int
		want  string
		err   error
	}{
		{"plain", zip, 1 << 20, string(text), nil}, {"exactly the limit", zip, len(text), string(text), nil}, {"a byte over", zip, len(text) - 1, "", ErrTooLarge}, {"no limit left", zip, 0, "", ErrTooLarge},
		{"two members", append(bytes.Clone(zip), zip...), 1 << 20, string(text) + string(text), nil}, {"two members, over", append(bytes.Clone(zip), zip...), len(text) + 1, "", ErrTooLarge},
		{"empty inside", stdDeflate(t, nil), 0, "", nil}, {"nothing", nil, 10, "", ErrCorrupt}, {"no gzip", text, 1 << 20, "", ErrCorrupt}, {"cut", zip[:len(zip)-9], 1 << 20, "", ErrCorrupt}, {"cut in the trailer", zip[:len(zip)-3], 1 << 20, "", ErrCorrupt},
		{"wrong checksum", wrong, 1 << 20, "", ErrCorrupt}, {"rubbish behind", append(bytes.Clone(zip), "rubbish that is none"...), 1 << 20, "", ErrCorrupt}, {"zeros behind", append(bytes.Clone(zip), 0, 0, 0, 0), 1 << 20, "", ErrCorrupt},
		{"half a header", named[:5], 1 << 20, "", ErrCorrupt}, {"a header alone", named[:10], 1 << 20, "", ErrCorrupt},
	} {
		got, err := p.Inflate([]byte("keep"), k.body, k.limit)
		if !errors.Is(err, k.err) || string(got) != "keep"+k.want {
			t.Errorf("%s: %d bytes, %v; want %v", k.name, len(got), err, k.err)
		}
	}
}

// A bomb costs what the limit is, not what it would become.
func TestInflateBombIsBounded(t *testing.T) {
	p := pool(t)
	bomb := stdDeflate(t, make([]byte, 64<<20))
	got, err := p.Inflate(nil, bomb, 1<<20)
	if !errors.Is(err, ErrTooLarge) || cap(got) > 1<<20+1 {
		t.Errorf("%v with %d bytes of memory", err, cap(got))
	}
	members := bytes.Repeat(stdDeflate(t, make([]byte, 100<<10)), 1000)
	if got, err = p.Inflate(nil, members, 1<<20); !errors.Is(err, ErrTooLarge) || cap(got) > 1<<20+1 {
		t.Errorf("%v with %d bytes of memory", err, cap(got))
	}
}

func TestDeflate(t *testing.T) {
	for level := LevelFastest; level <= LevelBest; level++ {
		d, err := NewDeflater(level)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range [][]byte{nil, []byte("x"), []byte(strings.Repeat("hello ", 1000)), bytes.Repeat([]byte{0}, 1<<20)} {
			zip := d.Append([]byte("keep"), body)
			if again := d.Append(nil, body); !bytes.Equal(again, zip[4:]) {
				t.Errorf("level %d: a coder that was used writes other bytes", level)
			}
			got, err := stdInflate(zip[4:], len(body))
			if err != nil || !bytes.Equal(got, body) || string(zip[:4]) != "keep" {
				t.Errorf("level %d: %d bytes of %d, %v", level, len(got), len(body), err)
			}
		}
	}
	for _, level := range []int{-1, 0, 10} {
		if _, err := NewPool(level); err == nil {
			t.Errorf("level %d", level)
		}
	}
}

func TestPoolIsShared(t *testing.T) {
	p := pool(t)
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			body := []byte(strings.Repeat(fmt.Sprint(g), 3000))
			for range 100 {
				zip := p.Deflate(nil, body)
				if got, err := p.Inflate(nil, zip, len(body)); err != nil || !bytes.Equal(got, body) {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

func TestAccepted(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZip": true, "x-gzip": true, "gzip, deflate, br": true, "deflate,\tgzip;q=1.0, *;q=0.5": true, "br": false, "*": true, "*;q=0": false, "gzip;q=0": false, "gzip;q=0.000": false, "gzip;q=0.001": true,
		"*, gzip;q=0": false, "identity": false, "identity;q=1, gzip;q=0.5": false, "identity;q=0.5, gzip;q=0.5": true, "gzip;q=2": false, "gzip;q=x": false, "gzip;q=": false, "gzip;foo=1": false, "gzipped": false, "gzip;q=1.001": false,
		" gzip ; q=0.3 ": true, ",,gzip,,": true, ";q=1": false, "gzip;Q=1": true, "gzip;q=0.0001": false, "\x07zip": false, "GZIP;q=0.9": true,
	} {
		if got := Accepted([]byte(header)); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestAllocPool(t *testing.T) {
	p := pool(t)
	body := []byte(strings.Repeat(`{"id":"1","impid":"2","price":1.25},`, 80))
	zip, plain := make([]byte, 0, 1<<16), make([]byte, 0, 1<<16)
	header := []byte("deflate, gzip;q=0.9, *;q=0.1")
	if n := testing.AllocsPerRun(200, func() {
		zip = p.Deflate(zip[:0], body)
		var err error
		if plain, err = p.Inflate(plain[:0], zip, 1<<15); err != nil || !Accepted(header) {
			t.Error(err)
		}
		if _, err = p.Inflate(plain[:0], zip, 10); err == nil {
			t.Error("no limit")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// reservedFlags reports whether a member may set a flag that RFC 1952 reserves:
// that is an error by section 2.3.1.2, which compress/gzip lets pass.
func reservedFlags(body []byte) bool {
	for {
		i := bytes.Index(body, []byte("\x1f\x8b\x08"))
		if i < 0 || len(body) < i+4 {
			return false
		}
		if body[i+3]>>5 != 0 {
			return true
		}
		body = body[i+3:]
	}
}

// FuzzGzip holds both ways against compress/gzip.
func FuzzGzip(f *testing.F) {
	zip := stdDeflate(f, []byte("hello hello hello"))
	f.Add(zip, 100)
	f.Add(append(bytes.Clone(zip), zip...), 20)
	f.Add([]byte("\x1f\x8b\x08\x00"), 1)
	f.Add([]byte("plain text"), 3)
	p := pool(f)
	f.Fuzz(func(t *testing.T, body []byte, limit int) {
		limit &= 1<<16 - 1
		got, err := p.Inflate(nil, body, limit)
		want, wantErr := stdInflate(body, limit)
		switch {
		case err == nil && (wantErr != nil || !bytes.Equal(got, want)):
			t.Fatalf("%q, but compress/gzip: %q, %v", got, want, wantErr)
		case errors.Is(err, ErrTooLarge) && len(want) <= limit && wantErr == nil: // a body may be both
			t.Fatalf("too large, but compress/gzip: %d bytes of %d", len(want), limit)
		case errors.Is(err, ErrCorrupt) && wantErr == nil && len(want) <= limit && !reservedFlags(body):
			t.Fatalf("corrupt, but compress/gzip: %q", want)
		}
		zip := p.Deflate(nil, body)
		if back, err := stdInflate(zip, len(body)); err != nil || !bytes.Equal(back, body) {
			t.Fatalf("%v: %q", err, back)
		}
		if back, err := p.Inflate(nil, zip, len(body)); err != nil || !bytes.Equal(back, body) {
			t.Fatalf("%v: %q", err, back)
		}
		Accepted(body)
	})
}

// answer is like an answer with n bids: markup with signed tokens, which do not
// compress.
func answer(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.WriteString(`{"id":"1","seatbid":[{"bid":[`)
	for i := range n {
		token := make([]byte, 300)
		for j := range token {
			token[j] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[r.IntN(64)]
		}
		fmt.Fprintf(&b, `{"id":"1-tovv97-1-%d","impid":"%d","price":3.2,"adid":"alpenglow-jackets-300x250","adm":"<a href=\"http://127.0.0.1:8080/e/c?t=%s\" target=\"_blank\" rel=\"noopener\" style=\"display:block;position:relative;width:300px;height:250px;overflow:hidden;font-family:Helvetica,Arial,sans-serif;color:#fff\"><b style=\"position:absolute;left:16px;top:16px;font-size:24px;line-height:1.1\">Made for the<br>last light</b></a><img src=\"http://127.0.0.1:8080/e/i?t=%s\" width=\"1\" height=\"1\" alt=\"\" style=\"position:absolute;left:-1px;top:-1px\">","adomain":["alpenglow.example.com"],"crid":"alpenglow-jackets-300x250","mtype":1,"w":300,"h":250,"exp":300},`, i, i, token, token[:200])
	}
	b.WriteString(`],"seat":"alpenglow"}],"cur":"USD"}`)
	return b.Bytes()
}

func BenchmarkDeflate(b *testing.B) {
	for _, bids := range []int{1, 4} {
		body := answer(bids)
		for _, level := range []int{1, 2, 5, 9} {
			b.Run(fmt.Sprintf("bids=%d/level=%d", bids, level), func(b *testing.B) {
				p, err := NewPool(level)
				if err != nil {
					b.Fatal(err)
				}
				zip := p.Deflate(nil, body)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					zip = p.Deflate(zip[:0], body)
				}
				b.ReportMetric(100*float64(len(zip))/float64(len(body)), "%size")
			})
		}
	}
}

func BenchmarkInflate(b *testing.B) {
	p := pool(b)
	body := answer(2)
	zip := p.Deflate(nil, body)
	plain := make([]byte, 0, 1<<16)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if plain, err = p.Inflate(plain[:0], zip, 1<<15); err != nil {
			b.Fatal(err)
		}
	}
}
