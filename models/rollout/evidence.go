package rollout

import "math"

// This file answers "is it worse?" from sums, as often as one likes, with a
// bound on how often the answer is yes when it is not.
//
// A test martingale is a bet against a hypothesis that can not win on average
// where the hypothesis holds: it starts at 1, never falls below 0, and by
// Ville's inequality exceeds 1/α ever, at whatever moment one looks, with
// probability at most α. Averages of such bets over a grid of stakes are again
// one; the grid below covers effects from tiny to gross.
//
// Where the hypothesis speaks of single impressions (each no worse, given what
// came before) the bound is exact. Effects that cancel over users are not seen
// by it, and need not be.

// stakes are the grid of bets, as powers of two below the largest.
const stakes = 14

// evidenceWorse is the log of a bet against "the mean of x is at most 0", from
// the sums of x and x², where |x| ≤ bound. Each stake λ < 1/bound bets
// exp(λ Σx − ψ(λ) Σx²) with ψ(λ) = (−ln(1−λ·bound) − λ·bound)/bound², which is
// a supermartingale for x ≥ −bound (Fan, Grama and Liu, 2015, lemma 4.1).
func evidenceWorse(sum, squares, bound float64) float64 {
	var bets [stakes]float64
	for i := range bets {
		share := math.Ldexp(0.9, -i) // λ·bound
		psi := (-math.Log1p(-share) - share) / (bound * bound)
		bets[i] = share/bound*sum - psi*squares
	}
	return logMean(bets[:])
}

// evidenceMore is the log of a bet against "clicks come at most at the rate
// predicted", from their number and the sum of the predictions: for θ > 0 and a
// click of probability q ≤ p, the mean of exp(θ·click − (e^θ−1)p) is at most 1.
// evidenceFewer, with θ < 0, bets against "at least at that rate".
func evidenceMore(clicks, predicted float64) float64  { return evidenceRate(clicks, predicted, 1) }
func evidenceFewer(clicks, predicted float64) float64 { return evidenceRate(clicks, predicted, -1) }

func evidenceRate(clicks, predicted, sign float64) float64 {
	var bets [stakes]float64
	for i := range bets {
		theta := sign * math.Ldexp(2, -i)
		bets[i] = theta*clicks - math.Expm1(theta)*predicted
	}
	return logMean(bets[:])
}

// logMean is ln(mean(exp(x))).
func logMean(x []float64) float64 {
	most := math.Inf(-1)
	for _, v := range x {
		most = max(most, v)
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - most)
	}
	return most + math.Log(sum/float64(len(x)))
}

// ratio is an arm's revenue a request, and the variance of that estimate from
// the spread between groups of users.
func ratio(c *Counts) (rate, variance float64) {
	var revenue, requests float64
	for g := range groups {
		revenue += float64(c.GroupRevenue[g])
		requests += float64(c.GroupRequests[g])
	}
	if requests == 0 {
		return 0, 0
	}
	rate = revenue / requests
	for g := range groups {
		e := float64(c.GroupRevenue[g]) - rate*float64(c.GroupRequests[g])
		variance += e * e
	}
	return rate, variance / (requests * requests) * groups / (groups - 1)
}

// chanceLess is how probable it is to see the challenger's users bring so
// little if they brought (1−tolerated) of what the stable model's do: Welch's
// one-sided t-test over groups of users. Users, not requests, are what the arms
// were drawn from, so users are what its spread is taken over.
func chanceLess(stable, challenger *Counts, tolerated float64) float64 {
	rs, vs := ratio(stable)
	rc, vc := ratio(challenger)
	rs, vs = rs*(1-tolerated), vs*(1-tolerated)*(1-tolerated)
	if challenger.Requests > 0 {
		vc = max(vc, vs*float64(stable.Requests)/float64(challenger.Requests))
	}
	v := vs + vc
	if rs <= rc || v == 0 {
		return 1
	}
	freedom := v * v / ((vs*vs + vc*vc) / (groups - 1))
	return studentTail((rs-rc)/math.Sqrt(v), freedom)
}

// studentTail is P(T > t) of Student's distribution, t ≥ 0.
func studentTail(t, freedom float64) float64 {
	return incompleteBeta(freedom/(freedom+t*t), freedom/2, 0.5) / 2
}

// incompleteBeta is the regularised incomplete beta function by its continued
// fraction (Lentz), to about 1e-12.
func incompleteBeta(x, a, b float64) float64 {
	if x <= 0 || x >= 1 {
		return min(max(x, 0), 1)
	}
	if x > (a+1)/(a+b+2) {
		return 1 - incompleteBeta(1-x, b, a)
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a
	const tiny = 1e-300
	f, c, d := 1.0, 1.0, 0.0
	for i := range 400 {
		m := float64(i / 2)
		numerator := 1.0
		switch {
		case i == 0:
		case i%2 == 0:
			numerator = m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		default:
			numerator = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		}
		d = 1 / nonZero(1+numerator*d, tiny)
		c = nonZero(1+numerator/c, tiny)
		f *= c * d
		if math.Abs(1-c*d) < 1e-13 {
			break
		}
	}
	return front * (f - 1)
}

func nonZero(x, tiny float64) float64 {
	if math.Abs(x) < tiny {
		return tiny
	}
	return x
}
