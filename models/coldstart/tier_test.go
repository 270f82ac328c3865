package coldstart

import (
	"math"
	"testing"
)

var levels = Levels{Mean: 0.01, Strengths: [Tiers]float64{Category: 1000, Segment: 500, Cohort: 200, User: 100}}

func TestTiers(t *testing.T) {
	for _, c := range []struct {
		user, segment float64
		want          Tier
	}{
		{0, 0, Category}, {9, 0, Category}, {9.9, 5, Segment}, {0, 5, Segment}, {10, 5, Cohort}, {10, 0, Cohort},
		{100, 5, Cohort}, {100.5, 5, User}, {101, 0, User}, {math.NaN(), 5, Segment}, {-5, 0, Category},
	} {
		e := Evidence{User: {0, c.user}, Segment: {0, c.segment}}
		if got := e.Tier(); got != c.want {
			t.Errorf("%v impressions, %v of the segment: %v, want %v", c.user, c.segment, got, c.want)
		}
	}
}

func TestEstimateShrinksLevelByLevel(t *testing.T) {
	e := Evidence{Category: {30, 1000}, Segment: {40, 500}, Cohort: {12, 200}, User: {30, 300}}
	// By hand: each level is the average of what it saw and what the one above
	// says, weighted by trials and strength.
	category := (30 + 0.01*1000) / 2000.0
	segment := (40 + category*500) / 1000
	cohort := (12 + segment*200) / 400
	user := (30 + cohort*100) / 400
	for trials, want := range map[float64]struct {
		mean     float64
		strength float64
		tier     Tier
	}{300: {user, 400, User}, 50: {cohort, 400, Cohort}, 3: {segment, 1000, Segment}} {
		e[User].Trials = trials
		got, tier := levels.Estimate(&e)
		if math.Abs(got.Mean-want.mean) > 1e-15 || got.Strength != want.strength || tier != want.tier {
			t.Errorf("%v impressions: %+v of tier %v, want %+v", trials, got, tier, want)
		}
	}
	e = Evidence{}
	if got, tier := levels.Estimate(&e); got != (Prior{0.01, 1000}) || tier != Category {
		t.Errorf("nothing seen: %+v, %v", got, tier)
	}
}

func TestEstimateStaysAProbability(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	values := []float64{nan, -1, 0, 0.5, 1, 1e3, 1e18, inf}
	for _, l := range []Levels{levels, {Mean: 0}, {Mean: 1, Strengths: [Tiers]float64{1e-9, 0, 1e9, 1}}} {
		for _, k := range values {
			for _, n := range values {
				e := Evidence{User: {k, n}, Cohort: {n, k}, Segment: {k, k}, Category: {n, n}}
				p, _ := l.Estimate(&e)
				if math.IsInf(k, 1) || math.IsInf(n, 1) {
					continue // no count is infinite; it must not panic
				}
				if !(p.Mean >= 0 && p.Mean <= 1) {
					t.Errorf("%+v of %+v: %+v", l, e, p)
				}
			}
		}
	}
}

// Groups whose rates are drawn from a known Beta distribution: the fit finds it.
func TestFitFindsTheSpread(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics take seconds, under the race detector minutes")
	}
	r := NewRandom(3)
	for _, want := range []Prior{{0.02, 50}, {0.01, 500}, {0.3, 10}, {0.05, 5000}} {
		a, b := want.shapes()
		var m, half Moments
		for g := range 4000 {
			s := Seen{Trials: float64(20 + r.Uint64()%2000)}
			rate := r.Beta(a, b)
			for range int(s.Trials) {
				if r.Float64() < rate {
					s.Successes++
				}
			}
			if g%2 == 0 {
				m.Group(s)
			} else {
				half.Group(s)
			}
		}
		m.Add(&half)
		got, ok := m.Fit()
		if !ok || math.Abs(got.Mean-want.Mean) > 0.06*want.Mean || math.Abs(got.Strength-want.Strength) > 0.25*want.Strength {
			t.Errorf("%+v, want about %+v", got, want)
		}
	}
}

// Shrinking with the fitted strength predicts better than the groups' own
// rates, and better than the mean of all: what empirical Bayes is for.
func TestShrinkageBeatsBothEnds(t *testing.T) {
	r := NewRandom(8)
	truth := Prior{0.02, 100}
	a, b := truth.shapes()
	type group struct {
		rate float64
		seen Seen
	}
	var groups []group
	var m Moments
	for range 3000 {
		g := group{rate: r.Beta(a, b), seen: Seen{Trials: float64(1 + r.Uint64()%300)}}
		for range int(g.seen.Trials) {
			if r.Float64() < g.rate {
				g.seen.Successes++
			}
		}
		m.Group(g.seen)
		groups = append(groups, g)
	}
	prior, ok := m.Fit()
	if !ok {
		t.Fatal("no fit")
	}
	var shrunk, own, mean float64
	for _, g := range groups {
		square := func(x float64) float64 { return (x - g.rate) * (x - g.rate) }
		shrunk += square(prior.After(g.seen).Mean)
		own += square(g.seen.Successes / g.seen.Trials)
		mean += square(prior.Mean)
	}
	if shrunk > 0.8*mean || shrunk > 0.5*own {
		t.Errorf("squared error %v shrunk, %v by the mean of all, %v by each group alone", shrunk, mean, own)
	}
}

func TestFitNeedsSomethingToFit(t *testing.T) {
	for name, groups := range map[string][]Seen{
		"nothing": nil, "one group": {{1, 100}}, "no successes": {{0, 10}, {0, 20}}, "only successes": {{5, 5}, {3, 3}},
		"single trials": {{1, 1}, {0, 1}, {1, 1}}, "no trials": {{0, 0}, {1, 0}, {math.NaN(), 1}, {1, math.NaN()}},
	} {
		var m Moments
		for _, g := range groups {
			m.Group(g)
		}
		if p, ok := m.Fit(); ok {
			t.Errorf("%s: fitted %+v", name, p)
		}
	}
	var alike Moments
	for range 100 {
		alike.Group(Seen{10, 1000})
	}
	if p, ok := alike.Fit(); !ok || p.Strength != strengthMax {
		t.Errorf("groups all alike: %+v, %v; want the largest strength", p, ok)
	}
}

func TestEstimateAllocs(t *testing.T) {
	e := Evidence{Category: {30, 1000}, Segment: {40, 500}, Cohort: {12, 200}, User: {30, 300}}
	var m Moments
	if n := testing.AllocsPerRun(1000, func() {
		p, _ := levels.Estimate(&e)
		m.Group(Seen{p.Mean, 100})
		m.Fit()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
