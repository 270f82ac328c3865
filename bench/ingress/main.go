// Command ingress measures what a request costs at the network edge, for the
// ways there are to arrange pollers and shards:
//
//	poller       the handler answers on netpoll's poller
//	inline       the poller takes the shard's turn and answers (shards.DispatchInline)
//	hop          the shard's own goroutine answers (shards.DispatchHop)
//	connection   for comparison: netpoll's Connection, OnRequest on the poller, Flush
//	net/http     for comparison: the standard library's server
//
// each with 1 and 2 pollers. Every server is a process of its own, because
// netpoll's pollers are process-wide; the client is this process: one thread,
// one epoll, closed loop. Configurations take turns for several rounds, and the
// median of the rounds is printed. Only ratios within one run are claims.
//
//	go run ./bench/ingress [-duration 1s] [-rounds 3] [-connections 64] [-pipeline 1]
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

type plan struct {
	duration    time.Duration
	rounds      int
	connections int
	pipeline    int
	body        int
	arrangement []arrangement
}

type arrangement struct {
	mode    string
	pollers int
	shards  int
}

func main() {
	if serveIfChild() {
		return
	}
	p := plan{arrangement: arrangements()}
	flag.DurationVar(&p.duration, "duration", time.Second, "of each measurement")
	flag.IntVar(&p.rounds, "rounds", 3, "measurements of each arrangement; the median is shown")
	flag.IntVar(&p.connections, "connections", 64, "keep-alive connections")
	flag.IntVar(&p.pipeline, "pipeline", 1, "requests sent at once on a connection")
	flag.IntVar(&p.body, "body", 1500, "bytes of a request's body")
	flag.Parse()
	if err := p.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ingress:", err)
		os.Exit(1)
	}
}

func arrangements() []arrangement {
	var all []arrangement
	for _, mode := range []string{"poller", "inline", "hop", "connection"} {
		for _, pollers := range []int{1, 2} {
			all = append(all, arrangement{mode, pollers, 2})
		}
	}
	return append(all, arrangement{"net/http", 0, 0})
}

func (p *plan) run(out *os.File) error {
	results := make([][]result, len(p.arrangement))
	for range p.rounds {
		for i, a := range p.arrangement {
			r, err := measure(a, p)
			if err != nil {
				return fmt.Errorf("%s with %d pollers: %w", a.mode, a.pollers, err)
			}
			results[i] = append(results[i], r)
		}
	}
	fmt.Fprintf(out, "%d connections, pipeline %d, %d B request bodies, %d B answer bodies; median of %d rounds of %v\n\n",
		p.connections, p.pipeline, p.body, len(answerBody), p.rounds, p.duration)
	fmt.Fprintf(out, "| %-10s | pollers | requests/s | server CPU µs a request | p50 µs | p99 µs | allocations a request |\n", "mode")
	fmt.Fprintf(out, "|------------|---------|------------|-------------------------|--------|--------|-----------------------|\n")
	for i, a := range p.arrangement {
		fmt.Fprintf(out, "| %-10s | %7d | %10.0f | %23.2f | %6.0f | %6.0f | %21.3f |\n", a.mode, a.pollers,
			median(results[i], func(r result) float64 { return r.rate }),
			median(results[i], func(r result) float64 { return r.cpuMicros }),
			median(results[i], func(r result) float64 { return r.p50 }),
			median(results[i], func(r result) float64 { return r.p99 }),
			median(results[i], func(r result) float64 { return r.allocs }))
	}
	return nil
}

type result struct {
	rate, cpuMicros, p50, p99, allocs float64
}

func median(rs []result, of func(result) float64) float64 {
	vs := make([]float64, len(rs))
	for i, r := range rs {
		vs[i] = of(r)
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}
