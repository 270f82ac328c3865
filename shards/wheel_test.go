package shards

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"millrace/codec/unit"
)

// The oracle: timers in a plain list, sorted by tick and then by the order in
// which they were set.
type naiveTimer struct {
	tick uint64
	arg  uint64
	id   TimerID
}

func TestWheelAgainstSortedList(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		now := unit.MonoTime(r.Int64N(int64(1) << (20 + 2*seed)))
		w := NewTimerWheel(now, 1<<16)
		var model []naiveTimer
		tick := floorTick(now)
		delay := func() time.Duration { return time.Duration(r.Int64N(int64(1) << (1 + r.IntN(46)))) }
		for arg := range uint64(6_000) {
			switch r.IntN(8) {
			case 0, 1, 2, 3:
				at := now.Add(delay())
				id := w.Schedule(at, uint8(arg), arg)
				due := max(ceilTick(at), tick+1)
				i, _ := slices.BinarySearchFunc(model, due+1, func(n naiveTimer, d uint64) int { return int(int64(n.tick) - int64(d)) })
				model = slices.Insert(model, i, naiveTimer{due, arg, id})
			case 4:
				if len(model) > 0 {
					i := r.IntN(len(model))
					if !w.Cancel(model[i].id) || w.Cancel(model[i].id) {
						t.Fatalf("seed %d: cancelling timer %d", seed, model[i].arg)
					}
					model = slices.Delete(model, i, i+1)
				}
			default:
				now = now.Add(delay() >> r.IntN(20))
				if len(model) > 0 && w.Next() > unit.MonoTime(model[0].tick<<tickShift) {
					t.Fatalf("seed %d: next at %d, a timer is due at %d", seed, w.Next(), model[0].tick<<tickShift)
				}
				for {
					kind, got, ok := w.Pop(now)
					want := len(model) > 0 && unit.MonoTime(model[0].tick<<tickShift) <= now
					if ok != want || ok && (got != model[0].arg || kind != uint8(got)) {
						t.Fatalf("seed %d at %d: popped %d, %v; want %v of %v", seed, now, got, ok, want, model[:min(3, len(model))])
					}
					if !ok {
						break
					}
					model = model[1:]
				}
				tick = floorTick(now)
			}
			if w.Pending() != len(model) {
				t.Fatalf("seed %d: %d pending, want %d", seed, w.Pending(), len(model))
			}
		}
		if dropped := w.Clear(); dropped != len(model) || w.Pending() != 0 || w.Next() != NoDeadline {
			t.Fatalf("seed %d: cleared %d of %d, next %d", seed, dropped, len(model), w.Next())
		}
		if _, _, ok := w.Pop(now.Add(1 << 50)); ok {
			t.Fatalf("seed %d: a dropped timer fires", seed)
		}
	}
}

func TestWheelNeverEarlyAtMostATickLate(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	w := NewTimerWheel(0, 10)
	now := unit.MonoTime(0)
	for range 2_000 {
		at := now.Add(time.Duration(r.Int64N(int64(time.Second))))
		w.Schedule(at, 0, 0)
		for {
			before := now
			now = max(now+1, min(w.Next(), at+1<<tickShift))
			if _, _, ok := w.Pop(now); ok {
				break
			}
			if before > at+1<<tickShift {
				t.Fatalf("a timer for %d has not fired at %d", at, now)
			}
		}
		if now < at || now > at+1<<tickShift {
			t.Fatalf("a timer for %d fired at %d", at, now)
		}
	}
}

func TestWheelCallbackCancelsDueTimer(t *testing.T) {
	w := NewTimerWheel(0, 10)
	at := unit.MonoTime(time.Millisecond)
	w.Schedule(at, 0, 1)
	second := w.Schedule(at, 0, 2)
	w.Schedule(at, 0, 3)
	now := at + 1<<tickShift
	if _, arg, _ := w.Pop(now); arg != 1 {
		t.Fatalf("first is %d", arg)
	}
	if !w.Cancel(second) {
		t.Fatal("a due timer that has not fired can't be cancelled")
	}
	if again := w.Schedule(now, 0, 4); uint32(again) != uint32(second) || again == second {
		t.Fatalf("slab slot of %x is not used again under a new generation: %x", second, again)
	}
	if _, arg, _ := w.Pop(now); arg != 3 {
		t.Fatalf("second is %d", arg)
	}
	if _, _, ok := w.Pop(now); ok {
		t.Fatal("a timer set while its tick fires must wait for the next")
	}
	if _, arg, _ := w.Pop(now + 1<<tickShift); arg != 4 {
		t.Fatalf("third is %d", arg)
	}
}

func TestWheelFullHasAName(t *testing.T) {
	w := NewTimerWheel(0, 300) // past the first slab size
	ids := map[TimerID]bool{}
	for i := range uint64(300) {
		id := w.Schedule(unit.MonoTime(time.Second), 0, i)
		if id == 0 || ids[id] {
			t.Fatalf("timer %d has id %x", i, id)
		}
		ids[id] = true
	}
	if id := w.Schedule(0, 0, 0); id != 0 {
		t.Fatalf("a full wheel hands out %x", id)
	}
	for i := range uint64(300) {
		if _, arg, ok := w.Pop(unit.MonoTime(2 * time.Second)); !ok || arg != i {
			t.Fatalf("popped %d, %v; want %d", arg, ok, i)
		}
	}
	if w.Schedule(NoDeadline, 0, 0) == 0 {
		t.Fatal("no room after all have fired")
	}
	if _, _, ok := w.Pop(unit.MonoTime(1 << 60)); ok {
		t.Fatal("a timer at the end of time fired")
	}
	if w.Cancel(0) || w.Cancel(1<<32|77) || w.Cancel(1<<40) {
		t.Fatal("cancelled a timer that never was")
	}
}
