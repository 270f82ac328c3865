package openrtb

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/prebid/openrtb/v20/openrtb2"
)

// TestPassedHasEveryField: a bid that is passed on says what it said.
func TestPassedHasEveryField(t *testing.T) {
	full := filledResponse()
	full.Bids[0].CRID, full.Bids[0].AdID, full.Bids[0].Seat = "c\\r\n\"é", "a\u2028d", `s "1"`
	body := AppendResponse(nil, full)
	var in BidResponse
	if a, e := ReadAnswer(200, body, &in); a != Bids {
		t.Fatalf("%v %v", a, e)
	}
	in.Bids[0].API = 5
	b := &full.Bids[0]
	out := *full
	out.Bids = []Bid{{
		Seat: "partner", Group: true, ID: b.ID, ImpID: b.ImpID, Price: b.Price, NURL: b.NURL, BURL: b.BURL, LURL: b.LURL, Adm: b.Adm,
		DealID: b.DealID, MType: b.MType, Exp: b.Exp, Passed: &Passed{Bid: &in.Bids[0], Of: &in, Group: 1},
	}}
	got, want := readResponse(t, &out), readResponse(t, full)
	want.SeatBid[0].Bid[0].API = 5
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if n := testing.AllocsPerRun(50, func() { body = AppendResponse(body[:0], &out) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestPassedSeats: bids of a seat and group share a seatbid, others do not, and
// who names no seat gets the one we give.
func TestPassedSeats(t *testing.T) {
	var in BidResponse
	if a, _ := ReadAnswer(200, []byte(`{"seatbid":[{"seat":"a","bid":[{"id":"1","impid":"1"},{"id":"2","impid":"2"}]},{"bid":[{"id":"3","impid":"3"}]}]}`), &in); a != Bids {
		t.Fatal(a)
	}
	r := &Response{Bids: []Bid{{Seat: "own"}}}
	for i, group := range []int32{0, 0, 0} {
		r.Bids = append(r.Bids, Bid{Seat: "partner", Passed: &Passed{Bid: &in.Bids[i], Of: &in, Group: group}})
	}
	r.Bids = append(r.Bids, Bid{Seat: "partner", Group: true, Passed: &Passed{Bid: &in.Bids[0], Of: &in, Group: 2}})
	var got openrtb2.BidResponse
	if err := json.Unmarshal(AppendResponse(nil, r), &got); err != nil {
		t.Fatal(err)
	}
	seats := map[int]string{0: "own", 1: "a", 2: "partner", 3: "a"}
	if len(got.SeatBid) != 4 || len(got.SeatBid[1].Bid) != 2 || got.SeatBid[3].Group != 1 {
		t.Fatalf("%+v", got.SeatBid)
	}
	for i, s := range got.SeatBid {
		if s.Seat != seats[i] {
			t.Errorf("seatbid %d is %q, want %q", i, s.Seat, seats[i])
		}
	}
}
