package shards

import (
	"fmt"
	"runtime"
	"time"
)

// Dispatch says on which goroutine a submitted message is handled.
type Dispatch uint8

const (
	// DispatchHop: every message waits for the shard's own goroutine, which
	// spins briefly and then parks; only a sleeping one is woken.
	DispatchHop Dispatch = iota
	// DispatchInline: the submitter takes an idle shard's turn and handles its
	// mailbox itself; if another goroutine has the turn, the message waits in
	// the mailbox for that one.
	DispatchInline
)

var dispatchNames = [...]string{DispatchHop: "hop", DispatchInline: "inline"}

// String is the name used in configuration: hop or inline.
func (d Dispatch) String() string {
	if int(d) < len(dispatchNames) {
		return dispatchNames[d]
	}
	return fmt.Sprintf("Dispatch(%d)", uint8(d))
}

// MarshalText writes the configuration name.
func (d Dispatch) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads hop or inline.
func (d *Dispatch) UnmarshalText(text []byte) error {
	for i, name := range dispatchNames {
		if name == string(text) {
			*d = Dispatch(i)
			return nil
		}
	}
	return fmt.Errorf("dispatch %q is unknown: use hop or inline", text)
}

// SpinAuto is a Spin that depends: 20 µs where GOMAXPROCS exceeds the number of
// shards, so that there is a processor to spare, and none where it does not: a
// spinning shard would then keep a poller, or the shard that has the work, from
// running at all.
const SpinAuto = time.Duration(-1)

// ShardsMax bounds the shards of a group. It is small enough for the set of
// shards written to in a turn to be a value of a few words.
const ShardsMax = 256

// Config describes a group. It is immutable once the group exists.
type Config struct {
	// Shards is the number of shards.
	Shards int
	// CPUs are the logical CPUs the shards' goroutines are pinned to, in order,
	// starting over when there are fewer CPUs than shards. Empty means, with hop
	// dispatch, the CPUs this process may use; with inline dispatch, no pinning:
	// the submitters do the work there, and a pinned goroutine that is woken for
	// what they leave takes its CPU from one of them, whichever is idle.
	CPUs []int
	// Unpinned leaves the shards' goroutines to the Go scheduler whatever the
	// dispatch: neither locked to a thread nor pinned to a CPU.
	Unpinned bool
	// MailboxSlots is the capacity of each mailbox; it is rounded up to a
	// power of two.
	MailboxSlots int
	// BatchMax is the most messages handled between two EndBatch calls.
	BatchMax int
	// Spin is how long a shard's goroutine looks for work before it parks.
	// It is a core's time spent to save a wake; 0 parks at once. Inline
	// dispatch never spins: its submitters do the work. See SpinAuto.
	Spin time.Duration
	// InlineMessages bounds what one Submit handles on its caller (a message, a
	// timer and an invocation count one each); what is left then goes to the
	// shards' own goroutines. Too low a bound wakes those while the submitters
	// still have the CPUs, too high a one keeps a submitter from its own work.
	InlineMessages int
	// TimersMax bounds the pending timers of each shard.
	TimersMax int
	// StallNanosMax is how long a callback may take before it is counted as a
	// stall; 0 turns the detector (one clock read a callback) off. The time is
	// wall time: a thread that the system took the CPU from counts too.
	StallNanosMax time.Duration
	// Dispatch is how submitted messages reach the shard.
	Dispatch Dispatch
	// KindNames names the message kinds in metrics, by Kind().
	KindNames []string
	// TimerNames names the timer kinds in metrics.
	TimerNames []string
}

// Default is one shard per CPU this process may use, inline dispatch, and
// bounds that suit an ad server.
func Default() Config {
	shards := min(runtime.GOMAXPROCS(0), len(UsableCPUs()))
	return Config{
		Shards:         max(shards, 1),
		MailboxSlots:   4096,
		BatchMax:       64,
		Spin:           SpinAuto,
		InlineMessages: 32,
		TimersMax:      1 << 20,
		StallNanosMax:  time.Millisecond,
		Dispatch:       DispatchInline,
	}
}

// spin is how long the owners really spin.
func (c Config) spin() time.Duration {
	switch {
	case c.Dispatch == DispatchInline:
		return 0
	case c.Spin != SpinAuto:
		return c.Spin
	case runtime.GOMAXPROCS(0) > c.Shards:
		return 20 * time.Microsecond
	}
	return 0
}

// Validate lists every fault of the configuration; none means it can be used.
func (c Config) Validate() []error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	within := func(field string, v, low, high int) {
		if v < low || v > high {
			fault(field, "%d is out of range: use %d to %d", v, low, high)
		}
	}
	within("Shards", c.Shards, 1, ShardsMax)
	within("MailboxSlots", c.MailboxSlots, 2, 1<<24)
	within("BatchMax", c.BatchMax, 1, 1<<16)
	within("InlineMessages", c.InlineMessages, 1, 1<<16)
	within("TimersMax", c.TimersMax, 1, 1<<30)
	within("KindNames", len(c.KindNames), 0, 256)
	within("TimerNames", len(c.TimerNames), 0, 256)
	if c.Spin != SpinAuto && (c.Spin < 0 || c.Spin > time.Second) {
		fault("Spin", "%v is out of range: use 0 (park at once) to 1s, or SpinAuto", c.Spin)
	}
	if c.StallNanosMax < 0 {
		fault("StallNanosMax", "%v is negative: use 0 to turn the stall detector off", c.StallNanosMax)
	}
	if int(c.Dispatch) >= len(dispatchNames) {
		fault("Dispatch", "%d is unknown: use DispatchHop or DispatchInline", c.Dispatch)
	}
	for i, cpu := range c.CPUs {
		if cpu < 0 || cpu >= cpusMax {
			fault(fmt.Sprintf("CPUs[%d]", i), "%d is no CPU: use 0 to %d", cpu, cpusMax-1)
		}
	}
	for _, list := range []struct {
		field string
		names []string
	}{{"KindNames", c.KindNames}, {"TimerNames", c.TimerNames}} {
		seen := map[string]int{}
		for i, name := range list.names {
			if j, dup := seen[name]; dup && name != "" {
				fault(fmt.Sprintf("%s[%d]", list.field, i), "%q is already the name of %d: names must differ", name, j)
			}
			seen[name] = i
		}
	}
	return faults
}
