package shards

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// cpusMax is the number of CPUs a kernel mask can name.
const cpusMax = 1024

// UsableCPUs lists the logical CPUs this process may run on, ascending.
func UsableCPUs() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return guessedCPUs()
	}
	var cpus []int
	for cpu := range cpusMax {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// pinThread binds the calling thread to one CPU. The goroutine must be locked
// to its thread, and stay so until it ends: the thread's mask is not restored.
func pinThread(cpu int) error {
	var set unix.CPUSet
	set.Zero()
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("sched_setaffinity to CPU %d: %w (allow it in the process's cpuset, or name other CPUs)", cpu, err)
	}
	return nil
}
