package openrtb

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bytedance/sonic"
	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/unit"
)

// bidders are edits as twenty bidders want them: half of them OpenRTB 2.5, own
// user ids, timeouts and floors, some a part of the impressions, deals or
// parameters in ext.
func bidders() []Edit {
	list := make([]Edit, 20)
	for i := range list {
		e := &list[i]
		e.Version = V26 - Version(i%2)
		e.TMax = int32(80 + i)
		e.BuyerUID = TextEdit{Set, []byte(fmt.Sprintf("buyer-%08x", i*7919))}
		e.Imps = []ImpEdit{{Imp: 0, HasFloor: true, Floor: unit.CPMMicros(1_250_000 + 10_000*i), FloorCur: unit.USD}}
		if i%4 == 0 {
			e.OnlyImps = true
		}
		if i%5 == 0 {
			e.Imps[0].OnlyDeals, e.Imps[0].Deals = true, []string{"deal-premium-001"}
		}
		if i%3 == 0 {
			e.Imps[0].Ext.Members = []MemberEdit{{"bidder", []byte(`{"placement":12345,"zone":"a-17"}`)}}
		}
	}
	return list
}

var commonEdit = Edit{At: FirstPrice, SChainNode: []byte(`{"asi":"millrace.example","sid":"pub-5511","hp":1}`), BAdv: []string{"house-rival.example"}}

func TestAllocPatch(t *testing.T) {
	bodies := append(corpusRequests(t), richRequest)
	edits := bidders()
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		bodies = append(bodies, mutate(rnd, bodies))
	}
	views := viewsOf(bodies)
	var p Patcher
	dst := make([]byte, 0, 1<<20)
	vector := make([][]byte, 0, 1<<12)
	run := func() {
		for i, body := range bodies {
			if views[i] == nil || !p.Begin(views[i], body, &commonEdit).OK() {
				continue
			}
			for k := range edits {
				dst = p.Append(dst[:0], &edits[k])
				vector, _ = p.AppendVector(vector[:0], &edits[k])
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(3, run); n != 0 {
		t.Errorf("%v allocations over %d requests for %d bidders", n, len(bodies), len(edits))
	}
}

// viewsOf are the parsed bodies, nil for one that is refused.
func viewsOf(bodies [][]byte) []*BidRequest {
	views := make([]*BidRequest, len(bodies))
	for i, body := range bodies {
		if r := new(BidRequest); Parse(body, r).OK() {
			views[i] = r
		}
	}
	return views
}

// benchPatch makes the requests of twenty bidders out of each body; ns/op is
// for all twenty.
func benchPatch(b *testing.B, bodies [][]byte) {
	edits, views := bidders(), viewsOf(bodies)
	var p Patcher
	b.Run("millrace", func(b *testing.B) {
		dst := make([]byte, 0, 1<<20)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if views[i%len(bodies)] == nil || !p.Begin(views[i%len(bodies)], bodies[i%len(bodies)], &commonEdit).OK() {
				continue
			}
			for k := range edits {
				dst = p.Append(dst[:0], &edits[k])
			}
		}
	})
	b.Run("millrace-vector", func(b *testing.B) {
		vector := make([][]byte, 0, 1<<12)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if views[i%len(bodies)] == nil || !p.Begin(views[i%len(bodies)], bodies[i%len(bodies)], &commonEdit).OK() {
				continue
			}
			for k := range edits {
				vector, _ = p.AppendVector(vector[:0], &edits[k])
			}
		}
	})
	typed := make([]*openrtb2.BidRequest, 0, len(bodies))
	for _, body := range bodies {
		r := new(openrtb2.BidRequest)
		if json.Unmarshal(body, r) == nil {
			typed = append(typed, r)
		}
	}
	for name, api := range map[string]sonic.API{"sonic": sonic.ConfigDefault, "sonic-fastest": sonic.ConfigFastest} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := typed[i%len(typed)]
				for k := range edits {
					// The cheapest edit there is: a shallow copy with a field set.
					own := *r
					own.TMax = int64(edits[k].TMax)
					if _, err := api.Marshal(&own); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkPatch20Rich(b *testing.B)   { benchPatch(b, [][]byte{richRequest}) }
func BenchmarkPatch20Corpus(b *testing.B) { benchPatch(b, corpusRequests(b)) }
