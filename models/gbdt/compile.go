package gbdt

import (
	"cmp"
	"fmt"
	"slices"
)

// maxKernelLeaves is what the 16-bit node numbers of the flat walk hold.
const maxKernelLeaves = 1 << 15

// Compiled is a forest in the forms that kernels run. Immutable, shared by all
// shards.
type Compiled struct {
	split   Split
	start   float64 // what a sum begins with
	float32 bool    // sums are float32
	divisor float64 // 0: sums are not divided
	trees   int

	views [3][]view // by side

	// Leaves, left to right, are bits of words; a tree of up to 64 leaves lies in
	// one word, which it may share with its neighbours, and a larger one in
	// consecutive words. leaves has the values, 64 a word.
	words    int
	stride   int // words of an ad's row: a multiple of 8, so that rows are whole cache lines
	full     []uint64
	leaves   []float64
	segments []segment // in tree order; a tree's are consecutive
	treeEnd  []int32   // end of each tree's segments

	// What outcomes of single-side nodes clear, by view. A node whose test is
	// false clears its left subtree. On the request side a true one clears its
	// right subtree too: what is left are exactly the leaves some candidate can
	// reach, so that nodes of pairs can be dropped.
	requestFalse, requestTrue, adFalse clearLists
	pairs                              []pairNode // nodes of pairs, by segment

	flat flatForest
}

// segment is the part of a tree that lies in one word.
type segment struct {
	bits               uint64
	word               int32
	firstPair, endPair int32
}

// clearing is one word of what a node clears.
type clearing struct {
	threshold float32
	word      int32
	keep      uint64
}

// clearLists are clearings by view, each list ordered so that the first entry
// that does not apply ends it.
type clearLists struct {
	entries []clearing
	first   []int32 // len(views)+1
}

func (l *clearLists) of(view int) []clearing { return l.entries[l.first[view]:l.first[view+1]] }

// pairNode is a node of a request × ad column, in one of the words of its left
// subtree.
type pairNode struct {
	left      uint64 // the leaves a false test clears
	threshold float32
	view      int32
}

// Compile brings the forest to the forms that kernels run, for rows whose
// columns fall to the sides as split says. The forest must not change after.
func Compile(f *Forest, split Split) (*Compiled, error) {
	if split.Request < 0 || split.Ad < 0 || split.Cross < 0 {
		return nil, fmt.Errorf("split %+v: a side has fewer than no columns", split)
	}
	c := &Compiled{split: split, start: f.Base, float32: f.Float32, trees: len(f.Trees)}
	if f.Average {
		c.divisor = float64(len(f.Trees))
	}
	b := compiler{Compiled: c, seen: map[viewKey]int32{}}
	for i := range f.Trees {
		if err := b.addTree(&f.Trees[i]); err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
	}
	c.words = len(c.full)
	c.stride = (c.words + 7) &^ 7
	c.requestFalse = gather(b.requestFalse, len(c.views[RequestSide]), true)
	c.requestTrue = gather(b.requestTrue, len(c.views[RequestSide]), false)
	c.adFalse = gather(b.adFalse, len(c.views[AdSide]), true)
	if n := len(c.views[0]) + len(c.views[1]) + len(c.views[2]); n >= 1<<16 {
		return nil, fmt.Errorf("the nodes read %d different views of columns, kernels take %d: train on fewer columns or categorical splits", n, 1<<16-1)
	}
	c.numberFlatViews(b.flatViews)
	return c, nil
}

// compiler is what is needed only while compiling.
type compiler struct {
	*Compiled
	seen                               map[viewKey]int32
	requestFalse, requestTrue, adFalse []sideClearing
	used                               int // bits of the last word
	bit                                int // of the leaf met next, counted from the tree's first word
	tree                               *Tree
	first                              int // first word of the tree
	treePairs                          []wordPair
	flatViews                          []flatView
}

type sideClearing struct {
	view int32
	clearing
}

type wordPair struct {
	word int32
	pairNode
}

func (b *compiler) addTree(t *Tree) error {
	n := len(t.Leaves)
	if n == 0 || n != len(t.Nodes)+1 {
		return fmt.Errorf("%d leaves for %d nodes", n, len(t.Nodes))
	}
	if n > maxKernelLeaves {
		return fmt.Errorf("%d leaves, kernels take %d: train with fewer leaves", n, maxKernelLeaves)
	}
	for i := range t.Nodes {
		if f := t.Nodes[i].Feature; f < 0 || int(f) >= b.split.Columns() {
			return fmt.Errorf("node %d tests column %d, the split has %d: train and serve with one schema", i, f, b.split.Columns())
		}
	}
	b.place(n)
	b.tree, b.treePairs = t, b.treePairs[:0]
	at := b.first*64 + b.bit
	b.leaves = append(b.leaves, make([]float64, len(b.full)*64-len(b.leaves))...)
	if len(t.Nodes) == 0 {
		b.leaves[at] = t.Leaves[0]
	} else {
		b.descend(0)
	}
	b.cutSegments(at, n)
	b.flat.add(b, t)
	return nil
}

