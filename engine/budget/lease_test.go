package budget

import (
	"testing"
	"time"
)

// TestLeaseEnds: leases that end are renewed while the store can be reached, are
// over by the holder's own clock when it can't, and go on when it can again. A
// store that has given up on this life ends it.
func TestLeaseEnds(t *testing.T) {
	for _, shards := range []int{1, 3} {
		w := newWorld(t, 1, shards, noon)
		w.store.lease = 3 * time.Second
		w.setAccounts(oneAccount(1_000_000, 0))
		w.settle()
		reserve := func() (n int) {
			for s := range shards {
				if w.reserve(s, [2]int32{0, -1}, 10, 1, 10) {
					n++
				}
				w.settle()
			}
			return n
		}
		for range 20 {
			w.advance(500 * time.Millisecond)
			w.drainMessages()
			if n := reserve(); n != shards {
				t.Fatalf("%d of %d shards reserve while the lease is renewed", n, shards)
			}
		}
		w.store.lossy = 1 // every answer is lost
		cut := w.now
		for w.now.Sub(cut) < w.store.lease {
			w.advance(100 * time.Millisecond)
			w.drainMessages()
		}
		if n := reserve(); n != 0 {
			t.Fatalf("%d of %d shards reserve after the lease has ended", n, shards)
		}
		w.store.lossy = 0
		for range 20 {
			w.advance(100 * time.Millisecond)
			w.drainMessages()
		}
		if n := reserve(); n != shards {
			t.Fatalf("%d of %d shards reserve after the store came back", n, shards)
		}
		w.conserve()
		w.store.fenced = true
		for range 50 {
			w.advance(100 * time.Millisecond)
			w.drainMessages()
		}
		if n := reserve(); n != 0 || !w.brokers[0].Counts().Fenced || w.reasons[Halted] == 0 {
			t.Fatalf("%d of %d shards reserve though the store has given up on them", n, shards)
		}
	}
}
