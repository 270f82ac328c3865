package decision

import (
	"context"
	"syscall"
	"testing"
	"time"

	"sync"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/gateway"
	"millrace/engine/selection"
	"millrace/engine/serve"
	"millrace/models/bundle"
	"millrace/models/rollout"
	"millrace/shards"
	"millrace/state/campaign"
	"millrace/state/ledger"
	"millrace/state/store"
)

// inFlight is how many requests a shard keeps going.
const inFlight = 16

// rig is a real group of shards with the engine on it and nothing else: each
// shard is its own client. It parses a request, sends itself the message,
// decides, and the reply begins the next one. The budget store grants whatever
// is asked.
type rig struct {
	group   *shards.Group[serve.Message]
	clients []*client
	cores   []*serve.Core
}

// client is the effects of one shard's core, and owned by the shard.
type client struct {
	_        shards.Pad
	shard    *shards.Shard[serve.Message]
	bodies   [][]byte
	contexts []serve.Context
	id       gateway.Identity
	out      serve.Message
	next     int
	left     int // decisions to begin
	open     int // decisions begun and not replied to
	bids     int
	sum      uint64 // of the answers' last bytes: the work can't be left out
	written  uint64
	finished func()
	_        shards.Pad
}

func newRig(t testing.TB, n int, snap *campaign.Snapshot, bodies [][]byte, model *bundle.Bundle) *rig {
	t.Helper()
	r := &rig{}
	keys, err := event.NewKeyring([]event.Key{{ID: 1, Secret: []byte("a secret for benchmarks only, no other use")}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := shards.Default()
	cfg.Shards, cfg.Dispatch = n, shards.DispatchHop
	cfg.KindNames, cfg.TimerNames = serve.KindNames, serve.TimerNames
	registry := shards.NewRegistry()
	metrics := serve.NewMetrics(registry)
	core := serve.Default()
	core.Node, core.Epoch = 1, 1
	core.Caps.Entries, core.Users.Users = 1<<16, 1<<10
	r.group, err = shards.NewGroup(cfg, shards.SystemClock(), registry, func(s *shards.Shard[serve.Message]) shards.Handler[serve.Message] {
		c := &client{shard: s, contexts: make([]serve.Context, inFlight), finished: func() {}}
		for _, b := range bodies {
			c.bodies = append(c.bodies, append([]byte(nil), b...))
		}
		k, err := serve.New(core, s, c, keys, nil, metrics)
		if err != nil {
			t.Fatal(err)
		}
		r.clients, r.cores = append(r.clients, c), append(r.cores, k)
		return k
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.group.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.group.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	for i, swap := range serve.PrepareCatalog(snap, selection.Default(), n) {
		if model != nil {
			m, err := selection.PrepareModel(model, snap, nil, start, nil)
			if err != nil {
				t.Fatal(err)
			}
			swap.Models = &serve.ModelSwap{Arms: [2]*selection.Arm{selection.NewArm(m)}, Assignment: rollout.Assignment{Epoch: 1, Stable: model.Version()}}
		}
		r.on(t, i, func() { r.cores[i].Load(swap) })
	}
	r.awaitLeases(t)
	return r
}

func (r *rig) awaitLeases(t testing.TB) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for i, core := range r.cores {
		for ready := false; !ready; time.Sleep(time.Millisecond) {
			r.on(t, i, func() { ready = core.Broker().Ready() })
			if !ready && time.Now().After(end) {
				t.Fatalf("shard %d has no leases", i)
			}
		}
	}
}

// on runs f in a shard's turn.
func (r *rig) on(t testing.TB, shard int, f func()) {
	t.Helper()
	if err := r.group.Invoke(context.Background(), unit.ShardID(shard), func(*shards.Shard[serve.Message]) { f() }); err != nil {
		t.Fatal(err)
	}
}

// run makes the shards decide n requests each and returns the wall time and the
// process's CPU time it took.
func (r *rig) run(t testing.TB, n int) (wall, cpu time.Duration) {
	t.Helper()
	var done sync.WaitGroup
	done.Add(len(r.clients))
	started, used := time.Now(), processCPU()
	for i, c := range r.clients {
		r.on(t, i, func() { c.begin(n, done.Done) })
	}
	done.Wait()
	return time.Since(started), processCPU() - used
}

func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (c *client) begin(n int, finished func()) {
	c.left, c.open, c.finished = n, 0, finished
	for i := range c.contexts {
		c.ask(&c.contexts[i])
	}
}

// ask sends the shard its next request, as the gateway would.
func (c *client) ask(x *serve.Context) {
	if c.left == 0 {
		if c.open == 0 {
			c.finished()
		}
		return
	}
	body := c.bodies[c.next%len(c.bodies)]
	c.next++
	if fault := openrtb.Parse(body, &x.Request); !fault.OK() {
		panic(fault.AppendReason(nil))
	}
	user, known := c.id.Of(&x.Request)
	x.User = selection.User{ID: user, Known: known}
	c.out = serve.Message{Type: serve.BidRequest, Context: x}
	c.left--
	c.open++
	if !c.shard.Send(c.shard.ID(), &c.out) {
		panic("decision: a shard's own mailbox is full")
	}
}

func (c *client) Reply(x *serve.Context) {
	c.open--
	if x.Answer.Status == 200 {
		c.bids++
		c.sum = c.sum*31 + uint64(x.Answer.Body[len(x.Answer.Body)-1])
	}
	c.ask(x)
}

func (c *client) Journal(*ledger.Record) (uint64, bool) { c.written++; return c.written, true }
func (c *client) Durable() (uint64, bool)               { return c.written, true }
func (c *client) Flush()                                {}

func (c *client) Grant(r *store.GrantRequest) {
	c.grant(store.Reply{
		Op: store.OpGrant, Status: store.OK, Account: r.Account, Day: r.Day, Amount: r.Amount, Remaining: 1 << 60,
		Shard: r.ID.Shard, Epoch: r.ID.Epoch, Seq: r.ID.Seq,
	})
}

func (c *client) Return(r *store.ReturnRequest) {
	c.grant(store.Reply{
		Op: store.OpReturn, Status: store.OK, Account: r.Account, Day: r.Day, Amount: r.Amount,
		Shard: r.ID.Shard, Epoch: r.ID.Epoch, Seq: r.ID.Seq,
	})
}

func (c *client) grant(reply store.Reply) {
	c.out = serve.Message{Type: serve.Budget, Budget: budget.ReplyMessage(&reply)}
	c.shard.Send(c.shard.ID(), &c.out)
}
