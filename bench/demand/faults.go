package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"millrace/bench/load"
	"millrace/engine/node"
)

// ills are the ways in which the first bidder goes bad, with its settings
// meanwhile.
var ills = []struct{ name, settings string }{
	{"slow", "latency=400ms"},
	{"dead", "down=true"},
	{"hang", "faults=hang"},
	{"error", "faults=error"},
	{"reset", "faults=reset"},
	{"reset_stream", "faults=reset_stream"},
	{"close", "faults=close"},
	{"rate_limit", "faults=rate_limit retry=3"},
	{"html", "faults=html"},
	{"malformed", "faults=malformed"},
	{"oversized", "faults=oversized"},
	{"drip", "faults=drip"},
	{"wrong_imp", "faults=wrong_imp"},
	{"wrong_currency", "faults=wrong_currency"},
	{"below_floor", "faults=below_floor"},
}

// nobodys is a catalog of which nothing is ever eligible, so that all revenue is
// the bidders'.
const nobodys = `advertisers:
  - id: nobody
    name: Nobody
    domain: nobody.example
    campaigns:
      - id: nobody
        currency: USD
        time_zone: UTC
        line_items:
          - id: nobody
            kind: house
            targeting: {include: {country: [ATA]}}
            creatives:
              - id: nobody
                size: 300x250
                landing: https://nobody.example/
                image: https://nobody.example/x.png
`

// faultRun is one run in which the first bidder is bad for a while.
type faultRun struct {
	What string `json:"what"`
	// Isolated and Back are seconds from going bad until it is asked for less
	// than a tenth of what the others are, and from getting well until for more
	// than half; -1 is never.
	Isolated float64 `json:"isolated_after_seconds"`
	Back     float64 `json:"back_after_seconds"`
	Cause    string  `json:"cause"`
	// AskedBad is its share of calls while it was bad, of a well bidder's.
	AskedBad float64   `json:"asked_while_bad"`
	Spend    []float64 `json:"spend_by_bidder"`
	Others   float64   `json:"spend_of_the_others"`
	// Kept is the others' spend in parts of what it is when nothing goes wrong.
	Kept     float64 `json:"others_kept"`
	P99      float64 `json:"answers_p99_ms"`
	Failed   int64   `json:"failed"`
	Breaches uint64  `json:"breaches"`
}

const (
	settled  = 6 * time.Second
	lookStep = 250 * time.Millisecond
)

// faults plays each ill, and two runs without.
func faults(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	list := []struct{ name, settings string }{{"well throughout", ""}, {"silent meanwhile", "bids=0"}}
	wanted := strings.Split(o.faults, ",")
	for _, ill := range ills {
		if o.faults == "all" || slices.Contains(wanted, ill.name) {
			list = append(list, ill)
		}
	}
	var runs []faultRun
	for _, ill := range list {
		r, err := faultOf(ctx, o, ill.name, strings.Fields(ill.settings), stderr)
		if err != nil {
			return fmt.Errorf("%s: %w", ill.name, err)
		}
		if len(runs) > 0 {
			r.Kept = r.Others / runs[0].Others
		}
		fmt.Fprintf(stderr, "%s: isolated after %.1f s, back after %.1f s\n", ill.name, r.Isolated, r.Back)
		runs = append(runs, r)
	}
	if o.asJSON {
		return writeJSON(stdout, runs)
	}
	return writeFaults(stdout, o, runs)
}

func faultOf(ctx context.Context, o *options, name string, settings []string, stderr io.Writer) (f faultRun, err error) {
	p := o.plan(o.counts[0])
	p.all = append(p.all, "notices=true")
	p.catalog = nobodys
	r, err := newRig(ctx, p, stderr)
	if err != nil {
		return f, err
	}
	defer r.close()
	total := settled + 3*o.bad
	c := load.Default()
	c.Rate, c.Poisson, c.Connections, c.Impressions, c.Clicks = o.rate, true, o.inFlight, 1, 0
	c.Duration, c.Requests = total+10*time.Second, int64(o.rate*total.Seconds())
	type outcome struct {
		s   *load.Summary
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		s, _, err := r.drive(ctx, c)
		done <- outcome{s, err}
	}()
	f = faultRun{What: name, Isolated: -1, Back: -1}
	began := time.Now()
	w := watcher{rig: r, first: r.fleet.Status()[0].Name}
	if err = w.until(ctx, began.Add(settled), nil); err != nil {
		return f, err
	}
	if len(settings) > 0 {
		if _, err = r.fleet.Set(w.first, settings...); err != nil {
			return f, err
		}
	}
	w.reset()
	bad := time.Now()
	err = w.until(ctx, bad.Add(o.bad), func() {
		if f.Isolated < 0 && w.share < 0.1 {
			f.Isolated = time.Since(bad).Seconds()
		}
		if w.cause != "" {
			f.Cause = w.cause
		}
	})
	if err != nil {
		return f, err
	}
	f.AskedBad = w.sum
	if _, err = r.fleet.Set(w.first, "reset"); err != nil {
		return f, err
	}
	w.reset()
	well := time.Now()
	err = w.until(ctx, well.Add(2*o.bad), func() {
		if f.Back < 0 && w.share > 0.5 {
			f.Back = time.Since(well).Seconds()
		}
	})
	if err != nil {
		return f, err
	}
	end := <-done
	if end.err != nil {
		return f, end.err
	}
	f.P99, f.Failed = end.s.Latency.P99/1e3, end.s.Failed()
	return f, f.take(ctx, r)
}

