package openrtb

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// adversaries are bodies of about n bytes that aim at whatever might cost more
// than one look at each byte.
func adversaries(n int) map[string][]byte {
	id := func(i int) string { return string(rune('a'+i%26)) + string(rune('a'+i/26)) }
	imps := make([]string, 100)
	for i := range imps {
		// Equal but for the end, and escaped, so that no comparison is quick.
		imps[i] = `{"id":"` + strings.Repeat(`\u0061`, n/600) + id(i) + `","banner":{}}`
	}
	escapes := strings.Repeat(`\u0061`, n/6)
	return map[string][]byte{
		"spaces":     []byte(`{"id":"a",` + strings.Repeat(" ", n) + oneImp + `}`),
		"escapes":    []byte(`{"id":"` + escapes + `",` + oneImp + `}`),
		"escapedkey": []byte(`{"` + escapes + `":1,"id":"a",` + oneImp + `}`),
		"slashes":    []byte(`{"id":"a","x":"` + strings.Repeat(`\\`, n/2) + `",` + oneImp + `}`),
		"integer":    []byte(`{"id":"a","imp":[{"id":"1","bidfloor":1` + strings.Repeat("0", n) + `,"banner":{}}]}`),
		"fraction":   []byte(`{"id":"a","device":{"geo":{"lat":0.` + strings.Repeat("1", n) + `,"lon":1}},` + oneImp + `}`),
		"flat":       []byte(`{"id":"a","x":[` + strings.Repeat("1,", n/2) + `1],` + oneImp + `}`),
		"objects":    []byte(`{"id":"a","x":[` + strings.Repeat("{},", n/3) + `1],` + oneImp + `}`),
		"duplicates": []byte(`{"id":"a",` + strings.Repeat(`"site":{},`, n/10) + oneImp + `}`),
		"longkeys":   []byte(`{"id":"a",` + strings.Repeat(`"`+strings.Repeat("k", 1000)+`":1,`, n/1000) + oneImp + `}`),
		"samekeys":   []byte(`{"id":"a",` + strings.Repeat(`"tmax":1,`, n/9) + oneImp + `}`),
		"nested":     []byte(`{"id":"a",` + strings.Repeat(`"x":`+strings.Repeat(`[`, 60)+strings.Repeat(`]`, 60)+`,`, n/125) + oneImp + `}`),
		"nestedkeys": []byte(`{"id":"a",` + strings.Repeat(`"x":`+strings.Repeat(`{"a":`, 60)+`1`+strings.Repeat(`}`, 60)+`,`, n/366) + oneImp + `}`),
		"spaced":     []byte(`{"id":"a",` + strings.Repeat(`"ext" :  { "a" : [ 1 , "b" ] } , `, n/33) + oneImp + `}`),
		"string":     []byte(`{"id":"a","x":"` + strings.Repeat("long text ", n/10) + `",` + oneImp + `}`),
		"imps":       []byte(`{"id":"a","imp":[` + strings.Join(imps, ",") + `]}`),
	}
}

func TestAdversarialBodiesAreRead(t *testing.T) {
	var r BidRequest
	for name, body := range adversaries(1 << 16) {
		if e := Parse(body, &r); !e.OK() {
			t.Errorf("%s: %v", name, e)
		}
	}
	if e := Parse([]byte(`{"id":"a","x":`+strings.Repeat("[", 1<<20)), &r); e.Code != TooDeep || e.Offset > 100 {
		t.Errorf("depth: %v", e)
	}
}

// TestViewsStayBounded: the largest lists a body can hold are refused, and what
// one giant grew is not kept.
func TestViewsStayBounded(t *testing.T) {
	var r BidRequest
	for _, list := range []string{
		`"cur":[` + strings.Repeat(`"",`, 1<<18), `"imp":[{"id":"1","banner":{"battr":[` + strings.Repeat(`1,`, 1<<18), `"imp":[{"id":"1","banner":{"format":[` + strings.Repeat(`{},`, 1<<18),
		`"imp":[{"id":"1","banner":{},"pmp":{"deals":[` + strings.Repeat(`{},`, 1<<18), `"user":{"data":[` + strings.Repeat(`{},`, 1<<18), `"user":{"data":[{"segment":[` + strings.Repeat(`{},`, 1<<18),
	} {
		if e := Parse([]byte(`{"id":"a",`+list), &r); e.Code != TooMany {
			t.Errorf("%.60s: %v", list, e)
		}
	}
	limit := DefaultLimits()
	limit.Items = 1 << 20
	if e := ParseLimits([]byte(`{"id":"a","badv":[`+strings.Repeat(`"a.example",`, 1<<17)+`"b"],`+oneImp+`}`), &r, limit); !e.OK() || r.BAdv.Len() != 1<<17+1 {
		t.Errorf("a raised limit: %v", e)
	}
	if Parse([]byte(`{"id":"a",`+oneImp+`}`), &r); cap(r.strs) > keptMax {
		t.Errorf("kept %d strings", cap(r.strs))
	}
}

// BenchmarkAdversarial shows that the work is linear: the time of a byte, best
// of the runs, does not grow with the size.
func BenchmarkAdversarial(b *testing.B) {
	for _, n := range []int{1 << 12, 1 << 16, 1 << 20} {
		for name, body := range adversaries(n) {
			b.Run(fmt.Sprintf("%s/%dKiB", name, n>>10), func(b *testing.B) {
				var r BidRequest
				best := time.Duration(math.MaxInt64)
				for b.Loop() {
					start := time.Now()
					if e := Parse(body, &r); !e.OK() {
						b.Fatal(e)
					}
					best = min(best, time.Since(start))
				}
				b.ReportMetric(float64(best.Nanoseconds())/float64(len(body)), "best-ns/B")
			})
		}
	}
}
