package fleet_test

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"millrace/bench/blackbox"
	"millrace/bench/fleet"
	"millrace/codec/unit"
)

func TestMain(m *testing.M) {
	code := m.Run()
	blackbox.RemoveBinary()
	os.Exit(code)
}

// TestFleet breaks every part of a fleet under load, and counts the money.
func TestFleet(t *testing.T) {
	seconds := blackbox.Size(t, "MILLRACE_FLEET", 1, 600)
	long := seconds > 60
	c := fleet.Config{Nodes: 3, Campaigns: 60, Countries: 20, Budget: unit.NanosPerUnit / 2}
	if long {
		c.Campaigns, c.Kafka, c.Budget = 200, true, 4*unit.NanosPerUnit
	}
	f := fleet.Start(t, c)
	stop := f.Load(4, 5*time.Millisecond)
	defer stop()
	for _, n := range f.Nodes {
		n := n
		f.Await("a paid impression", func() bool { return f.Log.PaidSince(n.ID, time.Time{}) })
	}
	began := time.Now()
	r := rand.New(rand.NewPCG(20, 26))
	var recovered fleet.Recoveries
	breakOne := func(x fleet.Fault) {
		d := x.Run(f, r)
		t.Logf("%6.1f s: %s: over after %v", time.Since(began).Seconds(), x.Name, d.Round(time.Millisecond))
		recovered.Add(x.Name, d)
		if t.Failed() {
			t.FailNow()
		}
	}
	faults := f.Faults()
	if !long {
		faults = faults[:5]
	}
	for round := 0; round == 0 || time.Since(began) < time.Duration(seconds)*time.Second; round++ {
		for _, x := range faults {
			breakOne(x)
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
		}
		if long && round == 1 {
			breakOne(fleet.KafkaAway(time.Minute))
		}
	}
	took := time.Since(began)
	stop()
	f.Settle()
	trips, grants := f.Sum("millrace_valkey_round_trips_total"), f.Sum("millrace_shared_grants_total")
	for _, n := range f.Nodes {
		n.Stop()
	}
	v := f.Judge()
	t.Logf("%v of faults; %d auctions, %d bids, %d requests failed\n%s\n%s", took.Round(time.Second), f.Log.Auctions.Load(), f.Log.Bids.Load(), f.Log.Failed.Load(), v, &recovered)
	t.Logf("%.0f round trips to Valkey for %.0f leases and %d events billed", trips, grants, v.Posted)
	if v.Posted == 0 || v.Acknowledged == 0 {
		t.Error("nothing was billed")
	}
}
