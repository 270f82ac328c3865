package gbdt

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// shapley is the definition, by every subset of columns: exponential, and no
// code in common with Contributions.
func shapley(f *Forest, row []float32) (base float64, phi []float64) {
	n := f.Columns
	value := make([]float64, 1<<n)
	for known := range value {
		for i := range f.Trees {
			t := &f.Trees[i]
			root := int32(0)
			if len(t.Nodes) == 0 {
				root = ^0
			}
			value[known] += expected(t, root, row, known)
		}
		if value[known] += f.Base; f.Average {
			value[known] /= float64(len(f.Trees))
		}
	}
	factorial := func(k int) float64 { return math.Gamma(float64(k + 1)) }
	phi = make([]float64, n)
	for c := range phi {
		for set := range value {
			if set>>c&1 == 0 {
				s := bits.OnesCount(uint(set))
				phi[c] += factorial(s) * factorial(n-s-1) / factorial(n) * (value[set|1<<c] - value[set])
			}
		}
	}
	return value[0], phi
}

// expected is what a tree says of a row of which only the columns of the set are
// known.
func expected(t *Tree, at int32, row []float32, known int) float64 {
	if at < 0 {
		return t.Leaves[^at]
	}
	n := &t.Nodes[at]
	if known>>n.Feature&1 != 0 {
		if t.GoesLeft(n, row[n.Feature]) {
			return expected(t, n.Left, row, known)
		}
		return expected(t, n.Right, row, known)
	}
	return (t.cover(n.Left)*expected(t, n.Left, row, known) + t.cover(n.Right)*expected(t, n.Right, row, known)) / t.NodeCover[at]
}

// addCovers gives every leaf some training rows, and every fifth none.
func addCovers(r *rand.Rand, f *Forest) {
	for i := range f.Trees {
		t := &f.Trees[i]
		t.LeafCover, t.NodeCover = make([]float64, len(t.Leaves)), make([]float64, len(t.Nodes))
		for j := range t.LeafCover {
			if t.LeafCover[j] = float64(1 + r.IntN(50)); r.IntN(5) == 0 {
				t.LeafCover[j] = 0
			}
		}
		var sum func(at int32) float64
		sum = func(at int32) float64 {
			if at < 0 {
				return t.LeafCover[^at]
			}
			l, r := sum(t.Nodes[at].Left), sum(t.Nodes[at].Right)
			if l+r == 0 { // a node without rows could not be explained
				t.LeafCover[lastLeaf(t, at)], r = 1, 1
			}
			t.NodeCover[at] = l + r
			return l + r
		}
		if len(t.Nodes) > 0 {
			sum(0)
		}
	}
}

// lastLeaf is the rightmost leaf under a node.
func lastLeaf(t *Tree, at int32) int32 {
	for at >= 0 {
		at = t.Nodes[at].Right
	}
	return ^at
}

func TestContributionsAreShapleyValues(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for _, s := range []shape{
		{trees: 1, leaves: 1}, {trees: 1, leaves: 2, exact: true}, {trees: 3, leaves: 6}, {trees: 4, leaves: 20, exact: true, average: true},
		{trees: 3, leaves: 40, exact: true, categorical: true}, {trees: 2, leaves: 30, exact: true, chain: true},
	} {
		s.split = Split{2, 2, 3}
		f := randomForest(r, s)
		addCovers(r, f)
		phi := make([]float64, f.Columns)
		for range 20 {
			row := randomRow(r, f.Columns)
			base, err := f.Contributions(row, phi)
			if err != nil {
				t.Fatal(err)
			}
			wantBase, want := shapley(f, row)
			sum := base
			for c := range phi {
				sum += phi[c]
				if math.Abs(phi[c]-want[c]) > 1e-9 {
					t.Fatalf("%+v: column %d contributes %v, its Shapley value is %v", s, c, phi[c], want[c])
				}
			}
			if math.Abs(base-wantBase) > 1e-9 || math.Abs(sum-f.Raw(row)) > 1e-9 {
				t.Fatalf("%+v: base %v, want %v; sum %v, the raw score is %v", s, base, wantBase, sum, f.Raw(row))
			}
		}
	}
}

func TestContributionsRefuse(t *testing.T) {
	f := mustLoad(t, stump("1", 0, ""))
	if _, err := f.Contributions([]float32{1, 2}, make([]float64, 2)); err == nil {
		t.Error("a model without covers was explained")
	}
	f = mustLoad(t, stump("1", 0, "leaf_count=3 1\ninternal_count=4"))
	if _, err := f.Contributions([]float32{1}, make([]float64, 2)); err == nil {
		t.Error("a short row was explained")
	}
	phi := []float64{9, 9}
	base, err := f.Contributions([]float32{5, 0}, phi)
	if err != nil || base != -0.5 || phi[0] != 1.5 || phi[1] != 0 {
		t.Errorf("base %v, contributions %v, error %v", base, phi, err)
	}
}

func TestImportance(t *testing.T) {
	f := mustLoad(t, stump("1", 0, "split_gain=2.5"))
	f.Trees = append(f.Trees, f.Trees[0], Tree{Leaves: []float64{1}})
	splits, gain := f.Importance()
	if splits[0] != 2 || splits[1] != 0 || gain[0] != 5 || gain[1] != 0 {
		t.Errorf("splits %v, gain %v", splits, gain)
	}
}
