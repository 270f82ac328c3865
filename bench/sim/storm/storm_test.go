package storm

import (
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// runAll runs seeds first, first+1, … a few at a time and adds them up.
func runAll(t *testing.T, base Config, first, n uint64) *Summary {
	t.Helper()
	const jobs = 4
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		sum Summary
	)
	for job := range uint64(jobs) {
		wg.Go(func() {
			for k := job; k < n; k += jobs {
				c := base
				c.Seed = first + k
				r, err := Run(c)
				mu.Lock()
				if err != nil {
					t.Error(err)
				} else {
					sum.Add(r)
					for _, v := range r.Violations[:min(len(r.Violations), 3)] {
						t.Errorf("seed %d: %s: %s", r.Seed, v.Invariant, v.Text)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return &sum
}

func report(t *testing.T, s *Summary, began time.Time) {
	var b strings.Builder
	s.Print(&b, time.Since(began))
	t.Log(b.String())
}

// TestStorm runs what `make sim` runs ten thousand of.
func TestStorm(t *testing.T) {
	n := uint64(200)
	if testing.Short() {
		n = 40
	}
	if os.Getenv("MILLRACE_LONG") != "" {
		n = 2000
	}
	began := time.Now()
	s := runAll(t, Config{Duration: 5 * time.Minute, Faults: All}, 1, n)
	report(t, s, began)
	if missing := s.Missing(All); len(missing) > 0 {
		t.Errorf("never happened: %v", missing)
	}
	if s.Posted < 100*n || s.Judged == 0 {
		t.Errorf("%d events billed, %d budgets judged in %d runs: the world is too quiet to prove anything", s.Posted, s.Judged, n)
	}
}

// TestDays runs a day with its midnights, in the default reservation TTL.
func TestDays(t *testing.T) {
	began := time.Now()
	s := runAll(t, Config{Duration: 24 * time.Hour, Long: true, Faults: All}, 1, 2)
	report(t, s, began)
}

func TestCalmWeather(t *testing.T) {
	s := runAll(t, Config{Duration: 5 * time.Minute}, 1, 5)
	for f, n := range s.Faults {
		if n > 0 {
			t.Errorf("%s happened %d times, nothing was asked for", Fault(f), n)
		}
	}
}

func TestSameSeedSameRun(t *testing.T) {
	for _, c := range []Config{
		{Seed: 11, Duration: 4 * time.Minute, Faults: All, Embedded: true},
		{Seed: 12, Duration: 4 * time.Minute, Faults: All, Nodes: 3},
	} {
		var runs [2]*Result
		for i := range runs {
			r, err := Run(c)
			if err != nil {
				t.Fatal(err)
			}
			runs[i] = r
		}
		if !reflect.DeepEqual(runs[0], runs[1]) {
			t.Errorf("one seed, two runs:\n%+v\n%+v", runs[0], runs[1])
		}
	}
}

// TestFoundBefore keeps the seeds that found defects in the production code.
func TestFoundBefore(t *testing.T) {
	for _, c := range []struct {
		seed uint64
		what string
	}{
		{0, "stamps of a life began at the wall clock, below those of the life before when that had been set back"},
		{4, "a refused grant was granted when its repeat came later, to a broker that had heard the refusal: money nobody held"},
		{6, "after a step forward of the clock, reservations stayed for as long as the step"},
		{901, "the same, while new ones kept the same bucket open"},
	} {
		r, err := Run(Config{Seed: c.seed, Duration: 10 * time.Minute, Faults: All, Embedded: true})
		if err != nil {
			t.Fatal(err)
		}
		if r.Failed() {
			t.Errorf("%s: seed %d: %+v", c.what, c.seed, r.Violations)
		}
	}
}

// removals are runs that fail when a safety is taken away, and only then.
var removals = []struct {
	safety    Safety
	config    Config
	invariant string
}{
	{Fsync, Config{Seed: 3, Duration: 4 * time.Minute, Embedded: true}, "I4"},
	{DayBoundary, Config{Seed: 79, Duration: 90 * time.Second, Rate: 150, Embedded: true}, "I2"},
	{IdempotencyKey, Config{Seed: 6, Duration: 4 * time.Minute, Embedded: true}, "I1"},
	{DriftMargin, Config{Seed: 176, Duration: 4 * time.Minute, Rate: 60, Embedded: true}, "I2"},
	{RefundMemory, Config{Seed: 19, Duration: 4 * time.Minute, Embedded: true}, "I3"},
	{RefundOnce, Config{Seed: 2, Duration: 4 * time.Minute, Embedded: true}, "I2"},
	// Of nodes that share a ledger; the first seed from 1 that notices.
	{Fsync, Config{Seed: 1, Duration: 4 * time.Minute}, "I4"},
	{DayBoundary, Config{Seed: 18, Duration: 90 * time.Second, Rate: 150}, "I2"},
	{IdempotencyKey, Config{Seed: 2, Duration: 4 * time.Minute}, "I3"},
	{Fencing, Config{Seed: 10, Duration: 4 * time.Minute}, "I2"},
	{DriftMargin, Config{Seed: 2, Duration: 4 * time.Minute, Rate: 60}, "I2"},
	{RefundMemory, Config{Seed: 19, Duration: 4 * time.Minute}, "I3"},
}

// TestRemovedSafetyIsCaught proves that the simulator can fail.
func TestRemovedSafetyIsCaught(t *testing.T) {
	for _, c := range removals {
		t.Run(c.safety.String(), func(t *testing.T) {
			c.config.Faults = All
			whole, err := Run(c.config)
			if err != nil {
				t.Fatal(err)
			}
			if whole.Failed() {
				t.Fatalf("fails with everything in place: %+v", whole.Violations)
			}
			c.config.Removed = c.safety
			r, err := Run(c.config)
			if err != nil {
				t.Fatal(err)
			}
			caught := false
			for _, v := range r.Violations {
				caught = caught || v.Invariant == c.invariant
			}
			if !caught {
				t.Errorf("seed %d does not notice: %+v", c.config.Seed, r.Violations)
			}
		})
	}
}

func TestShrink(t *testing.T) {
	c := Config{Seed: 79, Duration: 90 * time.Second, Faults: All, Rate: 150, Embedded: true, Removed: DayBoundary}
	r, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	small, err := Shrink(c, r)
	if err != nil {
		t.Fatal(err)
	}
	if small.Violation.Invariant != "I2" || small.Events == 0 || small.Events >= r.Events || len(small.Faults) >= len(r.plan) && len(r.plan) > 0 {
		t.Errorf("%d events, %d faults planned: %+v", r.Events, len(r.plan), small)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]FaultSet{
		"all": All, "none": 0, "kill": 1 << Kill, "kill,torn-write": 1<<Kill | 1<<Torn, "-kill": All &^ (1 << Kill),
	} {
		if got, err := ParseFaults(text); err != nil || got != want {
			t.Errorf("%q: %b, %v", text, got, err)
		}
	}
	if _, err := ParseFaults("kill,rain"); err == nil {
		t.Error("rain is a fault")
	}
	if s, err := ParseSafety("fsync"); err != nil || s != Fsync {
		t.Error(s, err)
	}
	if _, err := ParseSafety("luck"); err == nil {
		t.Error("luck is a safety")
	}
}
