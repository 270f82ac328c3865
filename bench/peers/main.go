package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"millrace/bench/load"
	"millrace/bench/process"
)

type options struct {
	rounds      int
	duration    time.Duration
	warmup      time.Duration
	connections int
	pipeline    int
	binary      string
	pin         bool
	asJSON      bool
	peerListen  string
	peerBytes   int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", 5, "rounds; each drives both servers once")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "measured time of one server in one round")
	flags.DurationVar(&o.warmup, "warmup", 500*time.Millisecond, "time before it, not measured")
	flags.IntVar(&o.connections, "connections", 64, "kept-alive connections")
	flags.IntVar(&o.pipeline, "pipeline", 1, "requests on the wire of one connection")
	flags.StringVar(&o.binary, "millrace", "", "the millrace binary (default: built now)")
	flags.BoolVar(&o.pin, "pin", runtime.GOOS == "linux" && runtime.NumCPU() > 1, "give the servers one half of the cores and the client the other")
	flags.BoolVar(&o.asJSON, "json", false, "the result as JSON")
	flags.StringVar(&o.peerListen, "peer", "", "be the peer: serve a fixed answer on this address")
	flags.IntVar(&o.peerBytes, "peer-bytes", 600, "body bytes of the peer's answer")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || o.rounds < 1 || o.duration <= 0 || o.connections < 1 || o.pipeline < 1 || o.peerBytes < 0 || o.peerBytes > 1<<20 {
		fmt.Fprintln(stderr, "peers: no arguments, and positive rounds, duration, connections and pipeline; see --help")
		return 2
	}
	var err error
	if o.peerListen != "" {
		err = servePeer(ctx, o.peerListen, o.peerBytes, stdout)
	} else {
		err = compare(ctx, o, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "peers:", err)
		return 1
	}
	return 0
}

// side is one server's measurement in one round.
type side struct {
	Rate   float64 `json:"answers_per_second"`
	CPU    float64 `json:"server_cpu_us_per_request"`
	P50    float64 `json:"p50_us"`
	P99    float64 `json:"p99_us"`
	Failed int64   `json:"failed"`
}

type round struct {
	Millrace side    `json:"millrace"`
	Peer     side    `json:"hertz_fixed"`
	Ratio    float64 `json:"throughput_ratio"`
	CPURatio float64 `json:"cpu_ratio"`
}

type result struct {
	Cores       int     `json:"cores"`
	Pinned      bool    `json:"servers_and_client_on_own_cores"`
	Connections int     `json:"connections"`
	Pipeline    int     `json:"pipeline"`
	AnswerBytes int     `json:"answer_body_bytes"`
	BidShare    float64 `json:"millrace_share_of_answers_with_bid"`
	Rounds      []round `json:"rounds"`
	Ratio       spread  `json:"throughput_ratio"`
	CPURatio    spread  `json:"cpu_ratio"`
}

// spread is a median with its extremes.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return spread{}
	}
	m := v[len(v)/2]
	if len(v)%2 == 0 {
		m = (v[len(v)/2-1] + m) / 2
	}
	return spread{m, v[0], v[len(v)-1]}
}

func compare(ctx context.Context, o options, stdout, stderr io.Writer) error {
	servers, client := process.SplitCores(o.pin)
	binary, cleanup, err := process.Binary(ctx, o.binary, stderr)
	if err != nil {
		return err
	}
	defer cleanup()
	millrace, err := process.Start(ctx, servers, stderr, binary, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-level", "warn")
	if err != nil {
		return fmt.Errorf("millrace does not start: %w", err)
	}
	defer millrace.Stop()
	if err := process.PinSelf(client); err != nil {
		fmt.Fprintln(stderr, "peers: the client is not pinned:", err)
	}
	res := result{Cores: runtime.NumCPU(), Pinned: servers != nil, Connections: o.connections, Pipeline: o.pipeline}
	// How large is an answer? That many bytes the peer will send.
	probe := loadConfig(o, millrace.Address)
	probe.Duration, probe.Requests, probe.Warmup = 0, 5000, 0
	s, err := load.Run(ctx, probe)
	if err != nil {
		return err
	}
	if s.Answered == 0 || s.Failed() > 0 {
		return fmt.Errorf("millrace fails the probe: %v %v", s.Status, s.Errors)
	}
	res.AnswerBytes = max(int(s.BytesIn/s.Answered)-headBytes, 0)
	res.BidShare = float64(s.WithBid) / float64(s.Answered)

	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("where is this program? %w", err)
	}
	peer, err := process.Start(ctx, servers, stderr, self, "--peer", "127.0.0.1:0", "--peer-bytes", fmt.Sprint(res.AnswerBytes))
	if err != nil {
		return fmt.Errorf("the peer does not start: %w", err)
	}
	defer peer.Stop()
	fmt.Fprintf(stderr, "answers of %d bytes; %d rounds of 2 × %v\n", res.AnswerBytes, o.rounds, o.duration)
	for i := range o.rounds {
		r, err := playRound(ctx, o, i%2 == 1, millrace, peer)
		if err != nil {
			return err
		}
		res.Rounds = append(res.Rounds, r)
		fmt.Fprintf(stderr, "round %d: millrace %.0f/s, hertz %.0f/s, ratio %.3f\n", i+1, r.Millrace.Rate, r.Peer.Rate, r.Ratio)
	}
	var ratios, cpu []float64
	for _, r := range res.Rounds {
		ratios, cpu = append(ratios, r.Ratio), append(cpu, r.CPURatio)
	}
	res.Ratio, res.CPURatio = spreadOf(ratios), spreadOf(cpu)
	if o.asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(res)
	}
	return res.writeText(stdout)
}

