package epoll

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read and Write are the plain system calls on a non-blocking socket: EAGAIN
// is what they say when there is nothing to be had. b must not be empty.
func Read(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.Syscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), e
}

// Write is send(2) without SIGPIPE: a peer that is gone is an error.
func Write(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

// Poll is an epoll set with timeouts below a millisecond where the kernel has
// epoll_pwait2 (Linux 5.11); before that, ppoll on the set's descriptor. It is
// owned by one goroutine.
type Poll struct {
	fd     int
	events []unix.EpollEvent
	coarse bool
}

// New makes a set.
func New() (Poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return Poll{}, fmt.Errorf("epoll: %w", err)
	}
	return Poll{fd: fd, events: make([]unix.EpollEvent, 256)}, nil
}

// Add watches fd for everything, edge-triggered, so that it is never changed.
// Its events carry index.
func (p *Poll) Add(fd, index int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(index)}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev)
}

// Close closes the set.
func (p *Poll) Close() error { return unix.Close(p.fd) }

// Wait returns what happened within d; valid until the next Wait. Fd of an
// event is the index it was added with.
func (p *Poll) Wait(d time.Duration) []unix.EpollEvent {
	ts := unix.NsecToTimespec(max(d.Nanoseconds(), 0))
	if d > 0 && p.coarse {
		fds := [1]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
		_, _ = unix.Ppoll(fds[:], &ts, nil) // an interrupted wait is a short one
		ts = unix.Timespec{}
		d = 0
	}
	if d <= 0 {
		n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
		if e != 0 {
			return nil
		}
		return p.events[:n]
	}
	n, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch e {
	case 0:
		return p.events[:n]
	case unix.ENOSYS, unix.EPERM:
		p.coarse = true
	}
	return nil
}

// PreciseTimers takes the thread for this goroutine and lets its waits end when
// they should: the kernel's default is to let them run 50 µs over, which would
// stand in every latency. The returned function gives the thread back.
func PreciseTimers() func() {
	runtime.LockOSThread()
	// Not being allowed to shows in how late things are done.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return func() {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // the default again
		runtime.UnlockOSThread()
	}
}
