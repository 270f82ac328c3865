package selection

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/auction"
	"millrace/models/bundle"
	"millrace/models/bundle/bundletest"
	trained "millrace/models/bundle/demo"
	"millrace/models/coldstart"
	"millrace/models/feature"
	"millrace/models/ladder"
	"millrace/state/campaign"
	"millrace/state/campaign/catalogtest"
	"millrace/state/profile"
)

func newUsers(t testing.TB) *profile.Users {
	t.Helper()
	u, err := profile.NewUsers(profile.UsersConfig{Users: 4096})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// modelled is a selector with a model in force in its first arm.
func modelled(t testing.TB, snap *campaign.Snapshot, cfg Config, b *bundle.Bundle, totals map[unit.CreativeID]Counts) *Selector {
	t.Helper()
	m, err := PrepareModel(b, snap, totals, startWall, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPredictor(b.Schema, newUsers(t))
	if err != nil {
		t.Fatal(err)
	}
	p.SetArms([2]*Arm{NewArm(m), nil})
	return NewSelector(Prepare(snap, cfg), NewRates(), newCaps(t), p)
}

// naiveRate predicts one pair the slow way: the whole row, made by an encoder of
// its own, through the trees from their roots.
func naiveRate(s *Selector, m *bundle.Model, model *Model, c campaign.CreativeIndex) float64 {
	p, err := NewPredictor(model.bundle.Schema, s.predictor.users)
	if err != nil {
		panic(err)
	}
	schema := model.bundle.Schema
	split := schema.Split()
	row := make([]float32, split.Columns())
	p.beginRequest(s)
	p.encode(s)
	copy(row, p.request)
	enc := schema.NewEncoder()
	var none Counts
	p.inputs.encodeAd(enc, model.snapshot, c, &none, startWall, row[split.Request:split.Request+schema.Width(feature.Ad)])
	p.encodePair(s, c, row[split.Request+split.Ad:])
	return m.RateOf(row)
}

// naiveScored are all bids of the impression with every candidate scored, in
// the order.
func naiveScored(s *Selector) (bids []auction.Bid) {
	c, model := s.catalog, s.arm.model
	b := model.bundle
	for i, ok := s.match.Next(0); ok; i, ok = s.match.Next(i + 1) {
		l := &c.Snapshot.Lines[i]
		for cr := l.FirstCreative; cr < l.EndCreative; cr++ {
			if c.Snapshot.Reject(&s.query, cr) != campaign.Accepted {
				continue
			}
			price := c.values[cr]
			if l.Pricing != campaign.CPM {
				clicks := &b.CTR
				if !s.known {
					clicks = &b.Context
				}
				ctr := float32(naiveRate(s, clicks, model, cr))
				price = expected(l, float64(ctr), float64(float32(naiveRate(s, &b.CVR, model, cr))))
			}
			if price > 0 || l.Kind == campaign.House {
				weight := float32(float64(c.Snapshot.Creatives[cr].Quality) / 7 * c.cfg.Format[c.Snapshot.Creatives[cr].Media])
				bids = append(bids, auction.Bid{Rank: weigh(price, weight), Price: price, Line: uint32(i), Creative: uint32(cr), Tier: l.Tier})
			}
		}
	}
	slices.SortFunc(bids, func(a, b auction.Bid) int {
		if auction.Before(&a, &b) {
			return -1
		}
		return 1
	})
	return bids
}

// live gives the user a past, and creatives random qualities.
func live(r *rand.Rand, s *Selector) {
	snap := s.catalog.Snapshot
	for range 200 {
		c := campaign.CreativeIndex(r.IntN(len(snap.Creatives)))
		s.predictor.users.Add(testUser, profile.Event(r.IntN(8)/7), Subject(snap, c), unit.MonoTime(r.Int64N(int64(time.Hour))))
	}
}

func qualities(r *rand.Rand, snap *campaign.Snapshot) {
	for i := range snap.Creatives {
		if r.IntN(2) == 0 {
			snap.Creatives[i].Quality = float32(r.IntN(101)) / 10
		}
	}
}

// TestScoringEqualsScoringAll: the bids that come up, and their order, are those
// of an evaluation that scores every candidate by the naive walk and sorts, while
// far from every candidate is scored before the first bid comes up.
func TestScoringEqualsScoringAll(t *testing.T) {
	compared, scored, all := 0, 0, 0
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 11))
		o := catalogtest.Options{Lines: 100 + 500*int(seed%3), Seed: seed + 1, Tight: seed%2 == 0}
		snap := catalogtest.Compete(catalogtest.Snapshot(o))
		qualities(r, snap)
		cfg := Default()
		cfg.Format[openrtb.BannerMedia], cfg.ScoredMax = 1.25, 0
		bo := bundletest.Usual()
		bo.Seed, bo.Trees, bo.Leaves = seed, 20, 16
		s := modelled(t, snap, cfg, bundletest.Synthetic(bo), nil)
		live(r, s)
		views := parsed(t, 30, o, "")
		for i := range views {
			s.Begin(&views[i], User{ID: testUser, Known: i%4 > 0}, Choice{}, unit.MonoTime(2*time.Hour), startWall)
			s.BeginImp(&views[i].Imp[0])
			if !s.scoring {
				continue
			}
			var lost [ReasonCount]uint32
			var got []auction.Bid
			for b, ok := s.Next(&lost); ok; b, ok = s.Next(&lost) {
				if len(got) == 0 {
					scored += s.Scores()
				}
				got = append(got, *b)
			}
			all += s.Scores()
			want := slices.DeleteFunc(naiveScored(s), func(b auction.Bid) bool {
				// What has no hope at its best is not scored: the naive one leaves it
				// out by Admit.
				return hopelessAt(s, &b)
			})
			got = slices.DeleteFunc(got, func(b auction.Bid) bool { return hopelessAt(s, &b) })
			if !slices.Equal(got, want) {
				t.Fatalf("catalog %+v, request %d:\n got %v\nwant %v", o, i, first(got, want), first(want, got))
			}
			compared += len(got)
		}
	}
	t.Logf("%d bids compared; %d of %d candidates scored when the first came up", compared, scored, all)
	if compared < 1000 {
		t.Error("the test shows too little")
	}
}

