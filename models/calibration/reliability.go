package calibration

import "math"

// Reliability compares predicted probabilities with what happened, as it
// happens: bins over the log-odds, an eighth apart, fine enough that deciles of
// a model's predictions can be put together from them afterwards. The zero value
// is ready; owned by one goroutine.
type Reliability struct{ bins [reliabilityBins]Bin }

const (
	reliabilityBins = 256
	binsPerLogit    = 8
)

// Bin is some predictions and their outcomes. Bins merge by addition.
type Bin struct {
	Count     uint64
	Predicted float64 // sum of the probabilities
	Happened  uint64
	LogLoss   float64 // sum, in nats
}

func (b *Bin) add(o Bin) {
	b.Count += o.Count
	b.Predicted += o.Predicted
	b.Happened += o.Happened
	b.LogLoss += o.LogLoss
}

// Error is how far the mean prediction is from the observed rate, relative to
// the latter: +0.1 is 10 % too high. NaN where nothing happened.
func (b Bin) Error() float64 {
	if b.Happened == 0 {
		return math.NaN()
	}
	return b.Predicted/float64(b.Happened) - 1
}

// Least and most probability that a log loss is taken of: a single outcome
// must not cost infinity.
const probabilityMin = 1e-9

// Add counts a prediction of probability p and whether the event happened.
func (r *Reliability) Add(p float64, happened bool) {
	p = min(max(p, probabilityMin), 1-probabilityMin) // NaN stays
	if p != p {
		return
	}
	logit := math.Log(p / (1 - p))
	i := int(math.Floor(logit*binsPerLogit)) + reliabilityBins/2
	b := &r.bins[min(max(i, 0), reliabilityBins-1)]
	b.Count++
	b.Predicted += p
	if happened {
		b.Happened++
		b.LogLoss -= math.Log(p)
	} else {
		b.LogLoss -= math.Log1p(-p)
	}
}

// Merge adds another's counts.
func (r *Reliability) Merge(o *Reliability) {
	for i := range r.bins {
		r.bins[i].add(o.bins[i])
	}
}

// Total is all bins together.
func (r *Reliability) Total() (t Bin) {
	for _, b := range r.bins {
		t.add(b)
	}
	return t
}

// Deciles puts the bins together into at most ten groups of about equal count,
// from the lowest predictions to the highest. A bin is never divided.
func (r *Reliability) Deciles() []Bin {
	total := r.Total().Count
	if total == 0 {
		return nil
	}
	groups := make([]Bin, 0, 10)
	var group Bin
	var seen uint64
	for _, b := range r.bins {
		if b.Count == 0 {
			continue
		}
		group.add(b)
		seen += b.Count
		if seen*10 >= total*uint64(len(groups)+1) {
			groups = append(groups, group)
			group = Bin{}
			// A wide bin may have filled several tenths.
			if len(groups) == 10 {
				break
			}
		}
	}
	return groups
}

// ECE is the expected calibration error: the mean over all predictions of how
// far their decile's mean prediction is from its rate, in probability.
func (r *Reliability) ECE() float64 {
	total := r.Total().Count
	if total == 0 {
		return 0
	}
	sum := 0.0
	for _, d := range r.Deciles() {
		sum += math.Abs(d.Predicted - float64(d.Happened))
	}
	return sum / float64(total)
}
