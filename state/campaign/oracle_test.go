package campaign_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/state/campaign"
	"millrace/state/campaign/catalogtest"
)

// The oracle: targeting decided from the text of the catalog and the text of
// the request, one line item at a time, with nothing of the compiler.

func eligible(cs *campaign.CampaignSpec, l *campaign.LineSpec, f *catalogtest.Facts) bool {
	zone, _ := time.LoadLocation(cs.TimeZone)
	now := f.Now.Time().In(zone)
	if cs.Status == "paused" || l.Status == "paused" || !dated(cs.Start, cs.End, now) || !dated(l.Start, l.End, now) {
		return false
	}
	if !opened(cs.Dayparts, now) || !opened(l.Dayparts, now) {
		return false
	}
	in, out := &l.Targeting.Include, &l.Targeting.Exclude
	for _, d := range []struct {
		in, out []string
		hit     func(string) bool
	}{
		{in.Country, out.Country, func(v string) bool { return f.Country != "" && alpha3(v) == alpha3(f.Country) }},
		{in.Region, out.Region, func(v string) bool { return f.Region != "" && region(f.Country, f.Region) == region("", v) }},
		{in.City, out.City, func(v string) bool { return f.City != "" && strings.EqualFold(v, f.City) }},
		{in.DeviceType, out.DeviceType, func(v string) bool { return device(v, f.DeviceType) }},
		{in.OS, out.OS, func(v string) bool { return f.OS != "" && osFamily(v) == osFamily(f.OS) && osFamily(v) != "" }},
		{in.Language, out.Language, func(v string) bool {
			return len(f.Language) >= 2 && strings.EqualFold(v, f.Language[:2])
		}},
		{slices.Concat(tag("s:", in.Site), tag("b:", in.Bundle)), slices.Concat(tag("s:", out.Site), tag("b:", out.Bundle)), func(v string) bool {
			for _, s := range f.Sites {
				if v == "s:"+s || strings.HasPrefix(v, "s:") && strings.HasSuffix(s, "."+v[2:]) && strings.Contains(v, ".") {
					return true
				}
			}
			return slices.Contains(tag("b:", f.Bundles), v)
		}},
		{in.Category, out.Category, func(v string) bool {
			for _, c := range f.Categories {
				if strings.EqualFold(c, v) || strings.HasPrefix(strings.ToUpper(c), strings.ToUpper(v)+"-") {
					return true
				}
			}
			return false
		}},
		{in.Segment, out.Segment, func(v string) bool {
			for _, s := range f.Segments {
				if v == s[1] || v == s[0]+"/"+s[1] {
					return true
				}
			}
			return false
		}},
	} {
		if slices.ContainsFunc(d.out, d.hit) || len(d.in) > 0 && !slices.ContainsFunc(d.in, d.hit) {
			return false
		}
	}
	inDeal := slices.ContainsFunc(l.Deals, func(d string) bool { return slices.Contains(f.Deals, d) })
	if len(l.Deals) > 0 && !inDeal || f.Private && !inDeal {
		return false
	}
	return slices.ContainsFunc(l.Creatives, func(c campaign.CreativeSpec) bool { return shown(&c, f) })
}

func shown(c *campaign.CreativeSpec, f *catalogtest.Facts) bool {
	switch {
	case c.Video != nil:
		return f.Media.Has(openrtb.VideoMedia)
	case c.Native != nil:
		return f.Media.Has(openrtb.NativeMedia)
	}
	return f.Media.Has(openrtb.BannerMedia) && (c.Size == "" || len(f.Sizes) == 0 ||
		slices.ContainsFunc(f.Sizes, func(z campaign.Size) bool { return z.String() == c.Size }))
}

func dated(start, end string, now time.Time) bool {
	day := now.Format(time.DateOnly)
	return (start == "" || day >= start) && (end == "" || day <= end)
}

func opened(dayparts []string, now time.Time) bool {
	if len(dayparts) == 0 {
		return true
	}
	h, d := now.Hour(), now.Weekday()
	weekday := d >= time.Monday && d <= time.Friday
	for _, p := range dayparts {
		switch p {
		case "mon-fri 6-23":
			if weekday && h >= 6 && h < 23 {
				return true
			}
		case "mon-fri 8-20":
			if weekday && h >= 8 && h < 20 {
				return true
			}
		case "sat,sun":
			if !weekday {
				return true
			}
		case "sat 22-3":
			if d == time.Saturday && h >= 22 || d == time.Sunday && h < 3 {
				return true
			}
		default:
			panic("the oracle doesn't know " + p)
		}
	}
	return false
}

