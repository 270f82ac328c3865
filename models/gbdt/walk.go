package gbdt

// zeroThreshold is how near to zero LightGBM takes a value for zero: 1e-35 as a
// float32.
const zeroThreshold float32 = 1e-35

// GoesLeft reports whether the value x of the node's feature goes to its left
// child. This is the only place that says what a node means; a kernel's masks
// must agree with it for every float32.
func (t *Tree) GoesLeft(n *Node, x float32) bool {
	if x != x {
		if n.Missing != MissingNone {
			return n.DefaultLeft
		}
		x = 0
	}
	if n.Categorical {
		return t.inCategories(n, x)
	}
	if n.Missing == MissingZero && -zeroThreshold <= x && x <= zeroThreshold {
		return n.DefaultLeft
	}
	return x <= n.Threshold
}

// inCategories reports whether the category of x is one of the node's.
func (t *Tree) inCategories(n *Node, x float32) bool {
	words := t.Categories[n.FirstWord:n.EndWord]
	// -1 < x < 0 is none where the trainer rounds down, 0 where it cuts. The
	// comparison with the bitset's length also stops what no integer holds.
	if n.Floor && x < 0 || x <= -1 || x >= float32(32*len(words)) {
		return false
	}
	c := uint32(int32(x))
	return words[c/32]>>(c%32)&1 != 0
}

// Leaf is the number of the leaf that the row reaches.
func (t *Tree) Leaf(row []float32) int32 {
	if len(t.Nodes) == 0 {
		return 0
	}
	for i := int32(0); ; {
		n := &t.Nodes[i]
		if t.GoesLeft(n, row[n.Feature]) {
			i = n.Left
		} else {
			i = n.Right
		}
		if i < 0 {
			return ^i
		}
	}
}

// Raw is the row's raw score, found by walking every tree from its root: the
// oracle that kernels are compared with, bit for bit. The row has f.Columns
// values or more; NaN is missing. No allocation.
func (f *Forest) Raw(row []float32) float64 {
	if f.Float32 {
		sum := float32(f.Base)
		for i := range f.Trees {
			t := &f.Trees[i]
			sum += float32(t.Leaves[t.Leaf(row)])
		}
		return float64(sum)
	}
	sum := f.Base
	for i := range f.Trees {
		t := &f.Trees[i]
		sum += t.Leaves[t.Leaf(row)]
	}
	if f.Average {
		sum /= float64(len(f.Trees))
	}
	return sum
}

// Predict turns a raw score into the prediction, in the trainer's precision.
func (f *Forest) Predict(raw float64) float64 {
	switch f.Objective {
	case Binary:
		if f.Float32 {
			return float64(sigmoid32(float32(raw)))
		}
		return 1 / (1 + exp64(-f.Sigmoid*raw))
	case Exponential:
		if f.Float32 {
			return float64(exp32(float32(raw)))
		}
		return exp64(raw)
	}
	return raw
}

// sigmoid32 is the logistic function as XGBoost takes it: every step a float32,
// the exponent held below overflow.
func sigmoid32(x float32) float32 {
	return 1 / (exp32(min(-x, 88.7)) + 1 + 1e-16)
}
