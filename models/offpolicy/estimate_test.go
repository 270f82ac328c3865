package offpolicy

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A world of contexts with three actions of known worth.
type world struct{ r *rand.Rand }

func (w world) rate(context, action int) float64 {
	return 0.02 + 0.03*float64((context+action)%3) + 0.01*float64(action)
}

func softmaxed(context int, heat float64) (p [3]float64) {
	sum := 0.0
	for a := range p {
		p[a] = math.Exp(heat * float64((context*2+a)%3))
		sum += p[a]
	}
	for a := range p {
		p[a] /= sum
	}
	return p
}

func draw(r *rand.Rand, p [3]float64) int {
	u := r.Float64()
	for a := range 2 {
		if u -= p[a]; u < 0 {
			return a
		}
	}
	return 2
}

// estimate logs n choices and estimates the target policy; model scales what
// the model believes of each action's worth (1: the truth), propensity what is
// logged of the probabilities.
func estimate(seed uint64, n int, model, propensity float64) (r Result, truth float64) {
	w := world{rand.New(rand.NewPCG(seed, 4))}
	var e Estimator
	for i := range n {
		context := i % 6
		logging, target := softmaxed(context, 0.7), softmaxed(context, -1.2)
		a := draw(w.r, logging)
		reward := 0.0
		if w.r.Float64() < w.rate(context, a) {
			reward = 1
		}
		expected := 0.0
		for b := range target {
			truth += target[b] * w.rate(context, b)
			expected += target[b] * model * w.rate(context, b)
		}
		e.Add(Row{Reward: reward, Logged: math.Pow(logging[a], propensity), Target: target[a], Model: model * w.rate(context, a), Expected: expected})
	}
	return e.Result(), truth / float64(n)
}

func TestEstimatesCoverTheTruth(t *testing.T) {
	const runs = 200
	var covered [3]int
	var bias [3]float64
	for seed := range uint64(runs) {
		r, truth := estimate(seed, 6000, 0.7, 1)
		for i, v := range []Value{r.IPS, r.SNIPS, r.DR} {
			if math.Abs(v.Mean-truth) < 1.96*v.Error {
				covered[i]++
			}
			bias[i] += (v.Mean - truth) / truth / runs
		}
		if math.Abs(r.MeanWeight-1) > 0.15 || r.Effective > float64(r.Rows) {
			t.Fatalf("%+v", r)
		}
	}
	for i, name := range []string{"IPS", "SNIPS", "DR"} {
		if covered[i] < 180 || math.Abs(bias[i]) > 0.02 {
			t.Errorf("%s: %d of %d intervals of 95 %% cover the truth, bias %.3f", name, covered[i], runs, bias[i])
		}
	}
}

func TestDoublyRobust(t *testing.T) {
	// The right model makes up for wrong propensities.
	r, truth := estimate(1, 60_000, 1, 0.5)
	if math.Abs(r.DR.Mean-truth) > 4*r.DR.Error {
		t.Errorf("right model, wrong propensities: DR %+v, truth %v", r.DR, truth)
	}
	if math.Abs(r.IPS.Mean-truth) < 4*r.IPS.Error {
		t.Error("IPS did not notice that the propensities are wrong: the test proves nothing")
	}
	// The right propensities make up for a wrong model.
	r, truth = estimate(2, 60_000, 3, 1)
	if math.Abs(r.DR.Mean-truth) > 4*r.DR.Error {
		t.Errorf("wrong model, right propensities: DR %+v, truth %v", r.DR, truth)
	}
}

func TestRowsWithoutAProbabilityAreSkipped(t *testing.T) {
	var e Estimator
	for _, p := range []float64{0, -1, 1.5, math.NaN()} {
		e.Add(Row{Reward: 1, Logged: p, Target: 1})
		e.Add(Row{Reward: 1, Logged: 0.5, Target: p})
	}
	if r := e.Result(); r.Skipped != 7 || r.Rows != 1 { // a target of 0 is one
		t.Errorf("%+v", r)
	}
}

func TestAddAllocs(t *testing.T) {
	var e Estimator
	if n := testing.AllocsPerRun(1000, func() { e.Add(Row{Reward: 1, Logged: 0.5, Target: 0.2}); _ = e.Result() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
