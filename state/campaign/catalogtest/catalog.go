package catalogtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"millrace/state/campaign"
	"millrace/state/pacing"
)

// Options of a synthetic catalog.
type Options struct {
	Lines int
	Seed  uint64
	// Tight draws all values from small vocabularies.
	Tight bool
}

// File is a parsed synthetic catalog. It panics on a fault: that is a mistake
// of the generator.
func File(o Options) *campaign.File {
	f, faults := campaign.Parse("synthetic.json", JSON(o))
	if len(faults) > 0 {
		panic("catalogtest: " + faults.Error())
	}
	return f
}

// Snapshot is a compiled synthetic catalog. It panics on a fault.
func Snapshot(o Options) *campaign.Snapshot {
	s, faults := campaign.Compile(File(o), campaign.Options{Version: 1})
	if len(faults) > 0 {
		panic("catalogtest: " + faults.Error())
	}
	return s
}

// JSON is the text of a synthetic catalog.
func JSON(o Options) []byte {
	w := writer{r: rand.New(rand.NewPCG(o.Seed, 0x6d696c6c72616365)), v: wide}
	if o.Tight {
		w.v = tight
	}
	w.open("{\"advertisers\": [")
	for line, a := 0, 0; line < o.Lines; a++ {
		w.item(fmt.Sprintf("{\"id\": \"adv-%d\", \"name\": \"Advertiser %d\", \"domain\": \"shop%d.example.com\", \"cat\": [\"IAB%d\"], \"campaigns\": [", a, a, a, 1+a%26))
		for c := 0; c < 3 && line < o.Lines; c++ {
			w.campaign(fmt.Sprintf("camp-%d-%d", a, c), &line, min(o.Lines, line+1+w.r.IntN(20)))
		}
		w.close("]}")
	}
	w.close("\n]}\n")
	return []byte(w.b.String())
}

// vocabulary is where values are drawn from.
type vocabulary struct {
	countries, regions, cities, devices, os, languages, sites, bundles, categories, segments, deals, zones []string
	sizes                                                                                                  []string
	// share scales how often a dimension is targeted.
	share float64
}

var wide = vocabulary{
	countries: strings.Fields("USA IND BRA DEU GBR FRA JPN MEX IDN ITA ESP CAN KOR TUR POL NLD AUS ARG COL THA VNM PHL MYS SAU ZAF EGY NGA SWE BEL CHE AUT NOR DNK FIN PRT GRC CZE ROU HUN ISR ARE CHL PER UKR IRL NZL SGP HKG TWN KEN"),
	regions:   numbered("US-%s", strings.Fields("CA NY TX FL WA IL MA GA NC OH PA AZ CO VA OR MI")),
	cities:    words("City ", 400),
	devices:   strings.Fields("mobile desktop tv phone tablet 1 2 4 5"),
	os:        strings.Fields("android ios windows macos linux 13 2"),
	languages: strings.Fields("en es de fr pt ja it nl pl tr ko ar hi id"),
	sites:     words("site%d.example.net", 5000),
	bundles:   words("com.example.app%d", 3000),
	categories: func() (out []string) {
		for i := 1; i <= 26; i++ {
			out = append(out, fmt.Sprintf("IAB%d", i))
			for j := 1; j <= 12; j++ {
				out = append(out, fmt.Sprintf("IAB%d-%d", i, j))
			}
		}
		return out
	}(),
	segments: words("seg-%d", 2000),
	deals:    words("deal-%d", 300),
	zones:    strings.Fields("UTC America/New_York America/Los_Angeles Europe/Berlin Asia/Kolkata Asia/Tokyo America/Sao_Paulo"),
	sizes:    strings.Fields("300x250 300x250 300x250 320x50 320x50 728x90 728x90 160x600 300x600 970x250 320x100 468x60 336x280 120x600 320x480"),
	share:    1,
}

var tight = vocabulary{
	countries:  strings.Fields("US DEU FR"),
	regions:    strings.Fields("US-CA US-NY DE-BY FRA-IDF"),
	cities:     []string{"Berlin", "São Paulo", "new york"},
	devices:    strings.Fields("mobile desktop tablet 1"),
	os:         strings.Fields("android ios Windows"),
	languages:  strings.Fields("en de FR"),
	sites:      strings.Fields("example.com blog.example.net news.example.com site-7"),
	bundles:    strings.Fields("com.example.a com.example.b"),
	categories: strings.Fields("IAB1 iab2-3 IAB1-2 IAB2"),
	segments:   strings.Fields("s1 s2 p1/s1 p2/s3"),
	deals:      strings.Fields("d1 d2 d3"),
	zones:      strings.Fields("UTC Europe/Berlin America/New_York Asia/Kathmandu"),
	sizes:      strings.Fields("300x250 320x50 728x90"),
	share:      1.8,
}

