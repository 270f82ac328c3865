package rollout

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"millrace/codec/unit"
)

var canary = Assignment{Epoch: 9, Stable: 1, Challenger: 2, Permille: 100}

func recorder(maturity time.Duration) Recorder {
	r := NewRecorder(maturity)
	p := Default()
	r.Begin(canary, &p, 0)
	return r
}

func bidOf(user uint64, at unit.MonoTime, stable, challenger float32) *Bid {
	return &Bid{Epoch: canary.Epoch, Arm: canary.Arm(user), User: user, At: at, Rates: [arms]float32{stable, challenger}}
}

func TestUsersKeepTheirArm(t *testing.T) {
	const users = 200_000
	before := make([]Arm, users)
	last := 0
	for _, permille := range []uint32{0, 1, 10, 100, 500, 999} {
		a := canary
		a.Permille = permille
		n := 0
		var inGroup [groups]int
		for u := range uint64(users) {
			arm := a.Arm(u)
			if before[u] == Challenger && arm != Challenger {
				t.Fatalf("user %d left the challenger when its share grew to %d", u, permille)
			}
			before[u] = arm
			if arm == Challenger {
				n++
				inGroup[a.group(u)]++
			}
		}
		want := users * float64(permille) / 1000
		if math.Abs(float64(n)-want) > 4*math.Sqrt(want+1) || n < last {
			t.Errorf("%d permille: %d of %d users, want about %.0f", permille, n, users, want)
		}
		for g, k := range inGroup {
			if want := float64(n) / groups; math.Abs(float64(k)-want) > 5*math.Sqrt(want+1) {
				t.Errorf("%d permille: group %d has %d users, want about %.0f", permille, g, k, want)
			}
		}
		last = n
	}
	other := canary
	other.Challenger = 3
	same := 0
	for u := range uint64(users) {
		if canary.Arm(u) == Challenger && other.Arm(u) == Challenger {
			same++
		}
	}
	if want := users * 0.01; math.Abs(float64(same)-want) > 5*math.Sqrt(want) {
		t.Errorf("two challengers share %d users, want about %.0f: lots are not independent", same, want)
	}
}

// happening is an impression and what came of it.
type happening struct {
	bid   *Bid
	click bool
	gain  unit.Nanos
}

// happenings of thirty seconds.
func happenings(r *rand.Rand) (all []happening) {
	for i := range 3000 {
		all = append(all, happening{
			bid:   bidOf(r.Uint64(), unit.MonoTime(i)*unit.MonoTime(10*time.Millisecond), r.Float32()*0.1, r.Float32()*0.1),
			click: r.IntN(5) == 0, gain: unit.Nanos(r.IntN(1_000_000)),
		})
	}
	return all
}

// counted tells each shard what happened to its users, in the order given.
func counted(shards int, all []happening, order []int) Totals {
	const maturity = time.Minute
	list := make([]Recorder, shards)
	for i := range list {
		list[i] = recorder(maturity)
	}
	now := unit.MonoTime(30 * time.Second)
	for _, i := range order {
		h := &all[i]
		s := &list[h.bid.User%uint64(shards)]
		s.Impression(h.bid, now)
		if h.click {
			s.Click(h.bid, now)
		}
		s.Revenue(h.bid, h.gain, now)
	}
	sum := Totals{Epoch: canary.Epoch}
	for i := range list {
		sum.Add(list[i].Totals(now.Add(2 * maturity)))
	}
	return sum
}

// Events in any order on any number of shards come to the same totals.
func TestTotalsDoNotDependOnShardsOrOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	all := happenings(r)
	one := counted(1, all, r.Perm(len(all)))
	for _, shards := range []int{1, 2, 7} {
		if got := counted(shards, all, r.Perm(len(all))); !reflect.DeepEqual(got, one) {
			t.Errorf("%d shards: other totals than one shard", shards)
		}
	}
}

