package demand

import (
	"fmt"

	"slices"
	"strings"
	"testing"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/demand/breaker"
	"millrace/engine/demand/partners"
	"millrace/engine/demand/sketch"
)

// naive chooses as the rules say, with no table but the gains: who may bid is
// asked of the book, partner by partner; what is there is sorted; budgets are
// copies. It changes nothing of the desk.
type naive struct {
	d      *Desk
	calls  map[partners.ID]budget
	bytes  map[partners.ID]budget
	probes map[partners.ID]breaker.Breaker
	egress budget
}

func newNaive(d *Desk, now unit.MonoTime) *naive {
	x := &naive{d: d, calls: map[partners.ID]budget{}, bytes: map[partners.ID]budget{}, probes: map[partners.ID]breaker.Breaker{}, egress: d.egress}
	passed := now.Sub(d.filled)
	micros := int64(0)
	if passed >= fillEvery {
		micros = min(int64(passed/1000), millionths)
	}
	for _, p := range d.book.Order {
		c, b := d.who[p].calls, d.who[p].bytes
		c.fill(micros)
		b.fill(micros)
		x.calls[p], x.bytes[p], x.probes[p] = c, b, d.who[p].circuit
	}
	x.egress.fill(micros)
	return x
}

func (x *naive) plan(a *Ask) (choices []Choice) {
	d := x.d
	s := &d.book.Settings
	tmax := s.TMax
	if a.Request.TMax > 0 {
		tmax = time.Duration(a.Request.TMax) * time.Millisecond
	}
	end := a.Arrived.Add(min(s.Hard-min(2*time.Millisecond, s.Hard/50), tmax-s.Answer))
	limit := min(s.Fanout, map[breaker.Rung]int{breaker.All: 1000, breaker.Top: s.Stage.Top, breaker.FewTop: s.Stage.Few}[d.stage.Rung()])
	if limit == 0 || end.Sub(a.Now) < s.Least {
		return nil
	}
	var m partners.Match
	d.book.Match(a.Request, a.Wall, &m)
	type entry struct {
		p     *partners.Partner
		value float32
	}
	var list []entry
	var left []partners.ID
	for _, p := range d.order {
		q := d.book.Partner(p)
		if !m.Partners.Has(p) || d.who[p].circuit.State() == breaker.Open {
			continue
		}
		value := float32(0)
		for i := range m.Imps {
			if m.Imps[i].Partners.Has(p) {
				value += d.tables.gain[m.Imps[i].Class][sketch.PriceBucket(m.Imps[i].Floor)][p]
			}
		}
		switch {
		case q.Tier == 1 || q.Tier == 2 && q.Near && (!d.who[p].demoted || d.who[p].circuit.State() == breaker.HalfOpen) || q.Tier == 3 && m.Premium:
			list = append(list, entry{q, value})
		case q.Tier == 2 && q.Near:
			left = append(left, p)
		}
	}
	slices.SortFunc(list, func(a, b entry) int {
		switch {
		case (a.p.Tier == 1) != (b.p.Tier == 1):
			return int(a.p.Tier) - int(b.p.Tier)
		case a.value != b.value:
			if a.value > b.value {
				return -1
			}
			return 1
		case a.p.Tier != b.p.Tier:
			return int(a.p.Tier) - int(b.p.Tier)
		}
		return int(a.p.ID) - int(b.p.ID)
	})
	for i, e := range list {
		if len(choices) == limit {
			for _, e := range list[i:] {
				left = append(left, e.p.ID)
			}
			break
		}
		c, dear := x.ask(a, &m, e.p, e.value, end, false)
		if dear {
			left = append(left, e.p.ID)
		}
		choices = append(choices, c...)
	}
	random := d.random
	if len(left) > 0 && random.Float64() < s.Explore && len(choices) < FanoutMax {
		p := d.book.Partner(left[random.Uint64()%uint64(len(left))])
		value := float32(0)
		for i := range m.Imps {
			if m.Imps[i].Partners.Has(p.ID) {
				value += d.tables.gain[m.Imps[i].Class][sketch.PriceBucket(m.Imps[i].Floor)][p.ID]
			}
		}
		c, _ := x.ask(a, &m, p, value, end, true)
		choices = append(choices, c...)
	}
	return choices
}

