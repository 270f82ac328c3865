package storm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"millrace/codec/unit"
	"millrace/state/outbox/faultfs"
)

// planned is one fault of the plan.
type planned struct {
	number int
	at     instant
	kind   Fault
	node   int
	length time.Duration
	size   float64 // what of it depends on the kind; in 0 … 1
}

// String says what it does, for the report of a failure.
func (p planned) String() string {
	return fmt.Sprintf("#%d %v %s at node %d for %v (%.2f)", p.number, time.Duration(p.at).Round(time.Millisecond), p.kind, p.node+1, p.length.Round(time.Millisecond), p.size)
}

// active faults are those with a length that are not a node's own.
type storms struct {
	until [Faults]instant
	world *World
}

func (s *storms) has(f Fault) bool    { return s.world.cfg.Faults.Has(f) }
func (s *storms) active(f Fault) bool { return s.until[f] > s.world.now }

// planable are the faults that a plan draws from, each as often as it stands there.
var planable = []Fault{
	CrashDisk, CrashDisk, CrashDisk, Kill, SyncError, DiskFull, SlowDisk, StoreDown, StoreSlow, ClockJump, ClockDrift, Restart, Reload,
	Lost, Twice, Late,
}

// planableShared are those of worlds in which nodes share their servers.
var planableShared = []Fault{
	CrashDisk, CrashDisk, CrashDisk, Kill, SyncError, DiskFull, SlowDisk, ClockJump, ClockDrift, Restart, Reload, Lost, Twice, Late,
	LedgerDown, LedgerSlow, CounterDown, CounterEmpty, CounterFailover, Unanswered, CutOff, CutOff, Replaced, Overtaken,
}

// drawPlan draws the faults up to an instant. A fault that the set leaves out
// takes no other's place: the rest of the plan stays what it is.
func drawPlan(r *rand.Rand, c *Config, set *settings, until instant) []planned {
	kinds := planable
	if set.shared {
		kinds = planableShared
	}
	gap, length := 12*time.Second, 15*time.Second
	if c.Long {
		gap, length = 40*time.Minute, 3*time.Minute
	}
	var plan []planned
	for at := instant(2 * time.Second); ; {
		at += instant(r.ExpFloat64() * float64(gap))
		if at >= until {
			return plan
		}
		p := planned{
			number: len(plan), at: at, kind: kinds[r.IntN(len(kinds))], node: r.IntN(set.nodes),
			length: time.Duration(r.ExpFloat64() * float64(length)), size: r.Float64(),
		}
		plan = append(plan, p)
	}
}

// strike makes the plan's faults happen.
func (w *World) strike() {
	for _, p := range w.plan {
		if !w.cfg.Faults.Has(p.kind) || w.cfg.Skip[p.number] {
			continue
		}
		w.after(time.Duration(p.at), func() {
			if !w.quiet {
				w.inflict(p)
			}
		})
	}
}

func (w *World) inflict(p planned) {
	n := w.current(p.node)
	switch p.kind {
	case Refunded, RefundedLate, RefundedAgain, RefundedApart, RefundedCrash, RefundedNothing:
		w.regretted(p)
		return
	case StoreDown, StoreSlow, LedgerDown, LedgerSlow, CounterDown:
		w.hit(p.kind)
		fallthrough
	case Lost, Twice, Late, Unanswered:
		w.storms.until[p.kind] = max(w.storms.until[p.kind], w.now.add(p.length))
		return
	case CounterEmpty:
		w.hit(p.kind)
		w.counter.Empty()
		return
	case CounterFailover:
		w.hit(p.kind)
		w.counter.Failover()
		return
	case Reload:
		w.reload(p.size)
		return
	case ClockJump, ClockDrift:
		w.disturbClock(n, p)
		return
	}
	if n.sim == nil || n.draining {
		return // nobody there to be hit
	}
	if p.kind == Overtaken && len(w.nodes) >= w.set.nodes+overtakenMax {
		return
	}
	w.hit(p.kind)
	switch p.kind {
	case CutOff:
		n.cutUntil = max(n.cutUntil, w.now.add(w.set.lease/2+p.length))
	case Replaced:
		n.replace()
	case Overtaken:
		n.overtake(p.length)
	case CrashDisk:
		n.doom = doom{in: 1 + int(p.size*40), err: faultfs.ErrCrashed}
	case Kill:
		n.crash()
	case SyncError:
		n.doom = doom{in: 1 + int(p.size*8), err: syscall.EIO, op: "Sync"}
	case DiskFull:
		n.full = true
	case SlowDisk:
		n.stalled = w.now.add(min(p.length, 5*time.Second))
	case Restart:
		n.stop(func() { w.after(500*time.Millisecond, n.boot) })
	}
}

