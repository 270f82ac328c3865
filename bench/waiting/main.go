package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

func main() {
	svg := flag.String("svg", "", "write a picture of the table to this `file`")
	seeds := flag.Int("seeds", 5, "how many records")
	auctions := flag.Int("auctions", 30_000, "in a record")
	partners := flag.Int("partners", 20, "in a record, up to 64")
	fromCorpus := flag.Bool("corpus", false, "take prices from the recorded exchanges")
	to := flag.String("write", "", "write the first record to this `file`, and nothing else")
	from := flag.String("read", "", "replay the record in this `file`")
	flag.Parse()
	if err := run(*svg, *seeds, *auctions, *partners, *fromCorpus, *to, *from); err != nil {
		fmt.Fprintln(os.Stderr, "waiting:", err)
		os.Exit(1)
	}
}

func run(svg string, seeds, auctions, partners int, fromCorpus bool, to, from string) error {
	if partners < 1 || partners > 64 || auctions < 100 || seeds < 1 {
		return errors.New("give 1 to 64 partners, 100 auctions or more, and a seed at least")
	}
	var prices []float64
	var err error
	if fromCorpus {
		if prices, err = corpusPrices(); err != nil {
			return err
		}
	}
	if to != "" {
		f, err := os.Create(to)
		if err != nil {
			return err
		}
		return errors.Join(generate(1, partners, auctions, prices).write(f), f.Close())
	}
	var records []*record
	if from != "" {
		f, err := os.Open(from)
		if err != nil {
			return err
		}
		defer f.Close()
		r, err := read(f)
		if err != nil {
			return err
		}
		records = append(records, r)
	} else {
		for seed := range seeds {
			records = append(records, generate(uint64(seed+1), partners, auctions, prices))
		}
	}
	results := measure(records, policies())
	if err := table(os.Stdout, results, records); err != nil || svg == "" {
		return err
	}
	return os.WriteFile(svg, plot(results, records), 0o644)
}

// result of a policy over all records.
type result struct {
	policy
	kept, keptError float64 // share of what waiting for everybody earns
	mean, p50, p95  time.Duration
	saved           float64 // of the mean wait
	asked           float64 // an auction
	full            float64 // of what waiting for everybody earns: what the record has
	knowing         time.Duration
	ends            []ending
}

// measure replays all records for all policies; the first policy is what the
// others are compared with, record by record.
func measure(records []*record, list []policy) []result {
	outcomes := make([][]outcome, len(list))
	var wait sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, p := range list {
		outcomes[i] = make([]outcome, len(records))
		for k, rec := range records {
			slots <- struct{}{}
			wait.Go(func() {
				outcomes[i][k] = replay(rec, p)
				<-slots
			})
		}
	}
	wait.Wait()
	results := make([]result, len(list))
	for i, p := range list {
		results[i] = summarise(p, outcomes[i], outcomes[0])
	}
	for i := range results {
		results[i].saved = 1 - float64(results[i].mean)/float64(results[0].mean)
	}
	return results
}

func summarise(p policy, all, against []outcome) result {
	r := result{policy: p, ends: make([]ending, len(all[0].cut))}
	var waits []time.Duration
	n := float64(len(all))
	var squares float64
	for k, o := range all {
		share := o.revenue / against[k].revenue
		r.kept += share / n
		squares += share * share / n
		r.full += o.full / against[k].revenue / n
		r.knowing += o.seen / time.Duration(o.auctions) / time.Duration(len(all))
		r.asked += float64(o.asked) / float64(o.auctions) / n
		waits = append(waits, o.waits...)
		for i, e := range o.cut {
			c := &r.ends[i]
			c.auctions += e.auctions
			c.kept += e.kept
			c.whole += e.whole
			c.waited += e.waited
		}
	}
	if n > 1 {
		r.keptError = math.Sqrt(max(squares-r.kept*r.kept, 0) / (n - 1))
	}
	slices.Sort(waits)
	sum := time.Duration(0)
	for _, w := range waits {
		sum += w
	}
	r.mean, r.p50, r.p95 = sum/time.Duration(len(waits)), waits[len(waits)/2], waits[len(waits)*95/100]
	return r
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func table(w io.Writer, results []result, records []*record) error {
	out := func(format string, args ...any) {
		fmt.Fprintf(w, format, args...)
	}
	out("%d records of %d auctions, %d partners\n\n", len(records), records[0].auctions(), records[0].partners)
	out("| waits for | of the revenue | mean wait | p50 | p95 | wait saved | asked |\n|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		out("| %s | %.2f ± %.2f %% | %.1f ms | %.1f | %.1f | %.0f %% | %.1f |\n", r.name, 100*r.kept, 100*r.keptError, millis(r.mean), millis(r.p50), millis(r.p95), 100*r.saved, r.asked)
	}
	out("| the best bid, knowing all answers | %.2f %% | %.1f ms | | | %.0f %% | |\n", 100*results[0].full, millis(results[0].knowing), 100*(1-float64(results[0].knowing)/float64(results[0].mean)))
	for _, r := range results {
		if r.factor == 1 {
			out("\nWhere the wait ends, with the defaults:\n\n| at | auctions | kept of what these would have earned | mean wait | wait saved |\n|---|---|---|---|---|\n")
			endings(out, &r, records)
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func endings(out func(string, ...any), r *result, records []*record) {
	total := 0
	for _, e := range r.ends {
		total += e.auctions
	}
	for i, e := range r.ends {
		if e.auctions == 0 {
			continue
		}
		name := "everybody answered, or the end"
		if i < len(r.ends)-1 {
			name = fmt.Sprintf("cut-off at %v", partnersSoft()[i].At)
		}
		wait := e.waited / time.Duration(e.auctions)
		out("| %s | %.1f %% | %.2f %% | %.1f ms | %.0f %% |\n", name, 100*float64(e.auctions)/float64(total), 100*e.kept/max(e.whole, 1e-9), millis(wait), 100*(1-float64(wait)/float64(hard)))
	}
}
