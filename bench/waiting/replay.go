package main

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/strict"
	"millrace/codec/unit"
	"millrace/engine/demand"
	"millrace/engine/demand/partners"
)

const ms = time.Millisecond

// rate is how many auctions of a record there are in a second.
const rate = 100

// hard is the end of every wait.
const hard = 120 * ms

// policy is a way to wait.
type policy struct {
	name string
	// head is its part of the demand file.
	head string
	// cut is a fixed end, for the line in the picture; factor that of the
	// expected gains that the soft cut-offs ask for.
	cut    time.Duration
	factor float64
}

// whole waits for everybody until the hard end.
var whole = policy{name: "everybody, to the end", head: "deadlines: {margin: 10, soft: [], hard: 120ms}", cut: hard}

// fixed stops at a time, whatever is missing.
func fixed(at time.Duration) policy {
	return policy{name: fmt.Sprintf("always until %v", at), cut: at, head: fmt.Sprintf("deadlines: {margin: 10, gain_min: 1000, hard: 120ms, soft: [{at: %v, gain: 10}]}", at)}
}

// expecting stops where waiting can't pay: the shares of gain of the product's
// cut-offs times a factor.
func expecting(factor float64) policy {
	soft := partnersSoft()
	var cuts []string
	for _, s := range soft {
		cuts = append(cuts, fmt.Sprintf("{at: %v, gain: %g}", s.At, s.Gain*factor))
	}
	name := fmt.Sprintf("where it pays, gains × %g", factor)
	if factor == 1 {
		name = "where it pays (the defaults)"
	}
	return policy{name: name, head: "deadlines: {hard: 120ms, soft: [" + strings.Join(cuts, ", ") + "]}", factor: factor}
}

// partnersSoft are the soft cut-offs of a file that names none.
func partnersSoft() []partners.SoftCut {
	return book("", 1).Settings.Soft
}

func policies() []policy {
	list := []policy{
		whole,
		{name: "own timeouts only (p95 × 1.25)", head: "deadlines: {hard: 120ms, soft: []}"},
	}
	for at := 40; at <= 100; at += 10 {
		list = append(list, fixed(time.Duration(at)*ms))
	}
	for _, f := range []float64{0.25, 0.5, 1, 2, 4} {
		list = append(list, expecting(f))
	}
	return list
}

func book(head string, n int) *partners.Book {
	var s strings.Builder
	s.WriteString(head + "\npartners:\n")
	for i := range n {
		fmt.Fprintf(&s, "  - {id: p%02d, tier: 1, endpoints: [{url: https://p%02d.example.com/}]}\n", i, i)
	}
	b, faults := partners.Check("waiting.yaml", []byte(s.String()), partners.Options{Version: 1})
	if b == nil {
		panic(strict.Faults(faults).Error()) // the program's own text
	}
	return b
}

// ending is where an auction's wait ended.
type ending struct {
	auctions    int
	kept, whole float64 // what was in hand, and would have been
	waited      time.Duration
}

// outcome is what a policy came to.
type outcome struct {
	auctions int
	revenue  float64
	waits    []time.Duration
	asked    int
	cut      []ending // by soft cut-off; the last is all other ends
	full     float64  // what waiting for everybody until the hard end would earn
	seen     time.Duration
}

// replayer plays a record for one policy.
type replayer struct {
	rec  *record
	desk *demand.Desk
	req  *openrtb.BidRequest
	out  outcome
	tick unit.MonoTime
	best []unit.CPMMicros
	due  []due
}

// due is an answer on its way.
type due struct {
	at     time.Duration
	choice int
	price  unit.CPMMicros
	result demand.Result
}

var body = []byte(`{"id":"1","imp":[{"id":"1","banner":{"w":300,"h":250}}],"site":{"domain":"example.com"}}`)

func replay(rec *record, p policy) outcome {
	r := &replayer{rec: rec, desk: demand.New(demand.Default(), 0, 1, nil), req: new(openrtb.BidRequest), best: make([]unit.CPMMicros, 1)}
	if e := openrtb.Parse(body, r.req); !e.OK() {
		panic(e) // the program's own text
	}
	b := book(p.head, rec.partners)
	r.desk.Load(b, 0)
	r.out.cut = make([]ending, len(b.Settings.Soft)+1)
	for a := range rec.auctions() {
		r.play(a, unit.MonoTime(a)*unit.MonoTime(time.Second/rate))
	}
	return r.out
}

// play plays an auction that begins now.
func (r *replayer) play(a int, now unit.MonoTime) {
	for ; r.tick <= now; r.tick = r.tick.Add(demand.Every) {
		r.desk.Tick(r.tick)
	}
	plan := r.desk.Plan(&demand.Ask{Request: r.req, Size: len(body), Arrived: now, Now: now})
	var c demand.Collector
	c.Begin(r.desk, now)
	r.expect(a, &c, now)
	r.best[0] = 0
	winner, at := -1, now
	until, wait := c.Wait(r.desk, at, r.best)
	for i := 0; wait; {
		if i == len(r.due) || until < now.Add(r.due[i].at) {
			at = until
		} else {
			d := &r.due[i]
			i++
			at = now.Add(d.at)
			r.desk.Observe(&c, d.choice, &d.result, at)
			if d.price > 0 {
				r.desk.Bid(&c, d.choice, 0, d.price)
				if d.price > r.best[0] {
					r.best[0], winner = d.price, d.choice
				}
			}
		}
		until, wait = c.Wait(r.desk, at, r.best)
	}
	early := c.Early()
	c.End(r.desk, at)
	if winner >= 0 {
		r.desk.Won(&c, winner, r.best[0])
	}
	if a >= r.rec.auctions()/10 {
		r.count(a, plan, at.Sub(now), early)
	}
}

// expect notes what the calls of an auction will come to, in the order of time.
func (r *replayer) expect(a int, c *demand.Collector, now unit.MonoTime) {
	r.due = r.due[:0]
	calls := r.rec.of(a)
	for left := c.Missing(); left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		x := &c.Choices()[i]
		d := due{choice: i, at: calls[x.Partner].latency, price: calls[x.Partner].price}
		if limit := x.Deadline.Sub(now); d.at >= limit {
			d.at, d.price, d.result.Outcome = limit, 0, demand.Timeout
		} else if d.price > 0 {
			d.result.Bids = 1
		}
		d.result.Latency = d.at
		r.due = append(r.due, d)
	}
	slices.SortStableFunc(r.due, func(x, y due) int { return cmp.Compare(x.at, y.at) })
}

// count counts an auction that was waited for so long.
func (r *replayer) count(a int, plan *demand.Plan, waited time.Duration, early bool) {
	o := &r.out
	o.auctions++
	o.asked += len(plan.Choices)
	o.waits = append(o.waits, waited)
	got := r.best[0].Float()
	o.revenue += got
	full, seen := best(r.rec.of(a))
	o.full += full
	o.seen += seen
	where := len(o.cut) - 1
	if early {
		for i, s := range plan.Book.Settings.Soft {
			if waited >= s.At {
				where = i
			}
		}
	}
	e := &o.cut[where]
	e.auctions++
	e.kept += got
	e.whole += full
	e.waited += waited
}

// best is the highest bid before the hard end, and when somebody who knows all
// answers could stop.
func best(calls []call) (price float64, at time.Duration) {
	for _, c := range calls {
		if c.bidsBy(hard-1) && c.price.Float() > price {
			price, at = c.price.Float(), c.latency
		}
	}
	return price, at
}
