package selection

import (
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/models/coldstart"
	"millrace/shards"
	"millrace/state/campaign"
)

// categoryStrength is how many impressions the usual rate of a creative's media
// weighs beside those of its category, until the spread of categories is known.
const categoryStrength = 1000

// unratedAtOnce bounds how many creatives one timer prices again.
const unratedAtOnce = 2048

// categories are the events of a catalog's categories: what a creative is
// believed to be clicked of which the catalog states no rate.
type categories struct {
	of       []uint16 // by creative
	seen     []Counts // by category
	settled  []Counts // as prices have them
	strength float64
	unrated  []campaign.CreativeIndex
	left     int  // of unrated: still to be priced
	changed  bool // since they were settled
}

func newCategories(s *campaign.Snapshot) categories {
	c := categories{of: shards.AlignedSlice[uint16](len(s.Creatives)), strength: categoryStrength}
	numbers, unrated := map[uint32]uint16{}, 0
	for i := range s.Creatives {
		cr := &s.Creatives[i]
		n, ok := numbers[cr.CategoryKey]
		if !ok && len(numbers) < 1<<16 {
			n = uint16(len(numbers))
			numbers[cr.CategoryKey] = n
		}
		c.of[i] = n
		if cr.Unrated {
			unrated++
		}
	}
	c.unrated = shards.AlignedSlice[campaign.CreativeIndex](unrated)[:0]
	for i := range s.Creatives {
		if s.Creatives[i].Unrated {
			c.unrated = append(c.unrated, campaign.CreativeIndex(i))
		}
	}
	c.seen, c.settled = shards.AlignedSlice[Counts](len(numbers)), shards.AlignedSlice[Counts](len(numbers))
	return c
}

// prior is the click rate expected of a creative before its own events.
func (c *categories) prior(i campaign.CreativeIndex, cr *campaign.Creative) float64 {
	if !cr.Unrated {
		return float64(cr.CTR)
	}
	seen := &c.settled[c.of[i]]
	return coldstart.Prior{Mean: float64(cr.CTR), Strength: c.strength}.Rate(seen.of(event.Click), seen.of(event.Impression))
}

// settle takes the categories as they are now: unrated creatives are to be
// priced by them.
func (c *categories) settle(l *coldstart.Levels) {
	copy(c.settled, c.seen)
	c.changed = false
	c.strength, c.left = l.Strengths[coldstart.Category], len(c.unrated)
}

// count adds events of a creative to its category's.
func (c *Catalog) count(id unit.CreativeID, d *Counts) {
	if cr, ok := c.Snapshot.Creative(id); ok {
		c.cats.seen[c.cats.of[cr]].add(d)
		c.cats.changed = true
	}
}

// fit finds how much categories differ.
func (c *categories) fit(l *coldstart.Levels) {
	var m coldstart.Moments
	for i := range c.seen {
		seen := &c.seen[i]
		m.Group(coldstart.Seen{Successes: float64(seen.of(event.Click)), Trials: float64(seen.of(event.Impression))})
	}
	l.Strengths[coldstart.Category] = categoryStrength
	if p, ok := m.Fit(); ok && m.Groups >= groupsMin && m.Successes >= clicksMin {
		l.Strengths[coldstart.Category] = p.Strength
	}
}

// repriceUnrated prices the next unrated creatives by their categories, which
// stay as they are until all have been.
func (c *Catalog) repriceUnrated(rates *Rates, l *coldstart.Levels) {
	if c.cats.left == 0 && c.cats.changed {
		c.cats.settle(l)
	}
	for range min(c.cats.left, unratedAtOnce) {
		c.cats.left--
		id := c.Snapshot.Creatives[c.cats.unrated[c.cats.left]].ID
		seen := rates.of(id)
		c.reprice(id, &seen)
	}
}
