package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"millrace/codec/event"
)

// tiersWorld is one in which who is asked matters more than what is shown: users
// in some countries click ten times as often as in others, on phones more
// often than on desktops, and a tenth of the users never does; and in which the ad
// that pays best is of a category that is clicked often, but states no rate.
type tiersWorld struct{}

func (tiersWorld) rate(creative, country string, device, user int) float64 {
	rate := 0.02
	if strings.HasPrefix(creative, "dull") {
		rate = 0.004
	}
	if country == "CAN" {
		rate *= 5
	} else {
		rate *= 0.5
	}
	if device == 4 {
		rate *= 1.8
	}
	if user%10 == 0 {
		return 0
	}
	return rate
}

func (tiersWorld) catalog() string {
	const creative = `size: 300x250, cat: [%s], html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/"`
	var lines []line
	for n := range 6 {
		lines = append(lines, line{fmt.Sprintf("keen%d", n), "pricing: cpc, price: 0.25", fmt.Sprintf(creative, "IAB1") + ", ctr: 0.05"})
		lines = append(lines, line{fmt.Sprintf("dull%d", n), "pricing: cpc, price: 0.30", fmt.Sprintf(creative, "IAB2") + ", ctr: 0.01"})
	}
	lines = append(lines, line{"best-unrated", "pricing: cpc, price: 0.34", fmt.Sprintf(creative, "IAB1")})
	lines = append(lines, line{"cpm", "price: 12", ""})
	return strings.Replace(catalog(lines...), "daily: 100", "daily: 1000000", 1)
}

// play puts one stream of requests to a node and measures by the truth what its
// answers were worth a thousand requests. With plain all requests are of one
// group and no user is known: counts are all there is to go by.
func (v tiersWorld) play(t *testing.T, shards, requests int, plain bool) (revenue float64, transcript []string) {
	w := world(t, Config{Seed: 3, Shards: shards, Catalog: compile(t, v.catalog())})
	r := rand.New(rand.NewPCG(8, 8))
	counted := 0
	for i := range requests {
		user := r.IntN(300)
		country, device := []string{"CAN", "USA", "DEU"}[user/10%3], []int{2, 4}[user/30%2]
		about := fmt.Sprintf(`"device":{"devicetype":%d,"os":"x","geo":{"country":%q}},"user":{"id":"u%d"}`, device, country, user)
		if plain {
			about = `"device":{"devicetype":2}`
		}
		a := w.Bid([]byte(fmt.Sprintf(`{"id":"r%d","imp":[{"id":"1","banner":{"w":300,"h":250}}],"site":{"domain":"s.example"},%s}`, i, about)))
		transcript = append(transcript, string(a.Body))
		lot, b := r.Float64(), bidsOf(t, a)[0]
		rate := v.rate(b.CRID, country, device, user)
		if i >= requests/2 {
			counted++
			switch b.CRID[:4] {
			case "cpm-":
				revenue += 12.0 / 1000
			case "best":
				revenue += 0.34 * rate
			case "dull":
				revenue += 0.30 * rate
			default:
				revenue += 0.25 * rate
			}
		}
		w.Event(event.Impression, token(t, b.Adm, event.Impression))
		if lot < rate {
			w.Event(event.Click, token(t, b.Adm, event.Click))
		}
		if i%50 == 0 {
			w.Advance(2 * time.Second)
		}
	}
	return revenue / float64(counted) * 1000, transcript
}

// TestTiersEarn: without any model, what is known of segments, cohorts and users
// is worth money: clicks are bought from who clicks, and the others see what is
// paid by the impression.
func TestTiersEarn(t *testing.T) {
	requests := 20_000
	if testing.Short() {
		t.Skip("takes thousands of requests to learn")
	}
	var v tiersWorld
	without, _ := v.play(t, 2, requests, true)
	with, _ := v.play(t, 2, requests, false)
	t.Logf("revenue a thousand requests: %.2f by creatives' counts, %.2f by tiers (× %.2f)", without, with, with/without)
	if with < 1.15*without {
		t.Errorf("%.2f after %.2f: the tiers do not pay", with, without)
	}
}

// TestTiersShardCountDoesNotDecide: the same groups, fitted to the same counts,
// on any number of shards.
func TestTiersShardCountDoesNotDecide(t *testing.T) {
	var v tiersWorld
	var want []string
	for _, shards := range []int{1, 2, 7} {
		_, got := v.play(t, shards, 8000, false)
		if got = canonical(got); want == nil {
			want = got
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%d shards, answer %d:\n got %s\nwant %s", shards, i, got[i], want[i])
			}
		}
	}
	later := strings.Join(want[4000:], "")
	if !strings.Contains(later, `"cpm-cr"`) || !strings.Contains(later, `"best-unrated-cr"`) {
		t.Error("the tiers change nothing: the test shows nothing")
	}
}

// TestTiersExplained: the explanation names the tier.
func TestTiersExplained(t *testing.T) {
	w := world(t, Config{Catalog: compile(t, tiersWorld{}.catalog())})
	a := w.Explain([]byte(`{"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250}}],"user":{"id":"u"}}`))
	if !strings.Contains(string(a.Body), `"tier":{"speaks":"category","scale":1}`) {
		t.Errorf("%s", a.Body)
	}
}
