package pacing

import (
	"math"
	"time"

	"millrace/codec/unit"
)

const (
	// careful bounds what an account of which nothing is known spends until the
	// first step, if every request bought of it: a share of its budget.
	careful = 0.01
	// unknownRate is the traffic assumed before any was seen, in requests a second.
	unknownRate = 1000
	// leastShare is what an account keeps trying with, ahead of plan or not
	// sold: without a few auctions it would not notice that times have changed.
	leastShare = 1e-6
	// growth bounds how much more a step may take part than the one before.
	growth = 2.0
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

// StartShare is the participation with which to begin where nothing was learnt:
// a day's budget can be a second's traffic. rate is in requests a second, 0 if
// unknown.
func StartShare(budget, unit unit.Nanos, rate float64) float64 {
	if budget <= 0 || unit <= 0 {
		return 1
	}
	if rate <= 0 {
		rate = unknownRate
	}
	worst := float64(unit) * rate * Period.Seconds()
	return min(max(careful*float64(budget)/worst, leastShare), 1)
}

// Begin takes a plan at now, with what was already spent of it and a
// participation to begin with: a new day, a changed budget, a restart. What was
// learnt about the yield stays.
func (x *Pacer) Begin(p Plan, now unit.WallTime, spent unit.Nanos, share float64) {
	x.plan, x.at, x.spent, x.share = p, now, spent, share
	if p.Mode == ASAP {
		x.share = 1
	}
}

// Plan is the one in force.
func (x *Pacer) Plan() *Plan { return &x.plan }

// Share is the participation in force, 0 to 1.
func (x *Pacer) Share() float64 { return x.share }

// Step sets the participation for the time until the next step: spent is what
// was committed of the plan's budget so far, requests how many requests the
// node had since the last step.
func (x *Pacer) Step(now unit.WallTime, spent unit.Nanos, requests uint64) float64 {
	d := now.Sub(x.at)
	if d <= 0 {
		return x.share
	}
	x.learn(d, spent-x.spent, requests)
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
func (x *Pacer) learn(d time.Duration, spent unit.Nanos, requests uint64) {
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
	x.offered = x.offered*keep + x.share*float64(requests)

	// Up at once, down with patience: the error that costs little.
	seen := float64(requests) / d.Seconds()
	x.rate += (1 - math.Exp(-float64(d)/float64(traffic))) * (seen - x.rate)
	x.rate = max(x.rate, seen)
}

// next is the participation at which the account would spend what the plan
// wants of it now.
func (x *Pacer) next(now unit.WallTime) float64 {
	want := x.wanted(now)
	if want <= 0 {
		return max(x.share/growth, leastShare)
	}
	upper := min(x.share*growth, 1)
	if x.money <= 0 {
		return upper // nothing sold yet: try harder
	}
	full := x.money / x.offered * x.rate // nanos a second, taking part in all
	return min(max(want/full, leastShare), upper)
}

// wanted is the spending rate in nanos a second: the plan's, and a part of what
// the account is behind (or ahead, then less).
func (x *Pacer) wanted(now unit.WallTime) float64 {
	p := &x.plan
	soon := min(now.Add(Period), p.End)
	target := p.Target(now)
	planned := float64(p.Target(soon)-target) / soon.Sub(now).Seconds()
	within := min(catchUp.Seconds(), closing*p.End.Sub(now).Seconds())
	behind := float64(target-x.spent) / max(within, Period.Seconds())
	if now >= p.End.Add(-catchUp) {
		return planned + behind // no time left to be patient in
	}
	return min(planned+behind, hurry*planned)
}
