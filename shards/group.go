package shards

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/unit"
)

// ErrNotRunning is returned by Invoke before Start and after Stop.
var ErrNotRunning = errors.New("the shard group is not running")

const (
	groupNew uint32 = iota
	groupRunning
	groupDraining
	groupStopped
)

// Group runs N shards, each with a goroutine of its own.
type Group[M any] struct {
	core  *core[M]
	state atomic.Uint32
	// mu guards pins.
	mu   sync.Mutex
	pins []PinStatus
	// ended is closed when the last goroutine is gone.
	ended chan struct{}
}

// NewGroup makes the shards and their handlers, but starts nothing. newHandler
// is called once a shard, inside its turn: it may set timers, send messages
// (delivered after Start) and define metrics. One group a registry.
func NewGroup[M any, PM interface {
	*M
	Message
}](cfg Config, clock Clock, registry *Registry, newHandler func(*Shard[M]) Handler[M]) (*Group[M], error) {
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("shards: %w", errors.Join(faults...))
	}
	g := &Group[M]{
		core:  newCore(cfg, clock, registry, func(m *M) uint8 { return PM(m).Kind() }, newHandler),
		pins:  pinPlan(cfg),
		ended: make(chan struct{}),
	}
	for i := range g.pins {
		registry.GaugeFunc(Desc{
			Name: "millrace_shard_pinned", Help: "1 where the shard's goroutine is pinned to a CPU.", Labels: []Label{{"shard", strconv.Itoa(i)}},
		}, func() float64 {
			if g.Pinned()[i].Pinned {
				return 1
			}
			return 0
		})
	}
	return g, nil
}

// Len is the number of shards.
func (g *Group[M]) Len() int { return len(g.core.shards) }

// Config is the configuration the group was made with.
func (g *Group[M]) Config() Config { return g.core.cfg }

// Pinned says, for each shard, whether its goroutine is pinned and why not.
func (g *Group[M]) Pinned() []PinStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]PinStatus(nil), g.pins...)
}

// Start starts the shards' goroutines, waits until each has its place, and
// opens the gate. A ctx that has ended stops it; later it means nothing. A
// group starts once.
func (g *Group[M]) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("shards: start: %w", err)
	}
	if !g.state.CompareAndSwap(groupNew, groupRunning) {
		return errors.New("shards: start: the group was started or stopped before: make a new one")
	}
	var gone, placed sync.WaitGroup
	for _, s := range g.core.shards {
		gone.Add(1)
		placed.Add(1)
		go func() {
			defer gone.Done()
			g.place(s.id)
			placed.Done()
			s.own()
		}()
	}
	go func() { gone.Wait(); close(g.ended) }()
	placed.Wait()
	for _, s := range g.core.shards {
		s.mailbox.open(gateOutside)
	}
	return nil
}

// place gives the calling goroutine, a shard's, its label and its CPU.
func (g *Group[M]) place(id unit.ShardID) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("shard", strconv.Itoa(int(id)))))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pins[id] = pinSelf(g.pins[id])
}

// Submit copies *m into the mailbox of a shard, from any goroutine that is not
// a shard. false means that the mailbox is full, or the group not running, and
// that nothing was kept; it is counted by reason. With inline dispatch the
// handler may run before Submit returns, on the caller's goroutine.
func (g *Group[M]) Submit(to unit.ShardID, m *M) bool {
	s := g.core.shards[to]
	if s.mailbox.push(m, gateOutside|gateSealed) != pushed {
		return false
	}
	if g.core.cfg.Dispatch == DispatchInline {
		var first targetSet
		first.add(to)
		g.core.serve(first, g.core.cfg.InlineMessages)
		return true
	}
	s.wake()
	return true
}

