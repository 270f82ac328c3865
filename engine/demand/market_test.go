package demand

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/demand/breaker"
	"millrace/engine/demand/partners"
)

const ms = time.Millisecond

// behaviour is how a simulated partner answers.
type behaviour struct {
	median  time.Duration // of its latency, log-normal
	sigma   float64
	bid     float64 // share of impressions bid on
	price   float64 // median CPM, log-normal
	outcome Outcome // of all its calls, if not Answered
	retry   time.Duration
	lies    bool
}

// market plays auctions against simulated partners, on the desks of a node.
type market struct {
	t     testing.TB
	r     *rand.Rand
	desks []*Desk
	who   []behaviour
	now   unit.MonoTime
	ticks unit.MonoTime
	lost  float64 // share of messages that are lost

	revenue []float64 // CPM won, by partner
	asked   []int
	calls   int
	waited  time.Duration
	log     []string // of every decision, if it is wanted
	logs    bool
}

// SendDemand delivers at once: desks only add.
func (m *market) SendDemand(to unit.ShardID, msg *Message) bool {
	if m.lost > 0 && m.r.Float64() < m.lost {
		return false
	}
	x := *msg
	m.desks[to].Handle(&x, m.now)
	return true
}

func newMarket(t testing.TB, seed uint64, shards int, text string, who []behaviour) *market {
	m := &market{t: t, r: rand.New(rand.NewPCG(seed, 9)), who: who, revenue: make([]float64, len(who)), asked: make([]int, len(who))}
	b := bookOf(t, text, nil)
	for i := range shards {
		cfg := Default()
		cfg.Seed = seed
		d := New(cfg, unit.ShardID(i), shards, m)
		d.Load(b, 0)
		m.desks = append(m.desks, d)
	}
	return m
}

func (m *market) lognormal(median, sigma float64) float64 {
	return median * math.Exp(m.r.NormFloat64()*sigma)
}

// coming is what a call of an auction will be.
type coming struct {
	at     time.Duration // after the calls left
	choice int
	price  unit.CPMMicros
	result Result
}

// answers draws what the choices of an auction will say.
func (m *market) answers(c *Collector) []coming {
	var list []coming
	for i := range c.Choices() {
		x := &c.Choices()[i]
		b := &m.who[x.Partner]
		m.asked[x.Partner]++
		m.calls++
		a := coming{choice: i, at: time.Duration(m.lognormal(float64(b.median), b.sigma)), result: Result{Outcome: b.outcome, RetryAfter: b.retry}}
		limit := x.Deadline.Sub(c.began)
		switch {
		case b.outcome == Timeout || a.at > limit:
			a.at, a.result.Outcome = limit, Timeout
		case b.outcome == Answered && m.r.Float64() < b.bid:
			a.price = unit.CPMMicros(m.lognormal(b.price, 0.5) * 1e6)
			if c.classes[0] == partners.VideoClass {
				a.price *= 4 // video is dear
			}
			a.result.Bids = 1
			if b.lies {
				a.result.Lies, a.price = 1, 0
			}
		}
		a.result.Latency = a.at
		list = append(list, a)
	}
	slices.SortStableFunc(list, func(a, b coming) int { return cmp.Compare(a.at, b.at) })
	return list
}

