package gbdt

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func FuzzLightGBM(f *testing.F) {
	f.Add([]byte(stump("1.5", 10, "")))
	f.Add([]byte(stump("0", 1, "num_cat=1\ncat_boundaries=0 2\ncat_threshold=33 2\nleaf_count=3 4\ninternal_count=7\nsplit_gain=2")))
	fuzzLoader(f, LoadLightGBM)
}

func FuzzXGBoostJSON(f *testing.F) {
	f.Add([]byte(xgbStump("1.5", 1, "")))
	f.Add([]byte(xgbStump("0", 1, `"split_type":[1,0,0],"categories":[0,5,33],"categories_nodes":[0],"categories_segments":[0],"categories_sizes":[3],"sum_hessian":[3,2,1]`)))
	fuzzLoader(f, LoadXGBoost)
}

// FuzzUBJSON's seeds, in testdata/fuzz, are models of one small tree that XGBoost
// 1.7 and 3.2 saved.
func FuzzUBJSON(f *testing.F) {
	fuzzLoader(f, LoadXGBoost)
}

// fuzzLoader: a loader neither panics nor takes more memory than a multiple of
// the file; what it takes can be walked, explained, and scored by every kernel.
func fuzzLoader(f *testing.F, load func([]byte) (*Forest, error)) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			t.Skip("long")
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		forest, err := load(b)
		runtime.ReadMemStats(&after)
		// Names of categories are the one thing larger than what names them.
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(64<<10+200*len(b)); got > most+12*MaxCategoryWords {
			t.Fatalf("%d bytes of model took %d of memory", len(b), got)
		}
		if err != nil {
			return
		}
		useForest(t, forest)
	})
}

func useForest(t *testing.T, f *Forest) {
	r := rand.New(rand.NewPCG(1, 2))
	leaves := 0
	for i := range f.Trees {
		leaves += len(f.Trees[i].Leaves)
	}
	if leaves > 5000 || f.Columns > 500 {
		return // other inputs show the same
	}
	split := Split{Request: f.Columns / 3, Ad: f.Columns / 3}
	split.Cross = f.Columns - split.Request - split.Ad
	compiled, err := Compile(f, split)
	if err != nil {
		t.Fatalf("loaded and not compiled: %v", err)
	}
	scorer := compiled.NewScorer()
	phi, out := make([]float64, f.Columns), make([]float64, 6)
	for range 4 {
		row := randomRow(r, f.Columns)
		raw := f.Raw(row)
		if _, err := f.Contributions(row, phi); err != nil && !strings.Contains(err.Error(), "covers") {
			t.Fatal(err)
		}
		masks := compiled.BuildAds(1, func(_ int, ad []float32) { copy(ad, row[split.Request:]) }, nil, nil)
		var cross []float32
		for range out {
			cross = append(cross, row[split.Request+split.Ad:]...)
		}
		for _, k := range kernels {
			scorer.Use(k)
			scorer.Begin(row[:split.Request])
			scorer.Score(masks, make([]uint32, len(out)), cross, out)
			if math.Float64bits(out[5]) != math.Float64bits(raw) && !(math.IsNaN(out[5]) && math.IsNaN(raw)) {
				t.Fatalf("%v: %v, the naive walk says %v", k, out[5], raw)
			}
		}
	}
	f.Importance()
}

// A damaged file must not pass for a whole one nor panic: cut at every length,
// and with every byte changed.
func TestDamagedModels(t *testing.T) {
	seeds, _ := filepath.Glob("testdata/damaged/*")
	models := [][]byte{[]byte(stump("1.5", 10, "")), []byte(xgbStump("1.5", 1, ""))}
	for _, path := range seeds {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, b)
	}
	for _, whole := range models {
		if _, err := Load(whole); err != nil {
			t.Fatal(err)
		}
		for n := range whole {
			if f, err := Load(whole[:n]); err == nil && n < len(strings.TrimRight(string(whole), "\n")) {
				t.Errorf("cut at %d of %d: loaded with %d trees", n, len(whole), len(f.Trees))
			}
			b := []byte(string(whole))
			for _, x := range []byte{1, 0x80, 0xff} {
				b[n] ^= x
				if f, err := Load(b); err == nil {
					f.Raw(make([]float32, f.Columns))
				}
				b[n] = whole[n]
			}
		}
	}
}
