package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"millrace/bench/sim/storm"
)

// simOptions are the flags of millrace sim.
type simOptions struct {
	storm.Config
	minutes float64
	days    float64
	seeds   uint64
	jobs    int
	faults  string
	without string
	json    bool
	shrink  bool
	every   bool
	world   string
}

func simCommand() *cobra.Command {
	var o simOptions
	c := &cobra.Command{
		Use:   "sim",
		Short: "Try to break the money, or the bidding, in a simulated world",
		Long: `Runs the production code on simulated disks, clocks, networks and stores, under a
plan of faults drawn from a seed, and recounts the money from raw bytes and from
what clients were told (invariants I1 to I7, docs/testing.md).

A seed is a run, event for event: a failure is printed with its seed, the
shortest prefix of events that still fails, and the faults it needs.

With --world demand bidders misbehave instead: they are late or silent, lie about
ids, currencies and floors, send garbage, errors and resets, while auctions
overlap and files are swapped. An oracle that saw the same bids finds the winners
by itself. Of the other flags --seed, --seeds, --shards, --jobs, --json and
--shrink count then.`,
		Example: `  millrace sim --seed 7 --minutes 10            # one run
  millrace sim --seed 1 --seeds 10000           # many; to go on later, --seed with the number it shows
  millrace sim --seed 1 --seeds 100 --days 3    # days with midnights and clock changes
  millrace sim --seeds 20 --without fsync       # must fail: the simulator can see it
  millrace sim --world demand --seeds 10000     # bidders that misbehave`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.read(); err != nil {
				return usageError{err}
			}
			if o.world == demandWorld {
				return o.runMarket(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
			}
			return o.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.StringVar(&o.world, "world", moneyWorld, "what is tried: "+moneyWorld+" or "+demandWorld)
	f.Uint64Var(&o.Seed, "seed", 1, "first seed")
	f.Uint64Var(&o.seeds, "seeds", 1, "how many seeds, one after the other")
	f.Float64Var(&o.minutes, "minutes", 10, "simulated minutes of a run")
	f.Float64Var(&o.days, "days", 0, "simulated days of a run instead: sparse traffic and faults, default reservation TTL")
	f.IntVar(&o.Nodes, "nodes", 0, "nodes that share a ledger and a counter; 0 lets the seed choose 1 to 4")
	f.BoolVar(&o.Embedded, "embedded", false, "one node with a store of its own")
	f.IntVar(&o.Shards, "shards", 0, "shards of a node; 0 lets the seed choose")
	f.Float64Var(&o.Rate, "rate", 0, "requests a second; 0 is the default of the length")
	f.StringVar(&o.faults, "faults", "all", "all, none, a list of names, or all but some: -kill,-clock-jump")
	f.StringVar(&o.without, "without", "nothing", "take one safety away: "+fmt.Sprint(storm.SafetyNames()))
	f.IntVar(&o.jobs, "jobs", runtime.GOMAXPROCS(0), "runs at one time")
	f.BoolVar(&o.json, "json", false, "one JSON object a run, then one for the sum")
	f.BoolVar(&o.every, "require-all", false, "fail if a fault that was asked for never happened")
	f.BoolVar(&o.shrink, "shrink", true, "make the first failure small")
	return c
}

// read turns the flags' texts into a configuration.
func (o *simOptions) read() (err error) {
	if o.Faults, err = storm.ParseFaults(o.faults); err != nil {
		return fmt.Errorf("--faults: %w", err)
	}
	if o.Removed, err = storm.ParseSafety(o.without); err != nil {
		return fmt.Errorf("--without: %w", err)
	}
	o.Duration = time.Duration(o.minutes * float64(time.Minute))
	if o.days > 0 {
		o.Long, o.Duration = true, time.Duration(o.days*24*float64(time.Hour))
	}
	switch {
	case o.world != moneyWorld && o.world != demandWorld:
		return fmt.Errorf("--world %q: use %s or %s", o.world, moneyWorld, demandWorld)
	case o.Duration < time.Minute || o.Duration > 100*24*time.Hour:
		return fmt.Errorf("--minutes, --days: %v, want between a minute and 100 days", o.Duration)
	case o.Long && o.Duration < 2*time.Hour:
		return fmt.Errorf("--days: %v, want at least two hours; use --minutes", o.days)
	case o.seeds < 1 || o.jobs < 1:
		return fmt.Errorf("--seeds %d, --jobs %d: want at least 1", o.seeds, o.jobs)
	case o.Nodes < 0 || o.Nodes > storm.NodesMax || o.Embedded && o.Nodes > 1:
		return fmt.Errorf("--nodes %d: want up to %d, and not more than one with --embedded", o.Nodes, storm.NodesMax)
	case o.Shards < 0 || o.Shards > storm.ShardsMax || o.Rate < 0:
		return fmt.Errorf("--shards %d, --rate %v: want up to %d shards, and no negative number", o.Shards, o.Rate, storm.ShardsMax)
	}
	return nil
}

// run runs all seeds, some at a time, and reports.
func (o *simOptions) run(ctx context.Context, stdout, stderr io.Writer) error {
	debug.SetGCPercent(400) // many small worlds; memory is not what they lack
	began, shown := time.Now(), time.Now()
	var sum storm.Summary
	var first *storm.Result
	fault := o.each(ctx, func(r *storm.Result) error {
		sum.Add(r)
		if r.Failed() && (first == nil || r.Seed < first.Seed) {
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
	if fault != nil {
		return fault
	}
	if err := o.report(&sum, time.Since(began), stdout); err != nil {
		return err
	}
	if uint64(sum.Runs) < o.seeds {
		fmt.Fprintf(stderr, "stopped; to go on: --seed %d --seeds %d\n", o.Seed+uint64(sum.Runs), o.seeds-uint64(sum.Runs))
		return errReported
	}
	if first != nil {
		o.explain(first, stdout)
		return errReported
	}
	if missing := sum.Missing(o.Faults); o.every && len(missing) > 0 {
		fmt.Fprintf(stderr, "never happened in all these runs: %v\n", missing)
		return errReported
	}
	return nil
}

// each runs the seeds in order and hands the results over in order.
func (o *simOptions) each(ctx context.Context, take func(*storm.Result) error) error {
	return eachSeed(ctx, o, func(seed uint64) (*storm.Result, error) {
		c := o.Config
		c.Seed = seed
		return storm.Run(c)
	}, take)
}

// eachSeed runs the seeds, some at one time, and hands the results over in order.
func eachSeed[R any](ctx context.Context, o *simOptions, run func(seed uint64) (R, error), take func(R) error) error {
	type outcome struct {
		r   R
		err error
	}
	results := make([]chan outcome, o.jobs)
	for i := range results {
		results[i] = make(chan outcome, 1)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for job := range o.jobs {
		wg.Go(func() {
			defer close(results[job])
			for k := uint64(job); k < o.seeds && ctx.Err() == nil; k += uint64(o.jobs) {
				r, err := run(o.Seed + k)
				select {
				case results[job] <- outcome{r, err}:
				case <-ctx.Done():
				}
			}
		})
	}
	for k := range o.seeds {
		x, ok := <-results[k%uint64(o.jobs)]
		if !ok {
			return nil // cancelled
		}
		if x.err != nil {
			return x.err
		}
		if err := take(x.r); err != nil {
			return err
		}
	}
	return nil
}

func (o *simOptions) report(sum *storm.Summary, took time.Duration, stdout io.Writer) error {
	if !o.json {
		sum.Print(stdout, took)
		return nil
	}
	return json.NewEncoder(stdout).Encode(struct {
		*storm.Summary
		Missing []string `json:"faults_that_never_happened"`
		Seconds float64  `json:"wall_seconds"`
	}{sum, sum.Missing(o.Faults), took.Seconds()})
}

// explain prints a failure, made small.
func (o *simOptions) explain(r *storm.Result, stdout io.Writer) {
	if !o.json {
		for _, v := range r.Violations {
			fmt.Fprintf(stdout, "seed %d: %s: %s\n", r.Seed, v.Invariant, v.Text)
		}
	}
	if !o.shrink {
		return
	}
	c := o.Config
	c.Seed = r.Seed
	small, err := storm.Shrink(c, r)
	switch {
	case err != nil:
		fmt.Fprintln(stdout, err)
	case o.json:
		_ = json.NewEncoder(stdout).Encode(small)
	default:
		fmt.Fprintf(stdout, "smallest failure of seed %d, after %d runs: %s: %s\n", r.Seed, small.Runs, small.Violation.Invariant, small.Violation.Text)
		if small.Events > 0 {
			fmt.Fprintf(stdout, "  %d events are enough\n", small.Events)
		}
		for _, f := range small.Faults {
			fmt.Fprintf(stdout, "  fault %s\n", f)
		}
	}
}
