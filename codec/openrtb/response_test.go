package openrtb

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/prebid/openrtb/v20/openrtb2"
)

func readResponse(t *testing.T, r *Response) openrtb2.BidResponse {
	t.Helper()
	var o openrtb2.BidResponse
	text := AppendResponse(nil, r)
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return o
}

func TestResponseReadsBack(t *testing.T) {
	o := readResponse(t, testResponse())
	if o.ID != "req-1" || o.BidID != `b"1` || o.Cur != "USD" || o.NBR != nil || string(o.Ext) != `{"x":1}` || len(o.SeatBid) != 3 {
		t.Fatalf("%+v", o)
	}
	if o.SeatBid[0].Seat != "millrace" || len(o.SeatBid[0].Bid) != 2 || o.SeatBid[1].Seat != "other" || o.SeatBid[2].Seat != "" {
		t.Fatalf("%+v", o.SeatBid)
	}
	b := o.SeatBid[0].Bid[0]
	if b.ID != "w1" || b.ImpID != "1" || b.Price != 2.500001 || b.AdM != `<a href="x">` || strings.Join(b.ADomain, " ") != "a.example b.example" || b.CID != "camp" ||
		b.CrID != "cr\u2028é" || b.Cat[0] != "IAB1" || len(b.Attr) != 2 || b.Language != "en" || b.MType != openrtb2.MarkupBanner || b.W != 300 || b.H != 250 || b.Exp != 300 ||
		b.NURL != `https://x/?a=1&b="2"` {
		t.Errorf("%+v", b)
	}
	if c := o.SeatBid[0].Bid[1]; c.Price != 0.000001 || c.DealID != "deal" || c.Dur != 15 || c.CrID != "bad\ufffd\x01" {
		t.Errorf("%+v", c)
	}
	if string(o.SeatBid[2].Bid[0].Ext) != `{"y":[]}` {
		t.Errorf("%+v", o.SeatBid[2])
	}
}

func TestResponseNoBid(t *testing.T) {
	o := readResponse(t, &Response{ID: MakeStr([]byte("q")), NBR: DailyUserCap})
	if o.NBR == nil || *o.NBR != 9 || len(o.SeatBid) != 0 || o.Cur != "" {
		t.Errorf("%+v", o)
	}
	if text := AppendResponse(nil, &Response{ID: MakeStr([]byte("q")), NBR: NoReason}); string(text) != `{"id":"q"}` {
		t.Errorf("%s", text)
	}
}

func TestResponseEchoesIDsAsTheyMean(t *testing.T) {
	for _, raw := range []string{`a\"b`, `\u00e9`, "\xff", "é"} {
		var r BidRequest
		if e := Parse([]byte(`{"id":"`+raw+`","imp":[{"id":"`+raw+`","banner":{}}]}`), &r); !e.OK() {
			t.Fatal(e)
		}
		o := readResponse(t, &Response{ID: r.ID, NBR: NoReason, Bids: []Bid{{ID: []byte("1"), ImpID: r.Imp[0].ID}}})
		if o.ID != r.ID.String() || o.SeatBid[0].Bid[0].ImpID != o.ID {
			t.Errorf("%q came back as %q", raw, o.ID)
		}
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	r := testResponse()
	r.Bids = r.Bids[:1]
	r.Bids[0].Adm = make([]byte, 600)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendResponse(dst[:0], r)
	}
	b.SetBytes(int64(len(dst)))
}
