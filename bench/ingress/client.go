package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// measure starts a server process, warms it up, and drives it for the duration.
func measure(a arrangement, p *plan) (result, error) {
	exe, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	child := exec.Command(exe)
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", childVariable, a.mode, a.pollers, a.shards))
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		return result{}, err
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		return result{}, err
	}
	if err = child.Start(); err != nil {
		return result{}, err
	}
	defer func() { _ = child.Wait() }()
	defer stdin.Close() // its end ends the child
	lines := bufio.NewReader(stdout)
	var addr string
	if _, err = fmt.Fscanln(lines, &addr); err != nil {
		return result{}, fmt.Errorf("the server did not start: %w", err)
	}
	usage := func() (cpu, mallocs int64, err error) {
		if _, err = fmt.Fprintln(stdin, "usage"); err == nil {
			_, err = fmt.Fscanln(lines, &cpu, &mallocs)
		}
		return cpu, mallocs, err
	}
	d, err := newDriver(addr, p)
	if err != nil {
		return result{}, err
	}
	defer d.close()
	if _, _, err = d.drive(p.duration / 5); err != nil {
		return result{}, err
	}
	cpu0, mallocs0, err := usage()
	if err != nil {
		return result{}, err
	}
	took, latencies, err := d.drive(p.duration)
	if err != nil {
		return result{}, err
	}
	cpu1, mallocs1, err := usage()
	if err != nil {
		return result{}, err
	}
	requests := float64(len(latencies) * p.pipeline)
	slices.Sort(latencies)
	at := func(q float64) float64 { return float64(latencies[int(q*float64(len(latencies)-1))]) / 1e3 }
	return result{
		rate:      requests / took.Seconds(),
		cpuMicros: float64(cpu1-cpu0) / 1e3 / requests,
		p50:       at(0.5), p99: at(0.99),
		allocs: float64(mallocs1-mallocs0) / requests,
	}, nil
}

// driver is a closed-loop client: one thread over one epoll.
type driver struct {
	epoll   int
	conns   []driven
	request []byte
	size    int // bytes of the answers to request
	buf     []byte
}

type driven struct {
	file *os.File
	fd   int
	got  int
	sent int64
}

func newDriver(addr string, p *plan) (*driver, error) {
	one := fmt.Sprintf("POST /openrtb2/auction HTTP/1.1\r\nHost: ads.example\r\nContent-Type: application/json\r\n"+
		"User-Agent: exchange/1.0\r\nX-Openrtb-Version: 2.6\r\nContent-Length: %d\r\n\r\n%s", p.body, strings.Repeat("x", p.body))
	d := &driver{request: []byte(strings.Repeat(one, p.pipeline)), buf: make([]byte, 1<<20)}
	var err error
	if d.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for i := range p.connections {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if d.size, err = answersSize(c, d.request, p.pipeline); err != nil {
				return nil, err
			}
		}
		file, err := c.(*net.TCPConn).File()
		_ = c.Close()
		if err != nil {
			return nil, err
		}
		d.conns = append(d.conns, driven{file: file, fd: int(file.Fd())})
		if err = unix.SetNonblock(d.conns[i].fd, true); err != nil {
			return nil, err
		}
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err = unix.EpollCtl(d.epoll, unix.EPOLL_CTL_ADD, d.conns[i].fd, &ev); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// answersSize sends the requests once and measures the answers.
func answersSize(c net.Conn, request []byte, answers int) (int, error) {
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 1<<20)
	for size := 0; ; {
		n, err := c.Read(buf[size:])
		if err != nil {
			return 0, fmt.Errorf("after %d bytes of the first answer: %w", size, err)
		}
		size += n
		if strings.Count(string(buf[:size]), answerBody) == answers {
			return size, nil
		}
	}
}

func (d *driver) close() {
	for _, c := range d.conns {
		_ = c.file.Close()
	}
	_ = unix.Close(d.epoll)
}

// drive keeps one request (or one pipelined group) in flight on each connection.
func (d *driver) drive(long time.Duration) (took time.Duration, latencies []int64, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	now := func() int64 { return int64(time.Since(start)) }
	latencies = make([]int64, 0, 1<<20)
	for i := range d.conns {
		if err = d.send(&d.conns[i], now()); err != nil {
			return 0, nil, err
		}
	}
	events := make([]unix.EpollEvent, 256)
	for open := len(d.conns); open > 0; {
		n, err := unix.EpollWait(d.epoll, events, 5000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return 0, nil, fmt.Errorf("no answer within 5 s (%v)", err)
		}
		for _, ev := range events[:n] {
			c := &d.conns[ev.Fd]
			k, err := unix.Read(c.fd, d.buf)
			if err == unix.EAGAIN {
				continue
			}
			if err != nil || k == 0 {
				return 0, nil, fmt.Errorf("the server closed a connection (%v)", err)
			}
			if c.got += k; c.got < d.size {
				continue
			}
			t := now()
			latencies = append(latencies, t-c.sent)
			if t >= int64(long) {
				open--
				continue
			}
			if err = d.send(c, t); err != nil {
				return 0, nil, err
			}
		}
	}
	return time.Since(start), latencies, nil
}

func (d *driver) send(c *driven, now int64) error {
	c.got, c.sent = 0, now
	for rest := d.request; len(rest) > 0; {
		n, err := unix.Write(c.fd, rest)
		if err != nil && err != unix.EAGAIN {
			return err
		}
		rest = rest[max(n, 0):]
	}
	return nil
}
