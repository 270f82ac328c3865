package coldstart

import (
	"math"
	"testing"
)

// moments of n draws.
func momentsOf(n int, draw func() float64) (mean, variance float64) {
	var sum, squares float64
	for range n {
		x := draw()
		sum += x
		squares += x * x
	}
	mean = sum / float64(n)
	return mean, squares/float64(n) - mean*mean
}

func TestRandomIsTheSameEverywhere(t *testing.T) {
	// splitmix64 from its authors' reference program, seed 1234567.
	r := NewRandom(1234567)
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		if got := r.Uint64(); got != want {
			t.Errorf("number %d: %d, want %d", i, got, want)
		}
	}
}

func TestDistributions(t *testing.T) {
	const n = 200_000
	cases := []struct {
		name           string
		draw           func(r *Random) float64
		mean, variance float64
	}{
		{"uniform", (*Random).Float64, 0.5, 1.0 / 12},
		{"normal", (*Random).Normal, 0, 1},
		{"gamma 0.1", func(r *Random) float64 { return r.Gamma(0.1) }, 0.1, 0.1},
		{"gamma 1", func(r *Random) float64 { return r.Gamma(1) }, 1, 1},
		{"gamma 30", func(r *Random) float64 { return r.Gamma(30) }, 30, 30},
		{"beta 0.2 0.4", func(r *Random) float64 { return r.Beta(0.2, 0.4) }, 1.0 / 3, (1.0 / 3 * 2 / 3) / 1.6},
		{"beta 2 98", func(r *Random) float64 { return r.Beta(2, 98) }, 0.02, 0.02 * 0.98 / 101},
		{"beta 500 1500", func(r *Random) float64 { return r.Beta(500, 1500) }, 0.25, 0.25 * 0.75 / 2001},
	}
	for _, c := range cases {
		r := NewRandom(99)
		mean, variance := momentsOf(n, func() float64 { return c.draw(&r) })
		if off := math.Abs(mean-c.mean) / math.Sqrt(c.variance/n); off > 4 {
			t.Errorf("%s: mean %v, want %v: %.1f standard errors", c.name, mean, c.mean, off)
		}
		if math.Abs(variance-c.variance) > 0.06*c.variance {
			t.Errorf("%s: variance %v, want %v", c.name, variance, c.variance)
		}
	}
}

// The share of draws below a point is the distribution function there, known in
// closed form for these shapes.
func TestBetaHasItsShape(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics take seconds, under the race detector minutes")
	}
	const n = 100_000
	for _, c := range []struct {
		a, b float64
		cdf  func(x float64) float64
	}{
		{1, 1, func(x float64) float64 { return x }},
		{3, 1, func(x float64) float64 { return x * x * x }},
		{1, 50, func(x float64) float64 { return 1 - math.Pow(1-x, 50) }},
		{0.5, 0.5, func(x float64) float64 { return 2 / math.Pi * math.Asin(math.Sqrt(x)) }},
	} {
		r := NewRandom(5)
		var below [9]int
		for range n {
			x := r.Beta(c.a, c.b)
			if !(x >= 0 && x <= 1) {
				t.Fatalf("beta(%v, %v) gave %v", c.a, c.b, x)
			}
			for i := range below {
				if x <= float64(i+1)/10 {
					below[i]++
				}
			}
		}
		for i, k := range below {
			want := c.cdf(float64(i+1) / 10)
			if off := math.Abs(float64(k)/n-want) / math.Sqrt(want*(1-want)/n+1e-9); off > 4.5 {
				t.Errorf("beta(%v, %v) ≤ %v: %v of draws, want %v (%.1f standard errors)", c.a, c.b, float64(i+1)/10, float64(k)/n, want, off)
			}
		}
	}
}

func TestBetaTakesExtremeShapes(t *testing.T) {
	r := NewRandom(1)
	for _, a := range []float64{1e-9, 1e-3, 1, 1e6, 1e12} {
		for _, b := range []float64{1e-9, 1e-3, 1, 1e6, 1e12} {
			for range 200 {
				if x := r.Beta(a, b); !(x >= 0 && x <= 1) {
					t.Fatalf("beta(%v, %v) gave %v", a, b, x)
				}
			}
		}
	}
}
