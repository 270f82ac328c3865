package sim

import (
	"fmt"
	"time"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/demand/partners"
	"millrace/engine/gateway"
	"millrace/engine/selection"
	"millrace/engine/serve"
	"millrace/models/bundle"
	"millrace/models/coldstart"
	"millrace/models/rollout"
	"millrace/netio/dsp"
	"millrace/shards"
	"millrace/state/campaign"
	"millrace/state/ledger"
	"millrace/state/store"
)

// Config of a World.
type Config struct {
	Seed    uint64
	Shards  int
	Catalog *campaign.Snapshot
	Start   unit.WallTime
	// Caps is the number of frequency-cap entries a shard remembers.
	Caps int
	// Models are those that predict, by arm of the rollout; nil is none.
	Models [2]*bundle.Bundle
	// Rollout says whom each serves; the stable one everybody if it is zero.
	Rollout rollout.Assignment
	// Explore says how new ads get their chance; the zero value is not at all.
	Explore coldstart.Config
	// Clock tells shards what a batch cost; nil: nothing.
	Clock shards.Clock
	// MailboxSlots of a shard; 0 is plenty.
	MailboxSlots int
	// Demand is the book of bidders, who behave as Respond says; nil is none.
	Demand  *partners.Book
	Respond Respond
	Watch   Watcher
	// ParkedMax and LastAuction are serve.Config's; 0 is the default.
	ParkedMax   int
	LastAuction bool
}

// World is a node in simulation.
type World struct {
	cfg    Config
	sim    *shards.Sim[serve.Message]
	cores  []*serve.Core
	keys   *event.Keyring
	signer *event.Signer
	store  *memoryStore
	ready  [2]*selection.Model

	bidders []*bidders
	calls   uint64
	// Told are the notices that bidders were to be given.
	Told []Told

	// History is every record in the order written, all shards together.
	History []ledger.Record
	// answers are those given and not yet collected; discard keeps none, and no
	// history either.
	answers map[*serve.Context]bool
	times   map[*serve.Context]unit.MonoTime
	discard bool
}

// step is how much of the world's time a request takes, at least; patience is
// how many steps it may take at most.
const (
	step     = time.Millisecond
	patience = 1000
)

// Epoch and Node of a simulated world.
const (
	Epoch = unit.Epoch(1)
	Node  = unit.NodeID(1)
)

// New makes a world and brings it up to its first leases.
func New(cfg Config) (*World, error) {
	w := &World{cfg: cfg, answers: map[*serve.Context]bool{}, times: map[*serve.Context]unit.MonoTime{}}
	clock := shards.NewManualClock(cfg.Start)
	w.store = newMemoryStore(clock.Wall)
	var err error
	if w.keys, err = event.NewKeyring([]event.Key{{ID: 1, Secret: []byte("a secret for simulations only, no other use")}}, 1); err != nil {
		return nil, err
	}
	w.signer = w.keys.NewSigner()
	sc := shards.Default()
	sc.Shards, sc.MailboxSlots = cfg.Shards, 1<<14
	if cfg.MailboxSlots > 0 {
		sc.MailboxSlots = cfg.MailboxSlots
	}
	sc.KindNames, sc.TimerNames = serve.KindNames, serve.TimerNames
	core := serve.Default()
	core.Node, core.Epoch, core.PublicURL = Node, Epoch, "http://sim.example"
	core.Caps.Entries, core.Caps.Seed = max(cfg.Caps, 1024), 1
	core.EventsPendingMax = 1 << 12
	core.Users.Users, core.Users.Seed = max(cfg.Caps, 1024), 1
	core.Explore, core.ExploreSeed = cfg.Explore, cfg.Seed
	core.Demand.Seed, core.LastAuction, core.Notices = cfg.Seed, cfg.LastAuction, w
	if cfg.ParkedMax > 0 {
		core.ParkedMax = cfg.ParkedMax
	}
	core.Clock = clock
	if cfg.Clock != nil {
		core.Clock = cfg.Clock
	}
	w.cores = make([]*serve.Core, cfg.Shards)
	w.sim, err = shards.NewSim(sc, clock, cfg.Seed, func(s *shards.Shard[serve.Message]) shards.Handler[serve.Message] {
		c, e := serve.New(core, s, &effects{world: w}, w.keys, nil, serve.NewMetrics(s.Registry()))
		if e != nil {
			err = e
		}
		w.cores[s.ID()] = c
		return c
	})
	if err != nil {
		return nil, err
	}
	if err := w.Load(cfg.Catalog); err != nil {
		return nil, err
	}
	if cfg.Demand != nil {
		w.SetDemand(cfg.Demand)
	}
	w.Advance(100 * step)
	for i, c := range w.cores {
		if !c.Broker().Ready() {
			return nil, fmt.Errorf("sim: shard %d has no leases", i)
		}
	}
	return w, nil
}

