package calibration

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/codec/strict"
)

const good = `{"ctr":{"kind":"isotonic","segment_by":"ad.media","global":{"x":[-4,-2,0],"y":[0.01,0.05,0.5]},
"segments":{"2":{"x":[-3],"y":[0.02]},"40":{"x":[-3,3],"y":[0.1,0.1]}}},
"cvr":{"kind":"platt","global":{"a":1.5,"b":-0.25}},
"context":{"kind":"isotonic","global":{"x":[0,1],"y":[0,1]}}}`

func parse(t testing.TB, text string) *Set {
	t.Helper()
	s, err := Parse("calibration.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMap(t *testing.T) {
	s := parse(t, good)
	for _, c := range []struct {
		raw     float64
		segment int
		want    float64
	}{
		{-9, 0, 0.01}, {-4, 0, 0.01}, {-3, 0, 0.03}, {-2, 1, 0.05}, {-1, -1, 0.275}, {0, 99, 0.5}, {7, 1 << 40, 0.5},
		{math.Inf(1), 0, 0.5}, {math.Inf(-1), 0, 0.01}, {math.NaN(), 0, 0.01},
		{-9, 2, 0.02}, {9, 2, 0.02}, {0, 40, 0.1}, {0, 39, 0.5},
	} {
		if got := s.CTR.Map(c.raw, c.segment); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("Map(%v, %d) = %v, want %v", c.raw, c.segment, got, c.want)
		}
	}
	if got, want := s.CVR.Map(0.5, 3), 1/(1+math.Exp(-0.5)); math.Abs(got-want) > 1e-15 {
		t.Errorf("Platt's map is %v, want %v", got, want)
	}
	if got := s.CTR.Segments(); !slices.Equal(got, []int{2, 40}) {
		t.Errorf("segments %v", got)
	}
}

// TestMapIsMonotone over random curves, at and beside their knots.
func TestMapIsMonotone(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := 1 + rng.IntN(40)
		var c curve
		for range n {
			c.x = append(c.x, rng.NormFloat64()*math.Pow(10, float64(rng.IntN(9)-4)))
			c.y = append(c.y, rng.Float64())
		}
		slices.Sort(c.x)
		slices.Sort(c.y)
		c.x = slices.Compact(c.x)
		c.y = c.y[:len(c.x)]
		raws := slices.Clone(c.x)
		for _, x := range c.x {
			raws = append(raws, math.Nextafter(x, -1e9), math.Nextafter(x, 1e9), x+rng.NormFloat64())
		}
		slices.Sort(raws)
		last := -1.0
		for _, r := range raws {
			if y := c.at(r); y < last || y < 0 || y > 1 {
				t.Fatalf("at(%v) = %v after %v", r, y, last)
			} else {
				last = y
			}
		}
	}
}

func TestParseFaults(t *testing.T) {
	for _, c := range []struct{ ctr, field, problem string }{
		{`null`, "ctr", "is missing"},
		{`{"kind":"isotonik","global":{"x":[1],"y":[0]}}`, "ctr.kind", "isotonic"},
		{`{"kind":"isotonic","global":{"x":[1,1],"y":[0,0]}}`, "ctr.global", "does not rise"},
		{`{"kind":"isotonic","global":{"x":[1,2],"y":[0.2,0.1]}}`, "ctr.global", "falls"},
		{`{"kind":"isotonic","global":{"x":[1,2],"y":[0.2,1.1]}}`, "ctr.global", "falls"},
		{`{"kind":"isotonic","global":{"x":[1,2],"y":[0.2]}}`, "ctr.global", "2 x and 1 y"},
		{`{"kind":"isotonic","global":{}}`, "ctr.global", "0 x and 0 y"},
		{`{"kind":"isotonic","global":{"x":[1],"y":[0],"a":1}}`, "ctr.global", "isotonic map"},
		{`{"kind":"isotonic","global":{"x":[1e999],"y":[0]}}`, "ctr.global.x[0]", "not a number"},
		{`{"kind":"platt","global":{"a":-1,"b":0}}`, "ctr.global", "a = -1"},
		{`{"kind":"platt","global":{"a":1}}`, "ctr.global", "a and b"},
		{`{"kind":"platt","global":{"a":1,"b":0},"segments":{"1":{"a":1,"b":1}}}`, "ctr.segment_by", "no column"},
		{`{"kind":"platt","segment_by":"ad.media","global":{"a":1,"b":0},"segments":{"70000":{"a":1,"b":1}}}`, "ctr.segments.70000", "no segment"},
		{`{"kind":"platt","segment_by":"ad.media","global":{"a":1,"b":0},"segments":{"01":{"a":1,"b":1}}}`, "ctr.segments.01", "no segment"},
		{`{"kind":"platt","globl":{"a":1,"b":0}}`, "ctr.globl", "global"},
	} {
		text := fmt.Sprintf(`{"ctr":%s,"cvr":{"kind":"platt","global":{"a":1,"b":0}},"context":{"kind":"platt","global":{"a":1,"b":0}}}`, c.ctr)
		_, err := Parse("c.json", []byte(text))
		faults, ok := strict.FaultsOf(err)
		if !ok || !slices.ContainsFunc(faults, func(f strict.Fault) bool {
			return f.Field == c.field && strings.Contains(f.Problem+f.Remedy, c.problem)
		}) {
			t.Errorf("%s: want %s: %s, got %v", c.ctr, c.field, c.problem, err)
		}
	}
	if _, err := Parse("c.json", make([]byte, maxBytes+1)); err == nil {
		t.Error("a huge file was read")
	}
}

