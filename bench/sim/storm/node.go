package storm

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"syscall"
	"time"

	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/selection"
	"millrace/engine/serve"
	"millrace/models/coldstart"
	"millrace/shards"
	"millrace/state/audit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
	"millrace/state/refund"
	"millrace/state/store"
	"millrace/state/store/embedded"
	"millrace/state/store/joint"
)

// node is one ad server: a disk and a clock that stay, and lives that come and
// go on them.
type node struct {
	world *World
	id    unit.NodeID
	disk  *faultfs.FS
	disks int // which of the machine's it is

	// The clock: mono runs from the life's start; drift is how much faster than
	// true time, offset how far the wall clock is ahead of it.
	anchor     instant
	anchorMono unit.MonoTime
	drift      float64
	offset     time.Duration

	// What will happen to the disk.
	doom    doom
	stalled instant // groups wait until then
	full    bool
	lives   uint64 // counts starts and ends: what is planned for one life spares the next
	shards  int
	ready   bool
	// leaseEnds is when the store takes this life's leases for over.
	leaseEnds instant
	cutUntil  instant // it reaches no server before
	draining  bool
	broken    bool // the journal failed
	fenced    bool // it was told so
	overtaken bool // another machine has its number
	retired   bool // and this one is taken away
	crashed   bool // the disk stopped, and with it the life

	clock   *shards.ManualClock
	sim     *shards.Sim[serve.Message] // nil while dead
	cores   []*serve.Core
	fx      []*effects
	journal *outbox.Journal
	budgets store.BudgetStore
	joint   *joint.Store // the same, if the nodes share a ledger
	// refunding is the store where it counts refunds.
	refunding store.Refunding
	chain     *audit.Drain // nil in most worlds
	desk      *refund.Desk
	told      []toldRefund // of refunds, for the shards
	asks      []*asking    // refunds that wait for the disk
	writing   bool         // a group will be written
}

// doom is an error that the disk returns at the k-th operation from now.
type doom struct {
	in  int
	err error
	op  string // only operations of this name count, "" for all
}

func (w *World) newNode(id unit.NodeID) *node {
	n := &node{world: w, id: id, shards: w.set.shards}
	n.disk = faultfs.New(0, n.fault)
	n.offset = time.Duration(w.fate.Int64N(int64(2*skewMax))) - skewMax
	n.drift = (w.fate.Float64() - 0.5) * 1e-4
	return n
}

// fault decides about a disk operation.
func (n *node) fault(_ int, op, _ string) error {
	if n.full && (op == "WriteAt" || op == "Preallocate" || op == "Create") {
		return syscall.ENOSPC
	}
	if n.doom.in == 0 || n.doom.op != "" && n.doom.op != op {
		return nil
	}
	if n.doom.in--; n.doom.in > 0 {
		return nil
	}
	n.crashed = errors.Is(n.doom.err, faultfs.ErrCrashed)
	return n.doom.err
}

// mono is what the node's clock shows now.
func (n *node) mono() unit.MonoTime {
	return n.anchorMono + unit.MonoTime(math.Floor(float64(n.world.now-n.anchor)*(1+n.drift)))
}

// wakes is when its next timer is due, in the world's time.
func (n *node) wakes() instant {
	next := n.sim.Next()
	if next >= shards.NoDeadline {
		return math.MaxInt64
	}
	return n.anchor + instant(math.Ceil(float64(next-n.anchorMono)/(1+n.drift))) + 1
}

// catchUp brings the node's clock to now and runs the timers on the way.
func (n *node) catchUp() {
	if d := n.mono().Sub(n.clock.Mono()); d > 0 {
		n.sim.Advance(time.Duration(d))
	} else {
		n.sim.Drain()
	}
}

// reanchor makes a change of drift or of the wall clock begin now.
func (n *node) reanchor(drift float64) {
	n.anchorMono, n.anchor = n.mono(), n.world.now
	n.drift = drift
}

// setWall steps the wall clock to true time plus offset.
func (n *node) setWall(offset time.Duration) {
	n.offset = offset
	if n.sim != nil {
		n.catchUp()
		n.clock.SetWall(n.world.wall().Add(offset))
	}
}

