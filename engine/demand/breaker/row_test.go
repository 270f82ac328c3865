package breaker

import (
	"math/rand/v2"
	"testing"
	"time"

	"millrace/codec/unit"
)

// slowly plays calls so far apart, for so long or until the circuit opens.
func (l *line) slowly(d, apart time.Duration, call func() Sample) (calls int) {
	for end := l.now.Add(d); l.now < end && l.b.State() == Closed; l.now = l.now.Add(apart) {
		l.b.Tick(&config, l.now)
		s := call()
		l.b.Observe(&config, &s, l.now)
		calls++
	}
	return calls
}

func noBid() Sample { return Sample{Latency: 30 * time.Millisecond} }

// At traffic that never fills a window five failures in a row open, whatever they
// are; four do not, nor do many with an answer among them.
func TestRowOpensAtLittleTraffic(t *testing.T) {
	for name, c := range map[string]struct {
		call  func() Sample
		cause Cause
		calls int
	}{
		"hanging":           {hanging, Errors, 5},
		"refusing":          {func() Sample { return Sample{Error: true} }, Errors, 5},
		"slow":              {func() Sample { return Sample{Latency: 119 * time.Millisecond, Bids: 1} }, Slow, 5},
		"lying":             {func() Sample { return Sample{Latency: 30 * time.Millisecond, Bids: 2, Lies: 2} }, Lies, 5},
		"given up, late":    {func() Sample { return Sample{Silent: true, Doubt: 1, Latency: 50 * time.Millisecond} }, Silent, 5},
		"given up halfways": {func() Sample { return Sample{Silent: true, Doubt: 0.5, Latency: 50 * time.Millisecond} }, Silent, 10},
	} {
		for _, apart := range []time.Duration{300 * time.Millisecond, time.Second, 7 * time.Second} {
			l := line{}
			l.slowly(10*time.Minute, apart, noBid)
			if n := l.slowly(10*time.Minute, apart, c.call); n != c.calls || l.b.State() != Open || l.b.Cause() != c.cause {
				t.Errorf("%s, every %v: %v for %v after %d calls", name, apart, l.b.State(), l.b.Cause(), n)
			}
			l = line{}
			n := 0
			l.slowly(10*time.Minute, apart, func() Sample {
				if n++; n%c.calls == 0 {
					return well()
				}
				return c.call()
			})
			if n < c.calls {
				t.Errorf("%s, every %v: opened by a row of %d", name, apart, n)
			}
		}
	}
	// One answer full of lies is one answer.
	l := line{}
	s := Sample{Latency: 30 * time.Millisecond, Bids: 50, Lies: 50}
	l.b.Observe(&config, &s, 0)
	if l.b.State() != Closed {
		t.Error("opened by one answer")
	}
}

// What is no sign of anything: silence at a time at which nobody has answered yet,
// and a connection that takes all its calls with it.
func TestNoRow(t *testing.T) {
	l := line{}
	l.slowly(time.Hour, 500*time.Millisecond, func() Sample { return Sample{Silent: true, Latency: 20 * time.Millisecond} })
	if l.b.Cause() != None {
		t.Errorf("opened for %v by calls that were given up at once", l.b.Cause())
	}
	l = line{}
	n := 0
	for range 1000 { // eight calls at once break, then one is well
		for range 8 {
			s := Sample{Error: true}
			l.b.Observe(&config, &s, l.now)
		}
		l.now = l.now.Add(3 * time.Second)
		l.b.Tick(&config, l.now)
		n += l.slowly(3*time.Second, time.Second, well)
	}
	if l.b.Opened() > 0 {
		t.Errorf("a connection that broke opened the circuit")
	}
}

// How often bad luck opens a circuit, and that it costs the shortest opening.
func TestBadLuckIsRare(t *testing.T) {
	for _, c := range []struct {
		fails float64
		most  uint64
	}{{0.05, 0}, {0.1, 3}, {0.2, 100}} {
		r := rand.New(rand.NewPCG(4, 4))
		l := line{}
		open := time.Duration(0)
		const day = 24 * time.Hour
		for l.now < unit.MonoTime(day) {
			l.b.Tick(&config, l.now)
			s := well()
			if r.Float64() < c.fails {
				s = hanging()
			}
			s.Probe = l.b.Probe(&config, l.now)
			if l.b.State() == Open {
				open += 500 * time.Millisecond
			} else {
				l.b.Observe(&config, &s, l.now)
			}
			l.now = l.now.Add(500 * time.Millisecond)
		}
		t.Logf("fails %.2f: opened %d times in a day, for %v", c.fails, l.b.Opened(), open)
		if l.b.Opened() > c.most || open > day/100 {
			t.Errorf("who fails %.2f of its calls at two a second: opened %d times in a day, for %v", c.fails, l.b.Opened(), open)
		}
	}
}

