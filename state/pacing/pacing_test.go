package pacing

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"millrace/codec/unit"
)

func at(t *testing.T, text, zone string) unit.WallTime {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	v, err := time.ParseInLocation("2006-01-02 15:04", text, loc)
	if err != nil {
		t.Fatal(err)
	}
	return unit.WallTime(v.UnixNano())
}

// feed shows the forecast every hour of an interval at the given rate.
func feed(f *Forecast, from, to unit.WallTime, rate func(h int) uint64) {
	for t := from; t < to; t = t.Add(10 * time.Minute) {
		f.Observe(t.Add(10*time.Minute-1), 10*time.Minute, rate(hourOfWeek(int64(t/hour)))/6)
	}
	f.Observe(to.Add(time.Minute), 0, 0)
}

func TestForecastUnknownIsUniform(t *testing.T) {
	var f Forecast
	start := at(t, "2026-03-02 00:00", "UTC")
	if got := f.Mass(start, start.Add(36*time.Hour)); got != 36 {
		t.Fatalf("36 hours weigh %v", got)
	}
}

func TestForecastAgreesWithSummingByTheMinute(t *testing.T) {
	var f Forecast
	start := at(t, "2026-03-02 00:00", "UTC") // a Monday
	feed(&f, start, start.Add(7*24*time.Hour), func(h int) uint64 { return 6000 + 600*uint64(h%24) + 60*uint64(h) })
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		from := start.Add(time.Duration(r.IntN(14*24*60)) * time.Minute)
		to := from.Add(time.Duration(r.IntN(10*24*60)) * time.Minute)
		want := 0.0
		for m := from; m < to; m = m.Add(time.Minute) {
			h := hourOfWeek(int64(m / hour))
			want += (f.sums[h+1] - f.sums[h]) / 60
		}
		if got := f.Mass(from, to); math.Abs(got-want) > 1e-6*want+1e-6 {
			t.Fatalf("from %v to %v: mass %v, by the minute %v", from.Time(), to.Time(), got, want)
		}
	}
	if monday := hourOfWeek(int64(start / hour)); monday != 0 {
		t.Fatalf("Monday midnight is hour %d", monday)
	}
}

func TestForecastLearnsSlowlyFromSurprises(t *testing.T) {
	var f Forecast
	start := at(t, "2026-03-02 00:00", "UTC")
	end := start.Add(7 * 24 * time.Hour)
	feed(&f, start, end, func(int) uint64 { return 6000 })
	normal := f.Mass(end, end.Add(time.Hour))
	feed(&f, end, end.Add(7*24*time.Hour), func(h int) uint64 {
		switch h {
		case 10:
			return 600000 // a burst of a hundred times
		case 11:
			return 0 // a broken feed
		}
		return 6000
	})
	burst := f.Mass(end.Add(10*time.Hour), end.Add(11*time.Hour))
	hole := f.Mass(end.Add(11*time.Hour), end.Add(12*time.Hour))
	if burst > 1.7*normal || burst <= normal {
		t.Errorf("a burst of 100 × made the hour %.2f × as heavy", burst/normal)
	}
	if hole != normal {
		t.Errorf("an hour without any request made it %.2f × as heavy", hole/normal)
	}
}

func TestForecastIgnoresWhatNobodySaw(t *testing.T) {
	var f Forecast
	start := at(t, "2026-03-02 00:00", "UTC")
	f.Observe(start.Add(10*time.Minute), 10*time.Minute, 1)
	f.Observe(start.Add(time.Hour+time.Minute), time.Minute, 1)
	if f.Known() {
		t.Fatal("ten minutes were taken for an hour")
	}
}

func TestForecastTakesUnseenHoursFromOtherDays(t *testing.T) {
	var f Forecast
	start := at(t, "2026-03-02 00:00", "UTC")
	feed(&f, start, start.Add(24*time.Hour), func(h int) uint64 { return 600 * uint64(1+h) })
	tuesday := start.Add(24 * time.Hour)
	if a, b := f.Mass(tuesday.Add(20*time.Hour), tuesday.Add(21*time.Hour)), f.Mass(tuesday.Add(2*time.Hour), tuesday.Add(3*time.Hour)); math.Abs(a/b-7) > 0.01 {
		t.Fatalf("hour 20 should weigh 7 × hour 2, weighs %.2f ×", a/b)
	}
}

