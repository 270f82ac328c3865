package load

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// request is one that waits for its answer.
type request struct {
	intended int64 // when it was due
	sent     int64
	kind     kind
	measured bool // not of the warm-up
}

// conn is one keep-alive connection. Owned by its worker.
type conn struct {
	fd         int
	connecting bool
	retryAt    int64 // closed: when to connect again
	queue      []request
	head, size int
	in         []byte // start of an answer that has not fully come
	out        []byte // bytes the socket did not take
	free       bool   // listed in worker.free
	closing    bool   // the server said it closes
}

func (c *conn) room() bool {
	return c.fd >= 0 && !c.connecting && !c.closing && c.size < len(c.queue) && len(c.out) == 0
}

func (c *conn) push(r request) {
	c.queue[(c.head+c.size)%len(c.queue)] = r
	c.size++
}

func (c *conn) pop() request {
	r := c.queue[c.head]
	c.head = (c.head + 1) % len(c.queue)
	c.size--
	return r
}

func resolve(address string) (unix.Sockaddr, int, error) {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, 0, fmt.Errorf("load: %w", err)
	}
	ap := a.AddrPort()
	ip := ap.Addr().Unmap()
	if !ip.IsValid() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ip.As4()}, unix.AF_INET, nil
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ip.As16()}, unix.AF_INET6, nil
}

// dial starts a connection; its outcome comes as an event.
func dial(to unix.Sockaddr, family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("load: no socket: %w; see ulimit -n", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("load: TCP_NODELAY: %w", err)
	}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// read and write are the plain system calls: the runtime's poller would park
// the goroutine, which is what this client is made to avoid.
func read(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.Syscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), e
}

func write(fd int, b []byte) (int, syscall.Errno) {
	// MSG_NOSIGNAL: a peer that is gone is an error, not a signal.
	n, _, e := syscall.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

// poll is an epoll set with timeouts below a millisecond where the kernel has
// epoll_pwait2 (Linux 5.11); before that, ppoll on the set's descriptor.
type poll struct {
	fd     int
	events []unix.EpollEvent
	coarse bool
}

func newPoll() (poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return poll{}, fmt.Errorf("load: epoll: %w", err)
	}
	return poll{fd: fd, events: make([]unix.EpollEvent, 256)}, nil
}

// add watches fd for everything, edge-triggered, so that it is never changed.
func (p *poll) add(fd, index int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(index)}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev)
}

// wait returns the number of events, after at most d.
func (p *poll) wait(d time.Duration) int {
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
			return 0
		}
		return int(n)
	}
	n, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch e {
	case 0:
		return int(n)
	case unix.ENOSYS, unix.EPERM:
		p.coarse = true
	}
	return 0
}

// preciseTimers takes the thread for this goroutine and lets its waits end when
// they should: the kernel's default is to let them run 50 µs over, which would
// stand in every latency. The returned function gives the thread back.
func preciseTimers() func() {
	runtime.LockOSThread()
	// Not being allowed to is visible in send_delay.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return func() {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // the default again
		runtime.UnlockOSThread()
	}
}
