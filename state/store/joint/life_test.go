package joint_test

import (
	"errors"
	"slices"
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

// bench is one node whose calls the test answers when it likes.
type bench struct {
	t       *testing.T
	ledger  *memory.Ledger
	counter *memory.Counter
	disk    *faultfs.FS
	mono    unit.MonoTime
	node    unit.NodeID
	floor   unit.Epoch

	down    bool                  // calls are not executed
	mute    bool                  // they are, and their answers lost
	opened  func(*outbox.Journal) // before the store has it
	later   []func()              // what After was given
	alarms  []error
	replies []store.Reply

	journal *outbox.Journal
	store   *joint.Store
	seq     uint64
}

func newBench(t *testing.T) *bench {
	return &bench{t: t, ledger: memory.NewLedger(30 * time.Second), counter: memory.NewCounter(), disk: faultfs.New(0, nil), node: storetest.Node}
}

func (b *bench) via(execute func() func(), lost func(error)) {
	switch {
	case b.down:
		lost(joint.ErrUnknown)
	case b.mute:
		execute()
		lost(joint.ErrUnknown)
	default:
		execute()()
	}
}

// start begins a life on the disk.
func (b *bench) start() {
	b.t.Helper()
	jc := outbox.Default()
	jc.Dir, jc.Node, jc.FS, jc.SegmentBytes, jc.EpochFloor = "/d", b.node, b.disk, 1<<16, b.floor
	jc.Wall = func() unit.WallTime { return storetest.Now }
	var err error
	if b.journal, err = outbox.OpenStepped(jc); err != nil {
		b.t.Fatal(err)
	}
	if b.opened != nil {
		b.opened(b.journal)
	}
	c := joint.Default()
	c.Journal, c.Wall, c.Ledger, c.Counter = b.journal, jc.Wall, b.ledger.Client(b.via), b.counter.Client(b.via)
	c.Mono = func() unit.MonoTime { return b.mono }
	c.After = func(_ time.Duration, f func()) { b.later = append(b.later, f) }
	c.Deliver = func(r *store.Reply) bool { b.replies = append(b.replies, *r); return true }
	c.Alarm = func(err error) { b.alarms = append(b.alarms, err) }
	if b.store, err = joint.Open(c); err != nil {
		b.t.Fatal(err)
	}
}

// crash ends the life; what was not synced is gone.
func (b *bench) crash() {
	b.disk = b.disk.AfterCrash(1, nil)
	b.later, b.replies = nil, nil
}

// wait lets timers run out and the journal write, until nothing is to be done.
func (b *bench) wait() {
	for range 20 {
		now := b.later
		b.later = nil
		for _, f := range now {
			f()
		}
		b.journal.Step()
		b.store.Step()
	}
}

func (b *bench) ask(amount unit.Nanos) *store.GrantRequest {
	b.seq++
	r := &store.GrantRequest{
		ID: store.OpID{Node: b.node, Epoch: b.journal.Epoch(), Seq: b.seq}, Account: 1, Campaign: 2, Day: storetest.Day,
		Amount: amount, AtLeast: amount, Daily: 1000, Expires: storetest.Now + 1,
	}
	b.store.Grant(r)
	return r
}

// last is the latest reply to a request.
func (b *bench) last(id store.OpID) (r store.Reply) {
	for i := range b.replies {
		if b.replies[i].Seq == id.Seq {
			r = b.replies[i]
		}
	}
	return r
}

func (b *bench) committed() unit.Nanos {
	var sum unit.Nanos
	b.ledger.Client(memory.Direct).Balances([]joint.AccountDay{{Account: 1, Campaign: 2, Day: storetest.Day}}, func(out []joint.Balance, _ error) {
		sum = out[0].CommittedTotal
	})
	return sum
}

// TestUnanswered: whatever is executed and not answered counts once.
func TestUnanswered(t *testing.T) {
	b := newBench(t)
	b.mute = true
	b.start()
	r := b.ask(600)
	b.wait()
	b.store.Grant(r)
	if got := b.last(r.ID); got.Status != store.Unavailable {
		t.Fatalf("nobody answers: %+v", got)
	}
	b.mute = false
	b.wait()
	if got := b.last(r.ID); got.Status != store.OK || got.Amount != 600 || got.Remaining != 400 || got.Lease <= 0 {
		t.Fatalf("%+v", got)
	}
	if sum := b.committed(); sum != 600 {
		t.Fatalf("committed %v", sum)
	}
}

// TestCounterErrs: what the counter says is not the last word.
func TestCounterErrs(t *testing.T) {
	b := newBench(t)
	b.start()
	first := b.ask(1000)
	b.wait()
	if got := b.last(first.ID); got.Amount != 1000 {
		t.Fatalf("%+v", got)
	}
	b.counter.Failover() // to a replica that knows nothing
	direct := b.counter.Client(memory.Direct)
	direct.Load([]joint.Balance{{AccountDay: joint.AccountDay{Account: 1, Campaign: 2, Day: storetest.Day}}}, func(error) {})
	second := b.ask(300)
	b.wait()
	if got := b.last(second.ID); got.Status != store.Exhausted || b.store.Status().Corrected != 1 || b.committed() != 1000 {
		t.Fatalf("%+v, committed %v", got, b.committed())
	}
	direct.Take([]store.GrantRequest{*b.ask(1)}, func(out []joint.Taken, _ error) {
		if out[0].Status != store.Exhausted {
			t.Errorf("the counter was not loaded anew: %+v", out[0])
		}
	})
	// And one that says too little is compared with the ledger.
	b.store.Return(&store.ReturnRequest{
		ID: store.OpID{Node: storetest.Node, Epoch: b.journal.Epoch(), Seq: 100}, Account: 1, Campaign: 2, Day: storetest.Day,
		LeaseEpoch: b.journal.Epoch(), Amount: 400,
	})
	b.wait()
	direct.Load([]joint.Balance{{AccountDay: joint.AccountDay{Account: 1, Campaign: 2, Day: storetest.Day}, CommittedDay: 1000, CommittedTotal: 1000}}, func(error) {})
	b.mono += unit.MonoTime(2 * time.Minute)
	third := b.ask(400)
	b.wait()
	b.store.Grant(third) // its time was over: the repeat finds it
	if got := b.last(third.ID); got.Status != store.OK || got.Amount != 400 {
		t.Fatalf("%+v", got)
	}
}

// TestFenced: a life that is over is granted nothing, and what it returns counts.
func TestFenced(t *testing.T) {
	b := newBench(t)
	b.start()
	first := b.ask(600)
	b.wait()
	b.ledger.Fence(storetest.Node)
	second := b.ask(300)
	b.wait()
	if got := b.last(second.ID); got.Status != store.Fenced || !b.store.Status().Fenced || len(b.alarms) != 1 || !errors.Is(b.alarms[0], joint.ErrFenced) {
		t.Fatalf("%+v, %v", got, b.alarms)
	}
	b.store.Return(&store.ReturnRequest{
		ID: store.OpID{Node: storetest.Node, Epoch: b.journal.Epoch(), Seq: 100}, Account: 1, Campaign: 2, Day: storetest.Day,
		LeaseEpoch: first.ID.Epoch, Amount: 500,
	})
	b.wait()
	if sum := b.committed(); sum != 100 {
		t.Fatalf("committed %v", sum)
	}
}

// TestOrphans: what the ledger granted and the journal never knew comes back, and
// what another, lost journal holds does not.
func TestOrphans(t *testing.T) {
	b := newBench(t)
	b.start()
	b.wait()
	b.ask(600) // committed at the ledger; the journal is not stepped
	if sum := b.committed(); sum != 600 {
		t.Fatalf("committed %v", sum)
	}
	lost := b.journal.Epoch()
	b.crash()
	b.start()
	b.wait()
	if sum := b.committed(); sum != 0 || b.store.Status().Settled != 600 {
		t.Fatalf("committed %v, %+v", sum, b.store.Status())
	}
	b.ask(500)
	b.crash()
	b.disk = faultfs.New(0, nil)
	b.floor = lost + 1
	b.start()
	b.wait()
	if sum := b.committed(); sum != 500 || b.store.Status().Lost != 500 || b.store.Status().Settled != 0 {
		t.Fatalf("committed %v, %+v", sum, b.store.Status())
	}
}

// TestForked: a journal that is older than what the ledger knows is refused.
func TestForked(t *testing.T) {
	b := newBench(t)
	b.start()
	b.wait()
	copied := b.disk.AfterCrash(1, nil)
	b.disk = copied.AfterCrash(1, nil)
	b.start()
	b.wait()
	b.floor = b.journal.Epoch()
	b.disk = copied.AfterCrash(1, nil)
	b.start()
	b.wait()
	if !b.store.Status().Fenced || !slices.ContainsFunc(b.alarms, func(err error) bool { return errors.Is(err, joint.ErrForked) }) {
		t.Fatalf("%+v, %v", b.store.Status(), b.alarms)
	}
}

// TestLedgerAway: nothing is granted, returns are taken, and all arrives later.
func TestLedgerAway(t *testing.T) {
	b := newBench(t)
	b.start()
	first := b.ask(600)
	b.wait()
	b.down = true
	back := &store.ReturnRequest{
		ID: store.OpID{Node: storetest.Node, Epoch: b.journal.Epoch(), Seq: 100}, Account: 1, Campaign: 2, Day: storetest.Day,
		LeaseEpoch: first.ID.Epoch, Amount: 600,
	}
	b.store.Return(back)
	second := b.ask(700)
	b.wait()
	b.store.Grant(second)
	if got := b.last(back.ID); got.Status != store.OK {
		t.Fatalf("a return waits for the ledger: %+v", got)
	}
	if got := b.last(second.ID); got.Status != store.Unavailable || b.committed() != 600 || b.store.Posted() {
		t.Fatalf("%+v, committed %v", got, b.committed())
	}
	b.down = false
	b.wait()
	if got := b.last(second.ID); got.Status != store.OK || b.committed() != got.Amount || !b.store.Posted() {
		t.Fatalf("%+v, committed %v", got, b.committed())
	}
}

// TestPostedBeforeTold: the drain may post a return before the journal's writer
// gets to tell the store that it is on disk. It is answered all the same.
func TestPostedBeforeTold(t *testing.T) {
	b := newBench(t)
	var shard *outbox.Appender // is told first, as it was there first
	b.opened = func(j *outbox.Journal) { shard = j.NewAppender(func(uint64) { b.store.Step() }) }
	b.start()
	r := b.ask(600)
	b.wait()
	if _, err := shard.Append(&ledger.Record{
		Kind: ledger.AccountOpened, Node: storetest.Node, Epoch: b.journal.Epoch(), Wall: storetest.Now, Account: 1, Campaign: 2, Currency: unit.USD,
	}); err != nil {
		t.Fatal(err)
	}
	shard.Commit()
	back := &store.ReturnRequest{
		ID: store.OpID{Node: storetest.Node, Epoch: b.journal.Epoch(), Seq: 100}, Account: 1, Campaign: 2, Day: storetest.Day,
		LeaseEpoch: r.ID.Epoch, Amount: 200,
	}
	b.store.Return(back)
	b.wait()
	if got := b.last(back.ID); got.Status != store.OK || b.committed() != 400 || b.store.Status().Held != 0 {
		t.Fatalf("%+v, committed %v, %+v", got, b.committed(), b.store.Status())
	}
}
