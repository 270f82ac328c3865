package gbdt

import (
	"fmt"
	"math"
)

// Limits on a model file. They are far above what can be served in a
// millisecond, and keep a faulty or malicious file from taking memory or time:
// what loading allocates is a small multiple of the file.
const (
	MaxModelBytes = 64 << 20
	MaxTrees      = 10_000
	MaxLeaves     = 1 << 16 // of one tree
	MaxDepth      = 512     // inner nodes on the way to a leaf
	MaxColumns    = 1 << 16

	// MaxCategoryWords bounds the bitsets of all categorical nodes together: in
	// XGBoost's files one large number stands for a long one.
	MaxCategoryWords = 1 << 21
)

// Load reads a model of either trainer: LightGBM's text, XGBoost's JSON or
// UBJSON, told apart by their first bytes.
func Load(b []byte) (*Forest, error) {
	if isXGBoost(b) {
		return LoadXGBoost(b)
	}
	return LoadLightGBM(b)
}

// checkSize is the first check of every loader.
func checkSize(b []byte) error {
	if len(b) > MaxModelBytes {
		return fmt.Errorf("the model file has %d bytes, %d are allowed: train fewer trees or fewer leaves", len(b), MaxModelBytes)
	}
	return nil
}

// finish is the last step of every loader: it checks what kernels rely on, so
// that none of them has to.
func (f *Forest) finish() error {
	if len(f.FeatureNames) != 0 && len(f.FeatureNames) != f.Columns {
		return fmt.Errorf("feature_names: %d names for %d features; save the model again from its trainer", len(f.FeatureNames), f.Columns)
	}
	if f.Average && len(f.Trees) == 0 {
		return fmt.Errorf("average_output: a random forest without trees has no average; train at least one tree")
	}
	if bad(f.Base) {
		return fmt.Errorf("base_score: the margin %v is not finite; set base_score inside the objective's range", f.Base)
	}
	for i := range f.Trees {
		if err := f.Trees[i].check(f.Columns); err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
	}
	return nil
}

// check refuses a tree that a walk could leave or never end in: every node and
// leaf must be reached from the root once.
func (t *Tree) check(columns int) error {
	for i, v := range t.Leaves {
		if bad(v) {
			return fmt.Errorf("leaf %d: value %v is not finite", i, v)
		}
	}
	for i := range t.Nodes {
		if err := t.checkNode(&t.Nodes[i], columns); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
	}
	if err := t.checkShape(); err != nil {
		return err
	}
	t.dropUselessCover()
	return nil
}

func (t *Tree) checkNode(n *Node, columns int) error {
	if n.Feature < 0 || int(n.Feature) >= columns {
		return fmt.Errorf("feature %d is not one of the model's %d", n.Feature, columns)
	}
	if n.Threshold != n.Threshold {
		return fmt.Errorf("the threshold is not a number")
	}
	for _, c := range [2]int32{n.Left, n.Right} {
		if c >= 0 && int(c) >= len(t.Nodes) || c < 0 && int(^c) >= len(t.Leaves) {
			return fmt.Errorf("child %d is outside of the tree (%d nodes, %d leaves)", c, len(t.Nodes), len(t.Leaves))
		}
	}
	return nil
}

// checkShape walks the whole tree once. Children are in range already.
func (t *Tree) checkShape() error {
	if len(t.Leaves) != len(t.Nodes)+1 {
		return fmt.Errorf("%d nodes need %d leaves, not %d", len(t.Nodes), len(t.Nodes)+1, len(t.Leaves))
	}
	if len(t.Leaves) > MaxLeaves {
		return fmt.Errorf("%d leaves, %d are allowed: train with fewer leaves", len(t.Leaves), MaxLeaves)
	}
	if len(t.Nodes) == 0 {
		return nil
	}
	type step struct{ node, depth int32 }
	seen := make([]bool, len(t.Nodes)+len(t.Leaves))
	stack := []step{{0, 1}}
	seen[0] = true
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if s.depth > MaxDepth {
			return fmt.Errorf("deeper than %d: train with a smaller max_depth", MaxDepth)
		}
		for _, c := range [2]int32{t.Nodes[s.node].Left, t.Nodes[s.node].Right} {
			at := int(c)
			if c < 0 {
				at = len(t.Nodes) + int(^c)
			}
			if seen[at] {
				return fmt.Errorf("node %d: child %d has another parent already", s.node, c)
			}
			seen[at] = true
			if c >= 0 {
				stack = append(stack, step{c, s.depth + 1})
			}
		}
	}
	// Nodes and leaves are one more together than children. With none reached
	// twice, one that is not reached means a cycle elsewhere; name it.
	for i, ok := range seen {
		if !ok && i < len(t.Nodes) {
			return fmt.Errorf("node %d is not reached from the root", i)
		}
		if !ok {
			return fmt.Errorf("leaf %d is not reached from the root", i-len(t.Nodes))
		}
	}
	return nil
}

// dropUselessCover forgets covers from which contributions can't be computed:
// where rows would divide by zero.
func (t *Tree) dropUselessCover() {
	ok := len(t.NodeCover) == len(t.Nodes) && len(t.LeafCover) == len(t.Leaves)
	for _, c := range t.NodeCover {
		ok = ok && c > 0 && !math.IsInf(c, 1)
	}
	for _, c := range t.LeafCover {
		ok = ok && c >= 0 && !math.IsInf(c, 1)
	}
	if !ok {
		t.NodeCover, t.LeafCover = nil, nil
	}
	if len(t.Gain) != len(t.Nodes) {
		t.Gain = nil
	}
}

// floor32 is the largest float32 ≤ t, so that x ≤ t and x ≤ floor32(t) agree
// for every float32 x.
func floor32(t float64) float32 {
	f := float32(t)
	if float64(f) > t {
		f = math.Nextafter32(f, float32(math.Inf(-1)))
	}
	return f
}

func bad(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
