package gbdt

import "math"

// flatForest is the forest for walking: 8-byte nodes, both children of a node
// side by side, so that a step is a load, a comparison and an addition, and no
// branch depends on the row. A leaf is a node that leads to itself.
type flatForest struct {
	nodes  []flatNode
	values []float64 // of leaves, by node
	first  []int32   // of each tree, and the end
	depth  []int32   // steps to a tree's deepest leaf
}

// flatNode: the next node is next, plus 1 if the view ≤ threshold.
type flatNode struct {
	threshold float32
	view      uint16 // of the flat row; 0 in a leaf
	next      uint16
}

// flatLeaf compares false with whatever stands at the row's start.
var flatLeaf = float32(math.NaN())

// add lays out the tree breadth first. Views get their places in a row only
// when all are known: flatViews keeps them till then.
func (f *flatForest) add(b *compiler, t *Tree) {
	base := int32(len(f.nodes))
	f.first = append(f.first, base)
	type item struct{ child, depth int32 } // child: as in Node
	root := item{0, 0}
	if len(t.Nodes) == 0 {
		root.child = ^0
	}
	queue := []item{root}
	deepest := int32(0)
	for i := 0; i < len(queue); i++ {
		q := queue[i]
		if q.child < 0 {
			deepest = max(deepest, q.depth)
			f.nodes = append(f.nodes, flatNode{flatLeaf, 0, uint16(i)})
			f.values = append(f.values, t.Leaves[^q.child])
			continue
		}
		n := &t.Nodes[q.child]
		side, number, threshold := b.viewOf(b.seen, t, n)
		f.nodes = append(f.nodes, flatNode{threshold, 0, uint16(len(queue))})
		f.values = append(f.values, 0)
		b.flatViews = append(b.flatViews, flatView{base + int32(i), side, number})
		queue = append(queue, item{n.Right, q.depth + 1}, item{n.Left, q.depth + 1})
	}
	f.depth = append(f.depth, deepest)
}

// flatView is what node reads.
type flatView struct {
	node   int32
	side   Side
	number int32
}

// numberFlatViews gives views their places in a flat row: an unused one, then the
// request's, the ad's and the pair's.
func (c *Compiled) numberFlatViews(all []flatView) {
	c.flat.first = append(c.flat.first, int32(len(c.flat.nodes)))
	for _, v := range all {
		c.flat.nodes[v.node].view = uint16(c.flatStart(v.side) + int(v.number))
	}
}

// flatStart is where the views of a side begin in a flat row.
func (c *Compiled) flatStart(side Side) int {
	at := 1
	for s := RequestSide; s < side; s++ {
		at += len(c.views[s])
	}
	return at
}

func (c *Compiled) flatWidth() int { return c.flatStart(CrossSide) + len(c.views[CrossSide]) }

// flatRows is how many rows are walked side by side: one's loads fill the time
// that another's take.
const flatRows = 4

// step is one level down.
func step(nodes []flatNode, i uint32, row []float32) uint32 {
	n := nodes[i]
	next := uint32(n.next)
	if row[n.view] <= n.threshold {
		next++
	}
	return next
}

// walkRows walks four rows down every tree and adds up.
func walkRows[T float32 | float64](f *flatForest, rows *[flatRows][]float32, sums *[flatRows]T) {
	r0, r1, r2, r3 := rows[0], rows[1], rows[2], rows[3]
	s0, s1, s2, s3 := sums[0], sums[1], sums[2], sums[3]
	for t, depth := range f.depth {
		nodes := f.nodes[f.first[t]:f.first[t+1]]
		values := f.values[f.first[t]:f.first[t+1]]
		var i0, i1, i2, i3 uint32
		for d := depth; d > 0; d-- {
			j0, j1, j2, j3 := step(nodes, i0, r0), step(nodes, i1, r1), step(nodes, i2, r2), step(nodes, i3, r3)
			if (i0^j0)|(i1^j1)|(i2^j2)|(i3^j3) == 0 {
				break // all are at leaves
			}
			i0, i1, i2, i3 = j0, j1, j2, j3
		}
		s0 += T(values[i0])
		s1 += T(values[i1])
		s2 += T(values[i2])
		s3 += T(values[i3])
	}
	sums[0], sums[1], sums[2], sums[3] = s0, s1, s2, s3
}

// walkTrees walks one row down four trees side by side. The sum is in tree
// order all the same.
func walkTrees[T float32 | float64](f *flatForest, row []float32, sum T) T {
	t := 0
	for ; t+4 <= len(f.depth); t += 4 {
		n0, n1 := f.nodes[f.first[t]:f.first[t+1]], f.nodes[f.first[t+1]:f.first[t+2]]
		n2, n3 := f.nodes[f.first[t+2]:f.first[t+3]], f.nodes[f.first[t+3]:f.first[t+4]]
		var i0, i1, i2, i3 uint32
		for {
			j0, j1, j2, j3 := step(n0, i0, row), step(n1, i1, row), step(n2, i2, row), step(n3, i3, row)
			if (i0^j0)|(i1^j1)|(i2^j2)|(i3^j3) == 0 {
				break
			}
			i0, i1, i2, i3 = j0, j1, j2, j3
		}
		sum += T(f.values[uint32(f.first[t])+i0])
		sum += T(f.values[uint32(f.first[t+1])+i1])
		sum += T(f.values[uint32(f.first[t+2])+i2])
		sum += T(f.values[uint32(f.first[t+3])+i3])
	}
	for ; t < len(f.depth); t++ {
		nodes := f.nodes[f.first[t]:f.first[t+1]]
		var i uint32
		for d := f.depth[t]; d > 0; d-- {
			i = step(nodes, i, row)
		}
		sum += T(f.values[uint32(f.first[t])+i])
	}
	return sum
}
