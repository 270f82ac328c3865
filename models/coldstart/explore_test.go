package coldstart

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/models/offpolicy"
)

// generous explores without a bound on what it gives up.
func generous(m Method) Config {
	return Config{Method: m, Epsilon: 0.1, NewBelow: math.MaxUint64, Draws: 16, RequestShare: 1, TotalShare: 1, Burst: math.MaxInt64 / 8}
}

// candidatesOf are n random ones, some old, some certain.
func candidatesOf(r *rand.Rand, n int) []Candidate {
	list := make([]Candidate, n)
	for i := range list {
		list[i] = Candidate{Value: 1e9 * r.ExpFloat64(), Rate: Prior{0.05 * r.Float64(), 1000 * r.Float64()}, Trials: uint64(r.IntN(2000))}
		if r.IntN(4) == 0 {
			list[i] = Candidate{Value: 1e7 * r.ExpFloat64(), Rate: Prior{Mean: 1}, Trials: uint64(r.IntN(2000))}
		}
	}
	return list
}

// Whatever comes, no more is given up than was promised, of a request and of
// all of them, and old ads win only by being the best.
func TestExplorationIsBounded(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 5))
		cfg := Config{
			Method: Method(r.IntN(3)), Epsilon: r.Float64(), NewBelow: uint64(r.IntN(2500)), Draws: 1 + r.IntN(32),
			RequestShare: r.Float64(), TotalShare: 0.05 * r.Float64(), Floor: unit.Nanos(r.IntN(100_000)), Burst: unit.Nanos(r.IntN(100_000_000)),
		}
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		x := NewExplorer(cfg, seed, 0)
		now := unit.MonoTime(0)
		var given unit.Nanos
		earned := 0.0
		for range 3000 {
			now = now.Add(time.Duration(r.IntN(int(10 * time.Millisecond))))
			list := candidatesOf(r, 1+r.IntN(12))
			most, best := 0.0, 0
			for i := range list {
				if v := list[i].expected(); v > most {
					most, best = v, i
				}
			}
			c := x.Choose(list, now)
			chosen := &list[c.Index]
			if !(c.Propensity > 0 && c.Propensity <= 1) || !c.Explored && (c.Propensity != 1 || c.Index != best || c.GivenUp != 0) {
				t.Fatalf("seed %d: %+v, the best is %d", seed, c, best)
			}
			if c.Index != best && (chosen.Trials >= cfg.NewBelow || chosen.expected() < (1-cfg.RequestShare)*most*(1-1e-12) || cfg.Method == Off) {
				t.Fatalf("seed %d: %+v chose %+v, the best is worth %v", seed, c, chosen, most)
			}
			if want := most - chosen.expected(); math.Abs(float64(c.GivenUp)-want) > 1 {
				t.Fatalf("seed %d: gave up %d, want %v", seed, c.GivenUp, want)
			}
			given += c.GivenUp
			earned += most
			bound := cfg.TotalShare*earned + float64(cfg.Floor)*now.Sub(0).Seconds()
			if float64(given) > bound*(1+1e-9) {
				t.Fatalf("seed %d: %d given up, at most %v may be", seed, given, bound)
			}
			if x.balance < 0 || x.balance > cfg.Burst {
				t.Fatalf("seed %d: balance %d, burst %d", seed, x.balance, cfg.Burst)
			}
		}
		if given != x.GivenUp {
			t.Errorf("seed %d: %d given up, the explorer counted %d", seed, given, x.GivenUp)
		}
	}
}

// Requests that expect nothing, or more than money can be, are not explored.
func TestExplorationTakesAnything(t *testing.T) {
	x := NewExplorer(generous(Thompson), 1, 0)
	for _, v := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, 1e9} {
		for _, mean := range []float64{0, 1, 0.5, math.NaN()} {
			for _, strength := range []float64{0, 1e-300, 1e300, math.NaN(), math.Inf(1)} {
				list := []Candidate{{v, Prior{mean, strength}, 0}, {1e9, Prior{0.01, 100}, 0}, {v, Prior{1 - mean, strength}, 5}}
				if c := x.Choose(list, 0); c.Index < 0 || c.Index > 2 || !(c.Propensity > 0 && c.Propensity <= 1) {
					t.Errorf("value %v, mean %v, strength %v: %+v", v, mean, strength, c)
				}
			}
		}
	}
}

