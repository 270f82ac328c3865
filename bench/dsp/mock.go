package main

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"millrace/codec/http1"
	"millrace/codec/http2"
)

// server is the mock: one thread, one epoll, as cheap as can be, so that it is the
// clients that are measured. It answers every request of every host with the same
// bytes, after the delay, and what came with one read with one write.
type server struct {
	epoll  int
	delay  time.Duration // of answers, at least
	jitter time.Duration // and at most that much more, at random
	random *rand.Rand
	conns  map[int32]*mockConn
	buf    []byte
	answer []byte // HTTP/1.1
	block  []byte // HTTP/2 header block of answers
	due    dueAnswers
	late   []*mockConn // to be flushed
}

type mockConn struct {
	fd     int
	in     []byte
	out    []byte
	http2  bool
	opened bool // the preface was seen
	body   int  // bytes received since the last window update
}

type dueAnswer struct {
	at     time.Time
	conn   *mockConn
	stream uint32
}

// dueAnswers is a heap by time.
type dueAnswers []dueAnswer

func (d dueAnswers) Len() int           { return len(d) }
func (d dueAnswers) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d dueAnswers) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dueAnswers) Push(x any)        { *d = append(*d, x.(dueAnswer)) }
func (d *dueAnswers) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

func appendAnswer1(dst []byte) []byte {
	return append(http1.AppendHead(dst, 200, len(answerBody), &http1.Head{ContentType: http1.TypeJSON}), answerBody...)
}

func serveMock(hosts int, delay, jitter time.Duration) error {
	s := &server{delay: delay, jitter: jitter, random: rand.New(rand.NewPCG(1, 1)), conns: map[int32]*mockConn{}, buf: make([]byte, 256<<10), answer: appendAnswer1(nil)}
	s.block = http2.AppendField(s.block, ":status", "200")
	s.block = http2.AppendField(s.block, "content-type", "application/json")
	s.block = http2.AppendContentLength(s.block, len(answerBody))
	var err error
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	var addrs []string
	for range hosts {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		addrs = append(addrs, ln.Addr().String())
		go s.accept(ln.(*net.TCPListener))
	}
	fmt.Println(strings.Join(addrs, ","))
	go func() {
		var b [1]byte
		_, _ = os.Stdin.Read(b[:]) // its end ends the mock
		os.Exit(0)
	}()
	return s.loop()
}

// accept hands connections to the loop by its epoll: the loop meets them with the
// first event.
func (s *server) accept(ln *net.TCPListener) {
	for {
		c, err := ln.AcceptTCP()
		if err != nil {
			return
		}
		file, err := c.File()
		_ = c.Close()
		if err != nil {
			continue
		}
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		_ = file.Close()
		if err != nil {
			continue
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
		_ = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &ev)
	}
}

func (s *server) loop() error {
	runtime.LockOSThread()
	events := make([]unix.EpollEvent, 512)
	for {
		n, err := unix.EpollWait(s.epoll, events, s.wait())
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, ev := range events[:max(n, 0)] {
			c := s.conns[ev.Fd]
			if c == nil {
				c = &mockConn{fd: int(ev.Fd)}
				s.conns[ev.Fd] = c
			}
			if !s.read(c) {
				delete(s.conns, ev.Fd)
				_ = unix.Close(c.fd)
				c.fd = -1
			}
		}
		if s.delay > 0 {
			s.answerDue(time.Now())
		}
	}
}

// wait is how long the epoll may sleep, in milliseconds: within the last one the
// mock spins, so that its answers are not in step with a clock.
func (s *server) wait() int {
	if len(s.due) == 0 {
		return -1
	}
	return int(max(time.Until(s.due[0].at).Milliseconds(), 0))
}

// answerDue sends what is due, with one write a connection.
func (s *server) answerDue(now time.Time) {
	for len(s.due) > 0 && !s.due[0].at.After(now) {
		d := heap.Pop(&s.due).(dueAnswer)
		if len(d.conn.out) == 0 {
			s.late = append(s.late, d.conn)
		}
		s.append(d.conn, d.stream)
	}
	for _, c := range s.late {
		s.flush(c)
	}
	s.late = s.late[:0]
}

