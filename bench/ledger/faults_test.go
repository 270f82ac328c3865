package ledger_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
	"millrace/state/store/cockroach"
)

// oneAccount: six nodes want all of one account's money at once. What they
// get together is the limit, to the nano, whatever it took.
func oneAccount(t *testing.T, p *server) {
	address := p.database(t)
	const nodes, daily = 6, 10_000_019
	var got [nodes]unit.Nanos
	ledgers := make([]*cockroach.Ledger, nodes)
	var running sync.WaitGroup
	for i := range nodes {
		ledgers[i] = open(t, address)
		n := begin(t, ledgers[i], unit.NodeID(i+1), 10, 0)
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for dry := 0; dry < 3; {
				ask := n.request(1, unit.Nanos(1+r.IntN(400_000)), daily)
				g := n.grant(ask)[0]
				if g.Status == store.Exhausted {
					dry++
					continue
				}
				got[i] += g.Amount
				n.post(n.granted(&ask, g.Amount))
			}
		})
	}
	running.Wait()
	sum, retries := unit.Nanos(0), uint64(0)
	for i := range nodes {
		sum += got[i]
		retries += ledgers[i].Stats().Retries
	}
	if sum != daily {
		t.Errorf("%d nodes got %v of %v", nodes, sum, unit.Nanos(daily))
	}
	if s := ledgers[0].Stats(); s.Transactions == 0 || s.Conns == 0 {
		t.Errorf("%+v", s)
	}
	t.Logf("shares %v, %d transactions repeated", got, retries)
	verify(t, address)
}

// again: a request that comes back in a later batch, with others and for another
// amount, has its first outcome. Through a pooler that keeps no prepared
// statements, as it were.
func again(t *testing.T, p *server) {
	address := p.database(t)
	n := begin(t, open(t, address+"&default_query_exec_mode=exec"), 1, 10, 0)
	first := n.request(1, 600, 1000)
	n.grant(first)
	repeated := first
	repeated.Amount = 50
	for i, g := range n.grant(n.request(1, 300, 1000), repeated, n.request(1, 300, 1000)) {
		if want := [...]unit.Nanos{300, 600, 100}[i]; g.Status != store.OK || g.Amount != want {
			t.Errorf("request %d: %+v, want %v", i, g, want)
		}
	}
	n.post(n.granted(&first, 600), n.posted(10, 1, 5), n.returned(10, 1, 100))
	verify(t, address)
}

// lostCommits cuts the connection at every third commit, half of them before
// the server has it and half after: everything still counts once.
func lostCommits(t *testing.T, p *server) {
	address := p.database(t)
	w, way := through(t, address, func(n int64) cutting {
		if n%3 != 0 {
			return whole
		}
		return beforeServer + cutting(n/3%2)
	})
	g := open(t, way)
	n := begin(t, g, 1, 10, 0)
	const rounds, daily = 36, 600_000
	held, spent := unit.Nanos(0), unit.Nanos(0)
	for i := range rounds {
		ask := n.request(1, 20_011, daily)
		granted := n.grant(ask)[0]
		held += granted.Amount
		var records []ledger.Record
		if granted.Status == store.OK {
			records = append(records, n.granted(&ask, granted.Amount))
		}
		if i%4 == 3 {
			back := held / 10
			held -= back
			records = append(records, n.returned(10, 1, back))
		}
		if held > 100 {
			held, spent = held-100, spent+100
			records = append(records, n.posted(10, 1, 100))
		}
		n.post(records...)
	}
	b := books(t, address)
	balances, err := b.Balances(t.Context(), cockroach.Filter{Account: 1})
	if err != nil || len(balances) != 1 {
		t.Fatal(balances, err)
	}
	if got := balances[0]; got.Leased != held || got.Spent != spent || got.Committed() != held+spent || got.Committed() > daily {
		t.Errorf("held %v, spent %v, by the ledger %+v", held, spent, got)
	}
	s := g.Stats()
	if w.before.Load() == 0 || w.after.Load() == 0 || s.Unknown == 0 {
		t.Errorf("%d commits cut before and %d after they were made, %+v", w.before.Load(), w.after.Load(), s)
	}
	t.Logf("%d commits, %d lost before and %d after the server had them; %d postings, %d came again", w.commits.Load(), w.before.Load(), w.after.Load(), s.Postings, s.Repeats)
	verify(t, address)
}

// TestServerKilled posts while the server is killed, and once stopped in an
// orderly way, and comes back from its own log: fsync is on.
func TestServerKilled(t *testing.T) {
	p := postgres(t)
	address := p.database(t)
	g := open(t, address)
	n := begin(t, g, 1, 10, 0)
	ask := n.request(1, 1<<40, 0)
	n.post(n.granted(&ask, n.grant(ask)[0].Amount))
	var acknowledged atomic.Int64
	stop := make(chan struct{})
	var posting sync.WaitGroup
	posting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			records := make([]ledger.Record, 100)
			for i := range records {
				records[i] = n.posted(10, 1, 3)
			}
			n.post(records...)
			acknowledged.Add(100)
		}
	})
	await := func(more int64) {
		t.Helper()
		for goal, deadline := acknowledged.Load()+more, time.Now().Add(time.Minute); acknowledged.Load() < goal; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d postings; %+v", acknowledged.Load(), goal, g.Stats())
			}
		}
	}
	for i := range 3 {
		await(500)
		if i == 1 {
			p.Stop()
		} else {
			p.Kill()
		}
		down := time.Now()
		p.Start()
		up := time.Now()
		await(100)
		t.Logf("server back after %v, posting again %v later", up.Sub(down).Round(time.Millisecond), time.Since(up).Round(time.Millisecond))
	}
	close(stop)
	posting.Wait()
	balances, err := books(t, address).Balances(t.Context(), cockroach.Filter{})
	if err != nil || len(balances) != 1 || balances[0].Events != acknowledged.Load() || balances[0].Spent != unit.Nanos(3*acknowledged.Load()) {
		t.Fatalf("%d acknowledged, %+v, %v", acknowledged.Load(), balances, err)
	}
	t.Logf("%d postings acknowledged, in the ledger once each; %d calls failed, %+v", acknowledged.Load(), n.failures.Load(), g.Stats())
	verify(t, address)
}

// TestAbsent: a server that is not there is told in time, by an error that leaves
// no doubt.
func TestAbsent(t *testing.T) {
	c := config(t, "postgres://millrace@127.0.0.1:1/none?sslmode=disable")
	c.Call, c.Statement, c.Queue = 300*time.Millisecond, 300*time.Millisecond, 2
	g, err := cockroach.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	answers := make(chan error, 10)
	for range 10 {
		g.Renew(begun, start, func(_ time.Duration, err error) { answers <- err })
	}
	busy := 0
	for range 10 {
		if err := <-answers; err == nil || strings.Contains(err.Error(), "unknown") {
			t.Error(err)
		} else if strings.Contains(err.Error(), cockroach.ErrBusy.Error()) {
			busy++
		}
	}
	if busy < 6 || g.Stats().Errors == 0 {
		t.Errorf("%d of 10 refused by a queue of 2; %+v", busy, g.Stats())
	}
	if err := cockroach.Check(context.Background(), c.URL); err == nil {
		t.Error("checked")
	}
}
