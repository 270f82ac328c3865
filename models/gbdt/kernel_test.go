package gbdt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// world is a forest with ads and candidates to score.
type world struct {
	forest  *Forest
	c       *Compiled
	masks   *AdMasks
	request []float32
	ads     [][]float32
	picks   []uint32
	cross   []float32
	want    []float64
}

func newWorld(t testing.TB, r *rand.Rand, s shape, candidates int) *world {
	t.Helper()
	w := &world{forest: randomForest(r, s)}
	c, err := Compile(w.forest, s.split)
	if err != nil {
		t.Fatal(err)
	}
	w.c = c
	for range 1 + r.IntN(20) {
		w.ads = append(w.ads, randomRow(r, s.split.Ad))
	}
	w.masks = c.BuildAds(len(w.ads), func(ad int, row []float32) { copy(row, w.ads[ad]) }, nil, nil)
	w.draw(r, candidates)
	return w
}

// draw makes a request with candidates, and what the naive walk says.
func (w *world) draw(r *rand.Rand, candidates int) {
	split := w.c.split
	w.request = randomRow(r, split.Request)
	w.cross = randomRow(r, candidates*split.Cross)
	w.picks, w.want = w.picks[:0], w.want[:0]
	row := make([]float32, split.Columns())
	copy(row, w.request)
	for i := range candidates {
		ad := r.IntN(len(w.ads))
		w.picks = append(w.picks, uint32(ad))
		copy(row[split.Request:], w.ads[ad])
		copy(row[split.Request+split.Ad:], w.cross[i*split.Cross:][:split.Cross])
		w.want = append(w.want, w.forest.Raw(row))
	}
}

var kernels = []Kernel{KernelAuto, KernelFlat, KernelTwin, KernelSIMD}

// check compares every kernel with the naive walk, bit for bit.
func (w *world) check(t testing.TB, s *Scorer) {
	t.Helper()
	out := make([]float64, len(w.picks)+1)
	for _, k := range kernels {
		for i := range out {
			out[i] = 12345
		}
		s.Use(k)
		s.Begin(w.request)
		lo, hi := s.Bounds()
		s.Score(w.masks, w.picks, w.cross, out)
		for i, want := range w.want {
			if math.Float64bits(out[i]) != math.Float64bits(want) {
				t.Fatalf("%v: candidate %d of %d (ad %d): %v, the naive walk says %v", k, i, len(w.want), w.picks[i], out[i], want)
			}
			if want < lo || want > hi {
				t.Fatalf("candidate %d: %v is outside of the bounds %v to %v", i, want, lo, hi)
			}
		}
		if out[len(w.want)] != 12345 {
			t.Fatalf("%v wrote past the last candidate", k)
		}
	}
}

var shapes = []shape{
	{trees: 0, leaves: 1},
	{trees: 1, leaves: 1},
	{trees: 1, leaves: 2, exact: true},
	{trees: 3, leaves: 5},
	{trees: 20, leaves: 31, exact: true},
	{trees: 40, leaves: 31},
	{trees: 30, leaves: 64, exact: true},
	{trees: 30, leaves: 64},
	{trees: 20, leaves: 65, exact: true},
	{trees: 20, leaves: 128, exact: true},
	{trees: 20, leaves: 255, exact: true},
	{trees: 25, leaves: 255},
	{trees: 9, leaves: 1000},
	{trees: 6, leaves: 255, chain: true},
	{trees: 100, leaves: 40},
	{trees: 500, leaves: 20},
}

var splits = []Split{
	{5, 3, 4}, {10, 0, 0}, {0, 10, 0}, {0, 0, 10}, {1, 1, 1}, {7, 9, 0}, {7, 0, 9}, {0, 7, 9}, {70, 30, 50}, {3, 2, 17}, {20, 2, 1},
}

func TestKernelsEqualNaiveWalk(t *testing.T) {
	for i, s := range shapes {
		t.Run(fmt.Sprintf("%dx%d", s.trees, s.leaves), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for j, split := range splits {
				if testing.Short() && (i+j)%4 != 0 {
					continue // the race detector takes twenty times as long
				}
				s := s
				s.split, s.categorical, s.float32 = split, j%3 == 1, j%2 == 1
				s.average = j%5 == 2 && !s.float32 && s.trees > 0
				w := newWorld(t, r, s, 0)
				scorer := w.c.NewScorer()
				for _, n := range []int{0, 1, 2, 3, 4, 5, 8, 9, 17, 57, 100, 113, 250} {
					w.draw(r, n)
					w.check(t, scorer)
				}
			}
		})
	}
}

// Rows at every threshold of the forest, and one step to either side.
func TestKernelsAtThresholds(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	w := newWorld(t, r, shape{trees: 20, leaves: 64, exact: true, split: Split{2, 2, 2}}, 0)
	scorer := w.c.NewScorer()
	for i := range w.forest.Trees {
		if testing.Short() && i > 1 {
			break
		}
		for j := range w.forest.Trees[i].Nodes {
			n := &w.forest.Trees[i].Nodes[j]
			w.draw(r, 3)
			x := n.Threshold
			w.request[0], w.request[1] = x, math.Nextafter32(x, float32(math.Inf(1)))
			copy(w.cross, []float32{x, math.Nextafter32(x, float32(math.Inf(1))), math.Nextafter32(x, float32(math.Inf(-1)))})
			w.rescore()
			w.check(t, scorer)
		}
	}
}

