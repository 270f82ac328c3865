package selection

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/models/coldstart"
	"millrace/models/feature"
	"millrace/models/ladder"
	"millrace/state/campaign"
	"millrace/state/campaign/catalogtest"
	"millrace/state/profile"
)

// naiveGroups keeps counts by name: of categories, segments and cohorts.
type naiveGroups struct {
	categories, segments, cohorts map[string]*Counts
	met                           []string // cohorts, in the order they were met
	all                           Counts

	// What follows from the counts, once it was worked out.
	fitted   *coldstart.Levels
	seen     func(*Counts) coldstart.Seen
	strength float64 // of categories
}

func byName(m *map[string]*Counts, name string) *Counts {
	if *m == nil {
		*m = map[string]*Counts{}
	}
	if (*m)[name] == nil {
		(*m)[name] = &Counts{}
	}
	return (*m)[name]
}

func (g *naiveGroups) category(cats []string) *Counts {
	return byName(&g.categories, strings.Join(cats[:min(len(cats), 1)], ""))
}

// names of the groups of a request's impression.
func (g *naiveGroups) names(r *naiveRequest, imp *naiveImp) (segment, cohort string) {
	media := 3
	switch {
	case imp.Banner != nil:
		media = 0
	case imp.Video != nil:
		media = 1
	case imp.Audio != nil:
		media = 2
	}
	segment = fmt.Sprintf("%d/%d", media, r.Device.DeviceType)
	return segment, strings.ToLower(segment + "/" + r.Device.Geo.Country + "/" + r.Device.OS)
}

// levels by the words of the documentation: trials are impressions in proportion
// to the clicks that were expected, strengths those of the fit.
func (g *naiveGroups) levels() (l coldstart.Levels, seen func(*Counts) coldstart.Seen) {
	var names []string
	var clicks, expected float64
	for name, c := range g.segments {
		names = append(names, name)
		clicks += float64(c[1])
		expected += float64(c[0])
	}
	slices.Sort(names)
	expected /= 1e6
	trials := float64(g.all[0]) / expected
	seen = func(c *Counts) coldstart.Seen {
		return coldstart.Seen{Successes: float64(c[1]), Trials: float64(c[0]) / 1e6 * trials}
	}
	l.Mean = clicks / float64(g.all[0])
	fit := func(m *coldstart.Moments) float64 {
		if p, ok := m.Fit(); ok && m.Groups >= 3 && m.Successes >= 50 {
			return p.Strength
		}
		return 20 / l.Mean
	}
	var segments, cohorts coldstart.Moments
	for _, name := range names {
		segments.Group(seen(g.segments[name]))
	}
	l.Strengths[coldstart.Segment] = fit(&segments)
	for _, name := range g.met {
		own := seen(g.cohorts[name])
		parts := strings.Split(name, "/")
		of := coldstart.Prior{Mean: l.Mean, Strength: l.Strengths[coldstart.Segment]}.After(seen(g.segments[parts[0]+"/"+parts[1]]))
		own.Trials *= of.Mean / l.Mean
		cohorts.Group(own)
	}
	l.Strengths[coldstart.Cohort] = fit(&cohorts)
	return l, seen
}

// factor of a request of whose user nothing is known.
func (g *naiveGroups) factor(r *naiveRequest, imp *naiveImp) float64 {
	if g.met == nil {
		return 1
	}
	if g.fitted == nil {
		l, seen := g.levels()
		g.fitted, g.seen = &l, seen
	}
	l, seen := g.fitted, g.seen
	segment, _ := g.names(r, imp)
	p := coldstart.Prior{Mean: l.Mean, Strength: l.Strengths[coldstart.Segment]}.After(seen(byName(&g.segments, segment)))
	return min(max(p.Mean/l.Mean, 1.0/8), 8)
}

// prior is the click rate before a creative's own events: its own, or that of its
// media beside what its category was clicked.
func (n *naive) prior(cr *campaign.Creative) float64 {
	if !cr.Unrated || n.groups.met == nil {
		return float64(cr.CTR)
	}
	if n.groups.strength == 0 {
		n.groups.strength = n.categoryStrength()
	}
	c := n.groups.category(cr.Categories)
	return (float64(c[1]) + float64(cr.CTR)*n.groups.strength) / (float64(max(c[0], c[1])) + n.groups.strength)
}

