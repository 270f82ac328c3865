package shards

import (
	"sync/atomic"
	"time"

	"millrace/codec/unit"
)

// Clock is the only source of time a shard has. A shard reads it once a batch,
// so all messages of a batch see one instant; simulations inject a ManualClock.
type Clock interface {
	// Mono is monotonic time since the node started.
	Mono() unit.MonoTime
	// Wall is the time since the Unix epoch; it may step.
	Wall() unit.WallTime
}

// processStart is the zero of MonoTime: one base for the whole process, so
// that times read through different SystemClock values compare.
var processStart = time.Now()

type systemClock struct{}

// SystemClock reads the operating system's clocks. All its values share one
// zero, the start of the process.
func SystemClock() Clock { return systemClock{} }

func (systemClock) Mono() unit.MonoTime { return unit.MonoTime(time.Since(processStart)) }

func (systemClock) Wall() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }

// both reads both clocks for the price of one time.Now.
func (systemClock) both() (unit.MonoTime, unit.WallTime) {
	t := time.Now()
	return unit.MonoTime(t.Sub(processStart)), unit.WallTime(t.UnixNano())
}

// readClock is one batch's look at the clock. The common clock is asked
// directly: an interface call per field would cost a second clock read.
func readClock(c Clock) (unit.MonoTime, unit.WallTime) {
	if sys, ok := c.(systemClock); ok {
		return sys.both()
	}
	return c.Mono(), c.Wall()
}

// ManualClock stands still until it is moved: the clock of simulations and
// tests. It may be read and moved from any goroutine.
type ManualClock struct {
	mono atomic.Int64
	wall atomic.Int64
}

// NewManualClock is a clock standing at monotonic zero and the given wall time.
func NewManualClock(wall unit.WallTime) *ManualClock {
	c := &ManualClock{}
	c.wall.Store(int64(wall))
	return c
}

// Mono is the monotonic time it was moved to.
func (c *ManualClock) Mono() unit.MonoTime { return unit.MonoTime(c.mono.Load()) }

// Wall is the wall time it was moved to.
func (c *ManualClock) Wall() unit.WallTime { return unit.WallTime(c.wall.Load()) }

// Advance moves both clocks by d. A negative d moves nothing: monotonic time
// never runs back.
func (c *ManualClock) Advance(d time.Duration) {
	if d > 0 {
		c.mono.Add(int64(d))
		c.wall.Add(int64(d))
	}
}

// SetWall steps the wall clock alone, in either direction, as NTP or an
// operator may.
func (c *ManualClock) SetWall(t unit.WallTime) { c.wall.Store(int64(t)) }