// A naive count in floating point confirms the totals.
func TestTotalsAreTheSums(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	all := happenings(r)
	got := counted(2, all, r.Perm(len(all)))
	var clicks uint64
	var loss [arms][arms]float64
	var revenue [arms]int64
	for _, h := range all {
		for m := range arms {
			p := float64(h.bid.Rates[m])
			if !h.click {
				p = 1 - p
			}
			loss[h.bid.Arm][m] -= math.Log(p)
		}
		if h.click {
			clicks++
		}
		revenue[h.bid.Arm] += int64(h.gain)
	}
	both := got.both()
	if both.Impressions != uint64(len(all)) || both.Clicks != clicks || got.Late != 0 {
		t.Errorf("%d impressions, %d clicks, %d late; want %d, %d, 0", both.Impressions, both.Clicks, got.Late, len(all), clicks)
	}
	for a := range arms {
		sum := int64(0)
		for g := range groups {
			sum += got.Arms[a].GroupRevenue[g]
		}
		if sum != revenue[a] {
			t.Errorf("arm %v: revenue %d, want %d", a, sum, revenue[a])
		}
		for m := range arms {
			if v := float64(got.Arms[a].Loss[m]) / one; math.Abs(v-loss[a][m]) > 1e-4 {
				t.Errorf("arm %v, model %v: log loss %v, want %v", a, m, v, loss[a][m])
			}
		}
	}
	report := Compare(&canary, &got)
	if n := report.Arms[0].Impressions + report.Arms[1].Impressions; n != uint64(len(all)) || report.Impressions != n {
		t.Errorf("the report has %d and %d impressions", n, report.Impressions)
	}
}

func TestOnlyMaturedBidsCount(t *testing.T) {
	const maturity = time.Minute
	r := recorder(maturity)
	at := unit.MonoTime(10 * time.Second)
	b := bidOf(1, at, 0.1, 0.2)
	r.Impression(b, at)
	if n := r.Totals(at.Add(maturity - 5*time.Second)).both(); n.Impressions != 0 {
		t.Errorf("an impression counts %v before it has matured", 5*time.Second)
	}
	r.Click(b, at.Add(maturity-5*time.Second))
	got := r.Totals(at.Add(maturity + maturity/4)).both()
	if got.Impressions != 1 || got.Clicks != 1 {
		t.Errorf("%d impressions, %d clicks after maturity; want 1, 1", got.Impressions, got.Clicks)
	}
	r.Click(b, at.Add(2*maturity))
	r.Click(bidOf(1, at.Add(time.Hour), 0.1, 0.2), at.Add(2*maturity)) // from the future
	if t2 := r.Totals(at.Add(time.Hour)); t2.both().Clicks != 1 || t2.Late != 2 {
		t.Errorf("late events: %d clicks, %d late; want 1, 2", t2.both().Clicks, t2.Late)
	}
}

func TestOtherEpochsCountNothing(t *testing.T) {
	r := recorder(time.Minute)
	b := bidOf(1, 0, 0.1, 0.2)
	b.Epoch++
	r.Impression(b, 0)
	r.Click(b, 0)
	r.Revenue(b, 5, 0)
	forged := bidOf(1, 0, 0.1, 0.2)
	forged.Arm = 7
	r.Impression(forged, 0)
	if got := r.Totals(unit.MonoTime(time.Hour)); *got != (Totals{Epoch: canary.Epoch}) {
		t.Errorf("%+v", got)
	}
	mine, other := Totals{Epoch: 1}, Totals{Epoch: 2, Late: 3}
	if mine.Add(&other); mine.Late != 0 {
		t.Error("totals of another epoch were added")
	}
}

func TestRecorderTakesAnyPrediction(t *testing.T) {
	r := recorder(time.Minute)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, p := range []float32{nan, inf, -inf, 0, 1, -5, 1e-30, math.MaxFloat32} {
		for _, q := range []float32{nan, 0.5, 0, 1} {
			b := bidOf(1, 0, p, q)
			r.Impression(b, 0)
			r.Click(b, 0)
		}
	}
	c := r.Totals(unit.MonoTime(time.Hour)).both()
	if n := int64(c.Impressions); n != 32 || c.Squares > 32*differenceMax*differenceMax*one || c.Loss[0] < 0 || c.Loss[0] > 14*one*n {
		t.Errorf("%+v", c)
	}
}

func TestRecorderAllocs(t *testing.T) {
	r := recorder(time.Minute)
	b := bidOf(77, 0, 0.01, 0.02)
	now := unit.MonoTime(0)
	if n := testing.AllocsPerRun(5000, func() {
		now += unit.MonoTime(20 * time.Millisecond)
		b.At = now
		b.User++
		b.Arm = r.Assignment().Arm(b.User)
		r.Request(b.Arm, b.User, false, now)
		r.Impression(b, now)
		r.Click(b, now)
		r.Revenue(b, 1000, now)
		r.Totals(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkImpression(b *testing.B) {
	r := recorder(time.Minute)
	bid := bidOf(77, 0, 0.01, 0.02)
	for i := range b.N {
		bid.At = unit.MonoTime(i) * 1000
		r.Request(bid.Arm, bid.User, false, bid.At)
		r.Impression(bid, bid.At)
	}
	b.ReportMetric(float64(r.totals.Late), "late")
}
