package gbdt

import (
	"errors"
	"fmt"
)

// Importance is what each column gave the forest in training: in how many nodes
// it splits, and the sum of those splits' gains (0 where the file has none).
func (f *Forest) Importance() (splits []int, gain []float64) {
	splits, gain = make([]int, f.Columns), make([]float64, f.Columns)
	for i := range f.Trees {
		t := &f.Trees[i]
		for j := range t.Nodes {
			splits[t.Nodes[j].Feature]++
			if t.Gain != nil {
				gain[t.Nodes[j].Feature] += t.Gain[j]
			}
		}
	}
	return splits, gain
}

// Contributions says why a row has its raw score: base is what the forest
// expects of a row it knows nothing about, phi[c] what column c's value added
// (its Shapley value, with the paths' covers for the distribution; Lundberg,
// Erion and Lee, "Consistent individualized feature attribution for tree
// ensembles", algorithm 2). Their sum is the raw score but for rounding. phi has
// f.Columns values or more and is overwritten.
//
// It costs leaves × depth² and allocates: not for a hot path.
func (f *Forest) Contributions(row []float32, phi []float64) (base float64, err error) {
	if len(row) < f.Columns || len(phi) < f.Columns {
		return 0, fmt.Errorf("contributions: row has %d values and phi %d, the model has %d columns", len(row), len(phi), f.Columns)
	}
	clear(phi)
	e := explainer{row: row, phi: phi, base: f.Base, scale: 1}
	if f.Average {
		e.scale = 1 / float64(len(f.Trees))
		e.base *= e.scale
	}
	for i := range f.Trees {
		e.tree = &f.Trees[i]
		if len(e.tree.Nodes) == 0 {
			e.base += e.scale * e.tree.Leaves[0]
			continue
		}
		if e.tree.NodeCover == nil {
			return 0, errors.New("contributions: the model file has no covers (LightGBM: internal_count, leaf_count; XGBoost: sum_hessian); save it from its trainer, unchanged")
		}
		e.visit(0, 0, 0, pathStep{feature: -1, zero: 1, one: 1}, 1)
	}
	return e.base, nil
}

// explainer walks one tree after the other for one row.
type explainer struct {
	tree  *Tree
	row   []float32
	phi   []float64
	base  float64
	scale float64
	// path is a stack of paths: each visit copies its parent's and extends it, as
	// what it does to it must not be seen by its sibling.
	path []pathStep
}

// pathStep is a column on the path from the root. zero is the share of training rows
// that go on this way when the column is unknown, one whether this row does
// (0 or 1). weight is the sum, over subsets of the path's columns of the size of
// this pathStep's number, of their share of all orders.
type pathStep struct {
	feature           int32
	zero, one, weight float64
}

// visit goes down from a node (or ^leaf) whose parent's path is
// e.path[from:from+n], by way of s. reach is the share of training rows that
// come here.
func (e *explainer) visit(at int32, from, n int, s pathStep, reach float64) {
	start := len(e.path)
	e.path = append(e.path, e.path[from:from+n]...)
	e.path = extend(e.path, start, s)
	path := e.path[start:]
	if at < 0 {
		e.leaf(path, e.scale*e.tree.Leaves[^at], reach)
		e.path = e.path[:start]
		return
	}
	node := &e.tree.Nodes[at]
	before := pathStep{zero: 1, one: 1}
	for i := 1; i < len(path); i++ {
		if path[i].feature == node.Feature {
			before = path[i]
			unwind(path, i)
			path = path[:len(path)-1]
			break
		}
	}
	hot, cold := node.Left, node.Right
	if !e.tree.GoesLeft(node, e.row[node.Feature]) {
		hot, cold = cold, hot
	}
	h, c := e.tree.cover(hot)/e.tree.NodeCover[at], e.tree.cover(cold)/e.tree.NodeCover[at]
	e.descend(hot, start, len(path), pathStep{feature: node.Feature, zero: before.zero * h, one: before.one}, reach*h)
	e.descend(cold, start, len(path), pathStep{feature: node.Feature, zero: before.zero * c}, reach*c)
	e.path = e.path[:start]
}

// descend leaves out a subtree that neither the row nor a training row comes to.
func (e *explainer) descend(at int32, from, n int, s pathStep, reach float64) {
	if s.zero != 0 || s.one != 0 {
		e.visit(at, from, n, s, reach)
	}
}

func (e *explainer) leaf(path []pathStep, value, reach float64) {
	e.base += reach * value
	for i := 1; i < len(path); i++ {
		s := &path[i]
		e.phi[s.feature] += unwound(path, i) * (s.one - s.zero) * value
	}
}

func (t *Tree) cover(at int32) float64 {
	if at < 0 {
		return t.LeafCover[^at]
	}
	return t.NodeCover[at]
}

// extend puts a step at the end of the path that begins at start.
func extend(stack []pathStep, start int, s pathStep) []pathStep {
	depth := len(stack) - start
	if depth == 0 {
		s.weight = 1
	}
	stack = append(stack, s)
	path := stack[start:]
	for i := depth - 1; i >= 0; i-- {
		path[i+1].weight += s.one * path[i].weight * float64(i+1) / float64(depth+1)
		path[i].weight *= s.zero * float64(depth-i) / float64(depth+1)
	}
	return stack
}

// unwind takes step k out again: what extend did, undone. The path is then one
// shorter.
func unwind(path []pathStep, k int) {
	depth := len(path) - 1
	one, zero := path[k].one, path[k].zero
	next := path[depth].weight
	for i := depth - 1; i >= 0; i-- {
		if one != 0 {
			w := path[i].weight
			path[i].weight = next * float64(depth+1) / (float64(i+1) * one)
			next = w - path[i].weight*zero*float64(depth-i)/float64(depth+1)
		} else {
			path[i].weight = path[i].weight * float64(depth+1) / (zero * float64(depth-i))
		}
	}
	for i := k; i < depth; i++ {
		path[i].feature, path[i].zero, path[i].one = path[i+1].feature, path[i+1].zero, path[i+1].one
	}
}

// unwound is the sum of the weights that the path would have without step k.
func unwound(path []pathStep, k int) float64 {
	depth := len(path) - 1
	one, zero := path[k].one, path[k].zero
	next, sum := path[depth].weight, 0.0
	for i := depth - 1; i >= 0; i-- {
		if one != 0 {
			w := next * float64(depth+1) / (float64(i+1) * one)
			sum += w
			next = path[i].weight - w*zero*float64(depth-i)/float64(depth+1)
		} else {
			sum += path[i].weight * float64(depth+1) / (zero * float64(depth-i))
		}
	}
	return sum
}
