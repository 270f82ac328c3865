package openrtb

import (
	"strings"
	"testing"

	"millrace/codec/corpus"
)

// FuzzRequest holds the parser against encoding/json (see the differential
// tests), and against itself: what is parsed into a used view is what is
// parsed into a fresh one.
func FuzzRequest(f *testing.F) {
	f.Add(richRequest)
	for _, s := range []string{
		`{"id":"a","imp":[{"id":"1","banner":{"w":300,"h":250,"format":[{"w":300,"h":250}]}}],"site":{"page":"https://a.example/"}}`,
		`{"id":"a","imp":[{"id":"1","video":{"mimes":["video/mp4"],"protocols":[2,3]},"pmp":{"deals":[{"id":"d","bidfloor":1.5}]}}],"app":{"bundle":"b"}}`,
		`{"id":"\u0061","tmax":933.33,"imp":[{"id":"1","native":{"request":"{\"assets\":[]}"}}],"dooh":{"id":"d"},"regs":{"ext":{"gdpr":1}}}`,
		`{"id":"a","imp":[null]}`, `{"id":NaN}`, `{"id":"a","imp":[{"id":"1","banner":{"w":1e999}}]}`,
	} {
		f.Add([]byte(s))
	}
	if corpus.Has(corpus.Requests) && corpus.Has(corpus.IABRequests) {
		for i, line := range corpusRequests(f) {
			if i%16 == 0 {
				f.Add(line)
			}
		}
	}
	var used BidRequest
	j := newJudge()
	f.Fuzz(func(t *testing.T, body []byte) {
		j.compare(t, body)
		var fresh BidRequest
		a, b := Parse(body, &used), Parse(body, &fresh)
		if a.Code != b.Code || a.Offset != b.Offset {
			t.Fatalf("used view: %v, fresh view: %v", a, b)
		}
		if a.OK() {
			walk(&fresh)
		}
		_ = a.Error()
	})
}

// FuzzIndex holds every way to build an index against its definition.
func FuzzIndex(f *testing.F) {
	for _, s := range []string{`{"a":"b\\\"c\\\\","d":[1, null ,{}]}`, `"\\`, "\"a\nb\"", `a"b"\"c"`, `{"` + strings.Repeat("x", 70) + `\\":1}`} {
		f.Add([]byte(s))
	}
	f.Add(richRequest)
	var x index
	f.Fuzz(func(t *testing.T, b []byte) { checkIndex(t, &x, b) })
}

// walk reads every list and detail, so that a wrong span is a panic.
func walk(r *BidRequest) {
	t := translator{r: r}
	_ = t.request()
	for i := range r.Imp {
		_ = r.Imp[i].Native.Request.AppendText(nil)
	}
}
