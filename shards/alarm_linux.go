package shards

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// precise uses a timer of the kernel's that the runtime's poller waits for like for
// a socket, tens of microseconds late (BenchmarkAlarm). false: there is none to
// be had.
func (a *alarm) precise() bool {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), "timerfd")
	go func() {
		var expirations [8]byte
		for {
			if _, err := f.Read(expirations[:]); err != nil {
				return // closed
			}
			a.ring()
		}
	}()
	a.after = func(d time.Duration) {
		// Of a descriptor that is open and a duration that is positive it can't fail.
		_ = unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}, nil)
	}
	a.close = func() { _ = f.Close() } // nothing is written through it
	return true
}
