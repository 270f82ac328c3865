package openrtb

import (
	"math/rand/v2"
	"testing"
)

// twenty are edits of twenty bidders.
func twenty(seed uint64) (edits []Edit) {
	rnd := rand.New(rand.NewPCG(seed, 20))
	for range 20 {
		edits = append(edits, *randomEdit(rnd, 2))
	}
	return edits
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

func TestAllocPatch(t *testing.T) {
	bodies := append(corpusRequests(t), richRequest)
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		bodies = append(bodies, mutate(rnd, bodies))
	}
	views, edits, common := viewsOf(bodies), twenty(1), twenty(2)
	var p Patcher
	dst := make([]byte, 0, 1<<20)
	vector := make([][]byte, 0, 1<<12)
	run := func() {
		for i, body := range bodies {
			if views[i] == nil || !p.Begin(views[i], body, &common[i%20]).OK() {
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

// The comparison with marshalling is in bench/codec; ns/op is for twenty
// bidders.

func benchPatch(b *testing.B, bodies [][]byte) {
	views, edits, common := viewsOf(bodies), twenty(1), twenty(2)
	var p Patcher
	dst := make([]byte, 0, 1<<20)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := i % len(bodies)
		if views[n] == nil || !p.Begin(views[n], bodies[n], &common[0]).OK() {
			continue
		}
		for k := range edits {
			dst = p.Append(dst[:0], &edits[k])
		}
	}
}

func BenchmarkPatch20Rich(b *testing.B) { benchPatch(b, [][]byte{richRequest}) }

func BenchmarkPatch20Corpus(b *testing.B) { benchPatch(b, corpusRequests(b)) }
