package shards

import (
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fill defines one metric of each sort and gives it values on two shards.
func fill(r *Registry) (blocks [2]*CounterBlock) {
	for i := range blocks {
		blocks[i] = r.newBlock(string(rune('0'+i)), nil)
	}
	wins := r.Counter(Desc{Name: "test_wins", Help: "Auctions won, by tier.", Labels: []Label{{"tier", "guaranteed"}}})
	house := r.Counter(Desc{Name: "test_wins", Help: "Auctions won, by tier.", Labels: []Label{{"tier", `ho"us\e` + "\n"}}})
	users := r.Gauge(Desc{Name: "test_users", Help: "Users known\nto a shard.", PerShard: true})
	heap := r.Gauge(Desc{Name: "test_heap", Help: "Bytes held.", Unit: Bytes})
	latency := r.Histogram(Desc{Name: "test_decision", Help: "Time to decide.", Unit: Seconds}, Range{Min: 1000, Max: 4000, Divisions: 2})
	open := r.AtomicGauge(Desc{Name: "test_connections", Help: "Open connections."})
	bytes := r.AtomicCounter(Desc{Name: "test_sent", Help: "Bytes sent.", Unit: Bytes})
	writes := r.AtomicHistogram(Desc{Name: "test_writes", Help: "Answers a write.", Labels: []Label{{"lane", "fast"}}}, Range{Min: 1, Max: 4, Divisions: 1})
	r.GaugeFunc(Desc{Name: "test_ratio", Help: "A number with a fraction."}, func() float64 { return 0.25 })
	r.CounterFunc(Desc{Name: "test_cpu", Help: "CPU time.", Unit: Seconds}, func() float64 { return 1.5 })
	for i, b := range blocks {
		n := uint64(i + 1)
		b.Add(wins, 10*n)
		b.Inc(house)
		b.Set(users, int64(100*n))
		b.Move(users, -1)
		b.Move(heap, -int64(n))
		for _, v := range []uint64{0, 1024, 1025, 1536, 1537, 4096, 4097, 1e9} {
			b.Observe(latency, v)
		}
		b.publish()
	}
	open.Set(5)
	open.Move(-2)
	bytes.Add(1e6)
	bytes.Inc()
	for _, v := range []uint64{1, 2, 3, 100} {
		writes.Observe(v)
	}
	return blocks
}

func TestRegistryText(t *testing.T) {
	r := NewRegistry()
	fill(r)
	got := scrape(t, r)
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (rewrite with -update):\n%s", golden, got)
	}
}

func TestRegistryReads(t *testing.T) {
	r := NewRegistry()
	fill(r)
	if n := r.ReadCounter(r.Counter(Desc{Name: "test_wins", Help: "Auctions won, by tier.", Labels: []Label{{"tier", "guaranteed"}}})); n != 30 {
		t.Errorf("wins = %d", n)
	}
	if n := r.ReadGauge(r.Gauge(Desc{Name: "test_heap", Help: "Bytes held.", Unit: Bytes})); n != -3 {
		t.Errorf("heap = %d", n)
	}
	h := r.ReadHistogram(r.Histogram(Desc{Name: "test_decision", Help: "Time to decide.", Unit: Seconds}, Range{Min: 1000, Max: 4000, Divisions: 2}))
	if h.Count != 16 || h.Quantile(0) != 1024 || h.Quantile(0.5) != 2048 || h.Quantile(1) != 4096 {
		t.Errorf("histogram %+v: %d, %d, %d", h, h.Quantile(0), h.Quantile(0.5), h.Quantile(1))
	}
	if d := h.Sub(h); d.Count != 0 || d.Sum != 0 || d.Quantile(0.9) != 0 {
		t.Errorf("difference %+v", d)
	}
}