func (n *naive) categoryStrength() float64 {
	var m coldstart.Moments
	var names []string
	for name := range n.groups.categories {
		names = append(names, name)
	}
	// In the order of the catalog, as sums of floats depend on it.
	at := func(name string) int {
		return slices.IndexFunc(n.s.Creatives, func(c campaign.Creative) bool {
			return strings.Join(c.Categories[:min(len(c.Categories), 1)], "") == name
		})
	}
	slices.SortFunc(names, func(a, b string) int { return at(a) - at(b) })
	for _, name := range names {
		c := n.groups.categories[name]
		m.Group(coldstart.Seen{Successes: float64(c[1]), Trials: float64(c[0])})
	}
	if p, ok := m.Fit(); ok && m.Groups >= 3 && m.Successes >= 50 {
		return p.Strength
	}
	return 1000
}

// pasts gives the groups of the requests a past, in the selector and in the naive
// evaluation.
func pasts(t *testing.T, r *rand.Rand, s *Selector, n *naive, o catalogtest.Options) {
	t.Helper()
	for i, f := range catalogtest.Requests(40, o) {
		f.Sites = f.Sites[:min(len(f.Sites), 1)]
		body := f.AppendJSON(nil, fmt.Sprint("user-", i))
		var view openrtb.BidRequest
		var plain naiveRequest
		if fault := openrtb.Parse(body, &view); !fault.OK() {
			t.Fatalf("%s: %s", fault.AppendReason(nil), body)
		}
		if err := json.Unmarshal(body, &plain); err != nil {
			t.Fatal(err)
		}
		s.Begin(&view, User{}, Choice{}, 0, startWall)
		s.BeginImp(&view.Imp[0])
		d := Counts{uint64(r.IntN(20e6)), uint64(r.IntN(30)), 0}
		s.LearnGroup(s.Group(), &d)
		segment, cohort := n.groups.names(&plain, &plain.Imp[0])
		byName(&n.groups.segments, segment).add(&d)
		if !slices.Contains(n.groups.met, cohort) {
			n.groups.met = append(n.groups.met, cohort)
		}
		byName(&n.groups.cohorts, cohort).add(&d)
	}
	for range 3 {
		s.FitTiers()
	}
}

func tierRequest(t testing.TB, media, country string) *openrtb.BidRequest {
	t.Helper()
	var r openrtb.BidRequest
	body := fmt.Sprintf(`{"id":"1","imp":[{"id":"1",%s}],"site":{"id":"s"},"device":{"devicetype":4,"os":"iOS","geo":{"country":%q}},"user":{"id":"u"}}`, media, country)
	if fault := openrtb.Parse([]byte(body), &r); !fault.OK() {
		t.Fatalf("%s", fault.AppendReason(nil))
	}
	return &r
}

const tierBanner, tierVideo = `"banner":{"w":300,"h":250}`, `"video":{"mimes":["video/mp4"]}`

// tiered is a selector whose banners are clicked half as often as expected, its
// videos as often and half; in Canada all twice as often as elsewhere.
func tiered(t testing.TB) *Selector {
	t.Helper()
	snap := catalogtest.Snapshot(catalogtest.Options{Lines: 200, Seed: 3})
	p, err := NewPredictor(feature.Default(), newUsers(t))
	if err != nil {
		t.Fatal(err)
	}
	s := NewSelector(Prepare(snap, Default()), NewRates(), newCaps(t), p)
	for media, clicks := range map[string]uint64{tierBanner: 500, tierVideo: 1500} {
		for i, country := range []string{"CAN", "USA", "DEU", "FRA"} {
			r := tierRequest(t, media, country)
			s.Begin(r, User{}, Choice{}, 0, startWall)
			s.BeginImp(&r.Imp[0])
			d := Counts{1000 * expectedUnit, clicks, 0}
			if i == 0 {
				d[1] *= 2
			}
			s.LearnGroup(s.Group(), &d)
		}
	}
	s.Learn(snap.Creatives[0].ID, &Counts{1_000_000, 5000, 0})
	s.FitTiers()
	return s
}

