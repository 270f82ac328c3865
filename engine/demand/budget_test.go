package demand

import (
	"math/rand/v2"
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/engine/demand/breaker"
)

// A cap of the node holds in every window, whatever the shards' traffic is and
// whatever messages are lost, and most of it is used where it could be.
func TestCapsHold(t *testing.T) {
	r := requestOf(t, bannerRequest)
	const qps = 100
	for _, c := range []struct {
		name   string
		shards int
		lost   float64
		uneven bool
		used   float64 // of the cap
	}{
		{"one shard", 1, 0, false, 0.95},
		{"four, even", 4, 0, false, 0.9},
		{"four, nearly all on one", 4, 0, true, 0.75},
		{"four, a third of messages lost", 4, 0.33, true, 0.4},
	} {
		who := fine(3)
		m := newMarket(t, 5, c.shards, fleet(3, "explore: {share: 0}", func(i int) string {
			return [...]string{", qps: 100", ", egress: 150KiB", ""}[i]
		}), who)
		m.lost = c.lost
		var at []unit.MonoTime // of calls to p00
		bytes := 0
		const seconds = 30
		for end := m.now.Add(seconds * time.Second); m.now < end; m.now = m.now.Add(time.Second / 400) {
			shard := m.r.IntN(c.shards)
			if c.uneven && m.r.IntN(20) > 0 {
				shard = 1
			}
			before, size := m.asked[0], m.asked[1]
			m.play(m.desks[shard], r)
			if m.asked[0] > before {
				at = append(at, m.now)
			}
			bytes += 1500 * (m.asked[1] - size)
		}
		// Each shard may spend a burst at once, and its part of the cap after it.
		burst := float64(c.shards) * max(qps/burstShare/float64(c.shards), 1)
		if c.shards > 1 {
			burst = qps/burstShare + float64(c.shards)
		}
		for i := range at {
			for _, width := range []int{50, 200, 1000} {
				if k := i + width; k < len(at) {
					if took := at[k].Sub(at[i]).Seconds(); float64(width) > qps*(took+0.0025)+2*burst {
						t.Fatalf("%s: %d calls in %.2f s", c.name, width, took)
					}
				}
			}
		}
		if got := float64(len(at)) / (seconds * qps); got > 1.02 || got < c.used {
			t.Errorf("%s: %.2f of the cap in calls was used", c.name, got)
		}
		if got := float64(bytes) / (seconds * 150 * 1024); got > 1.1 || got < c.used-0.1 {
			t.Errorf("%s: %.2f of the cap in bytes was used", c.name, got)
		}
		if m.asked[2] != seconds*400 {
			t.Errorf("%s: a partner without caps was asked %d times", c.name, m.asked[2])
		}
	}
}

const videoRequest = `{"id":"1","imp":[{"id":"a","video":{"mimes":["video/mp4"]}}],"app":{"bundle":"com.a"}}`

// Scarce calls go to the requests that are worth most: of two kinds of traffic
// the dear one gets most of a cap for a fifth of it all.
func TestScarceCallsGoToTheDear(t *testing.T) {
	cheap, dear := requestOf(t, bannerRequest), requestOf(t, videoRequest)
	m := newMarket(t, 6, 1, fleet(2, "explore: {share: 0}", func(i int) string { return ", tier: 2, qps: 80" }), fine(2))
	d := m.desks[0]
	at := map[bool]int{}
	for i := range 60_000 {
		m.now = m.now.Add(time.Second / 400)
		isDear := i%5 == 0
		r := cheap
		if isDear {
			r = dear
		}
		before := m.calls
		m.play(d, r)
		if i > 20_000 {
			at[isDear] += m.calls - before
		}
	}
	t.Logf("%d calls for dear requests, %d for cheap ones", at[true], at[false])
	if at[true] < 2*at[false] {
		t.Errorf("%d calls for dear requests, %d for cheap ones", at[true], at[false])
	}
}

