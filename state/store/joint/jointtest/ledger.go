package jointtest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
	"millrace/state/store/joint"
)

// Ledger runs the suite over ledgers that open makes, each of them empty.
func Ledger(t *testing.T, open func(t *testing.T) joint.Ledger) {
	for _, c := range []struct {
		name string
		run  func(*world)
	}{
		{"limits", limits}, {"repeated batches", batches}, {"lives", lives}, {"forked", forked}, {"posting", posting}, {"orphans", orphans},
		{"events once", events}, {"fenced lives post", fencedPosts}, {"stamps", stamps}, {"many nodes", manyNodes},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(newWorld(t, open(t))) })
	}
}

func limits(w *world) {
	l, began := w.begin(1, 10, 0)
	if began.Lease <= 0 || began.Drained != 0 {
		w.t.Fatalf("%+v", began)
	}
	one := func(amount, daily, total unit.Nanos) joint.Granted {
		return w.grant(l, w.request(l, 1, amount, daily, total))[0]
	}
	for i, c := range []struct {
		amount, daily, total unit.Nanos
		want                 joint.Granted
	}{
		{600, 1000, 0, joint.Granted{Status: store.OK, Amount: 600, CommittedDay: 600, CommittedTotal: 600}},
		{600, 1000, 0, joint.Granted{Status: store.OK, Amount: 400, CommittedDay: 1000, CommittedTotal: 1000}},
		{600, 1000, 0, joint.Granted{Status: store.Exhausted, CommittedDay: 1000, CommittedTotal: 1000}},
		{600, 500, 0, joint.Granted{Status: store.Exhausted, CommittedDay: 1000, CommittedTotal: 1000}},
		{600, 2000, 1100, joint.Granted{Status: store.OK, Amount: 100, CommittedDay: 1100, CommittedTotal: 1100}},
		{600, 0, 0, joint.Granted{Status: store.OK, Amount: 600, CommittedDay: 1700, CommittedTotal: 1700}},
	} {
		got := one(c.amount, c.daily, c.total)
		got.Stamp = 0
		if got != c.want {
			w.t.Fatalf("grant %d: %+v, want %+v", i, got, c.want)
		}
	}
	other := w.request(l, 1, 50, 60, 0)
	other.Day++
	if g := w.grant(l, other)[0]; g.Status != store.OK || g.Amount != 50 || g.CommittedDay != 50 || g.CommittedTotal != 1750 {
		w.t.Fatalf("another day: %+v", g)
	}
	// One batch, one account twice: the second sees the first.
	two := w.grant(l, w.request(l, 2, 70, 100, 0), w.request(l, 2, 70, 100, 0))
	if two[0].Amount != 70 || two[1].Amount != 30 {
		w.t.Fatalf("twice in a batch: %+v", two)
	}
	if inDay, total := w.committed(1); inDay != 1700 || total != 1750 {
		w.t.Fatalf("committed %v, %v", inDay, total)
	}
	if inDay, total := w.committed(99); inDay != 0 || total != 0 {
		w.t.Fatalf("an account never heard of: %v, %v", inDay, total)
	}
}

// batches: a repeat gets the first outcome, refusals too, and a batch that comes
// late does nothing.
func batches(w *world) {
	l, _ := w.begin(1, 10, 0)
	first, second := w.request(l, 1, 60, 100, 0), w.request(l, 1, 60, 100, 0)
	refused := w.request(l, 1, 60, 100, 0)
	want := w.grant(l, first, second, refused)
	if want[0].Amount != 60 || want[1].Amount != 40 || want[2].Status != store.Exhausted {
		w.t.Fatalf("%+v", want)
	}
	w.mustPost(l, 0, 100, granted(&first, 60), w.returned(l, l.Epoch, 1, 60))
	for range 2 {
		got := w.grantAs(l, 1, first, second, refused)
		for i := range want {
			if got[i].Status != want[i].Status || got[i].Amount != want[i].Amount {
				w.t.Fatalf("repeated, request %d: %+v, before %+v", i, got[i], want[i])
			}
		}
	}
	late := w.request(l, 1, 5, 100, 0)
	if g := w.grantAs(l, 1, late)[0]; g.Status != store.Exhausted || g.Amount != 0 {
		w.t.Fatalf("a batch under an old number: %+v", g)
	}
	if inDay, _ := w.committed(1); inDay != 40 {
		w.t.Fatalf("committed %v", inDay)
	}
	if g := w.grant(l, w.request(l, 1, 100, 100, 0))[0]; g.Amount != 60 {
		w.t.Fatalf("%+v", g)
	}
}

