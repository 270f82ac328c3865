package joint_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
	"millrace/state/store"
	"millrace/state/store/joint"
	"millrace/state/store/joint/memory"
	"millrace/state/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, deliver store.Deliver) store.BudgetStore {
		jc := outbox.Default()
		jc.Dir, jc.Node, jc.FS, jc.SegmentBytes = "/d", storetest.Node, faultfs.New(0, nil), 1<<16
		jc.Wall = func() unit.WallTime { return storetest.Now }
		jc.Alarm = func(err error) { t.Errorf("alarm: %v", err) }
		jc.EpochFloor = storetest.Epoch - 1
		j, err := outbox.Open(jc)
		if err != nil {
			t.Fatal(err)
		}
		shared := memory.NewLedger(time.Hour)
		shared.Alarm = jc.Alarm
		began := time.Now()
		c := joint.Default()
		c.Journal, c.Deliver, c.Wall, c.Alarm = j, deliver, jc.Wall, jc.Alarm
		c.Ledger, c.Counter = shared.Client(memory.Apart), memory.NewCounter().Client(memory.Apart)
		c.Mono = func() unit.MonoTime { return unit.MonoTime(time.Since(began)) }
		c.After = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
		s, err := joint.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var drained sync.WaitGroup
		drained.Go(func() { s.Run(ctx) })
		t.Cleanup(func() {
			cancel()
			drained.Wait()
			if err := errors.Join(s.Close(), j.Inspect(func(b *ledger.Book) {
				if err := b.Check(); err != nil || b.Breaches() > 0 {
					t.Errorf("%d breaches, %v", b.Breaches(), err)
				}
			}), j.Close()); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}
