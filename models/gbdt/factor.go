package gbdt

import (
	"math"
	"math/bits"
)

// lanes is how many candidates go through a program side by side.
const lanes = 104

// programStep is one word of one tree that the request leaves open: what a
// candidate's mask there is narrowed by, and where the values are. Read by
// offset in assembly.
type programStep struct {
	request uint64 // leaves that some candidate can reach
	word    uint32
	tree    uint32 // the tree, counted from 1, if it has several words: the first with a leaf left counts; else 0
	nodes   uint32 // how many of the program's nodes are this step's
	_       uint32
}

// program is a forest as one request leaves it.
type program struct {
	request []uint64 // requestMask, by word
	keys    []int32  // of the request's views
	steps   []programStep
	// Nodes of pairs that the request leaves open, in the order of steps: what
	// they clear for a candidate whose test is false.
	lefts []uint64
	tests []uint64 // as pairTest packs them
}

func newProgram(c *Compiled) program {
	return program{
		request: alignedWords(c.stride),
		keys:    make([]int32, len(c.views[RequestSide])),
		steps:   make([]programStep, 0, len(c.segments)),
		lefts:   make([]uint64, 0, len(c.pairLeft)+8), // 8: written ahead
		tests:   make([]uint64, 0, len(c.pairLeft)+8),
	}
}

// narrow sets the request mask: what the request's views leave open.
func (p *program) narrow(c *Compiled, views []float32) {
	keys := p.keys[:len(views)]
	for i, x := range views {
		keys[i] = key(x)
	}
	for w, mask := range c.full {
		nodes := c.request[c.requestFirst[w]:c.requestFirst[w+1]]
		for i := range nodes {
			n := &nodes[i]
			mask &= n.keepTrue ^ (n.keepTrue^n.keepFalse)&isAbove(keys[n.view], n.key)
		}
		p.request[w] = mask
	}
}

// key orders float32s as integers, NaN above all, so that a comparison is a
// subtraction and no branch: what a branch costs when it is mispredicted is ten
// nodes' worth.
func key(x float32) int32 {
	if x != x {
		return math.MaxInt32
	}
	b := int32(math.Float32bits(x + 0)) // -0 equals 0
	return b ^ int32(uint32(b>>31)>>1)
}

// isAbove is all ones if x ≤ threshold is false, else zero.
func isAbove(x, threshold int32) uint64 { return uint64((int64(threshold) - int64(x)) >> 63) }

// build makes the steps from the request mask.
func (p *program) build(c *Compiled) {
	p.steps, p.lefts, p.tests = p.steps[:0], p.lefts[:0], p.tests[:0]
	for i := range c.segments {
		p.addStep(c, &c.segments[i])
	}
}

func (p *program) addStep(c *Compiled, s *segment) {
	request := p.request[s.word] & s.bits
	if request == 0 {
		return
	}
	begin := len(p.lefts)
	at := begin
	left, test := c.pairLeft[s.firstPair:s.endPair], c.pairTest[s.firstPair:s.endPair]
	lefts, tests := p.lefts[:cap(p.lefts)], p.tests[:cap(p.tests)]
	for i, l := range left {
		// Written in any case and kept only if open: no branch to mispredict.
		lefts[at], tests[at] = l, test[i]
		next := at + 1
		if l&request == 0 {
			next = at
		}
		at = next
	}
	p.lefts, p.tests = lefts[:at], tests[:at]
	p.steps = append(p.steps, programStep{request: request, word: s.word, tree: s.tree, nodes: uint32(at - begin)})
}

// pass is up to lanes candidates on their way through a program.
type pass struct {
	n     int
	rows  [lanes]int    // where a candidate's ad row begins, in bytes
	masks [lanes]uint64 // of the step at hand
	exits [lanes]uint32 // leaf of the tree at hand, where it has several words
	sums  []float64     // in tree order
	pairs []float32     // row × lanes: the pair side's views
	keys  []int32       // the same as keys, for the twin
	simd  simdPass
}

func (s *pass) init(c *Compiled) {
	s.sums = alignedFloats[float64](lanes)
	s.pairs = alignedFloats[float32](lanes * c.pairRows.rows)
	s.keys = make([]int32, len(s.pairs))
	s.simd.init(c, s)
}

// transpose fills in the keys of the views of pairs, candidates in a row.
func (s *pass) transpose(c *Compiled, cross []float32) {
	width := c.split.Cross
	for number, row := range c.pairRows.row {
		v := &c.views[CrossSide][number]
		out := s.keys[int(row)*lanes:][:s.n]
		switch v.kind {
		case viewRight, viewLeft, viewZero:
			at := int(v.column)
			missing := key(v.missing())
			for i := range out {
				k := key(cross[at])
				if k == math.MaxInt32 {
					k = missing
				}
				out[i] = k
				at += width
			}
		default:
			for i := range out {
				out[i] = key(v.read(cross[i*width : (i+1)*width]))
			}
		}
	}
}