// What is logged as a probability is one: over many choices of one situation,
// each candidate is chosen as often as its propensities say. And Thompson's are
// the chances of being the best.
func TestPropensitiesAreExact(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics take seconds, under the race detector minutes")
	}
	list := []Candidate{{1, Prior{0.02, 1e5}, 1e5}, {1, Prior{0.018, 100}, 100}, {1, Prior{0.012, 50}, 50}, {1.5, Prior{0.01, 300}, 300}}
	for i := range list {
		list[i].Value *= 1e9
	}
	const n = 100_000
	for _, m := range []Method{EpsilonGreedy, Thompson} {
		cfg := generous(m)
		x := NewExplorer(cfg, 42, 0)
		var chosen [4]int
		var inverse [4]float64 // Σ 1/propensity over choices of i: n where it had a chance each time
		var greedy [4]float64
		for range n {
			c := x.Choose(list, 0)
			chosen[c.Index]++
			inverse[c.Index] += 1 / c.Propensity
			greedy[c.Index] = c.Propensity
		}
		for i := range list {
			// Its variance is n(1/p − 1), for a p that varies little.
			if off := math.Abs(inverse[i]/n-1) / math.Sqrt(1/greedy[i]/n); off > 5 {
				t.Errorf("%v: candidate %d: Σ 1/propensity is %.3f n, want n (%.1f standard errors)", m, i, inverse[i]/n, off)
			}
		}
		if m == EpsilonGreedy {
			e := AdaptiveEpsilon(cfg.Epsilon, 50)
			if want := 1 - e + e/4; math.Abs(greedy[0]-want) > 1e-12 || math.Abs(greedy[2]-e/4) > 1e-12 {
				t.Errorf("propensities %v with ε = %v", greedy, e)
			}
			continue
		}
		r := NewRandom(7)
		var wins [4]float64
		for range n {
			best, most := 0, 0.0
			for i := range list {
				a, b := list[i].Rate.shapes()
				if v := list[i].Value * r.Beta(a, b); v > most {
					best, most = i, v
				}
			}
			wins[best] += 1.0 / n
		}
		e := AdaptiveEpsilon(cfg.Epsilon, 50)
		for i := range list {
			want := (1-e)*wins[i] + e/4
			if got := float64(chosen[i]) / n; math.Abs(got-want) > 5*math.Sqrt(want/n) {
				t.Errorf("candidate %d wins %.4f of the time, Thompson sampling says %.4f", i, got, want)
			}
		}
	}
}

func TestAdaptiveEpsilon(t *testing.T) {
	if got := AdaptiveEpsilon(0.3, 0); got != 0.3 {
		t.Errorf("ε of an ad never shown: %v", got)
	}
	if got, want := AdaptiveEpsilon(0.3, 1000), 0.3/(1+math.Log(1001)); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestExplorerIsDeterministic(t *testing.T) {
	run := func() (all []Choice) {
		r := rand.New(rand.NewPCG(1, 1))
		x := NewExplorer(Default(), 9, 0)
		for i := range 2000 {
			all = append(all, x.Choose(candidatesOf(r, 6), unit.MonoTime(i)*unit.MonoTime(time.Millisecond)))
		}
		return all
	}
	a, b := run(), run()
	others := 0
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("choice %d: %+v, then %+v", i, a[i], b[i])
		}
		if a[i].Explored {
			others++
		}
	}
	if others == 0 {
		t.Error("nothing was explored: the test proves little")
	}
}

// learn shows a new ad of a true rate beside one that is well known, until it
// has n impressions; it returns what is then believed, and the requests it took.
func learn(seed uint64, cfg Config, rate, known float64, prior Prior, n uint64) (believed float64, requests int) {
	r := rand.New(rand.NewPCG(seed, 21))
	x := NewExplorer(cfg, seed, 0)
	seen := Seen{}
	list := []Candidate{{Value: 1e9, Rate: Prior{known, 1e6}, Trials: math.MaxUint64}, {Value: 1e9}}
	for uint64(seen.Trials) < n {
		list[1].Rate, list[1].Trials = prior.After(seen), uint64(seen.Trials)
		if x.Choose(list, 0).Index == 1 {
			seen.Trials++
			if r.Float64() < rate {
				seen.Successes++
			}
		}
		requests++
	}
	return prior.After(seen).Mean, requests
}

