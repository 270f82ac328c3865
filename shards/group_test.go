package shards

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/unit"
)

// TestMain fails the run when a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if left := settle(before); left > before && code == 0 {
		buf := make([]byte, 1<<16)
		fmt.Fprintf(os.Stderr, "%d goroutines at the start, %d at the end:\n%s", before, left, buf[:runtime.Stack(buf, true)])
		code = 1
	}
	os.Exit(code)
}

// settle waits for goroutines that are ending and returns how many are left.
func settle(want int) int {
	for range 200 {
		if runtime.NumGoroutine() <= want {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return runtime.NumGoroutine()
}

// recorder is a handler with replaceable callbacks.
type recorder struct {
	s        *Shard[letter]
	handle   func(r *recorder, m *letter)
	timer    func(r *recorder, kind uint8, arg uint64)
	handled  int
	endings  int
	open     bool // a callback since the last EndBatch
	lastFrom map[uint16]uint64
	disorder int
}

func (r *recorder) Handle(m *letter) {
	r.s.AssertTurn()
	r.handled++
	r.open = true
	if last, ok := r.lastFrom[m.from]; ok && m.number <= last {
		r.disorder++
	}
	r.lastFrom[m.from] = m.number
	if r.handle != nil {
		r.handle(r, m)
	}
}

func (r *recorder) Timer(kind uint8, arg uint64) {
	r.open = true
	if r.timer != nil {
		r.timer(r, kind, arg)
	}
}

func (r *recorder) EndBatch() {
	r.endings++
	r.open = false
}

var bothDispatches = []Dispatch{DispatchHop, DispatchInline}

func testConfig(shards int, d Dispatch) Config {
	cfg := Default()
	cfg.Shards, cfg.Dispatch, cfg.MailboxSlots, cfg.BatchMax = shards, d, 256, 16
	cfg.KindNames, cfg.TimerNames = []string{"first", "second"}, []string{"tick", "tock"}
	return cfg
}

// startGroup runs a group of recorders until the test ends.
func startGroup(t testing.TB, cfg Config, set func(*recorder)) (*Group[letter], []*recorder, *Registry) {
	t.Helper()
	registry := NewRegistry()
	var recorders []*recorder
	g, err := NewGroup(cfg, SystemClock(), registry, func(s *Shard[letter]) Handler[letter] {
		r := &recorder{s: s, lastFrom: map[uint16]uint64{}}
		if set != nil {
			set(r)
		}
		recorders = append(recorders, r)
		return r
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopGroup(t, g) })
	return g, recorders, registry
}

func stopGroup(t testing.TB, g *Group[letter]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := g.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// Several submitters with pauses in between, so that shards park and wake all
// the time: every accepted message is handled once and in its sender's order.
// A lost wake shows as a Stop that runs into its deadline, or a count too low.
func TestGroupDeliversEverythingInOrder(t *testing.T) {
	for _, d := range bothDispatches {
		t.Run(d.String(), func(t *testing.T) {
			const senders, each = 3, 4_000
			g, recorders, registry := startGroup(t, testConfig(2, d), nil)
			var wg sync.WaitGroup
			var accepted [2]atomic.Int64
			for p := range senders {
				wg.Go(func() {
					for i := range uint64(each) {
						to := unit.ShardID((i ^ uint64(p)) & 1)
						m := letter{kind: uint8(i % 4), from: uint16(p), number: i}
						for !g.Submit(to, &m) {
							runtime.Gosched()
						}
						accepted[to].Add(1)
						if i%512 == 0 {
							time.Sleep(200 * time.Microsecond)
						}
					}
				})
			}
			wg.Wait()
			stopGroup(t, g)
			var batches, byKind uint64
			for i, r := range recorders {
				if int64(r.handled) != accepted[i].Load() || r.disorder != 0 || r.open {
					t.Errorf("shard %d handled %d of %d, %d out of order, batch open: %v", i, r.handled, accepted[i].Load(), r.disorder, r.open)
				}
				batches += uint64(r.endings)
			}
			for _, c := range g.core.metrics.messages {
				byKind += registry.ReadCounter(c)
			}
			if byKind != senders*each || registry.ReadCounter(g.core.metrics.batches) != batches {
				t.Errorf("%d messages counted, %d batches of %d", byKind, registry.ReadCounter(g.core.metrics.batches), batches)
			}
			if h := registry.ReadHistogram(g.core.metrics.batchMessages); h.Sum != senders*each || h.Quantile(1) > 16 {
				t.Errorf("batch sizes: %+v", h)
			}
		})
	}
}

// One message at a time, each waiting for the one before: every round trip is a
// park and a wake.
func TestGroupWakesForEachMessage(t *testing.T) {
	for _, d := range bothDispatches {
		t.Run(d.String(), func(t *testing.T) {
			cfg := testConfig(2, d)
			cfg.Spin = 0
			done := make(chan uint64, 1)
			g, _, _ := startGroup(t, cfg, func(r *recorder) {
				r.handle = func(r *recorder, m *letter) {
					if r.s.ID() == 0 {
						r.s.Send(1, m) // and so through both
						return
					}
					done <- m.number
				}
			})
			for i := range uint64(1_500) {
				g.Submit(0, &letter{number: i})
				select {
				case got := <-done:
					if got != i {
						t.Fatalf("got %d, want %d", got, i)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("message %d never came: shard 0 %v, shard 1 %v", i, g.core.shards[0].mailbox.Len(), g.core.shards[1].mailbox.Len())
				}
			}
		})
	}
}

// Messages that shards send each other in the middle of a stop are handled too.
func TestGroupStopDrainsChains(t *testing.T) {
	for _, d := range bothDispatches {
		t.Run(d.String(), func(t *testing.T) {
			g, recorders, _ := startGroup(t, testConfig(3, d), func(r *recorder) {
				r.handle = func(r *recorder, m *letter) {
					if m.number > 0 {
						next := *m
						next.number--
						to := (r.s.ID() + 1) % unit.ShardID(r.s.Shards())
						if !r.s.Send(to, &next) {
							panic("refused")
						}
					}
				}
			})
			const chains, length = 40, 999
			sent := 0
			for i := range chains {
				if g.Submit(unit.ShardID(i%3), &letter{number: length}) {
					sent++
				}
			}
			stopGroup(t, g)
			handled := 0
			for _, r := range recorders {
				handled += r.handled
			}
			if sent != chains || handled != chains*(length+1) {
				t.Errorf("%d of %d messages handled", handled, chains*(length+1))
			}
			if g.Submit(0, &letter{}) {
				t.Error("a stopped group takes a message")
			}
			if err := g.Invoke(context.Background(), 0, func(*Shard[letter]) {}); !errors.Is(err, ErrNotRunning) {
				t.Errorf("invoke after stop: %v", err)
			}
			if g.Start(context.Background()) == nil {
				t.Error("a group starts twice")
			}
		})
	}
}

func TestGroupLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 20 {
		cfg := testConfig(2, bothDispatches[i%2])
		cfg.Unpinned = i%4 < 2
		cfg.CPUs = UsableCPUs() // pins inline as well
		g, _, _ := startGroup(t, cfg, func(r *recorder) { r.s.After(time.Hour, 0, 0) })
		g.Submit(1, &letter{})
		stopGroup(t, g)
	}
	if left := settle(before); left > before {
		t.Fatalf("%d goroutines before, %d after", before, left)
	}
}

func TestGroupMailboxFullIsNamed(t *testing.T) {
	for _, d := range bothDispatches {
		t.Run(d.String(), func(t *testing.T) {
			entered, leave := make(chan bool, 1), make(chan bool)
			g, recorders, registry := startGroup(t, testConfig(1, d), func(r *recorder) {
				r.handle = func(r *recorder, m *letter) {
					if m.kind == 1 {
						entered <- true
						<-leave
					}
				}
			})
			go g.Submit(0, &letter{kind: 1})
			<-entered
			accepted := 1
			for g.Submit(0, &letter{}) { // nobody drains: bounded
				accepted++
			}
			if accepted != 256 {
				t.Errorf("%d messages fit into 256 slots", accepted)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			defer cancel()
			ran := false
			if err := g.Invoke(ctx, 0, func(*Shard[letter]) { ran = true }); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("invoke on a stuck shard: %v", err)
			}
			text := scrape(t, registry) // does not hang on the stuck shard
			for _, want := range []string{
				`millrace_shard_refusals_total{reason="mailbox full",shard="0"} 1` + "\n",
				`millrace_shard_mailbox_depth{shard="0"} 256` + "\n",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			err := g.Stop(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "shard 0 (256 messages waiting)") {
				t.Errorf("stop of a stuck shard: %v", err)
			}
			leave <- true
			stopGroup(t, g)
			if recorders[0].handled != accepted || ran {
				t.Errorf("%d of %d messages handled; invocation given up ran: %v", recorders[0].handled, accepted, ran)
			}
		})
	}
}

func TestGroupInvoke(t *testing.T) {
	for _, d := range bothDispatches {
		t.Run(d.String(), func(t *testing.T) {
			g, recorders, registry := startGroup(t, testConfig(2, d), nil)
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := range uint64(2_000) {
					g.Submit(unit.ShardID(i&1), &letter{number: i})
				}
			})
			for i := range 100 {
				to := unit.ShardID(i & 1)
				ran := 0
				err := g.Invoke(context.Background(), to, func(s *Shard[letter]) {
					ran++
					s.AssertTurn()
					recorders[to].handled += 0 // the race detector watches this
					if s.ID() != to || s.Now() == 0 || s.Wall() == 0 {
						t.Errorf("shard %d at %d", s.ID(), s.Now())
					}
				})
				if err != nil || ran != 1 {
					t.Fatalf("ran %d times: %v", ran, err)
				}
			}
			wg.Wait()
			if n := registry.ReadCounter(g.core.metrics.invocations); n != 100 {
				t.Errorf("%d invocations counted", n)
			}
		})
	}
}

// Timers set by messages, under load and idle; with inline dispatch a submitter
// that sets a nearer timer must make the sleeping owner set its alarm anew.
func TestGroupTimersFire(t *testing.T) {
	for _, d := range bothDispatches {
		t.Run(d.String(), func(t *testing.T) {
			fired := make(chan uint64, 1000)
			early := atomic.Int64{}
			g, _, registry := startGroup(t, testConfig(2, d), func(r *recorder) {
				r.s.After(time.Hour, 1, 0)
				r.handle = func(r *recorder, m *letter) {
					r.s.After(time.Duration(m.number)*time.Microsecond, 0, uint64(r.s.Now())+m.number*1000)
				}
				r.timer = func(r *recorder, kind uint8, due uint64) {
					if uint64(r.s.Now()) < due {
						early.Add(1)
					}
					fired <- due
				}
			})
			const timers = 300
			for i := range uint64(timers) {
				g.Submit(unit.ShardID(i&1), &letter{number: (timers - i) * 40 % 7000})
				if i%16 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			for i := range timers {
				select {
				case <-fired:
				case <-time.After(10 * time.Second):
					t.Fatalf("timer %d of %d never fired", i, timers)
				}
			}
			if early.Load() != 0 {
				t.Errorf("%d timers fired early", early.Load())
			}
			if text := scrape(t, registry); !strings.Contains(text, `millrace_shard_timers_fired_total{kind="tick",shard="1"} 150`) {
				t.Errorf("timers not counted:\n%s", text)
			}
		})
	}
}

// A submitter handles no more than its budget, give or take a batch; the owner
// goes on with the rest.
func TestGroupInlineBudget(t *testing.T) {
	const chain = 5_000
	cfg := testConfig(1, DispatchInline)
	cfg.InlineMessages = 20
	done := make(chan bool)
	g, _, registry := startGroup(t, cfg, func(r *recorder) {
		r.handle = func(r *recorder, m *letter) {
			if m.number == chain {
				close(done)
				return
			}
			r.s.Send(0, &letter{number: m.number + 1})
		}
	})
	g.Submit(0, &letter{})
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the chain broke off")
	}
	if n := registry.ReadCounter(g.core.metrics.turnsInline); n != 1 {
		t.Errorf("the submitter took %d turns", n)
	}
	if n := registry.ReadCounter(g.core.metrics.turnsOwner); n == 0 {
		t.Error("the owner took no turn")
	}
}

func TestGroupNamesStalls(t *testing.T) {
	cfg := testConfig(1, DispatchHop)
	g, _, registry := startGroup(t, cfg, func(r *recorder) {
		r.handle = func(r *recorder, m *letter) {
			if m.kind == 1 {
				time.Sleep(3 * time.Millisecond)
			}
		}
	})
	for kind := range uint8(2) {
		g.Submit(0, &letter{kind: kind})
	}
	if err := g.Invoke(context.Background(), 0, func(*Shard[letter]) { time.Sleep(3 * time.Millisecond) }); err != nil {
		t.Fatal(err)
	}
	text := scrape(t, registry)
	for _, callback := range []string{`callback="handle",kind="second"`, `callback="invoke",kind=""`} {
		if want := `millrace_shard_stalls_total{` + callback + `,shard="0"} 1` + "\n"; !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestGroupSaysWherePinned(t *testing.T) {
	usable := UsableCPUs()
	cfg := testConfig(2, DispatchHop)
	cfg.CPUs = []int{usable[0], cpusMax - 1}
	g, _, _ := startGroup(t, cfg, nil)
	pins := g.Pinned()
	if runtime.GOOS == "linux" && !pins[0].Pinned {
		t.Errorf("%v", pins[0])
	}
	if pins[1].Pinned || pins[1].Reason == "" || !strings.Contains(pins[1].String(), "not pinned: ") {
		t.Errorf("%v", pins[1])
	}
	cfg.CPUs = usable[:1]
	if plan := pinPlan(cfg); plan[1].CPU != usable[0] || plan[1].Reason != fmt.Sprintf("shares CPU %d with shard 0", usable[0]) {
		t.Errorf("%+v", plan)
	}
	cfg.Unpinned = true
	if plan := pinPlan(cfg); plan[0].CPU != -1 || pinSelf(plan[0]).Locked || plan[0].Reason != "pinning is turned off" {
		t.Errorf("%+v", plan)
	}
	cfg.Unpinned, cfg.CPUs = false, nil
	if plan := pinPlan(cfg); plan[0].CPU != usable[0] {
		t.Errorf("hop: %+v", plan)
	}
	cfg.Dispatch = DispatchInline
	if plan := pinPlan(cfg); plan[0].CPU != -1 || !strings.Contains(plan[0].Reason, "inline dispatch") {
		t.Errorf("inline: %+v", plan)
	}
}

func TestConfigListsEveryFault(t *testing.T) {
	cfg := Config{Shards: ShardsMax + 1, CPUs: []int{0, -1}, Spin: -2, StallNanosMax: -1, Dispatch: 9, KindNames: []string{"a", "", "", "a"}}
	_, err := NewGroup(cfg, SystemClock(), NewRegistry(), func(*Shard[letter]) Handler[letter] { return nil })
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{"Shards:", "CPUs[1]:", "MailboxSlots:", "BatchMax:", "InlineMessages:", "TimersMax:", "Spin:", "StallNanosMax:", "Dispatch:", "KindNames[3]:"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("no fault of %s in %v", field, err)
		}
	}
	if faults := Default().Validate(); len(faults) != 0 {
		t.Errorf("the default is faulty: %v", faults)
	}
	var d Dispatch
	if d.UnmarshalText([]byte("inline")) != nil || d != DispatchInline || d.UnmarshalText([]byte("teleport")) == nil {
		t.Errorf("dispatch reads as %v", d)
	}
}

func scrape(t testing.TB, r *Registry) string {
	t.Helper()
	var b strings.Builder
	if err := r.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
