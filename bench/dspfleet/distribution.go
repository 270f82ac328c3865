package dspfleet

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Distribution is what a number is drawn from, immutable once made. The zero
// value is always 0.
type Distribution struct {
	text   string
	shape  shape
	a, b   float64
	share  float64 // bimodal: of b
	values []float64
}

type shape uint8

const (
	constant  shape = iota // a
	uniform                // a to b
	lognormal              // median a, sigma b
	bimodal                // a, or b for a share
	sampled                // one of values
)

// String is the distribution as ParseLatency and ParsePrice read it.
func (d Distribution) String() string {
	if d.text == "" {
		return "0"
	}
	return d.text
}

// At is the value at a quantile, 0 ≤ u < 1.
func (d *Distribution) At(u float64) float64 {
	switch d.shape {
	case uniform:
		return d.a + u*(d.b-d.a)
	case lognormal:
		return d.a * math.Exp(d.b*math.Sqrt2*math.Erfinv(2*min(max(u, 1e-12), 1-1e-12)-1))
	case bimodal:
		if u >= 1-d.share {
			return d.b
		}
	case sampled:
		return d.values[int(u*float64(len(d.values)))]
	}
	return d.a
}

// ParseLatency reads a distribution of times: "5ms", "uniform:2ms,9ms",
// "lognormal:20ms,0.5" (median, sigma), "bimodal:5ms,200ms,0.1" (the second
// for a tenth), "file:NAME" (a time a line, or a number of milliseconds).
// Values are nanoseconds.
func ParseLatency(text string) (Distribution, error) {
	return parseDistribution(text, func(s string) (float64, error) {
		if ms, err := strconv.ParseFloat(s, 64); err == nil {
			return ms * 1e6, nil
		}
		d, err := time.ParseDuration(s)
		return float64(d), err
	}, float64(time.Minute), "a time such as 5ms")
}

// ParsePrice reads a distribution of prices per thousand: "2.5",
// "uniform:1,4", "lognormal:2.5,0.4", "bimodal:1,9,0.05", "file:NAME".
func ParsePrice(text string) (Distribution, error) {
	return parseDistribution(text, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }, 1e6, "a price such as 2.5")
}

// parameters is how many of them a shape has; those that are not of the unit
// come last.
var parameters = map[string]struct {
	shape        shape
	units, plain int
}{
	"constant": {constant, 1, 0}, "uniform": {uniform, 2, 0}, "lognormal": {lognormal, 1, 1}, "bimodal": {bimodal, 2, 1},
}

func parseDistribution(text string, unit func(string) (float64, error), most float64, want string) (Distribution, error) {
	d := Distribution{text: text}
	fault := func(format string, args ...any) (Distribution, error) {
		return Distribution{}, fmt.Errorf("%q: %s; write %s, uniform:A,B, lognormal:MEDIAN,SIGMA, bimodal:A,B,SHARE or file:NAME", text, fmt.Sprintf(format, args...), want)
	}
	name, rest, named := strings.Cut(text, ":")
	if !named {
		name, rest = "constant", text
	}
	if name == "file" {
		values, err := readValues(rest, unit, most)
		if err != nil {
			return fault("%v", err)
		}
		d.shape, d.values = sampled, values
		return d, nil
	}
	p, ok := parameters[name]
	if !ok {
		return fault("there is no distribution %q", name)
	}
	d.shape = p.shape
	words := strings.Split(rest, ",")
	if len(words) != p.units+p.plain {
		return fault("%s takes %d numbers", name, p.units+p.plain)
	}
	var n [3]float64
	for i, w := range words {
		read := unit
		if i >= p.units {
			read = func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }
		}
		v, err := read(strings.TrimSpace(w))
		if err != nil || !(v >= 0 && v <= most) {
			return fault("%q is no number in range", w)
		}
		n[i] = v
	}
	d.a, d.b, d.share = n[0], n[1], n[2]
	switch {
	case d.shape == bimodal && d.share > 1:
		return fault("the share %v is above 1", d.share)
	case d.shape == uniform && d.b < d.a:
		return fault("it ends before it begins")
	case d.shape == lognormal && d.b > 5:
		return fault("sigma %v is above 5", d.b)
	}
	return d, nil
}

// valuesMax bounds a file of values.
const valuesMax = 1 << 20

func readValues(name string, unit func(string) (float64, error), most float64) ([]float64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var values []float64
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		word := strings.TrimSpace(s.Text())
		if word == "" || word[0] == '#' {
			continue
		}
		v, err := unit(word)
		if err != nil || !(v >= 0 && v <= most) {
			return nil, fmt.Errorf("line %d: %q is no number in range", n, word)
		}
		if values = append(values, v); len(values) > valuesMax {
			return nil, fmt.Errorf("more than %d values", valuesMax)
		}
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("no value in it")
	}
	// Sorted, so that a quantile is a quantile.
	slices.Sort(values)
	return values, nil
}

// draws are the random numbers of one request to one bidder: each by its
// purpose, so that one setting's draws do not move another's.
type draws uint64

func drawsOf(seed uint64, dsp int, id uint64) draws {
	return draws(mix(mix(seed^0x9e3779b97f4a7c15*uint64(dsp+1)) ^ id))
}

// Purposes of draws.
const (
	drawLatency = iota
	drawFault   // which fault
	drawBid     = 1 << 8
	drawPrice   = 2 << 8
	drawSize    = 3 << 8
	drawDeal    = 4 << 8
)

// at is a number in [0, 1) for a purpose.
func (d draws) at(purpose int) float64 { return float64(d.bits(purpose)>>11) / (1 << 53) }

func (d draws) bits(purpose int) uint64 { return mix(uint64(d) + uint64(purpose+1)*0xd1342543de82ef95) }

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
