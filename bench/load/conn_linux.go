package load

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// request is one that waits for its answer.
type request struct {
	intended int64 // when it was due
	sent     int64
	id       uint64
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
