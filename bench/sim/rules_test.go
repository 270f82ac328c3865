package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/codec/event"
)

// Rules of OpenRTB that hold of whole decisions; docs/openrtb.md lists them.

// TestRule22BidsDoNotOutliveTheirImpression: an impression bills until its exp
// and not after, and what we tell of our bid's exp is never longer.
func TestRule22BidsDoNotOutliveTheirImpression(t *testing.T) {
	for exp, want := range map[int]int{10: 10, 299: 299, 3600: 300, 0: 300} {
		w := world(t, Config{Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2"}))})
		bids := bidsOf(t, w.Bid([]byte(request(fmt.Sprintf(`"imp":[{"id":"1","exp":%d,"banner":{"w":300,"h":250}}]`, exp)))))
		if len(bids) != 1 || int(bids[0].Exp) != want {
			t.Fatalf("imp.exp %d: bid.exp %v, want %d", exp, bids, want)
		}
		if exp == 0 {
			continue
		}
		// Tokens are in whole seconds, rounded in favour of the event.
		w.Advance(time.Duration(exp-1) * time.Second)
		if a := w.Event(event.Impression, token(t, bids[0].Adm, event.Impression)); a.Status != 204 {
			t.Errorf("imp.exp %d: %d before it", exp, a.Status)
		}
		expectPosted(t, w, 1, "0.002")
		bids = bidsOf(t, w.Bid([]byte(request(fmt.Sprintf(`"imp":[{"id":"1","exp":%d,"banner":{"w":300,"h":250}}]`, exp)))))
		w.Advance(time.Duration(exp+2) * time.Second)
		if a := w.Event(event.Impression, token(t, bids[0].Adm, event.Impression)); a.Status == 204 {
			t.Errorf("imp.exp %d: billed after it", exp)
		}
		expectPosted(t, w, 1, "0.002")
	}
}

// TestRule23HundredImpressions: each is an auction of its own inside one
// decision, and an answer has at most one of our bids for each.
func TestRule23HundredImpressions(t *testing.T) {
	w := world(t, Config{Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2"}, line{id: "b", attrs: "price: 1"}))})
	var imps []string
	for i := range 100 {
		floor := []string{"0", "1.5", "2.5"}[i%3]
		imps = append(imps, fmt.Sprintf(`{"id":"%d","bidfloor":%s,"banner":{"w":%d,"h":250}}`, i, floor, []int{300, 728}[i/3%2]))
	}
	seen := map[string]bool{}
	for _, b := range bidsOf(t, w.Bid([]byte(request(`"imp":[`+strings.Join(imps, ",")+`]`)))) {
		if seen[b.ImpID] || b.CRID != "a-cr" {
			t.Errorf("impression %s: %s, seen %v", b.ImpID, b.CRID, seen[b.ImpID])
		}
		seen[b.ImpID] = true
	}
	for i := range 100 {
		if want := i%3 < 2 && i/3%2 == 0; seen[fmt.Sprint(i)] != want {
			t.Errorf("impression %d: a bid is %v, want %v", i, !want, want)
		}
	}
}
