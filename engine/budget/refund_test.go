package budget

import (
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
)

// refund takes a posting of the journal back, as the node does: durable first
// (the model's book is what the store asks), then the home shard is told.
func (w *world) refund(posted ledger.Record) {
	r := posted
	r.Kind, r.Reason, r.Epoch, r.Policy = ledger.Refunded, ledger.Fraud, w.epoch, event.Policy{}
	w.refunded[eventID{r.Win, r.Event}] = true
	for _, p := range r.From[:r.Parts] {
		w.postedDay[[2]int64{int64(p.Account), int64(p.Day)}] -= r.Amount
		w.posted[p.Account] -= r.Amount
	}
	w.write(&r)
	home := Home(r.Campaign, w.shards)
	w.boxes[home] = append(w.boxes[home], RefundMessage(&r))
}

// randomRefund takes something back that stands, of this life or an earlier one.
func (w *world) randomRefund() {
	for range 20 {
		r := w.journal[w.r.IntN(len(w.journal))]
		if r.Kind == ledger.Posted && !w.refunded[eventID{r.Win, r.Event}] {
			w.refund(r)
			return
		}
	}
}

// lastPosted is the youngest posting.
func (w *world) lastPosted() ledger.Record {
	for i := len(w.journal) - 1; i >= 0; i-- {
		if w.journal[i].Kind == ledger.Posted {
			return w.journal[i]
		}
	}
	w.t.Fatal("nothing was posted")
	return ledger.Record{}
}

// spendInHundreds reserves and posts impressions of 100 until there is no money:
// until it is refused several times, since the last of a budget has to be fetched.
func (w *world) spendInHundreds(account int32) (n int) {
	for refused := 0; refused < 4 && n < 100; {
		w.settle()
		if !w.reserve(w.r.IntN(w.shards), [2]int32{account, -1}, 100, event.Impression, 100) {
			w.advance(w.cfg.TickEvery)
			refused++
			continue
		}
		if o := w.post(&w.wins[len(w.wins)-1]); o != Posted {
			w.t.Fatal(o)
		}
		refused = 0
		n++
	}
	return n
}

// TestRefundIsSpentAgain: on the same day what was refunded can be spent again,
// to the last nano and no more; the figures follow.
func TestRefundIsSpentAgain(t *testing.T) {
	w := newWorld(t, 3, 1, noon)
	w.setAccounts(oneAccount(1000, 0))
	if n := w.spendInHundreds(0); n != 10 {
		t.Fatalf("%d impressions", n)
	}
	for range 3 {
		w.refund(w.lastPosted())
		w.settle()
		if x := w.balance(77); x.PostedTotal != 900 || x.PostedDay != 900 {
			t.Fatalf("%+v", x)
		}
		if n := w.spendInHundreds(0); n != 1 {
			t.Fatalf("%d impressions from a refund of one", n)
		}
		w.conserve()
	}
}

// TestRefundOfAnEarlierDay: only the total limit has room again.
func TestRefundOfAnEarlierDay(t *testing.T) {
	for _, total := range []unit.Nanos{0, 2000} {
		w := newWorld(t, 4, 1, noon)
		w.setAccounts(oneAccount(1000, total))
		w.spendInHundreds(0)
		yesterday := w.lastPosted()
		w.advance(24 * time.Hour)
		if n := w.spendInHundreds(0); n != 10 {
			t.Fatalf("%d impressions on the second day", n)
		}
		w.refund(yesterday)
		w.settle()
		if n := w.spendInHundreds(0); n != 0 {
			t.Fatalf("%d impressions beyond the day's limit", n)
		}
		if x := w.balance(77); x.PostedTotal != 1900 || x.PostedDay != 1000 {
			t.Fatalf("%+v", x)
		}
		w.advance(24 * time.Hour)
		want := 10
		if total > 0 {
			want = 1 // what was refunded of the total
		}
		if n := w.spendInHundreds(0); n != want {
			t.Fatalf("total %v: %d impressions on the third day, want %d", total, n, want)
		}
		w.conserve()
	}
}
