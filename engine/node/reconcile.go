package node

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/unit"
	"millrace/netio/admin"
	"millrace/shards"
	"millrace/state/outbox"
	"millrace/state/reconcile"
	"millrace/state/store/embedded"
)

// A look is made again so soon when something differed: what moves is no drift.
const (
	reconcilePause   = 200 * time.Millisecond
	reconcileLooks   = 4
	reconcileTimeout = 30 * time.Second
)

var errStopping = errors.New("the node is stopping")

// reconciler compares journal, ledger and store from time to time.
type reconciler struct {
	node   *Node
	shared *reconcile.Shared // nil: the node is on its own
	turn   sync.Mutex        // one look at a time
	closed bool              // guarded by turn
	stop   context.CancelFunc
	done   sync.WaitGroup

	looks, failures, drifts, repairs, alarms atomic.Uint64
	drift                                    atomic.Int64 // nanos, at the last look
}

// startReconciler looks every budget.reconcile.
func (n *Node) startReconciler() {
	r := &reconciler{node: n, stop: func() {}}
	n.reconciler = r
	if n.shared != nil {
		r.shared = reconcile.NewShared(reconcile.SharedConfig{
			Node: unit.NodeID(n.cfg.NodeID), Tail: func(from uint64) *outbox.Tail { return n.journal.Tail(from) }, End: n.journal.End,
			Ledger: n.shared.ledger, Counter: n.shared.counter, Looks: reconcileLooks, Pause: pauseLook, Days: 1,
		})
	}
	r.measure()
	every := n.cfg.Budget.Reconcile
	if every <= 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = r.look(ctx, false) // told by log and metrics
			case <-ctx.Done():
				return
			}
		}
	})
}

func (r *reconciler) close() error {
	r.stop()
	r.done.Wait()
	r.turn.Lock()
	defer r.turn.Unlock()
	r.closed = true
	if r.shared == nil {
		return nil
	}
	return r.shared.Close()
}

func pauseLook(ctx context.Context) {
	select {
	case <-time.After(reconcilePause):
	case <-ctx.Done():
	}
}

// look compares once, and tells.
func (r *reconciler) look(ctx context.Context, dry bool) (reconcile.Report, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	if r.closed {
		return reconcile.Report{}, errStopping
	}
	ctx, cancel := context.WithTimeout(ctx, reconcileTimeout)
	defer cancel()
	n := r.node
	var report reconcile.Report
	var err error
	if r.shared != nil {
		report, err = r.shared.Look(ctx, dry)
	} else if own, ok := any(n.budgets).(*embedded.Store); ok {
		e := reconcile.Embedded{Store: own, Journal: n.journal.Inspect, Looks: reconcileLooks, Pause: pauseLook}
		report, err = e.Look(ctx, dry)
	}
	r.looks.Add(1)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			r.failures.Add(1)
			n.log.Warn("journal, ledger and store were not compared; the next look is in its time", "error", err)
		}
		return report, err
	}
	r.drift.Store(int64(report.Sum()))
	r.drifts.Add(uint64(len(report.Drifts)))
	r.repairs.Add(uint64(report.Repaired()))
	limit := unit.Nanos(n.cfg.Budget.ReconcileAlarm) * 1000
	for i := range report.Drifts {
		d := &report.Drifts[i]
		if d.By() > limit {
			r.alarms.Add(1)
			n.log.Error("the books differ", "drift", d.String())
		} else {
			n.log.Warn("the books differ", "drift", d.String())
		}
	}
	return report, nil
}

func (r *reconciler) measure() {
	for _, m := range []struct {
		name, help string
		v          *atomic.Uint64
	}{
		{"looks", "Times that journal, ledger and budget store were compared.", &r.looks},
		{"failures", "Times that they could not be compared.", &r.failures},
		{"drifts", "Differences found between journal, ledger and budget store.", &r.drifts},
		{"repairs", "Differences that were repaired.", &r.repairs},
		{"alarms", "Differences above budget.reconcile_alarm: each is to be looked at.", &r.alarms},
	} {
		r.node.registry.CounterFunc(shards.Desc{Name: "millrace_reconcile_" + m.name, Help: m.help}, func() float64 { return float64(m.v.Load()) })
	}
	r.node.registry.GaugeFunc(shards.Desc{Name: "millrace_reconcile_drift", Help: "How much differed at the last look, in nanos of all currencies."},
		func() float64 { return float64(r.drift.Load()) })
}

// Reconcile compares now; dry repairs nothing.
func (n *Node) Reconcile(ctx context.Context, dry bool) (*admin.Reconciled, error) {
	report, err := n.reconciler.look(ctx, dry)
	if err != nil {
		return nil, err
	}
	return Reconciled(&report, dry), nil
}

// Reconciled shows a report.
func Reconciled(r *reconcile.Report, dry bool) *admin.Reconciled {
	a := &admin.Reconciled{
		DryRun: dry, Compared: r.Compared, Repaired: r.Repaired(), Pending: admin.Amount(r.Pending), Skipped: r.Skipped, Drifts: []admin.Drift{},
	}
	for i := range r.Drifts {
		d := &r.Drifts[i]
		a.Drifts = append(a.Drifts, admin.Drift{
			Between: d.Between, What: d.What, Account: hexID(uint64(d.Account)), Campaign: hexID(uint64(d.Campaign)), Day: int32(d.Day),
			True: admin.Amount(d.True), Other: admin.Amount(d.Other), Repaired: d.Repaired,
		})
	}
	return a
}
