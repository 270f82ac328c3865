package offpolicy

import "math"

// Row is one logged choice.
type Row struct {
	// Reward that followed, in whatever unit.
	Reward float64
	// Logged is the probability with which the logging policy chose what it
	// chose, in (0, 1]; Target that of the policy in question for the same.
	Logged, Target float64
	// Model is the reward that a model expects of what was chosen; Expected what
	// it expects of the target policy's choices here, each by its probability.
	// Zero where there is no model: then DR is IPS.
	Model, Expected float64
}

// Estimator takes rows one by one.
type Estimator struct {
	n               float64
	weights, square float64 // Σ w, Σ w²
	ips, dr         sums
	skipped         uint64
}

// sums of a quantity: Σ x, Σ x², and for ratios Σ xw.
type sums struct{ x, xx, xw float64 }

func (s *sums) add(x, w float64) {
	s.x += x
	s.xx += x * x
	s.xw += x * w
}

// Add takes a row; one without a probability (≤ 0, over 1, not a number) is
// counted as skipped.
func (e *Estimator) Add(r Row) {
	if !(r.Logged > 0 && r.Logged <= 1 && r.Target >= 0 && r.Target <= 1) {
		e.skipped++
		return
	}
	w := r.Target / r.Logged
	e.n++
	e.weights += w
	e.square += w * w
	e.ips.add(w*r.Reward, w)
	e.dr.add(r.Expected+w*(r.Reward-r.Model), w)
}

// Value is an estimate of the mean reward of a choice and its standard error.
type Value struct{ Mean, Error float64 }

// Result of an estimation.
type Result struct {
	IPS, SNIPS, DR Value
	Rows, Skipped  uint64
	// Effective is how many rows drawn from the target policy itself would say
	// as much: (Σw)² / Σw².
	Effective float64
	// MeanWeight is near 1 when the log covers the target policy and its
	// probabilities are true.
	MeanWeight float64
}

// Result is the estimate from the rows so far; not numbers without rows.
func (e *Estimator) Result() Result {
	r := Result{
		IPS: e.ips.mean(e.n), DR: e.dr.mean(e.n), Rows: uint64(e.n), Skipped: e.skipped,
		Effective: e.weights * e.weights / e.square, MeanWeight: e.weights / e.n,
	}
	// The ratio's error by linearisation: Σ (wr − v·w)².
	v := e.ips.x / e.weights
	r.SNIPS = Value{Mean: v, Error: math.Sqrt(max(e.ips.xx-2*v*e.ips.xw+v*v*e.square, 0)) / e.weights}
	return r
}

func (s *sums) mean(n float64) Value {
	m := s.x / n
	return Value{Mean: m, Error: math.Sqrt(max(s.xx/n-m*m, 0) / n)}
}
