package shards

import (
	"fmt"
	"math/bits"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/unit"
)

// Message is what a mailbox carries: a small value (up to about 120 bytes) that
// names its kind, an index into Config.KindNames.
type Message interface{ Kind() uint8 }

// Handler is the deterministic code of one shard. Its methods are called by the
// holder of the shard's turn, one at a time; they must not block.
type Handler[M any] interface {
	// Handle takes one message. m lies in the mailbox's ring: it is valid
	// during the call only, and what must last is copied.
	Handle(m *M)
	// Timer tells that a timer set with After has fired.
	Timer(kind uint8, arg uint64)
	// EndBatch follows the messages, timers and invocations of a batch: the
	// place to flush effects.
	EndBatch()
}

// core is what the shards of one group (or simulation) share. Immutable once
// the shards are made.
type core[M any] struct {
	cfg     Config
	clock   Clock
	spin    time.Duration
	kind    func(*M) uint8
	metrics metrics
	shards  []*Shard[M]
	// registry is where handlers define metrics of their own.
	registry *Registry
}

const (
	turnFree = 0
	turnHeld = 1

	ownerAwake  = 0
	ownerAsleep = 1
)

// Shard is one partition of the state: whoever holds its turn may touch what it
// owns, and nobody else. Its methods are for the Handler, inside a callback
// (or newHandler, or an invocation); the invariants build checks that.
//
// The fields are grouped by who writes them, each group on lines of its own.
type Shard[M any] struct {
	_ Pad
	// Immutable after NewGroup.
	core    *core[M]
	id      unit.ShardID
	handler Handler[M]
	block   *CounterBlock
	mailbox *Mailbox[M]
	wheel   *TimerWheel
	wakeup  chan struct{} // one token, sent by whoever clears asleep
	_       Pad

	// Owned by the turn.
	now    unit.MonoTime
	wall   unit.WallTime
	lap    unit.MonoTime // when the last callback ended, for the stall detector
	sent   targetSet     // shards sent to since the last flush
	holder uint64        // goroutine that has the turn; invariants build only
	_      Pad

	// Shared: who may run the shard, and whether its goroutine must be woken.
	turn    atomic.Uint32
	asleep  atomic.Uint32
	armed   atomic.Int64  // when the next timer is due (MonoTime); written under the turn
	waiting atomic.Int32  // invocations queued
	wanted  atomic.Bool   // a scrape wants the counters published
	leaving atomic.Bool   // the owner is to end
	parks   atomic.Uint64 // by the owner
	wakes   atomic.Uint64 // by those who wake it
	_       Pad

	// Cold: guarded by mu.
	mu          sync.Mutex
	invocations []*invocation[M]
	closed      bool
	_           Pad
}

// invocation is one Invoke waiting for the turn.
type invocation[M any] struct {
	f     func(*Shard[M])
	state atomic.Uint32 // 0 waiting, then 1 run or 2 given up
	done  chan struct{}
}

// targetSet is a set of shards.
type targetSet [ShardsMax / 64]uint64

func (t *targetSet) add(id unit.ShardID) { t[id>>6] |= 1 << (id & 63) }

func (t *targetSet) merge(o *targetSet) {
	for i := range t {
		t[i] |= o[i]
	}
}

// pop takes the lowest member out.
func (t *targetSet) pop() (unit.ShardID, bool) {
	for i, w := range t {
		if w != 0 {
			t[i] = w & (w - 1)
			return unit.ShardID(i<<6 + bits.TrailingZeros64(w)), true
		}
	}
	return 0, false
}

// newCore makes the shards and their handlers. Each newHandler runs under its
// shard's turn.
func newCore[M any](cfg Config, clock Clock, registry *Registry, kind func(*M) uint8, newHandler func(*Shard[M]) Handler[M]) *core[M] {
	c := &core[M]{cfg: cfg, clock: clock, spin: cfg.spin(), kind: kind, metrics: defineMetrics(registry, cfg), registry: registry}
	now, wall := readClock(clock)
	for i := range cfg.Shards {
		s := &Shard[M]{
			core: c, id: unit.ShardID(i), now: now, wall: wall,
			mailbox: NewMailbox[M](cfg.MailboxSlots),
			wheel:   NewTimerWheel(now, cfg.TimersMax),
			wakeup:  make(chan struct{}, 1),
		}
		s.armed.Store(int64(NoDeadline))
		s.mailbox.close(gateOutside)
		s.block = registry.newBlock(strconv.Itoa(i), s.collect)
		c.shards = append(c.shards, s)
		defineShardMetrics(registry, s)
	}
	for _, s := range c.shards {
		s.take()
		s.handler = newHandler(s)
		s.release()
	}
	return c
}

