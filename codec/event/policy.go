package event

import "math"

// Policy is what chose the win and what it expected of it: what it takes to
// judge a model by the events that follow, and to value another policy from the
// log of this one (the propensity). The zero Policy is of a win that neither a
// model nor chance had a part in; it is not written.
type Policy struct {
	// Model is the version of the bundle that predicted; 0 is none.
	Model uint64
	// Epoch of the rollout: which stage of which trial.
	Epoch uint16
	// Arm of the rollout, and Rung of the ladder of degradation, as their
	// packages number them; both are below 4.
	Arm, Rung uint8
	// Explored: chance chose this win, not its rank.
	Explored bool
	// Click and Conversion are the predicted rates: clicks an impression, and
	// conversions a click.
	Click, Conversion Probability
	// Other is the click rate that the other arm's model predicted, in a trial.
	Other Probability
	// Propensity is how likely this policy was to choose this ad.
	Propensity Probability
}

// Probability is a number above 0 and up to 1, in steps of 0.035 %: 0 is none,
// n is 2^(−(n−1)/2048).
type Probability uint16

const probabilitySteps = 2048

// NewProbability is the nearest there is to p; none of what is not above 0.
func NewProbability(p float64) Probability {
	if !(p > 0) {
		return 0
	}
	n := math.Round(-math.Log2(min(p, 1)) * probabilitySteps)
	return Probability(min(n, math.MaxUint16-1)) + 1
}

// Float is the probability as a number; 0 is none.
func (p Probability) Float() float64 {
	if p == 0 {
		return 0
	}
	return math.Exp2(-float64(p-1) / probabilitySteps)
}

// The bits of a policy's byte, in a token and in a journal record.
const (
	policyArm      = 0x03
	policyRung     = 0x0c
	policyExplored = 0x10
	rungShift      = 2
)

// Flags are arm, rung and explored in one byte.
func (p *Policy) Flags() byte {
	b := p.Arm&policyArm | p.Rung<<rungShift&policyRung
	if p.Explored {
		b |= policyExplored
	}
	return b
}

// SetFlags is the reverse; false for a byte that Flags does not give.
func (p *Policy) SetFlags(b byte) bool {
	p.Arm, p.Rung, p.Explored = b&policyArm, b&policyRung>>rungShift, b&policyExplored != 0
	return b&^(policyArm|policyRung|policyExplored) == 0
}
