package breaker

import (
	"math/rand/v2"
	"testing"
	"time"

	"millrace/codec/unit"
)

var config = Config{
	Errors: 0.5, Invalid: 0.5, P95: 115 * time.Millisecond, Window: 5 * time.Second, Calls: 20, Row: 5, OpenMin: time.Second, OpenMax: time.Minute, Probes: 10,
}

const tick = 100 * time.Millisecond

// line is a partner behind a breaker, a hundred calls a second.
type line struct {
	b     Breaker
	now   unit.MonoTime
	asked int
}

func (l *line) run(d time.Duration, call func() Sample) {
	for end := l.now.Add(d); l.now < end; l.now = l.now.Add(10 * time.Millisecond) {
		if l.now%unit.MonoTime(tick) == 0 {
			l.b.Tick(&config, l.now)
		}
		switch l.b.State() {
		case Open:
			continue
		case HalfOpen:
			if !l.b.Probe(&config, l.now) {
				continue
			}
			s := call()
			s.Probe = true
			l.asked++
			l.b.Observe(&config, &s, l.now)
		default:
			s := call()
			l.asked++
			l.b.Observe(&config, &s, l.now)
		}
	}
}

func well() Sample    { return Sample{Latency: 30 * time.Millisecond, Bids: 1} }
func hanging() Sample { return Sample{Error: true, Silent: true, Latency: 50 * time.Millisecond} }

func TestDeadIsIsolatedAndReadmitted(t *testing.T) {
	for name, c := range map[string]struct {
		call  func() Sample
		cause Cause
	}{
		"hanging":   {hanging, Errors},
		"refusing":  {func() Sample { return Sample{Error: true} }, Errors},
		"lying":     {func() Sample { return Sample{Latency: 30 * time.Millisecond, Bids: 2, Lies: 2} }, Lies},
		"slow":      {func() Sample { return Sample{Latency: 119 * time.Millisecond, Bids: 1} }, Slow},
		"given up":  {func() Sample { return Sample{Silent: true, Latency: 40 * time.Millisecond} }, Silent},
		"half lies": {func() Sample { return Sample{Latency: 30 * time.Millisecond, Bids: 3, Lies: 3} }, Lies},
	} {
		l := line{}
		l.run(20*time.Second, well)
		if l.b.State() != Closed || l.asked != 2000 {
			t.Fatalf("%s: a good partner is %v", name, l.b.State())
		}
		bad := l.now
		for l.b.State() == Closed && l.now.Sub(bad) < time.Minute {
			l.run(tick, c.call)
		}
		if l.b.State() != Open || l.now.Sub(bad) > 5*time.Second {
			t.Fatalf("%s: %v after %v", name, l.b.State(), l.now.Sub(bad))
		}
		if l.b.Cause() != c.cause {
			t.Errorf("%s: opened for %v", name, l.b.Cause())
		}
		// The back-off doubles: an hour costs a few hundred calls.
		l.asked = 0
		l.run(time.Hour, c.call)
		if l.asked > 60*int(config.Probes)+200 || l.b.Opened() < 10 {
			t.Errorf("%s: %d calls in an hour of being bad, opened %d times", name, l.asked, l.b.Opened())
		}
		good := l.now
		for l.b.State() != Closed && l.now.Sub(good) < 2*time.Minute {
			l.run(tick, well)
		}
		if l.now.Sub(good) > config.OpenMax+time.Second {
			t.Errorf("%s: readmitted after %v", name, l.now.Sub(good))
		}
	}
}