// Load swaps the catalog on every shard, with the models made ready for it.
func (w *World) Load(s *campaign.Snapshot) error {
	swaps := serve.PrepareCatalog(s, selection.Default(), len(w.cores))
	models, err := w.prepare(s)
	if err != nil {
		return err
	}
	w.cfg.Catalog = s
	for i, c := range w.cores {
		swaps[i].Models = models[i]
		w.sim.Invoke(unit.ShardID(i), func(*shards.Shard[serve.Message]) { c.Load(swaps[i]) })
	}
	return nil
}

// SetDemand swaps the book of bidders on every shard. A partner's endpoint is its
// place.
func (w *World) SetDemand(b *partners.Book) {
	swap := &serve.DemandSwap{Book: b}
	for _, p := range b.Order {
		swap.EndpointOf[p] = dsp.EndpointID(p)
	}
	for i, c := range w.cores {
		if len(w.bidders) == i {
			w.bidders = append(w.bidders, newBidders(w, unit.ShardID(i)))
		}
		w.sim.Invoke(unit.ShardID(i), func(*shards.Shard[serve.Message]) { c.SetDemand(swap, w.bidders[i]) })
	}
}

// SetModels swaps what predicts, on every shard.
func (w *World) SetModels(models [2]*bundle.Bundle, a rollout.Assignment) error {
	w.cfg.Models, w.cfg.Rollout = models, a
	return w.Refresh()
}

// Refresh renews what the models know of the ads' own results.
func (w *World) Refresh() error {
	swaps, err := w.prepare(w.cfg.Catalog)
	if err != nil {
		return err
	}
	for i, c := range w.cores {
		w.sim.Invoke(unit.ShardID(i), func(*shards.Shard[serve.Message]) { c.SetModels(swaps[i]) })
	}
	return nil
}

func (w *World) prepare(s *campaign.Snapshot) ([]*serve.ModelSwap, error) {
	var totals map[unit.CreativeID]selection.Counts
	w.sim.Invoke(0, func(*shards.Shard[serve.Message]) { totals = w.cores[0].Creatives() })
	plan := rollout.Default()
	swaps := make([]*serve.ModelSwap, len(w.cores))
	for i := range swaps {
		swaps[i] = &serve.ModelSwap{Assignment: w.cfg.Rollout, Plan: &plan}
	}
	for arm, b := range w.cfg.Models {
		if b == nil {
			w.ready[arm] = nil
			continue
		}
		m, err := selection.PrepareModel(b, s, totals, w.Wall(), w.ready[arm])
		if err != nil {
			return nil, err
		}
		w.ready[arm] = m
		for i := range swaps {
			swaps[i].Arms[arm] = selection.NewArm(m)
			if arm == int(rollout.Stable) {
				swaps[i].Assignment.Stable = b.Version()
			}
		}
	}
	return swaps, nil
}

// Settle runs until nobody has anything to do: messages, store and journal.
func (w *World) Settle() {
	for {
		w.sim.Drain()
		if len(w.store.replies) == 0 {
			return
		}
		replies := w.store.replies
		w.store.replies = nil
		for i := range replies {
			m := serve.Message{Type: serve.Budget, Budget: budget.ReplyMessage(&replies[i])}
			w.sim.Submit(replies[i].Shard, &m)
		}
	}
}

// Advance moves time, timer by timer.
func (w *World) Advance(d time.Duration) {
	w.sim.Advance(d)
	w.Settle()
}

// Now is the world's monotonic time.
func (w *World) Now() unit.MonoTime { return w.sim.Clock().Mono() }

// Wall is the world's time.
func (w *World) Wall() unit.WallTime { return w.sim.Clock().Wall() }

// Schedule is a hash of everything that ran, and in which order.
func (w *World) Schedule() uint64 { return w.sim.Schedule() }

// Answer is what a request got.
type Answer struct {
	Status   int
	Body     []byte
	Location []byte
	// At is when it was given.
	At unit.MonoTime
}

// Bid puts a bid request to the shard that owns its user, lets a
// moment pass, and returns the answer. Malformed requests get 400.
func (w *World) Bid(body []byte) Answer { return w.bid(body, false) }

// Explain is Bid with X-Millrace-Debug: 1.
func (w *World) Explain(body []byte) Answer { return w.bid(body, true) }