func (w *world) refused(what error, b joint.Beginning) {
	w.t.Helper()
	if _, err := try(w.t, func(done func(joint.Began, error)) { w.ledger.Begin(b, done) }); !errors.Is(err, what) {
		w.t.Fatalf("begin %+v: %v, want %v", b, err, what)
	}
}

func (w *world) fenced(l joint.Life) {
	w.t.Helper()
	_, err := try(w.t, func(done func([]joint.Granted, error)) {
		w.ledger.Grant(l, 1<<40, []store.GrantRequest{w.request(l, 1, 1, 0, 0)}, done)
	})
	if !errors.Is(err, joint.ErrFenced) {
		w.t.Fatalf("a fenced life was granted something: %v", err)
	}
	if _, err := try(w.t, func(done func(struct{}, error)) {
		w.ledger.Renew(l, start, func(_ time.Duration, err error) { done(struct{}{}, err) })
	}); !errors.Is(err, joint.ErrFenced) {
		w.t.Fatalf("a fenced life was renewed: %v", err)
	}
}

func (w *world) lastEpoch(node unit.NodeID) unit.Epoch {
	return must(w.t, func(done func(unit.Epoch, error)) { w.ledger.LastEpoch(node, done) })
}

func lives(w *world) {
	if e := w.lastEpoch(1); e != 0 {
		w.t.Fatalf("a life before the first: %d", e)
	}
	unborn := joint.Life{Node: 1, Epoch: 3}
	w.fenced(unborn)
	old, _ := w.begin(1, 10, 0)
	again, _ := w.begin(1, 10, 0)
	if old != again || w.lastEpoch(1) != 10 {
		w.t.Fatal("a repeated beginning")
	}
	w.refused(joint.ErrFenced, joint.Beginning{Life: old, Stamp: start + 999})
	if left := must(w.t, func(done func(time.Duration, error)) { w.ledger.Renew(old, start, done) }); left <= 0 {
		w.t.Fatal("renewed for no time")
	}
	stranger, _ := w.begin(2, 5, 0)
	w.grant(old, w.request(old, 1, 10, 0, 0))
	w.mustPost(old, 0, 500)
	next, began := w.begin(1, 11, 10)
	if began.Drained != 500 || w.lastEpoch(1) != 11 {
		w.t.Fatalf("%+v", began)
	}
	w.fenced(old)
	w.refused(joint.ErrFenced, joint.Beginning{Life: old, Stamp: start + 10})
	w.refused(joint.ErrFenced, joint.Beginning{Life: joint.Life{Node: 1, Epoch: 9}, Stamp: start + 9})
	w.mustPost(next, 500, 800)
	w.mustPost(next, 400, 700) // late: the cursor stays
	if _, began := w.begin(1, 11, 10); began.Drained != 800 {
		w.t.Fatalf("a repeat: %+v", began)
	}
	if _, began := w.begin(1, 20, 0); began.Drained != 0 {
		w.t.Fatalf("a new journal begins at %d", began.Drained)
	}
	w.grant(stranger, w.request(stranger, 1, 10, 0, 0))
}

func forked(w *world) {
	w.begin(1, 10, 0)
	w.begin(1, 11, 10)
	w.refused(joint.ErrForked, joint.Beginning{Life: joint.Life{Node: 1, Epoch: 12}, Previous: 10, Stamp: start})
	w.begin(1, 12, 11)
	w.begin(1, 13, 0)
	w.begin(1, 14, 0) // two disks lost, two new ones
	w.begin(2, 11, 10)
}

