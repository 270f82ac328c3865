package decision

import (
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"millrace/bench/load"
	"millrace/bench/sim"
	"millrace/codec/unit"
	"millrace/engine/serve"
	"millrace/models/bundle"
	"millrace/models/bundle/bundletest"
	trained "millrace/models/bundle/demo"
	"millrace/models/feature"
	"millrace/state/campaign"
	"millrace/state/campaign/catalogtest"
)

var start = unit.WallTime(time.Date(2026, 3, 17, 9, 0, 0, 0, time.UTC).UnixNano())

func demoSnapshot(t testing.TB) *campaign.Snapshot {
	s, faults := campaign.Compile(catalogtest.Unpaced(campaign.Demo()), campaign.Options{Version: 1})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return s
}

// mix is the load generator's built-in corpus.
func mix(n int) [][]byte {
	corpus := load.Mix(1)
	bodies := make([][]byte, n)
	for i := range bodies {
		bodies[i] = corpus.Body(i)
	}
	return bodies
}

// synthetic are requests in the vocabulary of a synthetic catalog.
func synthetic(n int, o catalogtest.Options) [][]byte {
	bodies := make([][]byte, n)
	for i, f := range catalogtest.Requests(n, o) {
		bodies[i] = f.AppendJSON(nil, fmt.Sprintf("user-%d", i))
	}
	return bodies
}

func newLoop(t testing.TB, s *campaign.Snapshot, m *bundle.Bundle) *sim.Loop {
	w, err := sim.New(sim.Config{Seed: 1, Shards: 1, Catalog: s, Start: start, Caps: 1 << 16, Models: [2]*bundle.Bundle{m}, Explore: serve.Default().Explore})
	if err != nil {
		t.Fatal(err)
	}
	return w.Loop()
}

// TestAllocDecision: nothing is allocated from bytes in to bytes out, once warm.
func TestAllocDecision(t *testing.T) {
	o := catalogtest.Options{Lines: 1000, Seed: 1}
	model := bundletest.Synthetic(bundletest.Usual())
	for name, c := range map[string]struct {
		snapshot *campaign.Snapshot
		bodies   [][]byte
		model    *bundle.Bundle
	}{
		"demo":      {demoSnapshot(t), mix(256), nil},
		"synthetic": {catalogtest.Snapshot(o), synthetic(256, o), nil},

		"demo with a model":      {demoSnapshot(t), mix(256), model},
		"synthetic with a model": {catalogtest.Compete(catalogtest.Snapshot(o)), synthetic(256, o), model},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoop(t, c.snapshot, c.model)
			bids := 0
			pass := func() {
				for _, b := range c.bodies {
					if status, _ := l.Decide(b); status == 200 {
						bids++
					}
				}
			}
			for range 3 {
				pass()
			}
			if bids == 0 {
				t.Fatal("no request got a bid: the test would show nothing")
			}
			if n := testing.AllocsPerRun(5, pass); n != 0 {
				t.Errorf("%v allocations in %d decisions", n, len(c.bodies))
			}
		})
	}
}

func BenchmarkDecision(b *testing.B) {
	run := func(name string, m *bundle.Bundle, prepare func() (*campaign.Snapshot, [][]byte)) {
		b.Run(name, func(b *testing.B) {
			s, bodies := prepare()
			l := newLoop(b, s, m)
			var h maphash.Hash
			bids := 0
			for _, body := range bodies {
				l.Decide(body)
			}
			b.ReportAllocs()
			i, used := 0, processCPU()
			for b.Loop() {
				status, answer := l.Decide(bodies[i%len(bodies)])
				if status == 200 {
					bids++
					_ = h.WriteByte(answer[len(answer)-1])
				}
				i++
			}
			b.ReportMetric(float64(bids)/float64(i), "bids/req")
			// Whatever else the machine does, this is the decisions' own.
			b.ReportMetric(float64((processCPU()-used).Nanoseconds())/float64(i), "cpu-ns/op")
			if bids == 0 {
				b.Fatal("no bids")
			}
		})
	}
	run("demo", nil, func() (*campaign.Snapshot, [][]byte) { return demoSnapshot(b), mix(256) })
	for _, n := range []int{1000, 100_000} {
		o := catalogtest.Options{Lines: n, Seed: 1}
		run(fmt.Sprintf("lines=%d", n), nil, func() (*campaign.Snapshot, [][]byte) { return catalogtest.Snapshot(o), synthetic(256, o) })
	}
	// With the bundle that comes with the binary (trained; 70 trees for clicks, 90
	// for conversions), and two of three lines paying by them in one tier; and
	// without, for the same lines.
	model, err := bundle.Open(trained.File(), trained.Keys(), feature.Default(), bundle.Options{})
	if err != nil {
		b.Fatal(err)
	}
	run("model/demo", model, func() (*campaign.Snapshot, [][]byte) { return demoSnapshot(b), mix(256) })
	for _, n := range []int{12, 1000, 100_000} {
		o := catalogtest.Options{Lines: n, Seed: 1, Tight: n == 12}
		prepare := func() (*campaign.Snapshot, [][]byte) {
			return catalogtest.Compete(catalogtest.Snapshot(o)), synthetic(256, o)
		}
		run(fmt.Sprintf("model/lines=%d", n), model, prepare)
		run(fmt.Sprintf("model/lines=%d/off", n), nil, prepare)
	}
}
