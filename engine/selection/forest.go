package selection

import (
	"math"

	"millrace/models/bundle"
	"millrace/models/gbdt"
)

// forest is one of a bundle's models with where its calibration's segment is
// found. Immutable.
type forest struct {
	*bundle.Model
	segments []int // with a map of their own, and −1 for the global one
	side     gbdt.Side
	column   int     // of the side; −1: no segments
	most     float64 // the greatest rate there is
}

// segmentsMax bounds the maps that are asked for a request's bound; with more
// the bound of all requests does.
const segmentsMax = 16

func newForest(m *bundle.Model, split gbdt.Split) forest {
	f := forest{Model: m, column: -1, segments: append(m.Calibration.Segments(), -1)}
	if c := m.SegmentColumn; c >= 0 {
		f.side = split.Side(c)
		f.column = c - [...]int{0, split.Request, split.Request + split.Ad}[f.side]
	}
	f.most = f.rateMost(greatest(m.Forest))
	return f
}

// rateMost is the greatest rate that a raw score of no more than raw stands for.
func (f *forest) rateMost(raw float64) (most float64) {
	for _, segment := range f.segments {
		most = max(most, f.Calibration.Map(raw, segment))
	}
	return most
}

// bound is what no rate of a request exceeds, given its greatest raw score.
func (f *forest) bound(raw float64) float64 {
	if len(f.segments) > segmentsMax {
		return f.most
	}
	return min(f.most, f.rateMost(raw))
}

// rate is the calibrated rate of a pair's raw score.
func (f *forest) rate(raw float64, request, ad, cross []float32) float64 {
	if f.column < 0 {
		return f.Rate(raw, -1)
	}
	return f.Rate(raw, [...][]float32{request, ad, cross}[f.side][f.column])
}

// greatest is a bound of the forest's raw score: every tree's greatest leaf,
// added in the order and precision in which scores are. Rounding is monotone, so
// no score exceeds it, not by a bit.
func greatest(f *gbdt.Forest) float64 {
	sum, sum32 := f.Base, float32(f.Base)
	for i := range f.Trees {
		most := math.Inf(-1)
		for _, v := range f.Trees[i].Leaves {
			most = max(most, v)
		}
		sum += most
		sum32 += float32(most)
	}
	switch {
	case f.Float32:
		return float64(sum32)
	case f.Average:
		return sum / float64(max(len(f.Trees), 1))
	}
	return sum
}
