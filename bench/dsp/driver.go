package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"millrace/netio/dsp"
)

var (
	requestBody = []byte(`{"id":"bench","imp":[` + strings.Repeat("x", 1477) + `]}`)
	answerBody  = []byte(`{"id":"bench","seatbid":[` + strings.Repeat("x", 573) + `]}`)
)

// driver keeps auctions in flight until a time, and tells how many calls that were.
type driver interface {
	drive(until time.Time, took *latencies) (calls int, err error)
}

// latencies is what auctions took. The memory is there beforehand: it must not
// count as an allocation of the client's.
type latencies struct {
	n     int
	nanos [1 << 16]int64
}

func (l *latencies) add(d time.Duration) {
	l.nanos[l.n%len(l.nanos)] = int64(d)
	l.n++
}

func (l *latencies) at(q float64) float64 {
	vs := l.nanos[:min(l.n, len(l.nanos))]
	if len(vs) == 0 {
		return 0
	}
	slices.Sort(vs)
	return float64(vs[int(q*float64(len(vs)-1))]) / 1e3
}

// clients makes drivers by name.
var clients = []struct {
	name string
	make func(flight int, addrs []string) (driver, error)
}{
	{"millrace-h2", newOurs(dsp.HTTP2)},
	{"millrace-h1", newOurs(dsp.HTTP1)},
	{"raw-h1", newRaw},
	{"fasthttp-h1", blocking(newFasthttp)},
	{"hertz-h1", blocking(newHertz)},
	{"hertz-h2", blocking(newHertz2)},
	{"net/http-h1", blocking(newStandard)},
	{"net/http-h2", blocking(newStandard2)},
	{"x/net-h2", blocking(newXNet)},
}

func clientNames() (names []string) {
	for _, c := range clients {
		names = append(names, c.name)
	}
	return names
}

func newDriver(name string, flight int, addrs []string) (driver, error) {
	for _, c := range clients {
		if c.name == name {
			return c.make(flight, addrs)
		}
	}
	return nil, fmt.Errorf("client %q; give one of %s", name, strings.Join(clientNames(), ", "))
}

// caller makes blocking calls to one host; it is used by one goroutine.
type caller func(answer []byte) (n int, err error)

// workers drives clients that block: a goroutine for each call in flight, which
// live as long as the driver, so that starting them is not counted.
type workers struct {
	slots []*slot
}

type slot struct {
	start []chan struct{}
	wg    sync.WaitGroup
	err   atomic.Pointer[error]
}

func blocking(newCaller func(flight int) func(addr string) caller) func(int, []string) (driver, error) {
	return func(flight int, addrs []string) (driver, error) {
		w := new(workers)
		to := newCaller(flight)
		for range flight {
			s := new(slot)
			for _, addr := range addrs {
				begin := make(chan struct{}, 1)
				s.start = append(s.start, begin)
				go s.work(begin, to(addr))
			}
			w.slots = append(w.slots, s)
		}
		return w, nil
	}
}

func (s *slot) work(begin chan struct{}, call caller) {
	answer := make([]byte, 4096)
	for range begin {
		n, err := call(answer)
		if err == nil && !bytes.Equal(answer[:n], answerBody) {
			err = fmt.Errorf("a strange answer: %q", answer[:n])
		}
		if err != nil {
			s.err.Store(&err)
		}
		s.wg.Done()
	}
}

func (w *workers) drive(until time.Time, took *latencies) (calls int, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, s := range w.slots {
		wg.Add(1)
		go func() {
			defer wg.Done()
			done := 0
			for {
				from := time.Now()
				if done > 0 && !from.Before(until) {
					break
				}
				s.wg.Add(len(s.start))
				for _, begin := range s.start {
					begin <- struct{}{}
				}
				s.wg.Wait()
				done += len(s.start)
				mu.Lock()
				took.add(time.Since(from))
				mu.Unlock()
			}
			mu.Lock()
			calls += done
			if e := s.err.Load(); e != nil {
				err = *e
			}
			mu.Unlock()
		}()
	}
	wg.Wait()
	return calls, err
}

// readInto reads a body into b.
func readInto(r io.ReadCloser, b []byte) (n int, err error) {
	for {
		k, err := r.Read(b[n:])
		if n += k; err == io.EOF {
			return n, r.Close()
		} else if err != nil {
			return n, err
		}
	}
}
