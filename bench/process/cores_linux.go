package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// SplitCores halves the usable cores: servers, client. nil means "not split".
func SplitCores(split bool) (servers, client []int) {
	var set unix.CPUSet
	if !split || unix.SchedGetaffinity(0, &set) != nil || set.Count() < 2 {
		return nil, nil
	}
	half := set.Count() / 2
	for i := 0; len(servers)+len(client) < set.Count(); i++ {
		switch {
		case !set.IsSet(i):
		case len(servers) < half:
			servers = append(servers, i)
		default:
			client = append(client, i)
		}
	}
	return servers, client
}

func pinThread(tid int, cores []int) error {
	var set unix.CPUSet
	for _, c := range cores {
		set.Set(c)
	}
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return fmt.Errorf("sched_setaffinity: %w", err)
	}
	return nil
}

// PinSelf moves every thread of this process; new ones inherit.
func PinSelf(cores []int) error {
	if cores == nil {
		return nil
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := pinThread(tid, cores); err != nil {
			return err
		}
	}
	return nil
}

// clockTick is the unit of /proc/PID/stat: USER_HZ, 100 on every Linux.
const clockTick = 10 * time.Millisecond

// CPU is the processor time the server has used; 0 when it can't be read.
func (c *Server) CPU() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// Fields count from after the name, which may hold spaces.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return time.Duration(user+system) * clockTick
}
