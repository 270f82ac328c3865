package demand

import (
	"errors"
	"fmt"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/demand/breaker"
	"millrace/engine/demand/partners"
	"millrace/models/coldstart"
	"millrace/shards"
)

// Config of a Desk. Immutable.
type Config struct {
	// Seed begins the random numbers of exploration; shards add their own.
	Seed uint64
	// HalfLife is when what was learned of bids and wins counts half,
	// LatencyHalfLife the same for latencies.
	HalfLife, LatencyHalfLife time.Duration
}

// Default is a configuration.
func Default() Config { return Config{HalfLife: time.Hour, LatencyHalfLife: time.Minute} }

// Validate lists every fault.
func (c Config) Validate() error {
	var errs []error
	if c.HalfLife < time.Second {
		errs = append(errs, fmt.Errorf("half_life: %v; give a second or more, such as 1h", c.HalfLife))
	}
	if c.LatencyHalfLife < time.Second {
		errs = append(errs, fmt.Errorf("latency_half_life: %v; give a second or more, such as 1m", c.LatencyHalfLife))
	}
	return errors.Join(errs...)
}

// Every is the time between two calls of Tick.
const Every = 100 * time.Millisecond

// period is the time between two exchanges, in Ticks and as a duration.
const (
	periodTicks = 10
	period      = periodTicks * Every
)

// Sender puts a copy of m into another shard's mailbox; false if it is full.
type Sender interface {
	SendDemand(to unit.ShardID, m *Message) bool
}

// Desk is one shard's part of the demand side. Owned by the shard.
type Desk struct {
	_      shards.Pad
	cfg    Config
	id     unit.ShardID
	shards int
	out    Sender
	random coldstart.Random

	book  *partners.Book
	who   []partner // by partners.ID
	stage breaker.Stage

	// Kept from Tick to Tick.
	shut    partners.Set // circuits that let nothing through
	probing partners.Set // half open
	healthy partners.Set
	order   []partners.ID // by what they bring on the whole, the best first
	tables  tables
	egress  budget // of the node's bytes
	ticks   uint64
	period  int64         // that budgets are of
	filled  unit.MonoTime // when budgets were filled last

	// Of the Plan at hand.
	match  partners.Match
	plan   Plan
	values [partners.Max]float32
	keys   [partners.Max]uint64
	left   []partners.ID // who was left out and might be explored
	edit   openrtb.Edit
	imps   []openrtb.ImpEdit

	counts Counts
	msg    Message
	_      shards.Pad
}

// partner is what a desk knows of one.
type partner struct {
	name    string // "" where the book has none
	circuit breaker.Breaker
	learned learned
	news    news // since the last exchange
	timeout time.Duration
	p95     time.Duration // Longest if not known
	health  Health
	demoted bool    // its score fell below the limit, and is not well above it again
	win     float32 // share of its bids that win
	worth   float32 // what a call brought, on the whole
	calls   budget
	bytes   budget
	counts  PartnerCounts
}

// New makes the desk of shard id, of n. It asks nobody until Load.
func New(cfg Config, id unit.ShardID, n int, out Sender) *Desk {
	return &Desk{cfg: cfg, id: id, shards: n, out: out, random: coldstart.NewRandom(cfg.Seed + uint64(id)<<32)}
}

// Book in force; nil before Load.
func (d *Desk) Book() *partners.Book { return d.book }

// Load takes a book; what was learned of partners that stay, stays. Cold.
func (d *Desk) Load(b *partners.Book, now unit.MonoTime) {
	d.book = b
	for len(d.who) < len(b.Partners) {
		d.who = append(d.who, partner{})
	}
	for i := range d.who {
		x, name := &d.who[i], ""
		if p := b.Partner(partners.ID(i)); p != nil {
			name = p.Name
		}
		if x.name != name {
			*x = partner{name: name}
		}
	}
	if cap(d.left) < partners.Max {
		d.left = make([]partners.ID, 0, partners.Max)
		d.plan.Choices = make([]Choice, 0, FanoutMax)
		d.imps = make([]openrtb.ImpEdit, 0, partners.ImpsMax)
	}
	d.order = make([]partners.ID, 0, len(b.Order))
	d.tables.resize(len(d.who))
	d.budgets(now)
	d.rebuild()
	d.circuits(now)
}

// Tick keeps circuits, budgets and prices up to date and, once a second,
// exchanges what was learned. Call it every Every.
func (d *Desk) Tick(now unit.MonoTime) {
	if d.book == nil {
		return
	}
	d.ticks++
	d.turn(now)
	d.circuits(now)
	d.prices()
	d.rebuildPart(int(d.ticks % periodTicks))
}

// circuits moves the breakers on and notes which are not closed.
func (d *Desk) circuits(now unit.MonoTime) {
	d.shut, d.probing = partners.Set{}, partners.Set{}
	for _, p := range d.book.Order {
		c := &d.who[p].circuit
		c.Tick(&d.book.Settings.Breaker, now)
		d.note(p, c)
	}
}

func (d *Desk) note(p partners.ID, c *breaker.Breaker) {
	d.shut.Remove(p)
	d.probing.Remove(p)
	switch c.State() {
	case breaker.Open:
		d.shut.Add(p)
	case breaker.HalfOpen:
		d.probing.Add(p)
	}
}

// Answered takes how long an answer took from the request's first byte, where
// partners were asked for it: the ladder of the stage goes by it.
func (d *Desk) Answered(took time.Duration, now unit.MonoTime) {
	if d.book != nil {
		d.stage.Observe(&d.book.Settings.Stage, took, now)
	}
}

// Rung of the stage's ladder in force.
func (d *Desk) Rung() breaker.Rung { return d.stage.Rung() }