// overtakenMax bounds the machines of a run.
const overtakenMax = 4

// current is the machine that has the k-th number.
func (w *World) current(k int) (found *node) {
	for _, n := range w.nodes {
		if int(n.id) == k+1 && !n.overtaken {
			found = n
		}
	}
	return found
}

// jumps are how far a clock steps, at most: what an operator's hand, a bad
// server and a leap do. All are shorter than a token lives.
var jumps = []time.Duration{400 * time.Millisecond, 2 * time.Second, 40 * time.Second, 20 * time.Minute}

// disturbClock lets a node's clock go wrong for a while; then it is put right,
// as a time service does.
func (w *World) disturbClock(n *node, p planned) {
	w.hit(p.kind)
	if p.kind == ClockDrift {
		if n.sim != nil {
			n.catchUp()
		}
		n.reanchor((p.size - 0.5) * 0.038) // DriftMax is 20 thousandths
		if p.size < 0.3 && (w.storms.has(StoreDown) || w.storms.has(CutOff)) {
			// A machine that crawls is often one that is cut off, too.
			if w.set.shared {
				w.hit(CutOff)
				n.cutUntil = max(n.cutUntil, w.now.add(p.length))
			} else {
				w.hit(StoreDown)
				w.storms.until[StoreDown] = max(w.storms.until[StoreDown], w.now.add(p.length))
			}
		}
	} else {
		most := jumps[int(p.size*1000)%len(jumps)]
		n.setWall(time.Duration((p.size - 0.5) * 2 * float64(most)))
	}
	w.after(min(p.length, time.Minute), func() { n.rightClock() })
}

// rightClock is the time service's hand: within half of what is allowed.
func (n *node) rightClock() {
	w := n.world
	if n.sim != nil {
		n.catchUp()
	}
	n.reanchor((w.fate.Float64() - 0.5) * 1e-4)
	n.setWall(time.Duration(w.fate.Int64N(int64(skewMax))) - skewMax/2)
}

// keepTime puts the clocks right now and then, as a time service does.
func (w *World) keepTime() {
	w.after(20*time.Minute, func() {
		for _, n := range w.nodes {
			if n.right() {
				n.rightClock()
			}
		}
		w.keepTime()
	})
}

// reload raises or cuts a budget, or pauses a campaign for a while.
func (w *World) reload(size float64) {
	w.hit(Reload)
	k := int(size*1e6) % len(w.campaigns)
	p := &w.campaigns[k]
	switch int(size*1e4) % 4 {
	case 0:
		p.paused = !p.paused
	case 1, 2:
		f := 0.6 + size
		p.daily, p.total, p.lineTotal = p.daily*f, p.total*f, p.lineTotal*f
	case 3:
		p.daily, p.total = p.daily*0.8, p.total*0.8
	}
	w.publish()
}

// publish compiles the catalog, hands it to every node, and tells the oracle.
func (w *World) publish() {
	s, err := compileCatalog(w.campaigns)
	if err != nil {
		panic(err)
	}
	w.snapshot = s
	w.noteLimits()
	for _, n := range w.nodes {
		if n.sim != nil && !n.draining {
			n.catchUp()
			if err := n.load(); err != nil {
				panic(err)
			}
		}
	}
}

// noteLimits keeps the largest limit that was ever in force.
func (w *World) noteLimits() {
	if w.limits == nil {
		w.limits = map[unit.AccountID]*limits{}
	}
	for i := range w.snapshot.Accounts {
		a := &w.snapshot.Accounts[i]
		l := w.limits[a.ID]
		if l == nil {
			l = &limits{name: a.Name, size: -1, daily: a.Daily, total: a.Total}
			w.limits[a.ID] = l
		} else if l.daily != a.Daily || l.total != a.Total {
			l.changed = true
		}
		l.daily, l.total = max(l.daily, a.Daily), max(l.total, a.Total)
	}
	for i := range w.snapshot.Lines {
		line := &w.snapshot.Lines[i]
		own := line.Account
		l := w.limits[w.snapshot.Accounts[own].ID]
		l.dearest = max(l.dearest, line.Price)
		if line.LineAccount >= 0 {
			continue
		}
		l.price = max(l.price, line.Price)
		k := slices.IndexFunc(w.campaigns, func(p campaignPlan) bool { return p.name == w.snapshot.Campaigns[line.Campaign].Name })
		l.size, l.asap = k, w.campaigns[k].pacing == "asap"
	}
}
