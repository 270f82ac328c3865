package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"millrace/bench/load"
)

type loadgenFlags struct {
	cfg    load.Config
	max    bool
	even   bool
	corpus string
	admin  string
	quiet  bool
	asJSON bool
	strict bool
}

func loadgenCommand() *cobra.Command {
	f := loadgenFlags{cfg: load.Default()}
	c := &cobra.Command{
		Use:   "loadgen [HOST:PORT]",
		Short: "Drive a server and measure it",
		Long: `Sends bid requests at a fixed rate, whether or not the server keeps up (open
loop), and measures each answer from the moment its request was due: a pause of
the server is charged with every request it delayed. With --max each connection
sends as soon as it is answered: that measures throughput, and its latencies are
not corrected.

The tracking URLs in the answers are fetched too: a share of the wins is shown,
a share of those clicked, a share of those converts.

Requests are a built-in mix of banner, video and native from sites and apps in
seven countries, or the lines of --corpus. When the admin server answers, the
summary says what the run cost the server: GC cycles and pauses, allocations,
CPU.

Exit status: 1 when the server can't be reached, or, with --strict, when any
request failed or the rate could not be sent.`,
		Example: `  millrace loadgen                                   # 1000 requests a second for 10 s
  millrace loadgen --rate 20000 --duration 30s --connections 256
  millrace loadgen --max --connections 64 --json > result.json
  millrace loadgen 10.0.0.5:8080 --admin 10.0.0.5:8081 --corpus requests.jsonl`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.cfg.Address = args[0]
			}
			return f.run(c)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.cfg.Address, "target", f.cfg.Address, "host:port of the ad server")
	flags.StringVar(&f.cfg.Path, "path", f.cfg.Path, "path of the bid requests")
	flags.StringVar(&f.admin, "admin", "127.0.0.1:8081", "host:port of the admin server, for what the run cost; empty: don't ask")
	flags.Float64Var(&f.cfg.Rate, "rate", f.cfg.Rate, "bid requests a second")
	flags.BoolVar(&f.max, "max", false, "as fast as the server answers (closed loop)")
	flags.BoolVar(&f.even, "even", false, "even spacing instead of Poisson arrivals")
	flags.DurationVar(&f.cfg.Duration, "duration", f.cfg.Duration, "measured time")
	flags.DurationVar(&f.cfg.Warmup, "warmup", time.Second, "time before it, not measured")
	flags.Int64Var(&f.cfg.Requests, "requests", 0, "end after so many bid requests (0: by duration)")
	flags.IntVar(&f.cfg.Connections, "connections", f.cfg.Connections, "kept-alive connections")
	flags.IntVar(&f.cfg.Pipeline, "pipeline", f.cfg.Pipeline, "requests on the wire of one connection")
	flags.IntVar(&f.cfg.Workers, "workers", f.cfg.Workers, "client threads")
	flags.DurationVar(&f.cfg.Timeout, "timeout", f.cfg.Timeout, "how long an answer may take")
	flags.StringVar(&f.corpus, "corpus", "", "file with one bid request a line (default the built-in mix)")
	flags.Uint64Var(&f.cfg.Seed, "seed", f.cfg.Seed, "seed of the mix, the users and the arrivals")
	flags.Float64Var(&f.cfg.Impressions, "impressions", f.cfg.Impressions, "share of the wins that is shown")
	flags.Float64Var(&f.cfg.Clicks, "clicks", f.cfg.Clicks, "share of the shown that is clicked")
	flags.Float64Var(&f.cfg.Conversions, "conversions", f.cfg.Conversions, "share of the clicks that converts")
	flags.DurationVar(&f.cfg.BeaconDelay, "beacon-delay", f.cfg.BeaconDelay, "time before each of these")
	flags.BoolVar(&f.quiet, "quiet", false, "no progress on stderr")
	flags.BoolVar(&f.asJSON, "json", false, "the summary as JSON")
	flags.BoolVar(&f.strict, "strict", false, "exit with 1 when any request failed")
	return c
}

