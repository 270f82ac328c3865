package feature

import (
	"bytes"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"

	"millrace/shards"
)

// maxText is how many bytes of a text are read: names longer than that are
// cut, so that no request makes hashing expensive.
const maxText = 256

// maxCount bounds the counts of a ratio: beyond it their sum with the prior
// would not be exact anyway, and infinity would not divide.
const maxCount = 1e15

type slotState uint8

// States of a slot, the worse the higher: a column is as bad as its worst input.
const (
	slotSet slotState = iota
	slotMissing
	slotStale
)

// slot holds one input's value: a number, or the digest of a text.
type slot struct {
	number float64
	digest uint64
	state  slotState
}

// step is a column as Encode runs it.
type step struct {
	first, second int32
	encoding      Encoding
	fallback      float32
	size          uint64
	low, high     float64 // Number, Log1p: clip; Ratio: Prior × Strength, Strength
	bounds        []float64
	digests       []uint64
}

// compile runs once the columns and inputs are known to be sound.
func (s *Schema) compile() {
	for i := range s.Inputs {
		r := &s.inputRange[s.Inputs[i].Group]
		if r[1] == 0 {
			r[0] = i
		}
		r[1] = i + 1
	}
	for i := range s.Columns {
		c := &s.Columns[i]
		r := &s.columnRange[c.Group]
		if r[1] == 0 {
			r[0] = i
		}
		r[1] = i + 1
		p := step{first: int32(c.From[0]), second: int32(c.From[len(c.From)-1]), encoding: c.Encoding, fallback: c.Default,
			size: uint64(c.Size), low: c.Min, high: c.Max, bounds: c.Bounds}
		if c.Encoding == Ratio {
			p.low, p.high = c.Prior*c.Strength, c.Strength
		}
		for _, v := range c.Values {
			p.digests = append(p.digests, xxhash.Sum64String(v))
		}
		s.plan = append(s.plan, p)
	}
}

// Counters say how often a column had no value and how often one too old,
// since the encoder was made. By the column's number; owned by the encoder's
// shard, which may read them and set them to zero.
type Counters struct{ Missing, Stale []uint64 }

// Encoder collects the inputs of a group and makes its columns. Owned by one
// shard; nothing is allocated after NewEncoder.
type Encoder struct {
	_        shards.Pad
	schema   *Schema
	slots    []slot
	maxAge   []time.Duration
	counters Counters
	folded   [maxText]byte
	_        shards.Pad
}

// NewEncoder makes an encoder with every input missing.
func (s *Schema) NewEncoder() *Encoder {
	e := &Encoder{schema: s, slots: shards.AlignedSlice[slot](len(s.Inputs)), maxAge: shards.AlignedSlice[time.Duration](len(s.Inputs)),
		counters: Counters{Missing: shards.AlignedSlice[uint64](len(s.Columns)), Stale: shards.AlignedSlice[uint64](len(s.Columns))}}
	for i := range s.Inputs {
		e.slots[i].state = slotMissing
		if e.maxAge[i] = s.Inputs[i].MaxAge; e.maxAge[i] == 0 {
			e.maxAge[i] = math.MaxInt64
		}
	}
	return e
}

// Counters are the encoder's own.
func (e *Encoder) Counters() Counters { return e.counters }

// Reset makes every input of the group missing: the next user, request, ad or
// pair starts from nothing.
func (e *Encoder) Reset(g Group) {
	r := e.schema.inputRange[g]
	slots := e.slots[r[0]:r[1]]
	for i := range slots {
		slots[i].state = slotMissing
	}
}

// SetNumber sets an input of type number. NaN is missing; ±Inf is clipped.
func (e *Encoder) SetNumber(in Input, v float64) {
	s := &e.slots[in]
	s.number, s.state = v+0, slotSet // -0 + 0 is 0: one zero, as the trainer has it
	if v != v {
		s.state = slotMissing
	}
}

// SetNumberAged is SetNumber of a value that was right age ago: older than its
// freshness class allows, it is stale and reads as the column's default.
func (e *Encoder) SetNumberAged(in Input, v float64, age time.Duration) {
	e.SetNumber(in, v)
	e.age(in, age)
}