func posting(w *world) {
	l, _ := w.begin(1, 10, 0)
	r := w.request(l, 1, 100, 100, 0)
	w.grant(l, r)
	opened := ledger.Record{Kind: ledger.AccountOpened, Node: 1, Epoch: 10, Account: 1, Campaign: campaign, Currency: unit.USD, Daily: 100, Name: []byte("shoes")}
	began := ledger.Record{Kind: ledger.EpochStarted, Node: 1, Epoch: 10, Seq: 2, Stamp: start + 10}
	back := w.returned(l, l.Epoch, 1, 30)
	spent := event1(l, 1, 25, ledger.Part{Account: 1, Day: day, Epoch: l.Epoch})
	all := []ledger.Record{began, opened, granted(&r, 100), spent, back}
	for range 3 {
		w.mustPost(l, 0, 900, all...)
	}
	w.mustPost(l, 100, 900, all[2:]...)
	if inDay, total := w.committed(1); inDay != 70 || total != 70 {
		w.t.Fatalf("committed %v, %v after 100 granted, 30 returned, 25 posted", inDay, total)
	}
	if g := w.grant(l, w.request(l, 1, 100, 100, 0))[0]; g.Amount != 30 {
		w.t.Fatalf("%+v", g)
	}
	// A grant that the ledger lost counts when the journal tells of it.
	lost := w.request(l, 2, 100, 0, 0)
	w.mustPost(l, 900, 1000, granted(&lost, 40))
	if inDay, _ := w.committed(2); inDay != 40 {
		w.t.Fatalf("committed %v", inDay)
	}
	foreign := ledger.Record{Kind: ledger.Posted, Node: 9, Epoch: 1, Event: event.Impression, Win: event.WinID{Node: 9}}
	if w.post(l, 1000, 1100, foreign) == nil {
		w.t.Fatal("a record of another node's journal was taken")
	}
	if _, began := w.begin(1, 11, 10); began.Drained != 1000 {
		w.t.Fatalf("%+v", began)
	}
}

// event1 is a billed impression.
func event1(l joint.Life, seq uint64, amount unit.Nanos, from ...ledger.Part) ledger.Record {
	r := ledger.Record{
		Kind: ledger.Posted, Event: event.Impression, Node: l.Node, Epoch: l.Epoch, Stamp: start + 1<<20 + ledger.Stamp(seq), Wall: 1_800_000_000e9,
		Campaign: campaign, Amount: amount, Currency: unit.USD, Parts: uint8(len(from)), Issued: 1_800_000_000e9, User: 5, Line: 6, Creative: 7,
		Win: event.WinID{Node: l.Node, Epoch: l.Epoch, Shard: 1, Seq: seq},
	}
	copy(r.From[:], from)
	return r
}

func orphans(w *world) {
	old, _ := w.begin(1, 10, 0)
	known, unknown := w.request(old, 1, 60, 100, 0), w.request(old, 1, 60, 100, 200)
	w.grant(old, known, unknown)
	next, _ := w.begin(1, 11, 10)
	own := w.request(next, 2, 5, 0, 0)
	w.grant(next, own)
	w.mustPost(next, 0, 50, granted(&known, 60))
	list := func(l joint.Life) []joint.Orphan {
		return must(w.t, func(done func([]joint.Orphan, error)) { w.ledger.Orphans(l, done) })
	}
	want := joint.Orphan{
		ID: unknown.ID, Account: 1, Campaign: campaign, Currency: unit.USD, Day: day, Amount: 40, Daily: 100, Total: 200,
	}
	if got := list(next); len(got) != 1 || got[0] != want {
		w.t.Fatalf("%+v, want %+v", got, want)
	}
	w.mustPost(next, 50, 60, granted(&unknown, 40), w.returned(next, 10, 1, 40))
	if got := list(next); len(got) != 0 {
		w.t.Fatalf("settled: %+v", got)
	}
	if inDay, _ := w.committed(1); inDay != 60 {
		w.t.Fatalf("committed %v", inDay)
	}
}

// events: an event counts once, whichever life's record of it comes, except those
// that need no memory; what a dead life's lease paid is taken from it.
func events(w *world) {
	l, _ := w.begin(1, 10, 0)
	part := ledger.Part{Account: 1, Day: day, Epoch: 10}
	line := ledger.Part{Account: 2, Day: day, Epoch: 10}
	a, b := w.request(l, 1, 100, 0, 0), w.request(l, 2, 100, 0, 0)
	w.grant(l, a, b)
	w.mustPost(l, 0, 10, granted(&a, 100), granted(&b, 100), event1(l, 1, 10, part, line), event1(l, 2, 10, part, line))
	foreign := ledger.Record{
		Kind: ledger.Recorded, Event: event.Click, Reason: ledger.ForeignNode, Node: 1, Epoch: 10, Campaign: campaign,
		Win: event.WinID{Node: 3, Epoch: 4, Seq: 5}, Stamp: start + 5,
	}
	w.mustPost(l, 10, 20, event1(l, 2, 10, part, line), foreign, foreign, event1(l, 3, 10, part))
	next, _ := w.begin(1, 11, 10)
	late := event1(l, 4, 80, line)
	late.Epoch, late.Event = 11, event.Conversion
	w.mustPost(next, 20, 30, late)
	w.mustPost(next, 20, 40, late, foreign)
	if inDay, total := w.committed(1); inDay != 100 || total != 100 {
		w.t.Fatalf("posting changed what is committed: %v, %v", inDay, total)
	}
	back := event1(l, 1, 10, part, line)
	back.Kind, back.Epoch = ledger.Refunded, 11
	w.mustPost(next, 40, 50, back)
	w.mustPost(next, 40, 60, back)
	for _, account := range []unit.AccountID{1, 2} {
		if inDay, total := w.committed(account); inDay != 90 || total != 90 {
			w.t.Fatalf("committed %v, %v after a refund of 10", inDay, total)
		}
	}
}

