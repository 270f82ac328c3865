package pacing

import (
	"math"
	"time"

	"millrace/codec/unit"
)

const (
	// leastShare is what an account keeps trying with, ahead of plan or not
	// sold: without a few auctions it would not notice that times have changed.
	leastShare = 1e-5
	// growth bounds how much more a step may take part than the one before.
	growth = 4.0
	// burst bounds what one shard may spend in a period, as a multiple of what
	// the plan has for it, and burstEvents is the least this comes to.
	burst       = 3.0
	burstEvents = 3
	// catchUp is the time in which a deficit is made up for, and closing the
	// share of what is left of the interval that this may take.
	catchUp = 5 * time.Minute
	closing = 0.5
	// hurry bounds the spending rate of an account that is behind: so many times
	// the plan's.
	hurry = 2.0
	// sample is how many billable events a yield is estimated from; the window
	// that takes is kept between yieldLeast and yieldMost.
	sample     = 400.0
	yieldLeast = time.Minute
	yieldMost  = 15 * time.Minute
	// traffic is the time constant of the measured request rate.
	traffic = 15 * time.Second
)

// Pacer is the state of one account. The zero value, given a Plan by Begin, is
// ready. Owned by one shard.
type Pacer struct {
	plan  Plan
	share float64 // participation in force

	at    unit.WallTime
	spent unit.Nanos // at at

	// Decayed sums: what was spent, and the requests it was spent on, each
	// counted with the participation then in force. Their ratio is the yield.
	money, offered float64
	rate           float64 // requests a second
}

// Begin takes a plan at now, with what was already spent of it and the
// participation to begin with: 1 where nothing was learnt, for Allowance stops
// what is too much of that. What was learnt about the yield stays.
func (x *Pacer) Begin(p Plan, now unit.WallTime, spent unit.Nanos, share float64) {
	x.plan, x.at, x.spent, x.share = p, now, spent, share
	if p.Mode == ASAP {
		x.share = 1
	}
}

// Allowance is the most that one shard may spend until the next step, Unlimited
// for none: a day's budget can be a second's traffic, and a participation that was
// right a second ago is ten times too much in a burst. Who has spent it sits out the
// rest of the period.
func (x *Pacer) Allowance() unit.Nanos {
	if x.plan.Mode == ASAP {
		return Unlimited
	}
	want, planned := x.wanted(x.at)
	return allowance(max(want/hurry, planned), x.plan.Unit)
}

// FirstAllowance is the Allowance of an account without a plan yet, of which only
// the daily budget is known.
func FirstAllowance(daily, unit unit.Nanos) unit.Nanos {
	return allowance(float64(daily)/(24*time.Hour).Seconds(), unit)
}

// allowance is for a spending rate in nanos a second.
func allowance(rate float64, event unit.Nanos) unit.Nanos {
	return max(unit.Nanos(burst*rate*Period.Seconds()), burstEvents*event)
}

// Unlimited is an Allowance without bound.
const Unlimited = unit.Nanos(math.MaxInt64)

// Plan is the one in force.
func (x *Pacer) Plan() *Plan { return &x.plan }

// Share is the participation in force, 0 to 1.
func (x *Pacer) Share() float64 { return x.share }

// Step sets the participation for the time until the next step: spent is what
// was committed of the plan's budget so far, requests how many requests the
// node had since the last step, and missed in how many of those the account would
// have taken part had its allowance not been spent.
func (x *Pacer) Step(now unit.WallTime, spent unit.Nanos, requests uint64, missed float64) float64 {
	d := now.Sub(x.at)
	if d <= 0 {
		return x.share
	}
	x.learn(d, spent-x.spent, requests, missed)
	x.at, x.spent = now, spent
	switch {
	case x.plan.Mode == ASAP:
		x.share = 1
	case requests == 0:
		// Nobody asked, so there is nothing to conclude: who tried harder now would
		// spend the lot in the first second of the supply's return.
	case now >= x.plan.End || spent >= x.plan.Budget:
		// Over: the lease stops it. Where money comes back (refunds, reservations
		// that nobody claimed) it goes on from where it was.
	default:
		x.share = x.next(now)
	}
	return x.share
}

// learn updates the yield and the request rate.
func (x *Pacer) learn(d time.Duration, spent unit.Nanos, requests uint64, missed float64) {
	if requests == 0 {
		return
	}
	window := yieldMost
	if spent > 0 && x.plan.Unit > 0 {
		events := float64(spent) / float64(x.plan.Unit)
		window = min(max(time.Duration(float64(d)*sample/events), yieldLeast), yieldMost)
	}
	keep := math.Exp(-float64(d) / float64(window))
	x.money = x.money*keep + float64(max(spent, 0))
	x.offered = x.offered*keep + max(x.share*float64(requests)-missed, 0)

	// Up at once, down with patience: the error that costs little.
	seen := float64(requests) / d.Seconds()
	x.rate += (1 - math.Exp(-float64(d)/float64(traffic))) * (seen - x.rate)
	x.rate = max(x.rate, seen)
}

// next is the participation at which the account would spend what the plan
// wants of it now.
func (x *Pacer) next(now unit.WallTime) float64 {
	upper := min(x.share*growth, 1)
	if x.money <= 0 || x.offered <= 0 {
		return upper // nothing sold yet: try harder
	}
	want, _ := x.wanted(now)
	full := x.money / x.offered * x.rate // nanos a second, taking part in all
	return min(max(want/full, leastShare), upper)
}

// wanted is the spending rate in nanos a second: the plan's, and a part of what
// the account is behind (or ahead, then less); and the plan's alone.
func (x *Pacer) wanted(now unit.WallTime) (want, planned float64) {
	p := &x.plan
	soon := min(now.Add(Period), p.End)
	target := p.Target(now)
	planned = float64(p.Target(soon)-target) / max(soon.Sub(now), time.Second).Seconds()
	within := min(catchUp.Seconds(), closing*p.End.Sub(now).Seconds())
	behind := float64(target-x.spent) / max(within, Period.Seconds())
	if now >= p.End.Add(-catchUp) {
		return planned + behind, planned // no time left to be patient in
	}
	return min(planned+behind, hurry*planned), planned
}
