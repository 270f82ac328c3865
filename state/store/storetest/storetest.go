// Package storetest is the one suite that every BudgetStore passes. It counts
// money itself: from the replies alone, not through the store's own sums.
package storetest

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/state/store"
)

// Now is the store's clock in the suite; Day the account's day then.
const (
	Now = unit.WallTime(1_800_000_000_000_000_000)
	Day = unit.Day(20_833)
)

// Node is the asking node, Epoch its life.
const (
	Node  = unit.NodeID(5)
	Epoch = unit.Epoch(1_800_000_000)
)

// Open makes an empty store whose clock stands at Now.
type Open func(t *testing.T, deliver store.Deliver) store.BudgetStore

// inbox collects replies; it refuses the first refuse deliveries of each request.
type inbox struct {
	mu      sync.Mutex
	replies map[uint64]store.Reply
	refused map[uint64]int
	refuse  int
	changed chan struct{}
}

func newInbox(refuse int) *inbox {
	return &inbox{replies: map[uint64]store.Reply{}, refused: map[uint64]int{}, refuse: refuse, changed: make(chan struct{}, 1)}
}

func (in *inbox) deliver(r *store.Reply) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.refused[r.Seq] < in.refuse {
		in.refused[r.Seq]++
		return false
	}
	in.replies[r.Seq] = *r
	select {
	case in.changed <- struct{}{}:
	default:
	}
	return true
}

// await repeats the request until its answer got through.
func (in *inbox) await(t *testing.T, seq uint64, send func()) store.Reply {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for send(); time.Now().Before(deadline); {
		in.mu.Lock()
		r, ok := in.replies[seq]
		in.mu.Unlock()
		if ok {
			return r
		}
		select {
		case <-in.changed:
		case <-time.After(5 * time.Millisecond):
			send()
		}
	}
	t.Fatalf("request %d was never answered", seq)
	return store.Reply{}
}

func request(seq uint64, account unit.AccountID, amount unit.Nanos) *store.GrantRequest {
	return &store.GrantRequest{
		ID: store.OpID{Node: Node, Epoch: Epoch, Seq: seq}, Account: account, Campaign: 7, Currency: unit.USD, Day: Day,
		Amount: amount, AtLeast: 1, Opens: Now - 1, Expires: Now + 1,
	}
}

