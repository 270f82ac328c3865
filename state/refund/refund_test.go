package refund

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
)

const (
	node    = unit.NodeID(4)
	account = unit.AccountID(9)
	today   = unit.Day(20_000)
	now     = unit.WallTime(1_800_000_000_000_000_000)
)

// world is a node's journal on a disk that crashes.
type world struct {
	t       *testing.T
	disk    *faultfs.FS
	journal *outbox.Journal
	a       *outbox.Appender
	desk    *Desk
	settled []ID
	seq     uint64
	stamp   ledger.Stamp
	posted  []ID
}

func (w *world) open(stepped bool) {
	w.t.Helper()
	c := outbox.Default()
	c.Dir, c.Node, c.FS, c.SegmentBytes, c.PendingBytesMax = "/journal", node, w.disk, 1<<14, 1<<14
	c.Wall = func() unit.WallTime { return now }
	c.Alarm = func(err error) { w.t.Errorf("alarm: %v", err) }
	open := outbox.Open
	if stepped {
		open = outbox.OpenStepped
	}
	var err error
	if w.journal, err = open(c); err != nil {
		w.t.Fatal(err)
	}
	w.a = w.journal.NewAppender(nil)
	w.stamp = w.journal.Recovered().Stamp
	w.desk = New(Config{
		Journal: w.journal, FS: w.disk, Wall: c.Wall,
		Settled: func(r *ledger.Record) { w.settled = append(w.settled, ID{r.Win, r.Event}) },
	})
}

