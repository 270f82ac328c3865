package calibration

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"millrace/codec/strict"
)

// Bounds on a calibration file.
const (
	maxBytes    = 4 << 20
	maxKnots    = 4096
	maxSegments = 1024
	maxSegment  = 1<<16 - 1
)

// Set is the calibration of the models of a bundle. Immutable.
type Set struct {
	CTR     Model // clicks an impression
	CVR     Model // conversions a click
	Context Model // clicks an impression, by the model without the user
}

// Model maps the raw scores of one forest.
type Model struct {
	// SegmentBy is the column whose value is the segment; "" where there is
	// only the global map.
	SegmentBy string

	global curve
	// place is by segment: 0 for the global map, i+1 for segments[i].
	place    []uint16
	segments []curve
}

// curve is isotonic where it has knots, else Platt's.
type curve struct {
	x, y []float64
	a, b float64
}

// Map is the probability that a raw score of the segment stands for: in
// [0, 1], never smaller for a larger score of the same segment. A segment
// without a map of its own, or < 0, has the global one.
func (m *Model) Map(raw float64, segment int) float64 {
	c := &m.global
	if uint(segment) < uint(len(m.place)) {
		if i := m.place[segment]; i > 0 {
			c = &m.segments[i-1]
		}
	}
	return c.at(raw)
}

// Segments are those with a map of their own, ascending.
func (m *Model) Segments() []int {
	var list []int
	for s, i := range m.place {
		if i > 0 {
			list = append(list, s)
		}
	}
	return list
}

func (c *curve) at(raw float64) float64 {
	// A score that is not a number stands for the least: it must not win.
	if len(c.x) == 0 {
		if raw != raw {
			return 0
		}
		return 1 / (1 + math.Exp(-(c.a*raw + c.b)))
	}
	// The last knot ≤ raw is at low-1.
	low, high := 0, len(c.x)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if c.x[mid] <= raw {
			low = mid + 1
		} else {
			high = mid
		}
	}
	switch {
	case low == 0:
		return c.y[0]
	case low == len(c.x):
		return c.y[low-1]
	}
	x0, x1, y0, y1 := c.x[low-1], c.x[low], c.y[low-1], c.y[low]
	// Rounding may carry the line past the knot, above what stands right of it.
	return min(y0+(y1-y0)*((raw-x0)/(x1-x0)), y1)
}

type modelFile struct {
	Kind      string
	SegmentBy string
	Global    curveFile
	Segments  map[string]curveFile
}

type curveFile struct {
	X, Y []float64
	A, B *float64
}

// Parse reads a calibration file and lists every fault of it. file names the
// text in faults and must end in ".json".
func Parse(file string, text []byte) (*Set, error) {
	if len(text) > maxBytes {
		return nil, strict.Faults{{File: file, Problem: fmt.Sprintf("is %d bytes long, more than %d", len(text), maxBytes), Remedy: "fit with fewer knots"}}
	}
	var f struct{ CTR, CVR, Context *modelFile }
	source, faults := strict.Decode(file, text, &f)
	p := parser{source: source, faults: faults}
	s := &Set{}
	if len(faults) == 0 {
		p.model("ctr", f.CTR, &s.CTR)
		p.model("cvr", f.CVR, &s.CVR)
		p.model("context", f.Context, &s.Context)
	}
	if len(p.faults) > 0 {
		p.faults.Sort()
		return nil, p.faults
	}
	return s, nil
}

type parser struct {
	source *strict.Source
	faults strict.Faults
}

func (p *parser) fault(path, problem, remedy string) {
	p.faults = append(p.faults, p.source.Fault(path, problem, remedy))
}

func (p *parser) model(path string, f *modelFile, m *Model) {
	if f == nil {
		p.fault(path, "is missing", "every model of a bundle is calibrated: ctr, cvr and context")
		return
	}
	kinds := []string{"isotonic", "platt"}
	if !slices.Contains(kinds, f.Kind) {
		p.fault(path+".kind", fmt.Sprintf("%q is neither isotonic nor platt", f.Kind), strict.Remedy(f.Kind, kinds))
		return
	}
	if len(f.Segments) > 0 && f.SegmentBy == "" {
		p.fault(path+".segment_by", "there are segments and no column that they are of", "name the column")
	}
	if len(f.Segments) > maxSegments {
		p.fault(path+".segments", fmt.Sprintf("%d segments, more than %d", len(f.Segments), maxSegments), "keep those with many rows")
		return
	}
	m.SegmentBy = f.SegmentBy
	m.global = p.curve(path+".global", f.Kind, f.Global)
	keys := make([]string, 0, len(f.Segments))
	for k := range f.Segments {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		at := path + ".segments." + k
		n, err := strconv.ParseUint(k, 10, 16)
		if err != nil || strconv.FormatUint(n, 10) != k {
			p.fault(at, fmt.Sprintf("%q is no segment", k), fmt.Sprintf("write a whole number from 0 to %d", maxSegment))
			continue
		}
		if int(n) >= len(m.place) {
			m.place = append(m.place, make([]uint16, int(n)+1-len(m.place))...)
		}
		m.segments = append(m.segments, p.curve(at, f.Kind, f.Segments[k]))
		m.place[n] = uint16(len(m.segments))
	}
}

func (p *parser) curve(path, kind string, f curveFile) (c curve) {
	if kind == "platt" {
		switch {
		case f.A == nil || f.B == nil || f.X != nil || f.Y != nil:
			p.fault(path, "Platt's map is a and b", "write both, and neither x nor y")
		case *f.A <= 0 || *f.A > 1e6 || math.Abs(*f.B) > 1e6:
			p.fault(path, fmt.Sprintf("a = %g, b = %g", *f.A, *f.B), "a stands in (0, 1e6], so that a better score means a higher rate; b in [-1e6, 1e6]")
		default:
			c.a, c.b = *f.A, *f.B
		}
		return c
	}
	if f.A != nil || f.B != nil || len(f.X) == 0 || len(f.X) != len(f.Y) || len(f.X) > maxKnots {
		p.fault(path, fmt.Sprintf("an isotonic map is 1 to %d knots: %d x and %d y", maxKnots, len(f.X), len(f.Y)), "write x and y, equally many, and neither a nor b")
		return c
	}
	for i, x := range f.X {
		if math.Abs(x) > 1e100 || i > 0 && x <= f.X[i-1] {
			p.fault(path, fmt.Sprintf("x[%d] = %g does not rise", i, x), "knots stand in rising order, each once, within ±1e100")
			return c
		}
		if y := f.Y[i]; y < 0 || y > 1 || i > 0 && y < f.Y[i-1] {
			p.fault(path, fmt.Sprintf("y[%d] = %g falls, or is no probability", i, y), "rates stand in [0, 1] and never fall")
			return c
		}
	}
	c.x, c.y = f.X, f.Y
	return c
}
