package storm

import (
	"fmt"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// Result is what became of a run.
type Result struct {
	Seed       uint64         `json:"seed"`
	Simulated  time.Duration  `json:"simulated_ns"`
	Nodes      int            `json:"nodes"`
	Shards     int            `json:"shards"`
	Events     uint64         `json:"events"`
	Requests   uint64         `json:"requests"`
	Bids       uint64         `json:"bids"`
	Acked      uint64         `json:"acknowledged"`
	Posted     uint64         `json:"posted"`
	Recorded   uint64         `json:"recorded"`
	Granted    uint64         `json:"granted"`
	Nanos      int64          `json:"posted_nanos"`
	Under      float64        `json:"under_delivery"` // the largest part of a budget left, of campaigns with demand
	Judged     int            `json:"delivery_judged"`
	Locked     int64          `json:"locked_nanos"` // in leases of machines that were lost with their disks
	Takes      uint64         `json:"counter_calls"`
	Commits    uint64         `json:"ledger_calls"`
	Flipped    int            `json:"flipped_bytes"` // of audit chains, each found or a violation
	Refunded   uint64         `json:"refunded"`
	Back       int64          `json:"refunded_nanos"`
	Faults     [Faults]uint64 `json:"faults"`
	Violations []Violation    `json:"violations,omitempty"`

	plan []planned
}

// Failed reports whether an invariant was breached.
func (r *Result) Failed() bool { return len(r.Violations) > 0 }

// draw makes what the configuration leaves open.
func draw(c *Config) settings {
	r := newRand(c.Seed, 1)
	s := settings{
		nodes: c.Nodes, shards: c.Shards, rate: c.Rate,
		reservationTTL: 30 * time.Second, tokenTTL: time.Hour, tick: 250 * time.Millisecond,
		segment: int64(16+r.IntN(64)) << 10, calm: min(c.Duration*2/5, 130*time.Second),
	}
	if c.Long {
		s.reservationTTL, s.tokenTTL, s.tick, s.calm = 5*time.Minute, 24*time.Hour, time.Second, 20*time.Minute
	}
	x := newRand(c.Seed, 8)
	if c.Embedded {
		s.nodes = 1
	} else if s.nodes == 0 {
		s.nodes = 1 + x.IntN(4)
	}
	s.shared = s.nodes > 1 || !c.Embedded && x.IntN(2) == 0
	// Leases of a shared ledger end, and those of every second store of one node.
	// Where it has its idempotency keys removed it is another store.
	if x := newRand(c.Seed, 7); (x.IntN(2) == 0 || s.shared) && (s.shared || c.Removed != IdempotencyKey) {
		s.lease = 3*time.Second + time.Duration(x.Int64N(int64(12*time.Second)))
		if c.Long && s.shared {
			s.lease *= 5
		}
	}
	if s.shards == 0 {
		s.shards = 1 + r.IntN(3)
	}
	if s.rate == 0 {
		s.rate = 12
		if c.Long {
			s.rate = 0.4
		}
	}
	s.chained = drawChained(c)
	s.start = drawStart(c, r.IntN(len(zones)), r.Float64(), r.IntN(3))
	return s
}

// dates with something to them: a clock put forward or back in Berlin, New York,
// Lord Howe or Auckland, and plain days.
var dates = []time.Time{
	time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC),
	time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 4, 0, 0, 0, 0, time.UTC),
	time.Date(2026, 6, 17, 0, 0, 0, 0, time.UTC), time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC),
}

// drawStart begins two short runs of three shortly before a midnight somewhere.
func drawStart(c *Config, zone int, x float64, kind int) unit.WallTime {
	at := dates[int(c.Seed%uint64(len(dates)))]
	if c.Long {
		return unit.WallTime(at.Add(-time.Duration((1 + x) * float64(24*time.Hour))).UnixNano())
	}
	if kind == 0 {
		return unit.WallTime(at.Add(time.Duration(x * float64(24*time.Hour))).UnixNano())
	}
	loc, err := time.LoadLocation(zones[zone])
	if err != nil {
		panic(err) // the database is linked in
	}
	midnight := unit.WallTime(at.UnixNano()).DayIn(loc)
	return (midnight + 1).Start(loc).Add(-time.Duration(x * float64(c.Duration)))
}