// wall is what the node's wall clock shows.
func (n *node) wall() unit.WallTime {
	if n.clock == nil || n.sim == nil {
		return n.world.wall().Add(n.offset)
	}
	return n.clock.Wall().Add(time.Duration(n.mono().Sub(n.clock.Mono())))
}

// right reports whether the wall clock is within what the protocol allows.
func (n *node) right() bool {
	off := n.wall().Sub(n.world.wall())
	return off >= -skewMax && off <= skewMax
}

// boot starts a life; it may die on the way, and is then tried again later.
func (n *node) boot() {
	w := n.world
	if n.retired {
		return
	}
	n.lives++
	n.ready, n.draining, n.broken, n.crashed, n.writing, n.fenced = false, false, false, false, false, false
	n.clock = shards.NewManualClock(w.wall().Add(n.offset))
	n.anchor, n.anchorMono = w.now, 0
	if w.set.shared {
		n.askEpoch(3)
	} else {
		n.open(0)
	}
}

// askEpoch hears from the ledger above which number this life must be. One with a
// journal of its own does not wait for ever.
func (n *node) askEpoch(tries int) {
	w := n.world
	w.ledger.Client(n.transport(theLedger)).LastEpoch(n.id, func(floor unit.Epoch, err error) {
		names, fault := n.disk.List("/journal")
		switch fresh := fault == nil && len(names) == 0; {
		case err == nil || tries <= 1 && !fresh:
			n.open(floor)
		default:
			life := n.lives
			w.after(300*time.Millisecond, func() {
				if n.lives == life {
					n.askEpoch(tries - 1)
				}
			})
		}
	})
}

// open recovers the journal and starts the shards.
func (n *node) open(floor unit.Epoch) {
	w := n.world
	n.clock = shards.NewManualClock(w.wall().Add(n.offset))
	n.anchor, n.anchorMono = w.now, 0
	c := outbox.Default()
	c.Dir, c.Node, c.Shards, c.SegmentBytes, c.EpochFloor = "/journal", n.id, n.shards, w.set.segment, floor
	c.Retention, c.RetentionBytesMax, c.TokenTTL = 1e6*time.Hour, math.MaxInt64, w.set.tokenTTL
	c.Wall, c.FS = n.clock.Wall, w.diskOf(n)
	c.Alarm = func(err error) {
		if errors.Is(err, ledger.ErrBreach) {
			w.violated("books", fmt.Sprintf("node %d: %v", n.id, err))
		}
	}
	journal, err := outbox.OpenStepped(c)
	if err == nil {
		n.journal = journal
		err = n.openStore()
	}
	if err == nil {
		err = n.openChain()
	}
	if err != nil {
		n.bootFailed(err)
		return
	}
	n.openDesk()
	if journal.Recovery().TornBytes > 0 {
		w.hit(Torn)
	}
	if err := n.startShards(); err != nil {
		panic(err) // the world's own configuration
	}
	if err := n.load(); err != nil {
		panic(err)
	}
	n.settle()
}

// bootFailed: after a crash or a full disk there is a next time; a journal that
// refuses to open has lost money.
func (n *node) bootFailed(err error) {
	w := n.world
	if errors.Is(err, outbox.ErrDamaged) {
		w.violated("I4", fmt.Sprintf("node %d does not come up again: %v", n.id, err))
		return
	}
	if n.overtaken && !n.retired {
		n.retire()
		return
	}
	n.die()
	w.after(time.Second+time.Duration(w.fate.Int64N(int64(5*time.Second))), n.boot)
}

func (n *node) openStore() error {
	n.leaseEnds = 0
	if n.world.set.shared {
		return n.openJoint()
	}
	return n.openOwn()
}

// openOwn is the store of a node that shares nothing.
func (n *node) openOwn() error {
	own := func(deliver store.Deliver) (*embedded.Store, error) {
		s, err := embedded.Open(n.journal, n.clock.Wall, deliver)
		n.refunding = s
		return s, err
	}
	var err error
	if n.world.set.lease > 0 {
		l := &leasing{node: n, reply: n.deliverer()}
		l.BudgetStore, err = own(l.deliver)
		n.budgets = l
		return err
	}
	if n.world.cfg.Removed == IdempotencyKey {
		f := &forgetful{really: map[uint64]uint64{}}
		f.BudgetStore, err = own(f.deliver(n.deliverer()))
		n.budgets = f
		return err
	}
	n.budgets, err = own(n.deliverer())
	return err
}

