package coldstart

import "math"

// Random is a deterministic generator (splitmix64): eight bytes of state that a
// shard owns, the same numbers from the same seed on every machine. Not for
// secrets.
type Random struct{ state uint64 }

// NewRandom starts a generator. Neighbouring seeds give unrelated numbers.
func NewRandom(seed uint64) Random { return Random{state: seed} }

// Uint64 is uniform over all values.
func (r *Random) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	x := r.state
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Float64 is uniform in [0, 1).
func (r *Random) Float64() float64 { return float64(r.Uint64()>>11) * 0x1p-53 }

// positive is uniform in (0, 1): for logarithms.
func (r *Random) positive() float64 { return (float64(r.Uint64()>>11) + 0.5) * 0x1p-53 }

// Normal is of mean 0 and variance 1 (Marsaglia's polar method; its second
// value is not kept, so that the state stays one word).
func (r *Random) Normal() float64 {
	for {
		u, v := 2*r.Float64()-1, 2*r.Float64()-1
		if s := u*u + v*v; s > 0 && s < 1 {
			return u * math.Sqrt(-2*math.Log(s)/s)
		}
	}
}

// Gamma is of the finite shape a > 0 and scale 1 (Marsaglia and Tsang, 2000).
func (r *Random) Gamma(a float64) float64 {
	boost := 1.0
	if a < 1 {
		boost = math.Pow(r.positive(), 1/a)
		a++
	}
	d := a - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.Normal()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		// The first test is a squeeze of the second: it spares most logarithms.
		u := r.positive()
		if u < 1-0.0331*(x*x)*(x*x) || math.Log(u) < x*x/2+d-d*v+d*math.Log(v) {
			return boost * d * v
		}
	}
}

// Beta is of the finite shapes a, b > 0.
func (r *Random) Beta(a, b float64) float64 {
	x := r.Gamma(a)
	y := r.Gamma(b)
	if x+y == 0 { // both underflowed: all the weight is at the ends
		if r.Float64()*(a+b) < a {
			return 1
		}
		return 0
	}
	return x / (x + y)
}