// ID is the shard's index in its group.
func (s *Shard[M]) ID() unit.ShardID { return s.id }

// Shards is the number of shards of the group.
func (s *Shard[M]) Shards() int { return len(s.core.shards) }

// Now is the monotonic time of this batch.
func (s *Shard[M]) Now() unit.MonoTime { return s.now }

// Wall is the wall time of this batch.
func (s *Shard[M]) Wall() unit.WallTime { return s.wall }

// Registry is where the handler defines its metrics, in newHandler.
func (s *Shard[M]) Registry() *Registry { return s.core.registry }

// Counters is where this shard counts.
func (s *Shard[M]) Counters() *CounterBlock { return s.block }

// Send copies *m into the mailbox of a shard; one sent to itself comes in a
// later batch. false means that the mailbox is full, or sealed by Stop, and
// that nothing was kept; it is counted.
func (s *Shard[M]) Send(to unit.ShardID, m *M) bool {
	s.assertTurn("Send")
	if s.core.shards[to].mailbox.push(m, gateSealed) != pushed {
		return false
	}
	if to != s.id {
		s.sent.add(to)
	}
	return true
}

// After sets a timer that fires once d has passed since Now: never early, and
// about a quarter of a millisecond late at most while the shard keeps up. Zero
// means that the shard has Config.TimersMax timers already; it is counted.
func (s *Shard[M]) After(d time.Duration, kind uint8, arg uint64) TimerID {
	s.assertTurn("After")
	at := s.now.Add(max(d, 0))
	if at < s.now {
		at = NoDeadline // beyond the end of MonoTime
	}
	id := s.wheel.Schedule(at, kind, arg)
	if id == 0 {
		s.block.Inc(s.core.metrics.timersRefused)
	}
	return id
}

// Cancel takes a timer back. false means that it has fired or was cancelled.
func (s *Shard[M]) Cancel(id TimerID) bool {
	s.assertTurn("Cancel")
	return s.wheel.Cancel(id)
}

// AssertTurn panics, in the invariants build, unless the calling goroutine has
// this shard's turn: for state that a handler owns. It costs nothing otherwise.
func (s *Shard[M]) AssertTurn() { s.assertTurn("AssertTurn") }

func (s *Shard[M]) assertTurn(what string) {
	if invariants && (s.turn.Load() != turnHeld || s.holder != goroutineID()) {
		panic(fmt.Sprintf("shards: %s of shard %d outside its turn: call it from the shard's own callbacks", what, s.id))
	}
}

// take takes the turn if it is free.
func (s *Shard[M]) take() bool {
	if s.turn.Load() != turnFree || !s.turn.CompareAndSwap(turnFree, turnHeld) {
		return false
	}
	if invariants {
		s.holder = goroutineID()
	}
	return true
}

// release gives the turn back and sees to it that somebody looks after what
// came meanwhile and after timers due before the owner means to wake.
func (s *Shard[M]) release() {
	if sooner := s.free(); sooner || s.hasWork() {
		s.wake()
	}
}

// free gives the turn back and reports whether a timer is due sooner than the
// owner knows. The caller must then wake it, and must look for work once more.
func (s *Shard[M]) free() (sooner bool) {
	next := int64(s.wheel.Next())
	if armed := s.armed.Load(); next != armed {
		s.armed.Store(next)
		sooner = next < armed
	}
	if invariants {
		s.holder = 0
	}
	s.turn.Store(turnFree)
	return sooner
}

// hasWork reports messages or invocations waiting. Any goroutine may ask.
func (s *Shard[M]) hasWork() bool { return s.mailbox.Ready() || s.waiting.Load() != 0 }

