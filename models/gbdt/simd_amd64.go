//go:build amd64 && !purego

package gbdt

import (
	"encoding/binary"
	"math"
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go run ./internal/asm -out kernels_amd64.s -stubs kernels_amd64.go -pkg gbdt

// hasSIMD: the processor has what the kernels use (Intel from Ice Lake on, AMD
// from Zen 4 on). Without, the twin does all.
var hasSIMD = cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VPOPCNTDQ

// simdViews is how many views of a request the registers hold. A model with
// more has its request mask made by the twin.
const simdViews = 128

// Layout of a pair of rounds, as the generator has it.
const (
	roundBytes     = 320
	roundViewBytes = 32
)

// simdTables are the request side's nodes as narrowAVX512 reads them: 8 words
// go side by side, a round is one node of each, and rounds come in pairs.
type simdTables struct {
	rounds  []uint64  // roundBytes a pair: 16 thresholds, then what to keep
	numbers []uint64  // roundViewBytes a pair: 16 numbers of views
	counts  []uint32  // pairs of rounds, by 8 words
	packed  []float64 // of a Float32 forest: its leaves as pack32 has them
}

func (t *simdTables) build(c *Compiled) {
	if !hasSIMD {
		return
	}
	if c.float32 {
		t.packed = make([]float64, len(c.leaves))
		for i, x := range c.leaves {
			t.packed[i] = pack32(float32(x))
		}
	}
	if len(c.views[RequestSide]) <= simdViews {
		t.buildRounds(c)
	}
}

func (t *simdTables) buildRounds(c *Compiled) {
	var rounds, numbers []byte
	for first := 0; first < c.words; first += 8 {
		most := int32(0)
		for w := first; w < min(first+8, c.words); w++ {
			most = max(most, c.requestFirst[w+1]-c.requestFirst[w])
		}
		pairs := (most + 1) / 2
		t.counts = append(t.counts, uint32(pairs))
		for p := range pairs {
			var round [roundBytes]byte
			var number [roundViewBytes]byte
			for lane := range 16 {
				n := requestNode{keepFalse: math.MaxUint64, keepTrue: math.MaxUint64}
				w, at := first+lane%8, 2*p+int32(lane/8)
				if w < c.words && c.requestFirst[w]+at < c.requestFirst[w+1] {
					n = c.request[c.requestFirst[w]+at]
				}
				keep := 64 + 128*(lane/8) + 8*(lane%8)
				binary.LittleEndian.PutUint32(round[4*lane:], math.Float32bits(n.threshold))
				binary.LittleEndian.PutUint64(round[keep:], n.keepFalse)
				binary.LittleEndian.PutUint64(round[keep+64:], n.keepTrue)
				binary.LittleEndian.PutUint16(number[2*lane:], uint16(n.view))
			}
			rounds, numbers = append(rounds, round[:]...), append(numbers, number[:]...)
		}
	}
	t.rounds, t.numbers = alignedBytes(rounds), alignedBytes(numbers)
}

// alignedBytes are b as words that begin at a cache line; b has whole words.
func alignedBytes(b []byte) []uint64 {
	words := alignedWords(len(b) / 8)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return words
}

func (t *simdTables) bytes() int {
	return 8*(len(t.rounds)+len(t.numbers)+len(t.packed)) + 4*len(t.counts)
}

// narrowArgs, turnArgs and passArgs are read by offset in assembly.
type narrowArgs struct {
	views, rounds, numbers, counts, full, out unsafe.Pointer
	groups                                    int
}

type buildArgs struct {
	segments, request, left, test, steps, lefts, tests unsafe.Pointer
	segmentsEnd                                        uintptr
	stepsBytes, leftsBytes                             int // what was written
}

type turnArgs struct {
	cross, rows, out unsafe.Pointer
	groups           int
	columns          uint32 // bits of those that exist
}

type passArgs struct {
	steps, lefts, tests, pairs, leaves, sums, scratch, masks, rows unsafe.Pointer
	stepsEnd                                                       uintptr
	rowEnd                                                         uintptr // of a row that begins where masks do
}

// simdPass is what the assembly needs beside the pass.
type simdPass struct {
	scratch []uint64
	pairs   [lanes]int // where each candidate's pair columns begin, in bytes
	placed  int        // for how many candidates that holds
}

// scratchBytes is what a pass of lanes candidates keeps in scratch: masks of 9
// words, values of open leaves, bits of those that are done.
const scratchBytes = 9*8*lanes + 8*80 + 64

func (s *simdPass) init(c *Compiled, p *pass) {
	if hasSIMD {
		s.scratch = alignedWords(scratchBytes / 8)
	}
}

// narrowSIMD is narrow in assembly; false where that can't be.
func (p *program) narrowSIMD(c *Compiled, views []float32) bool {
	if len(c.simd.counts) == 0 {
		return false
	}
	a := narrowArgs{
		views:   unsafe.Pointer(unsafe.SliceData(views)),
		rounds:  unsafe.Pointer(unsafe.SliceData(c.simd.rounds)),
		numbers: unsafe.Pointer(unsafe.SliceData(c.simd.numbers)),
		counts:  unsafe.Pointer(unsafe.SliceData(c.simd.counts)),
		full:    unsafe.Pointer(unsafe.SliceData(c.full)),
		out:     unsafe.Pointer(unsafe.SliceData(p.request)),
		groups:  len(c.simd.counts),
	}
	narrowAVX512((*byte)(unsafe.Pointer(&a)))
	return true
}

// buildSIMD is build in assembly; false where that can't be.
func (p *program) buildSIMD(c *Compiled) bool {
	if !hasSIMD || len(c.segments) == 0 {
		return false
	}
	a := buildArgs{
		segments:    unsafe.Pointer(&c.segments[0]),
		request:     unsafe.Pointer(&p.request[0]),
		left:        unsafe.Pointer(unsafe.SliceData(c.pairLeft)),
		test:        unsafe.Pointer(unsafe.SliceData(c.pairTest)),
		steps:       unsafe.Pointer(unsafe.SliceData(p.steps)),
		lefts:       unsafe.Pointer(unsafe.SliceData(p.lefts)),
		tests:       unsafe.Pointer(unsafe.SliceData(p.tests)),
		segmentsEnd: uintptr(unsafe.Pointer(&c.segments[0])) + uintptr(len(c.segments))*unsafe.Sizeof(segment{}),
	}
	buildAVX512((*byte)(unsafe.Pointer(&a)))
	p.steps = p.steps[:a.stepsBytes/int(unsafe.Sizeof(programStep{}))]
	p.lefts, p.tests = p.lefts[:a.leftsBytes/8], p.tests[:a.leftsBytes/8]
	return true
}

// touch has the first lines of the rows at hand brought to the cache, while the
// request's program is made.
func (s *pass) touch(m *AdMasks) {
	if hasSIMD && len(m.masks) > 0 {
		touchAVX512(&m.masks[0], &s.rows[0], s.n)
	}
}

// runSIMD is transpose and run in assembly; false where that can't be.
func (s *pass) runSIMD(c *Compiled, p *program, m *AdMasks, cross []float32) bool {
	if !hasSIMD {
		return false
	}
	groups := passGroups((s.n + 7) / 8)
	start := c.start
	if c.float32 {
		start = pack32(float32(start))
	}
	for i := range s.sums {
		s.sums[i] = start
	}
	if len(p.steps) > 0 {
		s.passSIMD(c, p, m, cross, groups)
	}
	if c.float32 {
		for i, x := range s.sums {
			s.sums[i] = float64(math.Float32frombits(uint32(math.Float64bits(x))))
		}
	}
	return true
}

// pack32 puts a float32 where a float32 model's kernels have it: in the low half
// of a lane.
func pack32(x float32) float64 { return math.Float64frombits(uint64(math.Float32bits(x))) }

func (s *pass) passSIMD(c *Compiled, p *program, m *AdMasks, cross []float32, groups int) {
	leaves := c.leaves
	if c.float32 {
		leaves = c.simd.packed
	}
	for i := s.n; i < 8*groups; i++ {
		s.rows[i] = s.rows[0] // lanes that nobody looks at need a row all the same
	}
	if len(p.lefts) > 0 {
		s.turnSIMD(c, cross, (s.n+7)/8)
	}
	a := passArgs{
		steps:    unsafe.Pointer(&p.steps[0]),
		stepsEnd: uintptr(unsafe.Pointer(&p.steps[0])) + uintptr(len(p.steps))*unsafe.Sizeof(programStep{}),
		lefts:    unsafe.Pointer(unsafe.SliceData(p.lefts)),
		tests:    unsafe.Pointer(unsafe.SliceData(p.tests)),
		pairs:    unsafe.Pointer(unsafe.SliceData(s.pairs)),
		leaves:   unsafe.Pointer(&leaves[0]),
		sums:     unsafe.Pointer(&s.sums[0]),
		scratch:  unsafe.Pointer(&s.simd.scratch[0]),
		masks:    unsafe.Pointer(&m.masks[0]),
		rows:     unsafe.Pointer(&s.rows[0]),
		rowEnd:   uintptr(unsafe.Pointer(&m.masks[0])) + uintptr(c.stride)*8,
	}
	runPass(groups, c.float32, (*byte)(unsafe.Pointer(&a)))
}

// passGroups is the smallest kernel for so many groups of 8 candidates.
func passGroups(groups int) int {
	for _, g := range [...]int{1, 2, 4, 7} {
		if groups <= g {
			return g
		}
	}
	return 13
}

func runPass(groups int, f32 bool, a *byte) {
	switch {
	case groups == 1 && f32:
		pass1Float32AVX512(a)
	case groups == 1:
		pass1AVX512(a)
	case groups == 2 && f32:
		pass2Float32AVX512(a)
	case groups == 2:
		pass2AVX512(a)
	case groups == 4 && f32:
		pass4Float32AVX512(a)
	case groups == 4:
		pass4AVX512(a)
	case groups == 7 && f32:
		pass7Float32AVX512(a)
	case groups == 7:
		pass7AVX512(a)
	case f32:
		pass13Float32AVX512(a)
	default:
		pass13AVX512(a)
	}
}

// turnSIMD brings the pair side's views to rows of candidates.
func (s *pass) turnSIMD(c *Compiled, cross []float32, groups int) {
	width := c.split.Cross
	if s.simd.placed != s.n {
		s.simd.placed = s.n
		for i := range 8 * groups {
			s.simd.pairs[i] = min(i, s.n-1) * width * 4
		}
	}
	for i, column := range c.pairRows.eights {
		a := turnArgs{
			cross:   unsafe.Pointer(&cross[column]),
			rows:    unsafe.Pointer(&s.simd.pairs),
			out:     unsafe.Pointer(&s.pairs[8*i*lanes]),
			groups:  groups,
			columns: 1<<min(8, width-int(column)) - 1,
		}
		turnAVX512((*byte)(unsafe.Pointer(&a)))
	}
	// A view in its column's own row is that column's only one, so that no other
	// reads what it changes.
	for number, row := range c.pairRows.row {
		v := &c.views[CrossSide][number]
		switch v.kind {
		case viewRight:
		case viewLeft, viewZero:
			from := c.pairRows.column[number]
			mendAVX512(&s.pairs[int(from)*lanes], &s.pairs[int(row)*lanes], groups*32, v.missing())
		default:
			out := s.pairs[int(row)*lanes:][:s.n]
			for i := range out {
				out[i] = v.read(cross[i*width : (i+1)*width])
			}
		}
	}
}
