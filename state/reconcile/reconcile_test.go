package reconcile

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
	"millrace/state/store"
	"millrace/state/store/embedded"
	"millrace/state/store/joint"
	"millrace/state/store/joint/memory"
)

const (
	node    = unit.NodeID(4)
	account = unit.AccountID(9)
	today   = unit.Day(20_000)
	now     = unit.WallTime(1_800_000_000_000_000_000)
)

// world is a node's journal, and the ledger and counter it shares.
type world struct {
	t       *testing.T
	journal *outbox.Journal
	a       *outbox.Appender
	ledger  *memory.Ledger
	counter *memory.Counter
	life    joint.Life
	seq     uint64
	batch   uint64
	posted  uint64 // position up to which the ledger has the journal
	wins    []ledger.Record
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, ledger: memory.NewLedger(time.Minute), counter: memory.NewCounter()}
	c := outbox.Default()
	c.Dir, c.Node, c.FS, c.SegmentBytes = "/journal", node, faultfs.New(0, nil), 1<<16
	c.Wall = func() unit.WallTime { return now }
	var err error
	if w.journal, err = outbox.OpenStepped(c); err != nil {
		t.Fatal(err)
	}
	w.a = w.journal.NewAppender(nil)
	w.life = joint.Life{Node: node, Epoch: w.journal.Epoch()}
	w.lc().Begin(joint.Beginning{Life: w.life, Stamp: 1}, func(_ joint.Began, err error) { w.ok(err) })
	return w
}

func (w *world) lc() *memory.LedgerClient  { return w.ledger.Client(memory.Direct) }
func (w *world) cc() *memory.CounterClient { return w.counter.Client(memory.Direct) }

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(r ledger.Record) ledger.Record {
	w.t.Helper()
	r.Node, r.Epoch, r.Wall, r.Stamp, r.Campaign = node, w.life.Epoch, now, ledger.Stamp(w.seq), 5
	_, err := w.a.Append(&r)
	w.ok(err)
	w.a.Commit()
	w.journal.Step()
	return r
}

// grant takes from the counter, grants at the ledger, and, unless lost, journals.
func (w *world) grant(amount unit.Nanos, lost bool) {
	w.seq++
	w.batch++
	q := store.GrantRequest{ID: store.OpID{Node: node, Epoch: w.life.Epoch, Seq: w.seq}, Account: account, Campaign: 5, Day: today, Amount: amount}
	w.cc().Take([]store.GrantRequest{q}, func(_ []joint.Taken, err error) { w.ok(err) })
	w.lc().Grant(w.life, w.batch, []store.GrantRequest{q}, func(_ []joint.Granted, err error) { w.ok(err) })
	if !lost {
		w.write(ledger.Record{Kind: ledger.Granted, Seq: w.seq, Account: account, Day: today, Amount: amount})
	}
}

func (w *world) post(amount unit.Nanos) {
	w.seq++
	w.wins = append(w.wins, w.write(ledger.Record{
		Kind: ledger.Posted, Event: event.Click, Amount: amount, Win: event.WinID{Node: node, Epoch: w.life.Epoch, Seq: w.seq},
		Parts: 1, From: [2]ledger.Part{{Account: account, Day: today, Epoch: w.life.Epoch}},
	}))
}

// drain gives the ledger what the journal has, but for what skip says.
func (w *world) drain(skip func(*ledger.Record) bool) {
	tail := w.journal.Tail(w.posted)
	var list []ledger.Record
	to := w.posted
	for tail.Ready() {
		r, pos, err := tail.Next(context.Background())
		w.ok(err)
		if skip == nil || !skip(r) {
			list = append(list, *r)
		}
		to = pos
	}
	w.ok(tail.Close())
	w.lc().Post(w.life, list, w.posted, to, func(err error) { w.ok(err) })
	w.posted = to
}

func (w *world) shared(whole bool) *Shared {
	return NewShared(SharedConfig{
		Node: node, Tail: w.journal.Tail, End: w.journal.End, Whole: whole, Ledger: w.lc(), Counter: w.cc(), Pause: func(context.Context) {},
	})
}

func (w *world) look(s *Shared, dry bool) Report {
	w.t.Helper()
	r, err := s.Look(w.t.Context(), dry)
	w.ok(err)
	return r
}

// load makes the counter know the account, wrong by so much.
func (w *world) load(wrong unit.Nanos) {
	k := joint.AccountDay{Account: account, Campaign: 5, Day: today}
	w.lc().Balances([]joint.AccountDay{k}, func(b []joint.Balance, err error) {
		w.ok(err)
		b[0].CommittedDay += wrong
		b[0].CommittedTotal += wrong
		w.cc().Load(b, func(err error) { w.ok(err) })
	})
}

func (w *world) refund(i int) {
	r := w.wins[i]
	r.Kind, r.Reason = ledger.Refunded, ledger.Fraud
	w.seq++
	w.write(r)
}

// TestNothingDrifts: grants that nobody journalled, postings that are not drained,
// returns and refunds are no drift.
func TestNothingDrifts(t *testing.T) {
	for _, whole := range []bool{true, false} {
		w := newWorld(t)
		s := w.shared(whole)
		w.load(0)
		for i := range 20 {
			w.grant(100, i == 7)
			w.post(30)
			if i%3 == 0 {
				w.refund(i)
			}
			if i%4 == 0 {
				w.drain(nil)
				w.load(0) // as the drain tells the counter of returns and refunds
			}
			if r := w.look(s, false); len(r.Drifts) > 0 {
				t.Fatalf("whole %v, step %d: %v", whole, i, &r.Drifts[0])
			}
		}
		w.drain(nil)
		w.load(0)
		if r := w.look(s, false); whole && r.Pending != 100 || r.Compared == 0 || len(r.Drifts) > 0 {
			t.Fatalf("%+v", r)
		}
		w.ok(s.Close())
	}
}