// TestPrerank: with more lines than ScoredMax those that look best by counts are
// scored and ordered by their scores; no more than that is scored before the
// first bid.
func TestPrerank(t *testing.T) {
	o := catalogtest.Options{Lines: 900, Seed: 4, Tight: true}
	snap := catalogtest.Compete(catalogtest.Snapshot(o))
	cfg := Default()
	cfg.ScoredMax = 40
	s := modelled(t, snap, cfg, bundletest.Synthetic(bundletest.Usual()), nil)
	plain := NewSelector(Prepare(snap, cfg), NewRates(), newCaps(t), nil)
	views := parsed(t, 40, o, "")
	checked := 0
	for i := range views {
		var lost [ReasonCount]uint32
		var counts, got []auction.Bid
		for k, s := range []*Selector{plain, s} {
			s.Begin(&views[i], User{ID: testUser, Known: true}, Choice{}, 0, startWall)
			s.BeginImp(&views[i].Imp[0])
			for b, ok := s.Next(&lost); ok; b, ok = s.Next(&lost) {
				if k == 0 {
					counts = append(counts, *b)
				} else if got = append(got, *b); len(got) == 1 && s.Scores() > cfg.ScoredMax {
					t.Fatalf("%d scored before the first bid", s.Scores())
				}
			}
		}
		if !s.preranked || len(counts) <= cfg.ScoredMax {
			continue
		}
		checked++
		creatives := func(bids []auction.Bid) (list []uint32) {
			for _, b := range bids[:cfg.ScoredMax] {
				list = append(list, b.Creative)
			}
			slices.Sort(list)
			return list
		}
		if !slices.Equal(creatives(got), creatives(counts)) {
			t.Fatalf("request %d: the first %d by counts are not those that were scored", i, cfg.ScoredMax)
		}
		if !slices.IsSortedFunc(got[:cfg.ScoredMax], func(a, b auction.Bid) int {
			if auction.Before(&a, &b) {
				return -1
			}
			return 1
		}) {
			t.Fatalf("request %d: not in the order of their scores", i)
		}
	}
	if checked == 0 {
		t.Error("no request had so many candidates: the test shows nothing")
	}
}

func hopelessAt(s *Selector, b *auction.Bid) bool {
	return s.hopeless(campaign.LineIndex(b.Line), &s.catalog.Snapshot.Lines[b.Line], b.Price) != Won
}

// first is where a differs from b.
func first(a, b []auction.Bid) string {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("%d: %+v", i, a[i])
		}
	}
	return "the beginning of the other"
}