func fencedPosts(w *world) {
	old, _ := w.begin(1, 10, 0)
	r := w.request(old, 1, 100, 100, 0)
	w.grant(old, r)
	next, _ := w.begin(1, 20, 0) // another machine
	w.mustPost(old, 0, 77, granted(&r, 100), w.returned(old, 10, 1, 100))
	if g := w.grant(next, w.request(next, 1, 100, 100, 0))[0]; g.Amount != 100 {
		w.t.Fatalf("what a fenced life returned is not there: %+v", g)
	}
	w.fenced(old)
	if _, began := w.begin(1, 21, 10); began.Drained != 77 {
		w.t.Fatalf("the old journal is back: %+v", began)
	}
}

// stamps: money that one node returned is granted to another with a stamp above it.
func stamps(w *world) {
	a, _ := w.begin(1, 10, 0)
	b, _ := w.begin(2, 10, 0)
	r := w.request(a, 1, 100, 100, 0)
	w.grant(a, r)
	back := w.returned(a, 10, 1, 100)
	back.Stamp = start + 1<<50
	w.mustPost(a, 0, 1, granted(&r, 100), back)
	if g := w.grant(b, w.request(b, 1, 100, 100, 0))[0]; g.Amount != 100 || g.Stamp < back.Stamp {
		w.t.Fatalf("granted %+v, resting on %x", g, back.Stamp)
	}
	if _, began := w.begin(1, 11, 10); began.Stamp < back.Stamp {
		w.t.Fatalf("%+v after %x", began, back.Stamp)
	}
}

// manyNodes: nodes grant and return at random, at once, on few accounts; what is
// committed is what they hold, and never above the limit.
func manyNodes(w *world) {
	const nodes, rounds, daily = 4, 25, 100_000
	var wg sync.WaitGroup
	var mu sync.Mutex
	held := map[unit.AccountID]unit.Nanos{}
	for node := range unit.NodeID(nodes) {
		own := newWorld(w.t, w.ledger)
		l, _ := own.begin(node+1, 10, 0)
		wg.Go(func() { own.spend(l, rounds, daily, &mu, held) })
	}
	wg.Wait()
	for account := unit.AccountID(1); account <= 3; account++ {
		inDay, total := w.committed(account)
		if inDay != held[account] || total != inDay || inDay > daily {
			w.t.Fatalf("account %d: committed %v and %v, held %v", account, inDay, total, held[account])
		}
	}
}

// spend is one node of manyNodes.
func (w *world) spend(l joint.Life, rounds int, daily unit.Nanos, mu *sync.Mutex, held map[unit.AccountID]unit.Nanos) {
	r := rand.New(rand.NewPCG(uint64(l.Node), 1))
	mine := map[unit.AccountID]unit.Nanos{}
	position := uint64(0)
	for range rounds {
		var batch []store.GrantRequest
		for range 1 + r.IntN(3) {
			batch = append(batch, w.request(l, unit.AccountID(1+r.IntN(3)), unit.Nanos(1+r.IntN(20_000)), daily, 0))
		}
		var records []ledger.Record
		for i, g := range w.grant(l, batch...) {
			if g.CommittedDay > daily {
				w.t.Errorf("committed %v of %v", g.CommittedDay, daily)
			}
			if g.Status == store.OK {
				mine[batch[i].Account] += g.Amount
				records = append(records, granted(&batch[i], g.Amount))
			}
		}
		account := unit.AccountID(1 + r.IntN(3))
		if back := mine[account] / 2; back > 0 {
			mine[account] -= back
			records = append(records, w.returned(l, l.Epoch, account, back))
		}
		w.mustPost(l, position, position+10, records...)
		position += 10
	}
	mu.Lock()
	defer mu.Unlock()
	for account, amount := range mine {
		held[account] += amount
	}
}