// Run is one run.
func Run(c Config) (*Result, error) {
	w := &World{cfg: c, set: draw(&c)}
	w.traffic, w.net, w.fate = newRand(c.Seed, 2), newRand(c.Seed, 3), newRand(c.Seed, 4)
	w.regret = newRand(c.Seed, 9)
	w.storms.world = w
	w.history.calls, w.history.wins = map[eventKey]*callRecord{}, map[event.WinID]winRecord{}
	w.history.refunds = map[eventKey]*refundRecord{}
	var err error
	if w.keys, err = event.NewKeyring([]event.Key{{ID: 1, Secret: []byte("a secret for simulations only, no other use")}}, 1); err != nil {
		return nil, err
	}
	w.signer = w.keys.NewSigner()
	days := max(1, c.Duration.Hours()/24)
	w.campaigns = drawCampaigns(newRand(c.Seed, 5), w.set.rate*c.Duration.Seconds()/days)
	if w.snapshot, err = compileCatalog(w.campaigns); err != nil {
		return nil, err
	}
	w.noteLimits()
	for u := range users {
		for _, size := range sizes {
			w.bodies = append(w.bodies, requestBody(u, size))
		}
	}
	if w.set.shared {
		w.begun = map[unit.NodeID]unit.Epoch{}
		w.share()
	}
	for i := range w.set.nodes {
		n := w.newNode(unit.NodeID(i + 1))
		w.nodes = append(w.nodes, n)
		n.boot()
	}
	stormEnds := instant(c.Duration - w.set.calm)
	w.plan = drawPlan(newRand(c.Seed, 6), &c, &w.set, stormEnds)
	w.plan = append(w.plan, drawRefunds(newRand(c.Seed, 10), &c, len(w.plan), stormEnds)...)
	w.strike()
	w.keepTime()
	w.after(0, w.arrive)
	w.run(stormEnds)
	return w.conclude()
}

// conclude lets the weather clear up, gives everything time to be delivered and
// returned, and judges.
func (w *World) conclude() (*Result, error) {
	w.clear()
	watch := w.set.calm / 6
	w.run(w.now.add(w.set.calm - watch))
	w.history.watching = true
	w.run(w.now.add(watch))
	under, judged := w.audit(false).judgeDelivery()
	w.silent = true
	// The last events come in; what nobody reported lapses.
	w.run(w.now.add(2*w.set.reservationTTL + 4*time.Minute))
	a := w.audit(true)
	a.judgeHeld()
	a.judgeBooks()
	down := 0
	for _, n := range w.nodes {
		if n.retired {
			down++
			continue
		}
		if n.sim == nil {
			w.violated("I4", fmt.Sprintf("node %d is not up at the end", n.id))
			down++
			continue
		}
		n.stop(func() { down++ })
	}
	for range 600 {
		if down < len(w.nodes) {
			w.run(w.now.add(100 * time.Millisecond))
		}
	}
	for _, l := range w.attic {
		if l.known && w.fate.IntN(2) == 0 {
			w.recover(l)
		}
	}
	a = w.audit(false)
	a.judgeShared()
	a.judgeLimits()
	a.judgeSpending()
	a.judgeEvents()
	a.judgeRefunds()
	a.judgeReturned()
	w.judgeChains()
	return &Result{
		Seed: w.cfg.Seed, Simulated: time.Duration(w.now), Nodes: w.set.nodes, Shards: w.set.shards, Events: w.steps,
		Requests: w.history.requests, Bids: w.history.bids, Acked: w.history.acked,
		Posted: a.counts.Posted, Recorded: a.counts.Recorded, Granted: a.counts.Granted, Nanos: int64(a.counts.Nanos),
		Under: under, Judged: judged, Locked: int64(a.lockedSum()), Takes: w.calls[theCounter], Commits: w.calls[theLedger], Flipped: w.flipped,
		Refunded: a.counts.Refunded, Back: int64(a.counts.Back),
		Faults: w.counts, Violations: w.faults, plan: w.plan,
	}, nil
}

// clear ends all faults: clocks are put right, stopped nodes come up, and what
// was only delayed arrives.
func (w *World) clear() {
	w.quiet = true
	w.storms.until = [Faults]instant{}
	for i := range w.campaigns {
		w.campaigns[i].paused = false
	}
	w.publish()
	for _, n := range w.nodes {
		wrong := !n.right()
		n.doom, n.full, n.stalled, n.cutUntil = doom{}, false, 0, 0
		if n.overtaken {
			n.retire()
			continue
		}
		n.rightClock()
		if n.sim != nil && wrong {
			n.crash() // an operator restarts what has lived through a wrong time
		}
	}
}
