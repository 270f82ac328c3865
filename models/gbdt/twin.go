package gbdt

import "math"

// pass is up to lanes candidates on their way through a program.
type pass struct {
	n     int
	rows  [lanes]uint64 // where a candidate's ad row begins, in bytes
	sums  []float64     // in tree order
	pairs []float32     // row × lanes: the pair side's views
	simd  simdPass
	twin  twinPass
}

// twinPass is what the twin needs beside the pass.
type twinPass struct {
	keys    []int32       // of the pair side's views, laid out as pass.pairs
	masks   [lanes]uint64 // of the step at hand
	exits   [lanes]uint32 // leaf of the tree at hand, where it has several words
	sums32  [lanes]float32
	touched uint64
}

func (s *pass) init(c *Compiled) {
	s.sums = alignedFloats[float64](lanes)
	s.pairs = alignedFloats[float32](lanes * c.pairRows.rows)
	s.twin.keys = make([]int32, len(s.pairs))
	s.simd.init(c, s)
}

// transpose fills in the keys of the views of pairs, candidates in a row.
func (s *pass) transpose(c *Compiled, cross []float32) {
	width := c.split.Cross
	for number, row := range c.pairRows.row {
		v := &c.views[CrossSide][number]
		out := s.twin.keys[int(row)*lanes:][:s.n]
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

// run is the factorised kernel in Go, the twin of the assembly.
func (s *pass) run(c *Compiled, p *program, m *AdMasks) {
	if !c.float32 {
		runTwin(s, c, p, m, c.hashed, s.sums)
		return
	}
	runTwin(s, c, p, m, c.hashed32, s.twin.sums32[:])
	for i, x := range s.twin.sums32[:s.n] {
		s.sums[i] = float64(x)
	}
}

// runTwin goes through steps, then nodes, then candidates, so that inner loops
// have no branch that depends on a candidate.
func runTwin[T float32 | float64](s *pass, c *Compiled, p *program, m *AdMasks, hashed []T, sums []T) {
	sums = sums[:s.n]
	for i := range sums {
		sums[i] = T(c.start)
	}
	done, line := 0, ^uint32(0)
	for i := range p.steps {
		st := &p.steps[i]
		end := done + int(st.nodes)
		lefts, tests := p.lefts[done:end], p.tests[done:end]
		done = end
		if l := st.word / 8; l != line {
			line = l
			s.touchLine(m, line)
		}
		leaves := (*[64]T)(hashed[int(st.word)*64:])
		switch {
		case st.tree != 0:
			s.narrow(m, st, lefts, tests)
			s.noteExits(st, i == 0 || p.steps[i-1].tree != st.tree)
			if i+1 == len(p.steps) || p.steps[i+1].tree != st.tree {
				for i, leaf := range s.twin.exits[:s.n] {
					sums[i] += hashed[leaf]
				}
			}
		case st.request&(st.request-1) == 0:
			leaf := leaves[leafHash(st.request)]
			for i := range sums {
				sums[i] += leaf
			}
		case len(lefts) == 0:
			addOpen(s, m, st, leaves, sums)
		case len(lefts) == 1:
			addOne(s, m, st, lefts[0], tests[0], leaves, sums)
		default:
			s.narrow(m, st, lefts, tests)
			for i, w := range s.twin.masks[:s.n] {
				sums[i] += leaves[leafHash(w)]
			}
		}
	}
}

// leafHash numbers the lowest bit of w by a de Bruijn sequence: 0 to 63, in the
// order in which Compiled.hashed has the leaves. Cheaper than counting zeros
// where the processor's own way to do it can't be assumed.
func leafHash(w uint64) uint64 { return (w & -w) * deBruijn >> 58 }

const deBruijn = 0x03f79d71b4ca8b09

// touchLine reads from the cache line of each row that the next steps need.
// Nothing waits for these loads, so that they go on side by side.
func (s *pass) touchLine(m *AdMasks, line uint32) {
	words, sum := m.masks[line*8:], uint64(0)
	for _, row := range s.rows[:s.n] {
		sum ^= words[row>>3]
	}
	s.twin.touched = sum
}

// addOpen adds the leaves for a step without nodes of pairs.
func addOpen[T float32 | float64](s *pass, m *AdMasks, st *programStep, leaves *[64]T, sums []T) {
	words, request := m.masks[st.word:], st.request
	rows := s.rows[:len(sums)]
	for i, row := range rows {
		sums[i] += leaves[leafHash(words[row>>3]&request)]
	}
}

// addOne adds the leaves for a step with one.
func addOne[T float32 | float64](s *pass, m *AdMasks, st *programStep, left, test uint64, leaves *[64]T, sums []T) {
	words, request := m.masks[st.word:], st.request
	rows := s.rows[:len(sums)]
	threshold, x := testKey(test), s.twin.keys[test>>32:][:len(sums)]
	for i, row := range rows {
		sums[i] += leaves[leafHash(words[row>>3]&request&^(left&isAbove(x[i], threshold)))]
	}
}

// narrow sets masks to what request, ad and pair leave open in a word.
func (s *pass) narrow(m *AdMasks, st *programStep, lefts, tests []uint64) {
	n := s.n
	rows, masks := s.rows[:n], s.twin.masks[:n]
	words, request := m.masks[st.word:], st.request
	if len(lefts) < 2 {
		if len(lefts) == 0 {
			for i, row := range rows {
				masks[i] = words[row>>3] & request
			}
			return
		}
		left, threshold := lefts[0], testKey(tests[0])
		keys := s.twin.keys[tests[0]>>32:][:n]
		for i, row := range rows {
			masks[i] = words[row>>3] & request &^ (left & isAbove(keys[i], threshold))
		}
		return
	}
	s.narrowTwo(rows, words, request, lefts, tests)
	lefts, tests = lefts[2:], tests[2:]
	for k, left := range lefts {
		threshold, x := testKey(tests[k]), s.twin.keys[tests[k]>>32:][:n]
		for i, w := range masks {
			masks[i] = w &^ (left & isAbove(x[i], threshold))
		}
	}
}

// narrowTwo is narrow for the first two nodes at once.
func (s *pass) narrowTwo(rows, words []uint64, request uint64, lefts, tests []uint64) {
	masks := s.twin.masks[:len(rows)]
	left0, threshold0, x0 := lefts[0], testKey(tests[0]), s.twin.keys[tests[0]>>32:][:len(rows)]
	left1, threshold1, x1 := lefts[1], testKey(tests[1]), s.twin.keys[tests[1]>>32:][:len(rows)]
	for i, row := range rows {
		cleared := left0&isAbove(x0[i], threshold0) | left1&isAbove(x1[i], threshold1)
		masks[i] = words[row>>3] & request &^ cleared
	}
}

// testKey is the key of a packed test's threshold.
func testKey(test uint64) int32 { return key(math.Float32frombits(uint32(test))) }

// noteExits takes a tree's words in order: the first with a leaf left has the
// exit, and the least number.
func (s *pass) noteExits(st *programStep, first bool) {
	exits := s.twin.exits[:s.n]
	if first {
		for i := range exits {
			exits[i] = math.MaxUint32
		}
	}
	base := st.word * 64
	for i, w := range s.twin.masks[:s.n] {
		none := ^uint32(int64(w|-w) >> 63) // all ones if w is 0
		exits[i] = min(exits[i], (base+uint32(leafHash(w)))|none)
	}
}