// openJoint is the store of a node that shares a ledger.
func (n *node) openJoint() error {
	w, life := n.world, n.lives
	deliver := n.deliverer()
	c := joint.Default()
	c.Journal, c.Wall, c.Mono = n.journal, n.clock.Wall, n.clock.Mono
	c.Ledger, c.Counter = w.ledger.Client(n.transport(theLedger)), w.counter.Client(n.transport(theCounter))
	c.After = func(d time.Duration, f func()) { w.after(d, func() { n.enter(life, f) }) }
	c.Deliver = func(r *store.Reply) bool {
		if r.Status == store.Fenced {
			n.fencedNow()
		}
		return deliver(r)
	}
	if w.cfg.Removed == DriftMargin {
		c.DriftMax = 0
	}
	if !w.cfg.Long {
		c.RecheckEvery = 10 * time.Second // as everything is quicker in a short run
	}
	s, err := joint.Open(c)
	n.budgets, n.joint, n.refunding = s, s, s
	return err
}

func (n *node) startShards() error {
	w := n.world
	sc := shards.Default()
	sc.Shards, sc.MailboxSlots = n.shards, 64
	sc.KindNames, sc.TimerNames = serve.KindNames, serve.TimerNames
	core := serve.Default()
	core.Node, core.Epoch, core.PublicURL = n.id, n.journal.Epoch(), "http://n"
	core.TokenTTL, core.EventsPendingMax = w.set.tokenTTL, 256
	core.Budget.ReservationTTL, core.Budget.TokenTTL = w.set.reservationTTL, w.set.tokenTTL
	core.Budget.TickEvery, core.Budget.LeaseMin = w.set.tick, 1_000_000
	if w.cfg.Removed == DayBoundary {
		core.Budget.MidnightMargin = 0
	}
	if w.cfg.Removed == DriftMargin {
		core.Budget.DriftMax = 0
	}
	core.SweepEvery, core.RatesEvery = 100*w.set.tick, 20*w.set.tick
	core.Caps.Entries, core.Caps.Seed, core.Users.Users, core.Users.Seed = 1024, 1, 1024, 1
	core.Explore, core.Clock = coldstart.Config{}, n.clock
	n.cores, n.fx = make([]*serve.Core, n.shards), make([]*effects, n.shards)
	var faults []error
	sim, err := shards.NewSim(sc, n.clock, w.fate.Uint64(), func(s *shards.Shard[serve.Message]) shards.Handler[serve.Message] {
		fx := newEffects(n, s.ID())
		c, err := serve.New(core, s, fx, w.keys, n.journal.Recovered(), serve.NewMetrics(s.Registry()))
		faults = append(faults, err)
		n.cores[s.ID()], n.fx[s.ID()] = c, fx
		return c
	})
	n.sim = sim
	return errors.Join(append(faults, err)...)
}

// load gives every shard the catalog in force.
func (n *node) load() error {
	swaps := serve.PrepareCatalog(n.world.snapshot, selection.Default(), n.shards)
	for i, c := range n.cores {
		n.sim.Invoke(unit.ShardID(i), func(*shards.Shard[serve.Message]) { c.Load(swaps[i]) })
	}
	n.settle()
	return nil
}

// settle runs what is ready.
func (n *node) settle() {
	n.catchUp()
	if !n.ready && !n.draining {
		n.ready = true
		for _, c := range n.cores {
			n.ready = n.ready && c.Broker().Ready()
		}
	}
}

// submit puts a message into a shard, at the present time, and lets it be handled.
func (n *node) submit(to unit.ShardID, m *serve.Message) bool {
	n.catchUp()
	ok := n.sim.Submit(to, m)
	n.settle()
	return ok
}

