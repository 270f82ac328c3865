package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"millrace/codec/strict"
	"millrace/engine/node"
)

// filesBeside are descriptors besides client connections: journal, epoll sets,
// catalog, admin clients.
const filesBeside = 256

func checkFiles(cfg node.Config) finding {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return warn("see ulimit -n", "the limit can't be read: %v", err)
	}
	want := uint64(cfg.Limits.Connections + filesBeside)
	// Go has raised the soft limit to the hard one at start.
	switch {
	case r.Cur < 2*filesBeside:
		return bad("raise it: ulimit -n 65536, or LimitNOFILE=65536 in the unit", "%d: too few to serve", r.Cur)
	case r.Cur < want:
		return warn(fmt.Sprintf("raise it to %d (ulimit -n, LimitNOFILE=), or lower limits.connections to %d", want, r.Cur-filesBeside),
			"%d, but limits.connections is %d: connections beyond it will not be accepted", r.Cur, cfg.Limits.Connections)
	}
	return good("%d, for %d connections", r.Cur, cfg.Limits.Connections)
}

func checkCores(cfg node.Config) finding {
	cpus := allowedCPUs()
	shards := shardCount(cfg)
	for _, cpu := range cfg.CPUs {
		if cpus != nil && !slices.Contains(cpus, cpu) {
			return bad(fmt.Sprintf("use CPUs of this set: %s", cpuText(cpus)), "CPU %d of --cpus is not one this process may use", cpu)
		}
	}
	if quota := cpuQuota(); quota > 0 && quota < float64(shards) {
		return warn(fmt.Sprintf("raise the container's CPU limit, or use --shards %d", max(1, int(quota))),
			"%d shards on %.1f CPUs of quota: the kernel will stop the process for whole periods", shards, quota)
	}
	if usable := usableCores(); shards > usable {
		return warn(fmt.Sprintf("use --shards %d", usable), "%d shards on %d usable cores: they take turns", shards, usable)
	}
	return good("%d usable (%s), %d shards", usableCores(), cpuText(cpus), shards)
}

func usableCores() int {
	if cpus := allowedCPUs(); cpus != nil {
		return len(cpus)
	}
	return runtime.NumCPU()
}

// cpuText writes a CPU set the way taskset does.
func cpuText(cpus []int) string {
	if cpus == nil {
		return "set unknown"
	}
	var parts []string
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, strconv.Itoa(cpus[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", cpus[i], cpus[j]))
		}
		i = j + 1
	}
	return "CPU " + strings.Join(parts, ",")
}

func checkPinning(cfg node.Config) finding {
	cpus := cfg.CPUs
	if len(cpus) == 0 {
		cpus = allowedCPUs()
	}
	if len(cpus) == 0 {
		return warn("run on Linux to pin", "shards are not pinned on %s: they move between cores", runtime.GOOS)
	}
	cpus = cpus[:min(len(cpus), shardCount(cfg))]
	for _, cpu := range cpus {
		if err := tryPin(cpu); err != nil {
			return warn("allow sched_setaffinity (seccomp, cpuset), or accept that shards move", "CPU %d: %v", cpu, err)
		}
	}
	return good("a thread can be pinned to %s", cpuText(cpus))
}

func checkThreads(cfg node.Config) finding {
	procs, shards := runtime.GOMAXPROCS(0), shardCount(cfg)
	pollers := cfg.Pollers
	if pollers == 0 {
		pollers = procs/20 + 1
	}
	switch {
	case procs < shards:
		return warn(fmt.Sprintf("unset GOMAXPROCS, or use --shards %d", procs), "GOMAXPROCS is %d for %d shards: shards wait for one another", procs, shards)
	case cfg.Dispatch == node.DispatchHop && procs < shards+pollers:
		return warn("use --dispatch inline, or fewer shards than cores", "GOMAXPROCS is %d for %d shards and %d pollers: under load they take turns", procs, shards, pollers)
	}
	return good("GOMAXPROCS is %d, for %d shards and %d pollers, dispatch %s", procs, shards, pollers, cfg.Dispatch)
}

func checkAcceptQueue(cfg node.Config) finding {
	b, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		return good("not readable here")
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err == nil && n < 1024 {
		return warn("sysctl -w net.core.somaxconn=4096", "net.core.somaxconn is %d: a burst of new connections is dropped", n)
	}
	return good("net.core.somaxconn is %d", n)
}

