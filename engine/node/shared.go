package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"millrace/codec/unit"
	"millrace/state/outbox"
	"millrace/state/store"
	"millrace/state/store/cockroach"
	"millrace/state/store/joint"
	"millrace/state/store/valkey"
)

// How long a start waits for the ledger, and a stop for the ledger to take the
// last records. What it does not take then it takes at the next start.
const (
	ledgerStartTimeout = 5 * time.Second
	ledgerStopTimeout  = 3 * time.Second
)

// sharedRetryMax is the longest pause between two tries to reach ledger or
// counter: when they come back, spending goes on within it.
const sharedRetryMax = time.Second

// shared is what a node has that keeps budgets together with others.
type shared struct {
	ledger  *cockroach.Ledger
	counter *valkey.Counter
	store   *joint.Store

	stop    context.CancelFunc // of what runs in the background
	running sync.WaitGroup
}

// openShared readies ledger and counter, and asks for the last epoch of this
// node: the journal's must be above it.
func (n *Node) openShared(ctx context.Context, journal *outbox.Config) error {
	if !n.cfg.Shared() {
		return nil
	}
	url, err := n.cfg.Ledger.LedgerURL()
	if err != nil {
		return err
	}
	client, err := n.cfg.Valkey.Client()
	if err != nil {
		return err
	}
	c := cockroach.Default()
	c.URL, c.Lease, c.Call, c.Conns = url, n.cfg.Ledger.Lease, n.cfg.Ledger.Timeout, n.cfg.Ledger.Connections
	c.Statement = c.Call * 4 / 5
	c.Wall, c.Log = n.clock.Wall, n.log
	n.shared = &shared{stop: func() {}}
	if n.shared.ledger, err = cockroach.Open(c); err != nil {
		return err
	}
	if n.shared.counter, err = valkey.Open(client, n.clock); err != nil {
		return err
	}
	journal.EpochFloor, err = n.lastEpoch(ctx, url)
	if err == nil {
		return nil
	}
	if found, _ := filepath.Glob(filepath.Join(journal.Dir, "*.seg")); len(found) == 0 || errors.Is(err, cockroach.ErrSchema) {
		return fmt.Errorf("ledger.url: %w", err)
	}
	// The journal knows its epochs; what it returns and posts waits in it.
	n.log.Warn("the ledger is not reached; nothing is spent until it is", "error", err)
	return nil
}

// lastEpoch asks until it is told, or the time is over.
func (n *Node) lastEpoch(ctx context.Context, url string) (epoch unit.Epoch, err error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerStartTimeout)
	defer cancel()
	for {
		if err = cockroach.Check(ctx, url); err == nil {
			done := make(chan struct{})
			n.shared.ledger.LastEpoch(unit.NodeID(n.cfg.NodeID), func(e unit.Epoch, e2 error) { epoch, err = e, e2; close(done) })
			<-done
		}
		if err == nil || errors.Is(err, cockroach.ErrSchema) {
			return epoch, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return 0, err
		}
	}
}

// startShared makes the store of the journal and lets it run.
func (n *Node) startShared() (store.BudgetStore, error) {
	s := n.shared
	c := joint.Default()
	c.Journal, c.Ledger, c.Counter, c.Deliver = n.journal, s.ledger, s.counter, n.deliver
	c.Wall, c.Mono = n.clock.Wall, n.clock.Mono
	c.After = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	c.Alarm = func(err error) { n.log.Error("shared budgets", "error", err) }
	c.RetryMax = sharedRetryMax
	var err error
	if s.store, err = joint.Open(c); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.running.Go(func() { s.store.Run(ctx) })
	s.running.Go(func() { n.keepMonths(ctx) })
	n.measureShared()
	return s.store, nil
}

// keepMonths makes the ledger's partitions before they are needed.
func (n *Node) keepMonths(ctx context.Context) {
	for {
		made, err := n.shared.ledger.KeepMonths(ctx)
		wait := 24 * time.Hour
		if err != nil {
			wait = time.Minute
		}
		for _, name := range made {
			n.log.Info("the ledger has a new partition", "table", name)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// stopShared waits, within bounds, until the ledger has what is durable, and
// lets go of everything.
func (n *Node) stopShared(ctx context.Context) error {
	s := n.shared
	var err error
	if s.store != nil {
		ctx, cancel := context.WithTimeout(ctx, ledgerStopTimeout)
		defer cancel()
		for !s.store.Posted() && ctx.Err() == nil {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
				n.log.Warn("the ledger has not got all of the journal; it gets the rest at the next start")
			}
		}
		err = s.store.Close()
	}
	s.stop()
	if s.counter != nil {
		s.counter.Close()
	}
	if s.ledger != nil {
		s.ledger.Close()
	}
	s.running.Wait()
	return err
}