// Where the window holds enough calls rows say nothing: a circuit does the same
// with them and without.
func TestRowsSayNothingWhereWindowsDo(t *testing.T) {
	without := config
	without.Row = 1 << 20
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var a, b Breaker
		now := unit.MonoTime(0)
		fails, opened := 0.0, 0
		for i := range 200_000 {
			if i%2000 == 0 {
				fails = []float64{0, 0.1, 0.3, 0.45, 0.6, 0.9}[r.IntN(6)]
			}
			now = now.Add(time.Duration(r.IntN(int(20 * time.Millisecond))))
			a.Tick(&config, now)
			b.Tick(&without, now)
			s := well()
			switch {
			case r.Float64() >= fails:
			case r.IntN(3) == 0:
				s = Sample{Latency: 119 * time.Millisecond, Bids: uint32(r.IntN(2))}
			case r.IntN(2) == 0:
				s = Sample{Latency: 30 * time.Millisecond, Bids: 1, Lies: 1}
			default:
				s = hanging()
			}
			s.Probe = a.Probe(&config, now)
			if s.Probe != b.Probe(&without, now) {
				t.Fatalf("seed %d, call %d: probes differ", seed, i)
			}
			a.Observe(&config, &s, now)
			b.Observe(&without, &s, now)
			if a.State() != b.State() || a.Cause() != b.Cause() || a.Until() != b.Until() {
				t.Fatalf("seed %d, call %d: %v for %v with rows, %v for %v without", seed, i, a.State(), a.Cause(), b.State(), b.Cause())
			}
			opened = int(a.Opened())
		}
		if opened == 0 {
			t.Error("no circuit opened: the test shows nothing")
		}
	}
}

// Shards that each see a call in four seconds know together what one would alone;
// an answer to any of them ends the row.
func TestShardsShareRows(t *testing.T) {
	var b Breaker
	for i := range 4 {
		b.Told(&config, 0, 3, unit.MonoTime(i)*unit.MonoTime(time.Second))
	}
	b.Told(&config, 1, 3, unit.MonoTime(4*time.Second))
	for i := range 5 {
		if b.State() != Closed {
			t.Fatalf("open after a row of %d", i)
		}
		b.Told(&config, 0, 1, unit.MonoTime(5+i)*unit.MonoTime(time.Second))
	}
	if b.State() != Open || b.Cause() != Others {
		t.Errorf("%v for %v", b.State(), b.Cause())
	}
	// Its own failure is the fifth as well as another's.
	b = Breaker{}
	for i := range 4 {
		b.Told(&config, 0, 1, unit.MonoTime(i)*unit.MonoTime(time.Second))
	}
	s := hanging()
	b.Observe(&config, &s, unit.MonoTime(4*time.Second))
	if b.State() != Open || b.Cause() != Others {
		t.Errorf("%v for %v after its own", b.State(), b.Cause())
	}
}

// Probes that end early say nothing: who takes sixty milliseconds where auctions
// mostly end at fifty is let back by those that are waited for; who never answers
// is not, and gets no more probes than ten for it.
func TestSilentProbes(t *testing.T) {
	early := func() Sample { return Sample{Silent: true, Latency: 50 * time.Millisecond} }
	for _, c := range []struct {
		name   string
		call   func(n int) Sample
		state  State
		probes int
	}{
		{"one in four answers", func(n int) Sample {
			if n%4 == 3 {
				return well()
			}
			return early()
		}, Closed, 39},
		{"one in two answers", func(n int) Sample {
			if n%2 == 1 {
				return well()
			}
			return early()
		}, Closed, 20},
		{"nobody answers", func(int) Sample { return early() }, Open, 10},
		{"half of what is waited for fails", func(n int) Sample {
			switch n % 4 {
			case 1:
				return well()
			case 3:
				return hanging()
			}
			return early()
		}, Open, 12},
	} {
		l := line{now: unit.MonoTime(time.Second)}
		l.b.Hold(time.Second, 0)
		l.b.Tick(&config, l.now)
		n := 0
		for l.b.State() == HalfOpen && l.b.Probe(&config, l.now) {
			s := c.call(n)
			s.Probe = true
			l.b.Observe(&config, &s, l.now)
			n++
			if l.b.State() == HalfOpen {
				l.now = l.now.Add(time.Second)
				l.b.Tick(&config, l.now)
			}
		}
		if l.b.State() != c.state || n != c.probes {
			t.Errorf("%s: %v after %d probes", c.name, l.b.State(), n)
		}
	}
}

// At little traffic the last probe may be sent long after the first, and still has
// its time to come back.
func TestSlowProbes(t *testing.T) {
	l := line{now: unit.MonoTime(time.Second)}
	l.b.Hold(time.Second, 0)
	for range config.Probes {
		l.now = l.now.Add(8 * time.Second)
		l.b.Tick(&config, l.now)
		if !l.b.Probe(&config, l.now) {
			t.Fatal("no probe")
		}
		l.now = l.now.Add(tick)
		l.b.Tick(&config, l.now)
		s := well()
		s.Probe = true
		l.b.Observe(&config, &s, l.now)
	}
	if l.b.State() != Closed {
		t.Errorf("%v after all probes were well", l.b.State())
	}
}
