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