// TestExploreKeepsTheRest: what an explorer chooses comes first, was admitted,
// and the rest follows in its order; over many requests others than the best
// win, and what is given up stays within its share.
func TestExploreKeepsTheRest(t *testing.T) {
	o := catalogtest.Options{Lines: 600, Seed: 2, Tight: true}
	snap := catalogtest.Compete(catalogtest.Snapshot(o))
	s := modelled(t, snap, Default(), bundletest.Synthetic(bundletest.Usual()), nil)
	cfg := coldstart.Default()
	x := coldstart.NewExplorer(cfg, 1, 0)
	views := parsed(t, 60, o, "")
	others, explored := 0, 0
	for round := range 20 {
		for i := range views {
			order := func(explore bool) (all []auction.Bid, c coldstart.Choice) {
				s.Begin(&views[i], User{ID: testUser, Known: true}, Choice{}, unit.MonoTime(round)*unit.MonoTime(time.Second), startWall)
				s.BeginImp(&views[i].Imp[0])
				var lost [ReasonCount]uint32
				if explore {
					c = s.Explore(&x, &lost)
				}
				for b, ok := s.Next(&lost); ok; b, ok = s.Next(&lost) {
					if _, reason := s.Admit(b); reason == Won {
						all = append(all, *b)
					}
				}
				return all, c
			}
			plain, _ := order(false)
			got, c := order(true)
			if !(c.Propensity > 0 && c.Propensity <= 1) || len(got) != len(plain) {
				t.Fatalf("propensity %v, %d bids of %d", c.Propensity, len(got), len(plain))
			}
			if c.Explored {
				explored++
			}
			if len(got) > 0 && got[0] != plain[0] {
				others++
				if !c.Explored || got[0].Tier != plain[0].Tier {
					t.Fatalf("another bid first without a choice, or of another tier: %+v", c)
				}
				at := slices.Index(plain, got[0])
				plain = append([]auction.Bid{got[0]}, slices.Delete(slices.Clone(plain), at, at+1)...)
			}
			if !slices.Equal(got, plain) {
				t.Fatalf("request %d: the rest is in another order: got %s, want %s", i, first(got, plain), first(plain, got))
			}
		}
	}
	t.Logf("%d choices, %d other winners, %v given up of %v", explored, others, x.GivenUp, x.Earned)
	if others == 0 || x.GivenUp > unit.Nanos(float64(x.Earned)*cfg.TotalShare)+cfg.Floor*20 {
		t.Errorf("%d other winners; given up %v of %v", others, x.GivenUp, x.Earned)
	}
}

// TestRungs: without a model, on a rung that does without, or with a model of
// another catalog, worth is what it was before there were models.
func TestRungs(t *testing.T) {
	o := catalogtest.Options{Lines: 300, Seed: 5}
	snap := catalogtest.Compete(catalogtest.Snapshot(o))
	b := bundletest.Synthetic(bundletest.Usual())
	plain := NewSelector(Prepare(snap, Default()), NewRates(), newCaps(t), nil)
	s := modelled(t, snap, Default(), b, nil)
	views := parsed(t, 30, o, "")
	order := func(s *Selector, rung ladder.Rung) (all []auction.Bid) {
		for i := range views {
			s.Begin(&views[i], User{ID: testUser, Known: true}, Choice{Rung: rung}, 0, startWall)
			s.BeginImp(&views[i].Imp[0])
			var lost [ReasonCount]uint32
			for b, ok := s.Next(&lost); ok; b, ok = s.Next(&lost) {
				all = append(all, *b)
			}
		}
		return all
	}
	cold := order(plain, ladder.Full)
	for name, got := range map[string][]auction.Bid{
		"cold start": order(s, ladder.ColdStart), "cached before anything was predicted": order(s, ladder.Cached),
		"the priors of a catalog without events": order(s, ladder.Prior),
	} {
		if !slices.Equal(got, cold) {
			t.Errorf("%s: another order than without a model", name)
		}
	}
	full := order(s, ladder.Full)
	if slices.Equal(full, cold) {
		t.Error("the model changes nothing: the test shows nothing")
	}
	if cached := order(s, ladder.Cached); slices.Equal(cached, cold) {
		t.Error("what was predicted is not remembered on the rung below")
	}
	s.Swap(Prepare(catalogtest.Compete(catalogtest.Snapshot(o)), Default()))
	if !slices.Equal(order(s, ladder.Full), cold) {
		t.Error("a model of another snapshot predicted")
	}
}

