package gbdt

import (
	"math"
	"math/rand/v2"
)

// shape is what a random forest for kernel tests looks like.
type shape struct {
	trees, leaves int
	exact         bool // every tree has that many leaves
	categorical   bool
	float32       bool
	average       bool
	chain         bool // degenerate trees: as deep as leaves allow
	split         Split
}

// randomThresholds are met exactly by randomValue, and lie on every edge that
// float32 has.
var edgeValues = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, 1e-35, -1e-35, 2e-35, -2e-35, 1e-40, -1e-45,
	math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32,
	float32(math.Inf(1)), float32(math.Inf(-1)), 0.5, -0.5, 3, 33, 64, 100,
}

func randomThreshold(r *rand.Rand) float32 {
	if r.IntN(4) == 0 {
		return edgeValues[r.IntN(len(edgeValues))]
	}
	return float32(r.IntN(41)-20) / 8
}

func randomValue(r *rand.Rand) float32 {
	switch r.IntN(8) {
	case 0:
		return float32(math.NaN())
	case 1:
		return edgeValues[r.IntN(len(edgeValues))]
	case 2:
		return float32(r.NormFloat64())
	case 3:
		return float32(r.IntN(70) - 2)
	}
	return float32(r.IntN(41)-20) / 8
}

func randomRow(r *rand.Rand, n int) []float32 {
	row := make([]float32, n)
	for i := range row {
		row[i] = randomValue(r)
	}
	return row
}

func randomForest(r *rand.Rand, s shape) *Forest {
	f := &Forest{Float32: s.float32, Average: s.average, Columns: s.split.Columns(), Sigmoid: 1}
	f.Base = r.NormFloat64()
	if s.float32 {
		f.Base = float64(float32(f.Base))
	}
	for range s.trees {
		leaves := s.leaves
		if !s.exact {
			leaves = 1 + r.IntN(s.leaves)
		}
		if s.split.Columns() == 0 {
			leaves = 1
		}
		f.Trees = append(f.Trees, randomTree(r, s, leaves))
	}
	return f
}

// randomTree splits random leaves until there are enough, and numbers nodes and
// leaves in an order of its own.
func randomTree(r *rand.Rand, s shape, leaves int) Tree {
	t := Tree{Leaves: make([]float64, leaves)}
	for i := range t.Leaves {
		t.Leaves[i] = r.NormFloat64() * math.Pow(10, float64(r.IntN(5)-3))
		if s.float32 {
			t.Leaves[i] = float64(float32(t.Leaves[i]))
		}
	}
	numbers := r.Perm(leaves)
	order := r.Perm(leaves - 1)
	for i, n := range order { // the root must be node 0
		if n == 0 {
			order[0], order[i] = order[i], order[0]
		}
	}
	t.Nodes = make([]Node, leaves-1)
	type place struct {
		at   *int32
		leaf int32
	}
	var root int32
	open := []place{{&root, ^int32(numbers[0])}}
	for i := range leaves - 1 {
		pick := r.IntN(len(open))
		if s.chain {
			pick = len(open) - 1
		}
		p := open[pick]
		n := &t.Nodes[order[i]]
		*n = randomNode(r, s, &t)
		*p.at = int32(order[i])
		n.Left, n.Right = p.leaf, ^int32(numbers[i+1])
		open[pick] = place{&n.Left, n.Left}
		open = append(open, place{&n.Right, n.Right})
	}
	return t
}

func randomNode(r *rand.Rand, s shape, t *Tree) Node {
	n := Node{
		Feature:     int32(r.IntN(s.split.Columns())),
		Threshold:   randomThreshold(r),
		Missing:     Missing(r.IntN(3)),
		DefaultLeft: r.IntN(2) == 0,
	}
	if s.categorical && r.IntN(3) == 0 {
		n.Categorical, n.Missing, n.Floor = true, MissingNaN, r.IntN(2) == 0
		n.FirstWord = int32(len(t.Categories))
		for range 1 + r.IntN(3) {
			t.Categories = append(t.Categories, r.Uint32())
		}
		n.EndWord = int32(len(t.Categories))
	}
	return n
}
