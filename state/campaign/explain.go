package campaign

import (
	"slices"

	"millrace/codec/unit"
)

// Exclusion is why a line item is not among the candidates. 0 is that it is.
type Exclusion uint8

// Exclusions, in the order in which Explain looks for them.
const (
	NotExcluded Exclusion = iota
	ExcludedPaused
	ExcludedBeforeStart
	ExcludedAfterEnd
	ExcludedHour
	ExcludedSlot
	ExcludedCountry
	ExcludedRegion
	ExcludedCity
	ExcludedDevice
	ExcludedOS
	ExcludedLanguage
	ExcludedInventory
	ExcludedCategory
	ExcludedSegment
	ExcludedDeal
)

var exclusionNames = []string{"candidate", "paused", "before its start", "after its end", "outside its hours",
	"no creative of an offered format and size", "country", "region", "city", "device type", "operating system", "language",
	"site, app or bundle", "category", "segment", "deal"}

// String names the targeting that excluded it.
func (e Exclusion) String() string { return exclusionNames[e] }

// Explain says why Match left a line item out, or that it did not. It walks the
// line item's own rules and never looks at the index: slow, and independent, so
// that it is the oracle of Match in tests and the debug header's answer.
func (s *Snapshot) Explain(q *Query, now unit.WallTime, line LineIndex) Exclusion {
	l := &s.Lines[line]
	switch {
	case l.Paused:
		return ExcludedPaused
	case now < l.Start:
		return ExcludedBeforeStart
	case now >= l.End:
		return ExcludedAfterEnd
	}
	if l.schedule != 0 {
		sc := &s.schedules[l.schedule]
		if hour, _ := hourOfWeek(sc.zone, now); !sc.open.has(hour) {
			return ExcludedHour
		}
	}
	q.addSlots()
	rules := s.rules[l.firstRule:l.endRule]
	for d := range dimensionsMax {
		named, included, excluded := false, false, false
		for _, r := range rules {
			if r.dimension() != d {
				continue
			}
			hit := slices.Contains(q.values[d], r.value())
			if r.exclude() {
				excluded = excluded || hit
			} else {
				named, included = true, included || hit
			}
		}
		if excluded || named && !included || d == dimDeal && q.private && !included {
			return ExcludedSlot + Exclusion(d)
		}
	}
	return NotExcluded
}
