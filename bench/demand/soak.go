package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"millrace/bench/load"
)

// soakSample is the server at a moment of a long run.
type soakSample struct {
	Seconds     float64 `json:"seconds"`
	Goroutines  float64 `json:"goroutines"`
	Descriptors float64 `json:"open_descriptors"`
	Resident    float64 `json:"resident_mb"`
	Heap        float64 `json:"heap_live_mb"`
	Open        uint64  `json:"bidder_connections_open"`
	Opened      uint64  `json:"bidder_connections_opened"`
	Calls       uint64  `json:"calls"`
	Resets      uint64  `json:"rst_stream_seen"`
	Breaches    uint64  `json:"breaches"`
	Auctions    int64   `json:"auctions"`
	Failed      int64   `json:"failed"`
}

// soakSamples is how often the server is looked at.
const soakSamples = 10

// soak looks at the server again and again while a twentieth of the calls hang
// and others fail in their ways.
func soak(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	p := o.plan(o.counts[0])
	p.all = append(p.all, "notices=true", "faults=hang:0.05,error:0.01,reset_stream:0.01,html:0.005,malformed:0.005,goaway:0.0005,close:0.0005")
	r, err := newRig(ctx, p, stderr)
	if err != nil {
		return err
	}
	defer r.close()
	c := load.Default()
	c.Rate, c.Poisson, c.Connections, c.Duration = o.rate, true, o.inFlight, o.duration/soakSamples
	var samples []soakSample
	took, auctions, failed := 0.0, int64(0), int64(0)
	for range soakSamples {
		s, _, err := r.drive(ctx, c)
		if err != nil {
			return err
		}
		r.calls.reset()
		auctions += s.Answered
		failed += s.Failed()
		took += s.Seconds
		m, err := r.metrics(ctx)
		if err != nil {
			return err
		}
		get := func(name string) float64 { v, _ := m.Sum(name); return v }
		x := soakSample{Seconds: took, Goroutines: get("go_goroutines"), Descriptors: get("process_open_fds"), Resident: get("process_resident_memory_bytes") / 1e6,
			Heap: get("go_gc_heap_live_bytes") / 1e6, Auctions: auctions, Failed: failed}
		for _, d := range r.fleet.Status() {
			x.Open += d.Open
			x.Opened += d.Opened
			x.Calls += d.Requests
			x.Resets += d.Resets
			x.Breaches += d.Breaches
		}
		samples = append(samples, x)
	}
	if o.asJSON {
		return writeJSON(stdout, samples)
	}
	return writeSoak(stdout, o, samples)
}

func writeSoak(w io.Writer, o *options, samples []soakSample) error {
	_, err := fmt.Fprintf(w, "%s; %d bidders, %s, %.0f auctions/s for %v, %s\n\n%8s %10s %8s %11s %6s %8s %8s %6s %8s %10s %8s %8s\n", environment(o.cores != nil), o.counts[0], o.speaks, o.rate, o.duration.Round(time.Second),
		"5 % of calls hang, 3 % fail", "seconds", "goroutines", "fds", "resident MB", "heap", "conns", "opened", "rst", "calls", "auctions", "failed", "breaches")
	for _, s := range samples {
		if err == nil {
			_, err = fmt.Fprintf(w, "%8.0f %10.0f %8.0f %11.1f %6.1f %8d %8d %6d %8d %10d %8d %8d\n", s.Seconds, s.Goroutines, s.Descriptors, s.Resident, s.Heap, s.Open, s.Opened, s.Resets, s.Calls, s.Auctions, s.Failed, s.Breaches)
		}
	}
	return err
}
