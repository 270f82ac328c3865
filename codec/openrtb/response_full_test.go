package openrtb

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/prebid/openrtb/v20/adcom1"
	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/unit"
)

// filledResponse has a value in every field.
func filledResponse() *Response {
	return &Response{
		ID: MakeStr([]byte("req")), BidID: []byte("bid"), Cur: unit.USD, CustomData: `c "d"`, NBR: NoReason, Ext: []byte(`{"a":[1]}`),
		Bids: []Bid{{
			Seat: "s", Group: true, ID: []byte("1"), ImpID: MakeStr([]byte("i")), Price: 1_500_000, AdID: "ad", NURL: []byte("https://n"), BURL: []byte("https://b"), LURL: []byte("https://l"), Adm: []byte("markup"),
			ADomain: []string{"a.example"}, Bundle: "com.example", IURL: "https://i", CID: "c", CRID: "cr", Tactic: "t", Cat: []string{"IAB1"}, CatTax: IABContent22, Attr: 1<<1 | 1<<16 | 1<<63, APIs: []int32{5, 7}, Proto: VAST42,
			Rating: 2, Lang: "en", LangB: "en-US", DealID: MakeStr([]byte("d")), MType: AudioMedia, W: 300, H: 250, WRatio: 16, HRatio: 9, Dur: 20, Slot: -1, Exp: 300, Ext: []byte(`{}`),
		}},
	}
}

// TestResponseHasEveryField: what is written is what the specification's own
// field names say, and nothing of 2.6 can't be said.
func TestResponseHasEveryField(t *testing.T) {
	got := readResponse(t, filledResponse())
	want := openrtb2.BidResponse{
		ID: "req", BidID: "bid", Cur: "USD", CustomData: `c "d"`, Ext: json.RawMessage(`{"a":[1]}`),
		SeatBid: []openrtb2.SeatBid{{Seat: "s", Group: 1, Bid: []openrtb2.Bid{{
			ID: "1", ImpID: "i", Price: 1.5, AdID: "ad", NURL: "https://n", BURL: "https://b", LURL: "https://l", AdM: "markup", ADomain: []string{"a.example"}, Bundle: "com.example", IURL: "https://i", CID: "c", CrID: "cr", Tactic: "t",
			Cat: []string{"IAB1"}, CatTax: 6, Attr: []adcom1.CreativeAttribute{1, 16, 63}, APIs: []adcom1.APIFramework{5, 7}, Protocol: 13, QAGMediaRating: 2, Language: "en", LangB: "en-US", DealID: "d", MType: openrtb2.MarkupAudio,
			W: 300, H: 250, WRatio: 16, HRatio: 9, Dur: 20, SlotInPod: -1, Exp: 300, Ext: json.RawMessage(`{}`),
		}}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	// The oracle is complete as well: but for the deprecated api, nbr and the
	// seat's ext, no field of its types is empty.
	var empty []string
	for name, v := range map[string]reflect.Value{"": reflect.ValueOf(got), "seatbid.": reflect.ValueOf(got.SeatBid[0]), "bid.": reflect.ValueOf(got.SeatBid[0].Bid[0])} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				empty = append(empty, name+v.Type().Field(i).Name)
			}
		}
	}
	for _, name := range empty {
		if !strings.Contains(" NBR seatbid.Ext bid.API ", " "+name+" ") {
			t.Errorf("%s can't be written", name)
		}
	}
}

// Neighbours share a seatbid if seat and group are the same.
func TestResponseGroups(t *testing.T) {
	r := &Response{NBR: NoReason}
	for _, k := range []struct {
		seat  string
		group bool
	}{{"a", false}, {"a", true}, {"a", true}, {"b", true}, {"b", false}} {
		r.Bids = append(r.Bids, Bid{Seat: k.seat, Group: k.group})
	}
	o := readResponse(t, r)
	got := ""
	for _, s := range o.SeatBid {
		got += s.Seat + strings.Repeat("+", int(s.Group)) + strings.Repeat(".", len(s.Bid)) + " "
	}
	if got != "a. a+.. b+. b. " {
		t.Error(got)
	}
}

func TestAllocAppendFullResponse(t *testing.T) {
	r, dst := filledResponse(), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { dst = AppendResponse(dst[:0], r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestResponseRoundTrip: what we write is what the reader of bidders' answers
// reads.
func TestResponseRoundTrip(t *testing.T) {
	sent := filledResponse()
	var r BidResponse
	if e := ParseResponse(AppendResponse(nil, sent), &r, DefaultResponseLimits()); !e.OK() {
		t.Fatal(e)
	}
	if !r.ID.Equal("req") || !r.BidID.Equal("bid") || !r.CustomData.Equal(`c "d"`) || r.Cur != sent.Cur || r.NBR != NoReason || string(r.Ext.Bytes()) != `{"a":[1]}` || len(r.Seats) != 1 || len(r.Bids) != 1 {
		t.Fatalf("%+v", r)
	}
	if s := &r.Seats[0]; !s.Seat.Equal("s") || !s.Group {
		t.Errorf("%+v", s)
	}
	b, want := &r.Bids[0], &sent.Bids[0]
	for name, text := range map[string][2]string{
		"id": {b.ID.String(), "1"}, "impid": {b.ImpID.String(), "i"}, "nurl": {b.NURL.String(), "https://n"}, "burl": {b.BURL.String(), "https://b"}, "lurl": {b.LURL.String(), "https://l"}, "adm": {b.Adm.String(), "markup"}, "adid": {b.AdID.String(), want.AdID},
		"bundle": {b.Bundle.String(), want.Bundle}, "iurl": {b.IURL.String(), want.IURL}, "cid": {b.CID.String(), want.CID}, "crid": {b.CRID.String(), want.CRID}, "tactic": {b.Tactic.String(), want.Tactic}, "language": {b.Language.String(), want.Lang},
		"langb": {b.LangB.String(), want.LangB}, "dealid": {b.DealID.String(), "d"}, "ext": {string(b.Ext.Bytes()), "{}"}, "adomain": {r.Strs(b.ADomain)[0].String(), "a.example"}, "cat": {r.Strs(b.Cat)[0].String(), "IAB1"},
	} {
		if text[0] != text[1] {
			t.Errorf("%s: %q, want %q", name, text[0], text[1])
		}
	}
	if b.Invalid || b.Price != want.Price || b.CatTax != want.CatTax || !reflect.DeepEqual(r.Ints(b.Attr), []int32{1, 16, 63}) || !reflect.DeepEqual(r.Ints(b.APIs), want.APIs) || b.Protocol != want.Proto || b.QAGMediaRating != want.Rating ||
		b.W != want.W || b.H != want.H || b.WRatio != want.WRatio || b.HRatio != want.HRatio || b.Dur != want.Dur || b.Exp != want.Exp || b.MType != int32(want.MType) || b.SlotInPod != want.Slot {
		t.Errorf("%+v", b)
	}
}
