package gbdt

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// The committed goldens, and the full set that `make goldens` puts beside the
// repository's other builds.
const (
	smallGoldens = "testdata/golden"
	fullGoldens  = "../../build/goldens"
)

// golden is a model that a real trainer made and what it predicts for rows: see
// tools/train/goldens.py, which writes it.
type golden struct {
	Name, Trainer, Version, Model, World string
	Columns, Rows, Contribs              int

	dir     string
	forest  *Forest
	rows    []float32
	raw     []float64 // float32 values where the trainer is XGBoost
	pred    []float64
	contrib []float64 // Contribs × (Columns + 1), the last is the base
}

func (g *golden) row(i int) []float32 { return g.rows[i*g.Columns:][:g.Columns] }

func readGolden(t testing.TB, meta string) *golden {
	t.Helper()
	b, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	g := golden{dir: filepath.Dir(meta)}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(meta, err)
	}
	model, err := os.ReadFile(filepath.Join(g.dir, g.Model))
	if err != nil {
		t.Fatal(err)
	}
	if g.forest, err = Load(model); err != nil {
		t.Fatalf("%s: %v", g.Model, err)
	}
	if b, err = os.ReadFile(filepath.Join(g.dir, g.Name+".bin")); err != nil {
		t.Fatal(err)
	}
	single := func(n int) (out []float32) {
		out = make([]float32, n)
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		b = b[4*n:]
		return out
	}
	double := func(n int) (out []float64) {
		out = make([]float64, n)
		for i := range out {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
		b = b[8*n:]
		return out
	}
	scores := double
	if g.Trainer == "xgboost" {
		scores = func(n int) (out []float64) {
			for _, v := range single(n) {
				out = append(out, float64(v))
			}
			return out
		}
	}
	g.rows, g.raw, g.pred, g.contrib = single(g.Rows*g.Columns), scores(g.Rows), scores(g.Rows), double(g.Contribs*(g.Columns+1))
	if len(b) != 0 {
		t.Fatalf("%s.bin: %d bytes too many", g.Name, len(b))
	}
	return &g
}

// eachGolden runs test for every golden of the folder.
func eachGolden(t *testing.T, dir string, test func(t *testing.T, g *golden)) (models int) {
	metas, _ := filepath.Glob(filepath.Join(dir, "*.meta"))
	var passed, rows atomic.Int64
	t.Cleanup(func() { t.Logf("%d of %d models passed, with %d rows", passed.Load(), len(metas), rows.Load()) })
	for _, meta := range metas {
		t.Run(filepath.Base(meta[:len(meta)-len(".meta")]), func(t *testing.T) {
			t.Parallel()
			g := readGolden(t, meta)
			if test(t, g); !t.Failed() {
				passed.Add(1)
				rows.Add(int64(g.Rows))
			}
		})
	}
	return len(metas)
}

func TestGoldens(t *testing.T) {
	if eachGolden(t, smallGoldens, func(t *testing.T, g *golden) { checkGolden(t, g, 1, 0) }) == 0 {
		t.Error("no goldens in", smallGoldens)
	}
}

// TestFullGoldens holds every row of the full set with MILLRACE_LONG=1, one in
// fifty without.
func TestFullGoldens(t *testing.T) {
	if testing.Short() {
		t.Skip("short: the full goldens are left to the run without -short")
	}
	stride := 50
	if os.Getenv("MILLRACE_LONG") != "" {
		stride = 1
	}
	if eachGolden(t, fullGoldens, func(t *testing.T, g *golden) { checkGolden(t, g, stride, g.Rows/100) }) == 0 {
		t.Skip("no full goldens: `make goldens` makes them (needs Python and PyPI); the committed ones are tested by TestGoldens")
	}
}

// checkGolden compares every stride-th row with the trainer: raw scores bit for
// bit, predictions too but for some (where the trainer's C library rounds exp
// otherwise than glibc does with FMA: none has been seen), contributions to the
// trainer's precision.
func checkGolden(t *testing.T, g *golden, stride, some int) {
	f := g.forest
	if f.Columns != g.Columns {
		t.Fatalf("%d columns, the rows have %d", f.Columns, g.Columns)
	}
	wrong, off, worst := 0, 0, 0.0
	for i := 0; i < g.Rows; i += stride {
		raw := f.Raw(g.row(i))
		if math.Float64bits(raw) != math.Float64bits(g.raw[i]) {
			if wrong++; wrong <= 5 {
				t.Errorf("row %d: raw score %v, the trainer's is %v: %v", i, raw, g.raw[i], g.row(i))
			}
		}
		if u := ulps(f.Predict(raw), g.pred[i], f.Float32); u != 0 {
			off++
			worst = max(worst, u)
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d raw scores differ", wrong, g.Rows/stride)
	}
	t.Logf("%s %s: %d trees, %d rows; predictions of %d end in another bit, %.1f units in the last place at most", g.Trainer, g.Version, len(f.Trees), (g.Rows+stride-1)/stride, off, worst)
	if worst > 2 || off > some {
		t.Errorf("%d predictions differ, one by %v units in the last place", off, worst)
	}
	checkContributions(t, g)
	checkKernels(t, g, stride)
}

// ulps is how far a is from b, in units of b's last place.
func ulps(a, b float64, single bool) float64 {
	if a == b {
		return 0
	}
	if single {
		return math.Abs(a-b) / float64(math.Nextafter32(float32(math.Abs(b)), inf)-float32(math.Abs(b)))
	}
	return math.Abs(a-b) / (math.Nextafter(math.Abs(b), math.Inf(1)) - math.Abs(b))
}

func checkContributions(t *testing.T, g *golden) {
	// XGBoost computes them in float32.
	tolerance := 1e-9
	if g.Trainer == "xgboost" {
		tolerance = 2e-3
	}
	phi := make([]float64, g.Columns)
	for i := range g.Contribs {
		base, err := g.forest.Contributions(g.row(i), phi)
		if err != nil {
			t.Fatal(err)
		}
		want := g.contrib[i*(g.Columns+1):][:g.Columns+1]
		sum, scale := base, math.Abs(base)
		for c, v := range phi {
			sum += v
			scale = max(scale, math.Abs(v))
			if math.Abs(v-want[c]) > tolerance*max(1, scale) {
				t.Errorf("row %d: contribution of column %d is %v, the trainer's %v", i, c, v, want[c])
			}
		}
		if math.Abs(base-want[g.Columns]) > tolerance*max(1, scale) {
			t.Errorf("row %d: base %v, the trainer's %v", i, base, want[g.Columns])
		}
		exact := 1e-9
		if g.forest.Float32 {
			exact = 1e-4
		}
		if math.Abs(sum-g.raw[i]) > exact*max(1, scale) {
			t.Errorf("row %d: contributions sum to %v, the raw score is %v", i, sum, g.raw[i])
		}
	}
}
