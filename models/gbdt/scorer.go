package gbdt

import "fmt"

// Kernel is a way to score candidates. All give the same bits.
type Kernel uint8

// Kernels.
const (
	// KernelAuto chooses by the thresholds below.
	KernelAuto Kernel = iota
	// KernelFlat walks trees of 8-byte nodes, four rows side by side.
	KernelFlat
	// KernelTwin is the factorised kernel in Go.
	KernelTwin
	// KernelSIMD is the factorised kernel in assembly, KernelTwin where the
	// processor or the build has none.
	KernelSIMD
)

func (k Kernel) String() string {
	return [...]string{"auto", "flat", "twin", "simd"}[k]
}

// Thresholds of the choice, measured (docs/performance.md). A factorised kernel
// pays once a request, for each node on request columns, and is cheaper with
// each candidate: so many nodes a tree and candidate are the break-even with the
// flat walk. The twin also pays for nodes of pairs that the request leaves open;
// beyond so many a tree the flat walk wins whatever the number of candidates.
const (
	simdRequestNodes = 100
	twinRequestNodes = 8
	twinPairNodes    = 14
)

// Scorer is one shard's scratch for one model: Begin a request, then Score
// candidates as often as needed. It allocates nothing after NewScorer. Not for
// concurrent use.
type Scorer struct {
	model     *Compiled
	kernel    Kernel
	request   []float32 // views
	begun     bool      // the program is the request's
	flatBegun bool      // the flat rows begin with the request's views
	program   program
	pass      pass
	flat      [flatRows][]float32
}

// NewScorer makes the scratch, with room for any request.
func (c *Compiled) NewScorer() *Scorer {
	s := &Scorer{
		model:   c,
		request: alignedFloats[float32](max(simdViews, len(c.views[RequestSide])))[:len(c.views[RequestSide])],
		program: newProgram(c),
	}
	s.pass.init(c)
	for i := range s.flat {
		s.flat[i] = make([]float32, c.flatWidth())
	}
	return s
}

// Use makes the scorer run one kernel instead of choosing: for measurements and
// tests.
func (s *Scorer) Use(k Kernel) { s.kernel = k }

// Begin takes a request's columns: user, then context. The slice is not kept.
func (s *Scorer) Begin(request []float32) {
	if len(request) != s.model.split.Request {
		panic(fmt.Sprintf("gbdt: a request of %d columns, the model's split has %d", len(request), s.model.split.Request))
	}
	views := s.model.views[RequestSide]
	for i := range views {
		v := &views[i]
		x := request[v.column]
		if v.kind > viewZero {
			x = v.read(request)
		} else if x != x {
			x = v.missing()
		}
		s.request[i] = x
	}
	s.begun, s.flatBegun = false, false
}

// Score sets out[i] to the raw score of ads[i], numbers of m's ads, whose pair
// columns are row i of cross: what Forest.Raw gives for the row [request | ad |
// cross], bit for bit.
func (s *Scorer) Score(m *AdMasks, ads []uint32, cross []float32, out []float64) {
	c := s.model
	if m.model != c || len(cross) < len(ads)*c.split.Cross || len(out) < len(ads) {
		s.refuse(m, len(ads), len(cross), len(out))
	}
	if !s.factorised(len(ads)) {
		s.scoreFlat(m, ads, cross, out)
		return
	}
	for len(ads) > 0 {
		n := min(len(ads), lanes)
		s.place(m, ads[:n])
		if !s.begun {
			s.pass.touch(m)
			s.prepare()
		}
		s.scorePass(m, cross, out)
		ads, cross, out = ads[n:], cross[n*c.split.Cross:], out[n:]
	}
}

// refuse panics for a caller's mistake; kept out of Score.
func (s *Scorer) refuse(m *AdMasks, ads, cross, out int) {
	if m.model != s.model {
		panic("gbdt: ad masks of another model: build them with the model that scores")
	}
	panic(fmt.Sprintf("gbdt: %d candidates with %d pair columns each need more than %d columns and %d results", ads, s.model.split.Cross, cross, out))
}