func (w *world) write(r *ledger.Record) {
	w.stamp = w.stamp.Next(now)
	r.Node, r.Epoch, r.Wall, r.Stamp = node, w.journal.Epoch(), now, w.stamp
	_, err := w.a.Append(r)
	for ; errors.Is(err, outbox.ErrBacklog); _, err = w.a.Append(r) {
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.a.Commit()
}

func (w *world) grant(amount unit.Nanos) {
	w.seq++
	w.write(&ledger.Record{Kind: ledger.Granted, Seq: w.seq, Account: account, Campaign: 5, Day: today, Amount: amount, Currency: unit.USD})
}

func (w *world) post(kind event.Kind, amount unit.Nanos) ID {
	w.seq++
	r := &ledger.Record{
		Kind: ledger.Posted, Event: kind, Campaign: 5, Line: unit.LineID(amount), Amount: amount, Currency: unit.USD, Issued: now,
		Win:   event.WinID{Node: node, Epoch: w.journal.Epoch(), Seq: w.seq},
		Parts: 1, From: [2]ledger.Part{{Account: account, Day: today, Epoch: w.journal.Epoch()}},
	}
	w.write(r)
	id := ID{r.Win, kind}
	w.posted = append(w.posted, id)
	return id
}

func (w *world) balance() (b ledger.Balance) {
	w.t.Helper()
	if err := w.journal.Inspect(func(book *ledger.Book) {
		if err := book.Check(); err != nil || book.Breaches() > 0 {
			w.t.Fatalf("%d breaches, %v", book.Breaches(), err)
		}
		b, _ = book.Account(account)
	}); err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) ask(q *Query) Result {
	w.t.Helper()
	if q.Reason == 0 {
		q.Reason = ledger.Fraud
	}
	res, err := w.desk.Refund(q)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func TestRefundByID(t *testing.T) {
	w := &world{t: t, disk: faultfs.New(0, nil)}
	w.open(true)
	w.grant(1000)
	view, click := w.post(event.Impression, 100), w.post(event.Click, 200)
	w.write(&ledger.Record{Kind: ledger.Recorded, Reason: ledger.NotBillable, Event: event.Conversion, Win: view.Win})
	w.journal.Step()
	foreign := ID{Win: event.WinID{Node: 7, Epoch: 1, Seq: 1}}
	gone := ID{event.WinID{Node: node, Epoch: 1, Seq: 1}, event.Click}
	both := ID{Win: view.Win}
	res := w.ask(&Query{IDs: []ID{click, foreign, gone, both, both, {view.Win, event.Conversion}}, Note: "bot net"})
	want := []Status{Done, Foreign, NotFound, Done, NotBilled}
	for i, s := range want {
		if res.Items[i].Status != s {
			t.Errorf("item %d: %+v, want %s", i, res.Items[i], s)
		}
	}
	if len(res.Items) != len(want) || res.Sum()[unit.USD] != 300 || !res.Whole {
		t.Fatalf("%+v", res)
	}
	// Not durable, so it counts nowhere; asked again, it is under way.
	if again := w.ask(&Query{IDs: []ID{click}}); again.Items[0].Status != Before || len(w.settled) != 0 || w.balance().Posted != 300 {
		t.Fatalf("%+v, settled %v, %+v", again, w.settled, w.balance())
	}
	w.journal.Step()
	if b := w.balance(); b.Posted != 0 || b.Refunded != 300 || b.Committed != 700 || b.Days[0].Refunded != 300 || len(w.settled) != 2 {
		t.Fatalf("settled %v, %+v", w.settled, b)
	}
	if again := w.ask(&Query{IDs: []ID{click, both}}); again.Count(Before) != 2 || again.Position != res.Position {
		t.Fatalf("%+v", again)
	}
	if err := w.journal.Close(); err != nil {
		t.Fatal(err)
	}
	// What is on disk says who and why.
	tail, noted := outbox.OpenTail(w.disk, "/journal", 0), 0
	for r, _, err := tail.Next(t.Context()); err == nil; r, _, err = tail.Next(t.Context()) {
		if r.Kind == ledger.Refunded && string(r.Name) == "bot net" && r.Reason == ledger.Fraud && r.Line == unit.LineID(r.Amount) {
			noted++
		}
	}
	if noted != 2 {
		t.Fatalf("%d refunds tell their reason", noted)
	}
}

// TestReportedAgain: an event that is told again when the journal has forgotten
// its life is recorded a second time; that it was billed still stands.
func TestReportedAgain(t *testing.T) {
	w := &world{t: t, disk: faultfs.New(0, nil)}
	w.open(true)
	w.grant(1000)
	view, click := w.post(event.Impression, 100), w.post(event.Click, 200)
	again := func(id ID) {
		w.write(&ledger.Record{Kind: ledger.Recorded, Reason: ledger.UnknownEpoch, Event: id.Kind, Win: id.Win})
		w.journal.Step()
	}
	again(view)
	if res := w.ask(&Query{IDs: []ID{view, click}}); res.Count(Done) != 2 || res.Sum()[unit.USD] != 300 {
		t.Fatalf("%+v", res)
	}
	again(click)
	for _, id := range []ID{view, click, {Win: click.Win}} {
		if res := w.ask(&Query{IDs: []ID{id}}); res.Count(Before) != 1 {
			t.Fatalf("%+v", res)
		}
	}
}

func TestRefundByQuery(t *testing.T) {
	w := &world{t: t, disk: faultfs.New(0, nil)}
	w.open(true)
	w.grant(1000)
	for i := range unit.Nanos(9) {
		w.post(event.Impression, 10*(i+1))
	}
	w.journal.Step()
	for name, c := range map[string]struct {
		q    Query
		want int
	}{
		"campaign":       {Query{Campaign: 5}, 9},
		"other campaign": {Query{Campaign: 6}, 0},
		"line":           {Query{Line: 40}, 1},
		"amounts":        {Query{Campaign: 5, Least: 30, Most: 50}, 3},
		"kind":           {Query{Campaign: 5, Kind: event.Click}, 0},
		"until now":      {Query{Campaign: 5, To: now}, 0},
		"from now":       {Query{Campaign: 5, From: now}, 9},
	} {
		c.q.Dry = true
		if res := w.ask(&c.q); len(res.Items) != c.want || res.Count(Done) != c.want || res.Position != 0 {
			t.Errorf("%s: %+v", name, res)
		}
	}
	w.ask(&Query{Campaign: 5, Least: 90})
	w.journal.Step()
	if res := w.ask(&Query{Campaign: 5}); res.Count(Done) != 8 || res.Count(Before) != 1 {
		t.Fatalf("%+v", res)
	}
}

func TestFaultyQueries(t *testing.T) {
	for text, q := range map[string]Query{
		"wins: none":  {Reason: ledger.Fraud},
		"not both":    {Reason: ledger.Fraud, IDs: make([]ID, 1), Campaign: 5},
		"reason: use": {Campaign: 5, Reason: ledger.Unfunded},
		"note: 300":   {Campaign: 5, Reason: ledger.Mistake, Note: strings.Repeat("n", 300)},
		"amount: ":    {Campaign: 5, Reason: ledger.Mistake, Least: 5, Most: 4},
		"time: ":      {Campaign: 5, Reason: ledger.Mistake, From: 5, To: 4},
	} {
		if err := q.Validate(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestIDText(t *testing.T) {
	for _, id := range []ID{{event.WinID{Node: 1, Epoch: 2, Shard: 3, Seq: 4}, 0}, {event.WinID{Node: 1, Epoch: 1 << 31, Shard: 3, Seq: 1 << 63}, event.Click}} {
		if got, err := ParseID(id.String()); err != nil || got != id {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	for _, bad := range []string{"", "1-2-3", "1-2-3-4-5", "1-2-3-x", "70000-1-1-1", "1-2-3-4/", "1-2-3-4/bounce", "1-2-3--4"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q is no id", bad)
		}
	}
}

// TestNothingIsRefundedTwice: queries in any order, crashes at any time. The
// books say of each posting that it is refunded once or not at all, and what was
// told settled is.
func TestNothingIsRefundedTwice(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 3))
		w := &world{t: t, disk: faultfs.New(0, nil)}
		w.open(true)
		certain := map[ID]bool{} // durable
		for range 120 {
			switch r.IntN(12) {
			case 0:
				w.disk = w.disk.AfterCrash(r.Uint64(), nil)
				w.open(true)
			case 1, 2, 3:
				w.grant(100)
				w.post(event.Kind(1+r.IntN(3)), unit.Nanos(1+r.IntN(100)))
			case 4, 5, 6:
				w.journal.Step()
			default:
				q := &Query{Campaign: 5, Least: unit.Nanos(r.IntN(100))}
				if len(w.posted) > 0 && r.IntN(3) > 0 {
					q = &Query{IDs: []ID{w.posted[r.IntN(len(w.posted))], {Win: w.posted[r.IntN(len(w.posted))].Win}}}
				}
				w.ask(q)
			}
			for _, id := range w.settled {
				if certain[id] {
					t.Fatalf("seed %d: %s settled twice", seed, id)
				}
				certain[id] = true
			}
			w.settled = nil
			w.balance() // no breach: nothing refunded twice, nothing negative
		}
		refunds := map[ID]int{}
		tail := outbox.OpenTail(w.disk, "/journal", 0)
		for rec, _, err := tail.Next(t.Context()); err == nil; rec, _, err = tail.Next(t.Context()) {
			if rec.Kind == ledger.Refunded {
				refunds[ID{rec.Win, rec.Event}]++
			}
		}
		for id, n := range refunds {
			if n > 1 {
				t.Fatalf("seed %d: %s refunded %d times", seed, id, n)
			}
		}
		for id := range certain {
			if refunds[id] != 1 {
				t.Fatalf("seed %d: %s was settled and is not in the journal", seed, id)
			}
		}
	}
}

// TestRunWaitsForTheDisk: with more refunds than the journal's buffer takes, and
// several who ask.
func TestRunWaitsForTheDisk(t *testing.T) {
	w := &world{t: t, disk: faultfs.New(0, nil)}
	w.open(false)
	for range 400 {
		w.grant(1)
		w.post(event.Click, 1)
	}
	for w.a.Durable() < w.a.Position() {
		time.Sleep(time.Millisecond)
	}
	results := make(chan error)
	for k := range 3 {
		go func() {
			res, err := w.desk.Run(context.Background(), &Query{Campaign: 5, Reason: ledger.Mistake})
			if err == nil && res.Count(Done)+res.Count(Before) != 400 {
				err = fmt.Errorf("%d: %d done, %d before", k, res.Count(Done), res.Count(Before))
			}
			if err == nil && w.desk.Durable() < res.Position {
				err = errors.New("answered before the disk had")
			}
			results <- err
		}()
	}
	for range 3 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	if b := w.balance(); b.Refunded != 400 || b.Posted != 0 || len(w.settled) != 400 {
		t.Fatalf("%+v, %d settled", b, len(w.settled))
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.desk.Run(cut, &Query{Campaign: 5, Reason: ledger.Mistake}); err != nil {
		t.Fatalf("nothing to wait for: %v", err)
	}
	if err := w.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Run(t.Context(), &Query{Campaign: 5, Reason: ledger.Mistake}); err == nil {
		t.Fatal("a closed journal takes refunds")
	}
}

func FuzzID(f *testing.F) {
	f.Add("1-1800000000-0-17/click")
	f.Add("1-2-3-4")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := ParseID(text); err == nil {
			if again, err := ParseID(id.String()); err != nil || again != id {
				t.Fatalf("%q is %s", text, id)
			}
		}
	})
}