func alpha3(code string) string {
	if a, ok := map[string]string{"US": "USA", "DE": "DEU", "FR": "FRA"}[code]; ok {
		return a
	}
	return code
}

func region(country, r string) string {
	if c, code, ok := strings.Cut(r, "-"); ok {
		return alpha3(c) + "-" + code
	}
	if country == "" {
		return "?" + r
	}
	return alpha3(country) + "-" + r
}

func device(v string, have int) bool {
	if n, err := strconv.Atoi(v); err == nil {
		return n == have
	}
	return slices.Contains(map[string][]int{"mobile": {1, 4, 5}, "desktop": {2}, "tv": {3, 7}, "phone": {4}, "tablet": {5}}[v], have)
}

func osFamily(v string) string {
	switch v = strings.ToLower(v); {
	case v == "13" || strings.HasPrefix(v, "ios"):
		return "ios"
	case v == "2" || v == "android":
		return "android"
	case strings.HasPrefix(v, "mac"):
		return "macos"
	case v == "windows" || v == "linux":
		return v
	}
	return ""
}

func tag(prefix string, values []string) (out []string) {
	for _, v := range values {
		out = append(out, prefix+v)
	}
	return out
}

// Match, Explain and the oracle agree on every line item, over random catalogs
// of both shapes and on both sides of the list/bitmap border.
func TestMatchAgreesWithOracle(t *testing.T) {
	catalogs, requests := 40, 60
	if testing.Short() {
		catalogs = 8
	}
	matched, checked := 0, 0
	for seed := range uint64(catalogs) {
		o := catalogtest.Options{Lines: 1 + int(seed*37%400), Seed: seed, Tight: seed%4 != 3}
		if seed == 7 { // large enough for values that are lists
			o.Lines = 5000
		}
		file := catalogtest.File(o)
		s, faults := campaign.Compile(file, campaign.Options{})
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		specs := specsOf(file, s)
		var q campaign.Query
		var a campaign.Activity
		base, imp, all := campaign.NewBitmap(0), campaign.NewBitmap(0), campaign.NewBitmap(0)
		for i, f := range catalogtest.Requests(requests, o) {
			f.Fill(s, &q)
			active := a.At(s, f.Now)
			s.MatchRequest(&q, active, nil, base)
			s.MatchImp(&q, base, imp)
			s.Match(&q, active, nil, all)
			if !slices.Equal(imp.Words(), all.Words()) {
				t.Fatal("Match is not MatchRequest and MatchImp")
			}
			for line := range s.Lines {
				index := campaign.LineIndex(line)
				want := eligible(specs[line].campaign, specs[line].line, &f)
				why := s.Explain(&q, f.Now, index)
				if checked++; want {
					matched++
				}
				if imp.Has(index) != want || (why == campaign.NotExcluded) != want {
					t.Fatalf("seed %d, request %d %+v\nline %s: oracle %v, Match %v, Explain %q\n%+v", seed, i, f, s.Lines[line].Name,
						want, imp.Has(index), why, specs[line].line.Targeting)
				}
			}
		}
	}
	if matched < checked/200 || matched > checked/2 {
		t.Errorf("%d of %d matched: the generator is one-sided", matched, checked)
	}
	t.Logf("%d of %d matched", matched, checked)
}

type specs struct {
	campaign *campaign.CampaignSpec
	line     *campaign.LineSpec
}

func specsOf(f *campaign.File, s *campaign.Snapshot) []specs {
	out := make([]specs, len(s.Lines))
	for a := range f.Advertisers {
		for c := range f.Advertisers[a].Campaigns {
			cs := &f.Advertisers[a].Campaigns[c]
			for l := range cs.LineItems {
				i, ok := s.Line(unit.LineID(unit.HashID("line", cs.LineItems[l].ID)))
				if !ok {
					panic("lost " + cs.LineItems[l].ID)
				}
				out[i] = specs{cs, &cs.LineItems[l]}
			}
		}
	}
	return out
}

