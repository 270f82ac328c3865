package ladder

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"millrace/codec/unit"
)

// drive lets a ladder decide every gap for as long as given; cost says what a
// decision costs on the rung it chose, given the rung in force.
func drive(l *Ladder, from unit.MonoTime, gap, length time.Duration, cost func(chosen, inForce Rung, at time.Duration) time.Duration) (changes []unit.MonoTime) {
	for t := time.Duration(0); t < length; t += gap {
		now := from.Add(t)
		before := l.Rung()
		on := l.Choose()
		l.Observe(on, cost(on, before, t), false, now)
		if l.Rung() != before {
			changes = append(changes, now)
		}
	}
	return changes
}

const fast, slow = 100 * time.Microsecond, time.Second

func TestDegradesAndRecovers(t *testing.T) {
	cfg := Default()
	l := New(cfg, 0)
	// Everything but the lowest rung is late: all the way down within a few windows.
	drive(&l, 0, time.Millisecond, time.Second, func(on, _ Rung, _ time.Duration) time.Duration {
		if on == Prior {
			return fast
		}
		return slow
	})
	if l.Rung() != Prior {
		t.Fatalf("on %v after a second of late decisions, want prior", l.Rung())
	}
	at := unit.MonoTime(time.Second)
	changes := drive(&l, at, time.Millisecond, 4*cfg.HoldMin, func(Rung, Rung, time.Duration) time.Duration { return fast })
	if l.Rung() != Full {
		t.Fatalf("on %v after %v of good decisions, want full", l.Rung(), 4*cfg.HoldMin)
	}
	for i := 1; i < len(changes); i++ {
		if d := changes[i].Sub(changes[i-1]); d < cfg.HoldMin {
			t.Errorf("two climbs %v apart, hold_min is %v", d, cfg.HoldMin)
		}
	}
}

func TestFailureCountsAsLate(t *testing.T) {
	l := New(Default(), 0)
	for i := range 1000 {
		l.Observe(l.Choose(), fast, true, unit.MonoTime(i)*unit.MonoTime(time.Millisecond))
	}
	if l.Rung() != Prior {
		t.Errorf("on %v when every prediction fails", l.Rung())
	}
}

func TestAFewLateDecisionsChangeNothing(t *testing.T) {
	l := New(Default(), 0)
	n := 0
	changes := drive(&l, 0, time.Millisecond, time.Minute, func(Rung, Rung, time.Duration) time.Duration {
		if n++; n%20 == 0 { // 5 %, half of what it takes
			return slow
		}
		return fast
	})
	if len(changes) > 0 {
		t.Errorf("%d changes", len(changes))
	}
}

// A load that the rung above bears in probes but not as a whole: the feedback
// that makes a naive ladder flap.
func TestNoFlappingUnderFeedback(t *testing.T) {
	cfg := Default()
	for _, bears := range []Rung{Cached, ColdStart, Prior} {
		l := New(cfg, 0)
		const length = time.Hour
		changes := drive(&l, 0, 2*time.Millisecond, length, func(_, inForce Rung, _ time.Duration) time.Duration {
			if inForce < bears {
				return slow
			}
			return fast
		})
		climbsMax := bits.Len(uint(cfg.HoldMax/cfg.HoldMin)) + int(length/cfg.HoldMax) + 2
		// Each climb is followed by one descent, after a first way down of at most
		// Rungs changes that may go one rung too low.
		if most := 2*climbsMax + Rungs + 1; len(changes) > most {
			t.Errorf("bears %v: %d changes in %v, want at most %d", bears, len(changes), length, most)
		}
	}
}

// Whatever the load does, climbs are HoldMin apart, descents are at most one a
// window and no more than climbs allow.
func TestNoFlappingWhateverTheLoad(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		cfg := Default()
		cfg.HoldMin = cfg.Window * time.Duration(1+r.IntN(20))
		cfg.HoldMax = cfg.HoldMin * time.Duration(1+r.IntN(64))
		cfg.DecisionsMin, cfg.ProbesMin = 1+r.Uint32N(32), 1+r.Uint32N(16)
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		l := New(cfg, 0)
		now, lastClimb := unit.MonoTime(0), unit.MonoTime(math.MinInt64/2)
		ups, downs := 0, 0
		mood := r.Float64()
		for range 20_000 {
			if r.IntN(200) == 0 {
				mood = r.Float64() * r.Float64()
			}
			now = now.Add(time.Duration(r.IntN(int(10 * time.Millisecond))))
			before, on := l.Rung(), l.Choose()
			if on != before && (before == Full || on != before-1) {
				t.Fatalf("seed %d: chose %v on rung %v", seed, on, before)
			}
			cost := fast
			if r.Float64() < mood {
				cost = slow
			}
			l.Observe(on, cost, r.IntN(100) == 0 && mood > 0.5, now)
			switch after := l.Rung(); {
			case after < before:
				if after != before-1 || now.Sub(lastClimb) < cfg.HoldMin {
					t.Fatalf("seed %d: climbed %v → %v, %v after the last climb, hold_min %v", seed, before, after, now.Sub(lastClimb), cfg.HoldMin)
				}
				ups, lastClimb = ups+1, now
			case after > before:
				downs += int(after - before)
			}
		}
		if downs > ups+Rungs-1 || downs < ups {
			t.Fatalf("seed %d: %d rungs down, %d up", seed, downs, ups)
		}
		if most := int(now.Sub(0)/cfg.HoldMin) + 1; ups > most {
			t.Fatalf("seed %d: %d climbs, want at most %d", seed, ups, most)
		}
	}
}

func TestObservationsOfARungThatWasLeftCountNothing(t *testing.T) {
	l := New(Default(), 0)
	drive(&l, 0, time.Millisecond, 300*time.Millisecond, func(Rung, Rung, time.Duration) time.Duration { return slow })
	if l.Rung() != Prior {
		t.Fatalf("on %v", l.Rung())
	}
	before := l
	l.Observe(Full, slow, true, l.since)
	if l.total != before.total || l.bad != before.bad || l.probes != before.probes {
		t.Error("a decision of the rung Full was counted on the rung Prior")
	}
}

func TestValidateListsEveryFault(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	err := Config{ProbeEvery: 3, UpPermille: 5, HoldMin: -1, HoldMax: -2}.Validate()
	for _, field := range []string{"cost_max", "window", "decisions_min", "down_permille", "up_permille", "probe_every", "probes_min", "hold_min", "hold_max"} {
		if !strings.Contains(err.Error(), field+":") {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
}

func TestDecisionAllocs(t *testing.T) {
	l := New(Default(), 0)
	now := unit.MonoTime(0)
	if n := testing.AllocsPerRun(10_000, func() {
		now += 1_000_000
		l.Observe(l.Choose(), time.Duration(now%7)*time.Millisecond, false, now)
	}); n != 0 {
		t.Errorf("%v allocations a decision", n)
	}
}

func BenchmarkDecision(b *testing.B) {
	l := New(Default(), 0)
	for i := range b.N {
		l.Observe(l.Choose(), fast, false, unit.MonoTime(i)*1000)
	}
	b.ReportMetric(float64(l.Rung()), "rung")
}