// SetText sets an input of type text. Texts are compared without the case of
// ASCII letters; an empty one is missing.
func (e *Encoder) SetText(in Input, text []byte) {
	s := &e.slots[in]
	if len(text) == 0 {
		s.state = slotMissing
		return
	}
	n := copy(e.folded[:], text)
	fold(e.folded[:n])
	s.digest, s.state = xxhash.Sum64(e.folded[:n]), slotSet
}

// SetTextAged is SetText of a value that was right age ago.
func (e *Encoder) SetTextAged(in Input, text []byte, age time.Duration) {
	e.SetText(in, text)
	e.age(in, age)
}

// SetString is SetText for text held as a string.
func (e *Encoder) SetString(in Input, text string) {
	n := copy(e.folded[:], text)
	e.SetText(in, e.folded[:n])
}

// Missing says that the input is not known.
func (e *Encoder) Missing(in Input) { e.slots[in].state = slotMissing }

func (e *Encoder) age(in Input, age time.Duration) {
	if s := &e.slots[in]; age > e.maxAge[in] && s.state == slotSet {
		s.state = slotStale
	}
}

// Encode writes the columns of a group; row is Width(g) long.
func (e *Encoder) Encode(g Group, row []float32) {
	r := e.schema.columnRange[g]
	plan := e.schema.plan[r[0]:r[1]]
	row = row[:len(plan)]
	for i := range plan {
		p := &plan[i]
		first := &e.slots[p.first]
		state := first.state
		if p.second != p.first {
			state = max(state, e.slots[p.second].state)
		}
		if state == slotSet {
			if v, ok := p.value(first, &e.slots[p.second]); ok {
				row[i] = v
				continue
			}
		}
		row[i] = p.fallback
		if state == slotStale {
			e.counters.Stale[r[0]+i]++
		} else {
			e.counters.Missing[r[0]+i]++
		}
	}
}

// value is the column of inputs that are set; false: it reads as missing.
func (p *step) value(a, b *slot) (float32, bool) {
	switch p.encoding {
	case Number:
		return float32(min(max(a.number, p.low), p.high)), true
	case Log1p:
		return float32(ln(1 + min(max(a.number, p.low), p.high))), true
	case Bucket:
		n := 0
		for n < len(p.bounds) && p.bounds[n] <= a.number {
			n++
		}
		return float32(n), true
	case Category:
		if a.number >= 0 && a.number < float64(p.size) && a.number == math.Trunc(a.number) {
			return float32(a.number), true
		}
	case Enum:
		for i, d := range p.digests {
			if d == a.digest {
				return float32(i), true
			}
		}
	case Hash:
		return float32(a.digest % p.size), true
	case Ratio:
		successes := min(max(a.number, 0), maxCount)
		trials := max(min(max(b.number, 0), maxCount), successes)
		return float32((successes + p.low) / (trials + p.high)), true
	}
	return 0, false
}

// fold brings ASCII letters to lower case in place.
func fold(b []byte) {
	for i, c := range b {
		if c-'A' < 26 {
			b[i] = c + ('a' - 'A')
		}
	}
}

func foldString(s string) string {
	b := bytes.Clone([]byte(s))
	fold(b)
	return string(b)
}

// ln is the natural logarithm of x ≥ 1 by FreeBSD's method, of additions,
// multiplications and divisions alone and never fused (hence the conversions),
// so that the trainer's twin gives the same bits on every machine, which no
// two libraries' log promise.
func ln(x float64) float64 {
	f, exponent := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f *= 2
		exponent--
	}
	f--
	k := float64(exponent)
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	t1 := float64(s2 * (ln1 + float64(s4*(ln3+float64(s4*(ln5+float64(s4*ln7)))))))
	t2 := float64(s4 * (ln2 + float64(s4*(ln4+float64(s4*ln6)))))
	half := float64(float64(0.5*f) * f)
	tail := float64(s*(half+(t1+t2))) + float64(k*ln2Low)
	return float64(k*ln2High) - ((half - tail) - f)
}

const (
	ln2High = 6.93147180369123816490e-01
	ln2Low  = 1.90821492927058770002e-10
	ln1     = 6.666666666666735130e-01
	ln2     = 3.999999999940941908e-01
	ln3     = 2.857142874366239149e-01
	ln4     = 2.222219843214978396e-01
	ln5     = 1.818357216161805012e-01
	ln6     = 1.531383769920937332e-01
	ln7     = 1.479819860511658591e-01
)