// Every value lies in its bucket and in no other, buckets are adjacent, and a
// bucket is as narrow as promised.
func TestHistogramBuckets(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, cut := range []Range{LatencyRange, {1, 2, 1}, {1, 1 << 62, 16}, {3, 100, 8}, {1 << 20, 1<<20 + 1, 2}} {
		h := cut.histogram("test")
		last := int(h.buckets) - 1
		for b := 1; b < last; b++ {
			if h.bucket(h.upper(b)) != uint32(b) || h.bucket(h.upper(b)+1) != uint32(b+1) || h.upper(b) <= h.upper(b-1) {
				t.Fatalf("%+v: bucket %d ends at %d", cut, b, h.upper(b))
			}
		}
		if h.upper(last-1) < cut.Max || h.upper(0) < cut.Min {
			t.Fatalf("%+v spans %d to %d", cut, h.upper(0), h.upper(last-1))
		}
		for range 10_000 {
			v := r.Uint64() >> r.IntN(64)
			b := int(h.bucket(v))
			if b < last && v > h.upper(b) || b > 0 && v <= h.upper(b-1) {
				t.Fatalf("%+v: %d is in bucket %d", cut, v, b)
			}
			if width := h.upper(max(b, 1)) - h.upper(max(b, 1)-1); b > 0 && b < last && width > v/uint64(1<<h.subBits)+1 {
				t.Fatalf("%+v: %d is in a bucket %d wide", cut, v, width)
			}
		}
		if h.bucket(math.MaxUint64) != uint32(last) || h.bucket(0) != 0 {
			t.Fatalf("%+v: the ends are wrong", cut)
		}
	}
}

func TestRegistryRefusesContradictions(t *testing.T) {
	r := NewRegistry()
	fill(r)
	good := Desc{Name: "test_users", Help: "Users known\nto a shard.", PerShard: true}
	if again := r.Gauge(good); again != r.Gauge(good) {
		t.Error("the same definition gives two handles")
	}
	cases := map[string]func(){
		"test_users is defined as a gauge": func() { d := good; d.Help = "else"; r.Gauge(d) },
		"both per shard and not":           func() { d := good; d.PerShard = false; r.Gauge(d) },
		"kept in another way":              func() { r.AtomicGauge(Desc{Name: "test_heap", Help: "Bytes held.", Unit: Bytes}) },
		"metric name":                      func() { r.Gauge(Desc{Name: "Bad-Name", Help: "x"}) },
		"has no help":                      func() { r.Gauge(Desc{Name: "test_new"}) },
		"label name":                       func() { r.Gauge(Desc{Name: "test_new", Help: "x", Labels: []Label{{"le", "1"}}}) },
		"is given twice":                   func() { r.Gauge(Desc{Name: "test_new", Help: "x", Labels: []Label{{"a", "1"}, {"a", "2"}}}) },
		"another range":                    func() { r.Histogram(Desc{Name: "test_decision", Help: "Time to decide.", Unit: Seconds}, LatencyRange) },
		"1 ≤ Min < Max":                    func() { r.Histogram(Desc{Name: "test_h", Help: "x"}, Range{}) },
		"test_ratio":                       func() { r.GaugeFunc(Desc{Name: "test_ratio", Help: "A number with a fraction."}, nil) },
		"not shard where":                  func() { r.Gauge(Desc{Name: "test_s", Help: "x", PerShard: true, Labels: []Label{{"shard", "1"}}}) },
	}
	for want, define := range cases {
		func() {
			defer func() {
				text, _ := recover().(string)
				if !strings.Contains(text, want) {
					t.Errorf("panic %q, want one with %q", text, want)
				}
			}()
			define()
		}()
	}
}

// A metric defined after the shards exist is counted all the same.
func TestRegistryDefinedLate(t *testing.T) {
	r := NewRegistry()
	b := r.newBlock("0", nil)
	var late []Counter
	for i := range 1000 {
		c := r.Counter(Desc{Name: "test_late", Help: "x", Labels: []Label{{"n", strings.Repeat("i", i)}}})
		b.Add(c, uint64(i))
		late = append(late, c)
	}
	h := r.Histogram(Desc{Name: "test_later", Help: "x"}, LatencyRange)
	b.Observe(h, 1<<40)
	b.publish()
	for i, c := range late {
		if r.ReadCounter(c) != uint64(i) {
			t.Fatalf("counter %d is %d", i, r.ReadCounter(c))
		}
	}
	if r.ReadHistogram(h).Count != 1 {
		t.Error("histogram lost its value")
	}
}

func TestAtomicsFromManyGoroutines(t *testing.T) {
	r := NewRegistry()
	c := r.AtomicCounter(Desc{Name: "test_c", Help: "x"})
	h := r.AtomicHistogram(Desc{Name: "test_h", Help: "x"}, LatencyRange)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range uint64(1000) {
				c.Inc()
				h.Observe(i << 10)
			}
		})
	}
	for range 10 {
		scrape(t, r)
	}
	wg.Wait()
	if s := h.Snapshot(); c.Value() != 4000 || s.Count != 4000 || s.Sum != 4*999*500<<10 {
		t.Errorf("%d counted, %+v", c.Value(), s)
	}
	if text := scrape(t, r); !slices.Contains(strings.Split(text, "\n"), "test_c_total 4000") {
		t.Error(text)
	}
}
