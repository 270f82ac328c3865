package serve

import (
	"time"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/demand"
	"millrace/engine/pace"
	"millrace/engine/selection"
	"millrace/models/coldstart"
	"millrace/models/feature"
	"millrace/models/ladder"
	"millrace/models/rollout"
	"millrace/shards"
	"millrace/state/ledger"
	"millrace/state/profile"
	"millrace/state/store"
)

// Effects is what a Core wants done in the world. Calls must not call back.
type Effects interface {
	// Reply sends the answer. The Context is not the Core's afterwards.
	Reply(c *Context)
	// Journal appends a record; false when the journal takes nothing.
	Journal(r *ledger.Record) (pos uint64, ok bool)
	// Durable is the position up to which the journal is on disk, and whether
	// it still works. A Wake message follows each advance.
	Durable() (pos uint64, alive bool)
	// Grant and Return hand a request to the budget store.
	Grant(r *store.GrantRequest)
	Return(r *store.ReturnRequest)
	// Flush ends a batch: what was journalled and replied leaves.
	Flush()
}

// Config of a Core. Immutable.
type Config struct {
	Node  unit.NodeID
	Epoch unit.Epoch
	// PublicURL starts every tracking URL: scheme, host, no slash at the end.
	PublicURL string
	// TokenTTL is how long tracking URLs are valid.
	TokenTTL time.Duration
	// EventsPendingMax bounds the events that wait for the journal; beyond it
	// new ones get 503.
	EventsPendingMax int
	// FundsWait is how long an event whose price is not at hand waits for it
	// before it is recorded unbilled: a few messages and a write to disk.
	FundsWait time.Duration
	// RatesEvery is how often shards tell each other what their users did.
	RatesEvery time.Duration
	// SweepEvery and SweepSlots: how the table of caps is cleaned, in slices.
	SweepEvery time.Duration
	SweepSlots int

	Budget budget.Config
	Caps   profile.Config
	Users  profile.UsersConfig
	// Ladder says when predicting is given up for less.
	Ladder ladder.Config
	// Explore says how ads about which little is known get their chance, and
	// ExploreSeed begins the shards' random numbers.
	Explore     coldstart.Config
	ExploreSeed uint64
	// Maturity is how long after its bid an event still counts for or against a
	// model on trial.
	Maturity time.Duration
	// Demand says how bidders are chosen, where there is a demand file.
	Demand demand.Config
	// ParkedMax bounds the auctions that wait for bidders; beyond it requests are
	// decided from our own campaigns alone.
	ParkedMax int
	// LastAuction: nobody auctions what we answer any more, so a bidder has won when
	// it has won here. Otherwise the exchange's notices tell.
	LastAuction bool
	// Parents of categories, for block lists; nil knows of none but IAB 1.0's.
	Parents *openrtb.Parents
	// Notices takes what bidders are to be told; nil drops it.
	Notices Notifier
	// Clock tells what a batch of decisions cost; time itself is the shard's.
	Clock shards.Clock
}

// Default is a configuration for a node without a public name.
func Default() Config {
	explore := coldstart.Default()
	explore.Draws = 8 // half of what is usual, for half of the time
	return Config{
		PublicURL: "http://127.0.0.1:8080", TokenTTL: 24 * time.Hour, EventsPendingMax: 1 << 16,
		FundsWait: 200 * time.Millisecond, RatesEvery: time.Second, SweepEvery: 100 * time.Millisecond, SweepSlots: 4096,
		Budget: budget.Default(), Caps: profile.Default(), Users: profile.DefaultUsers(),
		Ladder: ladder.Default(), Explore: explore, Maturity: 30 * time.Minute, Demand: demand.Default(), ParkedMax: 4096, Clock: shards.SystemClock(),
	}
}

// Core is one shard's state. Owned by the shard.
type Core struct {
	_      shards.Pad
	cfg    Config
	shard  *shards.Shard[Message]
	fx     Effects
	broker *budget.Broker
	board  *pace.Board
	sel    *selection.Selector
	rates  *selection.Rates
	caps   *profile.Table
	users  *profile.Users
	signer *event.Signer
	m      *Metrics

	predictor  *selection.Predictor
	modelled   bool // a model is in force
	assignment rollout.Assignment
	recorder   rollout.Recorder
	ladder     ladder.Ladder
	explorer   coldstart.Explorer
	batch      batchCost

	demand   *fanout // nil: no bidders
	told     told
	decision decision
	pending  acks
	waits    waits
	tally    tally
	out      Message // scratch for sending
	_        shards.Pad
}

// New makes the core of a shard. It has no catalog until the first Load.
func New(cfg Config, s *shards.Shard[Message], fx Effects, keys *event.Keyring, recovered *ledger.Recovered, m *Metrics) (*Core, error) {
	caps, err := profile.New(cfg.Caps)
	if err != nil {
		return nil, err
	}
	users, err := profile.NewUsers(cfg.Users)
	if err != nil {
		return nil, err
	}
	predictor, err := selection.NewPredictor(feature.Default(), users)
	if err != nil {
		return nil, err
	}
	c := &Core{
		predictor: predictor, recorder: rollout.NewRecorder(cfg.Maturity), ladder: ladder.New(cfg.Ladder, s.Now()),
		explorer: coldstart.NewExplorer(cfg.Explore, cfg.ExploreSeed+uint64(s.ID()), s.Now()),
		cfg:      cfg, shard: s, fx: fx, caps: caps, users: users, signer: keys.NewSigner(), rates: selection.NewRates(), m: m,
		pending: newAcks(cfg.EventsPendingMax), waits: newWaits(), tally: newTally(),
	}
	c.decision = newDecision(cfg.PublicURL)
	c.broker = budget.NewBroker(cfg.Budget, s.ID(), s.Shards(), cfg.Node, cfg.Epoch, (*brokerEffects)(c), recovered)
	c.board = pace.New(s.ID(), s.Shards(), (*brokerEffects)(c), c.broker)
	s.After(cfg.RatesEvery, timerRates, 0)
	// Between two exchanges of counts: what one shard was told so was every other.
	s.After(cfg.RatesEvery+cfg.RatesEvery/2, timerTiers, 0)
	s.After(pace.Every, timerPace, 0)
	s.After(cfg.SweepEvery, timerSweep, 0)
	return c, nil
}