// write plans the next group: the disk takes its time.
func (n *node) write() {
	w := n.world
	if n.writing || n.sim == nil {
		return
	}
	n.writing = true
	d := 100*time.Microsecond + time.Duration(w.net.Int64N(int64(4*time.Millisecond)))
	if late := n.stalled; late > w.now.add(d) {
		d = time.Duration(late - w.now)
	}
	life := n.lives
	w.after(d, func() {
		if n.lives == life {
			n.group()
		}
	})
}

// group is one turn of the journal's writer.
func (n *node) group() {
	n.writing = false
	n.catchUp()
	n.journal.Step()
	if n.crashed {
		n.crash()
		return
	}
	n.tellRefunds()
	for i, fx := range n.fx {
		if fx.woken {
			fx.woken = false
			n.sim.Submit(unit.ShardID(i), &serve.Message{Type: serve.Wake})
		}
	}
	if n.joint != nil {
		n.joint.Step()
		if n.crashed {
			n.crash()
			return
		}
	}
	n.settle()
	n.answerRefunds()
	if n.journal.Err() != nil && !n.broken {
		// It serves on unpaid; somebody restarts it.
		n.broken = true
		n.replaceSoon(2*time.Second, 30*time.Second)
	}
}

// crash ends a life without warning.
func (n *node) crash() {
	w := n.world
	if n.overtaken {
		n.retired = true
		n.abandon()
		return
	}
	n.die()
	d := 200*time.Millisecond + time.Duration(w.fate.ExpFloat64()*float64(5*time.Second))
	w.after(min(d, time.Minute), n.boot)
}

// die forgets everything but the disk.
func (n *node) die() {
	w := n.world
	n.lives++
	n.doom, n.full, n.crashed = doom{}, false, false
	n.disk = n.disk.AfterCrash(w.fate.Uint64(), n.fault)
	if w.fate.IntN(6) == 0 && w.storms.has(CrashDisk) && !w.quiet {
		// Recovery can be killed too.
		n.doom = doom{in: 1 + w.fate.IntN(12), err: faultfs.ErrCrashed}
		w.hit(CrashDisk)
	}
	if w.fate.IntN(3) == 0 {
		n.shards = 1 + w.fate.IntN(3)
	}
	n.sim, n.cores, n.fx, n.journal, n.budgets, n.joint, n.chain = nil, nil, nil, nil, nil, nil, nil
	n.desk, n.told, n.asks, n.refunding = nil, nil, nil, nil
	n.ready = false
}

// replaceSoon kills the life after a while, if it still lives.
func (n *node) replaceSoon(least, most time.Duration) {
	w, life := n.world, n.lives
	w.after(least+time.Duration(w.fate.Int64N(int64(most-least))), func() {
		if n.lives == life && n.sim != nil {
			n.crash()
		}
	})
}

// stop ends a life in an orderly way: leases go back first.
func (n *node) stop(then func()) {
	n.catchUp()
	n.ready, n.draining = false, true
	for i, c := range n.cores {
		n.sim.Invoke(unit.ShardID(i), func(s *shards.Shard[serve.Message]) { c.Broker().Drain(s.Now(), s.Wall()) })
	}
	n.settle()
	life, patience := n.lives, 300
	var wait func()
	wait = func() {
		if n.lives != life || n.sim == nil {
			return
		}
		n.settle()
		drained := true
		for _, c := range n.cores {
			drained = drained && c.Broker().Drained()
		}
		posted := n.joint == nil || n.joint.Posted()
		if patience--; !(drained && posted) && patience > 0 {
			n.world.after(10*time.Millisecond, wait)
			return
		}
		n.end(then)
	}
	wait()
}

// end closes the journal of a drained life.
func (n *node) end(then func()) {
	_ = n.budgets.Close()
	if n.chain != nil {
		_ = n.chain.Stop() // after a fault of the disk it is the next life's
	}
	if n.journal.Close() != nil || n.crashed {
		n.crash()
		return
	}
	if n.overtaken {
		n.retired = true
		n.abandon()
		return
	}
	n.die()
	then()
}

// newRand is a stream of the run's seed.
func newRand(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x73746f726d<<8|stream))
}

// budgetMessage carries a reply of the store into a shard.
func budgetMessage(r *store.Reply) *serve.Message {
	return &serve.Message{Type: serve.Budget, Budget: budget.ReplyMessage(r)}
}
