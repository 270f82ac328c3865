package rollout

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"millrace/codec/unit"
)

// world is traffic with known click rates, served under a Machine.
type world struct {
	machine *Machine
	shards  [2]Recorder
	r       *rand.Rand
	now     unit.MonoTime
	// challenger predicts, given the true rate and an opinion that is always the
	// same for the same impression; value is what an impression of its arm brings.
	challenger func(q, opinion float64) float64
	value      float64
	fails      float64
}

func plan() Plan {
	return Plan{
		Stages:    []Stage{{0, time.Minute, 3000}, {100, time.Minute, 1000}, {500, time.Minute, 5000}},
		Automatic: true, Maturity: 15 * time.Second,
		FalseAlarm: 0.02, LossWorse: 0.02, CalibrationOff: 0.25, RevenueLess: 0.1, FaultsPermille: 5,
	}
}

func newWorld(t *testing.T, seed uint64) *world {
	m, err := NewMachine(plan(), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{machine: m, r: rand.New(rand.NewPCG(seed, 11)), value: 1000, challenger: func(q, _ float64) float64 { return q }}
	for i := range w.shards {
		w.shards[i] = NewRecorder(plan().Maturity)
	}
	return w
}

// run serves until the trial ends, and returns the last change.
func (w *world) run(t *testing.T) Change {
	change, err := w.machine.Offer(2, w.now)
	if err != nil || change.Event != Started {
		t.Fatalf("%+v, %v", change, err)
	}
	w.begin(change.Assignment)
	for range 60 * 60 {
		w.second()
		sum := Totals{Epoch: w.machine.Assignment().Epoch}
		for i := range w.shards {
			sum.Add(w.shards[i].Totals(w.now))
		}
		switch change = w.machine.Tick(&sum, w.now); change.Event {
		case Advanced:
			w.begin(change.Assignment)
		case Promoted, RolledBack:
			return change
		}
	}
	t.Fatal("an hour was not enough")
	return change
}

func (w *world) begin(a Assignment) {
	for i := range w.shards {
		w.shards[i].Begin(a, w.machine.Plan(), w.now)
	}
}

// second serves 300 users, whose rates and worth differ.
func (w *world) second() {
	a := w.machine.Assignment()
	for range 300 {
		w.now = w.now.Add(time.Second / 300)
		user := uint64(w.r.IntN(20_000))
		shard := &w.shards[user%2]
		b := Bid{Epoch: a.Epoch, User: user, At: w.now, Arm: a.Arm(user)}
		shard.Request(b.Arm, user, b.Arm == Challenger && w.r.Float64() < w.fails, w.now)
		u := w.r.Float64()
		q := 0.002 + 0.2*u*u*u + float64(user%100)*1e-4
		b.Rates[Stable] = float32(q)
		b.Rates[Challenger] = float32(w.challenger(q, w.r.Float64()))
		shard.Impression(&b, w.now)
		value := 1000.0
		if b.Arm == Challenger {
			value = w.value
		}
		shard.Revenue(&b, unit.Nanos(value*float64(1+user%7)), w.now)
		if w.r.Float64() < q {
			shard.Click(&b, w.now.Add(time.Duration(w.r.IntN(int(10*time.Second)))))
		}
	}
}

func TestRolloutJudgesWhatItMeets(t *testing.T) {
	cases := []struct {
		name   string
		set    func(w *world)
		event  Event
		reason string
	}{
		{"the same model", func(*world) {}, Promoted, "ended well"},
		{"a little off, within tolerance", func(w *world) { w.challenger = func(q, _ float64) float64 { return q * 1.05 } }, Promoted, "ended well"},
		{"knows nothing of the user", func(w *world) { w.challenger = func(float64, float64) float64 { return 0.057 } }, RolledBack, "log loss"},
		{"noise", func(w *world) { w.challenger = func(q, o float64) float64 { return q * math.Exp(2*o-1) / 1.1752 } }, RolledBack, "log loss"},
		{"promises double", func(w *world) { w.challenger = func(q, _ float64) float64 { return 2 * q } }, RolledBack, ""},
		{"promises half", func(w *world) { w.challenger = func(q, _ float64) float64 { return q / 2 } }, RolledBack, ""},
		{"not a number", func(w *world) { w.challenger = func(float64, float64) float64 { return math.NaN() } }, RolledBack, ""},
		{"brings a third less", func(w *world) { w.value = 667 }, RolledBack, "revenue"},
		{"fails", func(w *world) { w.fails = 0.02 }, RolledBack, "failed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 5)
			c.set(w)
			got := w.run(t)
			if got.Event != c.event || got.Version != 2 || !strings.Contains(got.Reason, c.reason) {
				t.Fatalf("%v version %d: %s; want %v with %q", got.Event, got.Version, got.Reason, c.event, c.reason)
			}
			t.Logf("%v after %v: %s", got.Event, time.Duration(w.now).Round(time.Second), got.Reason)
			a := w.machine.Assignment()
			if want := map[Event]uint64{Promoted: 2, RolledBack: 1}[c.event]; a.Stable != want || a.Trial() || a != got.Assignment {
				t.Errorf("in force afterwards: %+v", a)
			}
			if _, err := w.machine.Offer(2, w.now); err == nil {
				t.Error("the same version can be offered again")
			}
		})
	}
}

