package fleet

import (
	"fmt"
	"path/filepath"
	"testing"

	"millrace/bench/blackbox"
	"millrace/codec/unit"
)

// Campaign is what the judge needs to know of one.
type Campaign struct {
	blackbox.Line
	ID    unit.CampaignID
	Limit unit.Nanos // of a day, and of all time
}

// countries divide the campaigns, so that many compete at a time.
var countries = []string{
	"USA", "DEU", "FRA", "ITA", "ESP", "NLD", "SWE", "POL", "AUT", "BEL", "CHE", "CZE", "DNK", "FIN", "GRC", "HUN", "IRL", "NOR", "PRT", "ROU",
}

// largeLimit is more than all clients can spend on one country's large campaign,
// and little enough that its leases are asked for every few seconds.
const largeLimit = 20 * unit.NanosPerUnit

// campaigns differ in price, and in budget by a factor of up to sixteen: some run
// out soon, some late. Every fifth pays for clicks. The last one of each country
// is cheap and does not run out: whoever can pay at all can pay by it.
func campaigns(c Config) []Campaign {
	list := make([]Campaign, c.Campaigns)
	for i := range list {
		country := countries[i%len(countries)]
		if i >= len(list)-len(countries) {
			list[i] = newCampaign(blackbox.Line{Name: "large-" + country, Price: "0.50", Country: country}, largeLimit)
			continue
		}
		limit := c.Budget * unit.Nanos(1+i*7%16) / 8
		l := blackbox.Line{Name: fmt.Sprintf("campaign-%03d", i), Price: fmt.Sprintf("%d.%02d", 1+i*3%5, i%100), Country: country}
		if i%5 == 4 {
			l.Pricing, l.Price = "cpc", "0.05"
		}
		list[i] = newCampaign(l, limit)
	}
	return list
}

func newCampaign(l blackbox.Line, limit unit.Nanos) Campaign {
	l.Total = limit.String()
	return Campaign{Line: l, ID: unit.CampaignID(unit.HashID("campaign", l.Name)), Limit: limit}
}

func catalogFile(t testing.TB, list []Campaign) string {
	t.Helper()
	lines := make([]blackbox.Line, len(list))
	for i := range list {
		lines[i] = list[i].Line
	}
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	blackbox.WriteFile(t, path, blackbox.Catalog(lines...))
	return path
}
