package fleet

import (
	"fmt"
	"path/filepath"
	"strings"
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

// countries divide the campaigns, so that many compete, and win, at a time.
var countries = strings.Fields("" +
	"USA DEU FRA ITA ESP NLD SWE POL AUT BEL CHE CZE DNK FIN GRC HUN IRL NOR PRT ROU AND ARE AFG ATG AIA ALB ARM AGO ATA ARG ASM AUS ABW ALA AZE BIH BRB BGD BFA BGR " +
	"BHR BDI BEN BLM BMU BRN BOL BES BRA BHS BTN BVT BWA BLR BLZ CAN CCK COD CAF COG CIV COK CHL CMR CHN COL CRI CUB CPV CUW CXR CYP DJI DMA DOM DZA ECU EST EGY ESH " +
	"ERI ETH FJI FLK FSM FRO GAB GBR GRD GEO GUF GGY GHA GIB GRL GMB GIN GLP GNQ SGS GTM GUM GNB GUY HKG HMD HND HRV HTI IDN ISR IMN IND IOT IRQ IRN ISL JEY JAM JOR " +
	"JPN KEN KGZ KHM KIR COM KNA PRK KOR KWT CYM KAZ LAO LBN LCA LIE LKA LBR LSO LTU LUX LVA LBY MAR MCO MDA MNE MAF MDG MHL MKD MLI MMR MNG MAC MNP MTQ MRT MSR MLT " +
	"MUS MDV MWI MEX MYS MOZ NAM NCL NER NFK NGA NIC NPL NRU NIU NZL OMN PAN PER PYF PNG PHL PAK SPM PCN PRI PSE PLW PRY QAT REU SRB RUS RWA SAU SLB SYC SDN SGP SHN")

// largeLimit is more than all clients can spend on one country's large campaign,
// and little enough that its leases are asked for every few seconds.
const largeLimit = 20 * unit.NanosPerUnit

// campaigns differ in price, and in budget by a factor of up to sixteen: some run
// out soon, some late. Every fifth pays for clicks. The last one of each country
// is cheap and does not run out: whoever can pay at all can pay by it.
func campaigns(c Config) []Campaign {
	list := make([]Campaign, c.Campaigns)
	for i := range list {
		country := countries[i%c.Countries]
		if i >= len(list)-c.Countries {
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
