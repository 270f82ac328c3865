package openrtb

import (
	"testing"

	"millrace/codec/corpus"
)

func corpusRequests(tb testing.TB) [][]byte {
	return append(corpus.Lines(tb, corpus.Requests), corpus.Lines(tb, corpus.IABRequests)...)
}

// TestCorpusParses: of real requests only those are refused that rule 4 calls
// malformed, for two impressions of one id or for both site and app.
func TestCorpusParses(t *testing.T) {
	var r BidRequest
	refused, lines := 0, corpusRequests(t)
	for n, line := range lines {
		e := Parse(line, &r)
		switch e.Code {
		case OK:
		case Conflict, Duplicate:
			refused++
			t.Logf("line %d: %v", n+1, e)
		default:
			t.Errorf("line %d: %v\n%s", n+1, e, line)
		}
	}
	if refused > len(lines)/50 {
		t.Errorf("%d of %d refused", refused, len(lines))
	}
}