// FuzzParse: no text panics, and what is accepted maps into [0, 1] and never
// falls.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good), 0.5, -1.5, 2)
	f.Add([]byte(`{"ctr":{"kind":"platt","global":{"a":1e6,"b":-1e6}}}`), 1e300, -1e300, 0)
	f.Add([]byte(`{"ctr":{"segments":{"":null}}}`), 0.0, 0.0, -1)
	f.Fuzz(func(t *testing.T, text []byte, a, b float64, segment int) {
		s, err := Parse("c.json", text)
		if err != nil {
			return
		}
		for _, m := range []*Model{&s.CTR, &s.CVR, &s.Context} {
			low, high := m.Map(min(a, b), segment), m.Map(max(a, b), segment)
			if low < 0 || high > 1 || low > high {
				t.Fatalf("Map(%v) = %v, Map(%v) = %v", min(a, b), low, max(a, b), high)
			}
		}
	})
}

func TestMapAlloc(t *testing.T) {
	s := parse(t, good)
	var r Reliability
	if n := testing.AllocsPerRun(100, func() {
		r.Add(s.CTR.Map(-1.3, 1)*s.CVR.Map(0.3, 0), true)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// TestReliability: predictions that are right have a small error in every
// decile, those that are a fifth too high show a fifth.
func TestReliability(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var right, high, other Reliability
	loss := 0.0
	const n = 400_000
	for i := range n {
		p := 0.02 + 0.3*rng.Float64()*rng.Float64()
		happened := rng.Float64() < p
		if i%2 == 0 {
			right.Add(p, happened)
		} else {
			other.Add(p, happened)
		}
		high.Add(p*1.2, happened)
		if happened {
			loss -= math.Log(p)
		} else {
			loss -= math.Log(1 - p)
		}
	}
	right.Merge(&other)
	if total := right.Total(); total.Count != n || math.Abs(total.LogLoss-loss) > 1e-6*loss {
		t.Errorf("%d of %d, log loss %v, want %v", total.Count, n, total.LogLoss, loss)
	}
	deciles := right.Deciles()
	if len(deciles) < 8 {
		t.Fatalf("%d deciles", len(deciles))
	}
	for i, d := range deciles {
		if sigma := 4 / math.Sqrt(float64(d.Happened)); math.Abs(d.Error()) > sigma {
			t.Errorf("decile %d is off by %.3f, beyond %.3f", i, d.Error(), sigma)
		}
	}
	for i, d := range high.Deciles() {
		if sigma := 5 / math.Sqrt(float64(d.Happened)); math.Abs(d.Error()-0.2) > sigma {
			t.Errorf("decile %d is off by %.3f, want 0.2", i, d.Error())
		}
	}
	if e := right.ECE(); e > 0.003 {
		t.Errorf("ECE %v of predictions that are right", e)
	}
	if e, mean := high.ECE(), right.Total().Predicted/n; math.Abs(e-0.2*mean) > 0.004 {
		t.Errorf("ECE %v of predictions a fifth too high, want %v", e, 0.2*mean)
	}
	right.Add(math.NaN(), true)
	if right.Total().Count != n {
		t.Error("a prediction that is not a number was counted")
	}
}

func BenchmarkMap(b *testing.B) {
	s := parse(b, good)
	sum, raw := 0.0, -5.0
	for b.Loop() {
		sum += s.CTR.Map(raw, 1)
		if raw += 0.01; raw > 1 {
			raw = -5
		}
	}
	if sum == 0 {
		b.Fatal(sum)
	}
}