func (w *World) bid(body []byte, debug bool) Answer {
	x, to, fault := w.prepareBid(body)
	if !fault.OK() {
		return Answer{Status: 400, Body: fault.AppendReason(nil)}
	}
	x.Debug = debug
	return w.submit(to, serve.Message{Type: serve.BidRequest, Context: x})
}

func (w *World) prepareBid(body []byte) (*serve.Context, unit.ShardID, openrtb.Error) {
	x := &serve.Context{Body: body, Arrived: w.sim.Clock().Mono()}
	if fault := openrtb.Parse(body, &x.Request); !fault.OK() {
		return nil, 0, fault
	}
	var id gateway.Identity
	user, known := id.Of(&x.Request)
	x.User = selection.User{ID: user, Known: known}
	return x, unit.Owner(uint64(user), w.cfg.Shards), openrtb.Error{}
}

// Ask puts a bid request to its shard and does not wait; Answer has what came of
// it.
func (w *World) Ask(body []byte) (*serve.Context, bool) {
	x, to, fault := w.prepareBid(body)
	if !fault.OK() {
		return nil, false
	}
	return x, w.sim.Submit(to, &serve.Message{Type: serve.BidRequest, Context: x})
}

// Answered is the answer of a request that was asked, once there is one.
func (w *World) Answered(x *serve.Context) (Answer, bool) {
	if !w.answers[x] {
		return Answer{}, false
	}
	at := w.times[x]
	delete(w.answers, x)
	delete(w.times, x)
	a := &x.Answer
	return Answer{Status: a.Status, Body: a.Body, Location: a.Location, At: at}, true
}

// Notice puts an exchange's notice to the shard that has the win.
func (w *World) Notice(n event.Notice, token []byte, loss openrtb.LossReason) Answer {
	x := serve.Context{Notice: n, Loss: loss}
	scratch, status := w.signer.ParseNotice(token, w.Wall(), n, &x.Token, nil)
	x.TokenBuffer = scratch
	if status != event.OK {
		return Answer{Status: 403, Body: []byte(status.String())}
	}
	return w.submit(budget.Route(&x.Token, Node, Epoch, w.cfg.Shards), serve.Message{Type: serve.Notice, Context: &x})
}

// Event puts a tracking token to the shard that may bill it.
func (w *World) Event(kind event.Kind, token []byte) Answer {
	var x serve.Context
	scratch, status := w.signer.Parse(token, w.Wall(), kind, &x.Token, nil)
	x.TokenBuffer = scratch
	if status != event.OK {
		return Answer{Status: 403, Body: []byte(status.String())}
	}
	to := budget.Route(&x.Token, Node, Epoch, w.cfg.Shards)
	return w.submit(to, serve.Message{Type: serve.Event, Context: &x})
}

func (w *World) submit(to unit.ShardID, m serve.Message) Answer {
	if !w.sim.Submit(to, &m) {
		return Answer{Status: 503}
	}
	// An event may wait for money, not for ever.
	for n := 0; n < patience && (n == 0 || !w.answers[m.Context]); n++ {
		w.Advance(step)
	}
	if !w.answers[m.Context] {
		return Answer{Status: 0, Body: []byte("no answer")}
	}
	a, _ := w.Answered(m.Context)
	return a
}

// effects are a simulated shard's: the store answers when the world settles,
// and a record is durable once its batch has ended.
type effects struct {
	world   *World
	written uint64
	durable uint64
}

func (fx *effects) Reply(c *serve.Context) {
	if fx.world.discard {
		return
	}
	if fx.world.answers[c] {
		panic("sim: one request answered twice")
	}
	c.Answer.Location = append([]byte(nil), c.Answer.Location...)
	fx.world.answers[c] = true
	fx.world.times[c] = fx.world.sim.Clock().Mono()
}

func (fx *effects) Journal(r *ledger.Record) (uint64, bool) {
	fx.written++
	if fx.world.discard {
		return fx.written, true
	}
	fx.world.History = append(fx.world.History, *r)
	return fx.written, true
}

func (fx *effects) Durable() (uint64, bool) { return fx.written, true }

func (fx *effects) Grant(r *store.GrantRequest)   { fx.world.store.grant(r) }
func (fx *effects) Return(r *store.ReturnRequest) { fx.world.store.giveBack(r) }
func (fx *effects) Flush()                        { fx.durable = fx.written }

// Registry holds the shards' metrics.
func (w *World) Registry() *shards.Registry { return w.sim.Registry() }
