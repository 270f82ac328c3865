package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"millrace/codec/unit"
	"millrace/models/coldstart"
)

// size of a world.
type size struct {
	name     string
	requests int
	ads      int // at a time
	offered  int // a request
	every    int // requests between two newcomers, each of which replaces the oldest ad
	points   int // of a curve
}

// worlds: in one, ads stay long enough for what is learnt of them to pay; in
// the other they come and go, and offers differ so much that every ad wins now
// and then by itself.
var worlds = []size{
	{name: "lasting", requests: 400_000, ads: 30, offered: 15, every: 10_000, points: 100},
	{name: "restless", requests: 200_000, ads: 60, offered: 8, every: 1000, points: 100},
}

// truth is how rates and prices of ads are spread.
var truth = coldstart.Prior{Mean: 0.02, Strength: 40}

// policy is a name and how it explores.
type policy struct {
	name, note string
	config     coldstart.Config
}

// clickValue is what a click is worth on average, in nanos.
const clickValue = 1e9

func policies() []policy {
	bounded := func(m coldstart.Method, epsilon float64) coldstart.Config {
		c := coldstart.Default()
		c.Method, c.Epsilon, c.TotalShare, c.Floor, c.Burst = m, epsilon, 0.05, 0, clickValue
		return c
	}
	free := bounded(coldstart.Thompson, 0.02)
	free.RequestShare, free.TotalShare, free.Burst, free.NewBelow = 1, 1, math.MaxInt64/8, math.MaxUint64
	return []policy{
		{"none", "always the best by expectation", bounded(coldstart.Off, 0)},
		{"epsilon-greedy", "adaptive ε₀ = 0.2, at most 5 % given up", bounded(coldstart.EpsilonGreedy, 0.2)},
		{"thompson", "ε₀ = 0.02, at most 5 % given up", bounded(coldstart.Thompson, 0.02)},
		{"thompson, unbounded", "ε₀ = 0.02", free},
	}
}

// ad is one of the world's, with what is known of it.
type ad struct {
	rate, bid float64
	seen      coldstart.Seen
	candidate coldstart.Candidate
}

func newAd(r *rand.Rand, g *coldstart.Random, prior coldstart.Prior) ad {
	a := ad{rate: g.Beta(truth.Mean*truth.Strength, (1-truth.Mean)*truth.Strength), bid: clickValue * math.Exp(0.3*r.NormFloat64())}
	a.believe(prior)
	return a
}

func (a *ad) believe(prior coldstart.Prior) {
	a.candidate = coldstart.Candidate{Value: a.bid, Rate: prior.After(a.seen), Trials: uint64(a.seen.Trials)}
}

func (a *ad) expected() float64 { return a.candidate.Value * a.candidate.Rate.Mean }

// history fits the prior from ads that are gone: some hundred shows each.
func history(seed uint64) coldstart.Prior {
	g := coldstart.NewRandom(seed)
	var m coldstart.Moments
	for range 400 {
		s := coldstart.Seen{Trials: float64(200 + g.Uint64()%2000)}
		rate := g.Beta(truth.Mean*truth.Strength, (1-truth.Mean)*truth.Strength)
		for range int(s.Trials) {
			if g.Float64() < rate {
				s.Successes++
			}
		}
		m.Group(s)
	}
	prior, ok := m.Fit()
	if !ok {
		prior = truth
	}
	return prior
}

// outcome of one policy in one world.
type outcome struct {
	regret       []float64 // cumulative, in mean clicks, at each point
	earned, best float64   // expected: by the true rates
	givenUp      float64   // share of what the explorer expected to earn
	others       float64   // share of requests in which another than the best won
	// Of the newcomers that were among the better half: how many requests after
	// they came they had been shown often enough to be known to ±20 %.
	known, newcomers int
}

// run serves one world with one policy. Ads, offers and clicks are drawn from
// streams of their own, so that what one policy does shifts nothing for others.
func run(seed uint64, p policy, s size) outcome {
	prior := history(seed)
	births := rand.New(rand.NewPCG(seed, 1))
	genes := coldstart.NewRandom(seed ^ 0xad5)
	offers := rand.New(rand.NewPCG(seed, 2))
	clicks := rand.New(rand.NewPCG(seed, 3))
	x := coldstart.NewExplorer(p.config, seed, 0)
	ads := make([]ad, s.ads)
	for i := range ads {
		ads[i] = newAd(births, &genes, prior)
	}
	o := outcome{}
	list, picked := make([]coldstart.Candidate, s.offered), make([]int, s.offered)
	regret := 0.0
	for i := range s.requests {
		if i%s.every == s.every-1 {
			old := &ads[(i/s.every)%s.ads]
			o.retire(old)
			*old = newAd(births, &genes, prior)
		}
		most := 0.0
		for j := range picked {
			picked[j] = offers.IntN(s.ads)
			most = max(most, ads[picked[j]].rate*ads[picked[j]].bid)
		}
		// As a ranking gives them: the best first.
		slices.SortFunc(picked, func(i, j int) int { return cmp.Compare(ads[j].expected(), ads[i].expected()) })
		for j, i := range picked {
			list[j] = ads[i].candidate
		}
		u := clicks.Float64()
		a := &ads[picked[x.Choose(list, unit.MonoTime(i)*unit.MonoTime(time.Millisecond)).Index]]
		a.seen.Trials++
		if u < a.rate {
			a.seen.Successes++
		}
		a.believe(prior)
		regret += most - a.rate*a.bid
		o.best += most
		o.earned += a.rate * a.bid
		if (i+1)%(s.requests/s.points) == 0 {
			o.regret = append(o.regret, regret/clickValue)
		}
	}
	o.givenUp = float64(x.GivenUp) / float64(x.Earned)
	o.others = float64(x.Others) / float64(s.requests)
	return o
}

// retire judges what was learnt of a good ad in its life.
func (o *outcome) retire(a *ad) {
	if a.rate*a.bid < truth.Mean*clickValue {
		return
	}
	o.newcomers++
	if math.Abs(a.candidate.Rate.Mean-a.rate) <= 0.2*a.rate {
		o.known++
	}
}
