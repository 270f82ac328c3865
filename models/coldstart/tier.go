package coldstart

// Tier is the level that a prediction speaks from.
type Tier uint8

// Tiers, from what everybody shares to one person.
const (
	Category Tier = iota // all of an ad's category
	Segment              // requests like this one
	Cohort               // users like this one
	User                 // this one
	Tiers    = 4
)

var tierNames = [Tiers]string{"category", "segment", "cohort", "user"}

func (t Tier) String() string {
	if t < Tiers {
		return tierNames[t]
	}
	return "unknown"
}

// Impressions of the user from which a tier speaks.
const (
	cohortFrom = 10  // up to userAbove a cohort speaks
	userAbove  = 100 // above it the user
)

// Seen is what was counted of one group. Counts may have decayed: they are not
// whole. Successes beyond Trials count as trials too.
type Seen struct{ Successes, Trials float64 }

// Evidence is what was counted, by tier.
type Evidence [Tiers]Seen

// Tier is the level that speaks: by the user's impressions, and the category
// where the segment has none.
func (e *Evidence) Tier() Tier {
	switch n := e[User].Trials; {
	case n > userAbove:
		return User
	case n >= cohortFrom:
		return Cohort
	case e[Segment].Trials > 0:
		return Segment
	}
	return Category
}

// Levels is how strongly each level holds to the one above it. Immutable.
type Levels struct {
	// Mean is the rate of a category nothing was seen of.
	Mean float64
	// Strengths is how many trials of a level its expectation weighs, by tier:
	// fit them with Moments.
	Strengths [Tiers]float64
}

// Estimate is the rate given what was seen: the posterior of the tier that
// speaks. Levels below that tier are left out, as they are too thin to speak.
func (l *Levels) Estimate(e *Evidence) (Prior, Tier) {
	tier := e.Tier()
	p := Prior{Mean: l.Mean}
	for t := Category; t <= tier; t++ {
		p = Prior{Mean: p.Mean, Strength: l.Strengths[t]}.After(e[t])
	}
	return p, tier
}

// After is the distribution once more was seen. A Prior of no strength takes
// what was seen as it is.
func (p Prior) After(s Seen) Prior {
	// Not a number, or below nothing: nothing was seen.
	successes, trials := max(s.Successes, 0), max(s.Trials, 0)
	if successes != successes || trials != trials {
		return p
	}
	trials = max(trials, successes)
	n := trials + p.Strength
	if n == 0 {
		return p
	}
	return Prior{Mean: (successes + p.Mean*p.Strength) / n, Strength: n}
}

// shapes are those of the Beta distribution.
func (p Prior) shapes() (a, b float64) { return p.Mean * p.Strength, (1 - p.Mean) * p.Strength }