// A mask that the shard owns narrows the answer, and never widens it.
func TestMatchLiveMask(t *testing.T) {
	o := catalogtest.Options{Lines: 300, Seed: 5, Tight: true}
	s := catalogtest.Snapshot(o)
	var q campaign.Query
	all, got, live := campaign.NewBitmap(0), campaign.NewBitmap(0), campaign.NewBitmap(len(s.Lines))
	for i := 0; i < len(s.Lines); i += 3 {
		live.Set(campaign.LineIndex(i))
	}
	for _, f := range catalogtest.Requests(50, o) {
		f.Fill(s, &q)
		s.Match(&q, nil, nil, all)
		s.Match(&q, nil, live, got)
		for i := range s.Lines {
			if l := campaign.LineIndex(i); got.Has(l) != (all.Has(l) && live.Has(l)) {
				t.Fatalf("line %d", i)
			}
		}
	}
}

// The activity set is rebuilt when it must be: asked minute by minute through a
// week with a change of clocks, it equals a fresh one.
func TestActivityThroughClockChange(t *testing.T) {
	s := catalogtest.Snapshot(catalogtest.Options{Lines: 200, Seed: 9, Tight: true})
	start := unit.WallTime(time.Date(2026, 10, 23, 20, 0, 0, 0, time.UTC).UnixNano())
	var kept campaign.Activity
	changes := 0
	var before []uint64
	for m := range 4 * 24 * 60 / 7 {
		now := start.Add(time.Duration(m) * 7 * time.Minute)
		var fresh campaign.Activity
		got, want := kept.At(s, now), fresh.At(s, now)
		if !slices.Equal(got.Words(), want.Words()) {
			t.Fatalf("stale at %v", now.Time())
		}
		if before != nil && !slices.Equal(before, got.Words()) {
			changes++
		}
		before = slices.Clone(got.Words())
	}
	if changes < 10 {
		t.Errorf("only %d changes in four days", changes)
	}
}

func TestAllocMatch(t *testing.T) {
	o := catalogtest.Options{Lines: 5000, Seed: 3}
	s := catalogtest.Snapshot(o)
	requests := catalogtest.Requests(64, o)
	type bytes struct{ country, region, city, os, language, site, bundle, category, provider, segment []byte }
	raw := make([]bytes, len(requests))
	for i, f := range requests {
		first := func(v []string) []byte { return []byte(fmt.Sprint(strings.Join(v, ""))) }
		raw[i] = bytes{[]byte(f.Country), []byte(f.Region), []byte("ÉTAMPES " + f.City), []byte(f.OS), []byte(f.Language), first(f.Sites), first(f.Bundles),
			[]byte("IAB1-2"), []byte("provider"), []byte("seg-1")}
	}
	var q campaign.Query
	var a campaign.Activity
	dst, imp := campaign.NewBitmap(0), campaign.NewBitmap(0)
	i, rejected := 0, 0
	run := func() {
		r := &raw[i%len(raw)]
		s.Begin(&q)
		q.SetGeo(r.country, r.region, r.city)
		q.SetDevice(4, r.os, r.language)
		q.AddSite(r.site)
		q.AddBundle(r.bundle)
		q.AddCategory(r.category)
		q.AddSegment(r.provider, r.segment)
		q.BlockCategory([]byte("IAB7"))
		q.BlockDomain(r.site)
		s.MatchRequest(&q, a.At(s, requests[i%len(requests)].Now), nil, dst)
		for range 2 {
			q.BeginImp()
			q.Offer(openrtb.BannerMedia)
			q.AddSize(300, 250)
			q.AddDeal(r.segment)
			s.MatchImp(&q, dst, imp)
			for l, ok := imp.Next(0); ok; l, ok = imp.Next(l + 1) {
				for c := s.Lines[l].FirstCreative; c < s.Lines[l].EndCreative; c++ {
					if s.Reject(&q, c) != campaign.Accepted {
						rejected++
					}
				}
			}
		}
		i++
	}
	for range len(raw) {
		run()
	}
	if n := testing.AllocsPerRun(500, run); n != 0 {
		t.Fatalf("%v allocations a request", n)
	}
	if rejected == 0 {
		t.Error("nothing was looked at")
	}
}