// Handle takes one message.
func (c *Core) Handle(m *Message) {
	switch m.Type {
	case BidRequest:
		c.bid(m.Context)
	case Event:
		c.event(m.Context)
	case Budget:
		c.broker.Handle(&m.Budget, c.shard.Now(), c.shard.Wall())
	case Rates:
		if c.sel != nil { // before the first catalog there is nothing to price
			c.sel.Learn(m.ID, &m.Counts)
		}
	case Groups:
		if c.sel != nil {
			c.sel.LearnGroup(m.Group, &m.Counts)
		}
	case Seen:
		c.remember(m.User, m.Event, m.Line, m.ID)
	case Pace:
		c.board.Handle(&m.Pace)
	case Socket:
		if c.demand != nil {
			c.demand.bidders.Ready(c.shard.Now()) // EndBatch takes what has come
		}
	case Demand:
		if c.demand != nil {
			c.demand.desk.Handle(&m.Demand, c.shard.Now())
		}
	case Notice:
		c.noticed(m.Context)
	case Wake:
		// EndBatch looks at the journal.
	}
}

// Timer takes a timer of the broker's or one of the core's own.
func (c *Core) Timer(kind uint8, arg uint64) {
	switch kind {
	case timerRates:
		c.share()
		c.shard.After(c.cfg.RatesEvery, timerRates, 0)
	case timerSweep:
		c.caps.Sweep(c.shard.Now(), c.cfg.SweepSlots)
		c.shard.After(c.cfg.SweepEvery, timerSweep, 0)
	case timerPace:
		c.board.Tick(c.shard.Wall())
		c.shard.After(pace.Every, timerPace, 0)
	case timerTiers:
		if c.sel != nil {
			c.sel.FitTiers()
		}
		c.shard.After(c.cfg.RatesEvery, timerTiers, 0)
	case timerCutoff:
		c.cutoff(arg)
	case timerBidders:
		c.demand.tick = 0 // EndBatch ticks
	case timerDemand:
		c.demand.desk.Tick(c.shard.Now())
		c.shard.After(demand.Every, timerDemand, 0)
	case timerFunds:
		c.waits.armed = false // EndBatch looks at what waits
	default:
		c.broker.Timer(kind, arg, c.shard.Now(), c.shard.Wall())
	}
}

// EndBatch lets the effects of a batch leave.
func (c *Core) EndBatch() {
	c.endDemand()
	c.tellLadder()
	c.postAgain()
	c.broker.EndBatch()
	c.acknowledge()
	if c.sel != nil {
		c.sel.Fund(c.broker.Dry())
	}
	c.fx.Flush()
}

// share tells every other shard what this one's users did, and applies it here.
func (c *Core) share() {
	if c.sel == nil {
		return // events of an earlier life came before the catalog: next time
	}
	for {
		id, counts, ok := c.rates.Take()
		if !ok {
			break
		}
		c.sel.Learn(id, &counts)
		c.tell(Message{Type: Rates, ID: id, Counts: counts})
	}
	for {
		group, counts, ok := c.sel.TakeGroup()
		if !ok {
			return
		}
		c.sel.LearnGroup(group, &counts)
		c.tell(Message{Type: Groups, Group: group, Counts: counts})
	}
}

// tell sends a delta to every other shard.
func (c *Core) tell(m Message) {
	for to := range c.shard.Shards() {
		if to := unit.ShardID(to); to != c.shard.ID() {
			c.out = m
			if !c.shard.Send(to, &c.out) {
				// A prediction a little off is better than a wait: counted, not repeated.
				c.count(c.m.ratesLost)
			}
		}
	}
}

func (c *Core) count(n shards.Counter) { c.shard.Counters().Inc(n) }

// Broker is the shard's budget broker, for start, stop and the admin API.
func (c *Core) Broker() *budget.Broker { return c.broker }

// Board is the shard's part of the pacing, for the admin API.
func (c *Core) Board() *pace.Board { return c.board }

// brokerEffects lets the broker and the board act through their core.
type brokerEffects Core

func (fx *brokerEffects) SendBudget(to unit.ShardID, m *budget.Message) bool {
	fx.out = Message{Type: Budget, Budget: *m}
	return fx.shard.Send(to, &fx.out)
}

func (fx *brokerEffects) SendPace(to unit.ShardID, m *pace.Message) bool {
	fx.out = Message{Type: Pace, Pace: *m}
	return fx.shard.Send(to, &fx.out)
}

func (fx *brokerEffects) SendDemand(to unit.ShardID, m *demand.Message) bool {
	fx.out = Message{Type: Demand, Demand: *m}
	return fx.shard.Send(to, &fx.out)
}

func (fx *brokerEffects) Grant(r *store.GrantRequest)   { fx.fx.Grant(r) }
func (fx *brokerEffects) Return(r *store.ReturnRequest) { fx.fx.Return(r) }

func (fx *brokerEffects) Journal(r *ledger.Record) (uint64, bool) { return fx.fx.Journal(r) }

func (fx *brokerEffects) After(d time.Duration, kind uint8, arg uint64) {
	fx.shard.After(d, kind, arg)
}
