package shards

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"millrace/codec/unit"
)

// simResult is what a run left behind: state per key, and the schedule.
type simResult struct {
	sums     map[uint64]uint64
	fired    []uint64
	schedule uint64
}

// simulate spreads messages over n shards by key; a handler passes each on a
// few times, and sets timers that add to the key's sum as well.
func simulate(t *testing.T, shards int, seed uint64) simResult {
	cfg := testConfig(shards, DispatchInline)
	cfg.MailboxSlots = 1 << 12
	result := simResult{sums: map[uint64]uint64{}}
	sim, err := NewSim(cfg, NewManualClock(unit.WallFromUnix(1_700_000_000)), seed, func(s *Shard[letter]) Handler[letter] {
		return &recorder{s: s, lastFrom: map[uint16]uint64{},
			handle: func(r *recorder, m *letter) {
				result.sums[m.number>>8] += uint64(m.kind)
				if m.kind > 0 {
					next := *m
					next.kind--
					next.number += 7 << 8
					r.s.Send(unit.Owner(next.number>>8, r.s.Shards()), &next)
					r.s.After(time.Duration(m.number%977)*time.Millisecond, 1, m.number)
				}
			},
			timer: func(r *recorder, kind uint8, arg uint64) {
				result.sums[arg>>8]++
				result.fired = append(result.fired, uint64(r.s.Now())>>tickShift)
			},
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(400) {
		if !sim.Submit(unit.Owner(i, shards), &letter{kind: uint8(i % 5), number: i<<8 | i%256}) {
			t.Fatal("mailbox full")
		}
		if i%50 == 0 {
			sim.Advance(30 * time.Millisecond)
		}
	}
	sim.Advance(2 * time.Second)
	if sim.Step() || sim.Clock().Mono() != unit.MonoTime(2*time.Second+8*30*time.Millisecond) {
		t.Fatalf("something to do after all at %d", sim.Clock().Mono())
	}
	result.schedule = sim.Schedule()
	return result
}

// What ownership does not decide is the same on any number of shards and for
// any seed; the schedule is the same for the same seed only.
func TestSimIsDeterministic(t *testing.T) {
	reference := simulate(t, 1, 1)
	if len(reference.fired) != 800 || !slices.IsSorted(reference.fired) {
		t.Fatalf("%d timers fired, in order: %v", len(reference.fired), slices.IsSorted(reference.fired))
	}
	schedules := map[uint64]bool{}
	for _, shards := range []int{1, 2, 7} {
		for seed := range uint64(4) {
			first, again := simulate(t, shards, seed), simulate(t, shards, seed)
			if first.schedule != again.schedule {
				t.Errorf("%d shards, seed %d: two schedules", shards, seed)
			}
			schedules[first.schedule] = true
			if fmt.Sprint(first.sums) != fmt.Sprint(reference.sums) || !slices.Equal(first.fired, reference.fired) {
				t.Errorf("%d shards, seed %d: another result", shards, seed)
			}
		}
	}
	if len(schedules) != 12 {
		t.Errorf("%d different schedules of 12 seeds and sizes", len(schedules))
	}
}

// Time may pass while messages wait: the caller moves the clock between steps.
func TestSimMessagesMayWait(t *testing.T) {
	clock := NewManualClock(0)
	var order []string
	sim, err := NewSim(testConfig(1, DispatchHop), clock, 1, func(s *Shard[letter]) Handler[letter] {
		s.After(time.Millisecond, 0, 0)
		return &recorder{s: s, lastFrom: map[uint16]uint64{},
			handle: func(r *recorder, m *letter) { order = append(order, fmt.Sprint("message at ", r.s.Now())) },
			timer:  func(r *recorder, _ uint8, _ uint64) { order = append(order, fmt.Sprint("timer at ", r.s.Now())) },
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if sim.Step() {
		t.Fatal("a step with nothing to do")
	}
	sim.Submit(0, &letter{})
	clock.Advance(5 * time.Millisecond)
	if sim.Drain() != 1 || !slices.Equal(order, []string{"message at 5000000", "timer at 5000000"}) {
		t.Fatalf("%v", order)
	}
	clock.SetWall(77)
	sim.Invoke(0, func(s *Shard[letter]) {
		if s.Wall() != 77 || s.Now() != unit.MonoTime(5*time.Millisecond) {
			t.Errorf("now %d, wall %d", s.Now(), s.Wall())
		}
		s.Send(0, &letter{number: 1})
	})
	if !sim.Step() || len(order) != 3 || sim.Steps() != 2 {
		t.Fatalf("%v after %d steps", order, sim.Steps())
	}
	for i := range uint64(256) {
		sim.Submit(0, &letter{number: i})
	}
	if sim.Submit(0, &letter{}) {
		t.Fatal("a full mailbox takes a message")
	}
}
