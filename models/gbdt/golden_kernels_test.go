package gbdt

import (
	"math"
	"testing"
)

// goldenBlock is how many rows are candidates of one request.
const goldenBlock = 100

// checkKernels scores every stride-th row with every kernel, in several splits
// of its columns, and compares with the naive walk bit for bit. Where the split
// has no request columns the rows are the trainer's own, so that the kernels meet
// the trainer's predictions too; else a block shares the request columns of its
// first row.
func checkKernels(t *testing.T, g *golden, stride int) {
	c := g.Columns
	for _, split := range []Split{{0, c, 0}, {0, 0, c}, {0, (c + 1) / 2, c / 2}, {c / 3, c / 3, c - c/3*2}, {c - 2, 1, 1}} {
		compiled, err := Compile(g.forest, split)
		if err != nil {
			t.Fatalf("%+v: %v", split, err)
		}
		b := goldenCandidates{golden: g, split: split, scorer: compiled.NewScorer()}
		for first := 0; first < g.Rows; first += goldenBlock * stride {
			b.take(first, stride)
			masks := compiled.BuildAds(len(b.rows), func(ad int, row []float32) { copy(row, b.rows[ad][split.Request:]) }, nil, nil)
			for _, k := range kernels {
				if !b.score(t, k, masks) {
					return
				}
			}
		}
	}
}

// goldenCandidates is a block of rows as candidates of a request.
type goldenCandidates struct {
	*golden
	split  Split
	scorer *Scorer
	rows   [][]float32
	ads    []uint32
	cross  []float32
	want   []float64
	out    [goldenBlock]float64
}

func (b *goldenCandidates) take(first, stride int) {
	b.rows, b.ads, b.cross, b.want = b.rows[:0], b.ads[:0], b.cross[:0], b.want[:0]
	for i := first; i < b.Rows && len(b.rows) < goldenBlock; i += stride {
		row, want := b.row(i), b.raw[i]
		if b.split.Request > 0 {
			row = append(append([]float32(nil), b.row(first)[:b.split.Request]...), row[b.split.Request:]...)
			want = b.forest.Raw(row)
		}
		b.ads = append(b.ads, uint32(len(b.rows)))
		b.rows = append(b.rows, row)
		b.cross = append(b.cross, row[b.split.Request+b.split.Ad:]...)
		b.want = append(b.want, want)
	}
}

func (b *goldenCandidates) score(t *testing.T, k Kernel, masks *AdMasks) bool {
	t.Helper()
	b.scorer.Use(k)
	b.scorer.Begin(b.rows[0][:b.split.Request])
	b.scorer.Score(masks, b.ads, b.cross, b.out[:])
	for i, want := range b.want {
		if math.Float64bits(b.out[i]) != math.Float64bits(want) {
			t.Errorf("%v, split %+v: raw score %v, want %v: %v", k, b.split, b.out[i], want, b.rows[i])
			return false
		}
	}
	return true
}