func TestPlanCoversDaysOf23And25Hours(t *testing.T) {
	var f Forecast
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		date  string
		hours int
	}{{"2026-03-29 00:00", 23}, {"2026-10-25 00:00", 25}, {"2026-07-01 00:00", 24}} {
		start := at(t, c.date, "Europe/Berlin")
		end := (start.DayIn(loc) + 1).Start(loc)
		p := Plan{Budget: 1000 * unit.NanosPerUnit, Start: start, End: end}
		p.Lay(&f)
		if got := end.Sub(start); got != time.Duration(c.hours)*time.Hour {
			t.Fatalf("%s has %v", c.date, got)
		}
		last := unit.Nanos(-1)
		for now := start; now <= end; now = now.Add(time.Minute) {
			target := p.Target(now)
			if target < last {
				t.Fatalf("%s: the target falls at %v", c.date, now.Time())
			}
			last = target
		}
		if last != p.Budget || p.Target(start) != 0 {
			t.Fatalf("%s: goes from %v to %v", c.date, p.Target(start), last)
		}
		if half := p.Target(start.Add(end.Sub(start) / 2)); math.Abs(half.Float()-500) > 0.01 {
			t.Fatalf("%s: half way %v", c.date, half)
		}
	}
}

func TestPlanRestsOutsideItsHours(t *testing.T) {
	var f Forecast
	start := at(t, "2026-03-02 00:00", "UTC")
	p := Plan{Budget: 800, Start: start, End: start.Add(24 * time.Hour), Hours: 0xff << 8} // 8 to 16
	p.Lay(&f)
	for h, want := range map[int]unit.Nanos{0: 0, 8: 0, 9: 100, 12: 400, 16: 800, 23: 800} {
		if got := p.Target(start.Add(time.Duration(h) * time.Hour)); got != want {
			t.Errorf("at %d h %d, want %d", h, got, want)
		}
	}
}

func TestPlanFrontLoaded(t *testing.T) {
	var f Forecast
	start := at(t, "2026-03-02 00:00", "UTC")
	p := Plan{Mode: FrontLoaded, Budget: 900, Start: start, End: start.Add(24 * time.Hour)}
	p.Lay(&f)
	if got := p.Target(start.Add(12 * time.Hour)); got != 600 {
		t.Fatalf("two thirds of 900 by noon, got %d", got)
	}
}

func TestDayShareSpreadsWhatIsLeft(t *testing.T) {
	var f Forecast
	start := at(t, "2026-03-02 00:00", "UTC")
	day := 24 * time.Hour
	if got := DayShare(&f, 700, start, start.Add(day), start.Add(7*day)); got != 100 {
		t.Errorf("a seventh of 700 is %d", got)
	}
	if got := DayShare(&f, 700, start, start.Add(day), start.Add(day)); got != 700 {
		t.Errorf("on the last day all of it, not %d", got)
	}
}

// A day's budget that the first second could spend, and a supply that stops for
// two hours: whatever happens, the pacer keeps its participation in range, the
// start is careful, and nobody starves when supply is back.
func TestPacerSpendsLittleAtFirstAndComesBack(t *testing.T) {
	var f Forecast
	start := at(t, "2026-03-02 00:00", "UTC")
	p := Plan{Budget: 100_000, Start: start, End: start.Add(24 * time.Hour), Unit: 1}
	p.Lay(&f)
	var x Pacer
	x.Begin(p, start, 0, 1)
	spent, before := unit.Nanos(0), unit.Nanos(0)
	for now := start; now < p.End; now = now.Add(Period) {
		requests := uint64(20_000)
		if d := now.Sub(start); d >= 6*time.Hour && d < 8*time.Hour {
			requests = 0
		}
		offered := float64(requests) * x.Share()
		bought := min(unit.Nanos(offered), x.Allowance(), p.Budget-spent)
		spent += bought
		share := x.Step(now.Add(Period), spent, requests, offered-float64(bought))
		if share <= 0 || share > 1 {
			t.Fatalf("participation %v at %v", share, now.Sub(start))
		}
		switch now.Sub(start) {
		case Period:
			if spent > p.Budget/500 {
				t.Fatalf("%d of %d gone in two steps", spent, p.Budget)
			}
		case 8 * time.Hour:
			before = spent
		case 9 * time.Hour:
			if made := spent - before; made > p.Budget/24*22/10 || made < p.Budget/24 {
				t.Fatalf("the hour after the hole spent %d, an hour's plan is %d", made, p.Budget/24)
			}
		}
	}
	if spent < p.Budget*999/1000 {
		t.Fatalf("%d of %d spent", spent, p.Budget)
	}
}