func (f *loadgenFlags) run(c *cobra.Command) error {
	cfg := f.cfg
	cfg.Poisson = !f.even
	if f.max {
		if c.Flags().Changed("rate") {
			return usageError{fmt.Errorf("--rate and --max exclude each other")}
		}
		cfg.Rate = 0
	}
	if cfg.Requests > 0 && !c.Flags().Changed("duration") {
		cfg.Duration = 0
	}
	if f.corpus != "" {
		corpus, err := load.ReadCorpus(f.corpus)
		if err != nil {
			return err
		}
		cfg.Corpus = corpus
	}
	if faults := cfg.Validate(); faults != nil {
		return usageError{fmt.Errorf("%w", joinLines(faults))}
	}
	if !f.quiet {
		cfg.Progress = func(p load.Progress) { printProgress(c.ErrOrStderr(), p) }
	}
	summary, err := measured(c.Context(), cfg, f.admin)
	if err != nil {
		return err
	}
	if f.asJSON {
		err = writeJSON(c, summary)
	} else {
		if !f.quiet {
			fmt.Fprintln(c.ErrOrStderr())
		}
		err = summary.WriteText(c.OutOrStdout())
	}
	if err == nil && f.strict && (summary.Failed() > 0 || summary.Overloaded || len(summary.Beacons.Errors) > 0) {
		return fmt.Errorf("%d requests failed, %d could not be sent", summary.Failed(), summary.Unsent)
	}
	return err
}

// measured runs the load between two scrapes of the admin server.
func measured(ctx context.Context, cfg load.Config, admin string) (*load.Summary, error) {
	var before load.Metrics
	var scrapeErr error
	page := metricsURL(admin)
	if admin != "" {
		before, scrapeErr = scrape(ctx, page)
	}
	summary, err := load.Run(ctx, cfg)
	if err != nil || admin == "" {
		return summary, err
	}
	var after load.Metrics
	if scrapeErr == nil {
		// A run that was ended early still says what it cost.
		after, scrapeErr = scrape(context.WithoutCancel(ctx), page)
	}
	if scrapeErr != nil {
		summary.ServerNote = "not measured: " + scrapeErr.Error()
		return summary, nil
	}
	b := summary.Beacons
	summary.Server = load.Delta(before, after, summary.Answered+b.Impressions+b.Clicks+b.Conversions)
	return summary, nil
}

func metricsURL(admin string) string {
	u := url.URL{Scheme: "http", Host: admin, Path: "/metrics"}
	return u.String()
}

func scrape(ctx context.Context, page string) (load.Metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	defer http.DefaultClient.CloseIdleConnections()
	return load.Scrape(ctx, page)
}

func printProgress(w io.Writer, p load.Progress) {
	phase := ""
	if p.Warmup {
		phase = "  warming up"
	}
	fmt.Fprintf(w, "%6.1fs  %9.0f/s  bids %7d  beacons %6d  errors %4d  p50 %s  p99 %s  p99.9 %s  max %s%s\n",
		p.Elapsed.Seconds(), p.Rate, p.Bids, p.Beacons, p.Errors,
		microText(p.Latency.P50), microText(p.Latency.P99), microText(p.Latency.P999), microText(p.Latency.Max), phase)
}

// microText is a latency in microseconds, five characters and a unit.
func microText(us float64) string {
	switch {
	case us >= 1e6:
		return fmt.Sprintf("%5.2fs ", us/1e6)
	case us >= 1e4:
		return fmt.Sprintf("%5.1fms", us/1e3)
	case us >= 1e3:
		return fmt.Sprintf("%5.2fms", us/1e3)
	}
	return fmt.Sprintf("%5.0fµs", us)
}

// portFree reports whether an address can be listened on.
func portFree(address string) error {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return ln.Close()
}