// TestModelRebuildsWhatChanged: an incremental rebuild gives the same scores as
// one from nothing.
func TestModelRebuildsWhatChanged(t *testing.T) {
	o := catalogtest.Options{Lines: 300, Seed: 5}
	b := bundletest.Synthetic(bundletest.Usual())
	old, err := PrepareModel(b, catalogtest.Snapshot(o), nil, startWall, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Lines = 330
	snap := catalogtest.Compete(catalogtest.Snapshot(o))
	totals := map[unit.CreativeID]Counts{}
	for i := 0; i < len(snap.Creatives); i += 3 {
		totals[snap.Creatives[i].ID] = Counts{uint64(1000 + i), uint64(i), 3}
	}
	views := parsed(t, 20, o, "")
	var orders [2][]auction.Bid
	for k, prev := range []*Model{nil, old} {
		m, err := PrepareModel(b, snap, totals, startWall, prev)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := NewPredictor(b.Schema, newUsers(t))
		p.SetArms([2]*Arm{NewArm(m), nil})
		s := NewSelector(Prepare(snap, Default()), NewRates(), newCaps(t), p)
		for i := range views {
			s.Begin(&views[i], User{ID: testUser, Known: true}, Choice{}, 0, startWall)
			s.BeginImp(&views[i].Imp[0])
			var lost [ReasonCount]uint32
			for b, ok := s.Next(&lost); ok; b, ok = s.Next(&lost) {
				orders[k] = append(orders[k], *b)
			}
		}
	}
	if !slices.Equal(orders[0], orders[1]) || len(orders[0]) == 0 {
		t.Errorf("%d bids from nothing, %d from the model before", len(orders[0]), len(orders[1]))
	}
}

// TestAllocScoring: nothing is allocated with a model in force, once warm.
func TestAllocScoring(t *testing.T) {
	o := catalogtest.Options{Lines: 1000, Seed: 1}
	views := append(parsed(t, 64, o, ""), parsed(t, 64, o, `,"wseat":["nobody"]`)...)
	s := modelled(t, catalogtest.Compete(catalogtest.Snapshot(o)), Default(), bundletest.Synthetic(bundletest.Usual()), nil)
	live(rand.New(rand.NewPCG(1, 1)), s)
	var lost [ReasonCount]uint32
	wins, scores := 0, 0
	pass := func() {
		for i := range views {
			if _, won := decide(s, &views[i], &lost); won {
				wins++
			}
			scores += s.Scores()
		}
	}
	pass()
	if wins == 0 || scores == 0 {
		t.Fatalf("%d wins, %d scores: the test shows nothing", wins, scores)
	}
	if n := testing.AllocsPerRun(5, pass); n != 0 {
		t.Errorf("%v allocations in %d requests", n, len(views))
	}
}

// BenchmarkScoring is targeting, scan, scoring and admission of a request.
func BenchmarkScoring(b *testing.B) {
	for _, lines := range []int{12, 1000, 100_000} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			o := catalogtest.Options{Lines: lines, Seed: 1}
			views := parsed(b, 64, o, "")
			snap := catalogtest.Compete(catalogtest.Snapshot(o))
			s := modelled(b, snap, Default(), bundletest.Synthetic(bundletest.Usual()), nil)
			var lost [ReasonCount]uint32
			looked, calls, scores, candidates := 0, 0, 0, 0
			b.ReportAllocs()
			for b.Loop() {
				n, _ := decide(s, &views[calls%len(views)], &lost)
				looked += n
				scores += s.Scores()
				candidates += s.Candidates()
				calls++
			}
			b.ReportMetric(float64(scores)/float64(calls), "scores/op")
			b.ReportMetric(float64(candidates)/float64(calls), "candidates/op")
			b.ReportMetric(float64(s.arm.model.Bytes())/float64(max(s.arm.model.Ads(), 1)), "B/ad")
		})
	}
}

// BenchmarkPrepareModel makes a trained bundle ready for a catalog: from
// nothing, and when one ad in a hundred has changed.
func BenchmarkPrepareModel(b *testing.B) {
	m, err := bundle.Open(trained.File(), trained.Keys(), feature.Default(), bundle.Options{})
	if err != nil {
		b.Fatal(err)
	}
	snap := catalogtest.Compete(catalogtest.Snapshot(catalogtest.Options{Lines: 100_000, Seed: 1}))
	first, err := PrepareModel(m, snap, nil, startWall, nil)
	if err != nil {
		b.Fatal(err)
	}
	totals := map[unit.CreativeID]Counts{}
	for i := 0; i < len(snap.Creatives); i += 100 {
		totals[snap.Creatives[i].ID] = Counts{uint64(1000 + i), uint64(i), 3}
	}
	for _, c := range []struct {
		name string
		prev *Model
	}{{"whole", nil}, {"incremental", first}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := PrepareModel(m, snap, totals, startWall, c.prev); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(first.Ads()), "ads")
			b.ReportMetric(float64(first.Bytes())/float64(first.Ads()), "B/ad")
		})
	}
}
