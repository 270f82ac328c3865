package demand

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/engine/demand/partners"
	"millrace/engine/demand/sketch"
)

// The oracle works out what the missing bids are expected to bring from what
// was learned, in doubles and by going through every combination of outcomes.

type slowCurve struct{ survives, bids [sketch.Buckets + 1]float64 }

// slowly fits the product-limit estimate, with everybody's as the prior.
func slowly(d *Desk, p partners.ID) (c slowCurve) {
	var sum [3][sketch.Buckets]float64
	total := 0.0
	each := func(l *sketch.Latency, visit func(kind, i int, n float64)) {
		for i := range sketch.Buckets {
			visit(0, i, float64(l.Bid[i]))
			visit(1, i, float64(l.NoBid[i]))
			visit(2, i, float64(l.Gone[i]))
		}
	}
	for _, q := range d.book.Order {
		each(&d.who[q].learned.lat, func(k, i int, n float64) { sum[k][i] += n; total += n })
	}
	if total > 0 {
		for k := range sum {
			for i := range sum[k] {
				sum[k][i] *= priorCalls / 2 / total
			}
		}
	}
	each(&d.who[p].learned.lat, func(k, i int, n float64) { sum[k][i] += n })
	open := 0.0
	for k := range sum {
		for i := range sum[k] {
			open += sum[k][i]
		}
	}
	s := 1.0
	for i := range sketch.Buckets {
		c.survives[i] = s
		if done := sum[0][i] + sum[1][i]; done > 0 {
			c.bids[i+1] = c.bids[i] + s*sum[0][i]/open
			s *= 1 - done/open
		} else {
			c.bids[i+1] = c.bids[i]
		}
		open -= sum[0][i] + sum[1][i] + sum[2][i]
	}
	c.survives[sketch.Buckets] = s
	return c
}

func between(of *[sketch.Buckets + 1]float64, t time.Duration) float64 {
	i := 0
	for i < sketch.Buckets-1 && sketch.Edge(i+1) <= t {
		i++
	}
	part := math.Min(float64(t-sketch.Edge(i))/float64(sketch.Edge(i+1)-sketch.Edge(i)), 1)
	return of[i] + (of[i+1]-of[i])*part
}

// atom is a bid of a price with a probability.
type atom struct{ price, p float64 }

// outcomes of one missing call on one impression; what is missing to 1 is no bid.
func outcomes(d *Desk, c *Collector, choice *Choice, imp int, since time.Duration) (list []atom) {
	curve := slowly(d, choice.Partner)
	until := min(choice.Deadline, c.deadline).Sub(c.began)
	s := between(&curve.survives, since)
	if until <= since || s <= 0 {
		return nil
	}
	q := math.Max(between(&curve.bids, until)-between(&curve.bids, since), 0) / s
	class := c.classes[imp]
	l := &d.who[choice.Partner].learned
	var poolAsked, rate float64
	var pool [sketch.PriceBuckets]float64
	for _, p := range d.book.Order {
		poolAsked += float64(d.who[p].learned.n[nAsked+int(class)])
		for k := range pool {
			pool[k] += float64(d.who[p].learned.prices[class][k])
		}
	}
	per := make([]float64, sketch.PriceBuckets)
	for k := range per {
		a, b := float64(l.prices[class][k]), float64(l.n[nAsked+int(class)])
		if poolAsked > 0 {
			a, b = a+priorCalls*pool[k]/poolAsked, b+priorCalls
		}
		if b > 0 {
			per[k] = a / b
		}
		rate += per[k]
	}
	if rate == 0 {
		return nil
	}
	given := math.Min(rate/math.Max(curve.bids[sketch.Buckets], 1e-6), 1)
	for k := range per {
		if per[k] > 0 {
			list = append(list, atom{float64(sketch.PriceOf(k)), q * given * per[k] / rate})
		}
	}
	return list
}