func numbered(format string, values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprintf(format, v)
	}
	return out
}

func words(format string, n int) []string {
	if !strings.Contains(format, "%d") {
		format += "%d"
	}
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i)
	}
	return out
}

type writer struct {
	b     strings.Builder
	r     *rand.Rand
	v     vocabulary
	comma []bool
}

// open begins a list, item begins one of its elements, close ends the list.
func (w *writer) open(text string) {
	w.b.WriteString(text)
	w.comma = append(w.comma, false)
}

func (w *writer) item(text string) {
	if w.comma[len(w.comma)-1] {
		w.b.WriteByte(',')
	}
	w.b.WriteByte('\n')
	w.comma[len(w.comma)-1] = true
	w.open(text)
}

func (w *writer) close(text string) {
	w.b.WriteString(text)
	w.comma = w.comma[:len(w.comma)-1]
}

func (w *writer) chance(p float64) bool { return w.r.Float64() < p }

// pick is skewed to the front: the first values are the common ones.
func (w *writer) pick(from []string) string {
	return from[int(float64(len(from))*math.Pow(w.r.Float64(), 2.5))]
}

func (w *writer) campaign(id string, line *int, until int) {
	fmt.Fprintf(&w.b, "%s\n {\"id\": %q, \"name\": \"Campaign %s\", \"time_zone\": %q, \"budget\": {\"daily\": %d, \"pacing\": \"asap\"}", w.separator(), id, id, w.pick(w.v.zones), 50+w.r.IntN(2000))
	if w.chance(0.2) {
		w.b.WriteString(", \"start\": \"2026-01-01\", \"end\": \"2027-06-30\"")
	}
	if w.chance(0.1) {
		w.b.WriteString(", \"dayparts\": [\"mon-fri 6-23\", \"sat,sun\"]")
	}
	w.open(", \"line_items\": [")
	for ; *line < until; *line++ {
		w.line(*line)
	}
	w.close("]}")
}

// separator is the comma between the elements of the list at hand.
func (w *writer) separator() string {
	last := len(w.comma) - 1
	if w.comma[last] {
		return ","
	}
	w.comma[last] = true
	return ""
}

func (w *writer) line(n int) {
	fmt.Fprintf(&w.b, "%s\n  {\"id\": \"line-%d\", \"name\": \"Line item %d\"", w.separator(), n, n)
	w.deal(n)
	if w.chance(0.4) {
		fmt.Fprintf(&w.b, ", \"frequency_cap\": {\"impressions\": %d, \"per\": \"%dh\"}", 1+w.r.IntN(10), 1+w.r.IntN(48))
	}
	if w.chance(0.1 * w.v.share) {
		w.b.WriteString(", \"dayparts\": [\"mon-fri 8-20\", \"sat 22-3\"]")
	}
	if w.chance(0.05 * w.v.share) {
		w.b.WriteString(", \"status\": \"paused\"")
	}
	w.b.WriteString(", \"targeting\": {")
	w.open("\"include\": {")
	w.dimensions(w.v.share, n)
	w.close("}, ")
	w.open("\"exclude\": {")
	w.dimensions(w.v.share*0.25, -1)
	w.close("}}")
	w.open(", \"creatives\": [")
	for i := range 1 + w.r.IntN(3) {
		w.creative(fmt.Sprintf("line-%d-cr-%d", n, i), n)
	}
	w.close("]}")
}

func (w *writer) deal(n int) {
	price := fmt.Sprintf("%d.%02d", 1+w.r.IntN(9), w.r.IntN(100))
	switch k := w.r.IntN(100); {
	case n%1000 == 999:
		w.b.WriteString(", \"kind\": \"house\"")
	case k < 4:
		fmt.Fprintf(&w.b, ", \"kind\": \"programmatic_guaranteed\", \"price\": %s, \"deals\": [%q, %q]", price, w.pick(w.v.deals), w.pick(w.v.deals))
	case k < 14:
		fmt.Fprintf(&w.b, ", \"kind\": \"guaranteed\", \"tier\": %d, \"price\": %s", 1+w.r.IntN(4), price)
	case k < 34:
		fmt.Fprintf(&w.b, ", \"pricing\": \"cpc\", \"price\": 0.%02d", 10+w.r.IntN(90))
	case k < 44:
		fmt.Fprintf(&w.b, ", \"pricing\": \"cpa\", \"price\": %s, \"budget\": {\"daily\": %d, \"pacing\": \"asap\"}", price, 20+w.r.IntN(100))
	default:
		fmt.Fprintf(&w.b, ", \"price\": %s", price)
	}
}

