package load

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Summary is the result of a run.
type Summary struct {
	Target      string  `json:"target"`
	Seconds     float64 `json:"seconds"`
	Connections int     `json:"connections"`
	Workers     int     `json:"workers"`
	Pipeline    int     `json:"pipeline"`
	RateTarget  float64 `json:"rate_target"` // 0: as fast as answered
	Arrivals    string  `json:"arrivals"`    // even, poisson or closed
	// Corrected says that latency runs from when a request was due, so that
	// coordinated omission does not hide the server's pauses.
	Corrected bool `json:"coordinated_omission_corrected"`
	// Overloaded says that more than one in a hundred requests that were due
	// could not be sent: the rate was beyond the server, or this machine.
	Overloaded bool `json:"overloaded"`

	Sent       int64            `json:"sent"`
	Answered   int64            `json:"answered"`
	Unsent     int64            `json:"unsent"`
	Rate       float64          `json:"answers_per_second"`
	Status     map[string]int64 `json:"status"`
	Errors     map[string]int64 `json:"errors"`
	Bids       int64            `json:"bids"`
	WithBid    int64            `json:"answers_with_bid"`
	BytesIn    int64            `json:"bytes_in"`
	BytesOut   int64            `json:"bytes_out"`
	Latency    Latency          `json:"latency"`
	SendDelay  Latency          `json:"send_delay"`
	ClientCPU  float64          `json:"client_cpu_seconds"` // of this process
	Beacons    BeaconSummary    `json:"beacons"`
	Server     *ServerDelta     `json:"server,omitempty"`
	ServerNote string           `json:"server_note,omitempty"` // why Server is absent
}

// BeaconSummary counts the tracking URLs fetched.
type BeaconSummary struct {
	Impressions int64            `json:"impressions"`
	Clicks      int64            `json:"clicks"`
	Conversions int64            `json:"conversions"`
	Dropped     int64            `json:"dropped"`
	Status      map[string]int64 `json:"status"`
	Errors      map[string]int64 `json:"errors"`
	Latency     Latency          `json:"latency"`
}

// Failed is how many bid requests got no answer, or one of 400 and more.
func (s *Summary) Failed() (n int64) {
	for _, c := range s.Errors {
		n += c
	}
	for status, c := range s.Status {
		if status >= "400" {
			n += c
		}
	}
	return n
}

func summarise(cfg Config, r *recording, elapsed time.Duration) *Summary {
	bid := &r.kinds[kindBid]
	s := &Summary{
		Target: "http://" + cfg.Address + cfg.Path, Seconds: elapsed.Seconds(),
		Connections: cfg.Connections, Workers: cfg.Workers, Pipeline: cfg.Pipeline, RateTarget: cfg.Rate,
		Arrivals: "closed", Corrected: cfg.Rate > 0,
		Sent: bid.sent, Answered: bid.answered(), Unsent: r.unsent,
		Bids: r.bids, WithBid: r.answers, BytesIn: bid.bytesIn, BytesOut: bid.bytesOut,
		Status: statusMap(bid), Errors: errorMap(bid),
		Latency: latencyOf(r.latency), SendDelay: latencyOf(r.sendDelay),
	}
	if cfg.Rate > 0 {
		s.Arrivals = "even"
		if cfg.Poisson {
			s.Arrivals = "poisson"
		}
		s.Overloaded = s.Unsent*100 > s.Sent+s.Unsent
	}
	if elapsed > 0 {
		s.Rate = float64(s.Answered) / elapsed.Seconds()
	}
	var events tally
	for k := kindImpression; k < kindCount; k++ {
		events.merge(&r.kinds[k])
	}
	s.Beacons = BeaconSummary{
		Impressions: r.kinds[kindImpression].sent, Clicks: r.kinds[kindClick].sent, Conversions: r.kinds[kindConversion].sent,
		Dropped: r.dropped, Status: statusMap(&events), Errors: errorMap(&events), Latency: latencyOf(r.beacons),
	}
	return s
}

func statusMap(t *tally) map[string]int64 {
	m := map[string]int64{}
	for status, n := range t.status {
		if n > 0 {
			m[strconv.Itoa(status)] = n
		}
	}
	return m
}

func errorMap(t *tally) map[string]int64 {
	m := map[string]int64{}
	for f, n := range t.failed {
		if n > 0 {
			m[failureNames[f]] = n
		}
	}
	return m
}

// WriteText writes the summary for people.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	mode := "closed loop (latency not corrected)"
	if s.Corrected {
		mode = fmt.Sprintf("open loop, %s arrivals at %s/s (latency from the intended send time)", s.Arrivals, short(s.RateTarget))
	}
	fmt.Fprintf(&b, "%s  %.1f s, %d connections, pipeline %d\n%s\n\n", s.Target, s.Seconds, s.Connections, s.Pipeline, mode)
	fmt.Fprintf(&b, "requests  %d sent, %d answered (%s/s)%s\n", s.Sent, s.Answered, short(s.Rate), counts(", ", s.Status, s.Errors))
	if s.Unsent > 0 {
		fmt.Fprintf(&b, "          %d were due but found no free connection\n", s.Unsent)
	}
	fmt.Fprintf(&b, "bids      %d in %d answers (%.1f %% of answers)\n", s.Bids, s.WithBid, percent(s.WithBid, s.Answered))
	e := &s.Beacons
	if e.Impressions+e.Clicks+e.Conversions > 0 {
		fmt.Fprintf(&b, "beacons   %d impressions, %d clicks, %d conversions%s\n", e.Impressions, e.Clicks, e.Conversions, counts(", ", e.Status, e.Errors))
	}
	fmt.Fprintf(&b, "\n%-11s %9s %9s %9s %9s %9s %9s\n", "", "p50", "p90", "p99", "p99.9", "p99.99", "max")
	for _, l := range []struct {
		name string
		v    Latency
	}{{"latency", s.Latency}, {"beacons", e.Latency}, {"send delay", s.SendDelay}} {
		if l.v.Count > 0 {
			fmt.Fprintf(&b, "%-11s %9s %9s %9s %9s %9s %9s\n", l.name, micros(l.v.P50), micros(l.v.P90), micros(l.v.P99), micros(l.v.P999), micros(l.v.P9999), micros(l.v.Max))
		}
	}
	switch {
	case s.Server != nil:
		b.WriteString("\n" + s.Server.text())
	case s.ServerNote != "":
		b.WriteString("\nserver    " + s.ServerNote + "\n")
	}
	if s.Overloaded {
		b.WriteString("\nThe rate was beyond what could be served: the latencies are lower bounds. Lower --rate or raise --connections.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func percent(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// counts lists non-empty counters, statuses first.
func counts(lead string, ms ...map[string]int64) string {
	var parts []string
	for _, m := range ms {
		for _, k := range sortedKeys(m) {
			parts = append(parts, fmt.Sprintf("%s: %d", k, m[k]))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return lead + strings.Join(parts, ", ")
}

// short is a number with three digits that matter: 950, 12.3k, 1.20M.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'f', 2, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'f', 1, 64) + "k"
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// micros is a latency with its unit.
func micros(us float64) string {
	switch {
	case us >= 1e6:
		return strconv.FormatFloat(us/1e6, 'f', 2, 64) + "s"
	case us >= 1e3:
		return strconv.FormatFloat(us/1e3, 'f', 2, 64) + "ms"
	}
	return strconv.FormatFloat(us, 'f', 0, 64) + "µs"
}
