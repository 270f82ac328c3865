package budget

import (
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/store"
)

// TestStopBeforeMidnight: a reservation is refused from 200 ms before local
// midnight on, with money at hand, whichever of the clocks says so.
func TestStopBeforeMidnight(t *testing.T) {
	midnight := unit.WallTime(time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC).UnixNano())
	try := func(w *world) Reason {
		t.Helper()
		w.settle()
		for s, b := range w.brokers {
			if x := &b.slots[0]; x.avail < 1000 {
				t.Fatalf("shard %d has only %d: the test proves nothing", s, x.avail)
			}
			win, r := b.Reserve([2]int32{0, -1}, 1, Exact, w.now, w.wall)
			if s == len(w.brokers)-1 {
				return r
			}
			if r == Reserved {
				b.Cancel(&win, [2]int32{0, -1}, 1, Exact)
			}
		}
		return NoAccount
	}
	start := func() *world {
		w := newWorld(t, 40, 2, midnight.Add(-time.Minute).Time())
		w.setAccounts(oneAccount(10_000_000, 0))
		w.settle()
		return w
	}
	until := func(w *world, before time.Duration) {
		// settle takes 18 ms of its own.
		w.advance(midnight.Add(-before).Sub(w.wall) - 18*time.Millisecond)
	}

	w := start()
	until(w, 201*time.Millisecond)
	if r := try(w); r != Reserved {
		t.Fatalf("201 ms before midnight: %s", r)
	}
	for _, before := range []time.Duration{180, 100, 20} {
		w = start()
		until(w, before*time.Millisecond)
		if r := try(w); r != DayClosed {
			t.Fatalf("%d ms before midnight: %s", before, r)
		}
	}

	w = start()
	until(w, 150*time.Millisecond)
	w.wall = w.wall.Add(-30 * time.Second) // the wall clock was set back
	if r := try(w); r != DayClosed {
		t.Fatalf("past the end by the monotonic clock: %s", r)
	}

	w = start()
	w.wall = midnight.Add(-150 * time.Millisecond) // and forward
	w.now += 1
	for s, b := range w.brokers {
		if _, r := b.Reserve([2]int32{0, -1}, 1, Exact, w.now, w.wall); r != DayClosed {
			t.Fatalf("shard %d, past the end by the wall clock: %s", s, r)
		}
	}
}

// cutTo lowers the limit on all shards at once, while whatever was under way
// still is, lets that arrive, and spends all there is.
func (w *world) cutTo(limit unit.Nanos) {
	w.t.Helper()
	w.setAccounts(oneAccount(limit, 0))
	w.settle()
	w.advance(time.Second)
	w.settle()
	for range 4 * limit {
		for s := range w.brokers {
			w.reserve(s, [2]int32{0, -1}, 1, event.Impression, 1)
		}
		w.settle()
	}
	w.conserve()
	if x := w.balance(77); x.Reserved != limit {
		w.t.Fatalf("under the cut limit of %d, %d is reserved: %+v", limit, x.Reserved, x)
	}
}

// home is the shard that holds the leases of oneAccount.
func (w *world) home() int { return int(Home(5, w.shards)) }

// TestCutMeetsGrantInFlight: a grant asked for under the old limit, answered
// and not delivered when the limit is cut, goes back to the store.
func TestCutMeetsGrantInFlight(t *testing.T) {
	for _, shards := range []int{1, 3} {
		w := newWorld(t, 41, shards, noon)
		w.setAccounts(oneAccount(100_000, 0))
		if late := w.store.late; len(late) != 1 || late[0].Op != store.OpGrant || late[0].Amount < 500 {
			t.Fatalf("no grant is under way: %+v", late)
		}
		w.cutTo(20)
	}
}

// TestCutMeetsShareInFlight: a share given under the old limit that arrives
// after the cut is not spent.
func TestCutMeetsShareInFlight(t *testing.T) {
	w := newWorld(t, 42, 3, noon)
	w.setAccounts(oneAccount(100_000, 0))
	m := ReplyMessage(&w.store.late[0])
	w.store.late = nil
	w.brokers[w.home()].Handle(&m, w.now, w.wall)
	for s, box := range w.boxes {
		if s != w.home() && (len(box) != 1 || box[0].Entries[0].Op != opGive || box[0].Entries[0].Amount < 100) {
			t.Fatalf("no share is on its way to shard %d: %+v", s, box)
		}
	}
	w.cutTo(20)
}

// TestCutMeetsReturnInFlight: money on its way home under the old limit goes
// on to the store and not into the pool.
func TestCutMeetsReturnInFlight(t *testing.T) {
	w := newWorld(t, 43, 2, noon)
	w.setAccounts(oneAccount(100_000, 0))
	w.settle()
	other := 1 - w.home()
	m := Message{From: unit.ShardID(w.home()), Count: 1}
	m.Entries[0] = Entry{Account: 77, Op: opRecall}
	w.brokers[other].Handle(&m, w.now, w.wall)
	if box := w.boxes[w.home()]; len(box) != 1 || box[0].Entries[0].Op != opBack || box[0].Entries[0].Amount < 100 {
		t.Fatalf("nothing is on its way home: %+v", box)
	}
	w.cutTo(20)
}

func TestBudgetLoweredBelowWhatIsLeased(t *testing.T) {
	w := newWorld(t, 7, 3, noon)
	w.setAccounts(oneAccount(100_000, 0))
	w.settle()
	for range 50 {
		for !w.reserve(w.r.IntN(3), [2]int32{0, -1}, 100, event.Impression, 100) {
			w.settle()
		}
	}
	reserved := w.balance(77).Reserved
	w.setAccounts(oneAccount(reserved/2, 0))
	w.settle()
	w.advance(time.Second)
	for s := range 3 {
		if w.reserve(s, [2]int32{0, -1}, 1, event.Impression, 1) {
			t.Fatal("reserved beyond the lowered limit")
		}
	}
	for i := range w.wins {
		if o := w.post(&w.wins[i]); o != Posted {
			t.Fatalf("what was won before the cut: %s", o)
		}
	}
	w.conserve()
	w.setAccounts(oneAccount(reserved+500, 0))
	w.settle()
	n := len(w.wins)
	for range 300 {
		if !w.reserve(w.r.IntN(3), [2]int32{0, -1}, 10, event.Impression, 10) {
			w.settle()
			w.advance(300 * time.Millisecond)
		}
	}
	if got := len(w.wins) - n; got != 50 {
		t.Fatalf("raised by 500: %d wins at 10", got)
	}
	w.conserve()
}

func TestRemovedAccountDrains(t *testing.T) {
	w := newWorld(t, 15, 3, noon)
	specs := testSpecs(w.r, 6)
	w.setAccounts(specs)
	w.settle()
	for s := range 3 {
		w.reserve(s, [2]int32{0, -1}, 1, event.Impression, 1)
	}
	w.setAccounts(specs[2:])
	w.specs = specs
	w.settle()
	w.conserve()
	for i := range w.wins {
		if o := w.post(&w.wins[i]); o != Posted {
			t.Fatalf("an impression won before the removal: %s", o)
		}
	}
	w.advance(10 * time.Minute)
	b, _ := w.book.Account(specs[0].ID)
	if b.Committed != b.Posted {
		t.Fatalf("the removed account still holds %v", b.Committed-b.Posted)
	}
	w.setAccounts(specs) // and it comes back
	w.settle()
	if !w.reserve(0, [2]int32{0, -1}, 1, event.Impression, 1) && specs[0].Daily+specs[0].Total > 0 {
		t.Fatal("the account that came back has no money")
	}
	w.conserve()
}
