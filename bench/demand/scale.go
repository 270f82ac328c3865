package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"millrace/bench/load"
)

// scaleRow is what auctions with so many bidders cost.
type scaleRow struct {
	DSPs int `json:"dsps"`
	// Closed loop: as many auctions as in-flight allows.
	Rate       float64 `json:"auctions_per_second"`
	CPU        float64 `json:"server_cpu_us_per_auction"`
	PerCall    float64 `json:"server_cpu_us_per_call"` // above an auction without bidders
	PerCore    float64 `json:"auctions_per_core_second"`
	Busy       float64 `json:"server_core_busy"`
	Mallocs    float64 `json:"mallocs_per_auction"`
	CallsShare float64 `json:"answered_calls_per_auction"`
	// Open loop, at a moderate rate.
	OpenRate float64    `json:"open_rate"`
	OpenCPU  float64    `json:"open_server_cpu_us_per_auction"`
	Own      [3]float64 `json:"bidders_own_ms"` // p50, p99, p99.9
	Above    [3]float64 `json:"above_ms"`
	Late     float64    `json:"send_delay_p99_9_ms"` // the client's own lateness
	Failed   int64      `json:"failed"`
}

// prebid are the CPU milliseconds of an auction in Prebid Server v4 (Go) with
// bidders that answer at once, on one core of a machine like this one, cited.
var prebid = map[int]float64{1: 0.88, 5: 2.05, 20: 6.6}

// scale measures auctions by the number of bidders.
func scale(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	var rows []scaleRow
	alone := 0.0
	for _, k := range o.counts {
		row, err := scaleOf(ctx, o, k, stderr)
		if err != nil {
			return err
		}
		if k == 0 {
			alone = row.CPU
		} else if alone > 0 {
			row.PerCall = (row.CPU - alone) / float64(k)
		}
		fmt.Fprintf(stderr, "%d bidders: %.0f auctions/s, %.1f µs of CPU each\n", k, row.Rate, row.CPU)
		rows = append(rows, row)
	}
	if o.asJSON {
		return writeJSON(stdout, rows)
	}
	return writeScale(stdout, o, rows)
}

// everybody is asked and waited for, however busy the machine: what is measured
// is the cost of all answers.
const everybody = "deadlines: {hard: 1s, tmax: 2s, margin: 10, soft: []}\nhealth: {healthy: 0}\nstage: {down: 10s}\nbreaker: {errors: 1, invalid: 1, p95: 10s, calls: 1000000, row: 1000000}\n"

func scaleOf(ctx context.Context, o *options, k int, stderr io.Writer) (row scaleRow, err error) {
	p := o.plan(k)
	p.demand = everybody
	p.alone = k == 0
	r, err := newRig(ctx, p, stderr)
	if err != nil {
		return row, err
	}
	defer r.close()
	row.DSPs = k
	closed := load.Default()
	closed.Corpus = patient()
	closed.Rate, closed.Connections, closed.Duration, closed.Warmup, closed.Impressions = 0, o.inFlight, o.duration, 0, 0
	warm := closed
	warm.Duration = o.warmup
	if _, _, err = r.drive(ctx, warm); err != nil {
		return row, err
	}
	r.calls.reset()
	cpu := r.server.CPU()
	s, d, err := r.drive(ctx, closed)
	if err != nil {
		return row, err
	}
	used := (r.server.CPU() - cpu).Seconds()
	n := float64(s.Answered)
	row.Rate, row.CPU, row.PerCore, row.Busy = s.Rate, used*1e6/n, n/used, used/s.Seconds
	row.Mallocs, row.CallsShare, row.Failed = d.MallocsPer, float64(r.calls.calls)/n, s.Failed()

	open := closed
	if open.Rate = o.rate; open.Rate == 0 {
		open.Rate = row.Rate / 3
	}
	open.Poisson = true
	r.calls.reset()
	cpu = r.server.CPU()
	if s, _, err = r.drive(ctx, open); err != nil {
		return row, err
	}
	row.OpenRate, row.OpenCPU = s.Rate, (r.server.CPU()-cpu).Seconds()*1e6/float64(s.Answered)
	row.Failed += s.Failed()
	row.Late = s.SendDelay.P999 / 1e3
	for i, q := range []float64{50, 99, 99.9} {
		row.Own[i] = quantile(r.calls.own, q)
		row.Above[i] = quantile(r.calls.above, q)
		if k == 0 {
			row.Above[i] = quantile(r.calls.total, q)
		}
	}
	return row, nil
}

func writeScale(w io.Writer, o *options, rows []scaleRow) error {
	_, err := fmt.Fprintf(w, "%s; %s, the bidders' own latency %s; %v a run\n\n%5s %11s %10s %9s %8s %6s %8s %7s   %9s %9s   %-24s %-24s %9s %12s %7s\n", environment(o.cores != nil), o.speaks, o.latency, o.duration.Round(time.Second),
		"dsps", "auctions/s", "CPU µs", "µs/call", "per core", "busy", "mallocs", "calls", "open/s", "CPU µs", "own p50 p99 p99.9 ms", "above p50 p99 p99.9 ms", "late p999", "Prebid CPU", "ratio")
	for _, r := range rows {
		cited, ratio := "", ""
		if ms := prebid[r.DSPs]; ms > 0 {
			cited, ratio = fmt.Sprintf("%.0f cited", ms*1000), fmt.Sprintf("1/%.0f", ms*1000/r.CPU)
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "%5d %11.0f %10.1f %9.2f %8.0f %6.2f %8.2f %7.2f   %9.0f %9.1f   %7.2f %7.2f %8.2f %7.2f %7.2f %8.2f %9.2f %12s %7s\n", r.DSPs, r.Rate, r.CPU, r.PerCall, r.PerCore, r.Busy, r.Mallocs, r.CallsShare,
				r.OpenRate, r.OpenCPU, r.Own[0], r.Own[1], r.Own[2], r.Above[0], r.Above[1], r.Above[2], r.Late, cited, ratio)
		}
		if r.Failed > 0 && err == nil {
			_, err = fmt.Fprintf(w, "%5s %d failed\n", "", r.Failed)
		}
	}
	return err
}
