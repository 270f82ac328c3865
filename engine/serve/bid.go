package serve

import (
	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/auction"
	"millrace/engine/budget"
	"millrace/engine/selection"
	"millrace/models/coldstart"
	"millrace/shards"
	"millrace/state/campaign"
)

// decision is the scratch of one bid request.
type decision struct {
	base    []byte // Config.PublicURL
	by      selection.Choice
	choice  coldstart.Choice
	lost    [selection.ReasonCount]uint32
	winners []winner
	texts   []byte // what winners point into, by offset
	plain   []byte // a bidder's text, decoded, and with its macros filled in
	filled  []byte
	render  renderer
	answer  openrtb.Response
	trace   trace
	offers  offersOf
}

// winner is the bid that has an impression. Spans are into decision.texts.
type winner struct {
	imp      int
	bid      auction.Bid
	place    selection.Place
	policy   event.Policy
	group    event.Group
	win      budget.Win
	w, h     int32
	id, adm  span
	currency unit.Currency
	protocol openrtb.Protocol
	accounts [2]int32 // that pay

	// Of an offer: the bidder's call and which of its bids, what it is worth in
	// the auction's currency, what the bidder pays and what would have been
	// enough, both in the bid's currency, and our notices.
	call                 *call
	theirs               int
	worth, pays, minimum unit.CPMMicros
	nurl, burl, lurl     span
}

type span struct{ from, to int }

// newDecision takes memory for what nearly every decision needs, on cache lines
// of its own. Grown by append instead, buffers of two shards would lie side by
// side in the allocator's small size classes, and each write of one would cost
// the other a miss.
func newDecision(base string) decision {
	const bytes, few = 2048, 16
	d := decision{
		base:    shards.AlignedSlice[byte](len(base)),
		winners: shards.AlignedSlice[winner](few)[:0],
		texts:   shards.AlignedSlice[byte](4 * bytes)[:0],
		render: renderer{
			impression: shards.AlignedSlice[byte](bytes)[:0],
			click:      shards.AlignedSlice[byte](bytes)[:0],
			landing:    shards.AlignedSlice[byte](bytes)[:0],
			conversion: shards.AlignedSlice[byte](bytes)[:0],
		},
	}
	d.render.native.Lend(shards.AlignedSlice[openrtb.NativeAsset](few), shards.AlignedSlice[openrtb.Str](4*few))
	d.answer.Bids = shards.AlignedSlice[openrtb.Bid](few)[:0]
	copy(d.base, base)
	return d
}

func (d *decision) reset() {
	d.lost = [selection.ReasonCount]uint32{}
	d.winners = d.winners[:0]
	d.texts = d.texts[:0]
	d.trace.reset()
}

// bid decides a request and answers it.
func (c *Core) bid(x *Context) {
	if c.sel == nil {
		// Readiness is withheld until the catalog is loaded; who asks all the
		// same hears when to come back.
		x.Answer.Set(503, "catalog not loaded yet; try again\n")
		c.fx.Reply(x)
		return
	}
	if c.demand != nil && c.ask(x) {
		return
	}
	c.settle(x, nil)
	c.fx.Reply(x)
}

// settle decides a request and writes the answer: with the offers of bidders, or
// without (nil).
func (c *Core) settle(x *Context, a *parked) {
	d := &c.decision
	now, wall := c.shard.Now(), c.shard.Wall()
	d.by = c.choose(x)
	c.board.Request()
	c.gather(x, a)
	for {
		d.reset()
		c.sel.Begin(&x.Request, x.User, d.by, now, wall)
		for i := range x.Request.Imp {
			c.decide(x, i)
		}
		if a == nil || !c.regroup(a) {
			break
		}
	}
	c.chose(x, d.by)
	c.countDecision(x)
	c.answer(x)
	if a != nil {
		c.tellBidders(x, a)
	}
}

