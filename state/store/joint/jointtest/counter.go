package jointtest

import (
	"sync"
	"testing"

	"millrace/codec/unit"
	"millrace/state/store"
	"millrace/state/store/joint"
)

// Counter runs the suite over counters that open makes, each of them empty.
func Counter(t *testing.T, open func(t *testing.T) joint.Counter) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, joint.Counter)
	}{
		{"taking", taking}, {"repeated takes", repeatedTakes}, {"given back", givenBack}, {"the last of a budget", lastOfBudget}, {"taken at once", takenAtOnce},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func take(t *testing.T, c joint.Counter, batch ...store.GrantRequest) []joint.Taken {
	t.Helper()
	out := must(t, func(done func([]joint.Taken, error)) { c.Take(batch, done) })
	if len(out) != len(batch) {
		t.Fatalf("%d outcomes for %d requests", len(out), len(batch))
	}
	return out
}

func load(t *testing.T, c joint.Counter, account unit.AccountID, inDay, total unit.Nanos) {
	t.Helper()
	must(t, bare(func(done func(error)) {
		c.Load([]joint.Balance{{
			AccountDay: joint.AccountDay{Account: account, Campaign: campaign, Day: day}, CommittedDay: inDay, CommittedTotal: total,
		}}, done)
	}))
}

func give(t *testing.T, c joint.Counter, batch ...store.ReturnRequest) {
	t.Helper()
	must(t, bare(func(done func(error)) { c.Give(batch, done) }))
}

func asks(node unit.NodeID, seq uint64, account unit.AccountID, amount, daily, total unit.Nanos) store.GrantRequest {
	return store.GrantRequest{
		ID: store.OpID{Node: node, Epoch: 10, Shard: 1, Seq: seq}, Account: account, Campaign: campaign, Currency: unit.USD, Day: day,
		Amount: amount, AtLeast: amount, Daily: daily, Total: total, Stamp: start,
	}
}

func taking(t *testing.T, c joint.Counter) {
	if got := take(t, c, asks(1, 1, 1, 10, 100, 0))[0]; got.Status != store.Unavailable {
		t.Fatalf("an account that was never loaded: %+v", got)
	}
	load(t, c, 1, 300, 900)
	for i, x := range []struct {
		amount, daily, total unit.Nanos
		want                 joint.Taken
	}{
		{600, 1300, 0, joint.Taken{Status: store.OK, Amount: 600, Remaining: 400}},
		{600, 1300, 0, joint.Taken{Status: store.OK, Amount: 400}},
		{600, 1300, 0, joint.Taken{Status: store.Exhausted}},
		{600, 500, 0, joint.Taken{Status: store.Exhausted}},
		{600, 5000, 2000, joint.Taken{Status: store.OK, Amount: 100}},
	} {
		if got := take(t, c, asks(1, uint64(i+10), 1, x.amount, x.daily, x.total))[0]; got != x.want {
			t.Fatalf("take %d: %+v, want %+v", i, got, x.want)
		}
	}
	if got := take(t, c, asks(1, 50, 1, 600, 0, 0))[0]; got.Status != store.OK || got.Amount != 600 || got.Remaining < store.Unlimited/2 {
		t.Fatalf("without a limit: %+v", got)
	}
	load(t, c, 1, 0, 0) // the ledger's word counts
	two := take(t, c, asks(1, 60, 1, 70, 100, 0), asks(1, 61, 1, 70, 100, 0), asks(1, 62, 2, 1, 0, 0))
	if two[0].Amount != 70 || two[1].Amount != 30 || two[2].Status != store.Unavailable {
		t.Fatalf("%+v", two)
	}
}

func repeatedTakes(t *testing.T, c joint.Counter) {
	load(t, c, 1, 0, 0)
	first := take(t, c, asks(1, 1, 1, 60, 100, 0))[0]
	for range 3 {
		if got := take(t, c, asks(1, 1, 1, 60, 100, 0))[0]; got.Status != first.Status || got.Amount != first.Amount {
			t.Fatalf("%+v, before %+v", got, first)
		}
	}
	if got := take(t, c, asks(2, 1, 1, 60, 100, 0))[0]; got.Amount != 40 {
		t.Fatalf("the same number of another node: %+v", got)
	}
}

func givenBack(t *testing.T, c joint.Counter) {
	load(t, c, 1, 0, 0)
	take(t, c, asks(1, 1, 1, 100, 100, 0))
	back := store.ReturnRequest{ID: store.OpID{Node: 1, Epoch: 10, Shard: 1, Seq: 2}, Account: 1, Campaign: campaign, Day: day, LeaseEpoch: 10, Amount: 60}
	stranger := back
	stranger.ID.Seq, stranger.Account = 3, 99 // never loaded: nothing to add to
	give(t, c, back, stranger)
	give(t, c, back)
	if got := take(t, c, asks(1, 4, 1, 60, 100, 0))[0]; got.Status != store.OK || got.Amount != 60 || got.Remaining != 0 {
		t.Fatalf("%+v", got)
	}
	if got := take(t, c, asks(1, 5, 99, 60, 100, 0))[0]; got.Status != store.Unavailable {
		t.Fatalf("%+v", got)
	}
}

// lastOfBudget: when a tenth is left it is cut into parts for all who took lately.
func lastOfBudget(t *testing.T, c joint.Counter) {
	load(t, c, 1, 0, 0)
	sum, takes := unit.Nanos(0), 0
	for seq := uint64(1); ; seq++ {
		r := asks(unit.NodeID(1+seq%2), seq, 1, 30_000, 100_000, 0)
		r.AtLeast = 70
		got := take(t, c, r)[0]
		if got.Status == store.Exhausted {
			break
		}
		if left := 100_000 - sum; got.Amount > max(left, 70) || seq > 2 && sum >= 90_000 && got.Amount > max(left/20, 70) {
			t.Fatalf("%v taken of %v by two", got.Amount, left)
		}
		sum += got.Amount
		takes++
	}
	if sum != 100_000 || takes < 20 {
		t.Fatalf("%v in %d parts", sum, takes)
	}
}

func takenAtOnce(t *testing.T, c joint.Counter) {
	const daily = 10_000
	load(t, c, 1, 0, 0)
	var wg sync.WaitGroup
	var mu sync.Mutex
	sum := unit.Nanos(0)
	for node := range unit.NodeID(4) {
		wg.Go(func() {
			for seq := range uint64(50) {
				got := take(t, c, asks(node+1, seq+1, 1, 120, daily, 0))[0]
				mu.Lock()
				sum += got.Amount
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if rest := take(t, c, asks(9, 1, 1, daily, daily, 0))[0]; sum+rest.Amount > daily || sum < daily*9/10 {
		t.Fatalf("%v taken and %v left of %v", sum, rest.Amount, unit.Nanos(daily))
	}
}
