package selection

import (
	"fmt"
	"testing"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/state/campaign/catalogtest"
)

var startWall = unit.WallFromUnix(1_780_000_000)

// parsed are n requests in the vocabulary of a synthetic catalog.
func parsed(t testing.TB, n int, o catalogtest.Options, extra string) []openrtb.BidRequest {
	views := make([]openrtb.BidRequest, n)
	for i, f := range catalogtest.Requests(n, o) {
		body := f.AppendJSON(nil, fmt.Sprint("user-", i))
		body = append(append(body[:len(body)-1], extra...), '}')
		if fault := openrtb.Parse(body, &views[i]); !fault.OK() {
			t.Fatalf("%s", fault.AppendReason(nil))
		}
	}
	return views
}

// decide finds the request's winner as engine/serve does, without money.
func decide(s *Selector, r *openrtb.BidRequest, lost *[ReasonCount]uint32) (looked int, won bool) {
	s.Begin(r, User{ID: testUser, Known: true}, Choice{}, 0, startWall)
	for i := range r.Imp {
		s.BeginImp(&r.Imp[i])
		for {
			b, ok := s.Next(lost)
			if !ok {
				break
			}
			looked++
			if _, reason := s.Admit(b); reason == Won {
				won = true
				break
			}
		}
	}
	return looked, won
}

// TestAllocSelection: nothing is allocated once warm, whether a request is won
// by its first candidate or refused by all of them.
func TestAllocSelection(t *testing.T) {
	o := catalogtest.Options{Lines: 1000, Seed: 1}
	views := append(parsed(t, 64, o, ""), parsed(t, 64, o, `,"wseat":["nobody"]`)...)
	s := NewSelector(Prepare(catalogtest.Snapshot(o), Default()), NewRates(), newCaps(t), nil)
	var lost [ReasonCount]uint32
	wins := 0
	pass := func() {
		for i := range views {
			if _, won := decide(s, &views[i], &lost); won {
				wins++
			}
		}
	}
	pass()
	if wins == 0 || lost[MediaNotOffered]+lost[SizeNotOffered] == 0 {
		t.Fatalf("%d wins, %v lost: the test shows nothing", wins, lost)
	}
	if n := testing.AllocsPerRun(5, pass); n != 0 {
		t.Errorf("%v allocations in %d requests", n, len(views))
	}
}

// BenchmarkScan is one walk over an impression's candidates, targeting done.
func BenchmarkScan(b *testing.B) {
	for _, lines := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			o := catalogtest.Options{Lines: lines, Seed: 1}
			views := parsed(b, 64, o, "")
			c := Prepare(catalogtest.Snapshot(o), Default())
			selectors := make([]*Selector, len(views))
			for i := range views {
				selectors[i] = NewSelector(c, NewRates(), newCaps(b), nil)
				selectors[i].Begin(&views[i], User{ID: testUser, Known: true}, Choice{}, 0, startWall)
				selectors[i].BeginImp(&views[i].Imp[0])
			}
			var lost [ReasonCount]uint32
			candidates, calls := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				s := selectors[calls%len(selectors)]
				s.beginScan()
				s.scan(&lost)
				candidates += s.Candidates()
				calls++
			}
			b.ReportMetric(float64(candidates)/float64(calls), "candidates/op")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(candidates, 1)), "ns/candidate")
		})
	}
}

// BenchmarkSelection is targeting, scan and admission of a request: won by one
// of its first candidates, or refused by every one of them.
func BenchmarkSelection(b *testing.B) {
	for _, lines := range []int{1000, 100_000} {
		o := catalogtest.Options{Lines: lines, Seed: 1}
		c := Prepare(catalogtest.Snapshot(o), Default())
		for _, kind := range []struct{ name, extra string }{{"won", ""}, {"refused", `,"wseat":["nobody"]`}} {
			b.Run(fmt.Sprintf("lines=%d/%s", lines, kind.name), func(b *testing.B) {
				views := parsed(b, 64, o, kind.extra)
				s := NewSelector(c, NewRates(), newCaps(b), nil)
				var lost [ReasonCount]uint32
				looked, calls := 0, 0
				b.ReportAllocs()
				for b.Loop() {
					n, _ := decide(s, &views[calls%len(views)], &lost)
					looked += n
					calls++
				}
				b.ReportMetric(float64(looked)/float64(calls), "bids/op")
			})
		}
	}
}
