package storm

import (
	"fmt"
	"strings"
	"time"

	"millrace/codec/unit"
)

// Fault is a kind of fault that the world injects.
type Fault uint8

// Faults.
const (
	// CrashDisk: the node dies at a disk operation, which may be half done.
	CrashDisk Fault = iota
	// Kill: the node dies at an instant of its own.
	Kill
	// SyncError: a sync fails, and what it was to make durable is gone.
	SyncError
	// DiskFull: no space for a while.
	DiskFull
	// SlowDisk: groups take up to seconds.
	SlowDisk
	// StoreDown: the store answers nothing for a while.
	StoreDown
	// StoreSlow: answers come after their time-out.
	StoreSlow
	// ClockJump: the wall clock steps, to either side.
	ClockJump
	// ClockDrift: both clocks run faster or slower.
	ClockDrift
	// Restart: the node stops in an orderly way and comes back, with another
	// number of shards.
	Restart
	// Reload: a budget is raised or cut, or a campaign paused, while it runs.
	Reload
	// Lost, Twice and Late are messages between nodes and stores: lost,
	// delivered twice, overtaken by later ones.
	Lost
	Twice
	Late
	// Only worlds in which nodes share a ledger and a counter know the following.
	// LedgerDown and CounterDown: nobody reaches it for a while; LedgerSlow: its
	// answers come after their time-out.
	LedgerDown
	LedgerSlow
	CounterDown
	// CounterEmpty: it restarts and knows nothing; CounterFailover: a replica that
	// lags behind takes over, and what was written since is lost.
	CounterEmpty
	CounterFailover
	// Unanswered calls are executed, and their answers lost.
	Unanswered
	// CutOff: a node reaches neither ledger nor counter, for longer than leases last.
	CutOff
	// Replaced: a machine is lost with its disk, and a new one takes its place.
	Replaced
	// Overtaken: a node that is cut off is replaced while it goes on, and comes
	// back with leases of a life that is over.
	Overtaken
	// Recovered: a lost disk turns up, and its journal is posted.
	Recovered
	// Torn counts recoveries that had to cut a torn tail; it comes of crashes.
	Torn
	// Again counts events that clients sent again though they had an answer, or
	// for want of one.
	Again
	// Operators take postings back: Refunded counts those that were billed today or
	// a moment ago, RefundedLate those of an earlier day, RefundedAgain what was
	// refunded before or is on its way, RefundedApart queries while the ledger (or
	// the own store) is away, RefundedCrash those whose node died on the way,
	// RefundedNothing what was not billed, and asked for in vain.
	Refunded
	RefundedLate
	RefundedAgain
	RefundedApart
	RefundedCrash
	RefundedNothing

	Faults
)

var faultNames = [Faults]string{
	"crash-at-disk-operation", "kill", "sync-error", "disk-full", "slow-disk", "store-down", "store-slow", "clock-jump", "clock-drift",
	"restart", "reload", "message-lost", "message-twice", "message-late", "ledger-down", "ledger-slow", "counter-down", "counter-empty",
	"counter-failover", "commit-unanswered", "cut-off", "replaced", "overtaken", "recovered", "torn-write", "event-again",
	"refund", "refund-of-earlier-day", "refund-again", "refund-servers-away", "refund-crashed", "refund-of-nothing",
}

// String is the fault's name in summaries and on the command line.
func (f Fault) String() string {
	if f < Faults {
		return faultNames[f]
	}
	return "unknown"
}

// FaultSet is a set of faults to inject.
type FaultSet uint64

// All faults.
const All FaultSet = 1<<Faults - 1

// Has reports whether f is in the set.
func (s FaultSet) Has(f Fault) bool { return s>>f&1 != 0 }

// ParseFaults reads a comma-separated list of names, "all" or "none"; a name
// with a minus takes one out of all.
func ParseFaults(text string) (FaultSet, error) {
	switch text {
	case "all", "":
		return All, nil
	case "none":
		return 0, nil
	}
	s := FaultSet(0)
	if strings.HasPrefix(text, "-") {
		s = All
	}
	for name := range strings.SplitSeq(text, ",") {
		bare, out := strings.CutPrefix(name, "-")
		f := Fault(0)
		for f < Faults && faultNames[f] != bare {
			f++
		}
		switch {
		case f == Faults:
			return 0, fmt.Errorf("fault %q is unknown; use all, none, or some of %s", bare, strings.Join(faultNames[:], ","))
		case out:
			s &^= 1 << f
		default:
			s |= 1 << f
		}
	}
	return s, nil
}

// Safety is one of the things that keep the money right.
type Safety uint8

// Safeties that can be removed.
const (
	Nothing Safety = iota
	// Fsync: the disk says that it has synced, and has not.
	Fsync
	// DayBoundary: no margin around midnight.
	DayBoundary
	// Fencing: the ledger grants to a life when a later one has begun.
	Fencing
	// IdempotencyKey: the store takes a repeated request for a new one.
	IdempotencyKey
	// DriftMargin: holders spend to the last instant of a lease by their own clock.
	DriftMargin
	// RefundMemory: who refunds does not look whether it was done before.
	RefundMemory
	// RefundOnce: a node's own store is told of each refund twice.
	RefundOnce

	Safeties
)

var safetyNames = [Safeties]string{"nothing", "fsync", "day-boundary", "fencing", "idempotency-key", "drift-margin", "refund-memory", "refund-once"}

// String is the safety's name.
func (s Safety) String() string { return safetyNames[s] }

// SafetyNames are those that ParseSafety reads.
func SafetyNames() []string { return safetyNames[:] }

// ParseSafety reads a name.
func ParseSafety(text string) (Safety, error) {
	for s := range Safeties {
		if safetyNames[s] == text {
			return s, nil
		}
	}
	return 0, fmt.Errorf("safety %q is unknown; use one of %s", text, strings.Join(safetyNames[:], ", "))
}

// Bounds of a world.
const (
	NodesMax  = 8
	ShardsMax = 16
)

// Config of one run. The zero value of a number leaves it to the seed.
type Config struct {
	Seed uint64
	// Duration is the simulated time of traffic; the last third, at most two
	// minutes (twenty of a long run), is calm.
	Duration time.Duration
	Nodes    int
	Shards   int
	// Embedded is one node with a store of its own. Otherwise more than one node
	// share a ledger and a counter, and a single one does as the seed says.
	Embedded bool
	Faults   FaultSet
	Removed  Safety
	// Rate is requests a second, of all clients together.
	Rate float64
	// Long is for days of simulated time: sparse traffic, sparse faults, slow
	// timers, and the default reservation TTL.
	Long bool

	// Limit ends the faults and the traffic after so many events, and Skip leaves
	// faults of the plan out: how a failure is made smaller. 0 and nil: none.
	Limit uint64
	Skip  map[int]bool
}

// skewMax is how far wall clocks are off at most while they count as right:
// money.md allows half of what the margin around midnight covers.
const skewMax = 150 * time.Millisecond

// settings are what a run has drawn from its seed.
type settings struct {
	nodes, shards  int
	rate           float64
	reservationTTL time.Duration
	tokenTTL       time.Duration
	tick           time.Duration
	segment        int64
	calm           time.Duration
	lease          time.Duration // 0: without end
	shared         bool          // the nodes share a ledger and a counter
	chained        bool          // they keep audit chains
	start          unit.WallTime
}
