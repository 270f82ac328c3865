package joint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store"
)

// CursorName is the cursor that holds the segments which the ledger has not got.
const CursorName = "ledger"

// DrainConfig of a Drain.
type DrainConfig struct {
	// Tail reads the journal; the drain closes it. Of a folder that no node writes
	// it ends (outbox.OpenTail).
	Tail *outbox.Tail
	// From is where Tail begins.
	From uint64
	// Life carries the records: the one that writes the journal, or its last.
	Life   Life
	Ledger Ledger
	// Rows is how many records make a batch at most.
	Rows int
	// RetryMin and RetryMax bound the back-off after a failed Post.
	RetryMin, RetryMax time.Duration
	// After runs f later, from any goroutine.
	After func(d time.Duration, f func())
	// Posted, if set, is told of each batch that the ledger has, with the position
	// behind it. Valid until it returns. Failed, if set, of each Post that failed.
	Posted func(records []ledger.Record, to uint64)
	Failed func(error)
	// Alarm is told of gaps, and why the drain stopped if it did.
	Alarm func(error)
}

// DrainStatus is what a drain did, for metrics.
type DrainStatus struct {
	// Position up to which the ledger has the journal.
	Position uint64
	Records  uint64
	Batches  uint64
	Failures uint64
	// Last is why the last Post failed, nil after one that did not.
	Last error
	// Over: the tail has ended, and all of it is posted.
	Over bool
}

// Drain carries a journal's records to the ledger, in their order, one batch at a
// time. It has no goroutine: Step begins a batch if none is under way, and each
// batch that is answered begins the next. Any goroutine.
type Drain struct {
	cfg      DrainConfig
	position atomic.Uint64

	mu       sync.Mutex
	batch    []ledger.Record
	names    []byte // of the batch's records
	to       uint64
	busy     bool // a batch is under way, or waits to be tried again
	stopped  bool
	over     bool
	wait     time.Duration
	records  uint64
	batches  uint64
	failures uint64
	last     error
}

// NewDrain makes a drain; nothing happens before Step or Run.
func NewDrain(c DrainConfig) *Drain {
	d := &Drain{cfg: c, wait: c.RetryMin}
	d.position.Store(c.From)
	return d
}

// Position is up to where the ledger has the journal.
func (d *Drain) Position() uint64 { return d.position.Load() }

// Status is for metrics.
func (d *Drain) Status() DrainStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	return DrainStatus{
		Position: d.Position(), Records: d.records, Batches: d.batches, Failures: d.failures, Last: d.last, Over: d.over && !d.busy,
	}
}

// Run steps whenever the journal has something new, until ctx ends or the
// journal does.
func (d *Drain) Run(ctx context.Context) {
	for {
		d.Step()
		if d.Status().Over {
			return
		}
		select {
		case <-d.cfg.Tail.Woken():
		case <-ctx.Done():
			return
		}
	}
}

// Stop lets go of the journal's files. What is under way is posted or not, and
// is taken as a repeat when it comes again.
func (d *Drain) Stop() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return nil
	}
	d.stopped = true
	return d.cfg.Tail.Close()
}

// Step posts the next batch if there is one and none is under way.
func (d *Drain) Step() {
	d.mu.Lock()
	if d.busy || d.stopped {
		d.mu.Unlock()
		return
	}
	alarms := d.gather()
	d.busy = len(d.batch) > 0
	post := d.busy
	d.mu.Unlock()
	for _, err := range alarms {
		if d.cfg.Alarm != nil {
			d.cfg.Alarm(err)
		}
	}
	if post {
		d.post()
	}
}

// noWait makes Tail.Next give only what is there.
var noWait = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// gather reads what is durable, up to a batch.
func (d *Drain) gather() (alarms []error) {
	d.batch, d.names = d.batch[:0], d.names[:0]
	for len(d.batch) < d.cfg.Rows && !d.over && d.cfg.Tail.Ready() {
		rec, pos, err := d.cfg.Tail.Next(noWait)
		if gap := (*outbox.Gap)(nil); errors.As(err, &gap) {
			alarms = append(alarms, fmt.Errorf("the ledger misses records: %w", err))
			continue
		}
		if errors.Is(err, context.Canceled) {
			return alarms
		}
		if err != nil {
			d.over = true
			if !errors.Is(err, io.EOF) && !errors.Is(err, outbox.ErrClosed) {
				alarms = append(alarms, fmt.Errorf("the drain to the ledger ends: %w", err))
			}
			return alarms
		}
		d.batch = append(d.batch, *rec)
		if len(rec.Name) > 0 {
			at := len(d.names)
			d.names = append(d.names, rec.Name...)
			d.batch[len(d.batch)-1].Name = slices.Clip(d.names[at:])
		}
		d.to = pos
	}
	return alarms
}

// post sends the batch, again and again until it is answered. While busy, batch
// and to are nobody else's.
func (d *Drain) post() {
	d.cfg.Ledger.Post(d.cfg.Life, d.batch, d.Position(), d.to, d.answered)
}

func (d *Drain) answered(err error) {
	d.mu.Lock()
	d.last = err
	if err != nil {
		d.failures++
		wait := d.wait
		d.wait = min(2*d.wait, d.cfg.RetryMax)
		stopped := d.stopped
		d.mu.Unlock()
		if d.cfg.Failed != nil {
			d.cfg.Failed(err)
		}
		if !stopped {
			d.cfg.After(wait, d.post)
		}
		return
	}
	d.wait = d.cfg.RetryMin
	d.records += uint64(len(d.batch))
	d.batches++
	d.position.Store(d.to)
	d.mu.Unlock()
	if d.cfg.Posted != nil {
		d.cfg.Posted(d.batch, d.to)
	}
	d.mu.Lock()
	d.busy = false
	d.mu.Unlock()
	d.Step()
}

// returnOf is the request that gave money back, as the counter knows it.
func returnOf(r *ledger.Record) store.ReturnRequest {
	return store.ReturnRequest{
		ID:      store.OpID{Node: r.Node, Shard: r.Shard, Epoch: r.Epoch, Seq: r.Seq},
		Account: r.Account, Campaign: r.Campaign, Day: r.Day, LeaseEpoch: r.LeaseEpoch, Amount: r.Amount, Stamp: r.Stamp,
	}
}
