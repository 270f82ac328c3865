package gbdt

import (
	"math/bits"
)

// lanes is how many candidates go through a program side by side.
const lanes = 112

// programStep is one word of one tree that the request leaves open: what a candidate's
// mask there is narrowed by, and where the values are. Laid out for assembly.
type programStep struct {
	request uint64 // leaves that some candidate can reach
	word    uint32
	kind    uint32
	nodes   uint32 // how many of the program's nodes follow for this step
	_       uint32
}

// Kinds of steps.
const (
	stepWhole uint32 = iota // the tree's exit leaf is in this word
	stepFirst               // the first of the tree's words that are open
	stepNext                // a further one
	stepFixed               // one leaf is open: the same value for every candidate
)

// programNode is a node of pairs that the request leaves open: a candidate for
// which its test is false keeps what it says.
type programNode struct {
	keep      uint64
	threshold float32
	view      uint32
}

// program is a forest as one request leaves it.
type program struct {
	request []uint64 // requestMask, by word
	steps   []programStep
	nodes   []programNode
	views   []uint32 // of the pair side, those that nodes read
	seen    []bool
}

func newProgram(c *Compiled) program {
	return program{
		request: make([]uint64, c.words),
		steps:   make([]programStep, 0, len(c.segments)),
		nodes:   make([]programNode, 0, len(c.pairs)),
		views:   make([]uint32, 0, len(c.views[CrossSide])),
		seen:    make([]bool, len(c.views[CrossSide])),
	}
}

// narrow sets the request mask: what the request's views leave open.
func (p *program) narrow(c *Compiled, views []float32) {
	copy(p.request, c.full)
	for v, x := range views {
		clearFalse(p.request, c.requestFalse.of(v), x)
		clearTrue(p.request, c.requestTrue.of(v), x)
	}
}

// build makes the steps from the request mask.
func (p *program) build(c *Compiled) {
	p.steps, p.nodes, p.views = p.steps[:0], p.nodes[:0], p.views[:0]
	clear(p.seen)
	first := int32(0)
	for _, end := range c.treeEnd {
		begin := len(p.steps)
		for i := first; i < end; i++ {
			p.addStep(c, &c.segments[i])
		}
		first = end
		if len(p.steps) > begin+1 {
			for i := begin; i < len(p.steps); i++ {
				p.steps[i].kind = stepNext
			}
			p.steps[begin].kind = stepFirst
		}
	}
	for v, seen := range p.seen {
		if seen {
			p.views = append(p.views, uint32(v))
		}
	}
}

func (p *program) addStep(c *Compiled, s *segment) {
	request := p.request[s.word] & s.bits
	if request == 0 {
		return
	}
	kind := stepWhole
	if request&(request-1) == 0 {
		kind = stepFixed
	}
	begin := len(p.nodes)
	nodes := p.nodes[:cap(p.nodes)]
	at := begin
	for i := range c.pairs[s.firstPair:s.endPair] {
		n := &c.pairs[int(s.firstPair)+i]
		nodes[at] = programNode{^n.left, n.threshold, uint32(n.view)}
		if n.left&request != 0 {
			p.seen[n.view] = true
			at++
		}
	}
	p.nodes = nodes[:at]
	p.steps = append(p.steps, programStep{request: request, word: uint32(s.word), kind: kind, nodes: uint32(at - begin)})
}

// pass is up to lanes candidates on their way through a program.
type pass struct {
	n     int
	rows  [lanes]int     // where a candidate's ad row begins
	masks [lanes]uint64  // of the step at hand
	exits [lanes]uint32  // leaf of the tree at hand, where it has several words
	sums  [lanes]float64 // in tree order
	pairs []float32      // view × lanes: the pair side's views
}

// transpose fills in the views of pairs that the program reads.
func (s *pass) transpose(c *Compiled, p *program, cross []float32) {
	width := c.split.Cross
	for _, number := range p.views {
		v := &c.views[CrossSide][number]
		out := s.pairs[int(number)*lanes:][:s.n]
		if v.kind == viewRight || v.kind == viewLeft {
			at := int(v.column)
			for i := range out {
				x := cross[at]
				if v.kind == viewLeft && x != x {
					x = negInf
				}
				out[i] = x
				at += width
			}
			continue
		}
		for i := range out {
			out[i] = v.read(cross[i*width : (i+1)*width])
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
	nodes := p.nodes
	for i := 0; i < len(p.steps); i++ {
		st := &p.steps[i]
		mine := nodes[:st.nodes]
		nodes = nodes[st.nodes:]
		switch st.kind {
		case stepFixed:
			s.addFixed(c, st)
		case stepWhole:
			s.narrow(m, st, mine)
			if c.float32 {
				s.addLeaves32(c, st)
			} else {
				s.addLeaves(c, st)
			}
		default:
			s.narrow(m, st, mine)
			s.noteExits(st)
			if i+1 == len(p.steps) || p.steps[i+1].kind != stepNext {
				s.addExits(c)
			}
		}
	}
	if c.divisor != 0 {
		for i := range sums {
			sums[i] /= c.divisor
		}
	}
}

// narrow sets masks to what request, ad and pair leave open in a word.
func (s *pass) narrow(m *AdMasks, st *programStep, nodes []programNode) {
	n := s.n
	rows, masks := s.rows[:n], s.masks[:n]
	words := m.masks[st.word:]
	if len(nodes) == 0 {
		for i, row := range rows {
			masks[i] = words[row] & st.request
		}
		return
	}
	first := nodes[0]
	x := s.pairs[int(first.view)*lanes:][:n]
	for i, row := range rows {
		w := words[row] & st.request
		kept := w & first.keep
		if x[i] <= first.threshold {
			kept = w
		}
		masks[i] = kept
	}
	for _, node := range nodes[1:] {
		x := s.pairs[int(node.view)*lanes:][:n]
		for i, w := range masks {
			kept := w & node.keep
			if x[i] <= node.threshold {
				kept = w
			}
			masks[i] = kept
		}
	}
}

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
func (s *pass) noteExits(st *programStep) {
	exits := s.exits[:s.n]
	if st.kind == stepFirst {
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
		for i++; i < len(p.steps) && p.steps[i].kind == stepNext; i++ {
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