func (x *naive) ask(a *Ask, m *partners.Match, p *partners.Partner, value float32, end unit.MonoTime, explore bool) (c []Choice, dear bool) {
	d, s := x.d, &x.d.book.Settings
	calls, bytes, circuit := x.calls[p.ID], x.bytes[p.ID], x.probes[p.ID]
	size := int64(a.Size)
	if p.Tier != 1 && !explore && value < calls.price+(bytes.price+x.egress.price)*float32(size) {
		return nil, true
	}
	deadline := min(a.Now.Add(d.who[p.ID].timeout), end)
	tmax := s.TMax
	if a.Request.TMax > 0 {
		tmax = time.Duration(a.Request.TMax) * time.Millisecond
	}
	network := p.Endpoint.Network
	theirs := min(tmax-a.Now.Sub(a.Arrived)-network-s.Answer, deadline.Sub(a.Now)-network)
	switch {
	case tmax-a.Now.Sub(a.Arrived)-network-s.Answer < s.Least || theirs < min(s.Least, p.TimeoutMax) || theirs < time.Millisecond:
		return nil, false
	case calls.cap > 0 && calls.level < callUnits*millionths || bytes.cap > 0 && bytes.level < size*millionths || x.egress.cap > 0 && x.egress.level < size*millionths:
		return nil, false
	}
	out := Choice{Partner: p.ID, Explore: explore, TMax: int32(theirs / time.Millisecond), Deadline: deadline, Value: value}
	if circuit.State() == breaker.HalfOpen {
		if out.Probe = circuit.Probe(&s.Breaker, a.Now); !out.Probe {
			return nil, false
		}
		x.probes[p.ID] = circuit
	}
	calls.level -= callUnits * millionths
	bytes.level -= size * millionths
	x.egress.level -= size * millionths
	x.calls[p.ID], x.bytes[p.ID] = calls, bytes
	for i := range m.Imps {
		if m.Imps[i].Partners.Has(p.ID) {
			out.Imps.add(i)
		}
	}
	return []Choice{out}, false
}

// mixed is a file whose partners differ in everything that a plan looks at.
func mixed(n int) string {
	return fleet(n, "budget: {fanout: 40, egress: 3MiB}\nexplore: {share: 0.3}\npremium: {domain: [news.example.com]}\nhealth: {healthy: 0.5}", func(i int) string {
		s := fmt.Sprintf(", tier: %d", 1+(i*7)%3)
		if i%4 == 1 {
			s += fmt.Sprintf(", qps: %d", 5+i)
		}
		if i%5 == 2 {
			s += ", egress: 60KiB"
		}
		if i%6 == 3 {
			s += ", formats: [video]"
		}
		if i%7 == 4 {
			s += ", timeout: {max: 60ms}"
		}
		return s
	})
}

var planRequests = []string{
	bannerRequest,
	strings.Replace(bannerRequest, "news.", "other.", 1),
	strings.Replace(bannerRequest, `"tmax":200`, `"tmax":60`, 1),
	strings.Replace(bannerRequest, `"tmax":200`, `"tmax":14`, 1),
	`{"id":"1","imp":[{"id":"a","video":{"mimes":["video/mp4"]},"bidfloor":2.5},{"id":"b","banner":{"w":320,"h":50}},{"id":"c","banner":{"w":300,"h":250},"bidfloor":1}],"app":{"bundle":"com.a"},"device":{"devicetype":4}}`,
	`{"id":"1","imp":[{"id":"a","native":{"request":"{}"}},{"id":"b","audio":{"mimes":["audio/mp4"]}}],"site":{"domain":"news.example.com"}}`,
}

