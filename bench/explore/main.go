package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sync"
)

func main() {
	svg := flag.String("svg", "", "write the regret curves of the world named lasting to this `file`")
	seeds := flag.Int("seeds", 20, "how many of each world")
	flag.Parse()
	for _, s := range worlds {
		if err := measure(os.Stdout, *svg, max(*seeds, 2), s); err != nil {
			fmt.Fprintln(os.Stderr, "explore:", err)
			os.Exit(1)
		}
		*svg = ""
	}
}

// result of a policy over all worlds.
type result struct {
	policy
	regret, spread  []float64 // mean and standard error at each point
	share           float64   // of what the best would have earned
	givenUp, others float64
	known           float64
	// less is how much less regret there was than without exploring, world by
	// world, and lessError the standard error of that.
	less, lessError float64
}

func measure(w io.Writer, svg string, seeds int, s size) error {
	list := policies()
	outcomes := make([][]outcome, len(list))
	var wait sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, p := range list {
		outcomes[i] = make([]outcome, seeds)
		for seed := range seeds {
			slots <- struct{}{}
			wait.Go(func() {
				outcomes[i][seed] = run(uint64(seed), p, s)
				<-slots
			})
		}
	}
	wait.Wait()
	results := make([]result, len(list))
	for i, p := range list {
		results[i] = summarise(p, outcomes[i])
	}
	for i := range results {
		results[i].compare(outcomes[i], outcomes[0])
	}
	if err := table(w, results, seeds, s); err != nil {
		return err
	}
	if svg == "" {
		return nil
	}
	return os.WriteFile(svg, plot(results, seeds, s), 0o644)
}

func summarise(p policy, all []outcome) result {
	n := float64(len(all))
	r := result{policy: p, regret: make([]float64, len(all[0].regret)), spread: make([]float64, len(all[0].regret))}
	known, newcomers := 0, 0
	for _, o := range all {
		for i, v := range o.regret {
			r.regret[i] += v / n
		}
		r.share += o.earned / o.best / n
		r.givenUp += o.givenUp / n
		r.others += o.others / n
		known, newcomers = known+o.known, newcomers+o.newcomers
	}
	for i := range r.spread {
		for _, o := range all {
			r.spread[i] += (o.regret[i] - r.regret[i]) * (o.regret[i] - r.regret[i])
		}
		r.spread[i] = math.Sqrt(r.spread[i] / (n - 1) / n)
	}
	if newcomers > 0 {
		r.known = float64(known) / float64(newcomers)
	}
	return r
}

// compare sets what a policy has less of regret than another in the same worlds.
func (r *result) compare(mine, other []outcome) {
	n := float64(len(mine))
	last := len(r.regret) - 1
	var sum, squares float64
	for i := range mine {
		d := other[i].regret[last] - mine[i].regret[last]
		sum, squares = sum+d, squares+d*d
	}
	r.less = sum / n
	r.lessError = math.Sqrt(max(squares/n-r.less*r.less, 0) / (n - 1))
}

func table(w io.Writer, results []result, seeds int, s size) error {
	_, err := fmt.Fprintf(w, "## %s\n\n%d worlds of %d requests, %d ads of which %d are offered at a time, a new one every %d requests\n\n"+
		"| policy | regret, clicks | less than without, same worlds | of the best possible | given up by expectation | another won | good ads known to ±20 %% when they left |\n|---|---|---|---|---|---|---|\n",
		s.name, seeds, s.requests, s.ads, s.offered, s.every)
	for _, r := range results {
		if err == nil {
			last := len(r.regret) - 1
			_, err = fmt.Fprintf(w, "| %s (%s) | %.0f ± %.0f | %.0f ± %.0f | %.2f %% | %.2f %% | %.2f %% | %.0f %% |\n",
				r.name, r.note, r.regret[last], r.spread[last], r.less, r.lessError, 100*r.share, 100*r.givenUp, 100*r.others, 100*r.known)
		}
	}
	if err == nil {
		_, err = fmt.Fprintln(w)
	}
	return err
}