// rescore repeats what draw ends with, for changed columns.
func (w *world) rescore() {
	row := make([]float32, w.c.split.Columns())
	copy(row, w.request)
	split := w.c.split
	for i, ad := range w.picks {
		copy(row[split.Request:], w.ads[ad])
		copy(row[split.Request+split.Ad:], w.cross[i*split.Cross:][:split.Cross])
		w.want[i] = w.forest.Raw(row)
	}
}

// Rebuilding copies ads that did not change and gives what a full build gives.
func TestBuildAdsIncremental(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	w := newWorld(t, r, shape{trees: 30, leaves: 70, categorical: true, split: Split{5, 6, 4}}, 0)
	ads := [][]float32{randomRow(r, 6)}
	from := map[int]int{}
	for i := range w.ads {
		from[len(ads)] = len(w.ads) - 1 - i
		ads = append(ads, w.ads[len(w.ads)-1-i])
	}
	var asked []int
	row := func(ad int, row []float32) { asked = append(asked, ad); copy(row, ads[ad]) }
	same := func(ad int) (int, bool) { old, ok := from[ad]; return old, ok }
	next := w.c.BuildAds(len(ads), row, w.masks, same)
	if len(asked) != 1 || asked[0] != 0 {
		t.Fatalf("rows asked for: %v, only ad 0 is new", asked)
	}
	whole := w.c.BuildAds(len(ads), row, nil, nil)
	for i := range whole.masks {
		if whole.masks[i] != next.masks[i] {
			t.Fatalf("word %d differs from a full build", i)
		}
	}
	w.ads, w.masks = ads, next
	w.draw(r, 30)
	w.check(t, w.c.NewScorer())
	other, err := Compile(w.forest, w.c.split)
	if err != nil {
		t.Fatal(err)
	}
	asked = nil
	if other.BuildAds(len(ads), row, next, same); len(asked) != len(ads) {
		t.Fatalf("masks of another model were copied: %d rows asked for of %d", len(asked), len(ads))
	}
}

func TestAllocScore(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, s := range []shape{{trees: 100, leaves: 64, split: Split{20, 10, 10}}, {trees: 20, leaves: 255, float32: true, split: Split{20, 10, 10}}} {
		w := newWorld(t, r, s, 150)
		scorer := w.c.NewScorer()
		out := make([]float64, len(w.picks))
		for _, k := range kernels {
			scorer.Use(k)
			if n := testing.AllocsPerRun(20, func() {
				scorer.Begin(w.request)
				scorer.Score(w.masks, w.picks, w.cross, out)
				scorer.Bounds()
			}); n != 0 {
				t.Errorf("%v: %v allocations", k, n)
			}
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	f := randomForest(r, shape{trees: 3, leaves: 9, exact: true, split: Split{4, 4, 4}})
	if _, err := Compile(f, Split{1, 0, 0}); err == nil {
		t.Error("a split with fewer columns than the forest tests was taken")
	}
	if _, err := Compile(f, Split{-1, 9, 4}); err == nil {
		t.Error("a negative side was taken")
	}
	big := randomForest(r, shape{trees: 1, leaves: maxKernelLeaves + 1, exact: true, split: Split{1, 1, 1}})
	if _, err := Compile(big, Split{1, 1, 1}); err == nil {
		t.Error("a tree that flat nodes can't number was taken")
	}
}

// FuzzKernels draws a forest, a split and rows from the fuzzer's numbers.
func FuzzKernels(f *testing.F) {
	f.Add(uint64(1), uint16(10), uint16(31), uint8(5), uint8(3), uint8(2), uint8(20), uint8(0))
	f.Add(uint64(2), uint16(3), uint16(255), uint8(0), uint8(3), uint8(40), uint8(120), uint8(7))
	f.Add(uint64(3), uint16(0), uint16(0), uint8(1), uint8(0), uint8(0), uint8(1), uint8(2))
	f.Fuzz(func(t *testing.T, seed uint64, trees, leaves uint16, request, ad, cross, candidates, flags uint8) {
		s := shape{
			trees: int(trees % 120), leaves: 1 + int(leaves%300),
			split:       Split{int(request % 80), int(ad % 40), int(cross % 60)},
			categorical: flags&1 != 0, float32: flags&2 != 0, exact: flags&4 != 0, chain: flags&8 != 0,
		}
		s.average = flags&16 != 0 && !s.float32 && s.trees > 0
		if s.trees*s.leaves > 6000 {
			t.Skip("too large for a fuzz step")
		}
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t, r, s, int(candidates))
		w.check(t, w.c.NewScorer())
	})
}

// Random forests, so that it needs no trained model: nodes prune each other less
// than in a trained one. bench/models has figures that mean something.
func BenchmarkScore(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 7))
	w := newWorld(b, r, shape{trees: 100, leaves: 64, exact: true, split: Split{70, 30, 12}}, 100)
	s := w.c.NewScorer()
	out := make([]float64, len(w.picks))
	for _, k := range kernels[1:] {
		b.Run(k.String(), func(b *testing.B) {
			b.ReportAllocs()
			s.Use(k)
			for b.Loop() {
				s.Begin(w.request)
				s.Score(w.masks, w.picks, w.cross, out)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(w.picks)), "ns/candidate")
		})
	}
	b.Run("bounds", func(b *testing.B) {
		s.Use(KernelAuto)
		s.Begin(w.request)
		for b.Loop() {
			s.Bounds()
		}
	})
}