// A challenger as good as the stable model is rolled back no more often than
// the plan says.
func TestFalseRollbacksAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics take seconds, under the race detector minutes")
	}
	const runs = 60
	n := 0
	for seed := range uint64(runs) {
		w := newWorld(t, 1000+seed)
		if w.run(t).Event == RolledBack {
			n++
		}
	}
	t.Logf("%d of %d rollouts of an equal model were rolled back", n, runs)
	if most := allowed(runs, plan().FalseAlarm); n > most {
		t.Errorf("%d of %d rollouts of an equal model were rolled back, want at most %d", n, runs, most)
	}
}

func TestOperatorDecides(t *testing.T) {
	p := plan()
	p.Automatic = false
	m, err := NewMachine(p, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Promote(false, 0); err == nil {
		t.Error("promoted without a trial")
	}
	if _, err := m.Rollback("x", 0); err == nil {
		t.Error("rolled back without a trial")
	}
	for _, v := range []uint64{0, 1} {
		if _, err := m.Offer(v, 0); err == nil {
			t.Errorf("version %d was taken", v)
		}
	}
	c, _ := m.Offer(5, 0)
	seen := []uint32{c.Assignment.Permille}
	epoch := c.Assignment.Epoch
	good := Totals{Epoch: epoch}
	if c := m.Tick(&good, unit.MonoTime(time.Hour)); c.Event != Nothing {
		t.Errorf("a machine that is not automatic did %v", c.Event)
	}
	for c.Event != Promoted {
		if c, err = m.Promote(false, 0); err != nil {
			t.Fatal(err)
		}
		if c.Assignment.Epoch == epoch {
			t.Error("a change without a new epoch")
		}
		epoch = c.Assignment.Epoch
		seen = append(seen, c.Assignment.Permille)
	}
	if len(seen) != 4 || m.Assignment().Stable != 5 {
		t.Errorf("shares %v, then %+v", seen, m.Assignment())
	}
	m.Offer(6, 0)
	if c, _ := m.Promote(true, 0); c.Event != Promoted || c.Assignment.Stable != 6 {
		t.Errorf("promoted to everybody: %+v", c)
	}
	m.Offer(7, 0)
	if c, _ := m.Rollback("we know better", 0); c.Event != RolledBack || c.Assignment.Stable != 6 || c.Reason != "we know better" {
		t.Errorf("%+v", c)
	}
	if _, err := m.Offer(7, 0); err == nil || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("offered again: %v", err)
	}
}

func TestFirstVersionServesAtOnce(t *testing.T) {
	m, err := NewMachine(plan(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := m.Offer(3, 0); err != nil || c.Event != Promoted || m.Assignment().Stable != 3 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestPlanListsEveryFault(t *testing.T) {
	for _, p := range []Plan{Default(), plan()} {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
	}
	bad := Plan{Stages: []Stage{{1000, 0, 0}, {10, time.Second, 1}}, FaultsPermille: 2000, LossWorse: math.NaN()}
	err := bad.Validate()
	for _, field := range []string{"stages[0].permille", "stages[0].for", "stages[1].permille", "maturity", "false_alarm", "loss_worse", "calibration_off", "revenue_less", "faults_permille"} {
		if !strings.Contains(err.Error(), field+":") {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
	if _, err := NewMachine(Plan{}, 1, 0); err == nil {
		t.Error("an empty plan was taken")
	}
}
