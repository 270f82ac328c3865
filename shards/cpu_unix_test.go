//go:build unix

package shards

import (
	"syscall"
	"testing"
	"time"
)

// doorbell wakes a goroutine that waits in a blocking system call.
type doorbell struct {
	fds  [2]int
	wake [1]byte
	got  [1]byte
}

func newDoorbell(b *testing.B) *doorbell {
	d := &doorbell{}
	if err := syscall.Pipe(d.fds[:]); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = syscall.Close(d.fds[0]), syscall.Close(d.fds[1]) })
	return d
}

func (d *doorbell) ring() {
	if _, err := syscall.Write(d.fds[1], d.wake[:]); err != nil {
		panic(err)
	}
}

func (d *doorbell) wait() {
	for {
		if _, err := syscall.Read(d.fds[0], d.got[:]); err != syscall.EINTR {
			return
		}
	}
}

// processCPU is the processor time this process has used.
func processCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
