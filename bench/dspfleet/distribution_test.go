package dspfleet

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDistributions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "latencies")
	if err := os.WriteFile(file, []byte("# recorded\n3\n1ms\n\n2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text                 string
		p10, p50, p90, milli float64
	}{
		{"5ms", 5, 5, 5, 1},
		{"7", 7, 7, 7, 1},
		{"constant:1s", 1000, 1000, 1000, 1},
		{"uniform:2ms,4ms", 2.2, 3, 3.8, 1},
		{"lognormal:20ms,0.5", 20 * math.Exp(-0.5*1.28155), 20, 20 * math.Exp(0.5*1.28155), 1},
		{"bimodal:5ms,200ms,0.2", 5, 5, 200, 1},
		{"file:" + file, 1, 2, 3, 1},
	} {
		d, err := ParseLatency(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		for _, q := range []struct{ u, want float64 }{{0.1, c.p10}, {0.5, c.p50}, {0.9, c.p90}} {
			if got := d.At(q.u) / 1e6; math.Abs(got-q.want) > 1e-3*q.want {
				t.Errorf("%s at %v: %v ms, want %v", c.text, q.u, got, q.want)
			}
		}
		if d.String() != c.text {
			t.Errorf("%q is shown as %q", c.text, d)
		}
	}
	for _, text := range []string{"", "fast", "-1ms", "5m5", "uniform:1ms", "uniform:4ms,2ms", "lognormal:1ms,9", "bimodal:1,2,3", "poisson:1", "file:" + file + "x", "2h", "NaN"} {
		if _, err := ParseLatency(text); err == nil || !strings.Contains(err.Error(), "lognormal:MEDIAN") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if d, err := ParsePrice("lognormal:2.5,0.4"); err != nil || d.At(0.5) < 2.4999 || d.At(0.5) > 2.5001 {
		t.Error(err, d)
	}
}

// TestDraws: draws of different purposes and requests are independent and even.
func TestDraws(t *testing.T) {
	const n = 20_000
	var sums [3]float64
	var both float64
	for i := range n {
		a, b := drawsOf(1, 3, uint64(i)), drawsOf(1, 4, uint64(i))
		u, v, w := a.at(drawLatency), a.at(drawPrice), b.at(drawLatency)
		sums[0] += u
		sums[1] += v
		sums[2] += w
		both += (u - 0.5) * (w - 0.5)
	}
	for _, s := range sums {
		if math.Abs(s/n-0.5) > 0.01 {
			t.Errorf("mean %v", s/n)
		}
	}
	if math.Abs(both/n) > 0.005 {
		t.Errorf("two bidders' draws go together: %v", both/n)
	}
}

func TestSettings(t *testing.T) {
	b, err := DefaultBehaviour().With("sizes=300x250,728x90", "faults=hang:0.2,html:0.3", "cur=EUR", "deals=0.5", "price=uniform:1,2", "seat=s1", "domain=a.example", "drip=5ms", "down=1")
	if err != nil {
		t.Fatal(err)
	}
	m := b.Map()
	for k, want := range map[string]string{"sizes": "300x250,728x90", "faults": "hang:0.2,html:0.3", "cur": "EUR", "deals": "0.5", "price": "uniform:1,2", "seat": "s1", "domain": "a.example", "drip": "5ms", "down": "true"} {
		if m[k] != want {
			t.Errorf("%s is %q, want %q", k, m[k], want)
		}
	}
	// What is shown can be set.
	var pairs []string
	for k, v := range m {
		pairs = append(pairs, k+"="+v)
	}
	again, err := DefaultBehaviour().With(pairs...)
	if err != nil {
		t.Fatal(err)
	}
	if n := again.Map(); len(n) != len(m) || n["faults"] != m["faults"] || n["latency"] != m["latency"] {
		t.Errorf("%v, was %v", n, m)
	}
	_, err = DefaultBehaviour().With("latenc=1", "bids=2", "faults=hang:0.7,html:0.7", "faults=hangs", "cur=dollars", "sizes=big", "seat=a\"b", "drip=0s", "notices=perhaps", "retry=-1")
	for _, want := range []string{"latency", "no share", "add up", `"hang"`, "no currency", "no size", "letters", "100us to 1m", "neither", "86400"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in %v", want, err)
		}
	}
	var shares [faultKinds]int
	for i := range 10_000 {
		shares[b.fault(drawsOf(9, 0, uint64(i)))]++
	}
	if math.Abs(float64(shares[Hang])-2000) > 200 || math.Abs(float64(shares[HTML])-3000) > 200 || shares[NoFault] < 4500 {
		t.Errorf("%v", shares)
	}
	if len(Settings()) != len(m) || !slices.Contains(FaultNames(), "drip") {
		t.Error(Settings(), FaultNames())
	}
}
