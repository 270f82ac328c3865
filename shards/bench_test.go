package shards

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/unit"
)

// parcel is a message of the usual size: 56 bytes, and its slot a line.
type parcel struct {
	key  uint64
	_    [47]byte
	kind uint8
}

func (p parcel) Kind() uint8 { return p.kind }

// BenchmarkQueue compares the mailbox with a channel on the same work: values
// pushed by some goroutines (which retry when full) and drained by one. Both
// sides spin-yield rather than sleep, so that queueing is measured, not waking.
func BenchmarkQueue(b *testing.B) {
	const slots = 1024
	for _, producers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("mailbox/producers=%d", producers), func(b *testing.B) {
			q := NewMailbox[parcel](slots)
			benchmarkQueue(b, producers, q.Push, func() (sum uint64, n int) {
				for n < 64 {
					m := q.Front()
					if m == nil {
						break
					}
					sum += m.key
					q.Pop()
					n++
				}
				q.Commit()
				return sum, n
			})
		})
		b.Run(fmt.Sprintf("channel/producers=%d", producers), func(b *testing.B) {
			q := make(chan parcel, slots)
			push := func(m *parcel) bool {
				select {
				case q <- *m:
					return true
				default:
					return false
				}
			}
			benchmarkQueue(b, producers, push, func() (sum uint64, n int) {
				for n < 64 {
					select {
					case m := <-q:
						sum += m.key
						n++
						continue
					default:
					}
					break
				}
				return sum, n
			})
		})
	}
}

func benchmarkQueue(b *testing.B, producers int, push func(*parcel) bool, drain func() (uint64, int)) {
	var wg sync.WaitGroup
	each := b.N/producers + 1
	for range producers {
		wg.Go(func() {
			m := parcel{}
			for i := range each {
				m.key = uint64(i)
				for !push(&m) {
					runtime.Gosched()
				}
			}
		})
	}
	var sum uint64
	for got := 0; got < each*producers; {
		s, n := drain()
		sum += s
		if got += n; n == 0 {
			runtime.Gosched()
		}
	}
	wg.Wait()
	if want := uint64(producers) * uint64(each) * uint64(each-1) / 2; sum != want {
		b.Fatalf("sum %d, want %d", sum, want)
	}
}

// worker is a handler that does real work on state of its own: it stirs a table
// of 64 KiB for the given number of rounds (about 2 ns each).
type worker struct {
	s      *Shard[parcel]
	_      Pad
	table  []uint64
	result uint64
	rounds int
	cross  uint64 // every so many messages go to the next shard, 0 none
	resend bool
	left   int
	poller uint8
	done   func()
	_      Pad
}

func (w *worker) Handle(m *parcel) {
	x := m.key
	w.poller = m.kind
	for range w.rounds {
		x = mix(x)
		w.table[x%uint64(len(w.table))] += x >> 32
	}
	w.result ^= x
	if !w.resend {
		w.done()
		return
	}
	if w.left--; w.left <= 0 {
		if w.left == 0 {
			w.done()
		}
		if w.cross == 0 {
			return
		}
	}
	next := *m
	next.key = x
	to := w.s.ID()
	if w.cross != 0 && x%w.cross == 0 {
		to = (to + 1) % unit.ShardID(w.s.Shards())
	}
	w.s.Send(to, &next)
}

func (w *worker) Timer(uint8, uint64) {}

func (w *worker) EndBatch() {}

func workerGroup(b *testing.B, cfg Config, set func(*worker)) (*Group[parcel], []*worker) {
	b.Helper()
	var workers []*worker
	g, err := NewGroup(cfg, SystemClock(), NewRegistry(), func(s *Shard[parcel]) Handler[parcel] {
		w := &worker{s: s, table: AlignedSlice[uint64](8192)}
		set(w)
		workers = append(workers, w)
		return w
	})
	if err != nil {
		b.Fatal(err)
	}
	return g, workers
}

// BenchmarkScaling is the engine in process, without I/O: every shard keeps 32
// messages going, each costing about 2 µs of work on memory of its own, some
// passed to the other shard. ns/op is the wall time of one message of the whole
// group: with shards=2 it should be half of shards=1. cpu-ns/msg is processor
// time: it stays the same as long as shards do not write each other's lines,
// and unlike wall time it does not suffer from other users of the machine.
// "scaling" of a pair is 2 × cpu-ns/msg(1) / cpu-ns/msg(2).
func BenchmarkScaling(b *testing.B) {
	for _, cross := range []uint64{0, 16} {
		for _, shards := range []int{1, 2} {
			b.Run(fmt.Sprintf("cross=%d/shards=%d", cross, shards), func(b *testing.B) {
				if runtime.GOMAXPROCS(0) < shards {
					b.Skipf("%d shards need as many processors (GOMAXPROCS is %d)", shards, runtime.GOMAXPROCS(0))
				}
				benchmarkScaling(b, shards, cross)
			})
		}
	}
}

