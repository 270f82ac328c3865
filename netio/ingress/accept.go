package ingress

import (
	"net"
	"net/netip"
	"sync"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"millrace/codec/http1"
)

// acceptsPerTurn bounds how long a storm of new connections keeps a poller from
// its other work.
const acceptsPerTurn = 32

// acceptor is the listening socket as netpoll sees it. Like a connection's
// readable, its Accept never returns one: it registers what it accepts itself.
type acceptor struct {
	srv   *Server
	addr  net.Addr
	fd    int
	spare int // an open descriptor to give up when there are no others; used by the poller only

	mu     sync.Mutex // guards closed, and fd against being closed in between
	closed bool
}

var _ netpoll.Listener = (*acceptor)(nil)

func newAcceptor(addr string) (*acceptor, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	if err = unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	a := &acceptor{fd: fd, addr: ln.Addr()}
	a.spare, _ = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return a, nil
}

// Fd implements netpoll.Listener.
func (a *acceptor) Fd() int { return a.fd }

// Addr implements net.Listener.
func (a *acceptor) Addr() net.Addr { return a.addr }

// Close implements net.Listener.
func (a *acceptor) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.closed = true
		_ = unix.Close(a.fd)
		if a.spare >= 0 {
			_ = unix.Close(a.spare)
		}
	}
	return nil
}

// stop makes the kernel refuse new connections. The poller sees the hang-up,
// forgets the socket, and run returns. Closing it here instead would let its
// number be given to another socket while the poller still knows it.
func (a *acceptor) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		_ = unix.Shutdown(a.fd, unix.SHUT_RDWR)
	}
}

// run is asleep until the listening socket has been stopped.
func (a *acceptor) run() {
	defer a.srv.running.Done()
	loop, err := netpoll.NewEventLoop(nil)
	if err == nil {
		err = loop.Serve(a)
	}
	if !a.srv.draining.Load() {
		a.srv.failed.Store(&err)
	}
	_ = a.Close()
}

// Accept is called by a poller when connections are waiting.
func (a *acceptor) Accept() (net.Conn, error) {
	for range acceptsPerTurn {
		fd, sa, err := unix.Accept4(a.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			a.admit(fd, sa)
		case unix.ECONNABORTED, unix.EINTR:
		case unix.EMFILE, unix.ENFILE:
			a.srv.metrics.acceptFailures.Add(1)
			a.shed()
			return nil, nil
		case unix.EAGAIN, unix.EINVAL: // none left; stopped
			return nil, nil
		default:
			a.srv.metrics.acceptFailures.Add(1)
			return nil, nil
		}
	}
	return nil, nil
}

// shed turns one waiting connection away although there is no descriptor for
// it, because otherwise the socket would stay readable and the poller would
// spin. The connection cap normally keeps it from coming to this.
func (a *acceptor) shed() {
	if a.spare < 0 {
		return
	}
	_ = unix.Close(a.spare)
	if fd, _, err := unix.Accept4(a.fd, unix.SOCK_CLOEXEC); err == nil {
		_ = unix.Close(fd)
	}
	a.spare, _ = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

func (a *acceptor) admit(fd int, sa unix.Sockaddr) {
	s := a.srv
	c := &conn{srv: s, fd: fd, remote: addrPort(sa), seenAt: s.clock.Mono()}
	if !s.remember(c) {
		s.metrics.refusedConnections.Add(1)
		const reason = "server: too many connections; retry\n"
		head := http1.Head{ContentType: http1.TypeText, RetryAfterSeconds: s.cfg.RetryAfterSeconds, Date: s.date(), Close: true}
		answer := append(http1.AppendHead(nil, 503, len(reason), &head), reason...)
		_, _ = send(fd, answer) // best effort: there is room in a new socket's buffer
		_ = unix.Close(fd)
		return
	}
	s.metrics.accepted.Add(1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	go c.run()
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
