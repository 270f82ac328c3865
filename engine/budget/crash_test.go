package budget

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
	"millrace/state/store"
	"millrace/state/store/embedded"
)

// node is one life on the real journal and store, over a disk that crashes.
type node struct {
	t       *testing.T
	j       *outbox.Journal
	s       *embedded.Store
	brokers []*Broker
	fx      []*nodeFx
	replies chan store.Reply
	now     unit.MonoTime
	wall    *atomic.Int64
}

type nodeFx struct {
	n      *node
	a      *outbox.Appender
	box    []Message
	timers []timer
}

func (f *nodeFx) SendBudget(to unit.ShardID, m *Message) bool {
	if len(f.n.fx[to].box) > 20 {
		return false
	}
	f.n.fx[to].box = append(f.n.fx[to].box, *m)
	return true
}
func (f *nodeFx) Grant(r *store.GrantRequest)   { f.n.s.Grant(r) }
func (f *nodeFx) Return(r *store.ReturnRequest) { f.n.s.Return(r) }
func (f *nodeFx) Journal(r *ledger.Record) (uint64, bool) {
	pos, err := f.a.Append(r)
	return pos, err == nil
}
func (f *nodeFx) After(d time.Duration, kind uint8, arg uint64) {
	f.timers = append(f.timers, timer{f.n.now.Add(d), kind, arg})
}

func startNode(t *testing.T, fs outbox.FS, shards int, wall *atomic.Int64, specs []AccountSpec) (*node, error) {
	cfg := outbox.Default()
	cfg.Dir, cfg.Node, cfg.FS, cfg.SegmentBytes, cfg.Shards = "/d", testNode, fs, 8192, shards
	cfg.Wall = func() unit.WallTime { return unit.WallTime(wall.Load()) }
	j, err := outbox.Open(cfg)
	if err != nil {
		return nil, err
	}
	n := &node{t: t, j: j, replies: make(chan store.Reply, 4096), wall: wall}
	n.s, err = embedded.Open(j, cfg.Wall, func(r *store.Reply) bool { n.replies <- *r; return true })
	if err != nil {
		_ = j.Close()
		return nil, err
	}
	for i := range shards {
		f := &nodeFx{n: n, a: j.NewAppender(nil)}
		n.fx = append(n.fx, f)
		n.brokers = append(n.brokers, NewBroker(Default(), unit.ShardID(i), shards, testNode, j.Epoch(), f, j.Recovered()))
	}
	for _, b := range n.brokers {
		b.SetAccounts(specs, n.now, unit.WallTime(wall.Load()))
	}
	return n, nil
}

// pump lets d pass, delivering everything that is ready.
func (n *node) pump(d time.Duration) {
	n.now, _ = n.now.Add(d), n.wall.Add(int64(d))
	wall := unit.WallTime(n.wall.Load())
	for i, f := range n.fx {
		due := f.timers
		f.timers = nil
		for _, t := range due {
			if t.at > n.now {
				f.timers = append(f.timers, t)
				continue
			}
			n.brokers[i].Timer(t.kind, t.arg, n.now, wall)
		}
	}
	for busy := true; busy; {
		busy = false
		select {
		case r := <-n.replies:
			m := ReplyMessage(&r)
			n.brokers[r.Shard].Handle(&m, n.now, wall)
			busy = true
		default:
		}
		for i, f := range n.fx {
			box := f.box
			f.box = nil
			for k := range box {
				n.brokers[i].Handle(&box[k], n.now, wall)
				busy = true
			}
			n.brokers[i].EndBatch()
		}
	}
	for _, f := range n.fx {
		f.a.Commit()
	}
}

// durable waits until the shard's records are on disk, or never will be.
func (n *node) durable(shard unit.ShardID, pos uint64) bool {
	n.fx[shard].a.Commit()
	for n.fx[shard].a.Durable() < pos {
		if n.j.Err() != nil {
			return n.fx[shard].a.Durable() >= pos
		}
		time.Sleep(10 * time.Microsecond)
	}
	return true
}

