package storm

import (
	"time"

	"millrace/codec/unit"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
	"millrace/state/store/joint"
	"millrace/state/store/joint/memory"
)

// server is one of the two things that nodes share.
type server uint8

const (
	theLedger server = iota
	theCounter
)

// callTimeout is how long a node waits for a server.
const callTimeout = time.Second

// share makes the servers.
func (w *World) share() {
	w.ledger, w.counter = memory.NewLedger(w.set.lease), memory.NewCounter()
	w.ledger.Unfenced, w.ledger.Forgetful = w.cfg.Removed == Fencing, w.cfg.Removed == IdempotencyKey
	w.books = newBooks(w)
	w.ledger.Observe, w.ledger.Heard = w.books.take, w.heard
	w.ledger.Alarm = func(err error) { w.violated("I1", err.Error()) }
	w.replicate()
}

// replicate keeps a replica of the counter some seconds behind.
func (w *World) replicate() {
	w.counter.Replicate()
	w.after(20*time.Second, w.replicate)
}

// heard prolongs what a life may spend by time, as the ledger counts: from the
// moment at which it hears. The oracle's own notion of who was fenced decides
// whether it does.
func (w *World) heard(l joint.Life) {
	if l.Epoch < w.begun[l.Node] {
		return
	}
	w.begun[l.Node] = l.Epoch
	for _, n := range w.nodes {
		if n.id == l.Node && n.journal != nil && n.journal.Epoch() == l.Epoch {
			n.leaseEnds = w.now.add(w.set.lease)
		}
	}
}

// transport carries a node's calls to a server, during its present life.
func (n *node) transport(to server) memory.Transport {
	life, w := n.lives, n.world
	return func(execute func() (answer func()), lost func(error)) {
		w.calls[to]++
		over := false
		finish := func(f func()) {
			if !over {
				over = true
				n.enter(life, f)
			}
		}
		w.after(callTimeout, func() { finish(func() { lost(joint.ErrUnknown) }) })
		w.hop(n, to, false, func() {
			answer := execute()
			w.hop(n, to, true, func() { finish(answer) })
		})
	}
}

// enter runs f in the node's life, at its present time, and lets what follows
// from it happen.
func (n *node) enter(life uint64, f func()) {
	if n.lives != life {
		return
	}
	if n.sim != nil {
		n.catchUp()
	}
	f()
	switch {
	case n.lives != life || n.sim == nil:
	case n.crashed:
		n.crash()
	default:
		n.settle()
		n.write()
	}
}

// hop is one way between a node and a server, as the weather allows.
func (w *World) hop(n *node, to server, back bool, f func()) {
	d := 200*time.Microsecond + time.Duration(w.net.ExpFloat64()*float64(time.Millisecond))
	s := &w.storms
	switch {
	case n.cutUntil > w.now, to == theLedger && s.active(LedgerDown), to == theCounter && s.active(CounterDown):
		return
	case to == theLedger && back && s.active(Unanswered) && w.net.IntN(3) == 0:
		w.hit(Unanswered)
		return
	case s.active(Lost) && w.net.IntN(4) == 0:
		w.hit(Lost)
		return
	}
	if to == theLedger && s.active(LedgerSlow) {
		d += 200*time.Millisecond + time.Duration(w.net.Int64N(int64(2*time.Second)))
	}
	if s.active(Twice) && w.net.IntN(3) == 0 {
		w.hit(Twice)
		w.after(d+time.Duration(w.net.Int64N(int64(3*time.Second))), f)
	}
	if s.active(Late) && w.net.IntN(3) == 0 {
		w.hit(Late)
		d += time.Duration(w.net.Int64N(int64(4 * time.Second)))
	}
	w.after(d, f)
}

// lostDisk is the disk of a machine that is gone.
type lostDisk struct {
	node      unit.NodeID
	of        machineDisk
	disk      *faultfs.FS
	last      unit.Epoch // its last life
	known     bool       // which the ledger knows
	recovered bool
}

// abandon ends the machine's last life and keeps its disk as it lies.
func (n *node) abandon() *lostDisk {
	w := n.world
	l := &lostDisk{node: n.id, of: n.machineDisk()}
	if n.journal != nil {
		l.last, l.known = n.journal.Epoch(), n.joint.Status().Begun
	}
	n.die()
	l.disk = n.disk.AfterCrash(w.fate.Uint64(), nil)
	w.attic = append(w.attic, l)
	if l.known && w.fate.IntN(2) == 0 {
		w.after(time.Duration(w.fate.Int64N(int64(2*time.Minute))), func() {
			if !w.quiet { // what comes back then is too late to be found and spent
				w.recover(l)
			}
		})
	}
	return l
}

// recover posts the journal of a lost disk that turned up.
func (w *World) recover(l *lostDisk) {
	if l.recovered {
		return
	}
	w.hit(Recovered)
	c := joint.DrainConfig{
		Tail: outbox.OpenTail(l.disk, "/journal", 0), Life: joint.Life{Node: l.node, Epoch: l.last}, Ledger: w.ledger.Client(memory.Direct),
		Rows: 100, RetryMin: time.Second, RetryMax: time.Second, After: func(d time.Duration, f func()) { w.after(d, f) },
		Alarm: func(err error) { w.violated("I4", "a lost disk: "+err.Error()) },
	}
	drain := joint.NewDrain(c)
	for drain.Step(); !drain.Status().Over; drain.Step() {
	}
	l.recovered = true
}

// replace puts a new machine in the place of one that is lost with its disk.
func (n *node) replace() {
	n.abandon()
	n.disk = faultfs.New(0, n.fault)
	n.disks++
	n.misled = false
	n.world.after(time.Second+time.Duration(n.world.fate.Int64N(int64(10*time.Second))), n.boot)
}

// overtake replaces a machine that is cut off and goes on. When it is back it
// finds that its life is over, and somebody takes it away.
func (n *node) overtake(length time.Duration) {
	w := n.world
	n.cutUntil = w.now.add(w.set.lease/2 + length)
	n.overtaken = true
	m := w.newNode(n.id)
	w.nodes = append(w.nodes, m)
	w.after(time.Second+time.Duration(w.fate.Int64N(int64(10*time.Second))), m.boot)
	w.after(w.set.lease+length+10*time.Second, n.retire)
}

// retire takes an overtaken machine away, in an orderly way if it lives.
func (n *node) retire() {
	if n.retired {
		return
	}
	n.retired = true
	switch {
	case n.sim == nil:
		n.abandon()
	case !n.draining: // otherwise its end sees to it
		n.stop(func() {})
	}
}

// fencedNow: a life that was told that it is over is restarted, as an operator would.
func (n *node) fencedNow() {
	if n.fenced {
		return
	}
	n.fenced = true
	if !n.overtaken {
		n.replaceSoon(time.Second, 10*time.Second)
	}
}
