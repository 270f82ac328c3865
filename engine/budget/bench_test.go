package budget

import (
	"fmt"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store"
	"millrace/state/store/embedded"
)

// liveFx is one shard on a real journal and store; messages to itself wait in a slice.
type liveFx struct {
	a       *outbox.Appender
	s       *embedded.Store
	replies chan store.Reply
}

func (*liveFx) SendBudget(unit.ShardID, *Message) bool { return true }
func (f *liveFx) Grant(r *store.GrantRequest)          { f.s.Grant(r) }
func (f *liveFx) Return(r *store.ReturnRequest)        { f.s.Return(r) }
func (*liveFx) After(time.Duration, uint8, uint64)     {}
func (f *liveFx) Journal(r *ledger.Record) (uint64, bool) {
	pos, err := f.a.Append(r)
	return pos, err == nil
}

// liveBroker is a broker with n unlimited accounts, ready, on a journal in a
// temporary folder.
func liveBroker(tb testing.TB, n int) (*Broker, *liveFx, []AccountSpec, unit.WallTime) {
	tb.Helper()
	wall := unit.WallTime(noon.UnixNano())
	cfg := outbox.Default()
	cfg.Dir, cfg.Node, cfg.Wall = tb.TempDir(), testNode, func() unit.WallTime { return wall }
	j, err := outbox.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := j.Close(); err != nil {
			tb.Error(err)
		}
	})
	f := &liveFx{a: j.NewAppender(nil), replies: make(chan store.Reply, 4096)}
	f.s, err = embedded.Open(j, cfg.Wall, func(r *store.Reply) bool {
		select {
		case f.replies <- *r:
			return true
		default:
			return false
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	specs := make([]AccountSpec, n)
	for i := range specs {
		specs[i] = AccountSpec{
			ID: unit.AccountID(unit.HashID("account", fmt.Sprint(i))), Campaign: unit.CampaignID(unit.HashID("campaign", fmt.Sprint(i))),
			Currency: unit.USD, Name: "bench", Zone: time.UTC,
		}
	}
	b := NewBroker(Default(), 0, 1, testNode, j.Epoch(), f, j.Recovered())
	b.SetAccounts(specs, 1, wall)
	for !b.Ready() {
		f.a.Commit()
		r := <-f.replies
		m := ReplyMessage(&r)
		b.Handle(&m, 1, wall)
		b.EndBatch()
	}
	return b, f, specs, wall
}

func reserveAndPost(tb testing.TB, b *Broker, t *event.Token, account int32, wall unit.WallTime) {
	w, r := b.Reserve([2]int32{account, -1}, t.Price, Exact, 2, wall)
	if r != Reserved {
		tb.Fatal(r)
	}
	t.Win, t.Issued, t.Day = w.ID, w.Issued, w.Day
	if o, _ := b.Post(t, 2, wall); o != Posted {
		tb.Fatal(o)
	}
}

func TestAllocReservePost(t *testing.T) {
	b, f, specs, wall := liveBroker(t, 100)
	tok := event.Token{Kind: event.Impression, Billable: true, Price: 2500, Currency: unit.USD}
	i := int32(0)
	run := func() {
		for range 64 {
			i = (i + 1) % int32(len(specs))
			tok.Campaign, tok.CampaignAccount = specs[i].Campaign, specs[i].ID
			reserveAndPost(t, b, &tok, i, wall)
		}
		b.EndBatch()
		pos := f.a.Position()
		f.a.Commit()
		for f.a.Durable() < pos {
			time.Sleep(20 * time.Microsecond)
		}
	}
	for range 10 {
		run()
	}
	if n := testing.AllocsPerRun(50, run); n != 0 {
		t.Fatalf("%v allocations for 64 reservations, postings and a commit", n)
	}
}

// TestManyAccounts starts with 100,000 accounts on the real store: the grants
// share syncs.
func TestManyAccounts(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	begun := time.Now()
	b, _, specs, wall := liveBroker(t, n)
	t.Logf("%d accounts ready after %v", n, time.Since(begun))
	begun = time.Now()
	b.SetAccounts(specs, 1, wall)
	t.Logf("the same catalog again: %v", time.Since(begun))
	for i := range specs {
		if _, r := b.Reserve([2]int32{int32(i), -1}, 1000, Exact, 2, wall); r != Reserved {
			t.Fatalf("account %d: %s", i, r)
		}
	}
}

func BenchmarkReservePost(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			br, f, specs, wall := liveBroker(b, n)
			tok := event.Token{Kind: event.Impression, Billable: true, Price: 2500, Currency: unit.USD}
			b.ReportAllocs()
			i := int32(0)
			for b.Loop() {
				i = (i + 7919) % int32(n)
				tok.Campaign, tok.CampaignAccount = specs[i].Campaign, specs[i].ID
				reserveAndPost(b, br, &tok, i, wall)
				if i&255 == 0 {
					br.EndBatch()
					f.a.Commit()
					for f.a.Position()-f.a.Durable() > 100_000 {
						time.Sleep(100 * time.Microsecond)
					}
				}
			}
		})
	}
}

// BenchmarkReservePostOnly leaves the journal out: the broker's own part.
func BenchmarkReservePostOnly(b *testing.B) {
	br, _, specs, wall := liveBroker(b, 100)
	br.fx = &countFx{}
	tok := event.Token{Kind: event.Impression, Billable: true, Price: 2500, Currency: unit.USD}
	b.ReportAllocs()
	i := int32(0)
	for b.Loop() {
		i = (i + 1) % 100
		tok.Campaign, tok.CampaignAccount = specs[i].Campaign, specs[i].ID
		reserveAndPost(b, br, &tok, i, wall)
	}
}

func BenchmarkReserve(b *testing.B) {
	br, _, _, wall := liveBroker(b, 100)
	br.fx = &countFx{}
	i := int32(0)
	for b.Loop() {
		i = (i + 1) % 100
		w, r := br.Reserve([2]int32{i, -1}, 2500, Exact, 2, wall)
		if r != Reserved {
			b.Fatal(r)
		}
		br.Cancel(&w, [2]int32{i, -1}, 2500, Exact)
	}
}

type countFx struct{ pos uint64 }

func (*countFx) SendBudget(unit.ShardID, *Message) bool { return true }
func (*countFx) Grant(*store.GrantRequest)              {}
func (*countFx) Return(*store.ReturnRequest)            {}
func (*countFx) After(time.Duration, uint8, uint64)     {}
func (f *countFx) Journal(*ledger.Record) (uint64, bool) {
	f.pos++
	return f.pos, true
}