// Who is on the edge is asked less and less: a circuit that opens right after
// it closed stays open twice as long.
func TestEdgeDoesNotFlap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	l := line{}
	n := 0
	l.run(time.Hour, func() Sample { // well while it is probed, bad under load
		n++
		if l.b.State() == HalfOpen || r.IntN(3) == 0 {
			return well()
		}
		return hanging()
	})
	if l.b.Opened() > 80 {
		t.Errorf("opened %d times in an hour", l.b.Opened())
	}
	// After a long good time the next opening is a short one again.
	l.run(10*time.Minute, well)
	for l.b.State() == Closed {
		l.run(tick, hanging)
	}
	if d := l.b.Until().Sub(l.now); d > config.OpenMin {
		t.Errorf("open for %v after a good time", d)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	l := line{}
	l.run(time.Second, well)
	until, changed := l.b.Hold(30*time.Second, l.now)
	if !changed || l.b.State() != Open || l.b.Cause() != RetryAfter || until != l.now.Add(30*time.Second) {
		t.Fatalf("%v %v", l.b.State(), until)
	}
	if _, changed = l.b.Hold(10*time.Second, l.now); changed {
		t.Error("a shorter time took the longer one's place")
	}
	l.asked = 0
	l.run(30*time.Second-tick, well)
	if l.asked != 0 {
		t.Errorf("%d calls while it asked to be left alone", l.asked)
	}
	l.run(2*time.Second, well)
	if l.b.State() != Closed {
		t.Errorf("%v after its time and good probes", l.b.State())
	}
	if until, _ := l.b.Hold(1<<62, l.now); until != l.now.Add(retryMax) {
		t.Errorf("left alone until %v", until)
	}
}

// Probes whose results never come are not waited for for ever.
func TestLostProbes(t *testing.T) {
	l := line{}
	l.b.Hold(time.Second, 0)
	l.now = unit.MonoTime(time.Second)
	l.b.Tick(&config, l.now)
	for range config.Probes {
		if !l.b.Probe(&config, l.now) {
			t.Fatal("no probe")
		}
	}
	if l.b.Probe(&config, l.now) {
		t.Fatal("more probes than there are")
	}
	l.now = l.now.Add(lostAfter)
	l.b.Tick(&config, l.now)
	if !l.b.Probe(&config, l.now) {
		t.Error("lost probes block the circuit")
	}
}

var stageConfig = StageConfig{Down: 105 * time.Millisecond, DownFor: time.Minute, Up: 95 * time.Millisecond, UpFor: 5 * time.Minute, Top: 30, Few: 10}

func TestStageLadder(t *testing.T) {
	var s Stage
	now := unit.MonoTime(0)
	run := func(d time.Duration, slow func(i int) time.Duration) {
		for i := 0; i < int(d/(10*time.Millisecond)); i++ {
			now = now.Add(10 * time.Millisecond)
			s.Observe(&stageConfig, slow(i), now)
		}
	}
	mix := func(every int, d time.Duration) func(int) time.Duration {
		return func(i int) time.Duration {
			if i%every == 0 {
				return d
			}
			return 60 * time.Millisecond
		}
	}
	run(10*time.Minute, mix(25, 119*time.Millisecond)) // 4 %: p95 is fine
	if s.Rung() != All {
		t.Fatal(s.Rung())
	}
	run(59*time.Second, mix(10, 119*time.Millisecond))
	if s.Rung() != All {
		t.Fatal("down before its time")
	}
	run(3*time.Second, mix(10, 119*time.Millisecond))
	if s.Rung() != Top || s.Limit(&stageConfig) != 30 {
		t.Fatal(s.Rung())
	}
	run(10*time.Minute, mix(10, 100*time.Millisecond)) // between the limits: nothing changes
	if s.Rung() != Top {
		t.Fatal(s.Rung())
	}
	run(3*time.Minute, mix(10, 119*time.Millisecond))
	if s.Rung() != Internal || s.Limit(&stageConfig) != 0 {
		t.Fatal(s.Rung())
	}
	run(5*time.Minute-5*time.Second, mix(10, 60*time.Millisecond))
	if s.Rung() != Internal {
		t.Fatal("up before its time")
	}
	run(15*time.Minute+10*time.Second, mix(10, 60*time.Millisecond))
	if s.Rung() != All || s.Downs != 3 || s.Ups != 3 {
		t.Fatalf("%v, %d down, %d up", s.Rung(), s.Downs, s.Ups)
	}
	// Two bad moments with a night between them are no bad minute.
	run(2*time.Second, mix(10, 119*time.Millisecond))
	now = now.Add(8 * time.Hour)
	run(2*time.Second, mix(10, 119*time.Millisecond))
	if s.Rung() != All {
		t.Error("down after two bad seconds")
	}
}

func TestAllocBreaker(t *testing.T) {
	var b Breaker
	var s Stage
	now := unit.MonoTime(0)
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(tick)
		b.Tick(&config, now)
		x := hanging()
		x.Probe = b.Probe(&config, now)
		b.Observe(&config, &x, now)
		s.Observe(&stageConfig, 110*time.Millisecond, now)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
