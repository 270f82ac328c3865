package joint_test

import (
	"testing"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store"
	"millrace/state/store/storetest"
)

// TestElsewhere: a grant tells what other nodes have, also of a node's earlier
// lives, which are not elsewhere.
func TestElsewhere(t *testing.T) {
	a := newBench(t)
	a.start()
	a.wait()
	first := a.ask(300)
	a.wait()
	if got := a.last(first.ID); got.Amount != 300 || got.Elsewhere != (store.Elsewhere{}) {
		t.Fatalf("alone: %+v", got)
	}
	b := a.beside()
	second := b.ask(200)
	b.wait()
	if got := b.last(second.ID); got.Amount != 200 || got.Elsewhere != (store.Elsewhere{InDay: 300, Ever: 300}) {
		t.Fatalf("beside another: %+v", got)
	}
	a.crash()
	a.start()
	a.wait()
	third := a.ask(100)
	a.wait()
	if got := a.last(third.ID); got.Amount != 100 || got.Elsewhere != (store.Elsewhere{InDay: 200, Ever: 200}) {
		t.Fatalf("in its second life: %+v", got)
	}
}

// TestNoGrantBeforeTheLedgerKnows: a node that kept its budgets alone joins others.
// What it had granted itself is no news to the ledger before anything is granted.
func TestNoGrantBeforeTheLedgerKnows(t *testing.T) {
	b := newBench(t)
	jc := outbox.Default()
	jc.Dir, jc.Node, jc.FS, jc.SegmentBytes = "/d", b.node, b.disk, 1<<16
	jc.Wall = func() unit.WallTime { return storetest.Now }
	j, err := outbox.OpenStepped(jc)
	if err != nil {
		t.Fatal(err)
	}
	a := j.NewAppender(nil)
	if _, err := a.Append(&ledger.Record{
		Kind: ledger.Granted, Node: b.node, Epoch: j.Epoch(), Seq: 1, Wall: storetest.Now, Account: 1, Campaign: 2, Day: storetest.Day, Amount: 700, Daily: 1000,
	}); err != nil {
		t.Fatal(err)
	}
	a.Commit()
	j.Step()
	b.crash()
	b.start()
	r := b.ask(600)
	b.wait()
	if got := b.last(r.ID); got.Status != store.OK || got.Amount != 300 || b.committed() != 1000 {
		t.Fatalf("%+v, committed %v of 1000", got, b.committed())
	}
}

// TestElsewhereAfterARefund: what a node has taken back is not its own any more,
// so that what other nodes have is told in full.
func TestElsewhereAfterARefund(t *testing.T) {
	a := newBench(t)
	a.start()
	a.wait()
	first := a.ask(300)
	a.wait()
	if got := a.last(first.ID); got.Amount != 300 {
		t.Fatalf("%+v", got)
	}
	b := a.beside()
	b.ask(200)
	b.wait()
	a.refund(120)
	a.wait()
	second := a.ask(50)
	a.wait()
	if got := a.last(second.ID); got.Amount != 50 || got.Elsewhere != (store.Elsewhere{InDay: 200, Ever: 200}) {
		t.Fatalf("%+v", got)
	}
	a.crash()
	a.start()
	a.wait()
	third := a.ask(50)
	a.wait()
	if got := a.last(third.ID); got.Amount != 50 || got.Elsewhere != (store.Elsewhere{InDay: 200, Ever: 200}) {
		t.Fatalf("in its second life: %+v", got)
	}
}

// TestRefundedMoneyIsFound: what was refunded can be had when the ledger knows of
// it, though the counter said "exhausted" just before and was compared then.
func TestRefundedMoneyIsFound(t *testing.T) {
	b := newBench(t)
	b.start()
	b.ask(1000)
	b.wait()
	early := b.ask(120)
	b.wait()
	if got := b.last(early.ID); got.Status != store.Exhausted {
		t.Fatalf("%+v", got)
	}
	b.refund(120)
	b.wait()
	late := b.ask(120)
	b.wait()
	if got := b.last(late.ID); got.Status != store.OK || got.Amount != 120 || b.committed() != 1000 {
		t.Fatalf("%+v, committed %v", got, b.committed())
	}
}

// beside is another node that shares the ledger and the counter.
func (b *bench) beside() *bench {
	other := newBench(b.t)
	other.ledger, other.counter, other.node = b.ledger, b.counter, storetest.Node+1
	other.start()
	other.wait()
	return other
}

// refund writes a posting of the account and takes it back, as a node does.
func (b *bench) refund(amount unit.Nanos) {
	b.t.Helper()
	r := ledger.Record{
		Kind: ledger.Posted, Event: event.Impression, Node: b.node, Epoch: b.journal.Epoch(), Wall: storetest.Now, Campaign: 2, Amount: amount,
		Currency: unit.USD, Win: event.WinID{Node: b.node, Epoch: b.journal.Epoch(), Seq: 1}, Issued: storetest.Now,
		Parts: 1, From: [2]ledger.Part{{Account: 1, Day: storetest.Day, Epoch: b.journal.Epoch()}},
	}
	appender := b.journal.NewAppender(nil)
	for _, kind := range [...]ledger.Kind{ledger.Posted, ledger.Refunded} {
		if r.Kind = kind; kind == ledger.Refunded {
			r.Reason = ledger.Fraud
		}
		if _, err := appender.Append(&r); err != nil {
			b.t.Fatal(err)
		}
	}
	appender.Commit()
	b.wait()
	b.store.Refunded(&r)
}
