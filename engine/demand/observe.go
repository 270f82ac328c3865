package demand

import (
	"math"

	"millrace/codec/unit"
	"millrace/engine/demand/breaker"
	"millrace/engine/demand/partners"
	"millrace/engine/demand/sketch"
)

// Observe takes what a call of a collection came to: no more is to be expected
// of it.
func (d *Desk) Observe(c *Collector, i int, r *Result, now unit.MonoTime) {
	first := c.pending>>i&1 != 0
	c.pending &^= 1 << i
	choice := &c.choices[i]
	x := d.partner(c, choice.Partner)
	if x == nil {
		return
	}
	x.counts.note(r)
	switch {
	case r.Unsent && first:
		x.calls.back(callUnits, 1)
		x.bytes.back(int64(c.size), int64(c.size))
		d.egress.back(int64(c.size), int64(c.size))
	case r.Sent > 0:
		x.bytes.spend(int64(r.Sent) - int64(c.size))
		d.egress.spend(int64(r.Sent) - int64(c.size))
	}
	if r.Unsent && r.Outcome == Cancelled && !choice.Probe {
		return // our doing, not the partner's; a probe has to make room for another
	}
	s := d.sample(choice, x, r)
	says := d.book.Settings.Breaker.Says(&s)
	// A probe that fails tells the circuit what it was sent for, and no more: what
	// a partner did while it was ill would be held against it when it is well.
	if r.Outcome != Refused && !r.Unsent && (says == breaker.Well || !choice.Probe) {
		d.learn(c, choice, x, r)
	}
	switch says {
	case breaker.Ill:
		x.news.add(nIll, 1)
	case breaker.Well:
		x.news.add(nWell, 1)
	}
	d.feed(choice.Partner, x, r, &s, now)
}

// partner is that of a collection, nil if its place is another's by now.
func (d *Desk) partner(c *Collector, p partners.ID) *partner {
	if c.book == nil || int(p) >= len(d.who) || d.who[p].name != c.book.Partners[p].Name {
		return nil
	}
	return &d.who[p]
}

// learn counts a call that was sent.
func (d *Desk) learn(c *Collector, choice *Choice, x *partner, r *Result) {
	n := &x.news
	at, bucket := latAt, sketch.Bucket(r.Latency)
	switch {
	case r.Outcome == Timeout || r.Outcome == Cancelled:
		at += 2 * sketch.Buckets
	case r.Outcome == Answered && r.Bids > r.Lies:
		n.add(nBids, 1)
	default: // an error is an answer of a kind: nothing more will come
		at += sketch.Buckets
	}
	n.add(at+bucket, 1)
	n.add(nCalls, 1)
	for i := range c.imps {
		if choice.Imps.Has(i) {
			n.add(nAsked+int(c.classes[i]), 1)
		}
	}
}

// feed tells the circuit.
func (d *Desk) feed(p partners.ID, x *partner, r *Result, s *breaker.Sample, now unit.MonoTime) {
	cfg := &d.book.Settings.Breaker
	was := x.circuit.State()
	x.circuit.Observe(cfg, s, now)
	if was == breaker.HalfOpen && x.circuit.State() == breaker.Closed {
		d.readmit(p, x)
	}
	if r.Outcome == Limited {
		after := r.RetryAfter
		if after <= 0 {
			after = cfg.OpenMin
		}
		if until, changed := x.circuit.Hold(after, now); changed {
			d.tellHold(p, until)
		}
	}
	d.note(p, &x.circuit)
}

// sample is what a call says of its partner's health.
func (d *Desk) sample(choice *Choice, x *partner, r *Result) breaker.Sample {
	s := breaker.Sample{Latency: r.Latency, Bids: uint32(r.Bids), Lies: uint32(r.Lies), Probe: choice.Probe}
	switch r.Outcome {
	case Answered:
	case Cancelled:
		// Given up early says nothing; given up after its p95 it was late.
		s.Silent, s.Error = true, x.p95 < sketch.Longest && r.Latency > x.p95
		if !s.Error {
			s.Doubt = doubt(d.tables.curve[choice.Partner].Survives(r.Latency))
		}
	case Timeout:
		s.Silent, s.Error = true, true
	default:
		s.Error = true
	}
	return s
}

// doubt is what a silence is worth of a failure, where a share of a well partner's
// calls has no answer yet: a failure is what befalls one call in four, and two in
// a row of one in two are as good as one.
func doubt(silent float32) float32 {
	if silent >= 1 {
		return 0
	}
	return min(float32(math.Log2(float64(max(silent, 0.01))))/-2, 1)
}

// Bid takes the best bid of a call on an impression that stood, at its worth:
// adjusted, in the auction's currency.
func (d *Desk) Bid(c *Collector, i, imp int, price unit.CPMMicros) {
	x := d.partner(c, c.choices[i].Partner)
	if x == nil || imp >= c.imps {
		return
	}
	x.counts.Offers++
	x.news.add(nOffers, 1)
	x.news.add(pricesAt+int(c.classes[imp])*sketch.PriceBuckets+sketch.PriceBucket(price), 1)
}

// Won takes a bid that won its auction, and what it is worth.
func (d *Desk) Won(c *Collector, i int, price unit.CPMMicros) {
	x := d.partner(c, c.choices[i].Partner)
	if x == nil {
		return
	}
	x.counts.Wins++
	x.counts.Value += price
	x.news.add(nWins, 1)
	x.news.add(nValue, uint32(min(max(price, 0)/1000, math.MaxUint32)))
}