func refund(seq uint64, account unit.AccountID, amount unit.Nanos) *store.ReturnRequest {
	return &store.ReturnRequest{
		ID: store.OpID{Node: Node, Epoch: Epoch, Seq: seq}, Account: account, Campaign: 7, Day: Day, LeaseEpoch: Epoch, Amount: amount,
	}
}

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"limits", limits}, {"repeats", repeats}, {"refusals repeated", refusals}, {"closed day", closedDay}, {"returns", returns},
		{"shrinking", shrinking}, {"random and concurrent", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

func limits(t *testing.T, open Open) {
	in := newInbox(0)
	s := open(t, in.deliver)
	grant := func(seq uint64, daily, total unit.Nanos) store.Reply {
		r := request(seq, 1, 600)
		r.Daily, r.Total, r.AtLeast = daily, total, 600
		return in.await(t, seq, func() { s.Grant(r) })
	}
	if r := grant(1, 1000, 0); r.Status != store.OK || r.Amount != 600 || r.Remaining != 400 {
		t.Fatalf("%+v", r)
	}
	if r := grant(2, 1000, 0); r.Status != store.OK || r.Amount != 400 || r.Remaining != 0 {
		t.Fatalf("the rest: %+v", r)
	}
	if r := grant(3, 1000, 0); r.Status != store.Exhausted || r.Amount != 0 {
		t.Fatalf("beyond the limit: %+v", r)
	}
	if r := grant(4, 500, 0); r.Status != store.Exhausted {
		t.Fatalf("limit lowered below what is leased: %+v", r)
	}
	if r := grant(5, 2000, 1100); r.Status != store.OK || r.Amount != 100 {
		t.Fatalf("the total binds: %+v", r)
	}
	if r := grant(6, 0, 0); r.Status != store.OK || r.Amount != 600 || r.Remaining < store.Unlimited/2 {
		t.Fatalf("unlimited: %+v", r)
	}
}

func repeats(t *testing.T, open Open) {
	in := newInbox(3)
	s := open(t, in.deliver)
	r := request(1, 1, 600)
	r.Daily = 1000
	if a := in.await(t, 1, func() { s.Grant(r); s.Grant(r) }); a.Amount != 600 {
		t.Fatalf("%+v", a)
	}
	b := refund(2, 1, 200)
	if a := in.await(t, 2, func() { s.Return(b); s.Return(b) }); a.Status != store.OK {
		t.Fatalf("%+v", a)
	}
	rest := request(3, 1, 5000)
	rest.Daily, rest.AtLeast = 1000, 5000
	if a := in.await(t, 3, func() { s.Grant(rest) }); a.Amount != 600 {
		t.Fatalf("repeated requests must count once: %+v", a)
	}
}

// refusals: a request that was refused stays refused when it is repeated, even if
// there is money by then. Its asker may have heard the refusal and forgotten it.
func refusals(t *testing.T, open Open) {
	in := newInbox(0)
	s := open(t, in.deliver)
	grant := func(seq uint64) *store.GrantRequest {
		r := request(seq, 1, 1000)
		r.Daily = 1000
		return r
	}
	forget := func(seq uint64) {
		in.mu.Lock()
		defer in.mu.Unlock()
		delete(in.replies, seq)
	}
	in.await(t, 1, func() { s.Grant(grant(1)) })
	if a := in.await(t, 2, func() { s.Grant(grant(2)) }); a.Status != store.Exhausted {
		t.Fatalf("%+v", a)
	}
	in.await(t, 3, func() { s.Return(refund(3, 1, 1000)) })
	forget(2)
	if a := in.await(t, 2, func() { s.Grant(grant(2)) }); a.Status != store.Exhausted {
		t.Fatalf("the repeat of a refused request got %+v", a)
	}
	if a := in.await(t, 4, func() { s.Grant(grant(4)) }); a.Amount != 1000 {
		t.Fatalf("%+v", a)
	}
}

func closedDay(t *testing.T, open Open) {
	in := newInbox(0)
	s := open(t, in.deliver)
	early, late := request(1, 1, 10), request(2, 1, 10)
	early.Opens, early.Expires = Now+1, Now+2
	late.Opens, late.Expires = Now-2, Now
	for _, r := range []*store.GrantRequest{early, late} {
		if a := in.await(t, r.ID.Seq, func() { s.Grant(r) }); a.Status != store.Closed || a.Amount != 0 {
			t.Fatalf("%+v", a)
		}
	}
}

func returns(t *testing.T, open Open) {
	in := newInbox(0)
	s := open(t, in.deliver)
	grant := request(1, 1, 100)
	in.await(t, 1, func() { s.Grant(grant) })
	other := refund(3, 1, 50)
	other.LeaseEpoch--
	for seq, r := range map[uint64]*store.ReturnRequest{2: refund(2, 1, 101), 3: other, 4: refund(4, 99, 1)} {
		if a := in.await(t, seq, func() { s.Return(r) }); a.Status != store.Refused {
			t.Fatalf("a return of what was not granted: %+v", a)
		}
	}
	back := refund(5, 1, 100)
	if a := in.await(t, 5, func() { s.Return(back) }); a.Status != store.OK {
		t.Fatalf("%+v", a)
	}
}

func shrinking(t *testing.T, open Open) {
	in := newInbox(0)
	s := open(t, in.deliver)
	grants, sum := 0, unit.Nanos(0)
	for seq := uint64(1); ; seq++ {
		r := request(seq, 1, 30_000)
		r.Daily, r.AtLeast = 100_000, 70
		a := in.await(t, seq, func() { s.Grant(r) })
		if a.Status == store.Exhausted {
			break
		}
		if a.Amount > max(100_000-sum, 70) || sum > 90_000 && a.Amount > max((100_000-sum)/10, 70) {
			t.Fatalf("%v granted with %v left", a.Amount, 100_000-sum)
		}
		sum += a.Amount
		grants++
	}
	if sum != 100_000 || grants < 10 {
		t.Fatalf("%v in %d grants", sum, grants)
	}
}

// concurrent: four callers grant, return and repeat at random on few accounts;
// afterwards what is out, by the replies, is within the limit.
func concurrent(t *testing.T, open Open) {
	const daily = 1_000_000
	in := newInbox(1)
	s := open(t, in.deliver)
	var wg sync.WaitGroup
	var mu sync.Mutex
	out := map[unit.AccountID]unit.Nanos{}
	for caller := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(caller, 1))
			held := map[unit.AccountID]unit.Nanos{}
			for i := range uint64(60) {
				seq, account := caller*1000+i+1, unit.AccountID(1+r.IntN(3))
				if back := held[account]; back > 0 && r.IntN(3) == 0 {
					q := refund(seq, account, 1+unit.Nanos(r.Int64N(int64(back))))
					if a := in.await(t, seq, func() { s.Return(q) }); a.Status == store.OK {
						held[account] -= q.Amount
					}
					continue
				}
				q := request(seq, account, unit.Nanos(1+r.IntN(80_000)))
				q.Daily = daily
				held[account] += in.await(t, seq, func() { s.Grant(q) }).Amount
			}
			mu.Lock()
			defer mu.Unlock()
			for a, n := range held {
				out[a] += n
			}
		})
	}
	wg.Wait()
	for account := unit.AccountID(1); account <= 3; account++ {
		q := request(9000+uint64(account), account, daily)
		q.Daily, q.AtLeast = daily, daily
		rest := in.await(t, q.ID.Seq, func() { s.Grant(q) }).Amount
		if out[account]+rest != daily {
			t.Fatalf("account %d: %v out and %v left of %v", account, out[account], rest, unit.Nanos(daily))
		}
	}
}
