package gbdt

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unsafe"
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
	hashed   []float64 // the same, in the order that leafHash numbers a word's bits
	hashed32 []float32 // instead of it for a Float32 forest
	segments []segment // in tree order; a tree's are consecutive

	// Nodes by side. One whose test is false clears its left subtree. On the
	// request side a true one clears its right subtree too: what is left are
	// exactly the leaves some candidate can reach, so that most nodes of pairs
	// need not be looked at.
	request      []requestNode // by word
	requestFirst []int32       // of each word, and the end
	adFalse      clearLists
	pairLeft     []uint64 // by segment: the leaves that a false test clears
	pairTest     []uint64 // threshold and row, as pairTest packs them
	pairRows     pairRows

	flat flatForest
	simd simdTables
}

// requestNode is a node of a request column in one of the words of its subtree:
// what each outcome keeps there.
type requestNode struct {
	threshold           float32
	key                 int32 // of the threshold
	view                uint32
	keepFalse, keepTrue uint64
}

// segment is the part of a tree that lies in one word.
type segment struct {
	bits               uint64
	word               uint32
	firstPair, endPair uint32 // as many as fill cache lines
	tree               uint32 // see programStep
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
	b.hashLeaves()
	b.gatherRequest()
	c.adFalse = gather(b.adFalse, len(c.views[AdSide]))
	c.pairRows.assign(split.Cross, c.views[CrossSide])
	c.pairLeft, c.pairTest = alignedWords(len(b.pairs)), alignedWords(len(b.pairs))
	for i, p := range b.pairs {
		if p.left != 0 {
			c.pairLeft[i], c.pairTest[i] = p.left, pairTest(p.threshold, c.pairRows.row[p.view])
		}
	}
	if n := len(c.views[0]) + len(c.views[1]) + len(c.views[2]); n >= 1<<16 {
		return nil, fmt.Errorf("the nodes read %d different views of columns, kernels take %d: train on fewer columns or categorical splits", n, 1<<16-1)
	}
	c.numberFlatViews(b.flatViews)
	c.simd.build(c)
	return c, nil
}

// pairTest packs what a node of pairs compares: the threshold, and where its
// values begin among a pass's pairs.
func pairTest(threshold float32, row int32) uint64 {
	return uint64(math.Float32bits(threshold)) | uint64(row)*lanes<<32
}

// compiler is what is needed only while compiling.
type compiler struct {
	*Compiled
	seen      map[viewKey]int32
	request   []wordRequest
	adFalse   []sideClearing
	pairs     []wordPair
	used      int // bits of the last word
	bit       int // of the leaf met next, counted from the tree's first word
	tree      *Tree
	first     int // first word of the tree
	treePairs []wordPair
	flatViews []flatView
}

type wordRequest struct {
	word int32
	requestNode
}

type sideClearing struct {
	view int32
	clearing
}

type wordPair struct {
	word      int32
	left      uint64
	threshold float32
	view      int32
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
	if side == RequestSide {
		b.eachWord(first, b.bit, func(word int32, _ uint64) {
			from := (int(word) - b.first) * 64 // bits of this word left and right of the middle
			node := requestNode{threshold, key(threshold), uint32(number), ^clampRange(first-from, middle-from), ^clampRange(middle-from, b.bit-from)}
			b.request = append(b.request, wordRequest{word, node})
		})
		return
	}
	b.eachWord(first, middle, func(word int32, bits uint64) {
		if side == AdSide {
			b.adFalse = append(b.adFalse, sideClearing{number, clearing{threshold, word, ^bits}})
		} else {
			b.treePairs = append(b.treePairs, wordPair{word, bits, threshold, number})
		}
	})
}

// clampRange is bitRange of what lies in one word.
func clampRange(first, end int) uint64 {
	first, end = max(first, 0), min(end, 64)
	if first >= end {
		return 0
	}
	return bitRange(first, end)
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
	tree := uint32(0)
	if at/64 != (at+n-1)/64 {
		tree = uint32(len(b.flat.depth)) + 1
	}
	b.eachWord(at, at+n, func(word int32, bits uint64) {
		s := segment{bits: bits, word: uint32(word), firstPair: uint32(len(b.pairs)), tree: tree}
		for _, p := range b.treePairs {
			if p.word == word {
				b.pairs = append(b.pairs, p)
			}
		}
		for len(b.pairs)%8 != 0 {
			b.pairs = append(b.pairs, wordPair{}) // clears nothing: never open
		}
		s.endPair = uint32(len(b.pairs))
		b.segments = append(b.segments, s)
	})
}

// hashLeaves makes the twin's tables.
func (b *compiler) hashLeaves() {
	if b.float32 {
		b.hashed32 = make([]float32, len(b.leaves))
	} else {
		b.hashed = make([]float64, len(b.leaves))
	}
	for i, x := range b.leaves {
		at := i&^63 + int(leafHash(1<<(i&63)))
		if b.float32 {
			b.hashed32[at] = float32(x)
		} else {
			b.hashed[at] = x
		}
	}
}

// gatherRequest orders the request side's nodes by word.
func (b *compiler) gatherRequest() {
	slices.SortStableFunc(b.request, func(x, y wordRequest) int { return cmp.Compare(x.word, y.word) })
	b.requestFirst = make([]int32, b.words+1)
	for i, n := range b.request {
		b.Compiled.request = append(b.Compiled.request, n.requestNode)
		b.requestFirst[n.word+1] = int32(i) + 1
	}
	for w := range b.words {
		b.requestFirst[w+1] = max(b.requestFirst[w+1], b.requestFirst[w])
	}
}

// gather orders clearings by view and rising threshold.
func gather(all []sideClearing, views int) clearLists {
	slices.SortStableFunc(all, func(x, y sideClearing) int {
		return cmp.Or(cmp.Compare(x.view, y.view), cmp.Compare(x.threshold, y.threshold))
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

// Bytes is the memory of all forms.
func (c *Compiled) Bytes() int {
	n := 8*(len(c.full)+len(c.leaves)+len(c.hashed)+len(c.flat.values)+len(c.pairLeft)+len(c.pairTest)) + c.simd.bytes()
	n += int(unsafe.Sizeof(requestNode{}))*len(c.request) + int(unsafe.Sizeof(clearing{}))*len(c.adFalse.entries)
	n += int(unsafe.Sizeof(segment{}))*len(c.segments) + int(unsafe.Sizeof(flatNode{}))*len(c.flat.nodes)
	return n + 4*(len(c.hashed32)+len(c.requestFirst)+len(c.adFalse.first)+len(c.flat.first)+len(c.flat.depth))
}
