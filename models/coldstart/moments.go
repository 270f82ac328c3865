package coldstart

// Moments are sums over groups of one level (the users of a cohort, the ads of a
// category), from which the spread of the groups' true rates is estimated.
// Groups are added once each; Moments of disjoint groups merge by Add.
type Moments struct {
	Groups            uint64
	Trials, Successes float64
	trialsSquared     float64 // Σ n²
	successesSquared  float64 // Σ k²/n
}

// Group adds one group's counts; one without trials says nothing.
func (m *Moments) Group(s Seen) {
	if !(s.Trials > 0) || !(s.Successes >= 0) {
		return
	}
	k := min(s.Successes, s.Trials)
	m.Groups++
	m.Trials += s.Trials
	m.Successes += k
	m.trialsSquared += s.Trials * s.Trials
	m.successesSquared += k * k / s.Trials
}

// Add merges another's groups.
func (m *Moments) Add(o *Moments) {
	m.Groups += o.Groups
	m.Trials += o.Trials
	m.Successes += o.Successes
	m.trialsSquared += o.trialsSquared
	m.successesSquared += o.successesSquared
}

// Bounds of a fitted strength: groups that differ less than can be told are not
// taken for equal, and a handful of lucky ones not for a law.
const (
	strengthMin = 1
	strengthMax = 1e6
)

// Fit is the prior of the groups' rates: Beta-Binomial by the method of moments
// (Kleinman, 1973, groups weighted by their trials). With S = Σ n(k/n − p)², the
// spread within binomial groups alone would give p(1−p)(G−1); what is above
// that, over what perfectly correlated groups would add, is the correlation ρ
// of two trials of one group, and the strength is (1−ρ)/ρ. ok is false where
// groups are too few or all alike in being 0 or 1.
func (m *Moments) Fit() (p Prior, ok bool) {
	if m.Groups < 2 || m.Successes <= 0 || m.Successes >= m.Trials {
		return Prior{}, false
	}
	mean := m.Successes / m.Trials
	spread := m.successesSquared - m.Successes*mean
	binomial := mean * (1 - mean)
	groups := float64(m.Groups) - 1
	room := binomial * (m.Trials - m.trialsSquared/m.Trials - groups)
	if room <= 0 {
		return Prior{}, false // no group has two trials
	}
	strength := float64(strengthMax)
	if rho := (spread - binomial*groups) / room; rho > 0 {
		strength = (1 - rho) / rho
	}
	return Prior{Mean: mean, Strength: min(max(strength, strengthMin), strengthMax)}, true
}