// TestPlanIsTheNaiveOne: choices are, bit for bit, those of a naive reading of
// the rules, through a life with bad partners, scarce budgets and all rungs.
func TestPlanIsTheNaiveOne(t *testing.T) {
	const n = 50
	who := fine(n)
	for i := range who {
		who[i].bid = 0.02 * float64(i%20)
		if i%9 == 8 {
			who[i].outcome = Timeout
		}
		if i%13 == 12 {
			who[i] = behaviour{outcome: Limited, median: 5 * ms, retry: 3 * time.Second}
		}
	}
	m := newMarket(t, 11, 1, mixed(n), who)
	d := m.desks[0]
	var requests []*openrtb.BidRequest
	for _, text := range planRequests {
		requests = append(requests, requestOf(t, text))
	}
	var probes, explored, dear, over, cut int
	for i := range 6000 {
		r := requests[m.r.IntN(len(requests))]
		a := &Ask{Request: r, Size: 500 + m.r.IntN(3000), Arrived: m.now, Now: m.now.Add(time.Duration(m.r.IntN(int(10 * ms)))), Wall: wall}
		if i == 4000 {
			d.stage = stageAt(t, d, breaker.FewTop)
		}
		want := newNaive(d, a.Now).plan(a)
		got := d.Plan(a).Choices
		if !slices.Equal(got, want) {
			t.Fatalf("plan %d:\n got %+v\nwant %+v", i, got, want)
		}
		if len(want) >= 10 && i >= 4000 {
			cut++
		}
		for _, c := range want {
			if c.Probe {
				probes++
			}
			if c.Explore {
				explored++
			}
		}
		m.play(d, r)
		m.now = m.now.Add(time.Duration(m.r.IntN(int(8 * ms))))
	}
	for _, p := range d.book.Order {
		dear += int(d.who[p].counts.Skipped[TooDear])
		over += int(d.who[p].counts.Skipped[OverBudget])
	}
	if probes == 0 || explored == 0 || dear == 0 || over == 0 || cut == 0 {
		t.Errorf("%d probes, %d explored, %d too dear, %d over budget, %d cut by the ladder: the test shows nothing", probes, explored, dear, over, cut)
	}
}

// stageAt is a ladder on a rung.
func stageAt(t *testing.T, d *Desk, rung breaker.Rung) (s breaker.Stage) {
	now := unit.MonoTime(0)
	for i := 0; s.Rung() != rung; i++ {
		now = now.Add(10 * time.Millisecond)
		s.Observe(&d.book.Settings.Stage, time.Second, now)
		if i > 1e6 {
			t.Fatal("the rung is never reached")
		}
	}
	return s
}

// From the lowest rung, on which nobody is asked, the ladder climbs by itself.
func TestLadderClimbsFromInternal(t *testing.T) {
	who := fine(40)
	for i := range who {
		who[i].median = 20 * ms
	}
	m := newMarket(t, 1, 1, fleet(40, "stage: {down_for: 10s, up_for: 20s}", nil), who)
	d, r := m.desks[0], requestOf(t, bannerRequest)
	d.stage = stageAt(t, d, breaker.Internal)
	m.now = m.now.Add(time.Hour)
	m.run(5*time.Second, 100, r)
	if m.calls != 0 {
		t.Fatal("partners are asked on the lowest rung")
	}
	most := 0
	for i := 0; d.Rung() != breaker.All && i < 200; i++ {
		m.clear()
		m.run(time.Second, 100, r)
		most = max(most, m.calls)
		if want := map[breaker.Rung]int{breaker.FewTop: 10, breaker.Top: 30}[d.Rung()]; want > 0 && m.calls > 100*(want+1) {
			t.Fatalf("%d calls in 100 requests on rung %v", m.calls, d.Rung())
		}
	}
	if d.Rung() != breaker.All || most < 1000 {
		t.Errorf("rung %v, at most %d calls a second", d.Rung(), most)
	}
}

