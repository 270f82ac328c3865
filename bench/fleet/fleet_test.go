package fleet_test

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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
	c := fleet.Config{Nodes: 3, Campaigns: 60, Countries: 20, Budget: unit.NanosPerUnit / 2}
	if isLong(seconds) {
		c.Campaigns, c.Kafka, c.Budget = 200, true, 4*unit.NanosPerUnit
	}
	f := fleet.Start(t, c)
	stop := f.Load(4, 5*time.Millisecond)
	defer stop()
	for _, n := range f.Nodes {
		f.Await("a paid impression", func() bool { return f.Log.PaidSince(n.ID, time.Time{}) })
	}
	recovered, took := breakAll(t, f, seconds)
	stop()
	f.Settle()
	trips, grants := f.Sum("millrace_valkey_round_trips_total"), f.Sum("millrace_shared_grants_total")
	for _, contradictions := range []string{"millrace_ledger_breaches_total", "millrace_budget_defects_total"} {
		if n := f.Sum(contradictions); n != 0 {
			t.Errorf("%s is %.0f", contradictions, n)
		}
	}
	for _, n := range f.Nodes {
		n.Stop()
	}
	v, faults := f.Judge()
	for _, fault := range faults {
		t.Error(fault)
	}
	t.Logf("%v of faults; %d auctions, %d bids, %d requests failed\n%s\n%s", took.Round(time.Second), f.Log.Auctions.Load(), f.Log.Bids.Load(), f.Log.Failed.Load(), v, recovered)
	t.Logf("%.0f round trips to Valkey for %.0f leases and %d events billed", trips, grants, v.Posted)
	if v.Posted == 0 || v.Acknowledged == 0 {
		t.Error("nothing was billed")
	}
	operatorAgrees(t, f)
	if !t.Failed() {
		judgeNotices(t, f)
	}
}

// isLong: a run that has time for everything, also for what is slow.
func isLong(seconds int) bool { return seconds > 60 }

// breakAll breaks one part after the other, in whole rounds, for at least so
// long.
func breakAll(t *testing.T, f *fleet.Fleet, seconds int) (*fleet.Recoveries, time.Duration) {
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
	parts := f.Faults()
	if !isLong(seconds) {
		parts = parts[:5]
	}
	for round := 0; round == 0 || time.Since(began) < time.Duration(seconds)*time.Second; round++ {
		for _, x := range parts {
			breakOne(x)
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
		}
		if isLong(seconds) && round == 1 {
			breakOne(fleet.KafkaAway(time.Minute))
		}
	}
	return &recovered, time.Since(began)
}

// operatorAgrees: what an operator would ask says that all is well.
func operatorAgrees(t *testing.T, f *fleet.Fleet) {
	for _, n := range f.Nodes {
		for _, args := range [][]string{
			{"reconcile", "--data", n.Data, "--ledger", f.Postgres.URL},
			{"audit", "verify", "--data", n.Data},
		} {
			if code, out := blackbox.Run(t, args...); code != 0 {
				t.Errorf("millrace %s: exit %d\n%s", args, code, out)
			}
		}
	}
}

// judgeNotices: each forgery in the ledger is found.
func judgeNotices(t *testing.T, f *fleet.Fleet) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, err := pgx.Connect(ctx, f.Postgres.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(ctx) }()
	known := 0
	for _, forgery := range []string{
		"UPDATE postings SET amount = amount + 1 WHERE debit = 3 AND seq = (SELECT max(seq) FROM postings WHERE debit = 3)",
		"DELETE FROM postings WHERE debit = 3 AND seq = (SELECT min(seq) FROM postings WHERE debit = 3)",
	} {
		if _, err := db.Exec(ctx, forgery); err != nil {
			t.Fatal(err)
		}
		_, faults := f.Judge()
		if len(faults) <= known {
			t.Errorf("the judge did not notice: %s", forgery)
		}
		known = len(faults)
	}
}
