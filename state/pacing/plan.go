package pacing

import (
	"math"
	"time"

	"millrace/codec/unit"
)

// Mode is how a budget is spread.
type Mode uint8

// Modes.
const (
	// Even spends in proportion to the expected traffic.
	Even Mode = iota
	// FrontLoaded spends the first half of the traffic faster: two thirds of the
	// budget in the first half, so that a late shortage of supply costs little.
	FrontLoaded
	// ASAP takes part in every auction until the money is gone.
	ASAP
)

var modeNames = [...]string{"even", "front_loaded", "asap"}

// String is the mode's name in the catalog.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "unknown"
}

// ModeNames are the names of the modes, in their order.
func ModeNames() []string { return modeNames[:] }

// Plan is a budget and the interval over which it is spent: for a daily budget
// a calendar day of the campaign's zone, 23 to 25 hours.
type Plan struct {
	Mode       Mode
	Budget     unit.Nanos
	Start, End unit.WallTime
	// Hours says which hours from Start on it may serve in: bit i is the hour
	// that begins i hours after Start. Zero is all of them.
	Hours uint32
	// Unit is what one billable event costs, about: it tells how much noise
	// there is in what was spent.
	Unit unit.Nanos

	// shares[i] is the part of the traffic expected before hour i of the plan,
	// as forecast when the plan was laid: were it to follow every correction of
	// the forecast, what is already spent would turn into a lead or a lag.
	shares [hoursMost + 1]float32
}

// hoursMost bounds the length of a plan: a day with a clock set back, and the
// broken hours of zones off the full hour.
const hoursMost = 26

// Lay fixes the plan's course by the forecast. Start and End are at most
// 26 hours apart; nothing else of the plan may change afterwards.
func (p *Plan) Lay(f *Forecast) {
	sum := 0.0
	var sums [hoursMost + 1]float64
	for i := range hoursMost {
		from := p.Start.Add(time.Duration(i) * time.Hour)
		if p.Hours == 0 || p.Hours>>i&1 == 1 {
			sum += f.Mass(min(from, p.End), min(from.Add(time.Hour), p.End))
		}
		sums[i+1] = sum
	}
	for i := range sums {
		p.shares[i] = float32(sums[i] / max(sum, math.SmallestNonzeroFloat64))
	}
}

// Share is the part of the plan's traffic that comes before now, 0 to 1.
func (p *Plan) Share(now unit.WallTime) float64 {
	if now >= p.End {
		return 1
	}
	d := max(now-p.Start, 0)
	i := min(d/hour, hoursMost-1)
	length := min(hour, p.End-p.Start-i*hour)
	part := float64(d-i*hour) / float64(length)
	from := float64(p.shares[i])
	return from + part*(float64(p.shares[i+1])-from)
}

// frontWeight is how much faster than even a front-loaded plan starts: the
// budget spent over the share x of the traffic is x·(1+w·(1−x)), which is two
// thirds at a half.
const frontWeight = 2.0 / 3

// Target is what should have been spent at now.
func (p *Plan) Target(now unit.WallTime) unit.Nanos {
	x := p.Share(now)
	switch p.Mode {
	case ASAP:
		return p.Budget
	case FrontLoaded:
		x *= 1 + frontWeight*(1-x)
	}
	return unit.Nanos(x * float64(p.Budget))
}

// DayShare is the part of what remains of a total budget that belongs to the
// interval [from, to) of a flight that ends at end: its part of the traffic
// still expected.
func DayShare(f *Forecast, remaining unit.Nanos, from, to, end unit.WallTime) unit.Nanos {
	rest := f.Mass(from, end)
	if to >= end || rest <= 0 {
		return remaining
	}
	return unit.Nanos(float64(remaining) * f.Mass(from, to) / rest)
}

// Period is how often a Pacer is meant to be stepped.
const Period = 10 * time.Second