// play plays one auction on a desk, from now.
func (m *market) play(d *Desk, r *openrtb.BidRequest) {
	for ; m.ticks <= m.now; m.ticks = m.ticks.Add(Every) {
		for _, x := range m.desks {
			x.Tick(m.ticks)
		}
	}
	p := d.Plan(&Ask{Request: r, Size: 1500, Arrived: m.now, Now: m.now, Wall: wall.Add(m.now.Sub(0))})
	var c Collector
	c.Begin(d, m.now)
	best, winner := []unit.CPMMicros{0}, -1
	if p.Imps[0].Floor > 0 {
		best[0] = 0
	}
	now := m.now
	until, wait := c.Wait(d, now, best)
	for _, a := range m.answers(&c) {
		at := c.began.Add(a.at)
		for wait && until < at {
			now = until
			until, wait = c.Wait(d, now, best)
		}
		if !wait {
			break
		}
		now = at
		d.Observe(&c, a.choice, &a.result, now)
		if a.price > p.Imps[0].Floor {
			d.Bid(&c, a.choice, 0, a.price)
			if a.price > best[0] {
				best[0], winner = a.price, a.choice
			}
		}
		until, wait = c.Wait(d, now, best)
	}
	for wait {
		now = until
		until, wait = c.Wait(d, now, best)
	}
	if now > c.Deadline() {
		m.t.Fatalf("waited until %v, past the deadline", now)
	}
	c.End(d, now)
	m.waited += now.Sub(m.now)
	d.Answered(now.Sub(m.now), now)
	if winner >= 0 {
		d.Won(&c, winner, best[0])
		m.revenue[c.Choices()[winner].Partner] += best[0].Float()
	}
	if m.logs {
		m.log = append(m.log, fmt.Sprintf("%v %d %+v %v %v", m.now, d.id, c.Choices(), best[0], now.Sub(m.now)))
	}
}

// run plays traffic of so many requests a second for a time.
func (m *market) run(d time.Duration, rate int, r *openrtb.BidRequest) {
	gap := time.Second / time.Duration(rate)
	for end := m.now.Add(d); m.now < end; m.now = m.now.Add(gap) {
		m.play(m.desks[m.r.IntN(len(m.desks))], r)
	}
}

func (m *market) state(p int) breaker.State { return m.desks[0].who[p].circuit.State() }

func (m *market) clear() {
	clear(m.revenue)
	clear(m.asked)
	m.calls, m.waited = 0, 0
}

func fine(n int) []behaviour {
	who := make([]behaviour, n)
	for i := range who {
		who[i] = behaviour{median: time.Duration(15+2*i) * ms, sigma: 0.3, bid: 0.3, price: 1 + 0.1*float64(i)}
	}
	return who
}

// A partner that turns bad is isolated within seconds and readmitted when well,
// and the others earn as if it had never been there.
func TestBadPartnerIsIsolated(t *testing.T) {
	r := requestOf(t, bannerRequest)
	const file = "explore: {share: 0.01}"
	without := newMarket(t, 1, 2, fleet(10, file, func(i int) string {
		if i == 3 {
			return ", status: paused"
		}
		return ""
	}), fine(10))
	without.run(20*time.Second, 200, r)
	without.clear()
	without.run(time.Minute, 200, r)
	alone := 0.0
	for _, x := range without.revenue {
		alone += x
	}
	for name, bad := range map[string]behaviour{
		"hanging":  {outcome: Timeout},
		"slow":     {median: 300 * ms, sigma: 0.2, bid: 0.5, price: 2},
		"dead":     {outcome: Broken, median: ms},
		"lying":    {median: 20 * ms, sigma: 0.3, bid: 0.9, price: 5, lies: true},
		"html":     {outcome: Malformed, median: 20 * ms},
		"limiting": {outcome: Limited, median: 10 * ms, retry: 20 * time.Second},
		"errors":   {outcome: BadStatus, median: 10 * ms},
	} {
		if testing.Short() && name != "hanging" && name != "lying" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			who := fine(10)
			m := newMarket(t, 1, 2, fleet(10, file, nil), who)
			m.run(20*time.Second, 200, r)
			good := who[3]
			who[3] = bad
			began := m.now
			for m.state(3) == breaker.Closed && m.now.Sub(began) < 30*time.Second {
				m.run(100*ms, 200, r)
			}
			if took := m.now.Sub(began); took > 6*time.Second {
				t.Fatalf("isolated after %v", took)
			}
			m.clear()
			m.run(time.Minute, 200, r)
			if share := float64(m.asked[3]) / float64(12000); share > 0.02 {
				t.Errorf("still asked in %.1f %% of requests", share*100)
			}
			others := 0.0
			for i, x := range m.revenue {
				if i != 3 {
					others += x
				}
			}
			if others < 0.97*alone {
				t.Errorf("the others earn %.0f beside it and %.0f without it", others, alone)
			}
			who[3] = good
			began = m.now
			for m.state(3) != breaker.Closed && m.now.Sub(began) < 3*time.Minute {
				m.run(100*ms, 200, r)
			}
			if took := m.now.Sub(began); took > 70*time.Second {
				t.Errorf("readmitted after %v", took)
			}
			m.run(10*time.Second, 200, r)
			m.clear()
			m.run(20*time.Second, 200, r)
			if m.asked[3] < 3000 {
				t.Errorf("asked %d times of 4000 when well again", m.asked[3])
			}
		})
	}
}

