package selection

import (
	"testing"

	"millrace/codec/openrtb"
)

// TestRule24EveryReasonHasACode: a candidate that did not win has a reason in
// words and the loss reason of OpenRTB nearest to it.
func TestRule24EveryReasonHasACode(t *testing.T) {
	words := map[string]bool{}
	for r := range ReasonCount {
		if r.String() == "" || words[r.String()] {
			t.Errorf("reason %d: %q is no text of its own", r, r)
		}
		words[r.String()] = true
		if (r == Won) != (r.Code() == openrtb.BidWon) || r.Code().String() == "exchange_specific" {
			t.Errorf("%v: loss reason %d", r, r.Code())
		}
	}
}