// serve runs the shards of todo, and those they send to, on the calling
// goroutine, as far as their turns are free and the budget of messages lasts.
// What is left goes to the shards' own goroutines.
func (c *core[M]) serve(todo targetSet, budget int) {
	for {
		to, ok := todo.pop()
		if !ok {
			return
		}
		s := c.shards[to]
		// Where take fails, the holder looks at the mailbox again after it has
		// released: the message is not lost.
		for budget > 0 && s.hasWork() && s.take() {
			budget -= s.run(budget, c.metrics.turnsInline)
			todo.merge(&s.sent)
			s.sent = targetSet{}
			if s.free() {
				s.wake()
			}
		}
		if budget <= 0 && s.hasWork() {
			s.wake()
		}
	}
}

// own is the life of a shard's goroutine.
func (s *Shard[M]) own() {
	alarm := newAlarm()
	defer alarm.close()
	for {
		// Without the turn there is nothing to do: whoever has it wakes us for
		// what it leaves behind.
		took := s.take()
		if took {
			s.ownTurn()
		}
		if s.leaving.Load() {
			if s.leave() {
				return
			}
			continue
		}
		if took && s.spin() {
			continue
		}
		s.park(alarm)
	}
}

// ownMessages bounds what the owner handles between two releases, so that
// shards sent to are served and a stop is noticed under endless load.
const ownMessages = 1024

// ownTurn runs the shard, gives the turn back and passes on what was sent.
func (s *Shard[M]) ownTurn() {
	c := s.core
	if c.cfg.Dispatch == DispatchInline {
		s.run(ownMessages, c.metrics.turnsOwner)
	} else {
		s.block.Inc(c.metrics.turnsOwner)
		for spent := 0; spent < ownMessages; {
			s.now, s.wall = readClock(c.clock)
			done, more := s.batch(c.cfg.BatchMax)
			s.wakeTargets()
			if !more && !s.hasWork() {
				break
			}
			spent += done + 1
		}
	}
	sent := s.sent
	s.sent = targetSet{}
	s.free()
	if sent != (targetSet{}) {
		c.serve(sent, c.cfg.InlineMessages)
	}
}

// wakeTargets wakes the shards sent to since the last time: once a batch each,
// however many messages they got.
func (s *Shard[M]) wakeTargets() {
	for {
		to, ok := s.sent.pop()
		if !ok {
			return
		}
		s.core.shards[to].wake()
	}
}

// spin looks for work for a while, without the turn, and reports whether there
// is some.
func (s *Shard[M]) spin() bool {
	if s.hasWork() {
		return true
	}
	if s.core.spin <= 0 {
		return false
	}
	until := s.core.clock.Mono().Add(s.core.spin)
	for {
		for range 64 {
			if s.hasWork() || s.leaving.Load() {
				return true
			}
		}
		if s.core.clock.Mono() >= until {
			return false
		}
	}
}

// dueRetry is how long the owner leaves a due timer to a submitter that has
// the turn before it looks again.
const dueRetry = 100 * time.Microsecond

// park sleeps until woken or until the next timer is due. See doc.go for the
// states and why no wake is lost.
func (s *Shard[M]) park(alarm *alarm) {
	// Everything is looked at after the store: whoever changes it later sees
	// that we sleep.
	s.asleep.Store(ownerAsleep)
	idle := s.turn.Load() == turnFree
	again := s.leaving.Load() || idle && s.hasWork()
	next, sleep := unit.MonoTime(s.armed.Load()), time.Duration(0)
	if next != NoDeadline {
		if sleep = next.Sub(s.core.clock.Mono()); sleep <= 0 {
			// Due: ours to fire, or just now in the hands of the holder, who
			// may have read the clock too early.
			again = again || idle
			next, sleep = next.Add(dueRetry), dueRetry
		}
	}
	if again {
		if !s.asleep.CompareAndSwap(ownerAsleep, ownerAwake) {
			<-s.wakeup
		}
		return
	}
	s.parks.Add(1)
	if next == NoDeadline {
		<-s.wakeup
		return
	}
	alarm.set(next, sleep)
	select {
	case <-s.wakeup:
	case <-alarm.rang:
		alarm.heard()
		if !s.asleep.CompareAndSwap(ownerAsleep, ownerAwake) {
			<-s.wakeup
		}
	}
}