// headBytes is about what a response head takes; both servers send one.
const headBytes = 110

func loadConfig(o options, address string) load.Config {
	c := load.Default()
	c.Address, c.Connections, c.Pipeline = address, o.connections, o.pipeline
	c.Rate, c.Duration, c.Warmup = 0, o.duration, o.warmup
	c.Impressions = 0 // the peer has no tracking URLs
	return c
}

// playRound drives one server, then the other.
func playRound(ctx context.Context, o options, peerFirst bool, millrace, peer *process.Server) (round, error) {
	var r round
	order := []struct {
		c   *process.Server
		out *side
	}{{millrace, &r.Millrace}, {peer, &r.Peer}}
	if peerFirst {
		slices.Reverse(order)
	}
	for _, x := range order {
		before := x.c.CPU()
		s, err := load.Run(ctx, loadConfig(o, x.c.Address))
		if err != nil {
			return r, err
		}
		if ctx.Err() != nil {
			return r, errors.New("interrupted")
		}
		*x.out = side{Rate: s.Rate, P50: s.Latency.P50, P99: s.Latency.P99, Failed: s.Failed()}
		// The warm-up's requests cost CPU too; they came at about the same rate.
		if n := s.Rate * (o.duration + o.warmup).Seconds(); n > 0 {
			x.out.CPU = (x.c.CPU() - before).Seconds() * 1e6 / n
		}
	}
	if r.Peer.Rate > 0 {
		r.Ratio = r.Millrace.Rate / r.Peer.Rate
	}
	if r.Millrace.CPU > 0 {
		r.CPURatio = r.Peer.CPU / r.Millrace.CPU
	}
	return r, nil
}

func (r *result) writeText(w io.Writer) error {
	where := "servers and client share the cores"
	if r.Pinned {
		where = "servers on one half of the cores, the client on the other"
	}
	_, err := fmt.Fprintf(w, "\n%d cores, %s; %d connections, pipeline %d; answers of %d bytes, %.0f %% with a bid\n\n%-8s %14s %14s %8s   %14s %14s %8s\n",
		r.Cores, where, r.Connections, r.Pipeline, r.AnswerBytes, 100*r.BidShare,
		"round", "millrace/s", "hertz/s", "ratio", "millrace µs", "hertz µs", "ratio")
	if err != nil {
		return err
	}
	for i, x := range r.Rounds {
		note := ""
		if x.Millrace.Failed+x.Peer.Failed > 0 {
			note = fmt.Sprintf("   failed: %d, %d", x.Millrace.Failed, x.Peer.Failed)
		}
		if _, err := fmt.Fprintf(w, "%-8d %14.0f %14.0f %8.3f   %14.2f %14.2f %8.3f%s\n",
			i+1, x.Millrace.Rate, x.Peer.Rate, x.Ratio, x.Millrace.CPU, x.Peer.CPU, x.CPURatio, note); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(w, "\nthroughput: millrace answers %.2f × as many requests as hertz with a fixed answer (%.2f to %.2f; aim 0.8)\nserver CPU: %.2f × the requests per CPU second (%.2f to %.2f)\n",
		r.Ratio.Median, r.Ratio.Min, r.Ratio.Max, r.CPURatio.Median, r.CPURatio.Min, r.CPURatio.Max)
	return err
}
