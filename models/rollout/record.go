package rollout

import (
	"math"
	"time"

	"millrace/codec/unit"
)

// groups of users in each arm, whose totals show the spread of revenue.
const groups = 16

// slots of time that a Recorder keeps open. A bid matures after slots−1 of them
// at least.
const slots = 16

// one is 1 in the fixed point of losses and predictions.
const one = 1 << 30

// rateMin keeps a log loss finite: no prediction is taken as surer than this.
const rateMin = 1e-6

// differenceMax bounds what one impression can say about two models' log
// losses, in nats; the test of the difference needs a bound.
const differenceMax = 4

// Counts of one arm. Sums of losses and predictions are in units of 2^-30.
type Counts struct {
	Requests, Faults    uint64
	Impressions, Clicks uint64
	// Predicted clicks and log loss, by model: what each says of the arm's
	// impressions.
	Predicted [arms]uint64
	Loss      [arms]int64
	// Difference is the sum over impressions of the challenger's log loss less
	// (1 + tolerance) times the stable model's, rounded down; Squares is that of
	// its squares, rounded up.
	Difference int64
	Squares    uint64
	// By group of users: requests, and nanos of revenue.
	GroupRequests [groups]uint64
	GroupRevenue  [groups]int64
}

func (c *Counts) add(d *Counts) {
	c.Requests += d.Requests
	c.Faults += d.Faults
	c.Impressions += d.Impressions
	c.Clicks += d.Clicks
	for m := range arms {
		c.Predicted[m] += d.Predicted[m]
		c.Loss[m] += d.Loss[m]
	}
	c.Difference += d.Difference
	c.Squares += d.Squares
	for g := range groups {
		c.GroupRequests[g] += d.GroupRequests[g]
		c.GroupRevenue[g] += d.GroupRevenue[g]
	}
}

// Totals are the matured counts of both arms under one epoch.
type Totals struct {
	Epoch uint16
	Arms  [arms]Counts
	// Late is events that came after their bid had matured.
	Late uint64
}

// Add merges another shard's. Totals of another epoch add nothing.
func (t *Totals) Add(o *Totals) {
	if t.Epoch != o.Epoch {
		return
	}
	t.Late += o.Late
	for a := range arms {
		t.Arms[a].add(&o.Arms[a])
	}
}

// Bid is what a tracking token has to carry for its events to be counted: when
// it was issued, under which epoch, in which arm, for whom, and what both models
// said of the winner.
type Bid struct {
	Epoch uint16
	Arm   Arm
	User  uint64
	// At is when the decision was made.
	At unit.MonoTime
	// Rates are the calibrated click rates by model.
	Rates [arms]float32
}

// Recorder is one shard's counts. Owned by the shard; holds no pointers.
type Recorder struct {
	assignment Assignment
	tolerance  float64 // Plan.LossWorse
	width      time.Duration
	current    int64 // number of the slot in which now is
	open       [slots][arms]Counts
	totals     Totals
}

// NewRecorder counts nothing until Begin. maturity is how long after its bid an
// event counts.
func NewRecorder(maturity time.Duration) Recorder {
	return Recorder{width: max(maturity/(slots-1), 1)}
}

// Begin takes a new assignment; what was counted under the last one is gone.
func (r *Recorder) Begin(a Assignment, p *Plan, now unit.MonoTime) {
	*r = Recorder{assignment: a, tolerance: p.LossWorse, width: r.width, current: int64(now) / int64(r.width)}
	r.totals.Epoch = a.Epoch
}

// Assignment is the one being counted.
func (r *Recorder) Assignment() *Assignment { return &r.assignment }

// Totals are what has matured by now.
func (r *Recorder) Totals(now unit.MonoTime) *Totals {
	r.advance(now)
	return &r.totals
}

// advance folds the slots that no event can reach any more into the totals.
func (r *Recorder) advance(now unit.MonoTime) {
	to := int64(now) / int64(r.width)
	if to-r.current >= slots {
		// Everything open has matured, in whatever slot it is.
		r.current = to - slots
	}
	for ; r.current < to; r.current++ {
		slot := &r.open[(r.current+1)%slots]
		for a := range arms {
			r.totals.Arms[a].add(&slot[a])
			slot[a] = Counts{}
		}
	}
}

// slot is where a bid's events are counted; nil when they are not: another
// epoch, no trial, or too late.
func (r *Recorder) slot(epoch uint16, arm Arm, at, now unit.MonoTime) *Counts {
	if !r.assignment.Trial() || epoch != r.assignment.Epoch || arm >= arms {
		return nil
	}
	r.advance(now)
	n := int64(at) / int64(r.width)
	if at < 0 || n <= r.current-slots || n > r.current {
		r.totals.Late++
		return nil
	}
	return &r.open[n%slots][arm]
}

// Request counts a decision; failed when its model gave no prediction.
func (r *Recorder) Request(arm Arm, user uint64, failed bool, now unit.MonoTime) {
	c := r.slot(r.assignment.Epoch, arm, now, now)
	if c == nil {
		return
	}
	c.Requests++
	c.GroupRequests[r.assignment.group(user)]++
	if failed {
		c.Faults++
	}
}

// Impression counts an impression that had no click yet.
func (r *Recorder) Impression(b *Bid, now unit.MonoTime) {
	if c := r.slot(b.Epoch, b.Arm, b.At, now); c != nil {
		j := r.judge(b, false)
		c.Impressions++
		for m := range arms {
			c.Predicted[m] += uint64(clip(b.Rates[m]) * one)
		}
		j.into(c, 1)
	}
}

// Click turns a counted impression into one with a click. Duplicates are the
// caller's to keep away.
func (r *Recorder) Click(b *Bid, now unit.MonoTime) {
	if c := r.slot(b.Epoch, b.Arm, b.At, now); c != nil {
		before, after := r.judge(b, false), r.judge(b, true)
		c.Clicks++
		before.into(c, -1)
		after.into(c, 1)
	}
}

// Revenue counts what an event of the bid was billed.
func (r *Recorder) Revenue(b *Bid, nanos unit.Nanos, now unit.MonoTime) {
	if c := r.slot(b.Epoch, b.Arm, b.At, now); c != nil {
		c.GroupRevenue[r.assignment.group(b.User)] += int64(nanos)
	}
}

// judgement of one impression, in fixed point.
type judgement struct {
	loss       [arms]int64
	difference int64
	square     int64
}

func (j *judgement) into(c *Counts, sign int64) {
	for m := range arms {
		c.Loss[m] += sign * j.loss[m]
	}
	c.Difference += sign * j.difference
	c.Squares += uint64(sign * j.square)
}

func clip(p float32) float64 {
	if !(float64(p) > rateMin) { // NaN too
		return rateMin
	}
	return min(float64(p), 1-rateMin)
}

func (r *Recorder) judge(b *Bid, click bool) (j judgement) {
	var loss [arms]float64
	for m := range arms {
		p := clip(b.Rates[m])
		if !click {
			p = 1 - p
		}
		loss[m] = -math.Log(p)
		j.loss[m] = int64(loss[m] * one)
	}
	x := loss[Challenger] - (1+r.tolerance)*loss[Stable]
	x = min(max(x, -differenceMax), differenceMax)
	j.difference = int64(math.Floor(x * one))
	j.square = int64(math.Ceil(x * x * one))
	return j
}