// expected is E[max(best, the missing bids)] − best, combination by combination.
func expected(best float64, calls [][]atom) float64 {
	var walk func(i int, most, p float64) float64
	walk = func(i int, most, p float64) (sum float64) {
		if i == len(calls) {
			return p * (most - best)
		}
		none := 1.0
		for _, a := range calls[i] {
			sum += walk(i+1, math.Max(most, a.price), p*a.p)
			none -= a.p
		}
		return sum + walk(i+1, most, p*none)
	}
	return walk(0, best, 1)
}

func slowGain(d *Desk, c *Collector, now unit.MonoTime, best []unit.CPMMicros) (sum float64) {
	for imp := range c.imps {
		var calls [][]atom
		for i := range c.Choices() {
			if x := &c.choices[i]; c.pending>>i&1 != 0 && x.Imps.Has(imp) {
				calls = append(calls, outcomes(d, c, x, imp, now.Sub(c.began)))
			}
		}
		sum += expected(float64(best[imp]), calls)
	}
	return sum
}

// TestGainIsTheExpectation: what the collector expects, from tables in single
// precision, is the exact expectation; and it waits where that pays.
func TestGainIsTheExpectation(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	waited, stopped := 0, 0
	for seed := range uint64(8) {
		who := fine(5)
		for i := range who {
			who[i].median, who[i].bid, who[i].price = time.Duration(20+r.IntN(60))*ms, r.Float64(), 0.2+3*r.Float64()
		}
		m := newMarket(t, seed, 1, fleet(5, "explore: {share: 0}\ndeadlines: {gain_min: 0.0001}", nil), who)
		req := requestOf(t, []string{bannerRequest, planRequests[4]}[seed%2])
		m.run(20*time.Second, 60, req)
		d := m.desks[0]
		d.rebuild()
		for range 40 {
			m.now = m.now.Add(20 * ms)
			d.Plan(&Ask{Request: req, Size: 1500, Arrived: m.now, Now: m.now, Wall: wall})
			var c Collector
			c.Begin(d, m.now)
			for i := range c.Choices() {
				if c.n-i <= 3 && r.IntN(3) > 0 || c.n == 0 {
					continue
				}
				d.Observe(&c, i, &Result{Latency: 5 * ms}, m.now.Add(5*ms))
			}
			best := make([]unit.CPMMicros, c.imps)
			for i := range best {
				best[i] = unit.CPMMicros(r.Int64N(4_000_000) * int64(r.IntN(2)))
			}
			cut := r.IntN(3)
			soft := c.book.Settings.Soft
			now := m.now.Add(soft[cut].At)
			want := slowGain(d, &c, now, best)
			got := c.Gain(d, now, best)
			if math.Abs(got-want) > 1e-3*want+1 {
				t.Fatalf("seed %d: %v, the expectation is %v (%d missing, best %v)", seed, got, want, c.n, best)
			}
			inHand := 0.0
			for _, b := range best {
				inHand += float64(b)
			}
			limit := math.Max(soft[cut].Gain*inHand, float64(c.book.Settings.GainMin))
			if c.pending == 0 || math.Abs(want-limit) < 1e-2*limit {
				continue
			}
			_, wait := c.Wait(d, now, best)
			if wait != (want > limit) {
				t.Fatalf("waits: %v, for %v of the %v it takes", wait, want, limit)
			}
			if wait {
				waited++
			} else {
				stopped++
			}
		}
	}
	if waited < 20 || stopped < 20 {
		t.Errorf("waited %d times and stopped %d: the test shows nothing", waited, stopped)
	}
}