// The parts that a home divides are never more than there is.
func TestDividedIsNeverMore(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		shards := 2 + r.IntN(14)
		m := newMarket(t, 1, shards, fleet(1, "", func(int) string { return ", qps: 50" }), fine(1))
		d := m.desks[0]
		b := &d.who[0].calls
		b.set(1+r.Int64N(1e9), callUnits, shards)
		for i := range b.wants {
			b.wants[i] = r.Int64N(1 << uint(r.IntN(40)))
		}
		for _, x := range m.desks[1:] {
			x.who[0].calls.set(b.cap, callUnits, shards)
		}
		d.divide(b, 0, callsBudget)
		sum := int64(0)
		for _, x := range m.desks {
			sum += x.who[0].calls.next + x.who[0].calls.fixed(shards)
		}
		if sum > b.cap || sum < b.cap-int64(2*shards) {
			t.Fatalf("%d of %d divided among %d", sum, b.cap, shards)
		}
	}
}

// What the pool would not take costs nothing: calls, bytes of the partner, bytes of
// the node; and is given back once, whoever tells of it twice. What a bidder had
// but did not look at was sent.
func TestUnsentIsGivenBackOnce(t *testing.T) {
	r := requestOf(t, bannerRequest)
	d := newDesk(t, fleet(2, "budget: {egress: 1MiB}\nexplore: {share: 0}", func(int) string { return ", qps: 20, egress: 100KiB" }))
	levels := func() (l [5]int64) {
		for i := range 2 {
			l[2*i], l[2*i+1] = d.who[i].calls.level, d.who[i].bytes.level
		}
		l[4] = d.egress.level
		return l
	}
	plan := func() *Collector {
		if p := d.Plan(&Ask{Request: r, Size: 1500, Arrived: 1, Now: 1, Wall: wall}); len(p.Choices) != 2 {
			t.Fatalf("%d of 2 asked", len(p.Choices))
		}
		c := new(Collector)
		c.Begin(d, 1)
		return c
	}
	full := levels()
	for range 100 { // many more than a bucket holds
		c := plan()
		spent := levels()
		for range 3 {
			for i := range 2 {
				d.Observe(c, i, &Result{Outcome: Refused, Unsent: true}, 1)
			}
		}
		if l := levels(); l != full || spent == full {
			t.Fatalf("%v given back of %v, spent %v", l, full, spent)
		}
		c.End(d, 1)
		if l := levels(); l != full {
			t.Fatalf("%v at the end of %v", l, full)
		}
		d.who[0].circuit, d.who[1].circuit = breaker.Breaker{}, breaker.Breaker{} // of another test
		d.circuits(1)
	}
	if n := d.who[0].calls.wanted + d.who[0].bytes.wanted + d.egress.wanted; n != 0 {
		t.Errorf("%d units are still wanted", n)
	}
	c := plan()
	spent := levels()
	d.Observe(c, 0, &Result{Outcome: Refused}, 1)
	d.Observe(c, 1, &Result{Outcome: Answered}, 1)
	d.Observe(c, 1, &Result{Outcome: Refused, Unsent: true}, 1) // it had ended
	if l := levels(); l != spent {
		t.Errorf("%v given back of %v for calls that were sent", l, spent)
	}
}

// TestNotSentByUsSaysNothing: a call that we gave up before it was sent is nothing
// to its partner's circuit, nor to what is known of it.
func TestNotSentByUsSaysNothing(t *testing.T) {
	d := newDesk(t, fleet(1, "explore: {share: 0}", nil))
	r, before := requestOf(t, bannerRequest), d.who[0].news
	for range 100 {
		d.Plan(&Ask{Request: r, Size: 1500, Arrived: 1, Now: 1, Wall: wall})
		c := new(Collector)
		c.Begin(d, 1)
		d.Observe(c, 0, &Result{Outcome: Cancelled, Unsent: true}, 1)
		c.End(d, 1)
	}
	if x := &d.who[0]; x.news != before || x.circuit.State() != breaker.Closed || x.counts.Outcomes[Cancelled] != 100 {
		t.Errorf("%+v, %v, %+v", x.news, x.circuit.State(), x.counts.Outcomes)
	}
}
