package unit

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestParseNanosExact(t *testing.T) {
	cases := map[string]Nanos{
		"0": 0, "1": NanosPerUnit, "12.50": 12_500_000_000, "-0.000000001": -1,
		"0.0000000010": 1, "+3": 3 * NanosPerUnit, ".5": 500_000_000, "7.": 7 * NanosPerUnit,
		"9223372036.854775807": 1<<63 - 1,
	}
	for in, want := range cases {
		if got, err := ParseNanos(in); err != nil || got != want {
			t.Errorf("ParseNanos(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", ".", "-", "1e3", "0.0000000001", "9223372036.854775808", "1,5", " 1", "NaN", "1.2.3"} {
		if got, err := ParseNanos(in); err == nil {
			t.Errorf("ParseNanos(%q) = %d, want an error", in, got)
		}
	}
}

func TestMoneyRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		n := Nanos(r.Int64()) >> r.IntN(63)
		if r.IntN(2) == 0 {
			n = -n
		}
		if got, err := ParseNanos(n.String()); err != nil || got != n {
			t.Fatalf("%d → %q → %d, %v", n, n.String(), got, err)
		}
		c := CPMMicros(n)
		if got, err := ParseCPM(c.String()); err != nil || got != c {
			t.Fatalf("CPM %d → %q → %d, %v", c, c.String(), got, err)
		}
	}
}

func TestCPMIsImpressionPrice(t *testing.T) {
	c, err := ParseCPM("2.5")
	if err != nil || c.PerImpression()*1000 != 2*NanosPerUnit+NanosPerUnit/2 {
		t.Fatalf("a thousand impressions at CPM 2.5 cost %v", c.PerImpression()*1000)
	}
	if f, ok := CPMFromFloat(2.5); !ok || f != c {
		t.Fatalf("CPMFromFloat(2.5) = %v, %v", f, ok)
	}
}

func TestOwnerIsEven(t *testing.T) {
	const keys = 70_000
	var count [7]int
	for i := range uint64(keys) {
		count[Owner(HashID("user", time.Duration(i).String()), 7)]++
	}
	for s, c := range count {
		if c < keys/7*95/100 || c > keys/7*105/100 {
			t.Errorf("shard %d owns %d of %d", s, c, keys)
		}
	}
}

func TestDayAcrossDST(t *testing.T) {
	for _, zone := range []string{"UTC", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Skipf("no time zone database: %v", err)
		}
		start := WallTime(time.Date(2018, 10, 1, 0, 0, 0, 0, time.UTC).UnixNano())
		for h := range 24 * 60 {
			w := start.Add(time.Duration(h) * time.Hour)
			d := w.DayIn(loc)
			if s := d.Start(loc); s > w || s.DayIn(loc) != d || (s-1).DayIn(loc) != d-1 {
				t.Fatalf("%s: day %d of %v starts at %v", zone, d, w.Time(), s.Time().In(loc))
			}
		}
	}
}

func TestAllocFormatting(t *testing.T) {
	buf := make([]byte, 0, 64)
	a, b := []byte("203.0.113.9"), []byte("Mozilla/5.0")
	if n := testing.AllocsPerRun(100, func() {
		buf = Nanos(-1_234_567_890).Append(buf[:0])
		_ = HashUser(4, a, b)
		_ = HashID("line", "summer")
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