func benchDesk(t testing.TB, text string, n int) (*Desk, *market) {
	m := newMarket(t, 1, 1, text, fine(n))
	m.run(20*time.Second, 50, requestOf(t, planRequests[0]))
	m.run(5*time.Second, 50, requestOf(t, planRequests[4]))
	return m.desks[0], m
}

// An auction from plan to end allocates nothing, nor does a Tick.
func TestAllocDemand(t *testing.T) {
	d, m := benchDesk(t, mixed(50), 50)
	var requests []*openrtb.BidRequest
	for _, text := range planRequests {
		requests = append(requests, requestOf(t, text))
	}
	c := new(Collector)
	best := make([]unit.CPMMicros, 8)
	run := func() {
		for _, r := range requests {
			m.now = m.now.Add(30 * ms)
			a := Ask{Request: r, Size: 1500, Arrived: m.now, Now: m.now, Wall: wall}
			p := d.Plan(&a)
			d.Common()
			for i := range p.Choices {
				d.Edit(&a, i)
			}
			c.Begin(d, m.now)
			for i := range c.Choices() {
				if i%2 == 0 {
					d.Observe(c, i, &Result{Latency: 20 * ms, Bids: 1}, m.now.Add(20*ms))
					d.Bid(c, i, 0, unit.MicrosPerUnit)
					d.Won(c, i, unit.MicrosPerUnit)
				}
			}
			c.Wait(d, m.now.Add(51*ms), best)
			c.End(d, m.now.Add(80*ms))
			d.Answered(80*ms, m.now.Add(80*ms))
			d.Tick(m.now)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{10, 50} {
		for _, imps := range []int{1, 3} {
			d, m := benchDesk(b, fleet(n, "explore: {share: 0}", nil), n)
			text := bannerRequest
			if imps > 1 {
				text = planRequests[4]
			}
			a := Ask{Request: requestOf(b, text), Size: 1500, Arrived: m.now, Now: m.now, Wall: wall}
			b.Run(fmt.Sprintf("partners=%d/imps=%d", n, imps), func(b *testing.B) {
				asked := 0
				b.ReportAllocs()
				for b.Loop() {
					asked += len(d.Plan(&a).Choices)
				}
				b.ReportMetric(float64(asked)/float64(b.N), "asked")
			})
			b.Run(fmt.Sprintf("naive/partners=%d/imps=%d", n, imps), func(b *testing.B) {
				x := newNaive(d, a.Now)
				for b.Loop() {
					x.plan(&a)
				}
			})
		}
	}
}

func BenchmarkWait(b *testing.B) {
	d, m := benchDesk(b, fleet(50, "", nil), 50)
	d.Plan(&Ask{Request: requestOf(b, bannerRequest), Size: 1500, Arrived: m.now, Now: m.now, Wall: wall})
	var c Collector
	c.Begin(d, m.now)
	best := []unit.CPMMicros{unit.MicrosPerUnit}
	sum := 0.0
	b.ReportAllocs()
	for b.Loop() {
		sum += c.Gain(d, m.now.Add(50*ms), best)
	}
	b.ReportMetric(sum/float64(b.N), "gain")
}

func BenchmarkTick(b *testing.B) {
	d, m := benchDesk(b, fleet(50, "", nil), 50)
	b.ReportAllocs()
	for b.Loop() {
		m.now = m.now.Add(Every)
		d.Tick(m.now)
	}
}

func BenchmarkEdit(b *testing.B) {
	d, m := benchDesk(b, fleet(50, "", nil), 50)
	a := Ask{Request: requestOf(b, bannerRequest), Size: 1500, Arrived: m.now, Now: m.now, Wall: wall}
	p := d.Plan(&a)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		d.Edit(&a, i%len(p.Choices))
	}
}
