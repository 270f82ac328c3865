// Command dsp measures what a call to a bidder costs the caller, for the clients
// that one could use:
//
//	millrace       netio/dsp, HTTP/2 and HTTP/1.1: a shard's turns on netpoll's poller
//	raw            HTTP/1.1 on an epoll of its own: one write and one read a call
//	fasthttp       HTTP/1.1
//	hertz          HTTP/1.1, and HTTP/2 by its extension
//	net/http       HTTP/1.1 and HTTP/2
//	x/net          HTTP/2
//
// A closed loop keeps some auctions in flight; each calls every host at once and
// ends with the last answer. The hosts are ports of one mock server, a process of
// its own on another core, that speaks both versions of HTTP and answers a fixed
// body. Every client is a process of its own too, with one core and GOMAXPROCS=1:
// its processor time is what getrusage says, its allocations what the runtime
// says, its system calls what perf counts (in a run of its own) where perf is
// there. Clients take turns for several rounds; medians are printed. Only ratios
// within one run are claims.
//
//	go run ./bench/dsp [-duration 1s] [-rounds 3] [-flight 1,8,64] [-hosts 20] [-delay 0] [-jitter 0] [-clients name,...]
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

type plan struct {
	duration time.Duration
	rounds   int
	flights  []int
	hosts    int
	delay    time.Duration // of the mock's answers, at least
	jitter   time.Duration // and how much longer they take at most, at random
	clients  []string
	count    bool // system calls too
}

func main() {
	if serveIfChild() {
		return
	}
	var flights, clients string
	p := plan{count: true}
	flag.DurationVar(&p.duration, "duration", time.Second, "of each measurement")
	flag.IntVar(&p.rounds, "rounds", 3, "measurements of each client; the median is shown")
	flag.StringVar(&flights, "flight", "1,8,64", "auctions in flight")
	flag.IntVar(&p.hosts, "hosts", 20, "calls an auction, each to a host of its own")
	flag.DurationVar(&p.delay, "delay", 0, "how long the mock takes to answer, at least")
	flag.DurationVar(&p.jitter, "jitter", 0, "how much longer it takes at most, at random; only with -delay")
	flag.StringVar(&clients, "clients", strings.Join(clientNames(), ","), "which to measure")
	flag.Parse()
	p.clients = strings.Split(clients, ",")
	for _, s := range strings.Split(flights, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "dsp: -flight %q; give numbers of auctions, such as 1,8,64\n", flights)
			os.Exit(2)
		}
		p.flights = append(p.flights, n)
	}
	if err := p.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dsp:", err)
		os.Exit(1)
	}
}

// result is one measurement.
type result struct {
	calls     float64 // a second
	cpuMicros float64 // a call
	allocs    float64 // a call
	syscalls  float64 // a call; 0 = not counted
	p50, p99  float64 // µs, of an auction
}

func (p *plan) run(out io.Writer) error {
	mock, err := startMock(p.hosts, p.delay, p.jitter)
	if err != nil {
		return err
	}
	defer mock.stop()
	type key struct {
		client string
		flight int
	}
	results := make(map[key][]result)
	for range p.rounds {
		for _, flight := range p.flights {
			for _, client := range p.clients {
				r, err := p.measure(client, flight, mock.addrs)
				if err != nil {
					return fmt.Errorf("%s with %d auctions: %w", client, flight, err)
				}
				results[key{client, flight}] = append(results[key{client, flight}], r)
			}
		}
	}
	fmt.Fprintf(out, "%d hosts, %d B out, %d B back, answers after %v to %v; median of %d rounds of %v\n\n",
		p.hosts, len(requestBody), len(answerBody), p.delay, p.delay+p.jitter, p.rounds, p.duration)
	fmt.Fprintf(out, "| auctions in flight | client | CPU µs a call | syscalls a call | allocations a call | calls/s | auction p50 µs | p99 µs |\n")
	fmt.Fprintf(out, "|---|---|---|---|---|---|---|---|\n")
	for _, flight := range p.flights {
		for _, client := range p.clients {
			rs := results[key{client, flight}]
			fmt.Fprintf(out, "| %d | %s | %.2f | %s | %.3f | %.0f | %.0f | %.0f |\n", flight, client,
				median(rs, func(r result) float64 { return r.cpuMicros }),
				counted(median(rs, func(r result) float64 { return r.syscalls })),
				median(rs, func(r result) float64 { return r.allocs }),
				median(rs, func(r result) float64 { return r.calls }),
				median(rs, func(r result) float64 { return r.p50 }),
				median(rs, func(r result) float64 { return r.p99 }))
		}
	}
	return nil
}

func counted(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

func median(rs []result, of func(result) float64) float64 {
	vs := make([]float64, len(rs))
	for i, r := range rs {
		vs[i] = of(r)
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}
