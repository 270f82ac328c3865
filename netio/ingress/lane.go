package ingress

import (
	"sync"

	"golang.org/x/sys/unix"
)

// lane is the slow lane: one goroutine with its own epoll that takes over
// connections whose clients do not keep up. It waits for them to become
// writable, and it goes on with input that had to wait for room.
type lane struct {
	epoll int
	wake  int // eventfd
	turn  turn

	mu      sync.Mutex
	conns   map[int32]*conn // registered for EPOLLOUT, by descriptor
	resumed []*conn         // to be resumed
	stopped bool
	done    chan struct{}
}

func newLane() (*lane, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)})
		if err != nil {
			_ = unix.Close(wake)
		}
	}
	if err != nil {
		_ = unix.Close(epoll)
		return nil, err
	}
	return &lane{epoll: epoll, wake: wake, conns: make(map[int32]*conn), done: make(chan struct{})}, nil
}

// add registers c. Holds c.mu, so the descriptor is c's.
func (l *lane) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	ev := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(c.fd)}
	if unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, c.fd, &ev) != nil {
		return false
	}
	l.conns[ev.Fd] = c
	c.waiting = true
	return true
}

// remove takes c out, before its descriptor can be closed. Holds c.mu.
func (l *lane) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.waiting = false
	delete(l.conns, int32(c.fd))
	if !l.stopped {
		_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
	}
}

// resume asks the lane to go on with c's input. Holds c.mu.
func (l *lane) resume(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || c.resuming {
		return
	}
	c.stalled, c.resuming = false, true
	l.resumed = append(l.resumed, c)
	if len(l.resumed) == 1 {
		l.signal()
	}
}

func (l *lane) signal() { _, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (l *lane) stop() {
	l.mu.Lock()
	if !l.stopped {
		l.stopped = true
		l.signal()
	}
	l.mu.Unlock()
	<-l.done
}

func (l *lane) run() {
	defer close(l.done)
	events := make([]unix.EpollEvent, 64)
	var batch []*conn
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			panic("ingress: slow lane: epoll_wait: " + err.Error()) // a broken invariant: the descriptor is ours
		}
		for i := range max(n, 0) {
			if int(events[i].Fd) == l.wake {
				var b [8]byte
				_, _ = unix.Read(l.wake, b[:])
				continue
			}
			l.mu.Lock()
			c := l.conns[events[i].Fd]
			l.mu.Unlock()
			if c != nil {
				c.writable()
			}
		}
		l.mu.Lock()
		batch = append(batch[:0], l.resumed...)
		clear(l.resumed)
		l.resumed = l.resumed[:0]
		stopped := l.stopped
		l.mu.Unlock()
		for i, c := range batch {
			batch[i] = nil
			c.resume(&l.turn)
		}
		if stopped {
			_ = unix.Close(l.epoll)
			_ = unix.Close(l.wake)
			return
		}
	}
}

// writable goes on with a backlog. An event that was meant for an earlier owner
// of the descriptor does no harm: c's own bytes go to c's own socket.
func (c *conn) writable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.waiting:
	case c.dead:
		c.srv.lane.remove(c) // it would be reported until it is buried
	default:
		c.push()
	}
}
