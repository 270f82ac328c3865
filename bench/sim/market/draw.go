package market

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// partner is a bidder as the seed draws it. Prices and shares are millionths.
type partner struct {
	name   string
	tier   int
	adjust int64
	cur    string
	badv   string // that it may not bring, empty for none
	loss   bool   // is told of losses
	paused bool
	mood   int // how many of its ten answers go wrong
}

// market is what the seed draws of a demand file.
type market struct {
	version  int
	floor    int64 // ours, of every impression; 0 is none
	hard     time.Duration
	answer   time.Duration
	soft     bool
	explore  float64
	partners []partner
}

// line is one of our own line items.
type line struct {
	kind  string
	tier  int
	price int64
}

const (
	one  = 1_000_000
	tmax = 150 * time.Millisecond
)

// eurPerUSD is the currency table.
const eurPerUSD = "0.9"

func drawMarket(r *rand.Rand) *market {
	m := &market{version: 1, hard: time.Duration(40+r.IntN(80)) * time.Millisecond, answer: time.Duration(r.IntN(10)) * time.Millisecond, soft: r.IntN(2) == 0}
	if r.IntN(2) == 0 {
		m.floor = int64(r.IntN(one))
	}
	if r.IntN(3) == 0 {
		m.explore = 0.1
	}
	for i := range 1 + r.IntN(9) {
		p := partner{name: fmt.Sprintf("p%d", i), tier: 1 + r.IntN(3)/2, adjust: one, cur: "USD", loss: r.IntN(2) == 0, mood: r.IntN(11)}
		if r.IntN(3) == 0 {
			p.adjust = int64(500_000 + r.IntN(700_000))
		}
		if r.IntN(4) == 0 {
			p.cur = "EUR"
		}
		if r.IntN(4) == 0 {
			p.badv = "bad.example"
		}
		m.partners = append(m.partners, p)
	}
	return m
}

// change draws the next version of the file: partners come, go and change.
func (m *market) change(r *rand.Rand) *market {
	next := *m
	next.version++
	next.partners = append([]partner(nil), m.partners...)
	for i := range next.partners {
		p := &next.partners[i]
		switch r.IntN(6) {
		case 0:
			p.paused = !p.paused
		case 1:
			p.adjust = int64(500_000 + r.IntN(700_000))
		case 2:
			p.cur = []string{"USD", "EUR"}[r.IntN(2)]
		}
	}
	if n := len(next.partners); n > 1 && r.IntN(2) == 0 {
		i := r.IntN(n)
		next.partners = append(next.partners[:i], next.partners[i+1:]...)
	}
	if r.IntN(2) == 0 {
		next.partners = append(next.partners, partner{name: fmt.Sprintf("n%d", next.version), tier: 1, adjust: one, cur: "USD", loss: true, mood: 3})
	}
	return &next
}

func (m *market) partner(name string) *partner {
	for i := range m.partners {
		if m.partners[i].name == name {
			return &m.partners[i]
		}
	}
	return nil
}

// yaml is the demand file.
func (m *market) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "currency: USD\nrates: {base: USD, date: \"2026-03-16\", max_age: 8760h, per_base: {EUR: %s}}\n", eurPerUSD)
	fmt.Fprintf(&b, "deadlines: {hard: %v, answer: %v, least: 5ms, tmax: %v", m.hard, m.answer, tmax)
	if !m.soft || m.hard < 80*time.Millisecond {
		b.WriteString(", soft: []")
	}
	fmt.Fprintf(&b, "}\nexplore: {share: %v}\n", m.explore)
	if m.floor > 0 {
		fmt.Fprintf(&b, "floors:\n  - {floor: %s}\n", decimal(m.floor))
	}
	b.WriteString("partners:\n")
	for _, p := range m.partners {
		status, block := "active", ""
		if p.paused {
			status = "paused"
		}
		if p.badv != "" {
			block = ", block: {badv: [" + p.badv + "]}"
		}
		fmt.Fprintf(&b, "  - {id: %s, status: %s, tier: %d, currency: %s, adjust: %s, loss_notices: %v, endpoints: [{url: 'https://%s.example/bid'}]%s}\n",
			p.name, status, p.tier, p.cur, decimal(p.adjust), p.loss, p.name, block)
	}
	return b.String()
}

// decimal writes millionths.
func decimal(v int64) string { return fmt.Sprintf("%d.%06d", v/one, v%one) }

func drawLines(r *rand.Rand) (lines []line) {
	for i := range 1 + r.IntN(4) {
		l := line{kind: "direct", tier: 10, price: int64(100_000+r.IntN(4*one))/10*10 + int64(i)} // no two alike
		switch r.IntN(6) {
		case 0:
			l.kind, l.tier = "guaranteed", 2
		case 1:
			l.tier = 8
		case 2:
			l.tier = 12
		}
		lines = append(lines, l)
	}
	if r.IntN(2) == 0 {
		lines = append(lines, line{kind: "house", tier: 15})
	}
	return lines
}

// catalog is the catalog file. Budgets are no matter here: they never end.
func catalog(lines []line) string {
	var b strings.Builder
	b.WriteString("advertisers:\n  - id: adv\n    name: Adv\n    domain: adv.example.com\n    campaigns:\n" +
		"      - id: camp\n        currency: USD\n        time_zone: UTC\n        budget: {daily: 10000000, pacing: asap}\n        line_items:\n")
	for i, l := range lines {
		price := fmt.Sprintf("price: %s, tier: %d, ", decimal(l.price), l.tier)
		if l.kind == "house" {
			price = ""
		}
		fmt.Fprintf(&b, "          - {id: l%d, kind: %s, %screatives: [{id: own%d, size: 300x250, html: '<a href=\"${MILLRACE_CLICK}\">x</a>', landing: \"https://adv.example.com/\"}]}\n", i, l.kind, price, i)
	}
	return b.String()
}

// drawRequest is the n-th request.
func drawRequest(r *rand.Rand, n int) []byte {
	var imps []string
	for i := range 1 + r.IntN(3)*r.IntN(2) {
		imp := fmt.Sprintf(`{"id":"%d","banner":{"w":300,"h":250}`, i+1)
		if r.IntN(2) == 0 {
			imp += fmt.Sprintf(`,"bidfloor":%s`, decimal(int64(r.IntN(2*one))))
		}
		if r.IntN(3) == 0 {
			imp += fmt.Sprintf(`,"pmp":{"deals":[{"id":"d1","bidfloor":%s,"at":%d},{"id":"d2"}]}`, decimal(int64(100_000+r.IntN(one))), 1+r.IntN(3))
		}
		imps = append(imps, imp+"}")
	}
	extra := ""
	switch r.IntN(6) {
	case 0:
		extra = `,"cur":["EUR"]`
	case 1:
		extra = `,"cur":["EUR","USD"]`
	case 2:
		extra = `,"at":2`
	}
	if r.IntN(3) == 0 {
		extra += fmt.Sprintf(`,"tmax":%d`, 20+r.IntN(150))
	}
	if r.IntN(4) == 0 {
		extra += `,"badv":["bad.example"]`
	}
	if r.IntN(12) == 0 {
		extra += `,"test":1`
	}
	return fmt.Appendf(nil, `{"id":"r%d","user":{"id":"u%d"},"imp":[%s]%s}`, n, r.IntN(50), strings.Join(imps, ","), extra)
}
