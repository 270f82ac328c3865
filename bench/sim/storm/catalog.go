package storm

import (
	"fmt"
	"math/rand/v2"
	"strings"
	_ "time/tzdata" // campaigns live in time zones; the machine may have no database

	"millrace/codec/unit"
	"millrace/state/campaign"
)

// plan of one campaign of the world's catalog: each takes requests of a banner
// size of its own, so that its demand is known.
type campaignPlan struct {
	name, size, pricing, zone, pacing string
	price                             float64 // a thousand impressions, a click, a conversion
	daily, total                      float64
	lineTotal                         float64 // of its second line, which has a budget of its own
	paused                            bool
}

var (
	sizes = [...]string{"300x250", "728x90", "320x50", "160x600", "970x250"}
	zones = [...]string{
		"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Auckland",
	}
)

// Rates that make the demand of clicks and conversions comparable to that of
// impressions; clients behave accordingly.
const (
	clickRate      = 0.3
	conversionRate = 0.5
)

// drawCampaigns makes budgets that run out: each a part of what its share of
// the requests could spend.
func drawCampaigns(r *rand.Rand, requests float64) []campaignPlan {
	part := func(price float64) float64 {
		return price * requests / float64(len(sizes)) * (0.05 + 0.4*r.Float64())
	}
	zone := func() string { return zones[r.IntN(len(zones))] }
	plans := []campaignPlan{
		{pricing: "cpm", price: 2.5, pacing: "asap"},
		{pricing: "cpm", price: 4, pacing: "asap"},
		{pricing: "cpc", price: 0.02, pacing: "asap"},
		{pricing: "cpa", price: 0.05, pacing: "asap"},
		{pricing: "cpm", price: 3, pacing: "even"},
	}
	for i := range plans {
		p := &plans[i]
		p.name, p.size, p.zone = fmt.Sprintf("c%d", i), sizes[i], zone()
		switch p.pricing {
		case "cpm":
			p.daily = part(p.price / 1000)
		case "cpc":
			p.daily = part(p.price * clickRate)
		case "cpa":
			p.daily = part(p.price * clickRate * conversionRate)
		}
		if i == 1 {
			p.daily, p.total, p.lineTotal = 0, p.daily, p.daily/3
		}
	}
	return plans
}

// compileCatalog is the snapshot of the plans, through the production compiler.
func compileCatalog(plans []campaignPlan) (*campaign.Snapshot, error) {
	var b strings.Builder
	b.WriteString("advertisers:\n  - id: adv\n    name: Adv\n    domain: adv.example.com\n    campaigns:\n")
	for _, p := range plans {
		status := "active"
		if p.paused {
			status = "paused"
		}
		fmt.Fprintf(&b, "      - id: %s\n        currency: USD\n        time_zone: %s\n        status: %s\n", p.name, p.zone, status)
		fmt.Fprintf(&b, "        budget: {daily: %.6f, total: %.6f, pacing: %s}\n        line_items:\n", p.daily, p.total, p.pacing)
		price := p.price
		line := func(suffix, budget string) {
			fmt.Fprintf(&b, `          - {id: %s%s, pricing: %s, price: %.4f%s, creatives: [{id: %s%s-cr, size: %s, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/?c=${MILLRACE_CONVERSION}", ctr: %g, cvr: %g}]}`+"\n",
				p.name, suffix, p.pricing, price, budget, p.name, suffix, p.size, clickRate, conversionRate)
		}
		line("", "")
		if p.lineTotal > 0 {
			price *= 1.5
			line("b", fmt.Sprintf(", budget: {total: %.6f, pacing: asap}", p.lineTotal))
		}
	}
	text := strings.NewReplacer("daily: 0.000000, ", "", "total: 0.000000, ", "").Replace(b.String())
	s, faults := campaign.Check("storm.yaml", []byte(text))
	if len(faults) > 0 {
		return nil, fmt.Errorf("storm: %v in\n%s", faults, text)
	}
	return s, nil
}

// requestBody is a bid request of a user for a size.
func requestBody(user int, size string) []byte {
	w, h, _ := strings.Cut(size, "x")
	return fmt.Appendf(nil, `{"id":"r","user":{"id":"u%d"},"imp":[{"id":"1","banner":{"w":%s,"h":%s}}]}`, user, w, h)
}

// limits are the largest that were in force of an account. The oracle's own
// table: what was won before a cut stays won.
type limits struct {
	name         string
	daily, total unit.Nanos
	size         int        // of the campaign's requests
	price        unit.Nanos // of its lines without a budget of their own
	dearest      unit.Nanos // of all its lines
	asap         bool
	changed      bool // by a reload
}
