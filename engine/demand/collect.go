package demand

import (
	"math/bits"
	"time"

	"millrace/codec/unit"
	"millrace/engine/demand/partners"
	"millrace/engine/demand/sketch"
)

// Collector waits for the answers of one plan. It is a value: a parked auction
// keeps one, and needs nothing of the desk's scratch any more.
//
//	Begin ── Observe (a desk's), once a call ──► Wait says no: the collection is over
//	              ▲                          │
//	              └── until the next cut-off ┘
type Collector struct {
	choices [FanoutMax]Choice
	classes [partners.ImpsMax]partners.Class
	pending uint64 // choices without a result
	book    *partners.Book

	arrived, began, deadline unit.MonoTime

	size    int32
	n, imps int
	cut     uint8 // the next soft cut-off
	// patient: it waits for everybody, to learn what waiting brings.
	patient bool
	early   bool
}

// Begin takes the plan that the desk just made; its calls leave now.
func (c *Collector) Begin(d *Desk, now unit.MonoTime) {
	p := &d.plan
	c.n, c.imps = copy(c.choices[:], p.Choices), len(p.Imps)
	for i := range p.Imps {
		c.classes[i] = p.Imps[i].Class
	}
	c.pending = 1<<c.n - 1
	c.book, c.arrived, c.began, c.deadline = p.Book, p.Arrived, now, p.Deadline
	c.size, c.cut, c.early = int32(p.size), 0, false
	c.patient = false
	if c.n > 0 && p.Book.Settings.Explore > 0 {
		c.patient = d.random.Float64() < p.Book.Settings.Explore
	}
}

// Choices of the plan, in its order. Valid as long as the collector.
func (c *Collector) Choices() []Choice { return c.choices[:c.n] }

// Book with which the auction began.
func (c *Collector) Book() *partners.Book { return c.book }

// Deadline is when waiting ends, whoever is missing.
func (c *Collector) Deadline() unit.MonoTime { return c.deadline }

// Missing is the set of choices without a result, by their index.
func (c *Collector) Missing() uint64 { return c.pending }

// Early reports whether waiting ended at a soft cut-off.
func (c *Collector) Early() bool { return c.early }

// Wait says whether to wait on, and until when nothing new has to be asked.
// best is what is in hand for each impression, in CPM of the auction's currency
// and at its worth; 0 is nothing.
//
// At a soft cut-off waiting ends if the missing bids are expected to bring less
// than its share of what is in hand, or than the least gain worth waiting for.
// A cut-off that went by unasked is asked late.
func (c *Collector) Wait(d *Desk, now unit.MonoTime, best []unit.CPMMicros) (until unit.MonoTime, wait bool) {
	if c.pending == 0 || now >= c.deadline {
		return now, false
	}
	soft := c.book.Settings.Soft
	due := -1
	for int(c.cut) < len(soft) && now >= c.arrived.Add(soft[c.cut].At) {
		due = int(c.cut)
		c.cut++
	}
	if due >= 0 && !c.patient && !c.pays(d, now, best, soft[due].Gain) {
		c.early = true
		return now, false
	}
	until = c.deadline
	if int(c.cut) < len(soft) {
		until = min(until, c.arrived.Add(soft[c.cut].At))
	}
	return until, true
}

// pays compares what the missing bids are expected to bring with what they have to.
func (c *Collector) pays(d *Desk, now unit.MonoTime, best []unit.CPMMicros, share float64) bool {
	inHand := 0.0
	for i := range min(c.imps, len(best)) {
		inHand += float64(max(best[i], 0))
	}
	return c.Gain(d, now, best) >= max(share*inHand, float64(c.book.Settings.GainMin))
}

// Gain is how much the missing bids are expected to raise the sum of the best,
// in CPM micros:
//
//	Σ over impressions ∫ from best of 1 − Π over missing (1 − q·P(price ≥ x)) dx
//
// with q the probability that a bid comes in the time its call has left, if
// nothing came so far, and prices at the middle of their buckets.
func (c *Collector) Gain(d *Desk, now unit.MonoTime, best []unit.CPMMicros) (sum float64) {
	var chance [FanoutMax]float32
	since := now.Sub(c.began)
	some := false
	for left := c.pending; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		chance[i] = c.chance(d, i, since)
		some = some || chance[i] > 0
	}
	if !some {
		return 0
	}
	for imp := range c.imps {
		has := unit.CPMMicros(0)
		if imp < len(best) {
			has = max(best[imp], 0)
		}
		sum += c.gainOf(d, imp, has, &chance)
	}
	return sum
}

// chance is the probability that choice i brings a bid in its time, without an
// answer so far.
func (c *Collector) chance(d *Desk, i int, since time.Duration) float32 {
	choice := &c.choices[i]
	if d.partner(c, choice.Partner) == nil {
		return 0
	}
	return d.tables.curve[choice.Partner].Within(since, min(choice.Deadline, c.deadline).Sub(c.began))
}

// gainOf is the integral for one impression.
func (c *Collector) gainOf(d *Desk, imp int, has unit.CPMMicros, chance *[FanoutMax]float32) (gain float64) {
	from := sketch.PriceBucket(has)
	if sketch.PriceOf(from) <= has {
		if from++; from == sketch.PriceBuckets {
			return 0
		}
	}
	var none sketch.Prices // P(nobody bids in the bucket or above)
	rest := none[from:]
	for k := range rest {
		rest[k] = 1
	}
	for left := c.pending; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		if q := chance[i]; q > 0 && c.choices[i].Imps.Has(imp) {
			reach := d.tables.reach[c.choices[i].Partner][c.classes[imp]][from:][:len(rest)]
			for k := range rest {
				if reach[k] == 0 {
					break // nor above
				}
				rest[k] *= 1 - q*reach[k]
			}
		}
	}
	below := has
	for k := range rest {
		price := sketch.PriceOf(from + k)
		gain += float64(price-below) * float64(1-rest[k])
		below = price
	}
	return gain
}

// End gives up what is missing: each such call counts as cancelled. The caller
// cancels them, by Missing before.
func (c *Collector) End(d *Desk, now unit.MonoTime) {
	r := Result{Outcome: Cancelled, Latency: now.Sub(c.began)}
	for c.pending != 0 {
		d.Observe(c, bits.TrailingZeros64(c.pending), &r, now)
	}
}
