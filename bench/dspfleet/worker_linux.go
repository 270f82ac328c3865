package dspfleet

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"millrace/bench/epoll"
	"millrace/codec/gzip"
)

// worker is one thread of the fleet: some bidders' listeners and connections,
// and the answers that wait for their time. Only run touches it, but for
// command.
type worker struct {
	fleet *Fleet
	poll  epoll.Poll
	began time.Time
	now   int64 // since began
	wake  int   // eventfd, slot wakeSlot

	mu       sync.Mutex
	commands []func(*worker) // guarded by mu

	slots       []slot
	freeSlots   []int32
	answers     timers
	spare       []*answer
	dirty       []*conn // with output to be written at the end of the turn
	buf         []byte
	text        []byte // what TLS made of it
	maker       bidder
	inflate     gzip.Inflater
	deflate     *gzip.Deflater
	body        []byte // decompressed
	handshaking int
	stopped     bool
}

// slot is what an epoll index stands for.
type slot struct {
	listener int // descriptor, with dsp (nil: notices)
	dsp      *dsp
	conn     *conn
}

const (
	wakeSlot = 0
	pauseMax = 100 * time.Millisecond
)

func (f *Fleet) startWorkers() error {
	deflate := gzip.LevelFastest
	for range min(f.cfg.Workers, len(f.cfg.DSPs)) {
		p, err := epoll.New()
		if err != nil {
			return fmt.Errorf("dspfleet: %w", err)
		}
		w := &worker{fleet: f, poll: p, began: f.Began, wake: -1, buf: make([]byte, 256<<10)}
		f.workers = append(f.workers, w)
		if w.deflate, err = gzip.NewDeflater(deflate); err != nil {
			return err
		}
		if w.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
			return fmt.Errorf("dspfleet: eventfd: %w", err)
		}
		w.slots = append(w.slots, slot{listener: -1})
		if err := w.poll.Add(w.wake, wakeSlot); err != nil {
			return fmt.Errorf("dspfleet: epoll: %w", err)
		}
	}
	for i, d := range f.dsps {
		d.worker = f.workers[i%len(f.workers)]
		port := 0
		if f.cfg.Port > 0 {
			port = f.cfg.Port + i
		}
		at, err := d.worker.listen(d, port)
		if err != nil {
			return fmt.Errorf("dspfleet: %s: %w", d.cfg.Name, err)
		}
		d.port = at
	}
	at, err := f.workers[0].listen(nil, 0)
	if err != nil {
		return fmt.Errorf("dspfleet: notices: %w", err)
	}
	f.noticeAt = net.JoinHostPort(f.cfg.Host, fmt.Sprint(at))
	for _, w := range f.workers {
		w.maker = bidder{host: f.noticeAt, seed: f.cfg.Seed}
	}
	for _, d := range f.dsps {
		d.worker.settle(d)
	}
	return nil
}

// listen opens a listener of a bidder, or of the notices, and says its port.
func (w *worker) listen(d *dsp, port int) (int, error) {
	ip := net.ParseIP(w.fleet.cfg.Host)
	family := unix.AF_INET6
	var at unix.Sockaddr = &unix.SockaddrInet6{Port: port, Addr: [16]byte(ip.To16())}
	if v4 := ip.To4(); v4 != nil {
		family, at = unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: [4]byte(v4)}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) // without it a bidder that comes back waits a minute
	if err = unix.Bind(fd, at); err == nil {
		err = unix.Listen(fd, 1024)
	}
	var name unix.Sockaddr
	if err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err == nil {
		slot := w.slot(slot{listener: fd, dsp: d})
		err = w.poll.Add(fd, slot)
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return a.Port, nil
	case *unix.SockaddrInet6:
		return a.Port, nil
	}
	return 0, fmt.Errorf("what is %T", name)
}

func (w *worker) slot(s slot) int {
	if n := len(w.freeSlots); n > 0 {
		i := w.freeSlots[n-1]
		w.freeSlots = w.freeSlots[:n-1]
		w.slots[i] = s
		return int(i)
	}
	w.slots = append(w.slots, s)
	return len(w.slots) - 1
}

