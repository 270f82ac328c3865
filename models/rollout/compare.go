package rollout

import (
	"fmt"
	"math"
)

// tests that share FalseAlarm: loss, promised too little, promised too much,
// revenue.
const tests = 4

// ArmReport is how an arm did, as matured so far.
type ArmReport struct {
	Arm         string `json:"arm"`
	Version     uint64 `json:"version"`
	Requests    uint64 `json:"requests"`
	Faults      uint64 `json:"faults"`
	Impressions uint64 `json:"impressions"`
	Clicks      uint64 `json:"clicks"`
	// LogLoss and Calibration (clicks a predicted click) of the arm's own model
	// on the arm's impressions; 0 without impressions.
	LogLoss     float64 `json:"log_loss"`
	Calibration float64 `json:"calibration"`
	// RevenuePerMille is nanos per thousand requests.
	RevenuePerMille float64 `json:"revenue_per_mille"`
}

// Report is a comparison in numbers.
type Report struct {
	Arms []ArmReport `json:"arms"`
	// Impressions that both models predicted, and what they made of them.
	Impressions           uint64  `json:"impressions"`
	StableLogLoss         float64 `json:"stable_log_loss"`
	ChallengerLogLoss     float64 `json:"challenger_log_loss"`
	StableCalibration     float64 `json:"stable_calibration"`
	ChallengerCalibration float64 `json:"challenger_calibration"`
	Late                  uint64  `json:"late"`
}

// Compare turns totals into figures.
func Compare(a *Assignment, t *Totals) Report {
	r := Report{Late: t.Late}
	for arm := range arms {
		c := &t.Arms[arm]
		rate, _ := ratio(c)
		r.Arms = append(r.Arms, ArmReport{
			Arm: arm.String(), Version: a.Version(arm), Requests: c.Requests, Faults: c.Faults, Impressions: c.Impressions, Clicks: c.Clicks,
			LogLoss: per(float64(c.Loss[arm])/one, c.Impressions), Calibration: over(float64(c.Clicks), float64(c.Predicted[arm])/one),
			RevenuePerMille: rate * 1000,
		})
	}
	both := t.both()
	r.Impressions = both.Impressions
	r.StableLogLoss, r.ChallengerLogLoss = per(float64(both.Loss[Stable])/one, both.Impressions), per(float64(both.Loss[Challenger])/one, both.Impressions)
	r.StableCalibration, r.ChallengerCalibration = both.calibration(Stable), both.calibration(Challenger)
	return r
}

func per(sum float64, n uint64) float64 { return over(sum, float64(n)) }

func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// both arms' counts in one.
func (t *Totals) both() (c Counts) {
	for a := range arms {
		c.add(&t.Arms[a])
	}
	return c
}

func (c *Counts) calibration(m Arm) float64 {
	return over(float64(c.Clicks), float64(c.Predicted[m])/one)
}

// off is how far calibration is from 1, the same for half and for double.
func off(calibration float64) float64 {
	if calibration == 0 {
		return math.Inf(1)
	}
	return math.Abs(math.Log(calibration))
}

// faultsMin is how many faults it takes to call a model faulty: fewer can be
// the tail of another cause.
const faultsMin = 8

// fault is the reason to roll back, in words; empty while there is none. look
// says whether the test of revenue may be made, and what it may spend.
func (p *Plan) fault(a *Assignment, t *Totals, revenueAlarm float64) string {
	challenger, both := &t.Arms[Challenger], t.both()
	threshold := -math.Log(p.alarm())
	if f := challenger.Faults; f >= faultsMin && f*1000 > uint64(p.FaultsPermille)*challenger.Requests {
		return fmt.Sprintf("it failed in %d of %d decisions; tolerated are %d in 1000", f, challenger.Requests, p.FaultsPermille)
	}
	n := both.Impressions
	if e := evidenceWorse(float64(both.Difference)/one, float64(both.Squares)/one, differenceMax); e > threshold {
		return fmt.Sprintf("log loss %.5f against %.5f of version %d over the same %d impressions, more than %.3g %% worse (%s)",
			per(float64(both.Loss[Challenger])/one, n), per(float64(both.Loss[Stable])/one, n), a.Stable, n, 100*p.LossWorse, odds(e, threshold))
	}
	// The challenger is judged where it chose the winners, and in shadow where
	// the other did. A world that changed under both models is no fault of its.
	own := challenger
	if a.Permille == 0 {
		own = &both
	}
	clicks, predicted := float64(own.Clicks), float64(own.Predicted[Challenger])/one
	if off(own.calibration(Challenger)) > off(both.calibration(Stable)) {
		if e := evidenceMore(clicks, predicted*(1+p.CalibrationOff)); e > threshold {
			return fmt.Sprintf("it promises too little: %.0f clicks came where it predicted %.1f, more than %.3g %% off (%s)", clicks, predicted, 100*p.CalibrationOff, odds(e, threshold))
		}
		if e := evidenceFewer(clicks, predicted/(1+p.CalibrationOff)); e > threshold {
			return fmt.Sprintf("it promises too much: %.0f clicks came where it predicted %.1f, more than %.3g %% off (%s)", clicks, predicted, 100*p.CalibrationOff, odds(e, threshold))
		}
	}
	if revenueAlarm > 0 {
		if chance := chanceLess(&t.Arms[Stable], challenger, p.RevenueLess); chance < revenueAlarm {
			rs, _ := ratio(&t.Arms[Stable])
			rc, _ := ratio(challenger)
			return fmt.Sprintf("revenue a thousand requests %.6f against %.6f of version %d, more than %.3g %% less (probability %.2g by chance; acted on below %.2g)",
				rc*1000/1e9, rs*1000/1e9, a.Stable, 100*p.RevenueLess, chance, revenueAlarm)
		}
	}
	return ""
}

func odds(evidence, threshold float64) string {
	return fmt.Sprintf("odds 10^%.1f to 1; acted on from 10^%.1f", evidence/math.Ln10, threshold/math.Ln10)
}