// wake wakes the owner if it sleeps. The CAS makes it one token a sleep.
func (s *Shard[M]) wake() {
	if s.asleep.Load() == ownerAsleep && s.asleep.CompareAndSwap(ownerAsleep, ownerAwake) {
		s.wakes.Add(1)
		s.wakeup <- struct{}{}
	}
}

// run handles batches until nothing is left or the budget of messages is used
// up, and returns what it used, at least one. The last batch may exceed the
// budget. The caller has the turn.
func (s *Shard[M]) run(budget int, by Counter) (used int) {
	s.block.Inc(by)
	for {
		s.now, s.wall = readClock(s.core.clock)
		done, more := s.batch(s.core.cfg.BatchMax)
		used += max(done, 1)
		if used >= budget || !more && !s.hasWork() {
			return used
		}
	}
}

// batch handles up to limit messages, due timers and invocations, then ends the
// batch. It returns how many of them there were, and whether due timers are
// left. s.now is set.
func (s *Shard[M]) batch(limit int) (done int, more bool) {
	s.lap = s.now
	n := s.drain(limit)
	fired := s.fire(limit)
	done = n + fired
	if s.waiting.Load() != 0 {
		done += s.runInvocations()
	}
	if done > 0 {
		s.handler.EndBatch()
		s.stalled(s.core.metrics.stallEndBatch)
		s.block.Inc(s.core.metrics.batches)
	}
	if n > 0 {
		s.block.Observe(s.core.metrics.batchMessages, uint64(n))
	}
	if s.wanted.Load() {
		s.wanted.Store(false)
		s.block.publish()
	}
	return done, fired >= limit
}

// drain handles the messages that are there now, up to limit: one sent by a
// handler to its own shard waits for the next batch.
func (s *Shard[M]) drain(limit int) int {
	limit = min(limit, s.mailbox.claimed())
	m := &s.core.metrics
	n := 0
	for ; n < limit; n++ {
		msg := s.mailbox.Front()
		if msg == nil {
			break
		}
		kind := min(int(s.core.kind(msg)), len(m.messages)-1)
		s.handler.Handle(msg)
		s.mailbox.Pop()
		s.block.Inc(m.messages[kind])
		s.stalled(m.stallMessages[kind])
	}
	s.mailbox.Commit()
	return n
}

// fire calls the handler for due timers, up to limit.
func (s *Shard[M]) fire(limit int) int {
	n := 0
	if s.now < s.wheel.Next() {
		return 0
	}
	m := &s.core.metrics
	for ; n < limit; n++ {
		kind, arg, ok := s.wheel.Pop(s.now)
		if !ok {
			break
		}
		s.handler.Timer(kind, arg)
		index := min(int(kind), len(m.timers)-1)
		s.block.Inc(m.timers[index])
		s.stalled(m.stallTimers[index])
	}
	return n
}

// stalled counts the callback that has just ended if it took too long. Its
// clock is the detector's own: the handler's Now does not move.
func (s *Shard[M]) stalled(c Counter) {
	if s.core.cfg.StallNanosMax <= 0 {
		return
	}
	t := s.core.clock.Mono()
	if t.Sub(s.lap) > s.core.cfg.StallNanosMax {
		s.block.Inc(c)
	}
	s.lap = t
}

// runInvocations runs what Invoke queued.
func (s *Shard[M]) runInvocations() int {
	s.mu.Lock()
	queue := s.invocations
	s.invocations = nil
	s.waiting.Store(0)
	s.mu.Unlock()
	for _, v := range queue {
		if v.state.CompareAndSwap(0, 1) {
			v.f(s)
			close(v.done)
			s.block.Inc(s.core.metrics.invocations)
			s.stalled(s.core.metrics.stallInvoke)
		}
	}
	return len(queue)
}

// collect publishes the counters for a scrape: under the turn if it is free,
// else by whoever has it.
func (s *Shard[M]) collect() {
	version := s.block.published()
	s.wanted.Store(true)
	for deadline := time.Now().Add(collectDeadline); ; {
		if s.take() {
			s.wanted.Store(false)
			s.block.publish()
			s.release()
			return
		}
		if s.block.published() != version || time.Now().After(deadline) {
			return
		}
		time.Sleep(20 * time.Microsecond)
	}
}
