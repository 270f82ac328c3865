package outbox

import (
	"sync"
	"sync/atomic"

	"millrace/state/ledger"
)

// Appender buffers the records of one goroutine. Append and Commit belong to
// that goroutine; Durable to any.
type Appender struct {
	journal *Journal
	notify  func(pos uint64)

	// Owner's.
	buf     []byte
	pos     uint64
	waiting int // bytes in ready at the last Commit

	durable atomic.Uint64

	mu       sync.Mutex
	ready    []byte // handed over, not yet taken by the writer
	readyPos uint64

	// Writer's.
	taken    []byte
	takenPos uint64
}

// Append encodes r into the buffer and gives its position, from 1 upwards.
// The error is the journal's, or ErrBacklog when the writer is far behind.
func (a *Appender) Append(r *ledger.Record) (pos uint64, err error) {
	if a.journal.failed.Load() {
		return 0, a.journal.Err()
	}
	if len(a.buf)+a.waiting > a.journal.cfg.PendingBytesMax {
		if a.waiting = a.readyBytes(); len(a.buf)+a.waiting > a.journal.cfg.PendingBytesMax {
			return 0, ErrBacklog
		}
	}
	at := len(a.buf)
	a.buf = r.Append(openFrame(a.buf))
	closeFrame(a.buf, at)
	a.pos++
	return a.pos, nil
}

func (a *Appender) readyBytes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ready)
}

// Commit hands the buffer to the writer. Call it at the end of a batch.
func (a *Appender) Commit() {
	if len(a.buf) == 0 {
		return
	}
	a.mu.Lock()
	if len(a.ready) == 0 {
		a.ready, a.buf = a.buf, a.ready[:0]
	} else {
		a.ready, a.buf = append(a.ready, a.buf...), a.buf[:0]
	}
	a.readyPos, a.waiting = a.pos, len(a.ready)
	a.mu.Unlock()
	a.journal.wakeUp()
}

// Durable is the position up to which records are on disk. Any goroutine.
func (a *Appender) Durable() uint64 { return a.durable.Load() }

// Position is the last position given out.
func (a *Appender) Position() uint64 { return a.pos }

// take swaps out what is ready; the writer's turn.
func (a *Appender) take() []byte {
	a.mu.Lock()
	a.taken, a.ready = a.ready, a.taken[:0]
	a.takenPos = a.readyPos
	a.mu.Unlock()
	return a.taken
}