// decide runs one impression's auction: candidates and offers in the total order,
// the first that is admitted, funded and rendered wins.
func (c *Core) decide(x *Context, i int) {
	d := &c.decision
	imp := &x.Request.Imp[i]
	if imp.Media == 0 {
		return
	}
	c.sel.BeginImp(imp)
	looked := 0
	d.choice = c.sel.Explore(&c.explorer, &d.lost)
	var offers []auction.Offer
	if d.offers.on {
		offers = d.offers.list.On(i)
	}
	for {
		b, ok := c.sel.Next(&d.lost)
		if len(offers) > 0 {
			if !ok {
				b = nil
			}
			if offers, ok = c.before(x, i, b, offers); ok {
				d.lost[selection.LostToHigherBid] += uint32(max(c.sel.Candidates()-looked, 0))
				break
			}
			ok = b != nil
		}
		if !ok {
			break
		}
		looked++
		reason := c.try(x, i, b)
		if x.Debug {
			d.trace.tried(i, b, reason)
		}
		if reason == selection.Won {
			d.lost[selection.LostToHigherBid] += uint32(max(c.sel.Candidates()-looked, 0))
			break
		}
		d.lost[reason]++
		// Who wins instead was not drawn: how likely it was is not known.
		d.choice = coldstart.Choice{}
	}
	c.shard.Counters().Add(c.m.candidates, uint64(c.sel.Candidates()))
	if tier, _, ok := c.sel.Tier(); ok {
		c.count(c.m.tiers[tier])
	}
}

// before lets the offers that precede a line item's bid (nil: there is none) have
// the impression, in their order, and reports whether one has it. The rest is
// returned.
func (c *Core) before(x *Context, i int, b *auction.Bid, offers []auction.Offer) (rest []auction.Offer, won bool) {
	for {
		o, behind := c.headOf(offers)
		if o == nil || b != nil && !o.Beats(b, c.rankOf(b)) {
			return offers, false
		}
		if c.take(x, i, o, b, behind) {
			return behind, true
		}
		offers = behind
	}
}

// try takes a bid through admission, money and markup. Only with Won has
// anything changed.
func (c *Core) try(x *Context, i int, b *auction.Bid) selection.Reason {
	place, reason := c.sel.Admit(b)
	if reason != selection.Won {
		return reason
	}
	snap := c.sel.Catalog().Snapshot
	l := &snap.Lines[b.Line]
	accounts, pool := l.Accounts(), poolOf(l)
	if x.Request.Test {
		accounts = [2]int32{int32(campaign.NoAccount), int32(campaign.NoAccount)}
	}
	win, refused := c.broker.Reserve(accounts, b.Price, pool, c.shard.Now(), c.shard.Wall())
	if refused != budget.Reserved {
		c.count(c.m.refused[refused])
		return selection.NoFunds
	}
	w := winner{imp: i, bid: *b, place: place, win: win, currency: l.Currency, policy: c.policy(c.decision.by, b.Creative), group: c.sel.Group(), accounts: accounts}
	if !c.renderBid(x, &w) {
		c.broker.Cancel(&win, accounts, b.Price, pool)
		return selection.NoMarkup
	}
	if len(c.decision.winners) == 0 {
		c.sel.RestrictCurrency(l.Currency)
	}
	c.sel.Give(campaign.LineIndex(b.Line))
	for _, a := range accounts {
		c.board.Won(a, b.Price)
	}
	c.tally.won(b.Line)
	c.decision.winners = append(c.decision.winners, w)
	return selection.Won
}

// poolOf is exact for impressions, whose price is known when they are won, and
// expected for what may or may not follow them.
func poolOf(l *campaign.LineItem) budget.Pool {
	if l.Pricing == campaign.CPM {
		return budget.Exact
	}
	return budget.Expected
}

func (c *Core) countDecision(x *Context) {
	k := c.shard.Counters()
	for r, n := range c.decision.lost {
		if n > 0 {
			k.Add(c.m.lost[r], uint64(n))
		}
	}
	k.Add(c.m.impressionsOffered, uint64(len(x.Request.Imp)))
	k.Add(c.m.impressionsWon, uint64(len(c.decision.winners)))
	if len(c.decision.winners) > 0 {
		k.Inc(c.m.requestsBid)
	} else {
		k.Inc(c.m.requestsNoBid)
	}
}
