package bundle

import (
	"fmt"
	"math"
	"slices"

	"millrace/models/feature"
	"millrace/models/gbdt"
)

// load reads a trainer's text and makes it ready for rows of the schema.
func (m *Model) load(text []byte, schema *feature.Schema) (err error) {
	if m.Forest, err = gbdt.Load(text); err != nil {
		return err
	}
	if m.Forest.Objective != gbdt.Binary {
		return fmt.Errorf("it is a regression; train it for a probability (LightGBM: objective=binary, XGBoost: binary:logistic)")
	}
	names := schema.Names()
	if m.Forest.Columns != len(names) {
		return fmt.Errorf("it reads %d columns, the schema has %d; train it on rows of this schema", m.Forest.Columns, len(names))
	}
	for i, name := range m.Forest.FeatureNames {
		if name != names[i] {
			return fmt.Errorf("its column %d is %.60q, the schema's is %q; train it on rows of this schema", i, name, names[i])
		}
	}
	m.SegmentColumn = -1
	if by := m.Calibration.SegmentBy; by != "" {
		if m.SegmentColumn = slices.Index(names, by); m.SegmentColumn < 0 {
			return fmt.Errorf("its calibration is by %.60q, which is no column of the schema", by)
		}
	}
	m.Compiled, err = gbdt.Compile(m.Forest, schema.Split())
	return err
}

// readsNoUser refuses a model for late user features that would read them.
func readsNoUser(f *gbdt.Forest, schema *feature.Schema) error {
	for t := range f.Trees {
		for n := range f.Trees[t].Nodes {
			if c := &schema.Columns[f.Trees[t].Nodes[n].Feature]; c.Group == feature.User {
				return fmt.Errorf("tree %d reads %s, but this model serves when the user's features are late; train it without the user's columns", t, c.Name)
			}
		}
	}
	return nil
}

// kernels that must agree with the naive walk before a bundle serves.
var kernels = []gbdt.Kernel{gbdt.KernelFlat, gbdt.KernelTwin, gbdt.KernelSIMD}

// rateSlack is what calibrated rates may differ by from the trainer's: it
// computes the same formula in another language's exp. Raw scores may not
// differ at all.
const rateSlack = 1e-9

// prove predicts the golden rows with every kernel.
func (b *Bundle) prove() error {
	g := b.golden
	for _, t := range []struct {
		NamedModel
		want *expected
	}{{NamedModel{PartCTR, &b.CTR}, &g.ctr}, {NamedModel{PartCVR, &b.CVR}, &g.cvr}, {NamedModel{PartContext, &b.Context}, &g.context}} {
		m := t.Model
		for i := range g.n {
			raw := m.Forest.Raw(g.row(i))
			if math.Float64bits(raw) != math.Float64bits(t.want.raw[i]) {
				return refuse(GoldenMismatch, "model %s gives row %d the raw score %v, its trainer %v: this build reads the model differently; do not serve it", t.Name, i, raw, t.want.raw[i])
			}
			rate := m.Rate(raw, m.segment(g.row(i)))
			if !(math.Abs(rate-t.want.rate[i]) <= rateSlack*math.Max(1, math.Abs(t.want.rate[i]))) {
				return refuse(GoldenMismatch, "model %s gives row %d the rate %v after calibration, its trainer %v", t.Name, i, rate, t.want.rate[i])
			}
		}
		for _, k := range kernels {
			if i, raw, ok := m.proveKernel(k, g, t.want.raw); !ok {
				return refuse(GoldenMismatch, "kernel %v gives row %d of model %s the raw score %v, which is not the naive walk's: a fault of this build; do not serve it", k, i, t.Name, raw)
			}
		}
	}
	return nil
}

// proveRequests is for how many of the golden rows' requests every golden ad is
// scored: combinations that no row has, in passes of many candidates.
const proveRequests = 4

// proveKernel compares a kernel with the naive walk, bit for bit: row by row,
// as the trainer predicted them, and all ads at once for some of the requests.
func (m *Model) proveKernel(k gbdt.Kernel, g *golden, want []float64) (row int, raw float64, ok bool) {
	split := m.Compiled.Split()
	masks := m.Compiled.BuildAds(g.n, func(ad int, row []float32) {
		copy(row, g.row(ad)[split.Request:split.Request+split.Ad])
	}, nil, nil)
	s := m.Compiled.NewScorer()
	s.Use(k)
	out := make([]float64, g.n)
	ads := make([]uint32, g.n)
	cross := make([]float32, 0, g.n*split.Cross)
	for i := range ads {
		ads[i] = uint32(i)
		cross = append(cross, g.row(i)[split.Request+split.Ad:]...)
	}
	for i := range g.n {
		s.Begin(g.row(i)[:split.Request])
		s.Score(masks, ads[i:i+1], cross[i*split.Cross:], out[:1])
		if math.Float64bits(out[0]) != math.Float64bits(want[i]) {
			return i, out[0], false
		}
	}
	mixed := make([]float32, split.Columns())
	for r := range min(g.n, proveRequests) {
		request := g.row(r)[:split.Request]
		s.Begin(request)
		s.Score(masks, ads, cross, out)
		for i := range g.n {
			copy(mixed, g.row(i))
			copy(mixed, request)
			if math.Float64bits(out[i]) != math.Float64bits(m.Forest.Raw(mixed)) {
				return i, out[i], false
			}
		}
	}
	return 0, 0, true
}