// TestTiersSpeak: which tier scales rates goes by what is known of the user, and
// the scale is near what was counted.
func TestTiersSpeak(t *testing.T) {
	s := tiered(t)
	past := func(u unit.UserID, impressions, clicks int) {
		for range impressions {
			s.predictor.users.Add(u, profile.Impression, profile.Subject{}, 0)
		}
		for range clicks {
			s.predictor.users.Add(u, profile.Click, profile.Subject{}, 0)
		}
	}
	past(1, 9, 9)
	past(2, 50, 0)
	past(3, 1000, 100)
	// Of a mean of 1.25: banners 0.625, Canadian banners 1; a user clicking 10 %
	// where 1 % is usual.
	for _, c := range []struct {
		user           unit.UserID
		media, country string
		tier           coldstart.Tier
		low, high      float64
	}{
		{9, tierBanner, "CAN", coldstart.Segment, 0.45, 0.56}, {9, tierVideo, "CAN", coldstart.Segment, 1.4, 1.55},
		{1, tierBanner, "CAN", coldstart.Segment, 0.45, 0.56},
		{2, tierBanner, "CAN", coldstart.Cohort, 0.7, 0.85}, {2, tierVideo, "USA", coldstart.Cohort, 1.15, 1.35},
		{3, tierBanner, "USA", coldstart.User, 5, 8},
	} {
		r := tierRequest(t, c.media, c.country)
		s.Begin(r, User{ID: c.user, Known: true}, Choice{}, 0, startWall)
		s.BeginImp(&r.Imp[0])
		if tier, by, ok := s.Speaks(); !ok || tier != c.tier || by < c.low || by > c.high {
			t.Errorf("user %d, %s in %s: %v scales by %.3f (%v), want %v by %v to %v", c.user, c.media[:7], c.country, tier, by, ok, c.tier, c.low, c.high)
		}
	}
	for _, rung := range []ladder.Rung{ladder.Prior, ladder.ColdStart} {
		r := tierRequest(t, tierBanner, "CAN")
		s.Begin(r, User{}, Choice{Rung: rung}, 0, startWall)
		s.BeginImp(&r.Imp[0])
		if _, by, ok := s.Speaks(); ok != (rung == ladder.ColdStart) || !ok && by != 1 {
			t.Errorf("rung %v: scaled by %v, %v", rung, by, ok)
		}
	}
}

// TestTiersNeedClicks: of a few clicks nobody is judged.
func TestTiersNeedClicks(t *testing.T) {
	s := NewSelector(Prepare(catalogtest.Snapshot(catalogtest.Options{Lines: 50, Seed: 3}), Default()), NewRates(), newCaps(t), nil)
	s.LearnGroup(1, &Counts{expectedUnit, clicksMin - 1, 0})
	s.Learn(s.catalog.Snapshot.Creatives[0].ID, &Counts{1000, clicksMin - 1, 0})
	s.FitTiers()
	r := tierRequest(t, tierBanner, "CAN")
	s.Begin(r, User{}, Choice{}, 0, startWall)
	s.BeginImp(&r.Imp[0])
	if tier, by, _ := s.Speaks(); tier != coldstart.Category || by != 1 {
		t.Errorf("%v scales by %v", tier, by)
	}
}

// TestGroupsAreBounded: cohorts beyond the bound count for their segment alone,
// and every group fits into a token.
func TestGroupsAreBounded(t *testing.T) {
	s := NewSelector(Prepare(catalogtest.Snapshot(catalogtest.Options{Lines: 50, Seed: 3}), Default()), NewRates(), newCaps(t), nil)
	id := s.catalog.Snapshot.Creatives[0].ID
	for i := range 3 * groupsMax {
		s.ObserveGroup(event.Group(i+1), id, event.Click)
	}
	if n := len(s.groups.cohorts.ids); n > groupsMax+segmentCount {
		t.Errorf("%d groups", n)
	}
	for g, d, ok := s.TakeGroup(); ok; g, d, ok = s.TakeGroup() {
		s.LearnGroup(g, &d)
	}
	total := uint64(0)
	for i := range s.groups.segments {
		total += s.groups.segments[i].of(event.Click)
	}
	if total != 3*groupsMax {
		t.Errorf("%d clicks of segments, want %d", total, 3*groupsMax)
	}
	if most := event.Group(segmentCount<<cohortBits - 1); most != event.GroupMax {
		t.Errorf("groups up to %d, tokens carry %d", most, event.GroupMax)
	}
}

