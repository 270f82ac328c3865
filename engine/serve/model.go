package serve

import (
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/selection"
	"millrace/models/ladder"
	"millrace/models/rollout"
)

// ModelSwap is what a shard predicts with from now on: by arm, a model made
// ready for the catalog in force with the shard's own scorers, or nil; and whom
// each arm serves.
type ModelSwap struct {
	Arms       [2]*selection.Arm
	Assignment rollout.Assignment
	Plan       *rollout.Plan
}

// SetModels swaps models, inside the shard's turn: a decision before it knows
// only the old ones, a decision after it only the new.
func (c *Core) SetModels(m *ModelSwap) {
	c.predictor.SetArms(m.Arms)
	if m.Plan != nil && *c.recorder.Assignment() != m.Assignment {
		c.recorder.Begin(m.Assignment, m.Plan, c.shard.Now())
	}
	c.assignment = m.Assignment
	c.modelled = m.Arms[rollout.Stable] != nil
}

// choose says by what a request is decided. Who is not known is hashed by the
// request, which a repeated one repeats.
func (c *Core) choose(x *Context) selection.Choice {
	by := selection.Choice{Arm: c.assignment.Arm(lot(x))}
	if c.modelled {
		by.Rung = c.ladder.Choose()
	}
	return by
}

// lot is what a request's share of a rollout is drawn by.
func lot(x *Context) uint64 { return uint64(x.User.ID) }

// batchCost counts the decisions of a batch, by rung, until their cost is known.
type batchCost struct {
	decided [ladder.Rungs]uint32
	failed  [ladder.Rungs]uint32
	total   uint32
}

// chose notes a decision for the ladder and the rollout.
func (c *Core) chose(x *Context, by selection.Choice) {
	if !c.modelled {
		return
	}
	failed := c.predictor.Failed()
	c.batch.decided[by.Rung]++
	c.batch.total++
	if failed {
		c.batch.failed[by.Rung]++
		c.count(c.m.predictionsFailed)
	}
	c.count(c.m.rungs[by.Rung])
	c.count(c.m.arms[by.Arm])
	c.shard.Counters().Add(c.m.scored, uint64(c.sel.Scores()))
	c.recorder.Request(by.Arm, lot(x), failed, c.shard.Now())
}

// tellLadder reports what the batch's decisions cost. The clock is read once a
// batch: what a decision costs is the batch's time by their number, waiting for
// each other and whatever else the batch did included, for that is what a
// request waits.
func (c *Core) tellLadder() {
	if c.batch.total == 0 {
		return
	}
	now := c.shard.Now()
	cost := c.cfg.Clock.Mono().Sub(now) / time.Duration(c.batch.total)
	before := c.ladder.Rung()
	for r := range c.batch.decided {
		for i := range c.batch.decided[r] {
			c.ladder.Observe(ladder.Rung(r), cost, i < c.batch.failed[r], now)
		}
	}
	if rung := c.ladder.Rung(); rung != before {
		c.count(c.m.rungChanges[rung])
	}
	c.batch = batchCost{}
}

// policy is what chose a win, for its tokens. During a trial the other arm's
// model predicts it too: both are judged by the same impressions.
func (c *Core) policy(by selection.Choice, creative uint32) (p event.Policy) {
	ctr, cvr := c.sel.Rates()
	if explored := c.decision.choice.Explored; explored && ctr <= 0 {
		// Nothing was predicted of it, but it was drawn.
		return event.Policy{Explored: true, Arm: uint8(by.Arm), Propensity: event.NewProbability(c.decision.choice.Propensity)}
	} else if ctr <= 0 {
		return p
	}
	p = event.Policy{
		Model: c.assignment.Version(by.Arm), Epoch: c.assignment.Epoch, Arm: uint8(by.Arm), Rung: uint8(by.Rung),
		Click: event.NewProbability(ctr), Conversion: event.NewProbability(cvr), Propensity: event.NewProbability(c.decision.choice.Propensity),
		Explored: c.decision.choice.Explored,
	}
	if c.assignment.Trial() {
		if other, ok := c.sel.Other(rollout.Challenger-by.Arm, creative); ok {
			p.Other = event.NewProbability(other)
		}
	}
	return p
}

// judge lets an event that was not seen before count for or against the models
// that predicted it.
func (c *Core) judge(t *event.Token, billed unit.Nanos) {
	p := &t.Policy
	if !c.assignment.Trial() || p.Epoch != c.assignment.Epoch || p.Click == 0 {
		return
	}
	now := c.shard.Now()
	b := rollout.Bid{Epoch: p.Epoch, Arm: rollout.Arm(p.Arm), User: uint64(t.User), At: now.Add(-c.shard.Wall().Sub(t.Issued))}
	b.Rates[p.Arm&1], b.Rates[1-p.Arm&1] = float32(p.Click.Float()), float32(p.Other.Float())
	if p.Other > 0 {
		switch t.Kind {
		case event.Impression:
			c.recorder.Impression(&b, now)
		case event.Click:
			c.recorder.Click(&b, now)
		}
	}
	if billed > 0 {
		c.recorder.Revenue(&b, billed, now)
	}
}

// ModelStatus is what a shard knows of its models.
type ModelStatus struct {
	Rung       ladder.Rung
	Downs, Ups [ladder.Rungs]uint64
	Totals     rollout.Totals
	// Missing and Stale count feature values, by column.
	Missing, Stale []uint64
}

// ModelStatus is the shard's, inside its turn.
func (c *Core) ModelStatus() ModelStatus {
	f := c.predictor.Features()
	return ModelStatus{
		Rung: c.ladder.Rung(), Downs: c.ladder.Downs, Ups: c.ladder.Ups, Totals: *c.recorder.Totals(c.shard.Now()),
		Missing: append([]uint64(nil), f.Missing...), Stale: append([]uint64(nil), f.Stale...),
	}
}

// Creatives are the creatives' events over the whole node, as this shard knows
// them, inside its turn: what semi-fresh features of ads are made of.
func (c *Core) Creatives() map[unit.CreativeID]selection.Counts { return c.rates.Totals() }