// place finds room for a tree of n leaves: the rest of the last word where that
// is enough, else new words.
func (b *compiler) place(n int) {
	if len(b.full) == 0 || b.used+n > 64 {
		b.full = append(b.full, 0)
		b.used = 0
	}
	b.first, b.bit = len(b.full)-1, b.used
	for end := b.used + n; ; end -= 64 {
		last := len(b.full) - 1
		if end <= 64 {
			b.full[last] |= bitRange(b.used, end)
			b.used = end
			return
		}
		b.full[last] |= bitRange(b.used, 64)
		b.full = append(b.full, 0)
		b.used = 0
	}
}

// bitRange has the bits first to end-1.
func bitRange(first, end int) uint64 { return (^uint64(0) >> (64 - (end - first))) << first }

// descend numbers the leaves under node i and notes what it clears. Leaves of a
// subtree are consecutive. Depth is bounded by the loader.
func (b *compiler) descend(i int32) {
	n := &b.tree.Nodes[i]
	first := b.bit
	b.child(n.Left)
	middle := b.bit
	b.child(n.Right)
	side, number, threshold := b.viewOf(b.seen, b.tree, n)
	b.eachWord(first, middle, func(word int32, bits uint64) {
		e := sideClearing{number, clearing{threshold, word, ^bits}}
		switch side {
		case RequestSide:
			b.requestFalse = append(b.requestFalse, e)
		case AdSide:
			b.adFalse = append(b.adFalse, e)
		default:
			b.treePairs = append(b.treePairs, wordPair{word, pairNode{bits, threshold, number}})
		}
	})
	if side == RequestSide {
		b.eachWord(middle, b.bit, func(word int32, bits uint64) {
			b.requestTrue = append(b.requestTrue, sideClearing{number, clearing{threshold, word, ^bits}})
		})
	}
}

func (b *compiler) child(i int32) {
	if i >= 0 {
		b.descend(i)
		return
	}
	b.leaves[b.first*64+b.bit] = b.tree.Leaves[^i]
	b.bit++
}

// eachWord cuts the bits first to end-1, counted from the tree's first word.
func (b *compiler) eachWord(first, end int, do func(word int32, bits uint64)) {
	for first < end {
		stop := min(end, first&^63+64)
		do(int32(b.first+first/64), bitRange(first&63, first&63+stop-first))
		first = stop
	}
}

// cutSegments ends the tree that has n leaves from bit at on.
func (b *compiler) cutSegments(at, n int) {
	slices.SortStableFunc(b.treePairs, func(x, y wordPair) int { return cmp.Compare(x.word, y.word) })
	b.first = 0
	b.eachWord(at, at+n, func(word int32, bits uint64) {
		s := segment{bits: bits, word: word, firstPair: int32(len(b.pairs))}
		for _, p := range b.treePairs {
			if p.word == word {
				b.pairs = append(b.pairs, p.pairNode)
			}
		}
		s.endPair = int32(len(b.pairs))
		b.segments = append(b.segments, s)
	})
	b.treeEnd = append(b.treeEnd, int32(len(b.segments)))
}

// gather orders clearings by view and threshold: rising where they apply when x
// is above the threshold, falling where they apply when it is not.
func gather(all []sideClearing, views int, rising bool) clearLists {
	slices.SortStableFunc(all, func(x, y sideClearing) int {
		if d := cmp.Compare(x.view, y.view); d != 0 {
			return d
		}
		if rising {
			return cmp.Compare(x.threshold, y.threshold)
		}
		return cmp.Compare(y.threshold, x.threshold)
	})
	l := clearLists{first: make([]int32, views+1), entries: make([]clearing, len(all))}
	for i, e := range all {
		l.entries[i] = e.clearing
		l.first[e.view+1] = int32(i) + 1
	}
	for v := range views {
		l.first[v+1] = max(l.first[v+1], l.first[v])
	}
	return l
}

// Split is how the columns fall to the sides.
func (c *Compiled) Split() Split { return c.split }