// TestUnratedTakesItsCategorysRate: the creative that the catalog states no rate
// of, though it was never shown, and only that one.
func TestUnratedTakesItsCategorysRate(t *testing.T) {
	snap := catalogtest.Snapshot(catalogtest.Options{Lines: 300, Seed: 3})
	l := priced(t, snap, campaign.CPC)
	cr := l.FirstCreative
	snap.Creatives[cr].Unrated = true
	s := NewSelector(Prepare(snap, Default()), NewRates(), newCaps(t), nil)
	before, _ := s.Predicted(cr)
	rated := -1
	for i := range snap.Creatives {
		if i != int(cr) && snap.Creatives[i].CategoryKey == snap.Creatives[cr].CategoryKey {
			rated = i
		}
	}
	if rated < 0 {
		t.Fatal("the creative's category is its own: the test shows nothing")
	}
	s.Learn(snap.Creatives[rated].ID, &Counts{1_000_000, 200_000, 0})
	was := s.Worth(cr)
	s.FitTiers()
	if ctr, _ := s.Predicted(cr); math.Abs(ctr-0.2) > 0.01 || s.Worth(cr) <= was {
		t.Errorf("predicted %v, before %v; its category is clicked at 0.2; worth %v, was %v", ctr, before, s.Worth(cr), was)
	}
	next := Prepare(snap, Default())
	s.Swap(next)
	s.FitTiers()
	if ctr, _ := s.Predicted(cr); math.Abs(ctr-0.2) > 0.01 {
		t.Errorf("%v after a new catalog", ctr)
	}
}

// TestAllocTiers: neither deciding by tiers nor counting and fitting allocates.
func TestAllocTiers(t *testing.T) {
	s := tiered(t)
	r := tierRequest(t, tierBanner, "CAN")
	id := s.catalog.Snapshot.Creatives[0].ID
	if n := testing.AllocsPerRun(100, func() {
		s.Begin(r, User{ID: 3, Known: true}, Choice{}, 0, startWall)
		s.BeginImp(&r.Imp[0])
		s.Speaks()
		s.ObserveGroup(s.Group(), id, event.Impression)
		for g, d, ok := s.TakeGroup(); ok; g, d, ok = s.TakeGroup() {
			s.LearnGroup(g, &d)
		}
		s.FitTiers()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkFitTiers is the timer's work with many groups.
func BenchmarkFitTiers(b *testing.B) {
	s := tiered(b)
	for i := range 10_000 {
		s.LearnGroup(event.Group(i+1), &Counts{expectedUnit, uint64(i % 3), 0})
	}
	b.ReportAllocs()
	for b.Loop() {
		s.groups.changed = true
		s.FitTiers()
	}
}

// BenchmarkTiers is a request of a catalog two thirds of which pay by click or
// conversion, with nothing known of groups and with rates scaled by them.
func BenchmarkTiers(b *testing.B) {
	for _, lines := range []int{1000, 100_000} {
		o := catalogtest.Options{Lines: lines, Seed: 1}
		views := parsed(b, 64, o, "")
		for _, known := range []bool{false, true} {
			b.Run(fmt.Sprintf("lines=%d/known=%v", lines, known), func(b *testing.B) {
				s := NewSelector(Prepare(catalogtest.Compete(catalogtest.Snapshot(o)), Default()), NewRates(), newCaps(b), nil)
				for i := range views {
					s.Begin(&views[i], User{}, Choice{}, 0, startWall)
					s.BeginImp(&views[i].Imp[0])
					if known {
						s.LearnGroup(s.Group(), &Counts{1000 * expectedUnit, uint64(500 + 30*i), 0})
					}
				}
				s.Learn(s.catalog.Snapshot.Creatives[0].ID, &Counts{1_000_000, 5000, 0})
				s.FitTiers()
				var lost [ReasonCount]uint32
				calls := 0
				b.ReportAllocs()
				for b.Loop() {
					decide(s, &views[calls%len(views)], &lost)
					calls++
				}
			})
		}
	}
}
