package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"millrace/bench/dspfleet"
	"millrace/bench/process"
)

// options are the flags of all modes.
type options struct {
	dsps     string
	protocol string
	rate     float64
	duration time.Duration
	warmup   time.Duration
	inFlight int
	latency  string
	faults   string
	bad      time.Duration
	binary   string
	pin      bool
	asJSON   bool
	cores    []int
	counts   []int
	speaks   dspfleet.Protocol
}

// clientMemory is what load and bidders take before they collect.
const clientMemory = 2 << 30

// modes are what can be measured.
var modes = map[string]func(context.Context, *options, io.Writer, io.Writer) error{
	"scale": scale, "timing": timing, "soak": soak, "faults": faults,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	mode, rest := "", args
	if len(args) > 0 {
		mode, rest = args[0], args[1:]
	}
	f := modes[mode]
	o, err := parse(mode, rest, stderr)
	if f == nil && err == nil {
		err = fmt.Errorf("there is no mode %q: scale, timing, soak or faults", mode)
	}
	if err != nil {
		fmt.Fprintln(stderr, "demand:", err)
		return 2
	}
	binary, cleanup, err := process.Binary(ctx, o.binary, stderr)
	if err == nil {
		defer cleanup()
		o.binary = binary
		var client []int
		o.cores, client = process.SplitCores(o.pin)
		// What this process collects would be seen as answers that come late: load
		// and bidders share a core. It collects when it has to.
		debug.SetGCPercent(-1)
		debug.SetMemoryLimit(clientMemory)
		if err := process.PinSelf(client); err != nil {
			fmt.Fprintln(stderr, "demand: load and bidders are not pinned:", err)
		}
		err = f(ctx, o, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "demand:", err)
		return 1
	}
	return 0
}

// defaults of the flags that modes differ in.
var defaults = map[string]options{
	"scale":  {dsps: "0,1,5,20,50", latency: "uniform:2ms,6ms", duration: 6 * time.Second, inFlight: 64},
	"timing": {dsps: "20", latency: "lognormal:20ms,0.4", duration: 30 * time.Second, rate: 200, inFlight: 256},
	"soak":   {dsps: "20", latency: "lognormal:10ms,0.5", duration: 5 * time.Minute, rate: 300, inFlight: 256},
	"faults": {dsps: "6", latency: "lognormal:10ms,0.3", rate: 150, inFlight: 256},
}

func parse(mode string, args []string, stderr io.Writer) (*options, error) {
	o := defaults[mode]
	flags := flag.NewFlagSet("demand "+mode, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.dsps, "dsps", o.dsps, "numbers of bidders, with commas")
	flags.StringVar(&o.protocol, "protocol", "h2c", "what they speak: http1, h2c, https1, h2")
	flags.Float64Var(&o.rate, "rate", o.rate, "auctions a second (scale: 0 is a third of what can be had)")
	flags.DurationVar(&o.duration, "duration", o.duration, "measured time of each run")
	flags.DurationVar(&o.warmup, "warmup", 2*time.Second, "time before it")
	flags.IntVar(&o.inFlight, "in-flight", o.inFlight, "auctions under way at most")
	flags.StringVar(&o.latency, "latency", o.latency, "the bidders' own")
	flags.StringVar(&o.faults, "faults", "all", "faults mode: which, with commas")
	flags.DurationVar(&o.bad, "bad", 10*time.Second, "faults mode: how long it is bad; it is watched for twice as long afterwards")
	flags.StringVar(&o.binary, "millrace", "", "the millrace binary (default: built now)")
	flags.BoolVar(&o.pin, "pin", runtime.GOOS == "linux" && runtime.NumCPU() > 1, "give the server one half of the cores, load and bidders the other")
	flags.BoolVar(&o.asJSON, "json", false, "the result as JSON")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	for _, text := range strings.Split(o.dsps, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > dspfleet.DSPsMax {
			return nil, fmt.Errorf("--dsps %q: want numbers from 0 to %d", text, dspfleet.DSPsMax)
		}
		o.counts = append(o.counts, n)
	}
	var err error
	if o.speaks, err = dspfleet.ParseProtocol(o.protocol); err != nil {
		return nil, fmt.Errorf("--protocol: %w", err)
	}
	if flags.NArg() > 0 || o.duration <= 0 && mode != "faults" || o.inFlight < 1 || o.rate < 0 || o.warmup < 0 || o.bad <= 0 {
		return nil, fmt.Errorf("no arguments behind the mode, and positive numbers; see --help")
	}
	if mode != "scale" && slices.Min(o.counts) < 2 {
		return nil, fmt.Errorf("--dsps %s: %s needs two at least", o.dsps, mode)
	}
	return &o, nil
}

func (o *options) plan(dsps int) plan {
	return plan{binary: o.binary, cores: o.cores, dsps: max(dsps, 1), seed: 1, protocol: o.speaks, all: []string{"latency=" + o.latency, "bids=0.7", "notices=false"}}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
