package selection

import (
	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/models/coldstart"
	"millrace/shards"
)

// Where counts decide, a creative's smoothed rate is the same for everybody.
// What is known of this request and this user scales it: by how much more than
// expected ads were clicked in its segment (media and device), in its cohort
// (country and system within a segment), and by the user; how many impressions
// of the user are known decides which of them speaks (coldstart.Evidence).
//
// A group's clicks are held against those that its impressions' creatives were
// expected to bring, and not against its impressions: where only good ads are
// shown no user is taken for a keen one.

const (
	segmentCount = 32 // 4 media × 8 device types
	cohortBits   = 15
	cohortMask   = 1<<cohortBits - 1

	// groupsMax bounds memory: cohorts beyond are not counted, their segments are.
	groupsMax = 1 << 16
	// expectedUnit: expected clicks are counted in millionths.
	expectedUnit = 1e6
	// scaleMax bounds what little evidence can do: from 1/scaleMax.
	scaleMax = 8
)

// groups are the counts by group: Counts of Impression are the clicks that
// were expected. Owned by one shard.
type groups struct {
	_        shards.Pad
	cohorts  Tally[event.Group] // by whole group
	segments [segmentCount]Counts
	all      Counts // of creatives: impressions are impressions
	levels   coldstart.Levels
	trials   float64 // impressions to an expected click
	changed  bool
	_        shards.Pad
}

func newGroups() *groups {
	g := &groups{cohorts: newTally[event.Group]()}
	g.levels.Strengths[coldstart.Category] = categoryStrength
	return g
}

// tier is what scales the rates of an impression.
type tier struct {
	place event.Group // of the request: the cohort's part of group
	group event.Group
	user  coldstart.Seen
	known bool // the rest is worked out
	speak coldstart.Tier
	by    float64
}

// beginTiers notes what a request says of its groups and its user.
func (s *Selector) beginTiers() {
	t := &s.tier
	*t = tier{place: placeOf(s.request)}
	if !s.atCounts || s.predictor == nil || s.predictor.user == nil {
		return
	}
	a := s.predictor.user.Activity(s.now)
	t.user = coldstart.Seen{Successes: float64(a.Clicks30d), Trials: float64(a.Impressions30d)}
}

// placeOf is the cohort's number: never 0.
func placeOf(r *openrtb.BidRequest) event.Group {
	country := r.Device.Geo.Country
	if country.IsZero() {
		country = r.User.Geo.Country
	}
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	h := uint64(offset)
	for _, c := range country.Raw() {
		h = (h ^ uint64(c|0x20)) * prime
	}
	h = (h ^ '/') * prime
	for _, c := range r.Device.OS.Raw() {
		h = (h ^ uint64(c|0x20)) * prime
	}
	return event.Group((h^h>>32)%cohortMask + 1)
}

// segmentOf is the segment's number, above the cohort's: the first media type
// offered, and the device type.
func segmentOf(r *openrtb.BidRequest, imp *openrtb.Imp) event.Group {
	media := openrtb.BannerMedia
	for media < openrtb.NativeMedia && !imp.Media.Has(media) {
		media++
	}
	return event.Group(int(media-openrtb.BannerMedia)&3<<3|int(r.Device.DeviceType)&7) << cohortBits
}

// Group is the impression's, for its win's tokens.
func (s *Selector) Group() event.Group { return s.tier.group }

// ObserveGroup counts an event of a creative for its group. TakeGroup and
// LearnGroup share it as Rates are shared.
func (s *Selector) ObserveGroup(g event.Group, id unit.CreativeID, k event.Kind) {
	cr, ok := s.catalog.Snapshot.Creative(id)
	if !ok || g == 0 || k == event.Conversion {
		return
	}
	n := uint64(1)
	if k == event.Impression {
		ctr, _ := s.Predicted(cr)
		n = uint64(ctr * expectedUnit)
	}
	c := &s.groups.cohorts
	if len(c.ids) >= groupsMax {
		if _, ok := c.slots[g]; !ok {
			g &^= cohortMask // one for all others of the segment
		}
	}
	c.add(g, k, n)
}

// TakeGroup removes one group's delta.
func (s *Selector) TakeGroup() (event.Group, Counts, bool) { return s.groups.cohorts.Take() }

// LearnGroup applies a group's delta, from this shard or another.
func (s *Selector) LearnGroup(g event.Group, d *Counts) {
	s.groups.cohorts.apply(g, d)
	s.groups.segments[g>>cohortBits%segmentCount].add(d)
	s.groups.changed = true
}

