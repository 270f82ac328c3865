package budget

import (
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// startApart loads the catalog one shard after the other, everything that
// happens at once happening in between, as a node does.
func (w *world) startApart(specs []AccountSpec) {
	w.specs = specs
	for _, s := range specs {
		w.daily[s.ID], w.total[s.ID] = w.allowed(s)
	}
	for _, b := range w.brokers {
		b.SetAccounts(specs, w.now, w.wall)
		b.EndBatch()
		w.settle()
	}
}

func (w *world) mustBeReady(within time.Duration) {
	w.t.Helper()
	w.advance(within)
	for i, b := range w.brokers {
		if !b.Ready() {
			w.t.Fatalf("shard %d of %d is not ready after %v: %d slots wait", i, w.shards, within, b.waitingFor)
		}
	}
}

// TestReadyInEveryState: a start must not depend on there being money, nor on
// the order in which the shards hear of the catalog.
func TestReadyInEveryState(t *testing.T) {
	midnight := time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		start time.Time
		setup func(w *world)
	}{
		{"plenty", noon, func(*world) {}},
		{"used up", noon, func(w *world) { w.spendAll(1000, true) }},
		{"locked in leases of the dead", noon, func(w *world) { w.spendAll(1000, false) }},
		{"just before midnight", midnight.Add(-100 * time.Millisecond), func(*world) {}},
		{"just after midnight", midnight.Add(100 * time.Millisecond), func(*world) {}},
		{"store down", noon, func(w *world) { w.store.down = true }},
		{"answers lost", noon, func(w *world) { w.store.lossy = 2 }},
		{"mailboxes full", noon, func(w *world) { w.boxMax, w.refuse = 1, 2 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, shards := range []int{1, 2, 3, 7} {
				w := newWorld(t, 20, shards, c.start)
				c.setup(w)
				w.startApart(oneAccount(1000, 0))
				w.mustBeReady(3 * time.Second)
				w.conserve()
			}
		})
	}
}

// spendAll lives a life on two shards that uses the whole budget, and begins
// another.
func (w *world) spendAll(limit unit.Nanos, post bool) {
	shards := w.shards
	w.start(2)
	w.startApart(oneAccount(limit, 0))
	for i := 0; i < 100_000 && len(w.wins) < int(limit)/10; i++ {
		if !w.reserve(i%2, [2]int32{0, -1}, 10, event.Impression, 10) {
			w.settle()
			w.advance(100 * time.Millisecond)
		}
	}
	for i := range w.wins {
		if post {
			w.post(&w.wins[i])
		}
	}
	w.specs = nil
	w.start(shards)
}

// TestReadyUnderChangedTerms: a share of nothing under terms that the receiver
// has not heard of must not leave it waiting for ever.
func TestReadyUnderChangedTerms(t *testing.T) {
	w := newWorld(t, 21, 3, noon)
	w.spendAll(1000, true)
	w.startApart(oneAccount(1000, 0))
	specs := oneAccount(900, 0) // lowered: a new generation
	for _, b := range w.brokers {
		b.SetAccounts(specs, w.now, w.wall)
		b.EndBatch()
		w.settle()
	}
	w.advance(time.Second)
	for i, b := range w.brokers {
		if b.waitingFor != 0 {
			t.Fatalf("shard %d waits for ever", i)
		}
	}
}

// TestRestart: events of a dead epoch, with another number of shards.
func TestRestart(t *testing.T) {
	for _, shards := range []int{1, 2, 5} {
		w := newWorld(t, 9, 3, noon)
		w.setAccounts(oneAccount(10_000, 0))
		w.settle()
		for i := range 30 {
			for !w.reserve(i%3, [2]int32{0, -1}, 10, event.Impression, 10) {
				w.settle()
			}
		}
		for i := range 10 {
			w.post(&w.wins[i])
		}
		w.advance(10 * time.Second)
		w.start(shards)
		w.settle()
		w.conserve()
		for i := range 20 {
			want := Posted
			if i < 10 {
				want = Duplicate
			}
			if o := w.post(&w.wins[i]); o != want {
				t.Fatalf("%d shards: event %d of the dead epoch: %s, want %s", shards, i, o, want)
			}
			if o := w.post(&w.wins[i]); o != Duplicate {
				t.Fatalf("again: %s", o)
			}
		}
		w.conserve()
		w.start(4) // a second crash: what was decided about the first life stands
		w.settle()
		for i := range 20 {
			if o := w.post(&w.wins[i]); o != Duplicate {
				t.Fatalf("after the second restart: %s", o)
			}
		}
		w.advance(6 * time.Minute)
		w.conserve()
		if x := w.balance(77); x.Locked != 0 {
			t.Fatalf("dead leases are still locked: %+v", x)
		}
		if o := w.post(&w.wins[25]); o != PostedLate {
			t.Fatalf("late event of a dead epoch: %s", o)
		}
		stranger := w.wins[26]
		stranger.Win.Epoch += 50
		if o := w.post(&stranger); o != Recorded {
			t.Fatalf("an epoch without journal: %s", o)
		}
		if x := w.balance(77); x.PostedTotal != 210 {
			t.Fatalf("posted %v, want 210", x.PostedTotal)
		}
	}
}

func TestShutdownReturnsEverythingUnreserved(t *testing.T) {
	w := newWorld(t, 10, 3, noon)
	w.refuse, w.boxMax = 2, 3
	specs := testSpecs(w.r, 40)
	w.setAccounts(specs)
	w.settle()
	for range 300 {
		w.reserve(w.r.IntN(3), [2]int32{int32(w.r.IntN(40)), -1}, 50, event.Impression, 50)
	}
	w.shutdown()
	for _, s := range specs {
		b, _ := w.book.Account(s.ID)
		if x := w.balance(s.ID); b.Committed-b.Posted != x.Reserved {
			t.Fatalf("account %d: %v still leased, %v reserved", s.ID, b.Committed-b.Posted, x.Reserved)
		}
	}
	if _, r := w.brokers[0].Reserve([2]int32{0, -1}, 1, Exact, w.now, w.wall); r != Halted {
		t.Fatalf("spent after the drain: %s", r)
	}
}
