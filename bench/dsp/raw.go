package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// raw is as little as HTTP/1.1 can be done with: one thread, one epoll, one write
// and one read a call, an answer recognised by its length.
type raw struct {
	epoll   int
	hosts   int
	conns   []rawConn // of auction a: those from a*hosts
	open    []int     // calls of each auction still to be answered
	from    []time.Time
	request []byte
	size    int
	buf     []byte
}

type rawConn struct {
	file *os.File
	fd   int
	got  int
}

func newRaw(flight int, addrs []string) (driver, error) {
	d := &raw{
		hosts: len(addrs), open: make([]int, flight), from: make([]time.Time, flight), buf: make([]byte, 64<<10),
		request: fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			path, addrs[0], len(requestBody), requestBody),
		size: len(appendAnswer1(nil)),
	}
	var err error
	if d.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for i := range flight * len(addrs) {
		c, err := net.Dial("tcp", addrs[i%len(addrs)])
		if err != nil {
			return nil, err
		}
		file, err := c.(*net.TCPConn).File()
		_ = c.Close()
		if err != nil {
			return nil, err
		}
		d.conns = append(d.conns, rawConn{file: file, fd: int(file.Fd())})
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err = unix.EpollCtl(d.epoll, unix.EPOLL_CTL_ADD, d.conns[i].fd, &ev); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *raw) begin(auction int, now time.Time) error {
	d.open[auction], d.from[auction] = d.hosts, now
	for i := range d.hosts {
		if n, err := unix.Write(d.conns[auction*d.hosts+i].fd, d.request); n != len(d.request) {
			return fmt.Errorf("%d bytes written: %w", n, err)
		}
	}
	return nil
}

func (d *raw) drive(until time.Time, took *latencies) (calls int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now := time.Now()
	for a := range d.open {
		if err = d.begin(a, now); err != nil {
			return 0, err
		}
	}
	events := make([]unix.EpollEvent, 256)
	for open := len(d.open); open > 0; {
		n, err := unix.EpollWait(d.epoll, events, 60_000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return 0, fmt.Errorf("no answer within a minute (%v)", err)
		}
		now := time.Now()
		for _, ev := range events[:n] {
			c, auction := &d.conns[ev.Fd], int(ev.Fd)/d.hosts
			k, err := unix.Read(c.fd, d.buf)
			if err != nil || k == 0 {
				return 0, fmt.Errorf("the server closed a connection (%v)", err)
			}
			if c.got += k; c.got < d.size {
				continue
			}
			if k == d.size && !bytes.HasSuffix(d.buf[:k], answerBody) {
				return 0, fmt.Errorf("a strange answer: %q", d.buf[:k])
			}
			c.got = 0
			calls++
			if d.open[auction]--; d.open[auction] > 0 {
				continue
			}
			took.add(now.Sub(d.from[auction]))
			if !now.Before(until) {
				open--
			} else if err = d.begin(auction, now); err != nil {
				return 0, err
			}
		}
	}
	return calls, nil
}