func (g *groups) learn(d *Counts) {
	g.all.add(d)
	g.changed = true
}

// seen is a group as impressions of average ads and their clicks.
func (g *groups) seen(c *Counts) coldstart.Seen {
	return coldstart.Seen{Successes: float64(c.of(event.Click)), Trials: float64(c.of(event.Impression)) / expectedUnit * g.trials}
}

// Until there are clicksMin clicks nothing is said of anybody; a level whose
// groups say too little of their spread holds to the one above as so many
// clicks would.
const (
	clicksMin   = 50
	groupsMin   = 3
	usualClicks = 20
	// userClicks: users differ more than groups of them. Their spread is not
	// fitted, as each shard knows only its own.
	userClicks = 5
)

// FitTiers works the strengths of the levels out again, and what a creative
// without a click rate of its own takes from its category. For a timer: some
// microseconds a thousand groups.
func (s *Selector) FitTiers() {
	g := s.groups
	if g.changed {
		g.changed = false
		g.fit()
		s.catalog.cats.fit(&g.levels)
	}
	s.catalog.repriceUnrated(s.rates, &g.levels)
}

func (g *groups) fit() {
	var total Counts
	for i := range g.segments {
		total.add(&g.segments[i])
	}
	clicks, expected := float64(total.of(event.Click)), float64(total.of(event.Impression))/expectedUnit
	impressions := float64(g.all.of(event.Impression))
	if clicks < clicksMin || expected <= 0 || impressions <= clicks {
		return
	}
	// As many trials as impressions, at the rate that was clicked: what an ad's
	// prior promised too much or too little is nobody's doing.
	l := &g.levels
	g.trials, l.Mean = impressions/expected, clicks/impressions
	var segments, cohorts coldstart.Moments
	for i := range g.segments {
		segments.Group(g.seen(&g.segments[i]))
	}
	l.Strengths[coldstart.Segment] = g.strength(&segments)
	for i, id := range g.cohorts.ids {
		// Beside what their segments are: their own spread within it.
		own := g.seen(&g.cohorts.totals[i])
		own.Trials *= g.segment(id).Mean / l.Mean
		cohorts.Group(own)
	}
	l.Strengths[coldstart.Cohort] = g.strength(&cohorts)
	l.Strengths[coldstart.User] = userClicks / l.Mean
}

// segment is what is believed of a group's segment.
func (g *groups) segment(id event.Group) coldstart.Prior {
	p := coldstart.Prior{Mean: g.levels.Mean, Strength: g.levels.Strengths[coldstart.Segment]}
	return p.After(g.seen(&g.segments[id>>cohortBits%segmentCount]))
}

func (g *groups) strength(m *coldstart.Moments) float64 {
	if p, ok := m.Fit(); ok && m.Groups >= groupsMin && m.Successes >= clicksMin {
		return p.Strength
	}
	return usualClicks / g.levels.Mean
}

// scaling is what rates are scaled by at the impression where no model
// predicts: its position, and where counts decide what the tier that speaks says.
func (s *Selector) scaling() float64 {
	if !s.tier.known {
		s.tier.known = true
		s.speak()
	}
	return s.tier.by
}

func (s *Selector) speak() {
	t, g := &s.tier, s.groups
	t.speak, t.by = coldstart.Category, s.position
	if !s.atCounts || g.levels.Mean <= 0 {
		return
	}
	cohort := g.cohorts.of(t.group)
	e := coldstart.Evidence{
		coldstart.Segment: g.seen(&g.segments[t.group>>cohortBits%segmentCount]),
		coldstart.Cohort:  g.seen(&cohort), coldstart.User: t.user,
	}
	p, tier := g.levels.Estimate(&e)
	t.speak = tier
	t.by *= min(max(p.Mean/g.levels.Mean, 1.0/scaleMax), scaleMax)
}

// Tier is the one that scaled the impression's rates, and by how much, its
// position included; false where no candidate's worth was a matter of counts.
func (s *Selector) Tier() (tier coldstart.Tier, by float64, ok bool) {
	return s.tier.speak, s.tier.by, s.atCounts && s.tier.known
}

// Speaks is Tier whatever the candidates are: for explanations.
func (s *Selector) Speaks() (tier coldstart.Tier, by float64, ok bool) {
	s.scaling()
	return s.Tier()
}
