package rollout

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestStudentTail(t *testing.T) {
	// From printed tables of Student's distribution, one-sided.
	for _, c := range []struct{ t, freedom, want float64 }{
		{0, 5, 0.5}, {6.314, 1, 0.05}, {2.131, 15, 0.025}, {2.602, 15, 0.01}, {3.733, 15, 0.001}, {1.697, 30, 0.05}, {1.645, 1e6, 0.05}, {3.090, 1e6, 0.001},
	} {
		if got := studentTail(c.t, c.freedom); math.Abs(got-c.want) > 0.0015*math.Max(c.want, 0.01)+5e-5 {
			t.Errorf("P(T > %v), %v degrees: %v, want %v", c.t, c.freedom, got, c.want)
		}
	}
}

// everExceeds is how many of runs cross the threshold at any of the looks.
func everExceeds(runs int, run func(r *rand.Rand) bool) int {
	n := 0
	for seed := range runs {
		if run(rand.New(rand.NewPCG(uint64(seed), 7))) {
			n++
		}
	}
	return n
}

// allowed is the most that runs with probability at most alpha show, but for
// one time in thousands.
func allowed(runs int, alpha float64) int {
	mean := float64(runs) * alpha
	return int(mean + 3.5*math.Sqrt(mean) + 1)
}

func TestEvidenceOfRateHasBoundedFalseAlarms(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics take seconds, under the race detector minutes")
	}
	const runs, alpha, impressions = 600, 0.05, 20_000
	threshold := -math.Log(alpha)
	for _, side := range []struct {
		name     string
		evidence func(clicks, predicted float64) float64
	}{{"more", evidenceMore}, {"fewer", evidenceFewer}} {
		n := everExceeds(runs, func(r *rand.Rand) bool {
			clicks, predicted := 0.0, 0.0
			for i := range impressions {
				p := 0.02 * r.ExpFloat64() // exactly calibrated: the edge of both hypotheses
				p = min(p, 0.9)
				predicted += p
				if r.Float64() < p {
					clicks++
				}
				if i%50 == 0 && side.evidence(clicks, predicted) > threshold {
					return true
				}
			}
			return false
		})
		t.Logf("%s: %d of %d runs raised a false alarm, %v may", side.name, n, runs, alpha*runs)
		if most := allowed(runs, alpha); n > most {
			t.Errorf("%s: %d of %d runs raised a false alarm, want at most %d", side.name, n, runs, most)
		}
	}
}

func TestEvidenceOfLossHasBoundedFalseAlarms(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics take seconds, under the race detector minutes")
	}
	const runs, alpha, impressions = 400, 0.05, 10_000
	threshold := -math.Log(alpha)
	n := everExceeds(runs, func(r *rand.Rand) bool {
		sum, squares := 0.0, 0.0
		for i := range impressions {
			// Two models that err alike, in opposite directions.
			q := 0.001 + 0.05*r.Float64()
			e := 1 + 0.4*r.Float64()
			a, b := q*e, q/e
			if r.IntN(2) == 0 {
				a, b = b, a
			}
			// The mean loss of a prediction is −q ln p − (1−q) ln(1−p): take away
			// what the two differ by, to stand on the edge of the hypothesis.
			mean := func(p float64) float64 { return -q*math.Log(p) - (1-q)*math.Log1p(-p) }
			x := -math.Log1p(-a) + math.Log1p(-b)
			if r.Float64() < q {
				x = -math.Log(a) + math.Log(b)
			}
			x -= mean(a) - mean(b)
			sum, squares = sum+x, squares+x*x
			if i%50 == 0 && evidenceWorse(sum, squares, differenceMax) > threshold {
				return true
			}
		}
		return false
	})
	t.Logf("%d of %d runs raised a false alarm, %v may", n, runs, alpha*runs)
	if most := allowed(runs, alpha); n > most {
		t.Errorf("%d of %d runs raised a false alarm, want at most %d", n, runs, most)
	}
}

func TestRevenueTestHasBoundedFalseAlarms(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics take seconds, under the race detector minutes")
	}
	const runs, alpha = 1500, 0.05
	n := everExceeds(runs, func(r *rand.Rand) bool {
		var c [arms]Counts
		// Users differ a hundredfold in what they bring, and keep their arm.
		for range 2000 {
			arm, g := Stable, r.IntN(groups)
			if r.IntN(10) == 0 {
				arm = Challenger
			}
			requests := 1 + r.IntN(50)
			worth := math.Exp(2 * r.NormFloat64())
			c[arm].Requests += uint64(requests)
			c[arm].GroupRequests[g] += uint64(requests)
			c[arm].GroupRevenue[g] += int64(1000 * worth * float64(requests))
		}
		return chanceLess(&c[Stable], &c[Challenger], 1e-9) < alpha
	})
	t.Logf("%d of %d runs raised a false alarm, %v should", n, runs, alpha*runs)
	// A t-test on skewed totals is approximate: a quarter more than nominal.
	if most := allowed(runs, 1.25*alpha); n > most {
		t.Errorf("%d of %d runs raised a false alarm, want at most %d", n, runs, most)
	}
	if n == 0 {
		t.Error("it never rejects: the test has no power")
	}
}

func TestLogMean(t *testing.T) {
	if got := logMean([]float64{1000, 1000}); math.Abs(got-1000) > 1e-9 {
		t.Errorf("%v, want 1000: it overflowed", got)
	}
	if got, want := logMean([]float64{0, math.Log(3)}), math.Log(2); math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, want ln 2 = %v", got, want)
	}
}