// run is the factorised kernel in Go, the twin of the assembly: steps, then
// nodes, then candidates, so that inner loops have no branch that depends on a
// candidate.
func (s *pass) run(c *Compiled, p *program, m *AdMasks) {
	n := s.n
	sums := s.sums[:n]
	for i := range sums {
		sums[i] = c.start
	}
	done := 0
	for i := range p.steps {
		st := &p.steps[i]
		end := done + int(st.nodes)
		lefts, tests := p.lefts[done:end], p.tests[done:end]
		done = end
		switch {
		case st.tree != 0:
			s.narrow(m, st, lefts, tests)
			s.noteExits(st, i == 0 || p.steps[i-1].tree != st.tree)
			if i+1 == len(p.steps) || p.steps[i+1].tree != st.tree {
				s.addExits(c)
			}
		case st.request&(st.request-1) == 0:
			s.addFixed(c, st)
		default:
			s.narrow(m, st, lefts, tests)
			if c.float32 {
				s.addLeaves32(c, st)
			} else {
				s.addLeaves(c, st)
			}
		}
	}
}

// narrow sets masks to what request, ad and pair leave open in a word.
func (s *pass) narrow(m *AdMasks, st *programStep, lefts, tests []uint64) {
	n := s.n
	rows, masks := s.rows[:n], s.masks[:n]
	words := m.masks[st.word:]
	if len(lefts) == 0 {
		for i, row := range rows {
			masks[i] = words[row/8] & st.request
		}
		return
	}
	left, threshold, x := lefts[0], testKey(tests[0]), s.keys[tests[0]>>32:][:n]
	for i, row := range rows {
		masks[i] = words[row/8] & st.request &^ (left & isAbove(x[i], threshold))
	}
	for k, left := range lefts[1:] {
		threshold, x := testKey(tests[k+1]), s.keys[tests[k+1]>>32:][:n]
		for i, w := range masks {
			masks[i] = w &^ (left & isAbove(x[i], threshold))
		}
	}
}

// testKey is the key of a packed test's threshold.
func testKey(test uint64) int32 { return key(math.Float32frombits(uint32(test))) }

// addLeaves adds each candidate's first remaining leaf.
func (s *pass) addLeaves(c *Compiled, st *programStep) {
	leaves := (*[64]float64)(c.leaves[int(st.word)*64:])
	sums := s.sums[:s.n]
	for i, w := range s.masks[:s.n] {
		sums[i] += leaves[bits.TrailingZeros64(w)&63]
	}
}

// addLeaves32 rounds each sum to a float32. Adding in float64 first is exact
// enough: a float64 has more than twice a float32's bits and two to spare.
func (s *pass) addLeaves32(c *Compiled, st *programStep) {
	leaves := (*[64]float64)(c.leaves[int(st.word)*64:])
	sums := s.sums[:s.n]
	for i, w := range s.masks[:s.n] {
		sums[i] = float64(float32(sums[i] + leaves[bits.TrailingZeros64(w)&63]))
	}
}

func (s *pass) addFixed(c *Compiled, st *programStep) {
	leaf := c.leaves[int(st.word)*64+bits.TrailingZeros64(st.request)]
	for i := range s.sums[:s.n] {
		s.sums[i] += leaf
	}
	if c.float32 {
		s.round32()
	}
}

func (s *pass) round32() {
	for i, x := range s.sums[:s.n] {
		s.sums[i] = float64(float32(x))
	}
}

// noExit: no word of the tree had a leaf so far.
const noExit = ^uint32(0)

// noteExits takes a tree's words in order: the first with a leaf left has the
// exit.
func (s *pass) noteExits(st *programStep, first bool) {
	exits := s.exits[:s.n]
	if first {
		for i := range exits {
			exits[i] = noExit
		}
	}
	base := st.word * 64
	for i, w := range s.masks[:s.n] {
		here := base + uint32(bits.TrailingZeros64(w))
		if w == 0 {
			here = noExit
		}
		if exits[i] == noExit {
			exits[i] = here
		}
	}
}

func (s *pass) addExits(c *Compiled) {
	for i, leaf := range s.exits[:s.n] {
		s.sums[i] += c.leaves[leaf]
	}
	if c.float32 {
		s.round32()
	}
}

// bounds adds, tree by tree in order, the least and the greatest value still
// open. Rounding is monotone, so no candidate's sum, added in the same order,
// lies outside.
func (p *program) bounds(c *Compiled) (lo, hi float64) {
	lo, hi = c.start, c.start
	for i := 0; i < len(p.steps); {
		least, most := p.leafRange(c, i)
		for i++; i < len(p.steps) && p.steps[i].tree != 0 && p.steps[i].tree == p.steps[i-1].tree; i++ {
			l, m := p.leafRange(c, i)
			least, most = min(least, l), max(most, m)
		}
		lo, hi = lo+least, hi+most
		if c.float32 {
			lo, hi = float64(float32(lo)), float64(float32(hi))
		}
	}
	if c.divisor != 0 {
		lo, hi = lo/c.divisor, hi/c.divisor
	}
	return lo, hi
}

func (p *program) leafRange(c *Compiled, step int) (least, most float64) {
	st := &p.steps[step]
	leaves := (*[64]float64)(c.leaves[int(st.word)*64:])
	w := st.request
	least = leaves[bits.TrailingZeros64(w)]
	most = least
	for w &= w - 1; w != 0; w &= w - 1 {
		x := leaves[bits.TrailingZeros64(w)]
		least, most = min(least, x), max(most, x)
	}
	return least, most
}
