package sketch

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"millrace/codec/unit"
)

func TestBucketsAreInOrderAndWhole(t *testing.T) {
	for i := range Buckets {
		if Edge(i) >= Edge(i+1) || Bucket(Edge(i)) != i || Bucket(Edge(i+1)-1) != i {
			t.Fatalf("bucket %d: %v to %v", i, Edge(i), Edge(i+1))
		}
	}
	if Edge(Buckets) != Longest || Bucket(time.Hour) != Buckets-1 || Bucket(-1) != 0 {
		t.Error("the ends")
	}
	for i := range PriceBuckets {
		from := PriceEdge(i)
		if PriceBucket(from) != i || i > 0 && (PriceBucket(from-1) != i-1 || PriceOf(i) <= PriceOf(i-1) || PriceOf(i) <= from) {
			t.Fatalf("price bucket %d from %v, %v", i, from, PriceOf(i))
		}
	}
	if PriceBucket(math.MaxInt64) != PriceBuckets-1 || PriceBucket(-5) != 0 {
		t.Error("the ends of prices")
	}
}

// Of calls that were all waited for, the curve is what counting says.
func TestCurveOfAllIsTheCount(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var l Latency
	var c Curve
	var took []time.Duration
	bids := 0
	for range 5000 {
		d := time.Duration(math.Exp(r.NormFloat64()*0.5+math.Log(30)) * float64(time.Millisecond))
		took = append(took, d)
		if r.IntN(3) == 0 {
			l.Bid[Bucket(d)]++
			bids++
		} else {
			l.NoBid[Bucket(d)]++
		}
	}
	c.Fit(&l)
	slices.Sort(took)
	for i := 1; i < Buckets; i++ {
		by, _ := slices.BinarySearch(took, Edge(i))
		if got, want := c.Survives(Edge(i)), 1-float64(by)/5000; math.Abs(float64(got)-want) > 1e-3 {
			t.Fatalf("after %v: %v, want %v", Edge(i), got, want)
		}
	}
	if got := c.Bids(Longest); math.Abs(float64(got)-float64(bids)/5000) > 1e-3 {
		t.Errorf("bids %v of %d", got, bids)
	}
	for _, q := range []float32{0.5, 0.95, 0.99} {
		got, ok := c.Quantile(q)
		want := took[int(float64(q)*5000)]
		if !ok || got < want*93/100 || got > want*107/100 {
			t.Errorf("p%v: %v, want %v", q*100, got, want)
		}
	}
}

// Giving up early does not make a partner look fast, nor slow: from calls that
// are given up at random times the curve is still that of the latencies.
func TestGivingUpIsNoLatency(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	var whole, cut Latency
	for range 200_000 {
		d := time.Duration((10 + 90*r.Float64()) * float64(time.Millisecond))
		whole.Bid[Bucket(d)]++
		if give := time.Duration((20 + 130*r.Float64()) * float64(time.Millisecond)); give < d {
			cut.Gone[Bucket(give)]++
		} else {
			cut.Bid[Bucket(d)]++
		}
	}
	var a, b Curve
	a.Fit(&whole)
	b.Fit(&cut)
	for ms := range 100 {
		at := time.Duration(ms) * time.Millisecond
		if x, y := a.Survives(at), b.Survives(at); math.Abs(float64(x-y)) > 0.03 {
			t.Errorf("after %v: %v of all, %v of those waited for", at, x, y)
		}
	}
	// Where nobody was waited for nothing is known.
	var short Latency
	short.Gone[Bucket(50*time.Millisecond)] = 30
	short.NoBid[Bucket(20*time.Millisecond)] = 70
	b.Fit(&short)
	if _, ok := b.Quantile(0.95); ok {
		t.Error("a p95 of what was never seen")
	}
	if p := b.Within(60*time.Millisecond, 120*time.Millisecond); p != 0 {
		t.Errorf("a bid is expected with %v where none was ever seen", p)
	}
}

func TestWithinIsConditional(t *testing.T) {
	var l Latency
	l.NoBid[Bucket(10*time.Millisecond)] = 50
	l.Bid[Bucket(60*time.Millisecond)] = 30
	l.Bid[Bucket(100*time.Millisecond)] = 20
	var c Curve
	c.Fit(&l)
	if got := c.BidQuantile(0.5); got < 58*time.Millisecond || got > 64*time.Millisecond {
		t.Errorf("half of the bids by %v", got)
	}
	// At 40 ms half of the calls are open, and all of them will bid.
	for _, x := range []struct {
		from, to time.Duration
		want     float64
	}{{40, 120, 1}, {40, 80, 0.6}, {0, 120, 0.5}, {80, 120, 1}, {80, 70, 0}, {130, 140, 0}} {
		if got := c.Within(x.from*time.Millisecond, x.to*time.Millisecond); math.Abs(float64(got)-x.want) > 1e-3 {
			t.Errorf("from %d to %d ms: %v, want %v", x.from, x.to, got, x.want)
		}
	}
}

func TestAllocSketch(t *testing.T) {
	var l, m Latency
	var c Curve
	var p Prices
	n := testing.AllocsPerRun(100, func() {
		l.Bid[Bucket(30*time.Millisecond)]++
		m.Add(&l, 0.5)
		m.Decay(0.9)
		c.Fit(&m)
		c.Within(20*time.Millisecond, 50*time.Millisecond)
		c.Quantile(0.95)
		p[PriceBucket(unit.MicrosPerUnit)]++
		p.Decay(0.9)
	})
	if n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
