package main

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// sleepers starts a thread on each core that wakes every 5 ms and does nothing
// else; the answer ends them and tells how late each woke at p99.9, in ms.
func sleepers(cores []int) func() []float64 {
	var stop atomic.Bool
	var done sync.WaitGroup
	late := make([]float64, len(cores))
	for i, core := range cores {
		done.Go(func() { late[i] = sleepOn(core, &stop) })
	}
	return func() []float64 {
		stop.Store(true)
		done.Wait()
		return late
	}
}

// sleepOn never unlocks its thread, whose core it has set: it ends with it.
func sleepOn(core int, stop *atomic.Bool) float64 {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return -1
	}
	h := hdrhistogram.New(1000, 1e10, 3)
	var at, now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &at) != nil {
		return -1
	}
	for next := at.Nano(); !stop.Load(); {
		next += 5e6
		at = unix.NsecToTimespec(next)
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
		}
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // it could be had before
		_ = h.RecordValue(min(max(now.Nano()-next, 0), h.HighestTrackableValue()))
	}
	return quantile(h, 99.9)
}
