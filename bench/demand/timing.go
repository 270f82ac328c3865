package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"millrace/bench/dspfleet"
	"millrace/bench/load"
	"millrace/shards"
)

// hardCut is the end of every collection in these runs, by the demand file.
const hardCut = 120 * time.Millisecond

// timingRun is how long answers took with a fifth of the bidders hanging.
type timingRun struct {
	What     string     `json:"what"`
	Answered int64      `json:"answered"`
	Failed   int64      `json:"failed"`
	Rate     float64    `json:"auctions_per_second"`
	Latency  [5]float64 `json:"answers_ms"` // p50, p99, p99.9, p99.99, max, from when they were sent
	Late     float64    `json:"send_delay_p99_9_ms"`
	// Sleepers are threads that only sleep, one on each core in use, beside the load: how
	// late they wake at p99.9 is what the machine itself adds to every process.
	Sleepers  []float64 `json:"sleepers_late_p99_9_ms"`
	Beyond    int64     `json:"beyond_cut_off"`         // later than the cut-off
	BeyondTwo int64     `json:"beyond_cut_off_and_2ms"` // and by more than 2 ms
	Hung      uint64    `json:"calls_that_hung"`
	Resets    uint64    `json:"rst_stream_seen"`
	Opened    uint64    `json:"connections_opened"`
	Open      uint64    `json:"connections_open"`
	Breaches  uint64    `json:"breaches_of_the_protocol"`
	buckets   *hdrhistogram.Histogram
}

// timing holds answers against the cut-off: with no breaker, no soft cut-off, so
// that every auction has bidders that hang, and with those a node has.
func timing(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	var runs []timingRun
	for _, k := range o.counts {
		for _, open := range []bool{false, true} {
			t, err := timingOf(ctx, o, k, open, stderr)
			if err != nil {
				return err
			}
			runs = append(runs, t)
		}
	}
	if o.asJSON {
		return writeJSON(stdout, runs)
	}
	return writeTiming(stdout, o, runs)
}

func timingOf(ctx context.Context, o *options, k int, breakers bool, stderr io.Writer) (t timingRun, err error) {
	p := o.plan(k)
	hanging := max(k/5, 1)
	t.What = fmt.Sprintf("%d bidders, %d hang, all defaults", k, hanging)
	if !breakers {
		t.What = fmt.Sprintf("%d bidders, %d hang, no breaker, no soft cut-off", k, hanging)
		p.demand = "deadlines: {margin: 10, tmax: 500ms, soft: []}\nhealth: {healthy: 0}\nstage: {down: 10s}\nbreaker: {errors: 1, invalid: 1, p95: 10s, calls: 1000000, row: 1000000}\n"
	}
	p.change = func(c *dspfleet.Config) error {
		for i := range hanging {
			if err := c.Apply(dspfleet.Step{Names: c.DSPs[i*k/hanging].Name, Pairs: []string{"faults=hang"}}); err != nil {
				return err
			}
		}
		return nil
	}
	r, err := newRig(ctx, p, stderr)
	if err != nil {
		return t, err
	}
	defer r.close()
	c := load.Default()
	c.Rate, c.Poisson, c.Connections, c.Duration, c.Impressions = o.rate, true, o.inFlight, max(o.warmup, time.Second), 0
	c.Corpus = patient()
	if _, _, err = r.drive(ctx, c); err != nil {
		return t, err
	}
	r.calls.reset()
	before := r.fleet.Status()
	c.Duration = o.duration
	asleep := sleepers(slices.Concat(o.cores, shards.UsableCPUs())) // the server's cores, and ours
	s, _, err := r.drive(ctx, c)
	t.Sleepers = asleep()
	if err != nil {
		return t, err
	}
	t.Answered, t.Failed, t.Rate, t.Late = s.Answered, s.Failed(), s.Rate, s.SendDelay.P999/1e3
	h := r.calls.total
	for i, q := range []float64{50, 99, 99.9, 99.99, 100} {
		t.Latency[i] = quantile(h, q)
	}
	for _, b := range h.Distribution() {
		if b.From > int64(hardCut) {
			t.Beyond += b.Count
		}
		if b.From > int64(hardCut+2*time.Millisecond) {
			t.BeyondTwo += b.Count
		}
	}
	t.buckets = h
	for i, d := range r.fleet.Status() {
		t.Hung += d.Faults["hang"] - before[i].Faults["hang"]
		t.Resets += d.Resets - before[i].Resets
		t.Opened += d.Opened
		t.Open += d.Open
		t.Breaches += d.Breaches
	}
	return t, nil
}

// patient is the built-in mix without its tmax: the cut-off is the server's.
func patient() *load.Corpus {
	mix := load.Mix(1)
	var bodies [][]byte
	for i := range mix.Len() {
		bodies = append(bodies, withoutTMax(mix.Body(i)))
	}
	return load.NewCorpus(bodies)
}

func withoutTMax(body []byte) []byte {
	text := string(body)
	i := strings.Index(text, `"tmax":`)
	if i < 0 {
		return body
	}
	end := i + len(`"tmax":`)
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	// The comma behind it goes too, or the one before.
	if end < len(text) && text[end] == ',' {
		end++
	} else if i > 0 && text[i-1] == ',' {
		i--
	}
	return []byte(text[:i] + text[end:])
}

func writeTiming(w io.Writer, o *options, runs []timingRun) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %s, the others' latency %s, %.0f auctions/s, cut-off %v\n", environment(o.cores != nil), o.speaks, o.latency, o.rate, hardCut)
	for _, t := range runs {
		fmt.Fprintf(&b, "\n%s: %d answers, %d failed\n", t.What, t.Answered, t.Failed)
		fmt.Fprintf(&b, "  ms  p50 %.2f  p99 %.2f  p99.9 %.2f  p99.99 %.2f  max %.2f\n", t.Latency[0], t.Latency[1], t.Latency[2], t.Latency[3], t.Latency[4])
		fmt.Fprintf(&b, "  at p99.9 the client itself was late by %.2f ms, threads that only sleep by %.2f\n", t.Late, t.Sleepers)
		fmt.Fprintf(&b, "  beyond the cut-off %d, by more than 2 ms %d (%.3f %%)\n", t.Beyond, t.BeyondTwo, 100*float64(t.BeyondTwo)/float64(max(t.Answered, 1)))
		fmt.Fprintf(&b, "  calls that hung %d, RST_STREAM seen %d; connections opened %d, open at the end %d; breaches of the protocol %d\n", t.Hung, t.Resets, t.Opened, t.Open, t.Breaches)
		writeBuckets(&b, t.buckets)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// edges of the printed histogram, in milliseconds: fine around the cut-off.
var edges = []float64{0, 25, 50, 75, 100, 115, 118, 119, 119.5, 120, 120.25, 120.5, 121, 121.5, 122, 123, 125, 130, 150, 1e9}

func writeBuckets(b *strings.Builder, h *hdrhistogram.Histogram) {
	counts := make([]int64, len(edges)-1)
	most := int64(1)
	for _, bar := range h.Distribution() {
		for i := range counts {
			if ms := float64(bar.From) / 1e6; ms >= edges[i] && ms < edges[i+1] {
				counts[i] += bar.Count
				most = max(most, counts[i])
			}
		}
	}
	for i, n := range counts {
		if n > 0 {
			fmt.Fprintf(b, "  %7.2f ms  %8d  %s\n", edges[i], n, strings.Repeat("█", int(max(1, 50*n/most))))
		}
	}
}
