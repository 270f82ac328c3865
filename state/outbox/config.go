package outbox

import (
	"errors"
	"fmt"
	"time"

	"millrace/codec/unit"
)

// Config of a journal.
type Config struct {
	// Dir holds the segments and checkpoints; made if absent. One process at a time.
	Dir string
	// Node is this node's number; a journal of another node is refused.
	Node unit.NodeID
	// Shards is written into the record that opens the epoch.
	Shards int
	// SegmentBytes is the size at which a segment is closed, preallocated.
	SegmentBytes int64
	// PendingBytesMax: an appender whose unwritten records exceed it refuses more.
	PendingBytesMax int
	// Retention keeps segments that recovery no longer needs, for audits and
	// for downstream copies; RetentionBytesMax bounds them.
	Retention         time.Duration
	RetentionBytesMax int64
	// HoldBytesMax bounds the segments that are kept for cursors only; beyond
	// it the oldest go, which is alarmed and counted (Cursor.MissedBytes).
	HoldBytesMax int64
	// EpochFloor is the highest epoch that somebody else knows of this node: this
	// life's is above it, whatever became of the folder.
	EpochFloor unit.Epoch
	// TokenTTL is how long an event of a win can come: as long it is remembered.
	TokenTTL time.Duration
	// Wall is the clock; FS the files (nil: the operating system's).
	Wall func() unit.WallTime
	FS   FS
	// Alarm, if set, is told of every breach of an invariant, of a failed
	// checkpoint and of the journal's end, from any goroutine.
	Alarm func(error)
}

// Default is a configuration without Dir and Wall.
func Default() Config {
	return Config{
		Shards:            1,
		SegmentBytes:      64 << 20,
		PendingBytesMax:   16 << 20,
		Retention:         24 * time.Hour,
		RetentionBytesMax: 4 << 30,
		HoldBytesMax:      16 << 30,
		TokenTTL:          24 * time.Hour,
	}
}

// Validate lists every fault.
func (c *Config) Validate() error {
	var faults []error
	check := func(ok bool, text string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("journal."+text, args...))
		}
	}
	check(c.Dir != "", "dir: not set; name a folder that survives restarts")
	check(c.Shards > 0, "shards: %d, want at least 1", c.Shards)
	check(c.SegmentBytes >= 4096, "segment_bytes: %d, want at least 4096", c.SegmentBytes)
	check(c.PendingBytesMax >= 4096, "pending_bytes_max: %d, want at least 4096", c.PendingBytesMax)
	check(c.Retention >= 0, "retention: %v is negative", c.Retention)
	check(c.RetentionBytesMax >= 0, "retention_bytes_max: %d is negative", c.RetentionBytesMax)
	check(c.HoldBytesMax >= 0, "hold_bytes_max: %d is negative", c.HoldBytesMax)
	check(c.TokenTTL > 0, "token_ttl: %v, want above zero", c.TokenTTL)
	check(c.Wall != nil, "wall: no clock given")
	return errors.Join(faults...)
}