// take sums what the bidders were billed, once the last notices have come.
func (f *faultRun) take(ctx context.Context, r *rig) error {
	var last uint64
	for quiet := 0; quiet < 4; {
		billed := uint64(0)
		for _, d := range r.fleet.Status() {
			billed += d.Notices.Billed
		}
		if quiet++; billed != last {
			quiet, last = 0, billed
		}
		if err := sleep(ctx, lookStep); err != nil {
			return err
		}
	}
	for i, d := range r.fleet.Status() {
		f.Spend = append(f.Spend, d.Notices.Spend)
		f.Breaches += d.Breaches + d.Notices.Faults
		if i > 0 {
			f.Others += d.Notices.Spend
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// watcher follows how often a bidder is asked, against the mean of the others,
// as the admin port tells it.
type watcher struct {
	rig   *rig
	first string

	asked, others float64 // at the last look
	looked        bool
	share         float64 // of the last step
	fromAsked     float64
	fromOthers    float64
	sum           float64 // since reset
	cause         string  // of a circuit that is not closed
}

func (w *watcher) reset() {
	w.fromAsked, w.fromOthers = w.asked, w.others
}

func (w *watcher) until(ctx context.Context, end time.Time, each func()) error {
	for time.Now().Before(end) {
		if err := sleep(ctx, lookStep); err != nil {
			return err
		}
		if err := w.look(ctx); err != nil {
			return err
		}
		if each != nil {
			each()
		}
	}
	return nil
}

func (w *watcher) look(ctx context.Context) error {
	s, err := demandOf(ctx, w.rig.server.Admin)
	if err != nil {
		return err
	}
	asked, others := 0.0, 0.0
	w.cause = ""
	for i := range s.Partners {
		p := &s.Partners[i]
		if p.Name != w.first {
			others += float64(p.Asked) / float64(len(s.Partners)-1)
			continue
		}
		asked = float64(p.Asked)
		if p.OpenOn > 0 {
			w.cause = p.Cause
		}
	}
	w.share = 1
	if w.looked && others > w.others {
		w.share = (asked - w.asked) / (others - w.others)
	}
	if others > w.fromOthers {
		w.sum = (asked - w.fromAsked) / (others - w.fromOthers)
	}
	w.asked, w.others, w.looked = asked, others, true
	return nil
}

func demandOf(ctx context.Context, admin string) (s node.DemandStatus, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/demand", nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("GET /demand: status %d", resp.StatusCode)
	}
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

func writeFaults(w io.Writer, o *options, runs []faultRun) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %d bidders, %s, %s, %.0f auctions/s; the first is bad from %v on for %v, then well again for %v\n\n%-17s %9s %8s %-12s %8s %9s %9s %9s %7s %9s  %s\n", environment(o.cores != nil), o.counts[0], o.speaks, o.latency, o.rate, settled, o.bad, 2*o.bad,
		"", "isolated", "back", "cause", "asked", "its own", "others", "others", "failed", "p99 ms", "spend of each bidder")
	seconds := func(s float64) string {
		if s < 0 {
			return "never"
		}
		return fmt.Sprintf("%.1f s", s)
	}
	for i, r := range runs {
		kept, isolated, back := "", seconds(r.Isolated), seconds(r.Back)
		if i > 0 {
			kept = fmt.Sprintf("%.1f %%", 100*r.Kept)
		}
		if i < 2 {
			isolated, back = "", ""
		}
		fmt.Fprintf(&b, "%-17s %9s %8s %-12s %7.0f%% %9.4f %9.4f %9s %7d %9.1f ", r.What, isolated, back, r.Cause, 100*r.AskedBad, r.Spend[0], r.Others, kept, r.Failed, r.P99)
		for _, s := range r.Spend {
			fmt.Fprintf(&b, " %.3f", s)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}
