package budget

import (
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// TestFirstSharesAreEqual: of money for several events every shard gets the
// price of one, and however little there is, all get the same.
func TestFirstSharesAreEqual(t *testing.T) {
	for _, shards := range []int{1, 2, 7} {
		for _, c := range []struct{ limit, unit, least unit.Nanos }{
			{1_000_000, 1000, 1000}, // a click is far above limit/128 over 7 shards
			{100_000, 1000, 890},    // limit/8 is less than a click for each of 7
			{1000, 300, 40},         // less than a click a shard: lines by the thousand start
			{1000, 900, 100},
			{100_000_000, 0, 50_000},
		} {
			w := newWorld(t, 30, shards, noon)
			specs := oneAccount(c.limit, 0)
			specs[0].Unit = c.unit
			w.startApart(specs)
			first := w.brokers[0].slots[0].avail
			if first < c.least {
				t.Errorf("%d shards, limit %d, unit %d: a first share of %d, want %d", shards, c.limit, c.unit, first, c.least)
			}
			for i, b := range w.brokers {
				if got := b.slots[0].avail; got != first {
					t.Errorf("%d shards, limit %d, unit %d: shard %d got %d, shard 0 %d", shards, c.limit, c.unit, i, got, first)
				}
			}
			if leased := w.balance(77); c.unit <= c.limit/8 && leased.Available+leased.Pool > c.limit/4 {
				t.Errorf("%d shards, limit %d, unit %d: a start leases %d", shards, c.limit, c.unit, leased.Available+leased.Pool)
			}
			w.conserve()
		}
	}
}

// TestLastCentComesAtOnce: on one shard the crumbs of pool and slot add up
// without a message; on several those of the others come within two ticks.
func TestLastCentComesAtOnce(t *testing.T) {
	for _, shards := range []int{1, 2, 5} {
		for busy := range shards {
			for _, price := range []unit.Nanos{10, 7, 50} {
				w := newWorld(t, 31, shards, noon)
				w.setAccounts(oneAccount(50, 0))
				w.settle()
				deadline := w.now.Add(2 * w.cfg.TickEvery)
				for len(w.wins) < int(50/price) {
					if !w.reserve(busy, [2]int32{0, -1}, price, event.Impression, price) {
						if shards == 1 || w.now > deadline {
							t.Fatalf("%d shards, %d busy, price %d: %d wins: %+v", shards, busy, price, len(w.wins), w.balance(77))
						}
						w.settle()
					}
				}
				w.conserve()
			}
		}
	}
}

// TestTwoHungryShardsDoNotStarveEachOther: both lack a part of what the other
// has; one of them must get it all.
func TestTwoHungryShardsDoNotStarveEachOther(t *testing.T) {
	for shards := 2; shards <= 5; shards++ {
		w := newWorld(t, 32, shards, noon)
		w.setAccounts(oneAccount(1000, 0))
		w.settle()
		for i := 0; len(w.wins) < 10 && i < 200; i++ {
			w.reserve(i%shards, [2]int32{0, -1}, 100, event.Impression, 100)
			w.reserve((i+1)%shards, [2]int32{0, -1}, 100, event.Impression, 100)
			w.settle()
		}
		if len(w.wins) != 10 {
			t.Fatalf("%d shards: %d wins of 10: %+v", shards, len(w.wins), w.balance(77))
		}
		w.conserve()
	}
}

// TestCheapLineLivesOnTheRest: a line too expensive for what is left must not
// take it from a cheaper one of the same account.
func TestCheapLineLivesOnTheRest(t *testing.T) {
	for _, shards := range []int{1, 2, 3} {
		w := newWorld(t, 33, shards, noon)
		w.setAccounts(oneAccount(95, 0))
		w.settle()
		for range 500 {
			for s := range shards {
				w.reserve(s, [2]int32{0, -1}, 50, event.Impression, 50)
				w.reserve(s, [2]int32{0, -1}, 1, event.Impression, 1)
			}
			w.settle()
		}
		w.conserve()
		if x := w.balance(77); x.Reserved != 95 {
			t.Fatalf("%d shards: %+v", shards, x)
		}
	}
}

// TestRefilledBeforeDry: at a steady rate no request is refused, though the
// store takes its time.
func TestRefilledBeforeDry(t *testing.T) {
	w := newWorld(t, 34, 3, noon)
	specs := oneAccount(100_000_000, 0)
	specs[0].Unit = 10_000
	w.setAccounts(specs)
	w.settle()
	for i := range 20_000 {
		if !w.reserve(i%3, [2]int32{0, -1}, 1000, event.Impression, 1000) {
			t.Fatalf("refused at %d: %+v", i, w.balance(77))
		}
		if i%10 == 0 {
			w.drainMessages()
			w.advance(time.Millisecond)
		}
	}
	w.conserve()
}

// TestDeferredEventIsPaid: a click on a shard whose share is too small is paid
// with what the pool, the store and the other shards have.
func TestDeferredEventIsPaid(t *testing.T) {
	for _, shards := range []int{1, 2, 5} {
		for on := range shards {
			w := newWorld(t, 35, shards, noon)
			specs := oneAccount(1000, 0)
			specs[0].Unit = 900
			w.setAccounts(specs)
			w.settle()
			for range 2 {
				if !w.reserve(on, [2]int32{0, -1}, 900, event.Click, 9) {
					t.Fatal("refused")
				}
			}
			deferred := 0
			for w.postOrWait(&w.wins[0]) == Deferred {
				if deferred++; deferred > 5 {
					t.Fatalf("%d shards, on %d: still deferred: %+v", shards, on, w.balance(77))
				}
				funds := w.brokers[on].Funds()
				w.settle()
				if w.brokers[on].Funds() == funds {
					t.Fatalf("nobody would post it again: %+v", w.balance(77))
				}
			}
			if deferred == 0 && shards > 1 {
				t.Fatal("nothing was deferred: the test proves nothing")
			}
			if w.posted[77] != 900 || w.postOrWait(&w.wins[0]) != Duplicate {
				t.Fatalf("posted %v", w.posted[77])
			}
			if o := w.postOrWait(&w.wins[1]); o != Deferred {
				t.Fatalf("beyond the budget: %s", o)
			}
			w.settle()
			if o := w.post(&w.wins[1]); o != Unfunded {
				t.Fatalf("at its deadline: %s", o)
			}
			w.conserve()
		}
	}
}

// TestCrumbsAreOfferedSoon: money that comes back to an account that has been
// dry for long, too little for what others wait for, is offered within two
// ticks to somebody who may have use for it.
func TestCrumbsAreOfferedSoon(t *testing.T) {
	for _, shards := range []int{1, 2, 3} {
		for on := range shards {
			w := newWorld(t, 36, shards, noon)
			w.setAccounts(oneAccount(100, 0))
			w.settle()
			for len(w.wins) < 2 {
				w.reserve(on, [2]int32{0, -1}, 40, event.Click, 50)
				w.settle()
			}
			w.post(&w.wins[0])
			w.post(&w.wins[1]) // 10 of each is left, and void in the end
			for w.balance(77).Reserved > 0 {
				for s := range shards {
					w.reserve(s, [2]int32{0, -1}, 50, event.Impression, 50) // hopeless, and hungry
				}
				w.advance(w.cfg.TickEvery)
				w.settle()
			}
			found := -1
			for n := range 3 {
				for s, b := range w.brokers {
					if b.Available(0) && w.reserve(s, [2]int32{0, -1}, 20, event.Impression, 20) {
						found = n
					}
				}
				if found >= 0 {
					break
				}
				w.advance(w.cfg.TickEvery)
				w.settle()
			}
			if found < 0 {
				t.Errorf("%d shards: what shard %d voided is offered to nobody: %+v", shards, on, w.balance(77))
			}
			w.conserve()
		}
	}
}

// TestDryAccountIsQuiet: what is left of a used-up budget must not wander from
// shard to shard with every request.
func TestDryAccountIsQuiet(t *testing.T) {
	for _, rest := range []unit.Nanos{0, 3, 40} {
		w := newWorld(t, 37, 7, noon)
		w.setAccounts(oneAccount(1000+rest, 0))
		w.settle()
		for i := 0; w.balance(77).Reserved < 1000; i++ {
			if w.now > unit.MonoTime(30*time.Second) {
				t.Fatalf("rest %d: the last money runs after the requests: %+v", rest, w.balance(77))
			}
			w.reserve(i%7, [2]int32{0, -1}, 50, event.Impression, 50)
			w.settle()
		}
		sent, asked := w.sent, w.store.asked
		begun := w.now
		for i := range 5000 {
			w.reserve(i%7, [2]int32{0, -1}, 50, event.Impression, 50)
			if i%10 == 0 {
				w.drainMessages()
				w.advance(time.Millisecond)
			}
			if i%100 == 0 {
				click := w.wins[0]
				click.Price = 900 // of which 50 is reserved
				w.postOrWait(&click)
			}
		}
		t.Logf("rest %d: %d messages and %d requests to the store in %v and 5000 requests", rest, w.sent-sent, w.store.asked-asked, w.now.Sub(begun))
		if n := w.sent - sent; n > 250 {
			t.Errorf("rest %d: %d messages", rest, n)
		}
		if n := w.store.asked - asked; n > 20 {
			t.Errorf("rest %d: %d requests to the store", rest, n)
		}
		w.conserve()
	}
}
