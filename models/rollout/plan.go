package rollout

import (
	"errors"
	"fmt"
	"time"
)

// Stage of a rollout: for how long and until how many matured impressions.
type Stage struct {
	// Permille of users that the challenger serves; 0 is the shadow.
	Permille uint32
	For      time.Duration
	// Impressions that must have matured under the challenger's predictions.
	Impressions uint64
}

// Plan of a rollout. Immutable.
type Plan struct {
	// Stages in order; the first may be the shadow. After the last the
	// challenger is promoted.
	Stages []Stage
	// Automatic is whether a stage that ended well leads to the next by itself;
	// otherwise an operator calls Promote at the end of every stage.
	Automatic bool
	// Maturity is how long after a bid its events count.
	Maturity time.Duration

	// FalseAlarm bounds the probability that a challenger within all tolerances
	// is rolled back, over the whole rollout.
	FalseAlarm float64
	// LossWorse, CalibrationOff and RevenueLess are tolerated shares: 0.01 is 1 %.
	LossWorse, CalibrationOff, RevenueLess float64
	// FaultsPermille of its decisions in which the challenger may fail.
	FaultsPermille uint32
}

// Default takes at least three hours and a half.
func Default() Plan {
	return Plan{
		Stages: []Stage{
			{Permille: 0, For: 30 * time.Minute, Impressions: 5_000},
			{Permille: 10, For: 30 * time.Minute, Impressions: 2_000},
			{Permille: 50, For: 30 * time.Minute, Impressions: 5_000},
			{Permille: 200, For: time.Hour, Impressions: 10_000},
			{Permille: 500, For: time.Hour, Impressions: 20_000},
		},
		Automatic: true, Maturity: 15 * time.Minute,
		FalseAlarm: 0.01, LossWorse: 0.01, CalibrationOff: 0.2, RevenueLess: 0.05, FaultsPermille: 5,
	}
}

// stagesMax bounds a plan; more would leave each stage too little of FalseAlarm.
const stagesMax = 16

// Validate lists every fault.
func (p *Plan) Validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(len(p.Stages) == 0 || len(p.Stages) > stagesMax, "stages: %d; give 1 to %d", len(p.Stages), stagesMax)
	for i, s := range p.Stages {
		fault(s.Permille > 999, "stages[%d].permille: %d; give 0 (shadow) to 999: all users are given by promotion", i, s.Permille)
		fault(i > 0 && s.Permille <= p.Stages[i-1].Permille, "stages[%d].permille: %d; a stage serves more users than the one before it, %d", i, s.Permille, p.Stages[max(i-1, 0)].Permille)
		fault(s.For <= 0, "stages[%d].for: %v; give a time such as 30m", i, s.For)
	}
	share := func(name string, v, most float64) {
		fault(!(v > 0 && v <= most), "%s: %v; give a share above 0, at most %v", name, v, most)
	}
	fault(p.Maturity < time.Second, "maturity: %v; give how long after its bid a click counts, such as 15m", p.Maturity)
	share("false_alarm", p.FalseAlarm, 0.2)
	share("loss_worse", p.LossWorse, 1)
	share("calibration_off", p.CalibrationOff, 10)
	share("revenue_less", p.RevenueLess, 0.9)
	fault(p.FaultsPermille > 1000, "faults_permille: %d; give 0 to 1000", p.FaultsPermille)
	return errors.Join(errs...)
}

// alarm is what one of the tests may spend of FalseAlarm in one stage.
func (p *Plan) alarm() float64 { return p.FalseAlarm / float64(tests*len(p.Stages)) }
