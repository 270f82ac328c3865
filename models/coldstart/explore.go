package coldstart

import (
	"errors"
	"fmt"
	"math"
	"time"

	"millrace/codec/unit"
)

// Method of exploring.
type Method uint8

// Methods.
const (
	// Off always takes the best.
	Off Method = iota
	// EpsilonGreedy takes any of those that may be explored with probability ε.
	EpsilonGreedy
	// Thompson takes each with the probability that it is the best, as far as is
	// known; and any of them with probability ε.
	Thompson
)

var methodNames = [...]string{"off", "epsilon-greedy", "thompson"}

func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return "unknown"
}

// ParseMethod reads a method's name.
func ParseMethod(s string) (Method, error) {
	for m, name := range methodNames {
		if s == name {
			return Method(m), nil
		}
	}
	return Off, fmt.Errorf("%q is no way to explore; use off, epsilon-greedy or thompson", s)
}

// exploredMax is among how many candidates one request chooses.
const exploredMax = 8

// drawsMax bounds Config.Draws.
const drawsMax = 256

// certain is a strength beyond which a rate is taken as known.
const certain = 1e12

// Config of an Explorer. Immutable.
type Config struct {
	Method Method
	// Epsilon is ε₀: an ad with n impressions is explored with
	// ε₀ / (1 + ln(n+1)).
	Epsilon float64
	// NewBelow is how many impressions make an ad an old one: not explored.
	NewBelow uint64
	// Draws is how many samples Thompson's probabilities are made of. A draw
	// of one candidate costs about 80 ns.
	Draws int
	// RequestShare is what one request may give up of what it expects to earn,
	// TotalShare what all requests together may; 0.01 is 1 %.
	RequestShare, TotalShare float64
	// Floor is what may be given up a second whatever is earned.
	Floor unit.Nanos
	// Burst bounds what can be saved up.
	Burst unit.Nanos
}

// Default samples, and gives up at most 1 % of what is earned.
func Default() Config {
	return Config{
		Method: Thompson, Epsilon: 0.05, NewBelow: 20_000, Draws: 16,
		RequestShare: 0.8, TotalShare: 0.01, Floor: 1_000_000, Burst: 1_000_000_000,
	}
}

// Validate lists every fault.
func (c Config) Validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	share := func(name string, v float64) {
		fault(!(v >= 0 && v <= 1), "%s: %v; give a share from 0 to 1", name, v)
	}
	fault(int(c.Method) >= len(methodNames), "method: %d; use off, epsilon-greedy or thompson", c.Method)
	share("epsilon", c.Epsilon)
	share("request_share", c.RequestShare)
	share("total_share", c.TotalShare)
	fault(c.Draws < 1 || c.Draws > drawsMax, "draws: %d; give 1 to %d", c.Draws, drawsMax)
	fault(c.Floor < 0, "floor: %d; give nanos a second, 0 or more", c.Floor)
	fault(c.Burst < 0, "burst: %d; give nanos, 0 or more", c.Burst)
	return errors.Join(errs...)
}

// AdaptiveEpsilon is ε₀ / (1 + ln(n+1)) for an ad with n impressions.
func AdaptiveEpsilon(epsilon float64, n uint64) float64 {
	return epsilon / (1 + math.Log(float64(n)+1))
}

// Candidate is one bid that could win.
type Candidate struct {
	// Value is what a success is worth: what ranks the bid is Value × Rate.Mean.
	Value float64
	// Rate is what is believed of the rate. Without strength it is certain (a
	// price a thousand impressions: Value is the price, Rate.Mean is 1).
	Rate Prior
	// Trials is the ad's impressions.
	Trials uint64
}

func (c *Candidate) expected() float64 { return c.Value * c.Rate.Mean }

// Choice is which candidate wins.
type Choice struct {
	Index int
	// Propensity is the exact probability with which this candidate was chosen,
	// given the candidates and what the Explorer knew: to be logged.
	Propensity float64
	// Explored is whether there was a choice; then the log needs the rest.
	Explored bool
	// GivenUp is what the best by expectation would have earned more.
	GivenUp unit.Nanos
}

// Explorer chooses winners for one shard. Owned by it; holds no pointers.
type Explorer struct {
	cfg     Config
	random  Random
	balance unit.Nanos
	// part of a nano not yet earned, so that small shares are not lost.
	part float64
	last unit.MonoTime

	index      [exploredMax]int
	propensity [exploredMax]float64
	n          int

	// Earned is what all requests expected at best, GivenUp what exploring cost
	// of it: by expectation, in nanos. Choices counts requests with a choice,
	// Others those in which another than the best won.
	Earned, GivenUp unit.Nanos
	Choices, Others uint64
}

// NewExplorer starts with nothing to give up.
func NewExplorer(cfg Config, seed uint64, now unit.MonoTime) Explorer {
	return Explorer{cfg: cfg, random: NewRandom(seed), last: now}
}

