package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"millrace/codec/strict"
)

// allowedCPUs are the CPUs this process may run on, in order; nil: unknown.
func allowedCPUs() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var cpus []int
	for i := range 64 * len(set) {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus
}

// tryPin pins a thread to the CPU and ends that thread: a goroutine that
// returns locked takes its thread with it, affinity and all.
func tryPin(cpu int) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(cpu)
		result <- unix.SchedSetaffinity(0, &set)
	}()
	return <-result
}

// clockSynced asks the kernel whether something steers the wall clock.
func clockSynced() (synced, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, false
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, true
}

func freeBytes(folder string) strict.Bytes {
	var s unix.Statfs_t
	if unix.Statfs(folder, &s) != nil {
		return 0
	}
	return strict.Bytes(s.Bavail) * strict.Bytes(s.Bsize) &^ (1<<20 - 1)
}

func inMemory(folder string) bool {
	var s unix.Statfs_t
	return unix.Statfs(folder, &s) == nil && (s.Type == unix.TMPFS_MAGIC || s.Type == unix.RAMFS_MAGIC)
}

func machineMemory() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) >= 2 && string(f[0]) == "MemTotal:" {
			kb, err := strconv.ParseInt(string(f[1]), 10, 53)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}

// containerMemory is the memory limit of the process's control group and the
// groups above it, 0 where there is none.
func containerMemory() int64 {
	limit := int64(0)
	for _, text := range controlGroup("memory.max", "memory", "memory.limit_in_bytes") {
		// "max", or version 1's number near the end of int64, is no limit.
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && n < 1<<60 && (limit == 0 || n < limit) {
			limit = n
		}
	}
	return limit
}

// cpuQuota is how many CPUs' worth of time the control group allows, 0 for no
// limit.
func cpuQuota() float64 {
	quota := 0.0
	for _, text := range controlGroup("cpu.max", "", "") {
		parts := strings.Fields(text)
		if len(parts) != 2 {
			continue
		}
		allowed, err1 := strconv.ParseFloat(parts[0], 64)
		period, err2 := strconv.ParseFloat(parts[1], 64)
		if err1 == nil && err2 == nil && period > 0 && (quota == 0 || allowed/period < quota) {
			quota = allowed / period
		}
	}
	return quota
}

// controlGroup reads a file of the process's control group and of all groups
// above it: version 2's file, or version 1's of the named controller.
func controlGroup(file, controllerV1, fileV1 string) (texts []string) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		root, name := "/sys/fs/cgroup", file
		if parts[1] != "" { // version 1
			if controllerV1 == "" || parts[1] != controllerV1 {
				continue
			}
			root, name = "/sys/fs/cgroup/"+controllerV1, fileV1
		}
		for group := filepath.Clean("/" + parts[2]); ; group = filepath.Dir(group) {
			if t, err := os.ReadFile(filepath.Join(root, group, name)); err == nil {
				texts = append(texts, strings.TrimSpace(string(t)))
			}
			if group == "/" {
				break
			}
		}
	}
	return texts
}
