package campaign

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

func compileText(t *testing.T, text string) *Snapshot {
	t.Helper()
	s, faults := Check("t.yaml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return s
}

func TestSnapshotOrderAndAccounts(t *testing.T) {
	s := compileText(t, `
advertisers:
  - id: a
    domain: a.example.com
    campaigns:
      - id: c
        currency: EUR
        time_zone: Europe/Berlin
        start: 2026-03-01
        end: 2026-03-31
        budget: {daily: 10.5}
        line_items:
          - {id: house, kind: house, creatives: [{id: c1, html: x, landing: "https://a.example.com"}]}
          - {id: late, price: 1, tier: 14, creatives: [{id: c2, html: x, landing: "https://a.example.com"}]}
          - {id: clicks, pricing: cpc, price: 0.5, budget: {total: 7}, creatives: [{id: c3, html: x, landing: "https://a.example.com"}, {id: c4, html: y, landing: "https://a.example.com"}]}
          - {id: sold, kind: guaranteed, price: 2.5, start: 2026-03-29T03:00, frequency_cap: {impressions: 3, per: 1d}, creatives: [{id: c5, html: x, landing: "https://a.example.com"}]}
          - {id: deal, kind: programmatic_guaranteed, price: 9, deals: [d1, d2], status: paused, creatives: [{id: c6, html: x, landing: "https://a.example.com"}]}
`)
	var names []string
	for i := range s.Lines {
		l := &s.Lines[i]
		names = append(names, fmt.Sprintf("%s/%d", l.Name, l.Tier))
		if got, ok := s.Line(l.ID); !ok || int(got) != i || l.ID != unit.LineID(unit.HashID("line", l.Name)) {
			t.Errorf("line %s is not found by its id", l.Name)
		}
		for c := l.FirstCreative; c < l.EndCreative; c++ {
			if s.Creatives[c].Line != LineIndex(i) {
				t.Errorf("creative %s is not of line %s", s.Creatives[c].Name, l.Name)
			}
			if got, ok := s.Creative(s.Creatives[c].ID); !ok || got != c {
				t.Errorf("creative %s is not found by its id", s.Creatives[c].Name)
			}
		}
	}
	if want := []string{"deal/0", "sold/2", "clicks/10", "late/14", "house/15"}; !slices.Equal(names, want) {
		t.Errorf("order %v, want %v", names, want)
	}
	deal, sold, clicks, house := &s.Lines[0], &s.Lines[1], &s.Lines[2], &s.Lines[4]
	if deal.Price != 9_000_000 || clicks.Price != unit.NanosPerUnit/2 || sold.Currency.String() != "EUR" {
		t.Errorf("prices %v %v %v", deal.Price, clicks.Price, sold.Currency)
	}
	if !slices.Equal(s.Deals(0), []string{"d1", "d2"}) || !deal.Paused || len(s.Deals(1)) != 0 {
		t.Errorf("deals %v", s.Deals(0))
	}
	if sold.FrequencyCap != (FrequencyCap{3, 24 * time.Hour}) {
		t.Errorf("%+v", sold.FrequencyCap)
	}
	berlin, _ := time.LoadLocation("Europe/Berlin")
	if want := time.Date(2026, 3, 29, 3, 0, 0, 0, berlin); sold.Start != unit.WallTime(want.UnixNano()) {
		t.Errorf("starts %v", sold.Start.Time())
	}
	if want := time.Date(2026, 4, 1, 0, 0, 0, 0, berlin); sold.End != unit.WallTime(want.UnixNano()) {
		t.Errorf("the last day is not included: ends %v", sold.End.Time())
	}
	if house.Account != NoAccount || house.Billable() || clicks.Account == NoAccount || clicks.LineAccount == NoAccount || sold.LineAccount != NoAccount {
		t.Errorf("accounts: house %d, clicks %v", house.Account, clicks.Accounts())
	}
	a := &s.Accounts[clicks.Account]
	if a.Name != "campaign/c" || a.Daily != 10_500_000_000 || a.Total != 0 || a.Zone.String() != "Europe/Berlin" || a.Campaign != s.Campaigns[0].ID {
		t.Errorf("%+v", a)
	}
	if b := &s.Accounts[clicks.LineAccount]; b.Name != "line/clicks" || b.Total != 7*unit.NanosPerUnit {
		t.Errorf("%+v", b)
	}
	if i, ok := s.Account(a.ID); !ok || i != clicks.Account {
		t.Error("the account is not found by its id")
	}
	if _, ok := s.Account(1); ok || s.Advertiser(0).Name != "a" {
		t.Error("an account that is not there, or the wrong advertiser")
	}
}

func TestReject(t *testing.T) {
	s := compileText(t, `
advertisers:
  - id: a
    domain: shop.acme.example.com
    cat: [IAB7-39]
    campaigns:
      - id: c
        line_items:
          - id: l
            price: 1
            creatives:
              - {id: plain, size: 300x250, html: "<b>x</b>", landing: "https://a.example.com", attr: [3, 6], bundle: com.Example.App}
              - {id: script, html: "<script src='http://x.example.com/a.js'></script>", landing: "https://a.example.com"}
              - {id: video, landing: "https://a.example.com", video: {duration: 15s, files: [{url: "https://a.example.com/v.mp4", mime: video/mp4, size: 640x360}]}}
`)
	type imp = func(q *Query)
	banner := func(q *Query) { q.Offer(openrtb.BannerMedia) }
	cases := []struct {
		name, creative string
		imps           []imp
		want           Rejection
	}{
		{"no size stated", "plain", []imp{banner}, Accepted},
		{"its size", "plain", []imp{banner, func(q *Query) { q.AddSize(728, 90); q.AddSize(300, 250) }}, Accepted},
		{"other size", "plain", []imp{banner, func(q *Query) { q.AddSize(300, 600) }}, WrongSize},
		{"any size", "script", []imp{banner, func(q *Query) { q.AddSize(300, 600) }}, Accepted},
		{"nonsense size", "plain", []imp{banner, func(q *Query) { q.AddSize(-1, 1<<20) }}, Accepted},
		{"no banner", "plain", []imp{func(q *Query) { q.Offer(openrtb.VideoMedia) }}, WrongMedia},
		{"video", "video", []imp{func(q *Query) { q.Offer(openrtb.VideoMedia); q.AddSize(1, 1) }}, Accepted},
		{"insecure", "script", []imp{banner, (*Query).SetSecure}, NotSecure},
		{"secure", "plain", []imp{banner, (*Query).SetSecure}, Accepted},
		{"btype", "script", []imp{banner, func(q *Query) { q.BlockType(3) }}, BlockedType},
		{"battr", "plain", []imp{banner, func(q *Query) { q.BlockAttribute(openrtb.BannerMedia, 6) }}, BlockedAttribute},
		{"battr of video", "plain", []imp{banner, func(q *Query) { q.BlockAttribute(openrtb.VideoMedia, 6) }}, Accepted},
		{"bcat", "plain", []imp{banner, func(q *Query) { q.BlockCategory([]byte("iab7-39")) }}, BlockedCategory},
		{"bcat parent", "plain", []imp{banner, func(q *Query) { q.BlockCategory([]byte("IAB7")) }}, BlockedCategory},
		{"bcat sibling", "plain", []imp{banner, func(q *Query) { q.BlockCategory([]byte("IAB7-3")) }}, Accepted},
		{"badv", "plain", []imp{banner, func(q *Query) { q.BlockDomain([]byte("Shop.ACME.example.com")) }}, BlockedDomain},
		{"badv above", "plain", []imp{banner, func(q *Query) { q.BlockDomain([]byte("acme.example.com")) }}, BlockedDomain},
		{"badv below", "plain", []imp{banner, func(q *Query) { q.BlockDomain([]byte("x.shop.acme.example.com")) }}, Accepted},
		{"badv suffix of a label", "plain", []imp{banner, func(q *Query) { q.BlockDomain([]byte("me.example.com")) }}, Accepted},
		{"bapp", "plain", []imp{banner, func(q *Query) { q.BlockApp([]byte("com.example.app")) }}, BlockedApp},
	}
	var q Query
	for _, c := range cases {
		s.Begin(&q)
		for _, f := range c.imps {
			f(&q)
		}
		i, _ := s.Creative(unit.CreativeID(unit.HashID("creative", c.creative)))
		if got := s.Reject(&q, i); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	s.Begin(&q)
	banner(&q)
	if i, _ := s.Creative(unit.CreativeID(unit.HashID("creative", "plain"))); s.Reject(&q, i) != Accepted {
		t.Error("blocks of the last request are still there")
	}
}

func TestCountries(t *testing.T) {
	for text, want := range map[string]string{"US": "USA", "usa": "USA", "DE": "DEU", "ZWE": "ZWE", "AD": "AND", "gb": "GBR",
		"": "", "UK": "", "U": "", "USAX": "", "U1": "", "ÄÖ": "", "XX": ""} {
		if got := parseCountry(text).alpha3(); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
		if got := parseCountry([]byte(text)).alpha3(); got != want {
			t.Errorf("bytes %q are %q, want %q", text, got, want)
		}
	}
	seen := map[string]bool{}
	for c := country(1); int(c) < countriesMax; c++ {
		if a := c.alpha3(); parseCountry(a) != c || seen[a] {
			t.Errorf("%d: %s", c, a)
		}
		seen[c.alpha3()] = true
	}
	if len(seen) != 250 {
		t.Errorf("%d countries", len(seen))
	}
}

func TestOperatingSystems(t *testing.T) {
	for text, want := range map[string]uint32{"iOS": 13, "iOS 17.2": 13, "iPadOS": 13, "ANDROID": 2, "Android 14": 2, "Mac OS X": 15, "OS X": 15,
		"Windows 10": 28, "Windows NT": 28, "PS3": 21, "Chrome OS": 8, "webOS": 27, "": 0, "17": 0, "TempleOS": 0} {
		if got, _ := parseOS(nil, text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
	for _, o := range operatingSystems {
		if got, _ := parseOS(nil, o.name); got != o.number || o.number > osLast {
			t.Errorf("%s is %d", o.name, got)
		}
	}
}

func TestParseHours(t *testing.T) {
	count := func(h hours) (n int) {
		for i := range weekHours {
			if h.has(i) {
				n++
			}
		}
		return n
	}
	for text, want := range map[string]int{"8-20": 7 * 12, "mon-fri 8-20": 5 * 12, "sat,sun": 48, "mon": 24, "Monday 9": 1, "0-24": 168,
		"22-6": 7 * 8, "fri-mon 0-1": 4, "sun 23-2": 3, "tue 08:00-10:00": 2} {
		var h hours
		if !parseHours(text, &h) || count(h) != want {
			t.Errorf("%q: %d hours, want %d", text, count(h), want)
		}
	}
	var h hours
	parseHours("sun 23-2", &h)
	if !h.has(6*24+23) || !h.has(0) || !h.has(1) || h.has(2) {
		t.Error("hours past midnight on Sunday are not Monday's")
	}
	for _, text := range []string{"", "8-", "25", "8-8", "mon-", "foo 8-9", "mon 8-9 x", "24-2", "-1-4", "mo"} {
		if parseHours(text, &h) {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestBitmapAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 63, 64, 65, 1000} {
		b, m := NewBitmap(n), map[LineIndex]bool{}
		for range 3 * n {
			i := LineIndex(r.IntN(n))
			if r.IntN(3) > 0 {
				b.Set(i)
				m[i] = true
			} else {
				b.Clear(i)
				delete(m, i)
			}
		}
		count := 0
		for i, ok := b.Next(0); ok; i, ok = b.Next(i + 1) {
			if !m[i] || !b.Has(i) {
				t.Fatalf("n %d: %d is not in the set", n, i)
			}
			count++
		}
		if count != len(m) || b.Len() != count {
			t.Errorf("n %d: walked %d, Len %d, want %d", n, count, b.Len(), len(m))
		}
		if b.Fill(n); b.Len() != n {
			t.Errorf("Fill(%d) holds %d", n, b.Len())
		}
	}
	if _, ok := NewBitmap(0).Next(0); ok {
		t.Error("an empty bitmap has a line")
	}
}

func TestQueryOverflow(t *testing.T) {
	text := `advertisers: [{id: a, domain: a.example.com, campaigns: [{id: c, line_items: [{id: l, price: 1, targeting: {include: {segment: [`
	for i := range 300 {
		text += fmt.Sprintf("s%d, ", i)
	}
	s := compileText(t, text+`]}}, creatives: [{id: x, html: x, landing: 'https://a.example.com'}]}]}]}]`)
	var q Query
	s.Begin(&q)
	for i := range 300 {
		q.AddSegment(nil, fmt.Appendf(nil, "s%d", i))
	}
	if !q.Overflow || len(q.values[dimSegment]) != valuesMax {
		t.Errorf("overflow %v, %d values", q.Overflow, len(q.values[dimSegment]))
	}
	if s.Begin(&q); q.Overflow || len(q.values[dimSegment]) != 0 {
		t.Error("Begin does not forget")
	}
}
