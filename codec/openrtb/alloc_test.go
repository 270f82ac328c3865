package openrtb

import (
	"math/rand/v2"
	"testing"

	"millrace/codec/unit"
)

func TestAllocParseCorpus(t *testing.T) {
	lines := append(corpusRequests(t), richRequest)
	var r BidRequest
	run := func() {
		for _, b := range lines {
			_ = Parse(b, &r)
		}
	}
	run()
	if n := testing.AllocsPerRun(5, run); n != 0 {
		t.Errorf("%v allocations over %d requests", n, len(lines))
	}
}

func TestAllocDetails(t *testing.T) {
	bodies := append(wholeRequests(t), richRequest)
	views := make([]BidRequest, len(bodies))
	for i, b := range bodies {
		if e := Parse(b, &views[i]); !e.OK() {
			t.Fatal(e)
		}
	}
	var d Details
	run := func() {
		d.Reset()
		for i := range views {
			readDetails(&d, &views[i])
		}
	}
	run()
	if n := testing.AllocsPerRun(5, run); n != 0 {
		t.Errorf("%v allocations over the details of %d requests", n, len(views))
	}
}

// readDetails reads everything a request has for Details.
func readDetails(d *Details, r *BidRequest) {
	for i := range r.Imp {
		m := &r.Imp[i]
		_, _ = d.Metrics(m.Metric)
		_, _ = d.Qty(m.Qty)
		_, _ = d.Refresh(m.Refresh)
		for _, raw := range []Raw{m.Video.CompanionAd, m.Audio.CompanionAd} {
			_, _ = d.Companions(raw)
		}
		for _, raw := range []Raw{m.Video.DurFloors, m.Audio.DurFloors} {
			_, _ = d.DurFloors(raw)
		}
	}
	c := &r.Inventory.Content
	_, _ = d.Producer(c.Producer)
	_, _ = d.Party(c.Network)
	_, _ = d.Party(c.Channel)
	_, _ = d.UserAgent(r.Device.SUA)
	_, _ = d.EIDs(r.User.EIDs)
	_, _ = d.SupplyChain(r.Source.SChain)
}

func TestAllocParseBroken(t *testing.T) {
	m := mutator{rnd: rand.New(rand.NewPCG(4, 4)), seeds: append(seeds(t),
		[]byte(`{"id":"\u0061","\u0069mp":[{"id":"\u0031","banner":{"w":1e999,"h":"x"}}],"device":{"geo":{"lat":1e400,"lon":0.1234567890123456789012}}}`))}
	var bodies [][]byte
	for range 5_000 {
		bodies = append(bodies, m.next())
	}
	var r BidRequest
	run := func() {
		for _, b := range bodies {
			_ = Parse(b, &r)
		}
	}
	run()
	if n := testing.AllocsPerRun(3, run); n != 0 {
		t.Errorf("%v allocations over %d broken requests", n, len(bodies))
	}
}

func TestAllocResponseAndReason(t *testing.T) {
	res := testResponse()
	dst := make([]byte, 0, 8192)
	var r BidRequest
	e := Parse([]byte(`{"id":"a","imp":[{"id":"1"}]}`), &r)
	if n := testing.AllocsPerRun(100, func() {
		dst = AppendResponse(dst[:0], res)
		dst = e.AppendReason(dst)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func testResponse() *Response {
	return &Response{
		ID: MakeStr([]byte("req-1")), BidID: []byte("b\"1"), Cur: unit.USD, NBR: NoReason, Ext: []byte(`{"x":1}`),
		Bids: []Bid{
			{Seat: "millrace", ID: []byte("w1"), ImpID: MakeStr([]byte("1")), Price: 2_500_001, Adm: []byte(`<a href=\"x\">`), ADomain: []string{"a.example", "b.example"},
				CID: "camp", CRID: "cr\u2028é", Cat: []string{"IAB1"}, Attr: 1<<1 | 1<<2, Lang: "en", MType: BannerMedia, W: 300, H: 250, Exp: 300, NURL: []byte("https://x/?a=1&b=\"2\"")},
			{Seat: "millrace", ID: []byte("w2"), ImpID: MakeStr([]byte("2")), Price: 1, DealID: MakeStr([]byte("deal")), MType: VideoMedia, Dur: 15, CRID: "bad\xff\x01"},
			{Seat: "other", ID: []byte("w3"), ImpID: MakeStr([]byte("3")), Price: 0},
			{ID: []byte("w4"), ImpID: MakeStr([]byte("4")), Price: 7_000_000, Ext: []byte(`{"y":[]}`)},
		},
	}
}
