package storm

import (
	"context"
	"math/rand/v2"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/serve"
	"millrace/state/ledger"
	"millrace/state/outbox/faultfs"
	"millrace/state/refund"
)

// refundable are the kinds of refunds that a plan draws from.
var refundable = []Fault{Refunded, Refunded, RefundedLate, RefundedLate, RefundedAgain, RefundedApart, RefundedCrash, RefundedNothing}

// drawRefunds draws what will be regretted. It has a stream of its own: without
// refunds a seed is the run that it would be if there were none.
func drawRefunds(r *rand.Rand, c *Config, first int, until instant) []planned {
	gap, length := 30*time.Second, 15*time.Second
	if c.Long {
		gap, length = 75*time.Minute, 3*time.Minute
	}
	var plan []planned
	for at := instant(5 * time.Second); ; {
		at += instant(r.ExpFloat64() * float64(gap))
		if at >= until {
			return plan
		}
		plan = append(plan, planned{
			number: first + len(plan), at: at, kind: refundable[r.IntN(len(refundable))],
			length: time.Duration(r.ExpFloat64() * float64(length)), size: r.Float64(),
		})
	}
}

// openDesk is where the node's postings are taken back.
func (n *node) openDesk() {
	n.desk = refund.New(refund.Config{Journal: n.journal, FS: n.world.diskOf(n), Wall: n.clock.Wall, Settled: n.refunded})
}

// toldRefund is on its way to the shard that counts what is spent.
type toldRefund struct {
	to      unit.ShardID
	message serve.Message
}

// refunded passes a durable refund on, as the node does. It runs inside of the
// journal's turn; the shards are told after it.
func (n *node) refunded(r *ledger.Record) {
	n.refunding.Refunded(r)
	if n.world.cfg.Removed == RefundOnce {
		n.refunding.Refunded(r)
	}
	home := budget.Home(r.Campaign, len(n.cores))
	n.told = append(n.told, toldRefund{home, serve.Message{Type: serve.Budget, Budget: budget.RefundMessage(r)}})
}

// tellRefunds tells the shards; one whose mailbox is full is told later.
func (n *node) tellRefunds() {
	told := n.told
	n.told = nil
	for i := range told {
		if t := &told[i]; !n.sim.Submit(t.to, &t.message) {
			life := n.lives
			n.world.after(time.Millisecond, func() {
				n.enter(life, func() { n.told = append(n.told, *t) }) // the next group's
			})
		}
	}
}

// asking is an operator who wants something refunded and asks until there is an
// answer.
type asking struct {
	world *World
	plan  planned
	node  unit.NodeID
	query refund.Query
	tries int
	done  bool
	// What was sent last, to which machine and life.
	to     *node
	disk   machineDisk
	life   uint64
	at     instant
	result refund.Result
}

// Operators' patience.
const (
	asksMax  = 30
	asksWait = 4 * time.Second
)

// regretted makes a refund of the plan happen.
func (w *World) regretted(p planned) {
	keys := w.toRegret(p)
	if len(keys) == 0 {
		return // nothing of that kind was billed yet
	}
	a := &asking{world: w, plan: p, node: keys[0].win.Node}
	a.query = refund.Query{Reason: ledger.Reason(int(ledger.Fraud) + w.regret.IntN(3)), Note: "storm"}
	if p.kind == Refunded && p.size < 0.2 {
		// All of a campaign's of the last seconds.
		a.query.Campaign, a.query.From = w.history.calls[keys[0]].campaign, w.wall().Add(-3*time.Second)
	} else {
		for _, k := range keys {
			a.query.IDs = append(a.query.IDs, refund.ID{Win: k.win, Kind: k.kind})
		}
	}
	if p.kind == RefundedApart {
		down := StoreDown
		if w.set.shared {
			down = LedgerDown
		}
		w.storms.until[down] = max(w.storms.until[down], w.now.add(p.length))
	}
	a.ask()
}

// toRegret chooses up to four events of one node for a refund of the plan.
func (w *World) toRegret(p planned) (keys []eventKey) {
	h, r := &w.history, w.regret
	if p.kind == RefundedNothing {
		return w.neverBilled()
	}
	from, again := h.billed, p.kind == RefundedAgain && p.size > 0.5
	if again {
		from = h.regretted
	}
	want := 1 + int(p.size*7)%4
	for range 60 {
		if len(from) == 0 || len(keys) == want {
			break
		}
		recent := len(from)
		if p.kind != RefundedLate {
			recent = min(recent, 300)
		}
		k := from[len(from)-1-r.IntN(recent)]
		fits := len(keys) == 0 || k.win.Node == keys[0].win.Node
		if !again {
			late := h.calls[k].day < w.today(h.calls[k].accounts[0])
			fits = fits && h.refunds[k] == nil && late == (p.kind == RefundedLate)
		}
		if fits {
			keys = append(keys, k) // one that is named twice is refunded once
		}
	}
	return keys
}