// TestCrashEndToEnd runs lives that end in a crash at a random disk operation.
// In the end every acknowledged event is billed exactly once, and no account
// has spent more than its limit.
func TestCrashEndToEnd(t *testing.T) {
	const price, daily, whole = 11, 6_000, 9_000
	specs := oneAccount(daily, whole)
	specs[0].Unit = price
	total := 0
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 7))
		var wall atomic.Int64
		wall.Store(noon.UnixNano())
		var tokens []event.Token
		acked := map[eventID]bool{}
		fs := faultfs.New(0, nil)
		var lives []unit.Epoch
		for range 8 {
			crash := 20 + r.IntN(400)
			fs = fs.AfterCrash(r.Uint64(), func(k int, _, _ string) error {
				if k == crash {
					return faultfs.ErrCrashed
				}
				return nil
			})
			wall.Add(int64(time.Duration(r.Int64N(int64(2 * time.Minute)))))
			n, err := startNode(t, fs, 1+r.IntN(4), &wall, specs)
			if err != nil {
				continue // crashed while recovering
			}
			lives = append(lives, n.j.Epoch())
			// A life is bounded in virtual time: after the token TTL wins are
			// forgotten on purpose.
			for steps := 0; n.j.Err() == nil && fs.Ops() < crash && steps < 3000; steps++ {
				n.life(r, &tokens, acked, price)
				if len(tokens) > 3000 {
					break
				}
			}
			fs.Stop()
			_ = n.j.Close()
		}
		n, err := startNode(t, fs.AfterCrash(seed, nil), 2, &wall, specs)
		if err != nil {
			t.Fatal(err)
		}
		for id := range acked {
			if !n.j.Recovered().Seen(id.win, id.kind) {
				t.Fatalf("seed %d: %+v was acknowledged and is lost; recovery %+v, epochs %+v, lives %v", seed, id, n.j.Recovery(), n.j.Recovered().Epochs, lives)
			}
		}
		if err := n.j.Inspect(func(b *ledger.Book) {
			x, _ := b.Account(77)
			if err := b.Check(); err != nil || b.Breaches() > 0 || x.Posted > whole || x.Days[0].Posted > daily || x.Days[1].Posted > daily || x.Posted < unit.Nanos(len(acked))*price {
				t.Errorf("seed %d: %d acknowledged, %d breaches, %v, %+v", seed, len(acked), b.Breaches(), err, x)
			}
		}); err != nil {
			t.Fatal(err)
		}
		total += len(acked)
		if err := n.j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if total < 100 { // how many depends on the machine; usually two thousand
		t.Fatalf("only %d events were acknowledged", total)
	}
	t.Logf("%d events acknowledged", total)
}

func (n *node) life(r *rand.Rand, tokens *[]event.Token, acked map[eventID]bool, price unit.Nanos) {
	wall := unit.WallTime(n.wall.Load())
	b := n.brokers[r.IntN(len(n.brokers))]
	if w, reason := b.Reserve([2]int32{0, -1}, price, Exact, n.now, wall); reason == Reserved {
		*tokens = append(*tokens, event.Token{
			Kind: event.Impression, Billable: true, Win: w.ID, Campaign: 5, CampaignAccount: 77, Price: price, Issued: w.Issued, Day: w.Day,
		})
	}
	if len(*tokens) > 0 {
		t := &(*tokens)[max(0, len(*tokens)-1-r.IntN(30))]
		shard := Route(t, testNode, n.j.Epoch(), len(n.brokers))
		o, pos := n.brokers[shard].Post(t, n.now, wall)
		id := eventID{t.Win, t.Kind}
		if acked[id] && o != Duplicate && o != NotDurable {
			n.t.Fatalf("acknowledged before, now %s", o)
		}
		if (o == Posted || o == PostedLate) && n.durable(shard, pos) {
			acked[id] = true
		}
	}
	n.pump(time.Duration(r.Int64N(int64(300 * time.Millisecond))))
}
