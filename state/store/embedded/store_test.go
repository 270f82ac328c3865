package embedded

import (
	"testing"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
	"millrace/state/store"
	"millrace/state/store/storetest"
)

func openJournal(t *testing.T, fs outbox.FS) *outbox.Journal {
	t.Helper()
	cfg := outbox.Default()
	cfg.Dir, cfg.Node, cfg.FS, cfg.SegmentBytes = "/d", storetest.Node, fs, 1<<16
	cfg.Wall = func() unit.WallTime { return storetest.Now }
	cfg.Alarm = func(err error) { t.Errorf("alarm: %v", err) }
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func mustOpen(t *testing.T, j *outbox.Journal, deliver store.Deliver) *Store {
	t.Helper()
	s, err := Open(j, func() unit.WallTime { return storetest.Now }, deliver)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, deliver store.Deliver) store.BudgetStore {
		j := openJournal(t, faultfs.New(0, nil))
		s := mustOpen(t, j, deliver)
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := j.Inspect(func(b *ledger.Book) {
				if err := b.Check(); err != nil || b.Breaches() > 0 {
					t.Errorf("%d breaches, %v", b.Breaches(), err)
				}
			}); err != nil {
				t.Error(err)
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

// TestRestart: what a dead epoch held counts until it is returned.
func TestRestart(t *testing.T) {
	fs := faultfs.New(0, nil)
	replies := make(chan store.Reply, 8)
	deliver := func(r *store.Reply) bool { replies <- *r; return true }
	j := openJournal(t, fs)
	first := j.Epoch()
	grant := func(s *Store, epoch unit.Epoch, seq uint64) store.Reply {
		s.Grant(&store.GrantRequest{
			ID: store.OpID{Node: storetest.Node, Epoch: epoch, Seq: seq}, Account: 1, Campaign: 2, Day: storetest.Day,
			Amount: 700, AtLeast: 700, Daily: 1000, Expires: storetest.Now + 1,
		})
		return <-replies
	}
	if r := grant(mustOpen(t, j, deliver), first, 1); r.Amount != 700 {
		t.Fatalf("%+v", r)
	}
	fs = fs.AfterCrash(1, nil)
	j = openJournal(t, fs)
	defer func() { _ = j.Close() }()
	s := mustOpen(t, j, deliver)
	if r := grant(s, j.Epoch(), 1); r.Amount != 300 {
		t.Fatalf("after a restart: %+v", r)
	}
	s.Return(&store.ReturnRequest{
		ID: store.OpID{Node: storetest.Node, Epoch: j.Epoch(), Seq: 2}, Account: 1, Campaign: 2, Day: storetest.Day, LeaseEpoch: first, Amount: 700,
	})
	if r := <-replies; r.Status != store.OK {
		t.Fatalf("%+v", r)
	}
	if r := grant(s, j.Epoch(), 3); r.Amount != 700 {
		t.Fatalf("after the dead lease came back: %+v", r)
	}
}