// A new ad's rate is known to ±20 % after ImpressionsFor impressions of its own,
// for 95 of 100 ads; and it gets these within n·k/ε(n) requests in which it is
// among k candidates that may be explored, whatever else is believed of it:
// none is chosen with less than ε(n)/k.
func TestNewAdsAreLearntWithinTheBound(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics take seconds, under the race detector minutes")
	}
	prior := Prior{0.02, 60}
	for _, c := range []struct {
		rate, known, epsilon float64
		runs                 int
	}{
		{0.04, 0.02, 0.1, 120}, {0.02, 0.02, 0.5, 40}, {0.1, 0.02, 0.1, 200}, {0.015, 0.02, 1, 5},
	} {
		cfg := generous(Thompson)
		cfg.Epsilon = c.epsilon
		n := ImpressionsFor(c.rate, 0.2, 2, prior)
		epsilon := AdaptiveEpsilon(c.epsilon, n)
		bound := float64(n) * 2 / epsilon
		within, slowest := 0, 0
		for seed := range uint64(c.runs) {
			got, requests := learn(seed, cfg, c.rate, c.known, prior, n)
			if math.Abs(got-c.rate) <= 0.2*c.rate {
				within++
			}
			slowest = max(slowest, requests)
		}
		t.Logf("rate %v beside %v: %d impressions; %d of %d ads within ±20 %%; slowest %d requests, bound %.0f", c.rate, c.known, n, within, c.runs, slowest, bound)
		// 2 standard deviations of the noise: 95.4 % of ads, less what this many runs vary.
		if least := 0.954 * float64(c.runs); float64(within) < least-3.5*math.Sqrt(least*0.046)-0.5 {
			t.Errorf("rate %v: %d of %d ads within ±20 %% after %d impressions", c.rate, within, c.runs, n)
		}
		if float64(slowest) > 1.2*bound {
			t.Errorf("rate %v: %d requests, the bound is %.0f", c.rate, slowest, bound)
		}
	}
}

func TestImpressionsFor(t *testing.T) {
	// Without a prior: z²(1−p)/(p·tolerance²).
	if got, want := ImpressionsFor(0.01, 0.2, 2, Prior{0.01, 0}), uint64(9900); got < want-1 || got > want+1 {
		t.Errorf("%d, want %d", got, want)
	}
	for _, prior := range []Prior{{0.01, 100}, {0.05, 500}, {0.001, 2000}} {
		for _, rate := range []float64{0.001, 0.01, 0.1, 0.5} {
			n := float64(ImpressionsFor(rate, 0.2, 2, prior))
			off := func(n float64) float64 {
				return (prior.Strength*math.Abs(prior.Mean-rate) + 2*math.Sqrt(n*rate*(1-rate))) / (n + prior.Strength) / rate
			}
			for _, m := range []float64{n, 1.5 * n, 10 * n} {
				if off(m) > 0.2*(1+1e-6) {
					t.Errorf("%+v, rate %v: off by %v at %v impressions", prior, rate, off(m), m)
				}
			}
		}
	}
	if ImpressionsFor(0.01, 0, 2, Prior{0.01, 10}) != math.MaxUint64 {
		t.Error("exactness in finite time")
	}
}

