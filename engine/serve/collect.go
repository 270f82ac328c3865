package serve

import (
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/demand"
	"millrace/netio/dsp"
)

// endDemand lets what bidders answered count, ends the auctions that need not wait
// any longer, and lets what was sent leave.
func (c *Core) endDemand() {
	f := c.demand
	if f == nil {
		return
	}
	next := f.bidders.Tick(c.shard.Now())
	c.collect()
	if next < f.tickAt || f.tick == 0 {
		if f.tick != 0 {
			c.shard.Cancel(f.tick)
		}
		f.tickAt = next
		f.tick = c.shard.After(min(next.Sub(c.shard.Now()), patience), timerBidders, 0)
	}
	f.bidders.Flush()
}

// collect takes the calls that have come back, then looks at their auctions, each
// once however many of its calls came.
func (c *Core) collect() {
	f := c.demand
	for {
		back, ok := f.bidders.Next()
		if !ok {
			break
		}
		k := f.calls[back.Tag]
		if k.of == nil || k.back {
			continue
		}
		c.cameBack(k)
	}
	for _, a := range f.changed {
		a.changed = false
		if a.x != nil {
			c.reconsider(a)
		}
	}
	f.changed = f.changed[:0]
}

// cameBack reads what a bidder answered and judges it bid by bid.
func (c *Core) cameBack(k *call) {
	f, a := c.demand, k.of
	k.back = true
	a.open--
	outcome := demand.Broken
	switch k.Outcome {
	case dsp.Answered:
		outcome = c.read(k)
	case dsp.TimedOut:
		outcome = demand.Timeout
	case dsp.TooLarge, dsp.BadEncoding:
		outcome = demand.Malformed
	case dsp.Unprocessed:
		outcome = demand.Refused
	}
	c.ended(k, outcome)
	if !a.changed {
		a.changed = true
		f.changed = append(f.changed, a)
	}
}

// read is what an HTTP answer comes to.
func (c *Core) read(k *call) demand.Outcome {
	if k.Status == 429 || k.Status == 503 {
		return demand.Limited
	}
	k.answer, _ = openrtb.ReadAnswer(int(k.Status), k.Response, &k.view)
	c.count(c.m.answers[k.answer])
	switch k.answer {
	case openrtb.BadStatus:
		return demand.BadStatus
	case openrtb.EmptyBody, openrtb.Malformed:
		return demand.Malformed
	case openrtb.Bids:
		c.judgeBids(k)
	}
	return demand.Answered
}

// judgeBids holds each bid against what its bidder was sent.
func (c *Core) judgeBids(k *call) {
	f, a := c.demand, k.of
	if f.judging != a {
		f.judge.Begin(&a.x.Request, &a.policy)
		f.judging = a
	}
	if !f.judge.IDMatches(&k.view) {
		c.count(c.m.answersMisnamed)
	}
	k.verdicts = append(k.verdicts, f.judge.JudgeSent(&k.view, &k.edit)...)
	for i := range k.verdicts {
		v := &k.verdicts[i]
		if v.Reason == openrtb.Accepted {
			v.Reason = f.screen.Bid(a.book, a.publisher, k.partner, &k.view, &k.view.Bids[i])
		}
		c.count(c.m.bids[v.Reason])
		k.lost = append(k.lost, v.Reason.Loss())
		k.groups = append(k.groups, 0)
	}
	for i := range k.verdicts {
		if k.verdicts[i].Reason == openrtb.Accepted {
			c.stands(k, i)
		}
	}
}

// stands notes a bid that stands: the desk hears of a call's best on each
// impression, the collector of the best of all.
func (c *Core) stands(k *call, i int) {
	v := &k.verdicts[i]
	worth := k.worth(v)
	k.of.best[v.Imp] = max(k.of.best[v.Imp], worth)
	for j := range k.verdicts {
		o := &k.verdicts[j]
		if j != i && o.Imp == v.Imp && o.Reason == openrtb.Accepted && (k.worth(o) > worth || k.worth(o) == worth && j < i) {
			return
		}
	}
	c.demand.desk.Bid(&k.of.collector, k.choice, int(v.Imp), worth)
}

// worth is what a bid is worth to us, in the auction's currency: adjusted, but
// for an agreed price.
func (k *call) worth(v *openrtb.Verdict) unit.CPMMicros {
	if v.At == openrtb.FixedPrice {
		return v.Price
	}
	return k.partner.Adjusted(v.Price)
}

// ended tells the desk and the collector how a call ended.
func (c *Core) ended(k *call, o demand.Outcome) {
	f, a := c.demand, k.of
	k.outcome = o
	c.count(c.m.callsEnded[o])
	r := &f.result
	*r = demand.Result{Outcome: o, Latency: c.latency(k, o), RetryAfter: k.RetryAfter, Bids: len(k.verdicts), Unsent: k.unsent}
	for i := range k.verdicts {
		if demand.Lies(k.verdicts[i].Reason) {
			r.Lies++
		}
	}
	f.desk.Observe(&a.collector, k.choice, r, c.shard.Now())
}

// latency is from Send to the end of the call, or to now where it has none.
func (c *Core) latency(k *call, o demand.Outcome) time.Duration {
	switch o {
	case demand.Refused:
		return 0
	case demand.Cancelled, demand.Timeout:
		return max(c.shard.Now().Sub(k.Sent), 0)
	}
	return max(k.Done.Sub(k.Sent), 0)
}

// reconsider ends an auction that waits for nothing, or whose waiting can't pay.
func (c *Core) reconsider(a *parked) {
	if a.open == 0 {
		c.conclude(a)
		return
	}
	c.arm(a)
}

// arm sets the timer of the auction's next cut-off, or ends it where there is
// nothing to wait for.
func (c *Core) arm(a *parked) {
	now := c.shard.Now()
	until, wait := a.collector.Wait(c.demand.desk, now, a.best)
	if wait {
		if a.timer != 0 {
			c.shard.Cancel(a.timer)
		}
		a.timer = c.shard.After(max(until.Sub(now), 0), timerCutoff, uint64(a.slot)<<32|uint64(a.lives))
		if a.timer != 0 {
			return
		}
		// Without a timer nothing would end it.
	}
	c.conclude(a)
}

// cutoff is an auction's timer.
func (c *Core) cutoff(arg uint64) {
	a := c.demand.slots[arg>>32]
	if a.x == nil || a.lives != uint32(arg) {
		return
	}
	a.timer = 0
	c.collect() // what has arrived counts
	if a.x != nil && a.lives == uint32(arg) {
		c.reconsider(a)
	}
}

// conclude ends the waiting and decides the auction.
func (c *Core) conclude(a *parked) {
	f, now := c.demand, c.shard.Now()
	if a.timer != 0 {
		c.shard.Cancel(a.timer)
		a.timer = 0
	}
	for _, k := range a.calls {
		if k.back {
			continue
		}
		f.bidders.Cancel(&k.Call)
		k.back, k.Response = true, nil
		a.open--
		if now >= k.Deadline {
			c.ended(k, demand.Timeout)
		} else {
			c.ended(k, demand.Cancelled)
		}
	}
	x := a.x
	c.settle(x, a)
	f.desk.Answered(now.Sub(a.arrived), now)
	f.leave(a)
	c.fx.Reply(x)
}
