package fleet_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/bench/blackbox"
	"millrace/bench/fleet"
	"millrace/bench/load"
	"millrace/codec/unit"
	"millrace/shards"
	"millrace/state/store"
	"millrace/state/store/joint"
	"millrace/state/store/valkey"
)

// measured is how long each part of the comparison runs.
const measured = 10 * time.Second

// BenchmarkRoundTrips drives three nodes that share 200 budgets as fast as they
// answer, and tells what that costs Valkey; then what a check in Lua for each
// request costs on the same server, with one caller and with 64.
func BenchmarkRoundTrips(b *testing.B) {
	f := fleet.Start(b, fleet.Config{Nodes: 3, Campaigns: 200, Countries: 200, Budget: unit.NanosPerUnit})
	drive(b, f, 2*time.Second) // the first leases
	const trips, scripts, grants, impressions, posted = "millrace_valkey_round_trips_total", "millrace_valkey_commands_total",
		"millrace_shared_grants_total", "millrace_impressions_bid_total", "millrace_ledger_postings_total"
	before := map[string]float64{}
	for _, m := range []string{trips, scripts, grants, impressions, posted} {
		before[m] = f.Sum(m)
	}
	for b.Loop() {
		drive(b, f, measured)
	}
	million := (f.Sum(impressions) - before[impressions]) / 1e6
	b.ReportMetric(million*1e6/b.Elapsed().Seconds(), "impressions/s")
	b.ReportMetric((f.Sum(trips)-before[trips])/million, "trips/1M-impressions")
	b.ReportMetric((f.Sum(scripts)-before[scripts])/million, "scripts/1M-impressions")
	b.ReportMetric((f.Sum(grants)-before[grants])/million, "leases/1M-impressions")
	for _, n := range f.Nodes {
		n.Stop()
	}
	b.ReportMetric(checks(b, f, 1), "lua-checks/s-1-caller")
	b.ReportMetric(checks(b, f, 64), "lua-checks/s-64-callers")
}

// drive sends auctions and beacons to all nodes at once.
func drive(b *testing.B, f *fleet.Fleet, d time.Duration) {
	b.Helper()
	var bodies [][]byte
	for _, c := range f.Campaigns {
		bodies = append(bodies, blackbox.BannerRequest("IIIIIIIIIIIIIIII", "UUUUUUUUUUUU", c.Country))
	}
	corpus := load.NewCorpus(bodies)
	var running sync.WaitGroup
	for _, n := range f.Nodes {
		running.Go(func() {
			c := load.Default()
			c.Address, c.Corpus, c.Rate, c.Connections, c.Duration, c.Seed = n.Server.Listen, corpus, 0, 16, d, uint64(n.ID)
			c.Clicks = 0
			if _, err := load.Run(context.Background(), c); err != nil {
				b.Error(err)
			}
		})
	}
	running.Wait()
}

// perCounter is how many callers share a counter: as many calls it has under way.
const perCounter = 4

// checks takes for single requests, each by itself, of 200 accounts in turn, and
// tells how many a second there were.
func checks(b *testing.B, f *fleet.Fleet, callers int) float64 {
	b.Helper()
	cfg := valkey.Default()
	cfg.Addresses, cfg.Timeout = []string{f.Valkey.Addr}, time.Minute
	var counters []*valkey.Counter
	for range (callers + perCounter - 1) / perCounter {
		c, err := valkey.Open(cfg, shards.SystemClock())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		counters = append(counters, c)
	}
	load := make([]joint.Balance, len(f.Campaigns))
	for i, c := range f.Campaigns {
		load[i].AccountDay = joint.AccountDay{Account: unit.AccountID(c.ID), Campaign: c.ID}
	}
	loaded := make(chan error)
	counters[0].Load(load, func(err error) { loaded <- err })
	if err := <-loaded; err != nil {
		b.Fatal(err)
	}
	var done atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
	for i := range callers {
		running.Go(func() {
			answered := make(chan error)
			for seq := uint64(1); time.Since(began) < measured/2; seq++ {
				c := &f.Campaigns[(i*31+int(seq))%len(f.Campaigns)]
				counters[i/perCounter].Take([]store.GrantRequest{{
					ID: store.OpID{Node: unit.NodeID(1000 + i), Epoch: 1, Seq: seq}, Account: unit.AccountID(c.ID), Campaign: c.ID, Amount: 1, AtLeast: 1, Daily: c.Limit,
				}}, func(out []joint.Taken, err error) {
					if err == nil && out[0].Status != store.OK {
						err = fmt.Errorf("refused: %v", out[0].Status)
					}
					answered <- err
				})
				if err := <-answered; err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	running.Wait()
	return float64(done.Load()) / time.Since(began).Seconds()
}
