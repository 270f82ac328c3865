//go:build !linux

package shards

import (
	"fmt"
	"runtime"
)

// cpusMax is the number of CPUs that can be named.
const cpusMax = 1024

// UsableCPUs lists the logical CPUs this process may run on, ascending. Here
// the system tells only their number.
func UsableCPUs() []int { return guessedCPUs() }

func pinThread(cpu int) error {
	return fmt.Errorf("CPU %d: %s has no call to pin a thread to a CPU", cpu, runtime.GOOS)
}