// checkClock looks at the monotonic clock: what one reading costs and how fine
// it is. A slow source costs every batch.
func checkClock(node.Config) finding {
	const readings = 20_000
	began := time.Now()
	smallest, last := time.Hour, time.Duration(0)
	for range readings {
		now := time.Since(began)
		switch step := now - last; {
		case step < 0:
			return bad("a fault of the kernel or hypervisor: choose another clock source", "the monotonic clock went back by %v", -step)
		case step > 0:
			smallest = min(smallest, step)
		}
		last = now
	}
	cost := last / readings
	source := "unknown source"
	if b, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource"); err == nil {
		source = strings.TrimSpace(string(b))
	}
	switch {
	case smallest > time.Microsecond:
		return warn("choose a finer clock source", "source %s: steps of %v", source, smallest)
	case cost > 500*time.Nanosecond:
		return warn("use tsc or kvm-clock (/sys/devices/system/clocksource)", "source %s: %v a reading, it needs a system call", source, cost)
	}
	return good("source %s, %v a reading, steps of %v", source, cost, smallest)
}

// checkWallClock looks for a wall clock that is unset, unsynchronised or moved
// while we look: budgets' days and tokens' lives depend on it.
func checkWallClock(node.Config) finding {
	began := time.Now()
	if began.Year() < 2025 {
		return bad("set the clock: timedatectl set-ntp true", "it says %s", began.UTC().Format(time.RFC3339))
	}
	time.Sleep(50 * time.Millisecond)
	ended := time.Now()
	// Sub uses the monotonic readings, Round(0) drops them.
	if jump := ended.Round(0).Sub(began.Round(0)) - ended.Sub(began); jump.Abs() > 5*time.Millisecond {
		return warn("slew the clock instead of stepping it (chrony does)", "it moved by %v against the monotonic clock within 50 ms", jump)
	}
	switch synced, known := clockSynced(); {
	case !known:
		return good("steady; whether it is synchronised can't be read here")
	case !synced:
		return warn("run chrony or systemd-timesyncd; in a container, on its host", "steady, but the kernel says it is not synchronised")
	}
	return good("steady and synchronised")
}

// fsyncSlow is where group commit starts to show in the tail of event answers.
const fsyncSlow = 20 * time.Millisecond

func checkData(cfg node.Config) finding {
	folder, temporary := cfg.Data, cfg.Data == ""
	if temporary {
		folder = os.TempDir()
	} else if _, err := os.Stat(folder); os.IsNotExist(err) {
		// serve will create it; its parent tells.
		folder = filepath.Dir(folder)
	}
	median, err := syncCost(folder)
	if err != nil {
		return bad("give its owner write permission, or choose another --data", "%s: %v", folder, err)
	}
	if free := freeBytes(folder); free > 0 && free < 4*cfg.Budget.JournalSegment {
		return bad("free some space, or choose another --data", "%s: %v free, a journal file alone is %v", folder, free, cfg.Budget.JournalSegment)
	}
	switch {
	case temporary:
		return good("a temporary one in %s (sync %v); --data keeps budgets over a restart", folder, median)
	case inMemory(folder):
		return warn("choose a folder on a disk", "%s is in memory: budgets are lost with the machine", folder)
	case median > fsyncSlow:
		return warn("use a faster disk: every acknowledged event waits for one", "%s: a sync takes %v", folder, median)
	}
	return good("%s is writable, a sync takes %v", folder, median)
}

// syncCost is the median of some small writes made durable.
func syncCost(folder string) (time.Duration, error) {
	f, err := os.CreateTemp(folder, ".millrace-doctor-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	var costs []time.Duration
	for range 9 {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		costs = append(costs, time.Since(began))
	}
	slices.Sort(costs)
	return costs[len(costs)/2].Round(time.Microsecond), nil
}

// About what one remembered user and line costs, and one user.
const (
	frequencySlotBytes = 32
	userSlotBytes      = 260
)

func checkMemory(cfg node.Config) finding {
	total := machineMemory()
	bound := "the machine's"
	if limit := containerMemory(); limit > 0 && (total == 0 || limit < total) {
		total, bound = limit, "the container's"
	}
	if total == 0 {
		return good("not readable here")
	}
	need := int64(shardCount(cfg))*(int64(cfg.Shard.FrequencySlots)*frequencySlotBytes+int64(cfg.Shard.UserSlots)*userSlotBytes) + 256<<20
	size := strict.Bytes(total &^ (1<<20 - 1))
	if int64(cfg.Memory.Limit) > total {
		return warn("lower memory.limit", "memory.limit is %v, %s memory is %v: the kernel ends the process first", cfg.Memory.Limit, bound, size)
	}
	if need > total {
		return warn("lower shard.frequency_slots, or use fewer shards", "%s %v is less than the about %v that shards may fill", bound, size, strict.Bytes(need&^(1<<20-1)))
	}
	return good("%s %v", bound, size)
}
