package sketch

import (
	"math/bits"
	"time"
)

// Buckets of latencies: eight up to a millisecond, then eight an octave up to
// 256 ms. What takes longer is in the last.
const (
	Buckets = 8 + 8*octaves
	octaves = 8
	grain   = time.Millisecond / 8
)

// Longest is where the buckets end.
const Longest = time.Millisecond << octaves

// Bucket of a latency.
func Bucket(d time.Duration) int {
	v := uint64(max(d, 0) / grain)
	if v < 8 {
		return int(v)
	}
	e := bits.Len64(v) - 4
	return min(8+8*e+int(v>>e&7), Buckets-1)
}

// Edge is where bucket i begins; of Buckets, where the last ends.
func Edge(i int) time.Duration {
	if i < 8 {
		return time.Duration(i) * grain
	}
	e := (i - 8) / 8
	return time.Duration(8+(i-8)%8) << e * grain
}

// Latency is how long calls took. Counts are fractions once they decay.
type Latency struct {
	Bid, NoBid, Gone [Buckets]float32
}

// Add adds o, weighed.
func (l *Latency) Add(o *Latency, weight float32) {
	for i := range l.Bid {
		l.Bid[i] += o.Bid[i] * weight
		l.NoBid[i] += o.NoBid[i] * weight
		l.Gone[i] += o.Gone[i] * weight
	}
}

// Decay takes everything times f.
func (l *Latency) Decay(f float32) {
	fade(l.Bid[:], f)
	fade(l.NoBid[:], f)
	fade(l.Gone[:], f)
}

// Calls is how many were counted.
func (l *Latency) Calls() (n float32) {
	for i := range l.Bid {
		n += l.Bid[i] + l.NoBid[i] + l.Gone[i]
	}
	return n
}

// Curve is what a Latency says: at each edge the share of calls without an
// answer, and with a bid.
type Curve struct {
	survives, bids [Buckets + 1]float32
}

// Fit makes the curve. Calls that were given up in a bucket count as open until
// its end. Where nobody was waited for any more the curve is level: what is not
// known is not expected.
func (c *Curve) Fit(l *Latency) {
	open := l.Calls()
	s, b := float32(1), float32(0)
	for i := range Buckets {
		c.survives[i], c.bids[i] = s, b
		done := l.Bid[i] + l.NoBid[i]
		if done > 0 && open > 0 {
			share := min(done/open, 1)
			b += s * share * (l.Bid[i] / done)
			s -= s * share
		}
		open -= done + l.Gone[i]
	}
	c.survives[Buckets], c.bids[Buckets] = s, b
}

// at is the bucket of t and how far into it t is.
func at(t time.Duration) (i int, part float32) {
	if t >= Longest {
		return Buckets - 1, 1
	}
	i = Bucket(t)
	from, to := Edge(i), Edge(i+1)
	return i, float32(max(t, 0)-from) / float32(to-from)
}

// Survives is the share of calls without an answer after t, Bids of those with
// a bid by t; linear within a bucket.
func (c *Curve) Survives(t time.Duration) float32 {
	i, part := at(t)
	return c.survives[i] + (c.survives[i+1]-c.survives[i])*part
}

// Bids is the share of calls with a bid by t.
func (c *Curve) Bids(t time.Duration) float32 {
	i, part := at(t)
	return c.bids[i] + (c.bids[i+1]-c.bids[i])*part
}

// Within is the probability of a bid in (t, u] of a call that has no answer at
// t.
func (c *Curve) Within(t, u time.Duration) float32 {
	s := c.Survives(t)
	if u <= t || s <= 0 {
		return 0
	}
	return min(max(c.Bids(u)-c.Bids(t), 0)/s, 1)
}

// Speed is the mean over calls of 1 for an answer within fast, 0 for one that takes
// slow or longer or is not known to come, and in proportion between.
func (c *Curve) Speed(fast, slow time.Duration) (sum float32) {
	for i := range Buckets {
		if share := c.survives[i] - c.survives[i+1]; share > 0 {
			middle := (Edge(i) + Edge(i+1)) / 2
			sum += share * min(max(float32(slow-middle)/float32(slow-fast), 0), 1)
		}
	}
	return sum
}

// BidQuantile is the time by which a share of the bids that were seen came.
// Those that were given up are missing in it: it is too short a time rather
// than too long.
func (c *Curve) BidQuantile(share float32) time.Duration {
	need := share * c.bids[Buckets]
	if need <= 0 {
		return 0
	}
	for i := range Buckets {
		if from, to := c.bids[i], c.bids[i+1]; to >= need {
			return Edge(i) + time.Duration(float32(Edge(i+1)-Edge(i))*min(max((need-from)/(to-from), 0), 1))
		}
	}
	return Longest
}

// Quantile is the time by which a share of the calls was answered; ok is false
// if that is not known, since too many were given up before.
func (c *Curve) Quantile(share float32) (t time.Duration, ok bool) {
	left := 1 - share
	for i := range Buckets {
		from, to := c.survives[i], c.survives[i+1]
		if to > left {
			continue
		}
		t = Edge(i)
		if from > to {
			t += time.Duration(float32(Edge(i+1)-t) * min(max((from-left)/(from-to), 0), 1))
		}
		return t, true
	}
	return Longest, false
}
