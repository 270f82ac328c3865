// Command pacing runs accounts of every size through simulated weeks and shows
// how closely they keep to their plans.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"millrace/codec/unit"
	"millrace/state/pacing"
)

const usage = `pacing: spend budgets over a simulated week and compare with the plan

The week has a daily and a weekly season, ten bursts of 2 to 5 times the traffic, a feed outage, a restart of the node and
competition that comes and goes. The forecast has learnt from -learn weeks before.

  go run ./bench/pacing
  go run ./bench/pacing -seed 7 -learn 0 -plot build/pacing.svg
  go run ./bench/pacing -json

`

func main() {
	seed := flag.Uint64("seed", 1, "seed of the world")
	learn := flag.Int("learn", 1, "weeks of traffic seen before the budgets start")
	plot := flag.String("plot", "", "write the week as an SVG picture to this file")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage); flag.PrintDefaults() }
	flag.Parse()
	if flag.NArg() > 0 || *learn < 0 {
		flag.Usage()
		os.Exit(2)
	}
	w := simulate(*seed, *learn)
	if err := report(os.Stdout, w, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "pacing:", err)
		os.Exit(1)
	}
	if *plot != "" {
		if err := os.WriteFile(*plot, draw(w), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "pacing:", err)
			os.Exit(1)
		}
	}
}

// simulate learns for some weeks and then spends for one.
func simulate(seed uint64, learn int) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	start := unit.WallTime(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixNano())
	const perSecond = 2000
	w := &world{rng: r, supply: newSupply(r, perSecond, start, learn+1), accounts: accounts(perSecond)}
	begin := start.Add(time.Duration(learn) * 7 * 24 * time.Hour)
	w.learning = true
	w.run(start, begin)
	w.learning = false
	end := begin.Add(7 * 24 * time.Hour)
	w.run(begin, end)
	w.hour(end)
	return w
}

// accounts from a thousand impressions a day to millions, with supply from
// hardly enough to plenty.
func accounts(perSecond float64) []*account {
	requests := perSecond * 24 * 3600
	var as []*account
	for _, c := range []struct {
		name        string
		mode        pacing.Mode
		impressions float64 // a day
		plenty      float64 // supply over need
	}{
		{"large, tight", pacing.Even, 5e6, 1.5},
		{"large, ample", pacing.Even, 5e6, 5},
		{"middle", pacing.Even, 200e3, 20},
		{"middle, plenty", pacing.Even, 200e3, 400},
		{"small", pacing.Even, 20e3, 500},
		{"front_loaded", pacing.FrontLoaded, 1e6, 5},
		{"asap", pacing.ASAP, 1e6, 5},
	} {
		const price = 2 * unit.MicrosPerUnit
		as = append(as, &account{
			name: c.name, mode: c.mode, unit: price.PerImpression(),
			budget: unit.Nanos(c.impressions) * price.PerImpression(),
			chance: c.impressions * c.plenty / requests,
		})
	}
	return as
}

// result is what a week of an account came to.
type result struct {
	Account string `json:"account"`
	Mode    string `json:"mode"`
	// OnPlan is the share of hours whose spending was within 5 % of what the day's
	// plan had for them, of the hours with enough supply for that; OnPlanAll of
	// all hours, outages and shortages included.
	OnPlan    float64 `json:"hours_on_plan_where_supply_allowed"`
	OnPlanAll float64 `json:"hours_on_plan"`
	// Short is the share of hours without enough supply.
	Short float64 `json:"hours_short_of_supply"`
	// OnTrack is the share of hours at whose end what was spent since the day
	// began was within 5 % of the day's budget of the plan.
	OnTrack float64 `json:"hours_on_track"`
	// Unspent is the share of the budget left at the end of the day: the week's,
	// and the worst day's.
	Unspent float64 `json:"unspent"`
	Worst   float64 `json:"unspent_worst_day"`
}

func (a *account) result() result {
	r := result{Account: a.name, Mode: a.mode.String()}
	fed := 0.0
	for _, h := range a.hours {
		off := float64(h.spent-h.planned) / float64(h.planned)
		on := off > -0.05 && off < 0.05
		if on {
			r.OnPlanAll++
		}
		if !h.dark && !h.short {
			fed++
			if on {
				r.OnPlan++
			}
		}
		if d := float64(h.ahead) / float64(a.budget); d > -0.05 && d < 0.05 {
			r.OnTrack++
		}
	}
	n := float64(len(a.hours))
	r.OnPlan, r.OnPlanAll, r.OnTrack, r.Short = r.OnPlan/fed, r.OnPlanAll/n, r.OnTrack/n, 1-fed/n
	var budget, spent unit.Nanos
	for _, d := range a.days {
		budget, spent = budget+d.budget, spent+d.spent
		r.Worst = max(r.Worst, 1-float64(d.spent)/float64(d.budget))
	}
	r.Unspent = 1 - float64(spent)/float64(budget)
	return r
}

func report(out io.Writer, w *world, asJSON bool) error {
	var rs []result
	for _, a := range w.accounts {
		rs = append(rs, a.result())
	}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(rs)
	}
	const columns = "%-16s %-13s %16s %16s %16s %12s %9s %10s\n"
	percent := func(v float64, digits int) string { return fmt.Sprintf("%.*f %%", digits, 100*v) }
	fmt.Fprintf(out, columns, "account", "pacing", "hours on plan", "of all hours", "short of supply", "day's track", "unspent", "worst day")
	for _, r := range rs {
		fmt.Fprintf(out, columns, r.Account, r.Mode, percent(r.OnPlan, 1), percent(r.OnPlanAll, 1), percent(r.Short, 1),
			percent(r.OnTrack, 1), percent(r.Unspent, 2), percent(r.Worst, 2))
	}
	return nil
}
