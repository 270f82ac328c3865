package dsp

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"
)

// poller tells which connections can be read or written. Sockets are in an epoll
// of the pool's own, edge-triggered; that epoll is what netpoll watches, as if it
// were a listener whose Accept means "look". So one callback takes the events of
// all sockets that are ready, nothing is reported twice while the shard is busy,
// and sockets come and go without netpoll knowing.
//
//	sockets ─► epoll ─► netpoll's poller: Accept ─► bits ─► Notify ─► Ready
type poller struct {
	epoll    int
	wake     int // eventfd, without netpoll only: ends Poll's wait
	notify   func()
	loop     netpoll.EventLoop
	serving  sync.WaitGroup
	looking  atomic.Uint32 // idle, busy, closed: whether Accept is using the descriptor
	notified atomic.Bool   // until Ready or Tick

	// By slot. ready: something happened; ended: the peer will send no more.
	ready [slotsMax / 64]atomic.Uint64
	ended [slotsMax / 64]atomic.Uint64

	events [256]unix.EpollEvent // Accept's, or Poll's
}

const (
	slotsMax = 1 << 14
	wakeSlot = -1

	lookIdle   = 0
	lookBusy   = 1
	lookClosed = 2
)

func newPoller(notify func()) (*poller, error) {
	p := &poller{notify: notify, wake: -1}
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("dsp: epoll_create: %w", err)
	}
	if notify == nil {
		if p.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err == nil {
			err = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, p.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeSlot})
		}
	} else if p.loop, err = netpoll.NewEventLoop(nil); err == nil {
		p.serving.Add(1)
		go func() {
			defer p.serving.Done()
			_ = p.loop.Serve(p) // until Shutdown; a failed registration shows in that nothing is ever ready
		}()
	}
	if err != nil {
		_ = unix.Close(p.epoll)
		return nil, fmt.Errorf("dsp: poller: %w", err)
	}
	return p, nil
}

var _ netpoll.Listener = (*poller)(nil)

// Fd implements netpoll.Listener.
func (p *poller) Fd() int { return p.epoll }

// Addr implements net.Listener.
func (p *poller) Addr() net.Addr { return nil }

// Close implements net.Listener; the descriptor is closed by close only.
func (p *poller) Close() error { return nil }

// Accept is called by netpoll's poller when sockets are ready.
func (p *poller) Accept() (net.Conn, error) {
	if p.looking.CompareAndSwap(lookIdle, lookBusy) {
		for p.take(poll(p.epoll, p.events[:])) == len(p.events) {
		}
		p.looking.Store(lookIdle)
		p.announce()
	}
	return nil, nil
}

// take notes the first n events.
func (p *poller) take(n int) int {
	for i := range n {
		ev := &p.events[i]
		if ev.Fd == wakeSlot {
			var b [8]byte
			_, _ = unix.Read(p.wake, b[:])
			continue
		}
		if ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			// First: who sees the other bit has to see this one.
			p.ended[ev.Fd>>6].Or(1 << (ev.Fd & 63))
		}
		p.mark(int(ev.Fd))
	}
	return n
}

// mark makes the next Ready look at a slot.
func (p *poller) mark(slot int) { p.ready[slot>>6].Or(1 << (slot & 63)) }

// announce tells the shard, once until it has looked.
func (p *poller) announce() {
	if p.notified.Swap(true) {
		return
	}
	if p.notify != nil {
		p.notify()
	} else {
		_, _ = unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// wait is the loop of those who have no netpoll: it waits for events, for so many
// milliseconds at most; -1 is for ever.
func (p *poller) wait(milliseconds int) error {
	n, err := unix.EpollWait(p.epoll, p.events[:], milliseconds)
	if err == unix.EINTR {
		return nil
	}
	p.take(max(n, 0))
	return err
}

// add registers a socket under a slot.
func (p *poller) add(fd, slot int) error {
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd,
		&unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(slot)})
}

// retired keeps event loops that netpoll's poller may still hold the address of,
// as plain bytes that the collector does not see. A few hundred bytes a pool.
var retired struct {
	mu    sync.Mutex
	loops []netpoll.EventLoop
}

func (p *poller) close() {
	if p.loop != nil {
		for !p.looking.CompareAndSwap(lookIdle, lookClosed) { // Accept does not wait for anything
		}
		retired.mu.Lock()
		retired.loops = append(retired.loops, p.loop)
		retired.mu.Unlock()
		_ = p.loop.Shutdown(context.Background())
		p.serving.Wait()
	}
	_ = unix.Close(p.epoll)
	if p.wake >= 0 {
		_ = unix.Close(p.wake)
	}
}
