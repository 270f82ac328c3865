package outbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
)

// Errors of a journal.
var (
	// ErrClosed: Append after Close.
	ErrClosed = errors.New("journal: closed")
	// ErrDiskFull: no space left; spending stops until a restart with space.
	ErrDiskFull = errors.New("journal: the disk is full; free space in the data folder and restart")
	// ErrBacklog: the disk is slower than the events; the caller refuses and
	// the client tries again.
	ErrBacklog = errors.New("journal: too many records wait for the disk")
	// ErrDamaged: synced data was changed on disk.
	ErrDamaged = errors.New("journal: damaged")
)

// Recovery says what Open found.
type Recovery struct {
	Checkpoint     uint64 // number of the checkpoint used, 0 for none
	CheckpointsBad int
	Segments       int
	Records        uint64
	Bytes          int64
	TornBytes      int64 // cut off the youngest segment
	Breaches       uint64
	Duration       time.Duration
}

// Stats are the journal's counters. Any goroutine.
type Stats struct {
	Records, Groups, Bytes, Segments, Checkpoints, Breaches uint64
}

// Journal is the durable record of a node's money.
type Journal struct {
	cfg       Config
	fs        FS
	epoch     unit.Epoch
	previous  unit.Epoch
	recovered *ledger.Recovered
	recovery  Recovery
	unlock    func() error

	stepped bool // no goroutine: the owner calls Step
	failed  atomic.Bool
	wake    chan struct{}
	inspect chan func(*ledger.Book)
	closing chan struct{}
	done    chan struct{}
	once    sync.Once

	mu        sync.Mutex // guards appenders, tails, cursors, err; the lists are replaced, never changed
	appenders []*Appender
	tails     []*Tail
	cursors   []*Cursor
	err       error

	end atomic.Uint64 // position behind the last durable record

	records, groups, bytes, segments, checkpoints, breaches atomic.Uint64

	writer writer
}

// Epoch is this life's number.
func (j *Journal) Epoch() unit.Epoch { return j.epoch }

// Previous is the life before this one in the journal, 0 if there is none.
func (j *Journal) Previous() unit.Epoch { return j.previous }

// Node is whose journal it is.
func (j *Journal) Node() unit.NodeID { return j.cfg.Node }

// Recovered is what the journal proved about earlier lives. Read only, shared.
func (j *Journal) Recovered() *ledger.Recovered { return j.recovered }

// Recovery says what Open found.
func (j *Journal) Recovery() Recovery { return j.recovery }

// Stats are the counters since Open.
func (j *Journal) Stats() Stats {
	return Stats{
		Records: j.records.Load(), Groups: j.groups.Load(), Bytes: j.bytes.Load(), Segments: j.segments.Load(),
		Checkpoints: j.checkpoints.Load(), Breaches: j.breaches.Load(),
	}
}

// NewAppender makes a buffer for one shard (or other single goroutine).
// durable is called from the writer's goroutine after each sync that covers
// records of this appender, with the position up to which they are durable,
// and once more, with an unchanged position, when the journal fails (see Err).
// It must not block. nil: the owner polls Durable.
func (j *Journal) NewAppender(durable func(pos uint64)) *Appender {
	a := &Appender{journal: j, notify: durable}
	j.mu.Lock()
	j.appenders = append(j.appenders[:len(j.appenders):len(j.appenders)], a)
	j.mu.Unlock()
	return a
}

// Err is why the journal stopped, nil while it works.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Failed reports whether Err is not nil, without a lock: shards ask each batch.
func (j *Journal) Failed() bool { return j.failed.Load() }

// Inspect runs f on the Book between two groups and waits for it. f must not
// keep the Book. It fails when the journal is closed.
func (j *Journal) Inspect(f func(*ledger.Book)) error {
	if j.stepped {
		f(j.writer.book)
		return nil
	}
	ran := make(chan struct{})
	select {
	case j.inspect <- func(b *ledger.Book) { f(b); close(ran) }:
		<-ran
		return nil
	case <-j.done:
		return ErrClosed
	}
}

// Close writes what was committed, syncs, and stops. The owners of appenders
// must have stopped. It gives the journal's error if it had failed.
func (j *Journal) Close() error {
	j.once.Do(func() {
		close(j.closing)
		if j.stepped {
			j.Step()
			j.stop()
			close(j.done)
		}
	})
	<-j.done
	if err := j.Err(); !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}

func (j *Journal) wakeUp() {
	select {
	case j.wake <- struct{}{}:
	default: // the writer has not yet taken the last one and will see this too
	}
}

// named tells a full disk apart from other faults.
func named(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w (%w)", ErrDiskFull, err)
	}
	return err
}

// fail makes err the journal's end. Only the first counts.
func (j *Journal) fail(err error) {
	err = named(err)
	j.mu.Lock()
	first := j.err == nil
	if first {
		j.err = err
	}
	appenders := j.appenders
	j.mu.Unlock()
	j.failed.Store(true)
	if !first {
		return
	}
	if j.cfg.Alarm != nil && !errors.Is(err, ErrClosed) {
		j.cfg.Alarm(err)
	}
	for _, a := range appenders {
		if a.notify != nil {
			a.notify(a.durable.Load())
		}
	}
	j.wakeTails()
}

func (j *Journal) wakeTails() {
	j.mu.Lock()
	tails := j.tails
	j.mu.Unlock()
	for _, t := range tails {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

func (j *Journal) path(number uint64, suffix string) string {
	return filepath.Join(j.cfg.Dir, fileName(number, suffix))
}
