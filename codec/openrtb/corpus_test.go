package openrtb

import (
	"testing"

	"millrace/codec/corpus"
)

// Requests of the corpus that the rules call malformed, by the reason.
var corpusRefused = map[Code]int{}

func corpusRequests(tb testing.TB) [][]byte {
	return append(corpus.Lines(tb, corpus.Requests), corpus.Lines(tb, corpus.IABRequests)...)
}

func TestCorpusParses(t *testing.T) {
	var r BidRequest
	refused := map[Code]int{}
	for n, line := range corpusRequests(t) {
		if e := Parse(line, &r); !e.OK() {
			refused[e.Code]++
			t.Logf("line %d: %v", n+1, e)
			if e.Code != Conflict && e.Code != Duplicate {
				t.Errorf("line %d: %v\n%s", n+1, e, line)
			}
		}
	}
	t.Log(refused)
}
