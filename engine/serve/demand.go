package serve

import (
	"time"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/auction"
	"millrace/engine/demand"
	"millrace/engine/demand/partners"
	"millrace/netio/dsp"
	"millrace/shards"
	"millrace/state/campaign"
)

// Bidders carries calls to bidders: a dsp.Pool does, or a simulated world. It is
// used inside the shard's turn only.
type Bidders interface {
	// Send begins a call; body is not kept. What was accepted comes back by Next,
	// or is taken back by Cancel.
	Send(c *dsp.Call, body []byte, now unit.MonoTime) dsp.Refused
	Cancel(c *dsp.Call)
	// Next takes a completed call; its Response is the caller's until Release.
	Next() (c *dsp.Call, ok bool)
	Release(c *dsp.Call)
	// Ready does the I/O that a Socket message announces, Tick what time demands;
	// Tick tells when it wants to be called again.
	Ready(now unit.MonoTime)
	Tick(now unit.MonoTime) (next unit.MonoTime)
	// Flush ends a turn: what was sent leaves.
	Flush()
	SetEndpoints(list *dsp.Endpoints, now unit.MonoTime)
}

// Notifier takes bidders' own notices, to be called some time soon. It is called
// inside shards' turns: it copies the URL and does not block. false: it is full.
type Notifier interface {
	Notify(from unit.ShardID, n event.Notice, url []byte) bool
}

// DemandSwap is a demand file in force, for one shard.
type DemandSwap struct {
	Book *partners.Book
	// Endpoints are the partners', and EndpointOf says which is whose.
	Endpoints  *dsp.Endpoints
	EndpointOf [partners.Max]dsp.EndpointID
}

// Tiers of bidders' offers beside those of line items: deals go before direct
// lines of the default tier, open bids compete with these by rank.
const (
	dealTier = campaign.TierDirect - 1
	openTier = campaign.TierDirect
)

// fanout is what a shard needs to ask bidders. Owned by the shard; nil in a core
// without a demand file.
type fanout struct {
	_        shards.Pad
	desk     *demand.Desk
	bidders  Bidders
	swap     *DemandSwap
	buyers   [partners.Max]buyer
	patcher  openrtb.Patcher
	judge    openrtb.Judge
	judging  *parked // whose request the judge holds
	screen   partners.Screen
	ask      demand.Ask
	result   demand.Result
	body     []byte // a bidder's request
	calls    []*call
	spare    []*call
	slots    []*parked
	free     []*parked
	changed  []*parked // auctions that calls came back for, in this turn
	waiting  int       // auctions parked
	tickAt   unit.MonoTime
	tick     shards.TimerID
	stopping bool
	_        shards.Pad
}

// parked is an auction that waits for bidders. The exchange, its body and its
// view stay as they are meanwhile; here stands what else must last.
type parked struct {
	x         *Context
	slot      uint32
	arrived   unit.MonoTime
	lives     uint32 // auctions that had the slot: tells timers of an earlier one
	book      *partners.Book
	collector demand.Collector
	policy    openrtb.Policy // of this auction's moment: rates go out of date
	publisher int32
	floors    []unit.CPMMicros // by impression, in the auction's currency
	best      []unit.CPMMicros // by impression, the best offer in hand
	calls     []*call
	open      int // calls under way
	changed   bool
	timer     shards.TimerID
	groups    []group
}

// group is a seat's bids that win together or not at all.
type group struct {
	imps [partners.ImpsMax / 64]uint64 // that it bids on
	won  int
}

// call is one bidder's part of an auction. It is the pool's until it comes back.
type call struct {
	dsp.Call
	of      *parked
	partner *partners.Partner
	buyer   *buyer
	choice  int
	back    bool
	unsent  bool // the pool did not take it
	answer  openrtb.Answer
	outcome demand.Outcome
	// edit is what this bidder was sent: its bids are held against it.
	edit     openrtb.Edit
	imps     []openrtb.ImpEdit
	view     openrtb.BidResponse
	verdicts []openrtb.Verdict
	// Of each bid: why it lost, and the group it belongs to.
	lost   []openrtb.LossReason
	groups []int32
}

// offersOf are the unified auction's scratch. Part of decision.
type offersOf struct {
	on     bool // the request was sent to bidders
	of     *parked
	list   auction.Offers
	passed []openrtb.Passed
}

// SetDemand puts a demand file into force, inside the shard's turn. The first one
// brings what carries the calls. Auctions that wait end by the file they began
// with.
func (c *Core) SetDemand(s *DemandSwap, bidders Bidders) {
	now := c.shard.Now()
	if c.demand != nil {
		c.demand.load(s, now)
		c.demand.bidders.SetEndpoints(s.Endpoints, now)
		return
	}
	c.demand = &fanout{
		desk:    demand.New(c.cfg.Demand, c.shard.ID(), c.shard.Shards(), (*brokerEffects)(c)),
		bidders: bidders, tickAt: shards.NoDeadline,
	}
	c.demand.load(s, c.shard.Now())
	c.shard.After(demand.Every, timerDemand, 0)
}

func (f *fanout) load(s *DemandSwap, now unit.MonoTime) {
	f.swap = s
	f.desk.Load(s.Book, now)
	for _, p := range s.Book.Order {
		name := s.Book.Partner(p).Name
		f.buyers[p] = buyer{id: unit.CampaignID(unit.HashID("bidder", name)), name: []byte(name)}
	}
}

// buyer is a bidder as tokens and the journal name it.
type buyer struct {
	id   unit.CampaignID
	name []byte
}

// StopDemand ends the asking, inside the shard's turn: auctions that wait are
// decided with what there is, and no bidder is asked any more.
func (c *Core) StopDemand() {
	f := c.demand
	if f == nil {
		return
	}
	f.stopping = true
	for _, a := range f.slots {
		if a.x != nil {
			c.conclude(a)
		}
	}
	f.bidders.Flush()
}

// Waiting is how many auctions wait for bidders.
func (c *Core) Waiting() int {
	if c.demand == nil {
		return 0
	}
	return c.demand.waiting
}

// Desk is the shard's choice of bidders, nil without a demand file.
func (c *Core) Desk() *demand.Desk {
	if c.demand == nil {
		return nil
	}
	return c.demand.desk
}

// patience is how long a timer waits at most when nobody says how long.
const patience = time.Second