// neverBilled are events that did not happen, of a win that did; or one that did
// and is not billed.
func (w *World) neverBilled() (keys []eventKey) {
	h, r := &w.history, w.regret
	if len(h.billed) == 0 {
		return nil
	}
	win := h.billed[len(h.billed)-1-r.IntN(min(len(h.billed), 300))].win
	for kind := event.Impression; kind <= event.Conversion; kind++ {
		if c := h.calls[eventKey{win, kind}]; c == nil || !c.billable {
			keys = append(keys, eventKey{win, kind})
		}
	}
	win.Seq += 1 << 40
	return append(keys, eventKey{win, event.Impression})
}

// today is the day of an account by the true time.
func (w *World) today(id unit.AccountID) unit.Day {
	for i := range w.snapshot.Accounts {
		if a := &w.snapshot.Accounts[i]; a.ID == id {
			return w.wall().DayIn(a.Zone)
		}
	}
	return 0
}

// refunder is a machine that has the number: the later one, or one that was
// overtaken and does not know it yet.
func (w *World) refunder(id unit.NodeID) (found *node) {
	for _, n := range w.nodes {
		if n.id == id && !n.retired && (found == nil || found.sim == nil || w.regret.IntN(2) == 0) {
			found = n
		}
	}
	return found
}

// ask asks once, and again as long as there is no answer.
func (a *asking) ask() {
	w := a.world
	if a.to != nil && a.to.lives != a.life && a.plan.kind == RefundedCrash {
		w.hit(RefundedCrash)
		a.plan.kind = Refunded // it crashed once
	}
	if a.done || a.tries >= asksMax {
		return
	}
	a.tries++
	w.after(asksWait, a.ask)
	if a.to != nil && a.to.lives == a.life && a.to.sim != nil {
		return // the disk is slow
	}
	n := w.refunder(a.node)
	if n == nil || n.sim == nil || n.draining {
		return
	}
	n.enter(n.lives, func() { a.put(n) })
}

// put writes the refunds; they count when the disk has them.
func (a *asking) put(n *node) {
	w := a.world
	res, err := n.desk.Refund(&a.query)
	if err == nil && a.plan.kind == RefundedAgain && a.plan.size <= 0.5 {
		res, err = n.desk.Refund(&a.query) // before the disk has the first
	}
	for i := range res.Items {
		w.history.askedRefund(w, n, &res.Items[i])
	}
	if err != nil {
		a.to = nil
		return // the journal is full or failed: asked again
	}
	if w.cfg.Removed == RefundMemory {
		n.refundAgain(&res)
	}
	a.to, a.disk, a.life, a.at, a.result = n, n.machineDisk(), n.lives, w.now, res
	n.asks = append(n.asks, a)
	switch a.plan.kind {
	case RefundedApart:
		if res.Count(refund.Done) > 0 && (w.storms.active(StoreDown) || w.storms.active(LedgerDown)) {
			w.hit(RefundedApart)
		}
	case RefundedCrash:
		a.doom(n)
	}
}

// doom kills the node on the way of a refund to the disk, or soon after it.
func (a *asking) doom(n *node) {
	if a.world.quiet {
		return
	}
	if x := a.plan.size; x < 0.5 {
		n.doom = doom{in: 1 + int(x*16), err: faultfs.ErrCrashed}
	} else {
		life := n.lives
		a.world.after(time.Duration((x-0.5)*float64(12*time.Millisecond)), func() {
			if n.lives == life && n.sim != nil && !n.draining {
				n.crash()
			}
		})
	}
}

// answerRefunds answers those who wait for the disk.
func (n *node) answerRefunds() {
	kept := n.asks[:0]
	for _, a := range n.asks {
		if n.desk.Durable() < a.result.Position {
			kept = append(kept, a)
			continue
		}
		a.done = true
		for i := range a.result.Items {
			n.world.history.answeredRefund(n.world, a, &a.result.Items[i])
		}
	}
	n.asks = kept
}

// refundAgain is a desk that does not look: what it finds refunded it refunds.
func (n *node) refundAgain(res *refund.Result) {
	tail := n.journal.Tail(0)
	defer func() { _ = tail.Close() }()
	again := n.journal.NewAppender(nil)
	for tail.Ready() {
		r, _, err := tail.Next(context.Background())
		if err != nil {
			return
		}
		for i := range res.Items {
			it := &res.Items[i]
			if it.Status != refund.Before || r.Kind != ledger.Refunded || r.Win != it.ID.Win || r.Event != it.ID.Kind {
				continue
			}
			twice := *r
			twice.Epoch, twice.Wall, twice.Stamp = n.journal.Epoch(), n.wall(), r.Stamp.Next(n.wall())
			if _, err := again.Append(&twice); err == nil {
				n.refunded(&twice)
			}
		}
	}
	again.Commit()
}