// factorised is the choice of the kernel for n candidates.
func (s *Scorer) factorised(n int) bool {
	c := s.model
	switch s.kernel {
	case KernelFlat:
		return false
	case KernelTwin, KernelSIMD:
		return true
	}
	if hasSIMD {
		return n*c.trees*simdRequestNodes >= len(c.request)
	}
	if n*c.trees*twinRequestNodes < len(c.request) {
		return false
	}
	s.prepare()
	return len(s.program.lefts) <= twinPairNodes*c.trees
}

// prepare makes the request's program unless it stands.
func (s *Scorer) prepare() {
	if s.begun {
		return
	}
	s.begun = true
	if s.kernel == KernelTwin || !s.program.narrowSIMD(s.model, s.request) {
		s.program.narrow(s.model, s.request)
	}
	if s.kernel == KernelTwin || !s.program.buildSIMD(s.model) {
		s.program.build(s.model)
	}
}

// Bounds are the least and the greatest raw score that a candidate of the
// request can have, whatever its columns.
func (s *Scorer) Bounds() (lo, hi float64) {
	s.prepare()
	return s.program.bounds(s.model)
}

// place notes the rows of a pass's ads.
func (s *Scorer) place(m *AdMasks, ads []uint32) {
	s.pass.n = len(ads)
	for i, ad := range ads {
		if int(ad) >= m.n {
			s.refuseAd(m, ad)
		}
		s.pass.rows[i] = uint64(ad) * uint64(s.model.stride) * 8
	}
}

func (s *Scorer) scorePass(m *AdMasks, cross []float32, out []float64) {
	c, p := s.model, &s.pass
	if s.kernel == KernelTwin || !p.runSIMD(c, &s.program, m, cross) {
		if len(s.program.lefts) > 0 {
			p.transpose(c, cross)
		}
		p.run(c, &s.program, m)
	}
	sums := p.sums[:p.n]
	if c.divisor != 0 {
		for i := range sums {
			sums[i] /= c.divisor
		}
	}
	copy(out, sums)
}

func (s *Scorer) refuseAd(m *AdMasks, ad uint32) {
	panic(fmt.Sprintf("gbdt: ad %d of %d", ad, m.n))
}

// scoreFlat walks four candidates side by side. Of a last one alone it walks
// four trees side by side.
func (s *Scorer) scoreFlat(m *AdMasks, ads []uint32, cross []float32, out []float64) {
	c := s.model
	if !s.flatBegun {
		s.flatBegun = true
		for r := range s.flat {
			copy(s.flat[r][1:], s.request)
		}
	}
	for len(ads) > 0 {
		n := min(len(ads), flatRows)
		for r := range n {
			s.fillFlat(r, m, ads[r], cross[r*c.split.Cross:])
		}
		switch {
		case n == 1 && c.float32:
			out[0] = float64(walkTrees(&c.flat, s.flat[0], float32(c.start)))
		case n == 1:
			out[0] = walkTrees(&c.flat, s.flat[0], c.start)
		case c.float32:
			start := float32(c.start)
			sums := [flatRows]float32{start, start, start, start}
			walkRows(&c.flat, &s.flat, &sums)
			for r, x := range sums[:n] {
				out[r] = float64(x)
			}
		default:
			sums := [flatRows]float64{c.start, c.start, c.start, c.start}
			walkRows(&c.flat, &s.flat, &sums) // rows from n on are an earlier candidate's
			copy(out, sums[:n])
		}
		if c.divisor != 0 {
			for r := range n {
				out[r] /= c.divisor
			}
		}
		ads, cross, out = ads[n:], cross[n*c.split.Cross:], out[n:]
	}
}

// fillFlat completes flat row r with a candidate's ad and pair views.
func (s *Scorer) fillFlat(r int, m *AdMasks, ad uint32, cross []float32) {
	c := s.model
	if int(ad) >= m.n {
		s.refuseAd(m, ad)
	}
	width := len(c.views[AdSide])
	row := s.flat[r][1+len(s.request):]
	copy(row, m.views[int(ad)*width:][:width])
	row = row[width:]
	for v := range c.views[CrossSide] {
		row[v] = c.views[CrossSide][v].read(cross)
	}
}

// SIMD names what the assembly kernel uses on this processor and in this build:
// "none" where the twin runs instead.
func SIMD() string {
	if hasSIMD {
		return "AVX-512"
	}
	return "none"
}