func TestPacerASAPTakesPartInAll(t *testing.T) {
	var x Pacer
	x.Begin(Plan{Mode: ASAP, Budget: 100, End: 1 << 60}, 0, 0, 0.1)
	if x.Share() != 1 || x.Step(unit.WallTime(Period), 50, 1000, 0) != 1 || x.Allowance() != Unlimited {
		t.Fatal("asap was throttled")
	}
}

func TestPacerGoesOnInANewDay(t *testing.T) {
	var f Forecast
	var x Pacer
	p := Plan{Budget: 86400, Start: 0, End: 24 * hour, Unit: 1}
	p.Lay(&f)
	x.Begin(p, 0, 0, 1)
	spent := unit.Nanos(0)
	for now := unit.WallTime(0); now < 6*hour; now = now.Add(Period) {
		spent += unit.Nanos(10_000 * x.Share())
		x.Step(now.Add(Period), spent, 10_000, 0)
	}
	learnt := x.Share()
	x.Begin(p, 6*hour, spent, x.Share())
	if x.Share() != learnt {
		t.Fatalf("a new plan forgot the participation: %v, was %v", x.Share(), learnt)
	}
}

func TestThrottleSharesAreExact(t *testing.T) {
	const lines, draws = 100, 200_000
	th := NewThrottle(lines)
	shares := make([]float64, lines)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range shares {
		shares[i] = math.Pow(r.Float64(), 3)
		th.Set(i, shares[i])
	}
	shares[0], shares[1], shares[2] = 0, 1, 1.0/Masks
	for i := range 3 {
		th.Set(i, shares[i])
	}
	var took [lines]int
	for range draws {
		draw := r.Uint64()
		mask := th.Mask(draw)
		for i := range lines {
			if mask[i/64]>>(i%64)&1 == 1 && th.Passes(i, draw) {
				took[i]++
			}
		}
	}
	for i, n := range took {
		got, sigma := float64(n)/draws, math.Sqrt(shares[i]*(1-shares[i])/draws)
		if math.Abs(got-shares[i]) > 5*sigma {
			t.Errorf("line %d takes part in %.5f, asked for %.5f ± %.5f", i, got, shares[i], sigma)
		}
	}
}

func TestThrottleChangesEqualAFreshOne(t *testing.T) {
	const lines = 130
	r := rand.New(rand.NewPCG(5, 6))
	changed := NewThrottle(lines)
	shares := make([]float64, lines)
	for range 20 {
		for i := range shares {
			shares[i] = r.Float64() * 1.1
			changed.Set(i, shares[i])
		}
	}
	fresh := NewThrottle(lines)
	for i, s := range shares {
		fresh.Set(i, s)
	}
	for m := range uint64(Masks) {
		for w, word := range fresh.Mask(m) {
			if changed.Mask(m)[w] != word {
				t.Fatalf("mask %d differs in word %d", m, w)
			}
		}
	}
}

// Two lines at half participation must not always sit out the same requests.
func TestThrottleSpreadsLines(t *testing.T) {
	const lines = 64
	th := NewThrottle(lines)
	for i := range lines {
		th.Set(i, 0.5)
	}
	for m := range uint64(Masks) {
		on := 0
		for i := range lines {
			on += int(th.Mask(m)[0] >> i & 1)
		}
		if on < lines/8 || on > lines*7/8 {
			t.Errorf("mask %d has %d of %d lines at half participation", m, on, lines)
		}
	}
}

func TestThrottleAlloc(t *testing.T) {
	th := NewThrottle(1000)
	var x Pacer
	x.Begin(Plan{Budget: 1 << 40, End: 1 << 60, Unit: 1}, 0, 0, 1)
	now := unit.WallTime(0)
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(Period)
		th.Set(int(now)%1000, x.Step(now, unit.Nanos(now)/1e6, 1000, 0))
		_ = th.Passes(7, uint64(th.Mask(uint64(now))[3]))
	}); n != 0 {
		t.Fatalf("%v allocations a step", n)
	}
}

func BenchmarkPacerStep(b *testing.B) {
	var f Forecast
	p := Plan{Budget: 1 << 50, End: 24 * hour, Unit: 1}
	p.Lay(&f)
	var x Pacer
	x.Begin(p, 0, 0, 1)
	now, sum := unit.WallTime(0), 0.0
	for b.Loop() {
		now += 1e6
		sum += x.Step(now, unit.Nanos(now), 100, 0)
	}
	b.ReportMetric(sum/float64(b.N), "share")
}