// command runs f inside the worker's turn.
func (w *worker) command(f func(*worker)) {
	w.mu.Lock()
	w.commands = append(w.commands, f)
	w.mu.Unlock()
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(w.wake, one[:]) // full means that it wakes anyway
}

func (w *worker) obey() {
	var count [8]byte
	_, _ = unix.Read(w.wake, count[:]) // empty means somebody else's wake was taken already
	w.mu.Lock()
	list := w.commands
	w.commands = nil
	w.mu.Unlock()
	for _, f := range list {
		f(w)
	}
}

func (w *worker) clock() int64 { return int64(time.Since(w.began)) }

// run is the worker's life.
func (w *worker) run() {
	defer epoll.PreciseTimers()()
	for !w.stopped || w.handshaking > 0 {
		events := w.poll.Wait(w.pause())
		w.now = w.clock()
		for _, ev := range events {
			w.event(int(ev.Fd), ev.Events)
		}
		for a := w.answers.due(w.clock()); a != nil; a = w.answers.due(w.now) {
			w.now = w.clock()
			c := a.conn
			w.give(a)
			c.resume()
		}
		w.flush()
	}
}

func (w *worker) pause() time.Duration {
	if a := w.answers.first(); a != nil {
		return min(time.Duration(a.due-w.clock()), pauseMax)
	}
	return pauseMax
}

func (w *worker) event(i int, ev uint32) {
	s := &w.slots[i]
	switch {
	case i == wakeSlot:
		w.obey()
	case s.conn != nil:
		if ev&unix.EPOLLOUT != 0 && s.conn.blocked {
			s.conn.blocked = false
			w.mark(s.conn)
		}
		if ev&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			s.conn.receive()
		}
	case s.listener >= 0:
		w.accept(s.listener, s.dsp)
	}
}

func (w *worker) accept(listener int, d *dsp) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			return // EAGAIN, or no descriptor left: the client sees it
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // without it answers come later
		if d != nil {
			d.count.opened.Add(1)
			if d.tls != nil {
				w.handshaking++
				go w.secure(d, fd)
				continue
			}
		}
		w.open(d, fd, nil, false)
	}
}

// open takes a connection in, ready for requests.
func (w *worker) open(d *dsp, fd int, s *secured, http2 bool) {
	c := &conn{w: w, dsp: d, fd: fd, tls: s}
	c.slot = w.slot(slot{listener: -1, conn: c})
	if d != nil {
		d.count.open.Add(1)
	}
	if http2 {
		c.beginHTTP2()
	}
	if err := w.poll.Add(fd, c.slot); err != nil {
		c.drop(false)
		return
	}
	if s != nil {
		c.decrypt(nil) // requests that came with the handshake's last flight
		c.receive()
	}
}

// mark has the connection's output written at the end of the turn.
func (w *worker) mark(c *conn) {
	if !c.marked {
		c.marked = true
		w.dirty = append(w.dirty, c)
	}
}

func (w *worker) flush() {
	for i := 0; i < len(w.dirty); i++ {
		c := w.dirty[i]
		c.marked = false
		c.write()
	}
	w.dirty = w.dirty[:0]
}

// settle makes a bidder listen or not, as its behaviour says.
func (w *worker) settle(d *dsp) {
	down := d.behaviour.Load().Down
	listens := false
	for i := range w.slots {
		s := &w.slots[i]
		if s.dsp != d && (s.conn == nil || s.conn.dsp != d) {
			continue
		}
		switch {
		case s.listener >= 0 && down:
			_ = unix.Close(s.listener) // leaves the epoll set with it
			*s = slot{listener: -1}
			w.freeSlots = append(w.freeSlots, int32(i))
		case s.listener >= 0:
			listens = true
		case s.conn != nil && down:
			s.conn.drop(true)
		}
	}
	if !down && !listens {
		// Where the port was taken meanwhile the bidder stays down: it shows.
		_, _ = w.listen(d, d.port)
	}
}

// close gives back what the worker holds; run has ended, or never began.
func (w *worker) close() {
	for i := range w.slots {
		if s := &w.slots[i]; s.conn != nil {
			s.conn.drop(false)
		} else if s.listener >= 0 {
			_ = unix.Close(s.listener)
		}
	}
	_ = w.poll.Close()
	if w.wake >= 0 {
		_ = unix.Close(w.wake)
	}
}
