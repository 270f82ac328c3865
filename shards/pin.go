package shards

import (
	"fmt"
	"runtime"

	"millrace/codec/unit"
)

// PinStatus says what became of the wish to pin a shard's goroutine.
type PinStatus struct {
	Shard unit.ShardID
	// CPU is the CPU asked for, -1 where none was.
	CPU int
	// Pinned reports success.
	Pinned bool
	// Locked reports that the goroutine has a thread to itself.
	Locked bool
	// Reason says in words why it is not pinned, or what the pin is worth less
	// for; empty for a core of the shard's own.
	Reason string
}

// String is the status in one line.
func (p PinStatus) String() string {
	text := fmt.Sprintf("shard %d: not pinned", p.Shard)
	if p.Pinned {
		text = fmt.Sprintf("shard %d: pinned to CPU %d", p.Shard, p.CPU)
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

func guessedCPUs() []int {
	cpus := make([]int, runtime.NumCPU())
	for i := range cpus {
		cpus[i] = i
	}
	return cpus
}

// pinPlan is the wished-for placement, before the system was asked.
func pinPlan(cfg Config) []PinStatus {
	plan := make([]PinStatus, cfg.Shards)
	cpus, wish := cfg.CPUs, ""
	switch {
	case cfg.Unpinned:
		wish = "pinning is turned off"
	case len(cpus) == 0 && cfg.Dispatch == DispatchInline:
		wish = "inline dispatch runs it on its submitters' threads; name CPUs to pin its own goroutine all the same"
	case len(cpus) == 0:
		cpus = UsableCPUs()
	}
	for i := range plan {
		plan[i] = PinStatus{Shard: unit.ShardID(i), CPU: -1, Reason: "not started"}
		if wish != "" {
			plan[i].Reason = wish
			continue
		}
		plan[i].CPU = cpus[i%len(cpus)]
		for j := range i {
			if plan[j].CPU == plan[i].CPU {
				plan[i].Reason = fmt.Sprintf("shares CPU %d with shard %d", plan[i].CPU, j)
				break
			}
		}
	}
	return plan
}

// pinSelf locks and pins the calling goroutine as planned and says how it went.
func pinSelf(p PinStatus) PinStatus {
	if p.CPU < 0 {
		return p
	}
	// Never unlocked: the thread has a changed mask and ends with its goroutine.
	runtime.LockOSThread()
	p.Locked = true
	if err := pinThread(p.CPU); err != nil {
		p.Reason = err.Error()
		return p
	}
	p.Pinned = true
	if p.Reason == "not started" {
		p.Reason = ""
	}
	if procs := runtime.GOMAXPROCS(0); int(p.Shard) >= procs {
		p.Reason = fmt.Sprintf("only %d goroutines run at a time (GOMAXPROCS)", procs)
	}
	return p
}
