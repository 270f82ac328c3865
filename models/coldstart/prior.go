package coldstart

// Prior is a Beta distribution over a rate, written as its mean and as the
// number of trials the mean is worth.
type Prior struct {
	// Mean is the expected rate before anything was seen, in [0, 1].
	Mean float64
	// Strength is how many trials the mean weighs, > 0. At Strength trials the
	// observed rate and the mean count half each.
	Strength float64
}

// Rate is the posterior mean after successes in trials, in [0, 1]: Mean with
// no trials, tending to the observed rate with many. Successes beyond trials
// (an event counted before the impression that led to it) read as a rate of 1
// at most.
func (p Prior) Rate(successes, trials uint64) float64 {
	if successes > trials {
		trials = successes
	}
	return (float64(successes) + p.Mean*p.Strength) / (float64(trials) + p.Strength)
}
