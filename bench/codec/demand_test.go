package codec

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/bytedance/sonic"
	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/corpus"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// bidders are edits as twenty bidders want them: half of them OpenRTB 2.5, own
// user ids, timeouts and floors, some a part of the impressions, deals or
// parameters in ext.
func bidders() []openrtb.Edit {
	list := make([]openrtb.Edit, 20)
	for i := range list {
		e := &list[i]
		e.Version = openrtb.V26 - openrtb.Version(i%2)
		e.TMax = int32(80 + i)
		e.BuyerUID = openrtb.TextEdit{Op: openrtb.Set, Text: []byte(fmt.Sprintf("buyer-%08x", i*7919))}
		e.Imps = []openrtb.ImpEdit{{Imp: 0, HasFloor: true, Floor: unit.CPMMicros(1_250_000 + 10_000*i), FloorCur: unit.USD}}
		if i%4 == 0 {
			e.OnlyImps = true
		}
		if i%5 == 0 {
			e.Imps[0].OnlyDeals, e.Imps[0].Deals = true, []string{"deal-premium-001"}
		}
		if i%3 == 0 {
			e.Imps[0].Ext.Members = []openrtb.MemberEdit{{Name: "bidder", JSON: []byte(`{"placement":12345,"zone":"a-17"}`)}}
		}
	}
	return list
}

var commonEdit = openrtb.Edit{At: openrtb.FirstPrice, SChainNode: []byte(`{"asi":"millrace.example","sid":"pub-5511","hp":1}`), BAdv: []string{"house-rival.example"}}

// patches are what makes the requests of twenty bidders out of one: ours, and
// marshalling the decoded request twenty times, each a shallow copy with one
// field set, which is the cheapest edit there is.
func patches(t *testing.T, bodies [][]byte) []work {
	type decoded struct {
		view  openrtb.BidRequest
		typed openrtb2.BidRequest
	}
	all := map[*byte]*decoded{}
	for _, b := range bodies {
		d := new(decoded)
		if e := openrtb.Parse(b, &d.view); e.OK() && json.Unmarshal(b, &d.typed) == nil {
			all[&b[0]] = d
		}
	}
	edits := bidders()
	var p openrtb.Patcher
	dst, pieces := make([]byte, 0, 1<<20), make([][]byte, 0, 1<<12)
	marshal := func(f func(any) ([]byte, error)) func([]byte) bool {
		return func(b []byte) bool {
			d := all[&b[0]]
			for k := range edits {
				if d == nil {
					return false
				}
				own := d.typed
				own.TMax = int64(edits[k].TMax)
				if _, err := f(&own); err != nil {
					return false
				}
			}
			return true
		}
	}
	return []work{
		{"millrace", func(b []byte) bool {
			d := all[&b[0]]
			if d == nil || !p.Begin(&d.view, b, &commonEdit).OK() {
				return false
			}
			for k := range edits {
				dst = p.Append(dst[:0], &edits[k])
			}
			return len(dst) > 0
		}},
		{"millrace, pieces for writev", func(b []byte) bool {
			d := all[&b[0]]
			if d == nil || !p.Begin(&d.view, b, &commonEdit).OK() {
				return false
			}
			for k := range edits {
				pieces, _ = p.AppendVector(pieces[:0], &edits[k])
			}
			return len(pieces) > 0
		}},
		{"sonic, 20 × Marshal", marshal(sonic.ConfigDefault.Marshal)},
		{"sonic, fastest, 20 × Marshal", marshal(sonic.ConfigFastest.Marshal)},
	}
}

// TestPatchTable is TestTable for the requests of twenty bidders.
func TestPatchTable(t *testing.T) {
	for _, in := range requests(t) {
		compare(t, "20 bidders, "+in.name, in.bodies, patches(t, in.bodies))
	}
}

// TestResponseTable is TestTable for bidders' answers.
func TestResponseTable(t *testing.T) {
	if !corpus.Has(corpus.Exchanges) {
		t.Skip("no corpus of exchanges")
	}
	var bodies [][]byte
	for _, line := range corpus.Lines(t, corpus.Exchanges) {
		var x struct{ Response json.RawMessage }
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, x.Response)
	}
	var view openrtb.BidResponse
	into := func(unmarshal func([]byte, any) error) func([]byte) bool {
		return func(b []byte) bool {
			var r openrtb2.BidResponse
			return unmarshal(b, &r) == nil
		}
	}
	compare(t, "answers of bidders", bodies, []work{
		{"millrace", func(b []byte) bool { a, _ := openrtb.ReadAnswer(200, b, &view); return a.OK() }},
		{"sonic", into(sonic.ConfigDefault.Unmarshal)},
		{"sonic, fastest", into(sonic.ConfigFastest.Unmarshal)},
		{"encoding/json", into(json.Unmarshal)},
	})
}
