package dspfleet

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Status is what one bidder has seen and done. Counters count since the start.
type Status struct {
	Name     string            `json:"name"`
	URL      string            `json:"url"`
	Protocol string            `json:"protocol"`
	Settings map[string]string `json:"settings"`

	Requests    uint64 `json:"requests"`
	Answers     uint64 `json:"answers"`
	NoBids      uint64 `json:"no_bids"`
	Bids        uint64 `json:"bids"`
	BadRequests uint64 `json:"bad_requests"`
	// Faults are the requests that each fault befell.
	Faults map[string]uint64 `json:"faults"`
	// Cancelled are the requests nobody waited for any more when the answer was
	// due, by RST_STREAM or by closing the connection.
	Cancelled uint64 `json:"cancelled"`
	// Resets are the RST_STREAM frames that came; LateResets those of them whose
	// answer had left already.
	Resets     uint64 `json:"rst_stream"`
	LateResets uint64 `json:"rst_stream_late"`

	Opened     uint64 `json:"connections_opened"`
	Open       uint64 `json:"connections_open"`
	HTTP2      uint64 `json:"connections_http2"`
	Handshakes uint64 `json:"tls_handshakes"`
	Resumed    uint64 `json:"tls_resumed"`
	GoAways    uint64 `json:"goaways_sent"`
	Pings      uint64 `json:"pings"`
	Reads      uint64 `json:"reads"`
	Writes     uint64 `json:"writes"`
	BytesIn    uint64 `json:"bytes_in"`
	BytesOut   uint64 `json:"bytes_out"`
	// Breaches of the protocol by the client.
	Breaches   uint64 `json:"breaches"`
	LastBreach string `json:"last_breach,omitempty"`

	Latency Quantiles `json:"latency_us"`
	Late    Quantiles `json:"late_us"` // later than drawn: the fleet's own fault
	Notices Notices   `json:"notices"`
}

// Quantiles of a distribution, in microseconds.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

func quantilesOf(h *hdrhistogram.Histogram) Quantiles {
	q := func(p float64) float64 { return float64(h.ValueAtQuantile(p)/100) / 10 }
	return Quantiles{q(50), q(95), q(99), q(99.9), float64(h.Max()/100) / 10}
}

func (d *dsp) breached(what string) {
	d.count.breaches.Add(1)
	d.mu.Lock()
	d.breach = what
	d.mu.Unlock()
}

// Status of every bidder, in the configuration's order.
func (f *Fleet) Status() []Status {
	out := make([]Status, len(f.dsps))
	for i, d := range f.dsps {
		c := &d.count
		s := Status{
			Name: d.cfg.Name, URL: f.URL(i), Protocol: d.cfg.Protocol.String(), Settings: d.behaviour.Load().Map(),
			Requests: c.requests.Load(), Answers: c.answers.Load(), NoBids: c.noBids.Load(), Bids: c.bids.Load(), BadRequests: c.badRequests.Load(),
			Faults: map[string]uint64{}, Cancelled: c.cancelled.Load(), Resets: c.resets.Load(), LateResets: c.lateResets.Load(),
			Opened: c.opened.Load(), Open: c.open.Load(), HTTP2: c.h2.Load(), Handshakes: c.handshakes.Load(), Resumed: c.resumed.Load(),
			GoAways: c.goAways.Load(), Pings: c.pings.Load(), Breaches: c.breaches.Load(),
			Reads: c.reads.Load(), Writes: c.writes.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		}
		for k := Hang; k < faultKinds; k++ {
			if n := c.faults[k].Load(); n > 0 {
				s.Faults[k.String()] = n
			}
		}
		d.mu.Lock()
		s.LastBreach = d.breach
		s.Latency, s.Late = quantilesOf(d.latency), quantilesOf(d.late)
		s.Notices = d.notices
		s.Notices.Spend = s.Notices.spend.Float()
		s.Notices.LossReasons = map[string]uint64{}
		for reason, n := range d.notices.LossReasons {
			s.Notices.LossReasons[reason] = n
		}
		d.mu.Unlock()
		out[i] = s
	}
	return out
}

// Summary is a run of a fleet.
type Summary struct {
	Seconds float64  `json:"seconds"`
	Seed    uint64   `json:"seed"`
	DSPs    []Status `json:"dsps"`
}

// Summary is what there is to say at the end.
func (f *Fleet) Summary() Summary {
	return Summary{Seconds: time.Since(f.Began).Seconds(), Seed: f.cfg.Seed, DSPs: f.Status()}
}

// WriteText writes the summary for people.
func (s Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	width := 4
	for _, d := range s.DSPs {
		width = max(width, len(d.Name))
	}
	fmt.Fprintf(&b, "%-*s %-6s %10s %8s %8s %8s %8s %6s %8s %8s %8s %8s %10s\n", width, "dsp", "", "requests", "bids", "cancel", "p50 ms", "p99 ms", "conns", "rst", "won", "billed", "lost", "spend")
	for _, d := range s.DSPs {
		n := &d.Notices
		fmt.Fprintf(&b, "%-*s %-6s %10d %8d %8d %8.1f %8.1f %6d %8d %8d %8d %8d %10.4f", width, d.Name, d.Protocol, d.Requests, d.Bids, d.Cancelled,
			d.Latency.P50/1e3, d.Latency.P99/1e3, d.Open, d.Resets, n.Wins, n.Billed, n.Lost, n.Spend)
		if faults := d.Settings["faults"]; faults != faultNames[NoFault] {
			fmt.Fprintf(&b, "  %s", faults)
		}
		if d.Settings["down"] == "true" {
			b.WriteString("  down")
		}
		b.WriteByte('\n')
		for _, f := range []struct {
			n    uint64
			what string
			last string
		}{{d.Breaches, "breaches of the protocol", d.LastBreach}, {n.Faults, "faulty notices", n.LastFault}, {d.BadRequests, "requests that are none", ""}} {
			if f.n > 0 {
				fmt.Fprintf(&b, "%-*s   %d %s  %s\n", width, "", f.n, f.what, f.last)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// door is the operator's API.
//
//	GET  /              the summary; as a table with ?text
//	POST /NAMES?k=v&…   change those bidders (a list, * for any text); reset takes changes back
func (f *Fleet) door() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("text") {
			_ = f.Summary().WriteText(w) // a client that left
			return
		}
		reply(w, 200, f.Summary())
	})
	mux.HandleFunc("POST /{names}", func(w http.ResponseWriter, r *http.Request) {
		// A page in the operator's browser is not the operator.
		if origin := r.Header.Get("Origin"); origin != "" {
			reply(w, 403, map[string]string{"error": "requests of web pages are not taken", "remedy": "use curl"})
			return
		}
		var pairs []string
		for _, p := range pairsOf(r.URL.Query()) {
			if p == resetPair+"=" {
				p = resetPair
			}
			pairs = append(pairs, p)
		}
		n, err := f.Set(r.PathValue("names"), pairs...)
		if err != nil {
			reply(w, 422, map[string]string{"error": err.Error(), "remedy": "GET / shows names and settings"})
			return
		}
		reply(w, 200, map[string]int{"changed": n})
	})
	return mux
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // a client that left
}