// The hard end holds whatever the tables say, and so does the request's tmax.
func TestDeadlines(t *testing.T) {
	d := newDesk(t, fleet(3, "", nil))
	for _, c := range []struct {
		tmax string
		want time.Duration
	}{{`"tmax":200`, 118 * ms}, {`"tmax":60`, 55 * ms}, {`"x":1`, 118 * ms}, {`"tmax":100`, 95 * ms}} {
		p := d.Plan(&Ask{Request: requestOf(t, strings.Replace(bannerRequest, `"tmax":200`, c.tmax, 1)), Size: 1500, Arrived: 1000, Now: unit.MonoTime(3 * ms), Wall: wall})
		if p.Deadline != unit.MonoTime(1000).Add(c.want) || len(p.Choices) != 3 {
			t.Errorf("%s: until %v with %d asked", c.tmax, p.Deadline, len(p.Choices))
		}
		for _, x := range p.Choices {
			if x.Deadline > p.Deadline || time.Duration(x.TMax)*ms > p.Deadline.Sub(unit.MonoTime(3*ms)) {
				t.Errorf("%s: %+v", c.tmax, x)
			}
		}
		var col Collector
		col.Begin(d, unit.MonoTime(3*ms))
		if _, wait := col.Wait(d, p.Deadline, []unit.CPMMicros{0}); wait {
			t.Errorf("%s: waits at its end", c.tmax)
		}
	}
	if p := d.Plan(&Ask{Request: requestOf(t, strings.Replace(bannerRequest, "200", "12", 1)), Wall: wall}); len(p.Choices) != 0 {
		t.Error("asked with 7 ms to go")
	}
	if p := d.Plan(&Ask{Request: requestOf(t, bannerRequest), Now: unit.MonoTime(115 * ms), Wall: wall}); len(p.Choices) != 0 {
		t.Error("asked 5 ms before the end")
	}
}

// Wait always names a time to come, ends when nobody is missing, and is not
// fooled by times that jump.
func TestWaitAlwaysMovesOn(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	m := newMarket(t, 8, 1, fleet(12, "", nil), fine(12))
	req := requestOf(t, bannerRequest)
	m.run(10*time.Second, 50, req)
	d := m.desks[0]
	for range 3000 {
		m.now = m.now.Add(time.Duration(r.IntN(int(50 * ms))))
		p := d.Plan(&Ask{Request: req, Size: 1500, Arrived: m.now, Now: m.now, Wall: wall})
		var c Collector
		c.Begin(d, m.now)
		now, best := m.now, []unit.CPMMicros{0}
		for step := 0; ; step++ {
			until, wait := c.Wait(d, now, best)
			if !wait {
				break
			}
			if until <= now || until > p.Deadline || c.Missing() == 0 || step > 100 {
				t.Fatalf("at %v: until %v, deadline %v, missing %b", now, until, p.Deadline, c.Missing())
			}
			now = min(until, now.Add(time.Duration(1+r.IntN(int(40*ms)))))
			for i := range c.Choices() {
				if c.Missing()>>i&1 != 0 && r.IntN(6) == 0 {
					d.Observe(&c, i, &Result{Latency: now.Sub(m.now), Bids: r.IntN(2)}, now)
				}
			}
			best[0] = unit.CPMMicros(r.Int64N(3_000_000))
		}
		c.End(d, now)
		if c.Missing() != 0 {
			t.Fatal("calls without an end")
		}
	}
}

// A book that is replaced under way takes nothing from those who wait by the
// old one, and gives their results to nobody else.
func TestBookIsReplacedUnderWay(t *testing.T) {
	first := bookOf(t, fleet(3, "", nil), nil)
	d := New(Default(), 0, 1, nil)
	d.Load(first, 0)
	d.Plan(&Ask{Request: requestOf(t, bannerRequest), Size: 1500, Wall: wall})
	var c Collector
	c.Begin(d, 0)
	second := bookOf(t, strings.Replace(strings.Replace(fleet(3, "", nil), "id: p01", "id: new", 1), "p1.example", "new.example", 1), first)
	d.Load(second, 0)
	for i := range c.Choices() {
		d.Observe(&c, i, &Result{Latency: 20 * ms, Bids: 1}, 0)
		d.Bid(&c, i, 0, 1e6)
		d.Won(&c, i, 1e6)
	}
	p, ok := second.Find("new")
	if !ok || p != 3 || d.who[3].counts.Bids != 0 || d.who[0].counts.Wins != 1 || d.who[1].counts.Bids != 0 {
		t.Errorf("place %d: %+v", p, d.who[3].counts)
	}
	if c.Book() != first {
		t.Error("the auction lost its book")
	}
	var s Status
	d.Gather(&s)
	if len(s.Partners) != 3 || s.Partners[1].Name != "new" || s.Partners[0].Counts.Wins != 1 || s.Version != 2 {
		t.Errorf("%+v", s)
	}
}
