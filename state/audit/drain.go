package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"millrace/state/outbox"
)

// CursorName is the journal's cursor for the chain.
const CursorName = "audit"

// blockRecords is how many records a seal covers at most.
const blockRecords = 8192

// sealEvery is how often the chain is sealed at most while little comes.
const sealEvery = time.Second

// Status is what a drain did, for metrics.
type Status struct {
	Head Head
	// Sealed records since the start, and bytes written.
	Records, Bytes uint64
	LagBytes       int64
	// Gaps: times that the journal's segments were removed before they were read;
	// MissedBytes is what they held.
	Gaps, MissedBytes uint64
	// Removed files, for Config.KeepBytes.
	Removed uint64
	// Err is why the chain ended, nil while it works.
	Err error
}

// Drain carries a journal's records to a chain.
type Drain struct {
	chain   *Chain
	journal *outbox.Journal
	cursor  *outbox.Cursor
	tail    *outbox.Tail
	first   uint64 // records of the chain at the start

	gaps   atomic.Uint64
	failed atomic.Pointer[error]
	cancel context.CancelFunc
	done   chan struct{}
}

// NewDrain joins a chain to its journal. Step it, or Start it.
func NewDrain(c *Chain, j *outbox.Journal) (*Drain, error) {
	head := c.Head()
	if head.Position > j.End() {
		return nil, fmt.Errorf("%w: it goes beyond the journal (head %d, journal's end %d); was the journal restored from an older copy?", ErrBroken, head.Position, j.End())
	}
	cursor, err := j.Cursor(CursorName)
	if err != nil {
		return nil, err
	}
	if cursor.Position() > head.Position && head.Records > 0 {
		return nil, fmt.Errorf("%w: the journal's cursor says that the chain had come to %d, its head says %d; it was cut", ErrBroken, cursor.Position(), head.Position)
	}
	return &Drain{chain: c, journal: j, cursor: cursor, tail: j.Tail(head.Position), first: head.Records}, nil
}

// Step carries what is durable now, seals it and moves the cursor. It never
// waits. For simulations, and the end of a run.
func (d *Drain) Step() error {
	for d.tail.Ready() {
		if err := d.block(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// block carries up to a block of what is there.
func (d *Drain) block(ctx context.Context) error {
	for n := 0; n < blockRecords && (n == 0 || d.tail.Ready()); n++ {
		rec, pos, err := d.tail.Next(ctx)
		if err == nil {
			err = d.chain.Append(rec, pos)
		} else {
			err = d.missing(err)
		}
		if err != nil {
			return errors.Join(d.seal(), err)
		}
	}
	return d.seal()
}

// missing takes a tail's error: a gap is noted, and passed.
func (d *Drain) missing(err error) error {
	if gap := (*outbox.Gap)(nil); errors.As(err, &gap) {
		d.gaps.Add(1)
		return d.chain.Gap(gap.From, gap.To)
	}
	return err
}

func (d *Drain) seal() error {
	if err := d.chain.Seal(); err != nil {
		return err
	}
	return d.cursor.Advance(d.chain.Position())
}

// Start drains on a goroutine of its own until Stop.
func (d *Drain) Start(log *slog.Logger) {
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel, d.done = cancel, make(chan struct{})
	go func() {
		defer close(d.done)
		for {
			err := d.block(ctx)
			if err == nil {
				if d.tail.Ready() {
					continue
				}
				select {
				case <-time.After(sealEvery):
					continue
				case <-ctx.Done():
					return
				}
			}
			if ctx.Err() == nil && !errors.Is(err, outbox.ErrClosed) {
				d.fail(err)
				log.Error("the audit chain ends here until a restart; the journal keeps the records", "error", err)
			}
			return
		}
	}()
}

func (d *Drain) fail(err error) { d.failed.Store(&err) }

// Stop carries what is durable and closes the chain. Call it before the
// journal's Close.
func (d *Drain) Stop() error {
	if d.cancel != nil {
		d.cancel()
		<-d.done
	}
	var err error
	if d.failed.Load() == nil && !d.journal.Failed() {
		err = d.Step()
	}
	return errors.Join(err, d.tail.Close(), d.chain.Close())
}

// Status is for metrics. Any goroutine.
func (d *Drain) Status() Status {
	s := Status{
		Head: d.chain.Head(), Bytes: d.chain.bytes.Load(), Gaps: d.gaps.Load(), MissedBytes: d.cursor.MissedBytes(), Removed: d.chain.removed.Load(),
	}
	s.Records = s.Head.Records - d.first
	s.LagBytes, _ = d.journal.LagBytes(s.Head.Position)
	if err := d.failed.Load(); err != nil {
		s.Err = *err
	}
	return s
}