func benchmarkScaling(b *testing.B, shards int, cross uint64) {
	cfg := Default()
	cfg.Shards, cfg.Dispatch = shards, DispatchHop
	cfg.BatchMax = 16
	var finished sync.WaitGroup
	finished.Add(shards)
	g, workers := workerGroup(b, cfg, func(w *worker) {
		w.rounds, w.cross, w.resend, w.left, w.done = 700, cross, true, b.N/shards+1, finished.Done
		for i := range uint64(32) {
			w.s.Send(w.s.ID(), &parcel{key: i})
		}
	})
	b.ResetTimer()
	cpu := processCPU()
	if err := g.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	finished.Wait()
	b.StopTimer()
	cpu = processCPU() - cpu
	var messages int
	var result uint64
	for i := range workers {
		_ = g.Invoke(context.Background(), unit.ShardID(i), func(*Shard[parcel]) {
			messages += b.N/shards + 1 - workers[i].left
			result ^= workers[i].result
			workers[i].resend, workers[i].done = false, func() {}
		})
	}
	stopBench(b, g)
	b.ReportMetric(float64(cpu)/float64(messages), "cpu-ns/msg")
	b.Logf("result %x", result)
}

func stopBench(b *testing.B, g *Group[parcel]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := g.Stop(ctx); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDispatch is the way of a message from a poller to the shard's
// handler (about 2 µs of work) and back: one poller that keeps `window`
// messages in flight, as connections do that wait for answers. The answers come
// back through a pipe that the poller reads in a blocking system call, as it
// would wait for readiness: a poller is not a goroutine parked in a channel.
// hop wakes the shard's goroutine, locked to a thread and pinned or not; inline
// has the poller take the shard's turn.
func BenchmarkDispatch(b *testing.B) {
	modes := []struct {
		name     string
		dispatch Dispatch
		unpinned bool
		spin     time.Duration
	}{
		{"inline", DispatchInline, false, 0},
		{"hop-spin0", DispatchHop, false, 0},
		{"hop-spin20", DispatchHop, false, 20 * time.Microsecond},
		{"hop-spin200", DispatchHop, false, 200 * time.Microsecond},
		{"hop-unpinned-spin0", DispatchHop, true, 0},
		{"hop-unpinned-spin20", DispatchHop, true, 20 * time.Microsecond},
	}
	for _, shards := range []int{1, 2} {
		for _, window := range []uint64{1, 16} {
			for _, mode := range modes {
				b.Run(fmt.Sprintf("%s/shards=%d/window=%d", mode.name, shards, window), func(b *testing.B) {
					cfg := Default()
					cfg.Shards, cfg.Dispatch, cfg.Unpinned, cfg.Spin = shards, mode.dispatch, mode.unpinned, mode.spin
					benchmarkDispatch(b, cfg, window)
				})
			}
		}
	}
}

func benchmarkDispatch(b *testing.B, cfg Config, window uint64) {
	var done atomic.Uint64
	replies := newDoorbell(b)
	g, workers := workerGroup(b, cfg, func(w *worker) {
		w.rounds = 700
		w.done = func() {
			// The window's last answer wakes the poller, as a full batch of
			// ready connections does.
			if done.Add(1)%window == 0 {
				replies.ring()
			}
		}
	})
	if err := g.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	cpu := processCPU()
	rounds := uint64(b.N)/window + 1
	for i := range rounds {
		for j := range window {
			m := parcel{key: i*window + j}
			if !g.Submit(unit.ShardID((i+j)%uint64(cfg.Shards)), &m) {
				b.Fatal("mailbox full")
			}
		}
		replies.wait()
	}
	b.StopTimer()
	cpu = processCPU() - cpu
	stopBench(b, g)
	var result uint64
	for _, w := range workers {
		result ^= w.result
	}
	b.ReportMetric(float64(cpu)/float64(rounds*window), "cpu-ns/msg")
	b.Logf("result %x", result)
}

// BenchmarkPollers is inline dispatch as a server has it: each poller submits
// messages of about 2 µs of work for two shards, at most 16 of them unanswered,
// and so runs the shards: itself, or by leaving messages to the poller that has
// the turn.
func BenchmarkPollers(b *testing.B) {
	for _, pollers := range []int{1, 2} {
		b.Run(fmt.Sprintf("pollers=%d", pollers), func(b *testing.B) {
			cfg := Default()
			cfg.Shards, cfg.Dispatch = 2, DispatchInline
			var done [2]struct {
				n atomic.Int64 // answered, by poller
				_ Pad
			}
			g, workers := workerGroup(b, cfg, func(w *worker) {
				w.rounds, w.done = 700, func() { done[w.poller].n.Add(1) }
			})
			if err := g.Start(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			cpu := processCPU()
			var wg sync.WaitGroup
			var full atomic.Uint64
			each := b.N/pollers + 1
			for p := range pollers {
				wg.Go(func() {
					for i := range each {
						for int64(i)-done[p].n.Load() >= 16 {
							runtime.Gosched()
						}
						m := parcel{key: uint64(i), kind: uint8(p)}
						for !g.Submit(unit.ShardID(mix(m.key*2+uint64(p))&1), &m) {
							full.Add(1)
							runtime.Gosched()
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			cpu = processCPU() - cpu
			stopBench(b, g)
			var result, parks, wakes uint64
			for i, w := range workers {
				result ^= w.result
				parks += g.core.shards[i].parks.Load()
				wakes += g.core.shards[i].wakes.Load()
			}
			b.ReportMetric(float64(cpu)/float64(each*pollers), "cpu-ns/msg")
			b.ReportMetric(float64(wakes)/float64(each*pollers), "wakes/msg")
			b.ReportMetric(float64(full.Load())/float64(each*pollers), "full/msg")
			b.Logf("result %x", result)
		})
	}
}

// BenchmarkTurn is the bare cost of a message: Submit inline into a handler that
// does nothing but count, with the stall detector on and off; and one handled
// in a full batch.
func BenchmarkTurn(b *testing.B) {
	for _, stall := range []time.Duration{0, time.Millisecond} {
		cfg := Default()
		cfg.Shards, cfg.StallNanosMax = 1, stall
		b.Run(fmt.Sprintf("inline/stall=%v", stall), func(b *testing.B) {
			g, workers := workerGroup(b, cfg, func(w *worker) { w.done = func() {} })
			if err := g.Start(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for i := range b.N {
				g.Submit(0, &parcel{key: uint64(i)})
			}
			b.StopTimer()
			stopBench(b, g)
			b.Logf("result %x", workers[0].result)
		})
		b.Run(fmt.Sprintf("batch/stall=%v", stall), func(b *testing.B) {
			var finished sync.WaitGroup
			finished.Add(1)
			g, workers := workerGroup(b, cfg, func(w *worker) {
				w.resend, w.left, w.done = true, b.N, finished.Done
				for i := range uint64(64) {
					w.s.Send(0, &parcel{key: i})
				}
			})
			b.ResetTimer()
			if err := g.Start(context.Background()); err != nil {
				b.Fatal(err)
			}
			finished.Wait()
			b.StopTimer()
			stopBench(b, g)
			b.Logf("result %x", workers[0].result)
		})
	}
}

func BenchmarkTimers(b *testing.B) {
	for _, pending := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("schedule+cancel/pending=%d", pending), func(b *testing.B) {
			w := NewTimerWheel(0, 1<<20)
			for i := range pending {
				w.Schedule(unit.MonoTime(i)*1000, 0, 0)
			}
			b.ResetTimer()
			for i := range b.N {
				w.Cancel(w.Schedule(unit.MonoTime(mix(uint64(i))>>30), 0, 0))
			}
		})
		b.Run(fmt.Sprintf("schedule+fire/pending=%d", pending), func(b *testing.B) {
			w := NewTimerWheel(0, 1<<20)
			for i := range pending {
				w.Schedule(unit.MonoTime(mix(uint64(i))>>34), 0, 0) // within 1 s
			}
			b.ResetTimer()
			for i, now := 0, unit.MonoTime(0); i < b.N; now += 1 << tickShift {
				for {
					if _, _, ok := w.Pop(now); !ok {
						break
					}
					w.Schedule(now+unit.MonoTime(mix(uint64(i))>>34), 0, 0)
					i++
				}
			}
		})
	}
}

// BenchmarkCount is one counted event: the shard's own plain word, against the
// two atomic ways.
func BenchmarkCount(b *testing.B) {
	r := NewRegistry()
	c := r.Counter(Desc{Name: "test_c", Help: "x"})
	h := r.Histogram(Desc{Name: "test_h", Help: "x"}, LatencyRange)
	block := r.newBlock("0", nil)
	var word atomic.Uint64
	b.Run("block", func(b *testing.B) {
		for range b.N {
			block.Inc(c)
		}
	})
	b.Run("atomic-store", func(b *testing.B) {
		for range b.N {
			word.Store(word.Load() + 1)
		}
	})
	b.Run("atomic-add", func(b *testing.B) {
		for range b.N {
			word.Add(1)
		}
	})
	b.Run("block-histogram", func(b *testing.B) {
		for i := range b.N {
			block.Observe(h, uint64(i)<<8)
		}
	})
}
