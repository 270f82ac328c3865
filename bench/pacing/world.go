package main

import (
	"math"
	"math/rand/v2"
	"time"

	"millrace/codec/unit"
	"millrace/state/pacing"
)

// supply is the traffic of a node over weeks: a daily and a weekly season,
// bursts, holes, and competition that comes and goes.
type supply struct {
	base   float64 // requests a second, on average about
	bursts []episode
	holes  []episode // the feed is down: no request at all
	down   []episode // the node is down: nobody observes
	rivals []episode // competition: the win rate is divided by factor
}

type episode struct {
	from, to unit.WallTime
	factor   float64
}

func (e *episode) at(t unit.WallTime) bool { return t >= e.from && t < e.to }

// newSupply draws the episodes of the weeks after start.
func newSupply(r *rand.Rand, base float64, start unit.WallTime, weeks int) *supply {
	s := &supply{base: base}
	draw := func(n int, least, most time.Duration, low, high float64) (es []episode) {
		for range n * weeks {
			from := start.Add(time.Duration(r.Int64N(int64(weeks) * int64(7*24*time.Hour))))
			d := least + time.Duration(r.Int64N(int64(most-least)))
			es = append(es, episode{from, from.Add(d), low + (high-low)*r.Float64()})
		}
		return es
	}
	s.bursts = draw(10, 5*time.Minute, 40*time.Minute, 2, 5)
	s.holes = draw(1, 10*time.Minute, 50*time.Minute, 0, 0)
	s.down = draw(1, 2*time.Minute, 15*time.Minute, 0, 0)
	s.rivals = draw(12, time.Hour, 9*time.Hour, 1.2, 2.5)
	return s
}

// rate is requests a second at t.
func (s *supply) rate(t unit.WallTime) float64 {
	days := float64(t) / float64(24*time.Hour)
	daily := 1 + 0.6*math.Sin(2*math.Pi*(days-0.4)) + 0.2*math.Sin(4*math.Pi*(days-0.1))
	weekly := 1 + 0.2*math.Sin(2*math.Pi*days/7)
	v := s.base * daily * weekly
	for i := range s.bursts {
		if s.bursts[i].at(t) {
			v *= s.bursts[i].factor
		}
	}
	return v
}

func (s *supply) dark(t unit.WallTime) bool { return within(s.holes, t) || within(s.down, t) }

func within(es []episode, t unit.WallTime) bool {
	for i := range es {
		if es[i].at(t) {
			return true
		}
	}
	return false
}

// winRate is what the share of eligible auctions is multiplied with.
func (s *supply) winRate(t unit.WallTime) float64 {
	v := 1.0
	for i := range s.rivals {
		if s.rivals[i].at(t) {
			v /= s.rivals[i].factor
		}
	}
	return v
}

// account is one campaign in the world.
type account struct {
	name   string
	mode   pacing.Mode
	unit   unit.Nanos
	budget unit.Nanos // a day
	chance float64    // a request is eligible and won, at a quiet time

	pacer     pacing.Pacer
	spent     unit.Nanos
	dayEnds   unit.WallTime
	hourSpent unit.Nanos
	possible  float64    // nanos: what the hour would have sold at full participation
	planned   unit.Nanos // of the hour, by the plan of the day
	hours     []hourResult
	days      []dayResult
}

type hourResult struct {
	at             unit.WallTime
	planned, spent unit.Nanos
	// ahead is what was spent of the day's budget above its plan, at the end.
	ahead unit.Nanos
	dark  bool // part of it without supply
	// short: even full participation could not have spent what was planned.
	short bool
}

type dayResult struct {
	budget, spent unit.Nanos
}

// world runs accounts on a supply.
type world struct {
	rng      *rand.Rand
	supply   *supply
	forecast pacing.Forecast
	accounts []*account
	learning bool // no account spends yet
}

// run goes from start to end in steps of pacing.Period.
func (w *world) run(start, end unit.WallTime) {
	for t := start; t < end; t = t.Add(pacing.Period) {
		if t%unit.WallTime(time.Hour) == 0 {
			w.hour(t)
		}
		next := t.Add(pacing.Period)
		if within(w.supply.down, t) {
			continue
		}
		requests := uint64(0)
		if !w.supply.dark(t) {
			requests = w.poisson(w.supply.rate(t) * pacing.Period.Seconds())
		}
		w.forecast.Observe(next, pacing.Period, requests)
		if w.learning {
			continue
		}
		for _, a := range w.accounts {
			missed := w.spend(a, t, requests)
			a.pacer.Step(next, a.spent, requests, missed)
		}
	}
}

// spend sells impressions until the budget, which the lease enforces, is gone,
// or the period's allowance; missed is what the latter kept it out of.
func (w *world) spend(a *account, t unit.WallTime, requests uint64) (missed float64) {
	all := float64(requests) * a.chance * w.supply.winRate(t)
	a.possible += all * float64(a.unit)
	n := w.poisson(all * a.pacer.Share())
	cost := min(unit.Nanos(n)*a.unit, (a.budget-a.spent)/a.unit*a.unit)
	if most := a.pacer.Allowance(); cost > most {
		missed = float64(requests) * a.pacer.Share() * (1 - float64(most)/float64(cost))
		cost = (most + a.unit - 1) / a.unit * a.unit
	}
	a.spent += cost
	a.hourSpent += cost
	return missed
}

// hour closes an hour of every account, and at its end the day.
func (w *world) hour(t unit.WallTime) {
	if w.learning {
		return
	}
	for _, a := range w.accounts {
		from := t.Add(-time.Hour)
		if a.dayEnds != 0 {
			ahead := a.spent - a.pacer.Plan().Target(t)
			a.hours = append(a.hours, hourResult{from, a.planned, a.hourSpent, ahead, w.darkened(from), a.possible < float64(a.planned)})
		}
		if t >= a.dayEnds {
			if a.dayEnds != 0 {
				a.days = append(a.days, dayResult{a.budget, a.spent})
			}
			a.spent, a.dayEnds = 0, t.Add(24*time.Hour)
			p := pacing.Plan{Mode: a.mode, Budget: a.budget, Start: t, End: a.dayEnds, Unit: a.unit}
			p.Lay(&w.forecast)
			share := a.pacer.Share()
			if share == 0 {
				share = 1
			}
			a.pacer.Begin(p, t, 0, share)
		}
		p := a.pacer.Plan()
		a.planned = p.Target(t.Add(time.Hour)) - p.Target(t)
		a.hourSpent, a.possible = 0, 0
	}
}

func (w *world) darkened(from unit.WallTime) bool {
	for t := from; t < from.Add(time.Hour); t = t.Add(pacing.Period) {
		if w.supply.dark(t) {
			return true
		}
	}
	return false
}

// poisson draws a Poisson variable; above 60 by the normal approximation.
func (w *world) poisson(mean float64) uint64 {
	if mean <= 0 {
		return 0
	}
	if mean > 60 {
		return uint64(max(math.Round(mean+math.Sqrt(mean)*w.rng.NormFloat64()), 0))
	}
	limit, product, n := math.Exp(-mean), 1.0, uint64(0)
	for {
		if product *= w.rng.Float64(); product <= limit {
			return n
		}
		n++
	}
}