// TestCounterIsRepaired from the ledger, unless the look is dry.
func TestCounterIsRepaired(t *testing.T) {
	w := newWorld(t)
	s := w.shared(true)
	w.grant(1000, false)
	w.drain(nil)
	w.load(70)
	if r := w.look(s, true); len(r.Drifts) != 2 || r.Repaired() != 0 || r.Drifts[0].By() != 70 || r.Drifts[0].Between != "ledger-counter" {
		t.Fatalf("%+v", r)
	}
	if r := w.look(s, false); len(r.Drifts) != 2 || r.Repaired() != 2 {
		t.Fatalf("%+v", r)
	}
	if r := w.look(s, false); len(r.Drifts) != 0 {
		t.Fatalf("%+v", r)
	}
	w.counter.Empty()
	if r := w.look(s, false); len(r.Drifts) != 0 {
		t.Fatalf("an empty counter is loaded by its users: %+v", r)
	}
}

// TestWhatMovesIsNoDrift: a counter that is ahead by something else each time is
// one that is being used.
func TestWhatMovesIsNoDrift(t *testing.T) {
	w := newWorld(t)
	w.grant(1000, false)
	w.drain(nil)
	wrong := unit.Nanos(10)
	w.load(wrong)
	s := NewShared(SharedConfig{Node: node, Ledger: w.lc(), Counter: w.cc(), Pause: func(context.Context) {
		wrong += 5
		w.load(wrong)
	}})
	if r := w.look(s, false); len(r.Drifts) != 0 || len(r.Skipped) != 1 {
		t.Fatalf("%+v", r)
	}
}

// TestLedgerThatLacksRecords is told, and not set.
func TestLedgerThatLacksRecords(t *testing.T) {
	for _, whole := range []bool{true, false} {
		w := newWorld(t)
		s := w.shared(whole)
		w.grant(1000, false)
		w.drain(nil)
		w.look(s, false)
		w.post(40)
		w.post(2)
		w.refund(0)
		lost := func(r *ledger.Record) bool {
			return r.Kind == ledger.Posted && r.Amount == 2 || r.Kind == ledger.Refunded
		}
		w.drain(lost)
		for range 2 {
			r := w.look(s, false)
			if len(r.Drifts) != 2 || r.Repaired() != 0 || r.Sum() != 42 {
				t.Fatalf("whole %v: %+v", whole, r)
			}
			for _, d := range r.Drifts {
				if d.Between != "journal-ledger" || d.Account != account || d.Day != today {
					t.Fatalf("%+v", d)
				}
			}
		}
		w.ok(s.Close())
	}
}

// TestAnotherJournal: a place behind the end of this journal is another's.
func TestAnotherJournal(t *testing.T) {
	w := newWorld(t)
	w.grant(1000, false)
	w.lc().Post(w.life, nil, 0, 1<<50, func(err error) { w.ok(err) })
	if r := w.look(w.shared(true), false); len(r.Drifts) != 0 || len(r.Skipped) == 0 || !strings.Contains(r.Skipped[0], "another journal") {
		t.Fatalf("%+v", r)
	}
}

// TestUnanswered: a ledger that does not answer is an error, not a drift.
func TestUnanswered(t *testing.T) {
	w := newWorld(t)
	s := w.shared(true)
	s.cfg.Ledger = w.ledger.Client(func(_ func() func(), lost func(error)) { lost(joint.ErrUnknown) })
	if _, err := s.Look(t.Context(), false); !errors.Is(err, joint.ErrUnknown) {
		t.Fatal(err)
	}
	s.cfg.Ledger = w.ledger.Client(func(func() func(), func(error)) {}) // never
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Look(ctx, false); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// TestEmbedded: a store whose books differ from the journal's is corrected.
func TestEmbedded(t *testing.T) {
	w := newWorld(t)
	replies := 0
	s, err := embedded.Open(w.journal, func() unit.WallTime { return now }, func(*store.Reply) bool { replies++; return true })
	w.ok(err)
	s.Grant(&store.GrantRequest{
		ID: store.OpID{Node: node, Epoch: w.life.Epoch, Seq: 1}, Account: account, Campaign: 5, Day: today, Amount: 500, Daily: 1000, Expires: now + 1,
	})
	e := &Embedded{Store: s, Journal: w.journal.Inspect, Looks: 3, Pause: func(context.Context) { w.journal.Step() }}
	// Not on disk at the first look, it is at the second.
	r, err := e.Look(t.Context(), false)
	if err != nil || len(r.Drifts) != 0 || replies != 1 {
		t.Fatalf("%+v, %v, %d replies", r, err, replies)
	}
	if !s.Correct(account, today, 30) || !s.Correct(account, 0, -7) || s.Correct(account, today+9, 1) || s.Correct(account+1, 0, 1) {
		t.Fatal("Correct")
	}
	if r, err = e.Look(t.Context(), true); err != nil || len(r.Drifts) != 2 || r.Sum() != 37 || r.Repaired() != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = e.Look(t.Context(), false); err != nil || r.Repaired() != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = e.Look(t.Context(), false); err != nil || len(r.Drifts) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
}
