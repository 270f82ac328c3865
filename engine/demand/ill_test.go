package demand

import (
	"fmt"
	"os"
	"testing"
	"time"

	"millrace/codec/openrtb"
	"millrace/engine/demand/breaker"
)

// long asks for the long form of tests that play hours.
var long = os.Getenv("MILLRACE_LONG") != ""

// ills are ways to be bad of which every call suffers.
var ills = map[string]behaviour{
	"hanging": {outcome: Timeout},
	"slow":    {median: 300 * ms, sigma: 0.2, bid: 0.5, price: 2},
	"dead":    {outcome: Broken, median: ms},
	"lying":   {median: 20 * ms, sigma: 0.3, bid: 0.9, price: 5, lies: true},
	"html":    {outcome: Malformed, median: 20 * ms},
	"errors":  {outcome: BadStatus, median: 10 * ms},
}

// until plays until is or so long, and tells how long that took.
func (m *market) until(most time.Duration, rate int, r *openrtb.BidRequest, is func() bool) time.Duration {
	began := m.now
	for !is() && m.now.Sub(began) < most {
		m.run(max(100*ms, time.Second/time.Duration(rate)), rate, r)
	}
	return m.now.Sub(began)
}

// everywhere tells whether the circuit of a partner is open on all shards.
func (m *market) everywhere(p int) bool {
	for _, d := range m.desks {
		if d.who[p].circuit.State() == breaker.Closed {
			return false
		}
	}
	return true
}

// Who goes bad is isolated within seconds at traffic that never fills a window:
// two requests a second, on one shard or divided among eight.
func TestBadPartnerIsIsolatedAtLittleTraffic(t *testing.T) {
	r := requestOf(t, bannerRequest)
	seeds := 2
	if long {
		seeds = 40
	}
	for name, bad := range ills {
		for _, c := range []struct {
			shards, rate int
			within       time.Duration
		}{{1, 1, 5 * time.Second}, {1, 2, 2500 * ms}, {1, 4, 2 * time.Second}, {1, 20, 3 * time.Second}, {8, 2, 8 * time.Second}, {8, 8, 8 * time.Second}} {
			if name == "lying" {
				c.within = 20 * time.Second // a tenth of what it says is no bid, and no lie
			}
			for seed := range uint64(seeds) {
				t.Run(fmt.Sprintf("%s/%d shards/%d a second/%d", name, c.shards, c.rate, seed), func(t *testing.T) {
					who := fine(10)
					m := newMarket(t, seed, c.shards, fleet(10, "", nil), who)
					m.run(2*time.Minute, c.rate, r)
					if n := m.desks[0].who[3].circuit.Opened(); n > 0 {
						t.Fatalf("opened %d times while it was well", n)
					}
					who[3] = bad
					m.clear()
					took := m.until(2*time.Minute, c.rate, r, func() bool { return m.everywhere(3) })
					t.Logf("isolated after %v, %d calls", took, m.asked[3])
					if took > c.within {
						t.Errorf("isolated after %v", took)
					}
				})
			}
		}
	}
}

