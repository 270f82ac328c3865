package shards

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"millrace/codec/unit"
)

// Sim runs the same shards and handlers as a Group on one goroutine, in an
// order drawn from a seed, under a clock that only the caller moves. The same
// seed and the same calls give the same schedule, batch for batch.
type Sim[M any] struct {
	core     *core[M]
	clock    *ManualClock
	random   *rand.Rand
	runnable []int
	schedule uint64
	steps    uint64
}

// NewSim makes a simulated group. Config.Dispatch, CPUs and Spin mean nothing
// here: only mailbox, batch and timer bounds do.
func NewSim[M any, PM interface {
	*M
	Message
}](cfg Config, clock *ManualClock, seed uint64, newHandler func(*Shard[M]) Handler[M]) (*Sim[M], error) {
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("shards: %w", errors.Join(faults...))
	}
	s := &Sim[M]{clock: clock, random: rand.New(rand.NewPCG(seed, 0x6D696C6C72616365))}
	s.core = newCore(cfg, clock, NewRegistry(), func(m *M) uint8 { return PM(m).Kind() }, newHandler)
	for _, shard := range s.core.shards {
		shard.mailbox.open(gateOutside)
	}
	return s, nil
}

// Len is the number of shards.
func (s *Sim[M]) Len() int { return len(s.core.shards) }

// Clock is the clock the simulation runs under.
func (s *Sim[M]) Clock() *ManualClock { return s.clock }

// Registry holds the metrics of the simulated shards.
func (s *Sim[M]) Registry() *Registry { return s.core.registry }

// Submit copies *m into the mailbox of a shard. false means that it is full.
// Nothing is handled before Step, Drain or Advance.
func (s *Sim[M]) Submit(to unit.ShardID, m *M) bool {
	return s.core.shards[to].mailbox.Push(m)
}

// Step lets one shard, drawn from those with messages or due timers, run one
// batch of a drawn size. false means that no shard has anything to do now.
func (s *Sim[M]) Step() bool {
	now := s.clock.Mono()
	s.runnable = s.runnable[:0]
	for i, shard := range s.core.shards {
		if shard.mailbox.Ready() || shard.wheel.Next() <= now {
			s.runnable = append(s.runnable, i)
		}
	}
	if len(s.runnable) == 0 {
		return false
	}
	shard := s.core.shards[s.runnable[s.random.IntN(len(s.runnable))]]
	limit := 1 + s.random.IntN(s.core.cfg.BatchMax)
	s.steps++
	s.schedule = mix(s.schedule ^ uint64(now)<<16 ^ uint64(shard.id))
	s.turn(shard, func() { shard.batch(limit) })
	return true
}

// mix is a round of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// turn runs f inside a shard's turn.
func (s *Sim[M]) turn(shard *Shard[M], f func()) {
	if !shard.take() {
		panic(fmt.Sprintf("shards: simulated shard %d is run from inside one of its callbacks: use Send", shard.id))
	}
	shard.now, shard.wall = readClock(s.core.clock)
	f()
	shard.sent = targetSet{}
	shard.release()
}

// Drain steps until no shard has anything to do, and returns the steps taken.
// Handlers that answer every message with another never let it return.
func (s *Sim[M]) Drain() int {
	n := 0
	for s.Step() {
		n++
	}
	return n
}

// Advance drains, then moves the clock by d from timer to timer, draining after
// each, so that everything set in motion by one timer is over before the next.
// To let messages wait while time passes, move the Clock and Step instead.
func (s *Sim[M]) Advance(d time.Duration) {
	target := s.clock.Mono().Add(max(d, 0))
	s.Drain()
	for {
		next := s.Next()
		if next > target {
			break
		}
		s.clock.Advance(next.Sub(s.clock.Mono()))
		s.Drain()
	}
	s.clock.Advance(target.Sub(s.clock.Mono()))
}

// Next is when the first timer of any shard is due.
func (s *Sim[M]) Next() unit.MonoTime {
	next := NoDeadline
	for _, shard := range s.core.shards {
		next = min(next, shard.wheel.Next())
	}
	return next
}

// Invoke runs f inside a shard's turn and ends the batch.
func (s *Sim[M]) Invoke(to unit.ShardID, f func(*Shard[M])) {
	shard := s.core.shards[to]
	s.turn(shard, func() {
		f(shard)
		shard.handler.EndBatch()
	})
}

// Steps is the number of steps taken so far.
func (s *Sim[M]) Steps() uint64 { return s.steps }

// Schedule is a hash of all steps so far: which shard ran, and when. Two runs
// that agree in it have run the same schedule.
func (s *Sim[M]) Schedule() uint64 { return s.schedule }
