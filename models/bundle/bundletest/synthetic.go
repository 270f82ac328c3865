package bundletest

import (
	"math"
	"math/rand/v2"

	"millrace/models/bundle"
	"millrace/models/calibration"
	"millrace/models/feature"
	"millrace/models/gbdt"
)

// Shape of a synthetic bundle.
type Shape struct {
	Seed, Version uint64
	Trees, Leaves int
	// Cross is the share of nodes that read a column of the pair.
	Cross float64
	// Spread of the raw scores: the standard deviation, in logits.
	Spread float64
}

// Usual is a model of the usual size.
func Usual() Shape {
	return Shape{Seed: 1, Version: 1, Trees: 100, Leaves: 64, Cross: 0.1, Spread: 0.7}
}

// curves calibrate by the ad's medium, with both kinds of maps.
const curves = `{
	"ctr": {"kind": "platt", "segment_by": "ad.media", "global": {"a": 1, "b": 0}, "segments": {"2": {"a": 0.9, "b": 0.3}, "4": {"a": 1.1, "b": 0.2}}},
	"cvr": {"kind": "isotonic", "global": {"x": [-9, -4, -2, 1], "y": [0.0001, 0.02, 0.1, 0.6]}},
	"context": {"kind": "platt", "global": {"a": 1, "b": -0.1}}}`

// Synthetic makes a bundle in memory, without file, signature or golden rows,
// whose forests read every kind of column, categories too, and are calibrated by
// segment. It panics on a fault: that is a mistake of the generator.
func Synthetic(o Shape) *bundle.Bundle {
	set, err := calibration.Parse("curves.json", []byte(curves))
	if err != nil {
		panic(err)
	}
	schema := feature.Default()
	b := &bundle.Bundle{Manifest: &bundle.Manifest{Name: "synthetic", Version: o.Version}, Schema: schema}
	r := rand.New(rand.NewPCG(o.Seed, 0x62756e646c65))
	model := func(cal *calibration.Model, trees int, cross float64, user bool) bundle.Model {
		g := grower{r: r, schema: schema, cross: cross, user: user}
		f := &gbdt.Forest{Trainer: "synthetic", Objective: gbdt.Binary, Sigmoid: 1, Base: -4.5, Columns: len(schema.Columns), FeatureNames: schema.Names()}
		for range trees {
			f.Trees = append(f.Trees, g.tree(o.Leaves, o.Spread/math.Sqrt(float64(trees))))
		}
		compiled, err := gbdt.Compile(f, schema.Split())
		if err != nil {
			panic(err)
		}
		m := bundle.Model{Forest: f, Compiled: compiled, Calibration: cal, SegmentColumn: -1}
		for i, name := range schema.Names() {
			if name == cal.SegmentBy {
				m.SegmentColumn = i
			}
		}
		return m
	}
	b.CTR = model(&set.CTR, o.Trees, o.Cross, true)
	b.CVR = model(&set.CVR, o.Trees, o.Cross, true)
	b.Context = model(&set.Context, max(o.Trees/4, 1), 0, false)
	return b
}

// grower grows random trees.
type grower struct {
	r      *rand.Rand
	schema *feature.Schema
	cross  float64
	user   bool // may read the user
}

func (g *grower) tree(leaves int, spread float64) gbdt.Tree {
	t := gbdt.Tree{}
	for range leaves {
		t.Leaves = append(t.Leaves, g.r.NormFloat64()*spread)
	}
	next := int32(0)
	if leaves > 1 {
		g.grow(&t, leaves, &next)
	}
	for range t.Nodes {
		t.NodeCover = append(t.NodeCover, 100)
	}
	for range t.Leaves {
		t.LeafCover = append(t.LeafCover, 10)
	}
	return t
}

// grow makes a subtree of n leaves, n > 1, and returns its root.
func (g *grower) grow(t *gbdt.Tree, n int, next *int32) int32 {
	i := int32(len(t.Nodes))
	t.Nodes = append(t.Nodes, g.node(t))
	left := n/4 + g.r.IntN(max(n/2, 1))
	left = min(max(left, 1), n-1)
	child := func(n int) int32 {
		if n > 1 {
			return g.grow(t, n, next)
		}
		*next++
		return ^(*next - 1)
	}
	l := child(left)
	r := child(n - left)
	t.Nodes[i].Left, t.Nodes[i].Right = l, r
	return i
}

func (g *grower) node(t *gbdt.Tree) gbdt.Node {
	group := feature.User
	switch x := g.r.Float64(); {
	case x < g.cross:
		group = feature.Cross
	case x < g.cross+0.3:
		group = feature.Ad
	case x < g.cross+0.6 || !g.user:
		group = feature.Context
	}
	var columns []int
	for i := range g.schema.Columns {
		if g.schema.Columns[i].Group == group {
			columns = append(columns, i)
		}
	}
	f := columns[g.r.IntN(len(columns))]
	if g.schema.Columns[f].Categorical() {
		// Trainers split on categories less often than there are such columns.
		f = columns[g.r.IntN(len(columns))]
	}
	n := gbdt.Node{Feature: int32(f), Missing: gbdt.MissingNaN, DefaultLeft: g.r.IntN(2) == 0}
	c := &g.schema.Columns[f]
	if c.Categorical() {
		n.Categorical, n.FirstWord = true, int32(len(t.Categories))
		for range (c.Size + 31) / 32 {
			t.Categories = append(t.Categories, g.r.Uint32())
		}
		n.EndWord = int32(len(t.Categories))
		return n
	}
	high := 3.0
	switch {
	case c.Encoding == feature.Ratio:
		high = 4 * c.Prior
	case c.Max > 0 && c.Max <= 1000 && c.Encoding == feature.Number:
		high = min(c.Max, 12)
	case len(c.Bounds) > 0:
		high = float64(len(c.Bounds))
	}
	n.Threshold = float32(g.r.Float64() * high)
	return n
}