// Exploration brings back a partner whose health had fallen: without it, nobody
// would ever learn that it is well again.
func TestDemotedComesBack(t *testing.T) {
	r := requestOf(t, bannerRequest)
	asked := map[bool]int{}
	for _, explores := range []bool{true, false} {
		head := "health: {healthy: 0.45}\nexplore: {share: 0.05}"
		if !explores {
			head = "health: {healthy: 0.45}\nexplore: {share: 0}"
		}
		who := fine(8)
		m := newMarket(t, 2, 1, fleet(8, head, nil), who)
		good := who[5]
		who[5] = behaviour{median: 30 * ms, sigma: 0.3, bid: 0, price: 1}
		m.run(30*time.Second, 100, r)
		d := m.desks[0]
		d.Load(bookOf(t, fleet(8, head, func(int) string { return ", tier: 2" }), d.book), m.now)
		m.clear()
		m.run(time.Minute, 100, r)
		if m.asked[5] > 6000/10 {
			t.Errorf("explore %v: a partner that never bids was asked in %d of 6000 requests", explores, m.asked[5])
		}
		who[5] = good
		m.run(20*time.Minute, 20, r)
		m.clear()
		m.run(time.Minute, 100, r)
		asked[explores] = m.asked[5]
	}
	// (What is forgotten comes back too, but that takes hours.)
	if asked[true] < 5000 || asked[false] > 0 {
		t.Errorf("asked %d times with exploration, %d without", asked[true], asked[false])
	}
}

// One seed, one outcome, on any number of shards.
func TestDeterminism(t *testing.T) {
	r := requestOf(t, bannerRequest)
	for _, shards := range []int{1, 3} {
		var first []string
		for range 2 {
			m := newMarket(t, 7, shards, fleet(20, "", func(i int) string {
				return [...]string{"", ", tier: 2, qps: 40", ", tier: 2, egress: 100KiB"}[i%3]
			}), fine(20))
			m.logs = true
			m.run(10*time.Second, 200, r)
			if first == nil {
				first = m.log
			} else if !slices.Equal(first, m.log) {
				t.Fatalf("%d shards: two runs of one seed differ", shards)
			}
		}
	}
}

// Shards learn from each other: what four desks of a node know is what one
// would, but for what is not told yet.
func TestLearningIsShared(t *testing.T) {
	r := requestOf(t, bannerRequest)
	m := newMarket(t, 3, 4, fleet(6, "explore: {share: 0}", nil), fine(6))
	m.run(30*time.Second, 400, r)
	m.now = m.now.Add(2 * time.Second)
	m.play(m.desks[0], r)
	for p := range m.who {
		first := m.desks[0].who[p].learned
		for i, d := range m.desks[1:] {
			l := &d.who[p].learned
			for k := range first.n {
				if a, b := float64(first.n[k]), float64(l.n[k]); math.Abs(a-b) > 0.01*(1+a) {
					t.Fatalf("partner %d: number %d is %v here and %v on shard %d", p, k, a, b, i+1)
				}
			}
		}
		total := 0.0
		for k := range first.prices[partners.BannerClass] {
			total += float64(first.prices[partners.BannerClass][k])
		}
		rate := total / float64(first.n[nAsked+int(partners.BannerClass)])
		if math.Abs(rate-0.3) > 0.03 {
			t.Errorf("partner %d: learned a bid rate of %.3f, it is 0.3", p, rate)
		}
	}
}