// logged explores ads of known rates and estimates from the log what each of
// the policies "always ad i", and last "any ad", would have earned.
func logged(m Method, seed uint64, rates []float64, choices int) []offpolicy.Result {
	prior := Prior{0.03, 50}
	r := rand.New(rand.NewPCG(seed, uint64(m)))
	cfg := generous(m)
	cfg.Epsilon = 1 // a log of thousands of rows; real ones are longer
	x := NewExplorer(cfg, seed, 0)
	seen := make([]Seen, len(rates))
	list := make([]Candidate, len(rates))
	estimators := make([]offpolicy.Estimator, len(rates)+1)
	for range choices {
		for i := range list {
			list[i] = Candidate{Value: 1e9, Rate: prior.After(seen[i]), Trials: uint64(seen[i].Trials)}
		}
		c := x.Choose(list, 0)
		clicked := 0.0
		if r.Float64() < rates[c.Index] {
			clicked = 1
		}
		for i := range rates {
			row := offpolicy.Row{Reward: clicked, Logged: c.Propensity, Model: list[c.Index].Rate.Mean, Expected: list[i].Rate.Mean}
			if c.Index == i {
				row.Target = 1
			}
			estimators[i].Add(row)
		}
		estimators[len(rates)].Add(offpolicy.Row{Reward: clicked, Logged: c.Propensity, Target: 1 / float64(len(rates))})
		seen[c.Index].Trials++
		seen[c.Index].Successes += clicked
	}
	results := make([]offpolicy.Result, len(estimators))
	for i := range estimators {
		results[i] = estimators[i].Result()
	}
	return results
}

// The log of an exploring policy tells what another policy would have earned:
// over several logs the estimates centre on the truth.
func TestLoggedPropensitiesValueOtherPolicies(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics take seconds, under the race detector minutes")
	}
	rates := []float64{0.02, 0.03, 0.05, 0.01}
	truths := append(rates[:4:4], 0.0275)
	const runs = 12
	for _, m := range []Method{EpsilonGreedy, Thompson} {
		means, variances := make([][3]float64, len(truths)), make([][3]float64, len(truths))
		for seed := range uint64(runs) {
			for i, e := range logged(m, seed, rates, 20_000) {
				for j, v := range []offpolicy.Value{e.IPS, e.SNIPS, e.DR} {
					means[i][j] += v.Mean / runs
					variances[i][j] += v.Error * v.Error / runs / runs
				}
			}
		}
		for i, truth := range truths {
			for j, name := range []string{"IPS", "SNIPS", "DR"} {
				if i == len(rates) && name == "DR" {
					continue // that policy was given no model
				}
				e := math.Sqrt(variances[i][j])
				t.Logf("%v, policy %d, %s: %.5f ± %.5f, truth %v", m, i, name, means[i][j], e, truth)
				if math.Abs(means[i][j]-truth) > 3.5*e || e > 0.15*truth {
					t.Errorf("%v, policy %d, %s: %.5f ± %.5f, truth %v", m, i, name, means[i][j], e, truth)
				}
			}
		}
	}
}

func TestConfigListsEveryFault(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	err := Config{Method: 9, Epsilon: math.NaN(), Draws: 1000, RequestShare: 2, TotalShare: -1, Floor: -1, Burst: -1}.Validate()
	for _, field := range []string{"method", "epsilon", "draws", "request_share", "total_share", "floor", "burst"} {
		if !strings.Contains(err.Error(), field+":") {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
	for m := Off; m <= Thompson; m++ {
		if got, err := ParseMethod(m.String()); got != m || err != nil {
			t.Errorf("%v: %v, %v", m, got, err)
		}
	}
	if _, err := ParseMethod("greedy"); err == nil {
		t.Error("greedy is a method")
	}
}

func TestChooseAllocs(t *testing.T) {
	list := candidatesOf(rand.New(rand.NewPCG(1, 2)), 10)
	for _, m := range []Method{Off, EpsilonGreedy, Thompson} {
		x := NewExplorer(generous(m), 1, 0)
		now := unit.MonoTime(0)
		if n := testing.AllocsPerRun(500, func() { now += 1000; x.Choose(list, now) }); n != 0 {
			t.Errorf("%v: %v allocations", m, n)
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	list := []Candidate{{1e9, Prior{0.02, 1e5}, 1e5}, {1e9, Prior{0.018, 100}, 100}, {1e9, Prior{0.012, 50}, 50}, {1e9, Prior{0.01, 300}, 300}}
	for _, m := range []Method{Off, EpsilonGreedy, Thompson} {
		b.Run(m.String(), func(b *testing.B) {
			x := NewExplorer(generous(m), 1, 0)
			sum := 0
			for i := range b.N {
				sum += x.Choose(list, unit.MonoTime(i)).Index
			}
			b.ReportMetric(float64(sum)/float64(b.N), "index")
		})
	}
}
