package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencyMax is the longest latency told apart; longer ones count as this.
const latencyMax = 60 * time.Second

// newHistogram covers 1 µs to a minute with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(latencyMax), 3)
}

// record counts d, clamped into the histogram's range.
func record(h *hdrhistogram.Histogram, d int64) {
	// RecordValue fails only outside the range that the clamp keeps to.
	_ = h.RecordValue(min(max(d, 0), int64(latencyMax)))
}

// failure names why a request has no answer.
type failure uint8

const (
	failConnect  failure = iota // the connection could not be made
	failReset                   // it was closed or reset with the request on it
	failTimeout                 // no answer within Timeout
	failProtocol                // an answer that is not HTTP/1.1 with Content-Length
	failureCount
)

var failureNames = [failureCount]string{"connect", "reset", "timeout", "protocol"}

// kind is what a request was.
type kind uint8

const (
	kindBid kind = iota
	kindImpression
	kindClick
	kindConversion
	kindCount
)

// tally counts one kind's requests. Owned by one worker, or by the collector
// once handed over.
type tally struct {
	sent     int64
	status   [600]int64 // answers by status
	failed   [failureCount]int64
	bytesIn  int64
	bytesOut int64
}

func (t *tally) merge(o *tally) {
	t.sent += o.sent
	t.bytesIn += o.bytesIn
	t.bytesOut += o.bytesOut
	for i, n := range o.status {
		t.status[i] += n
	}
	for i, n := range o.failed {
		t.failed[i] += n
	}
}

func (t *tally) answered() (n int64) {
	for _, c := range t.status {
		n += c
	}
	return n
}

func (t *tally) failures() (n int64) {
	for _, c := range t.failed {
		n += c
	}
	return n
}

// recording is everything measured in some span of time.
type recording struct {
	kinds     [kindCount]tally
	bids      int64 // bids in answers
	answers   int64 // answers with a bid
	unsent    int64 // due before the end, never sent
	dropped   int64 // beacons there was no room to remember
	latency   *hdrhistogram.Histogram
	beacons   *hdrhistogram.Histogram
	sendDelay *hdrhistogram.Histogram
}

func newRecording() *recording {
	return &recording{latency: newHistogram(), beacons: newHistogram(), sendDelay: newHistogram()}
}

func (r *recording) reset() {
	lat, bea, del := r.latency, r.beacons, r.sendDelay
	lat.Reset()
	bea.Reset()
	del.Reset()
	*r = recording{latency: lat, beacons: bea, sendDelay: del}
}

func (r *recording) merge(o *recording) {
	for k := range r.kinds {
		r.kinds[k].merge(&o.kinds[k])
	}
	r.bids += o.bids
	r.answers += o.answers
	r.unsent += o.unsent
	r.dropped += o.dropped
	r.latency.Merge(o.latency)
	r.beacons.Merge(o.beacons)
	r.sendDelay.Merge(o.sendDelay)
}

// Latency is a distribution in microseconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_us"`
	Min   float64 `json:"min_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p99_9_us"`
	P9999 float64 `json:"p99_99_us"`
	Max   float64 `json:"max_us"`
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	us := func(v int64) float64 { return float64(v/100) / 10 }
	q := func(p float64) float64 { return us(h.ValueAtQuantile(p)) }
	return Latency{
		Count: h.TotalCount(), Mean: us(int64(h.Mean())), Min: us(h.Min()),
		P50: q(50), P90: q(90), P99: q(99), P999: q(99.9), P9999: q(99.99), Max: us(h.Max()),
	}
}

// Progress is what happened since the last one.
type Progress struct {
	Elapsed  time.Duration
	Warmup   bool
	Seconds  float64 // length of this span
	Sent     int64   // bid requests
	Answered int64
	Rate     float64 // answered a second
	Bids     int64
	Beacons  int64
	Errors   int64 // requests without an answer, and answers of 400 and more
	Latency  Latency
}
