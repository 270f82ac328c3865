package outbox

import (
	"millrace/codec/unit"
	"millrace/state/ledger"
)

// Journal is the durable record of a node's money.
type Journal struct{}

// Open recovers the journal in cfg.Dir, starts a new epoch and a new segment.
func Open(cfg Config) (*Journal, error) { panic("wip") }

// Epoch is this life's number.
func (j *Journal) Epoch() unit.Epoch { panic("wip") }

// Recovered is what the journal proved about earlier lives.
func (j *Journal) Recovered() *ledger.Recovered { panic("wip") }

// NewAppender makes a buffer for one shard (or other single goroutine).
// durable is called from the writer's goroutine after each sync that covers
// records of this appender, with the position up to which they are durable,
// and once with the last such position when the journal fails. It must not block.
func (j *Journal) NewAppender(durable func(pos uint64)) *Appender { panic("wip") }

// Err is why the journal stopped, nil while it works.
func (j *Journal) Err() error { panic("wip") }

// Close writes what was committed, syncs, and stops.
func (j *Journal) Close() error { panic("wip") }

// Appender buffers the records of one goroutine.
type Appender struct{}

// Append encodes r into the buffer and gives its position, from 1 upwards.
// The error is the journal's, or ErrBacklog.
func (a *Appender) Append(r *ledger.Record) (pos uint64, err error) { panic("wip") }

// Commit hands the buffer to the writer. Call it at the end of a batch.
func (a *Appender) Commit() { panic("wip") }

// Durable is the position up to which records are on disk. Any goroutine.
func (a *Appender) Durable() uint64 { panic("wip") }

// Position is the last position given out.
func (a *Appender) Position() uint64 { panic("wip") }