// leave is the owner's last turn: the sealed mailbox is emptied, queued
// invocations run, timers dropped. false means that another goroutine still
// has the turn.
func (s *Shard[M]) leave() bool {
	if !s.take() {
		time.Sleep(20 * time.Microsecond)
		return false
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for s.mailbox.claimed() > 0 || s.waiting.Load() != 0 {
		s.now, s.wall = readClock(s.core.clock)
		s.batch(s.core.cfg.BatchMax)
	}
	s.wheel.Clear()
	s.block.publish()
	s.release()
	return true
}

// Stop closes the gate to submitters, waits until the shards have emptied their
// mailboxes, what they send each other included, then drops the timers and
// ends the goroutines. If ctx ends first, Stop says which shards are not done;
// they end as soon as their callbacks return.
func (g *Group[M]) Stop(ctx context.Context) error {
	if g.state.CompareAndSwap(groupNew, groupStopped) {
		close(g.ended)
		return nil
	}
	first := g.state.CompareAndSwap(groupRunning, groupDraining)
	var slow error
	if first {
		for _, s := range g.core.shards {
			s.mailbox.close(gateOutside)
		}
		slow = g.core.quiesce(ctx)
		for _, s := range g.core.shards {
			s.mailbox.close(gateSealed)
			s.leaving.Store(true)
			s.wake()
		}
	}
	if slow != nil {
		return slow
	}
	select {
	case <-g.ended:
		g.state.Store(groupStopped)
		return nil
	case <-ctx.Done():
		return g.core.unfinished(ctx)
	}
}

// quiesce waits until no shard has work. A message is in a mailbox or in the
// hands of a turn, so two looks at everything that find all mailboxes empty,
// all turns free and no message sent in between mean that there is none.
func (c *core[M]) quiesce(ctx context.Context) error {
	var before, tails []uint64
	pause := 20 * time.Microsecond
	for {
		tails = tails[:0]
		idle := true
		for _, s := range c.shards {
			tail := s.mailbox.tail.Load() & positionMask
			idle = idle && s.mailbox.head.Load() == tail && s.waiting.Load() == 0 && s.turn.Load() == turnFree
			tails = append(tails, tail)
		}
		if idle && equalTails(before, tails) {
			return nil
		}
		before = before[:0]
		if idle {
			before = append(before, tails...)
			continue
		}
		select {
		case <-ctx.Done():
			return c.unfinished(ctx)
		case <-time.After(pause):
			pause = min(2*pause, time.Millisecond)
		}
	}
}

func equalTails(a, b []uint64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// unfinished names the shards that a stop could not wait for.
func (c *core[M]) unfinished(ctx context.Context) error {
	var busy []string
	for _, s := range c.shards {
		if n := s.mailbox.Len(); n > 0 || s.turn.Load() != turnFree {
			busy = append(busy, fmt.Sprintf("shard %d (%d messages waiting)", s.id, n))
		}
	}
	if len(busy) == 0 {
		busy = []string{"a goroutine"}
	}
	return fmt.Errorf("shards: stop: still busy: %s: give Stop more time or find the callback that does not return: %w", strings.Join(busy, ", "), ctx.Err())
}

// Invoke runs f inside the shard's turn, on the shard's own goroutine or that of
// a submitter that has the turn just then, and waits for it. The cold path: it
// allocates. When ctx ends before f has begun, f will not run. It must not be
// called from a callback of a shard.
func (g *Group[M]) Invoke(ctx context.Context, to unit.ShardID, f func(*Shard[M])) error {
	s := g.core.shards[to]
	v := &invocation[M]{f: f, done: make(chan struct{})}
	s.mu.Lock()
	if state := g.state.Load(); s.closed || state == groupNew || state == groupStopped {
		s.mu.Unlock()
		return ErrNotRunning
	}
	s.invocations = append(s.invocations, v)
	s.waiting.Store(1)
	s.mu.Unlock()
	s.wake()
	select {
	case <-v.done:
		return nil
	case <-ctx.Done():
		if v.state.CompareAndSwap(0, 2) {
			return fmt.Errorf("shards: invoke on shard %d: %w", to, ctx.Err())
		}
		<-v.done
		return nil
	}
}
