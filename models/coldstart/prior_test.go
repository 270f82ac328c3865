package coldstart

import (
	"math"
	"testing"
)

func TestRateMovesFromPriorToObserved(t *testing.T) {
	p := Prior{Mean: 0.01, Strength: 1000}
	if got := p.Rate(0, 0); got != p.Mean {
		t.Errorf("no data: %v, want the mean %v", got, p.Mean)
	}
	if got, want := p.Rate(30, 1000), 0.02; math.Abs(got-want) > 1e-12 {
		t.Errorf("at Strength trials: %v, want halfway %v", got, want)
	}
	if got := p.Rate(30_000, 1_000_000); math.Abs(got-0.03) > 1e-4 {
		t.Errorf("with much data: %v, want about 0.03", got)
	}
	last := 1.0
	for trials := uint64(0); trials < 1_000_000; trials += 999 {
		r := p.Rate(0, trials)
		if r > last || r < 0 {
			t.Fatalf("rate rose to %v at %d fruitless trials", r, trials)
		}
		last = r
	}
}

func TestRateStaysAProbability(t *testing.T) {
	for _, p := range []Prior{{0, 1}, {1, 1}, {0.5, 1e-9}, {0.001, 1e9}} {
		for _, n := range []uint64{0, 1, 1000, 1 << 60} {
			for _, s := range []uint64{0, n / 2, n, n + 5} {
				if r := p.Rate(s, n); !(r >= 0 && r <= 1) {
					t.Errorf("%+v.Rate(%d, %d) = %v", p, s, n, r)
				}
			}
		}
	}
}