func (s *server) read(c *mockConn) bool {
	k, err := unix.Read(c.fd, s.buf)
	if err != nil || k == 0 {
		return err == unix.EAGAIN
	}
	b := s.buf[:k]
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	if !c.opened {
		if len(b) < len(http2.Preface) {
			c.in = append(c.in[:0], b...)
			return true
		}
		c.opened = true
		if c.http2 = bytes.HasPrefix(b, []byte(http2.Preface)); c.http2 {
			b = b[len(http2.Preface):]
			c.open()
		}
	}
	var rest []byte
	ok := true
	if c.http2 {
		rest, ok = s.frames(c, b)
	} else {
		rest = s.requests(c, b)
	}
	c.in = c.in[:copy(c.in[:cap(c.in)], rest)]
	if len(c.in) < len(rest) {
		c.in = append([]byte(nil), rest...)
	}
	s.flush(c)
	return ok
}

// open sends settings like those of net/http's server.
func (c *mockConn) open() {
	var settings []byte
	settings = http2.AppendSetting(settings, http2.MaxConcurrentStreams, 250)
	settings = http2.AppendSetting(settings, http2.InitialWindowSize, 1<<20)
	c.out = http2.AppendFrameHeader(c.out, len(settings), http2.Settings, 0, 0)
	c.out = append(c.out, settings...)
	c.out = http2.AppendWindowUpdate(c.out, 0, 1<<20-http2.WindowInitial)
}

func (s *server) frames(c *mockConn, b []byte) (rest []byte, ok bool) {
	var f http2.Frame
	for {
		n, code := http2.ParseFrame(b, &f)
		if code != http2.NoError {
			return nil, false
		}
		if n == 0 {
			break
		}
		b = b[n:]
		switch f.Type {
		case http2.Settings:
			if !f.Has(http2.Ack) {
				c.out = http2.AppendFrameHeader(c.out, 0, http2.Settings, http2.Ack, 0)
			}
		case http2.Ping:
			if !f.Has(http2.Ack) {
				c.out = append(http2.AppendFrameHeader(c.out, 8, http2.Ping, http2.Ack, 0), f.Payload...)
			}
		case http2.Data:
			c.body += f.Length
			if f.Has(http2.EndStream) {
				s.answerTo(c, f.Stream)
			}
		}
	}
	if c.body > 1<<18 {
		c.out = http2.AppendWindowUpdate(c.out, 0, c.body)
		c.body = 0
	}
	return b, true
}

func (s *server) requests(c *mockConn, b []byte) (rest []byte) {
	var r http1.Request
	for {
		n, status := http1.ParseRequest(b, &r)
		if total := n + int(max(r.ContentLength, 0)); status == http1.OK && len(b) >= total {
			b = b[total:]
			s.answerTo(c, 0)
		} else {
			return b
		}
	}
}

func (s *server) answerTo(c *mockConn, stream uint32) {
	if s.delay > 0 {
		delay := s.delay
		if s.jitter > 0 {
			delay += time.Duration(s.random.Int64N(int64(s.jitter)))
		}
		heap.Push(&s.due, dueAnswer{time.Now().Add(delay), c, stream})
		return
	}
	s.append(c, stream)
}

func (s *server) append(c *mockConn, stream uint32) {
	if !c.http2 {
		c.out = append(c.out, s.answer...)
		return
	}
	c.out = http2.AppendFrameHeader(c.out, len(s.block), http2.Headers, http2.EndHeaders, stream)
	c.out = append(c.out, s.block...)
	c.out = http2.AppendFrameHeader(c.out, len(answerBody), http2.Data, http2.EndStream, stream)
	c.out = append(c.out, answerBody...)
}

// flush writes all; the clients always read.
func (s *server) flush(c *mockConn) {
	for b := c.out; len(b) > 0 && c.fd >= 0; {
		n, err := unix.Write(c.fd, b)
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			break
		}
		b = b[max(n, 0):]
	}
	c.out = c.out[:0]
}
