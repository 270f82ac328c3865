package pacing

import (
	"slices"
	"time"

	"millrace/codec/unit"
)

const (
	hoursOfWeek = 7 * 24
	hour        = unit.WallTime(time.Hour)
	week        = hoursOfWeek * hour
	// epochHour is the hour of the week, Monday 00:00 UTC being 0, at the Unix
	// epoch, which was a Thursday.
	epochHour = 3 * 24

	// learning is how much of a newly seen hour enters what is expected of it.
	learning = 0.3
	// surprise bounds what one week may teach: an outage or a burst is not the
	// new normal.
	surprise = 3.0
	// observedLeast is how much of an hour must have been seen to learn from it.
	observedLeast = 0.5
)

// Forecast is the traffic expected in each hour of the week, in requests an
// hour: a mean of what was seen in that hour, one week's worth of it being the
// median of the same hour of all days. The zero value expects the same of every
// hour. Owned by one shard.
type Forecast struct {
	rates [hoursOfWeek]float64 // 0: never seen
	weeks [hoursOfWeek]uint16  // in how many weeks it was seen
	// sums[h] is what is expected before hour h, sums[hoursOfWeek] of a week.
	sums [hoursOfWeek + 1]float64

	at       int64 // the hour under observation, in hours since the epoch
	requests float64
	observed time.Duration
}

// Observe counts requests that came in the interval of length d that ends at
// now. Time that nobody observed (a node that was down) teaches nothing. It is
// called often enough that no interval is longer than a few minutes.
func (f *Forecast) Observe(now unit.WallTime, d time.Duration, requests uint64) {
	if h := int64(now / hour); h != f.at {
		f.learn()
		f.at, f.requests, f.observed = h, 0, 0
	}
	f.requests += float64(requests)
	f.observed += d
}

// learn closes the hour under observation.
func (f *Forecast) learn() {
	if f.observed < time.Duration(observedLeast*float64(time.Hour)) {
		return
	}
	h := hourOfWeek(f.at)
	seen := f.requests * float64(time.Hour) / float64(f.observed)
	switch known := f.rates[h]; {
	case seen <= 0:
		return // nothing at all is a broken feed, not an hour without people
	case known == 0:
		f.rates[h] = seen
	default:
		seen = min(max(seen, known/surprise), known*surprise)
		f.rates[h] += learning * (seen - known)
	}
	f.weeks[h] = min(f.weeks[h]+1, 1000)
	f.sum()
}

func hourOfWeek(hours int64) int { return int((hours + epochHour) % hoursOfWeek) }

// sum makes sums from rates.
func (f *Forecast) sum() {
	mean, seen := 0.0, 0
	for _, r := range f.rates {
		if r > 0 {
			mean += r
			seen++
		}
	}
	mean /= float64(max(seen, 1))
	var like [24]float64
	for h := range like {
		if like[h] = f.typical(h); like[h] == 0 {
			like[h] = mean
		}
	}
	for h, r := range f.rates {
		n := float64(f.weeks[h])
		f.sums[h+1] = f.sums[h] + (n*r+like[h%24])/(n+1)
	}
}

// typical is the median of what was seen in an hour of the day: with one week's
// knowledge a burst on Tuesday must not become what is expected of Tuesdays.
func (f *Forecast) typical(hourOfDay int) float64 {
	var seen [7]float64
	n := 0
	for h := hourOfDay; h < hoursOfWeek; h += 24 {
		if f.rates[h] > 0 {
			seen[n] = f.rates[h]
			n++
		}
	}
	if n == 0 {
		return 0
	}
	slices.Sort(seen[:n])
	return (seen[(n-1)/2] + seen[n/2]) / 2
}

// Known reports whether any hour was learnt.
func (f *Forecast) Known() bool { return f.sums[hoursOfWeek] > 0 }

// Mass is the traffic expected from from to to, in requests; on a uniform
// forecast, in hours.
func (f *Forecast) Mass(from, to unit.WallTime) float64 {
	if to <= from {
		return 0
	}
	if !f.Known() {
		return float64(to-from) / float64(hour)
	}
	weeks := float64(to/week - from/week)
	return weeks*f.sums[hoursOfWeek] + f.into(to) - f.into(from)
}

// into is the mass since the last multiple of a week since the epoch.
func (f *Forecast) into(t unit.WallTime) float64 {
	t %= week
	h := int64(t / hour)
	part := float64(t%hour) / float64(hour)
	from := hourOfWeek(h)
	whole := f.sums[from] - f.sums[epochHour]
	if from < epochHour {
		whole += f.sums[hoursOfWeek]
	}
	return whole + part*(f.sums[from+1]-f.sums[from])
}
