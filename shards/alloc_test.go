package shards

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/unit"
)

// forwarder does what a real handler does, without allocating: it counts,
// observes, sets and cancels timers, and passes messages on.
type forwarder struct {
	s       *Shard[letter]
	last    TimerID
	fired   Counter
	latency Histogram
	done    *atomic.Uint64
}

func newForwarder(r *Registry, done *atomic.Uint64) func(*Shard[letter]) Handler[letter] {
	return func(s *Shard[letter]) Handler[letter] {
		return &forwarder{
			s: s, done: done,
			fired:   r.Counter(Desc{Name: "test_fired", Help: "x"}),
			latency: r.Histogram(Desc{Name: "test_latency", Help: "x", Unit: Seconds}, LatencyRange),
		}
	}
}

func (f *forwarder) Handle(m *letter) {
	f.s.Counters().Observe(f.latency, m.number)
	if m.kind > 0 {
		next := *m
		next.kind--
		f.s.Send((f.s.ID()+1)%unit.ShardID(f.s.Shards()), &next)
		f.s.Cancel(f.last)
		f.last = f.s.After(time.Duration(m.number)*time.Microsecond, 0, m.number)
		return
	}
	f.done.Add(1)
}

func (f *forwarder) Timer(uint8, uint64) { f.s.Counters().Inc(f.fired) }

func (f *forwarder) EndBatch() {}

// The real thing, threads, parks and wakes included: once warm, nothing is
// allocated, whichever way messages are dispatched.
func TestAllocGroupSteadyState(t *testing.T) {
	if invariants {
		t.Skip("the invariants build reads goroutine numbers off stack traces, which allocates")
	}
	for _, d := range bothDispatches {
		t.Run(d.String(), func(t *testing.T) {
			var done atomic.Uint64
			registry := NewRegistry()
			g, err := NewGroup(testConfig(2, d), SystemClock(), registry, newForwarder(registry, &done))
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
			defer stopGroup(t, g)
			traffic := func(n uint64) {
				target := done.Load()
				for i := range n {
					m := letter{kind: 2, number: i % 3000}
					for !g.Submit(unit.ShardID(i&1), &m) {
						runtime.Gosched()
					}
					target++
					for i%32 == 31 && done.Load() < target {
						runtime.Gosched()
					}
				}
			}
			traffic(5_000)
			const messages = 20_000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			traffic(messages)
			runtime.ReadMemStats(&after)
			// The runtime itself allocates now and then (a thread, a wait
			// record of a channel); a message that did would show 20,000 times.
			if n := after.Mallocs - before.Mallocs; n > messages/200 {
				t.Errorf("%d allocations for %d messages", n, messages)
			}
		})
	}
}

func TestAllocMailbox(t *testing.T) {
	b := NewMailbox[letter](64)
	var sum uint64
	if n := testing.AllocsPerRun(100, func() {
		for i := range uint64(64) {
			b.Push(&letter{number: i})
		}
		for m := b.Front(); m != nil; m = b.Front() {
			sum += m.number
			b.Pop()
		}
		b.Commit()
	}); n != 0 || sum == 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAllocTimers(t *testing.T) {
	w := NewTimerWheel(0, 1<<16)
	now := unit.MonoTime(0)
	round := func() {
		for i := range uint64(1000) {
			id := w.Schedule(now.Add(time.Duration(i*i)*time.Microsecond), 0, i)
			if i%3 == 0 {
				w.Cancel(id)
			}
		}
		now = now.Add(time.Minute)
		for {
			if _, _, ok := w.Pop(now); !ok {
				break
			}
		}
	}
	round()
	if n := testing.AllocsPerRun(20, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAllocCounters(t *testing.T) {
	r := NewRegistry()
	c := r.Counter(Desc{Name: "test_c", Help: "x"})
	g := r.Gauge(Desc{Name: "test_g", Help: "x"})
	h := r.Histogram(Desc{Name: "test_h", Help: "x"}, LatencyRange)
	a := r.AtomicHistogram(Desc{Name: "test_a", Help: "x"}, LatencyRange)
	b := r.newBlock("0", nil)
	b.publish()
	v := uint64(1)
	if n := testing.AllocsPerRun(100, func() {
		b.Inc(c)
		b.Add(c, 5)
		b.Set(g, -3)
		b.Move(g, 1)
		b.Observe(h, v)
		a.Observe(v)
		b.publish()
		v *= 3
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
