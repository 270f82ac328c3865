package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"millrace/bench/sim/market"
)

// Worlds of millrace sim.
const (
	moneyWorld  = "money"
	demandWorld = "demand"
)

// marketSum is what all runs of the demand world came to.
type marketSum struct {
	Runs      int               `json:"runs"`
	Failed    []uint64          `json:"failed_seeds"`
	Requests  int               `json:"requests"`
	Asked     int               `json:"asked"`
	Calls     int               `json:"calls"`
	Cancelled int               `json:"cancelled"`
	Theirs    int               `json:"won_by_bidders"`
	Ours      int               `json:"won_by_lines"`
	Billed    int               `json:"billed"`
	Together  int               `json:"waiting_at_most"`
	Misdeeds  map[string]uint64 `json:"misdeeds"`
	Seconds   float64           `json:"wall_seconds"`
}

func (s *marketSum) add(r *market.Result) {
	s.Runs++
	s.Requests += r.Requests
	s.Asked += r.Asked
	s.Calls += r.Calls
	s.Cancelled += r.Cancelled
	s.Theirs += r.Theirs
	s.Ours += r.Ours
	s.Billed += r.Billed
	s.Together = max(s.Together, r.Together)
	for deed, n := range r.Misdeeds {
		s.Misdeeds[deed] += n
	}
	if r.Failed() {
		s.Failed = append(s.Failed, r.Seed)
	}
}

// runMarket runs all seeds of the demand world and reports.
func (o *simOptions) runMarket(ctx context.Context, stdout, stderr io.Writer) error {
	began, shown := time.Now(), time.Now()
	sum := marketSum{Misdeeds: map[string]uint64{}, Failed: []uint64{}}
	var first *market.Result
	run := func(seed uint64) (*market.Result, error) {
		return market.Run(market.Config{Seed: seed, Shards: o.Shards})
	}
	err := eachSeed(ctx, o, run, func(r *market.Result) error {
		sum.add(r)
		if r.Failed() && first == nil {
			first = r
		}
		if o.json {
			if err := json.NewEncoder(stdout).Encode(r); err != nil {
				return err
			}
		}
		if time.Since(shown) > 5*time.Second {
			shown = time.Now()
			fmt.Fprintf(stderr, "%d of %d seeds, %d failed; %v\n", sum.Runs, o.seeds, len(sum.Failed), time.Since(began).Round(time.Second))
		}
		return nil
	})
	if err != nil {
		return err
	}
	sum.Seconds = time.Since(began).Seconds()
	if err := o.reportMarket(&sum, stdout); err != nil {
		return err
	}
	if uint64(sum.Runs) < o.seeds {
		fmt.Fprintf(stderr, "stopped; to go on: --seed %d --seeds %d\n", o.Seed+uint64(sum.Runs), o.seeds-uint64(sum.Runs))
		return errReported
	}
	if first == nil {
		return nil
	}
	return o.explainMarket(first, stdout)
}

func (o *simOptions) reportMarket(sum *marketSum, stdout io.Writer) error {
	if o.json {
		return json.NewEncoder(stdout).Encode(sum)
	}
	fmt.Fprintf(stdout, "%d runs in %.1f s, %d failed\n", sum.Runs, sum.Seconds, len(sum.Failed))
	fmt.Fprintf(stdout, "%d requests, %d sent out in %d calls (%d cancelled), up to %d waiting at once\n", sum.Requests, sum.Asked, sum.Calls, sum.Cancelled, sum.Together)
	fmt.Fprintf(stdout, "%d impressions won by bidders, %d by lines, %d billed\n", sum.Theirs, sum.Ours, sum.Billed)
	for _, deed := range slices.Sorted(maps.Keys(sum.Misdeeds)) {
		fmt.Fprintf(stdout, "  %-16s %d\n", deed, sum.Misdeeds[deed])
	}
	return nil
}

// explainMarket prints a failure, made small.
func (o *simOptions) explainMarket(r *market.Result, stdout io.Writer) error {
	if o.shrink {
		small, err := market.Shrink(market.Config{Seed: r.Seed, Shards: o.Shards}, r)
		if err != nil {
			return err
		}
		r = small
	}
	for _, v := range r.Violations {
		fmt.Fprintf(stdout, "seed %d, %d requests: %s\n", r.Seed, r.Requests, v)
	}
	return errReported
}