// dimensions writes one side of targeting; n ≥ 0 decides that a line item is
// sold on sites or in apps, never on both.
func (w *writer) dimensions(share float64, n int) {
	list := func(name string, p float64, most int, from []string) {
		if !w.chance(p * share) {
			return
		}
		fmt.Fprintf(&w.b, "%s%q: [", w.separator(), name)
		taken := map[string]bool{}
		for i := range 1 + w.r.IntN(most) {
			v := w.pick(from)
			if taken[v] {
				continue
			}
			taken[v] = true
			if i > 0 {
				w.b.WriteString(", ")
			}
			fmt.Fprintf(&w.b, "%q", v)
		}
		w.b.WriteByte(']')
	}
	if n < 0 {
		// What is included is not excluded as well: exclusions take other
		// dimensions' values, from the far end of the vocabulary.
		tail := func(from []string) []string { return from[len(from)/2:] }
		list("country", 0.2, 3, tail(w.v.countries))
		list("category", 0.5, 4, tail(w.v.categories))
		list("site", 0.4, 8, tail(w.v.sites))
		list("segment", 0.3, 3, tail(w.v.segments))
		list("language", 0.1, 2, tail(w.v.languages))
		return
	}
	head := func(from []string) []string { return from[:max(1, len(from)/2)] }
	list("country", 0.6, 5, head(w.v.countries))
	list("region", 0.05, 4, w.v.regions)
	list("city", 0.03, 5, w.v.cities)
	list("device_type", 0.3, 2, w.v.devices)
	list("os", 0.15, 2, w.v.os)
	list("language", 0.15, 3, head(w.v.languages))
	if n%2 == 0 {
		list("site", 0.2, 20, head(w.v.sites))
	} else {
		list("bundle", 0.2, 20, w.v.bundles)
	}
	list("category", 0.25, 4, head(w.v.categories))
	list("segment", 0.15, 5, head(w.v.segments))
}

func (w *writer) creative(id string, line int) {
	fmt.Fprintf(&w.b, "%s\n   {\"id\": %q, \"landing\": \"https://shop.example.com/p/%d?c=%s\", \"ctr\": 0.%04d, \"cvr\": 0.0%d", w.separator(), id, line, id, 1+w.r.IntN(90), 1+w.r.IntN(9))
	if w.chance(0.1) {
		fmt.Fprintf(&w.b, ", \"cat\": [\"IAB%d-%d\"], \"attr\": [%d]", 1+w.r.IntN(26), 1+w.r.IntN(9), 1+w.r.IntN(16))
	}
	switch k := w.r.IntN(20); {
	case k < 2:
		w.b.WriteString(", \"video\": {\"duration\": \"15s\", \"files\": [{\"url\": \"https://cdn.example.com/v.mp4\", \"mime\": \"video/mp4\", \"size\": \"1280x720\"}]}}")
	case k < 4:
		w.b.WriteString(", \"native\": {\"title\": \"A headline\", \"desc\": \"And what it is about.\", \"sponsored\": \"Shop\", \"image\": {\"url\": \"https://cdn.example.com/i.jpg\", \"size\": \"1200x627\"}}}")
	case k < 5:
		w.b.WriteString(", \"html\": \"<a href=\\\"${MILLRACE_CLICK}\\\">Any size</a>\"}")
	default:
		fmt.Fprintf(&w.b, ", \"size\": %q, \"image\": \"https://cdn.example.com/b/%d.png\"}", w.pick(w.v.sizes), line%500)
	}
}

// Unpaced makes every budget of a file spend as fast as it can: for tests and
// benchmarks of what a decision does when nobody sits it out.
func Unpaced(f *campaign.File) *campaign.File {
	for i := range f.Advertisers {
		for j := range f.Advertisers[i].Campaigns {
			c := &f.Advertisers[i].Campaigns[j]
			c.Budget.Pacing = pacing.ASAP.String()
			for k := range c.LineItems {
				if b := c.LineItems[k].Budget; b != nil {
					b.Pacing = pacing.ASAP.String()
				}
			}
		}
	}
	return f
}