// Choose takes a winner among candidates, at least one. They should all be able
// to serve: a choice that falls through afterwards makes the log's propensity
// wrong. Of more than eight that may be explored the first eight are.
func (x *Explorer) Choose(candidates []Candidate, now unit.MonoTime) Choice {
	best, most := 0, math.Inf(-1)
	for i := range candidates {
		if v := candidates[i].expected(); v > most {
			best, most = i, v
		}
	}
	if !(most > 0) || most > float64(math.MaxInt64/4) {
		return Choice{Index: best, Propensity: 1}
	}
	x.earn(most, now)
	newest := x.eligible(candidates, best, most)
	if x.n < 2 {
		return Choice{Index: best, Propensity: 1}
	}
	x.weigh(candidates, AdaptiveEpsilon(x.cfg.Epsilon, newest))
	i := x.pick()
	chosen := x.index[i]
	given := x.cost(&candidates[chosen], most)
	x.balance -= given
	x.GivenUp += given
	x.Choices++
	if chosen != best {
		x.Others++
	}
	return Choice{Index: chosen, Propensity: x.propensity[i], Explored: true, GivenUp: given}
}

// earn adds to what may be given up: the share of the request, and the floor
// of the time that has passed.
func (x *Explorer) earn(most float64, now unit.MonoTime) {
	x.Earned += unit.Nanos(most)
	elapsed := min(max(now.Sub(x.last), 0), time.Hour)
	x.last = max(now, x.last)
	x.part += most*x.cfg.TotalShare + float64(x.cfg.Floor)*elapsed.Seconds()
	whole := math.Floor(min(x.part, float64(math.MaxInt64/4)))
	x.part = min(x.part-whole, 1)
	x.balance = min(x.balance+unit.Nanos(whole), x.cfg.Burst)
}

// cost of letting a candidate win, rounded up.
func (x *Explorer) cost(c *Candidate, most float64) unit.Nanos {
	return unit.Nanos(math.Ceil(max(most-c.expected(), 0)))
}

// eligible sets the candidates to choose among: the best, and new ads that the
// request and the balance can bear. It returns the fewest trials of those.
func (x *Explorer) eligible(candidates []Candidate, best int, most float64) (newest uint64) {
	x.index[0], x.n = best, 1
	newest = math.MaxUint64
	if x.cfg.Method == Off {
		return newest
	}
	for i := range candidates {
		c := &candidates[i]
		if c.Trials >= x.cfg.NewBelow {
			continue
		}
		v := c.expected()
		if i != best && x.n < exploredMax && v > 0 && v >= (1-x.cfg.RequestShare)*most && x.cost(c, most) <= x.balance {
			x.index[x.n] = i
			x.n++
			newest = min(newest, c.Trials)
		}
	}
	return newest
}

// weigh works out the probability of each. Thompson's are frequencies among the
// draws, and the choice is then made by exactly these frequencies: what is
// logged is no estimate of the probability but the probability.
func (x *Explorer) weigh(candidates []Candidate, epsilon float64) {
	for i := range x.n {
		x.propensity[i] = epsilon / float64(x.n)
	}
	if x.cfg.Method == EpsilonGreedy {
		x.propensity[0] += 1 - epsilon
		return
	}
	each := (1 - epsilon) / float64(x.cfg.Draws)
	for range x.cfg.Draws {
		win, most := 0, math.Inf(-1)
		for i := range x.n {
			c := &candidates[x.index[i]]
			rate := c.Rate.Mean
			if a, b := c.Rate.shapes(); a > 0 && b > 0 && c.Rate.Strength < certain {
				rate = x.random.Beta(a, b)
			}
			if v := c.Value * rate; v > most {
				win, most = i, v
			}
		}
		x.propensity[win] += each
	}
}

func (x *Explorer) pick() int {
	u, last := x.random.Float64(), 0
	for i := range x.n {
		if x.propensity[i] <= 0 {
			continue // never, not even by rounding
		}
		if u -= x.propensity[i]; u < 0 {
			return i
		}
		last = i
	}
	return last
}

// ImpressionsFor bounds how many impressions of its own an ad needs until its
// rate is known to a share of it: the least n at which the pull of the prior,
// M·|μ−p|/(n+M), and z standard deviations of the clicks, z·√(n·p(1−p))/(n+M),
// together are at most tolerance × rate. Both fall with n from there on. z = 2
// makes it 95 of 100 ads.
func ImpressionsFor(rate, tolerance, z float64, prior Prior) uint64 {
	within := func(n float64) bool {
		off := prior.Strength * math.Abs(prior.Mean-rate)
		return (off+z*math.Sqrt(n*rate*(1-rate)))/(n+prior.Strength) <= tolerance*rate
	}
	// At n = 0 a good prior may be within by itself, and early clicks throw it
	// off: the bound is the last crossing, so it is looked for from above.
	high := 1.0
	for !within(high) || high < prior.Strength {
		if high *= 2; high > 1e15 {
			return math.MaxUint64
		}
	}
	low := max(prior.Strength, 1) // the noise falls with n beyond the strength
	if within(low) {
		return uint64(math.Ceil(low))
	}
	for high-low > 0.5 {
		if mid := (low + high) / 2; within(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return uint64(math.Ceil(high))
}