// Who was ill and is well again is asked as before within seconds of the end of its
// back-off, at any traffic, whatever was learned of it meanwhile.
func TestWellAgainIsAskedAgain(t *testing.T) {
	r := requestOf(t, bannerRequest)
	names := []string{"slow", "lying"}
	if long {
		names = append(names, "hanging", "dead", "html", "errors")
	}
	for _, name := range names {
		for _, c := range []struct {
			shards, rate int
			ill          time.Duration
			fresh        bool // it was never well before
			median       time.Duration
		}{
			{1, 100, 4 * time.Second, false, 21 * ms},
			{1, 100, time.Minute, false, 21 * ms},
			{1, 2, 10 * time.Minute, false, 21 * ms},
			{1, 2, 10 * time.Minute, true, 21 * ms},
			{4, 20, 10 * time.Minute, true, 21 * ms},
			{1, 100, 4 * time.Second, false, 60 * ms}, // later than most auctions end
			{4, 20, 10 * time.Minute, false, 60 * ms},
			{4, 20, 10 * time.Minute, true, 60 * ms},
		} {
			t.Run(fmt.Sprintf("%s/%+v", name, c), func(t *testing.T) {
				who := fine(10)
				who[3].median = c.median
				well := who[3]
				m := newMarket(t, 1, c.shards, fleet(10, "", func(int) string { return ", tier: 2" }), who)
				if !c.fresh {
					m.run(2*time.Minute, c.rate, r)
				}
				who[3] = ills[name]
				m.run(c.ill, c.rate, r)
				who[3] = well
				backoff := m.now
				for _, d := range m.desks {
					if x := &d.who[3].circuit; x.State() == breaker.Open {
						backoff = max(backoff, x.Until())
					}
				}
				back := backoff.Sub(m.now)
				m.until(back, c.rate, r, func() bool { return false })
				took := m.until(5*time.Minute, c.rate, r, func() bool {
					for _, d := range m.desks {
						if d.who[3].circuit.State() != breaker.Closed || !d.healthy.Has(3) {
							return false
						}
					}
					return true
				})
				if took > 20*time.Second || back > time.Minute || c.ill < 10*time.Second && back+took > 5*time.Second {
					t.Errorf("readmitted %v after a back-off of %v", took, back)
				}
				m.clear()
				const n = 200
				m.run(n*time.Second/time.Duration(c.rate), c.rate, r)
				t.Logf("back-off %v, then %v; asked %d of %d, opened %d", back, took, m.asked[3], n, m.desks[0].who[3].circuit.Opened())
				if m.asked[3] < n*9/10 {
					t.Errorf("asked %d of %d times when well again", m.asked[3], n)
				}
			})
		}
	}
}

// Hours of a market in which a tenth of all calls take longer than is waited:
// partners that are as the others are stay, at any traffic; who never bids, however
// fast, and who only hangs, are left out; and both come back when they are well.
func TestHealthOverHours(t *testing.T) {
	r := requestOf(t, bannerRequest)
	for _, c := range []struct {
		rate  int
		back  time.Duration // within which who is well again is asked again
		hours int
	}{{2, 30 * time.Minute, 4}, {10, 10 * time.Minute, 1}, {50, 3 * time.Minute, 1}} {
		if c.rate == 50 && !long {
			continue
		}
		if long {
			c.hours *= 6
		}
		t.Run(fmt.Sprint(c.rate, " a second"), func(t *testing.T) {
			who := make([]behaviour, 10)
			for i := range who {
				who[i] = behaviour{median: 35 * ms, sigma: 0.4, bid: 0.2, price: 1}
			}
			who[7].price, who[7].bid = 4, 0.02 // seldom and dear
			well := who[8]
			who[8] = behaviour{median: 5 * ms, sigma: 0.3}
			who[9] = behaviour{outcome: Timeout}
			m := newMarket(t, 3, 1, fleet(10, "deadlines: {hard: 60ms, soft: []}", func(int) string { return ", tier: 2" }), who)
			d := m.desks[0]
			m.run(5*time.Minute, c.rate, r)
			m.clear()
			began, least := m.now, float32(1)
			for m.now.Sub(began) < time.Duration(c.hours)*time.Hour {
				m.run(time.Second, c.rate, r)
				for p := range 8 {
					least = min(least, d.who[p].health.Score)
					if d.who[p].demoted {
						t.Fatalf("partner %d, as good as the others, is left out after %v: %+v", p, m.now.Sub(began), d.who[p].health)
					}
				}
			}
			n := c.hours * 3600 * c.rate
			t.Logf("least score of who is well %.2f, of the one that never bids %.2f; asked %v of %d", least, d.who[8].health.Score, m.asked, n)
			for p := 8; p < 10; p++ {
				if m.asked[p] > n/20 {
					t.Errorf("partner %d was asked in %d of %d requests", p, m.asked[p], n)
				}
				who[p] = well
			}
			took := m.until(2*time.Hour, c.rate, r, func() bool { return d.healthy.Has(8) && d.healthy.Has(9) && m.state(9) == breaker.Closed })
			t.Logf("back after %v", took)
			if took > c.back {
				t.Errorf("asked again after %v", took)
			}
			m.run(10*time.Minute, c.rate, r)
			if !d.healthy.Has(8) || !d.healthy.Has(9) {
				t.Errorf("left out again: %+v, %+v", d.who[8].health, d.who[9].health)
			}
		})
	}
}
