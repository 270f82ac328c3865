package partners

import (
	"testing"

	"millrace/codec/openrtb"
)

func TestScreen(t *testing.T) {
	b := check(t, string(exampleText(t)), Options{})
	var m Match
	b.Match(parse(t, `{"id":"1","imp":[{"id":"1","banner":{}}],"site":{"publisher":{"id":"PUB-7"}}}`), noon, &m)
	if m.Publisher() < 0 || m.Partners.Has(1) {
		t.Fatal("the publisher's entry is not found")
	}
	if e := b.Common(&m); len(e.BAdv) != 1 || e.At != openrtb.FirstPrice {
		t.Errorf("%+v", e)
	}
	var s Screen
	for _, c := range []struct {
		partner   ID
		publisher bool
		seat, bid string
		want      openrtb.RejectReason
	}{
		{0, false, "seat-1", `"adomain":["fine.example.com"]`, openrtb.Accepted},
		{0, false, "seat-3", ``, openrtb.BlockedSeat},
		{1, false, "seat-3", ``, openrtb.Accepted},
		{0, false, "seat-1", `"adomain":["https://www.BANK.example.com:443/x"]`, openrtb.BlockedDomain},
		{0, false, "seat-1", `"adomain":["databank.example.com"]`, openrtb.Accepted},
		{0, false, "seat-1", `"cat":["iab7-39"]`, openrtb.BlockedCategory},
		{0, false, "seat-1", `"cat":["IAB7-3"]`, openrtb.Accepted},
		{1, true, "seat-13", ``, openrtb.BlockedSeat},
		{1, true, "s", `"cat":["IAB25-3"]`, openrtb.BlockedCategory},
		{1, true, "s", `"cat":["IAB25-3"],"cattax":2`, openrtb.Accepted},
		{1, false, "s", `"cat":["IAB25-3"]`, openrtb.Accepted},
		{1, true, "s", `"bundle":"com.Example.rival"`, openrtb.BlockedApp},
	} {
		if c.bid != "" {
			c.bid = "," + c.bid
		}
		var res openrtb.BidResponse
		body := `{"id":"1","seatbid":[{"seat":"` + c.seat + `","bid":[{"id":"1","impid":"1","price":1` + c.bid + `}]}]}`
		if a, e := openrtb.ReadAnswer(200, []byte(body), &res); a != openrtb.Bids {
			t.Fatal(a, e)
		}
		publisher := int32(-1)
		if c.publisher {
			publisher = m.Publisher()
		}
		if got := s.Bid(b, publisher, b.Partner(c.partner), &res, &res.Bids[0]); got != c.want {
			t.Errorf("%s %s: %v, want %v", c.seat, c.bid, got, c.want)
		}
		if n := testing.AllocsPerRun(10, func() { s.Bid(b, publisher, b.Partner(c.partner), &res, &res.Bids[0]) }); n != 0 {
			t.Errorf("%s: %v allocations", c.bid, n)
		}
	}
}
