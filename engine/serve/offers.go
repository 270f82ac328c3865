package serve

import (
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/auction"
	"millrace/engine/budget"
	"millrace/engine/selection"
	"millrace/state/campaign"
)

// gather makes the offers of an auction out of the bids that stand.
func (c *Core) gather(x *Context, a *parked) {
	d := &c.decision
	d.offers.on, d.offers.of, d.offers.passed = a != nil, a, d.offers.passed[:0]
	if a == nil {
		return
	}
	d.offers.list.Reset(len(x.Request.Imp))
	for n, k := range a.calls {
		for i := range k.verdicts {
			if k.verdicts[i].Reason == openrtb.Accepted {
				c.offer(a, n, k, i)
			}
		}
	}
	d.offers.list.Settle()
}

// offer enters a bid, unless what it is worth is less than what the exchange or
// we ask for the impression.
func (c *Core) offer(a *parked, n int, k *call, i int) {
	d, b, v := &c.decision, &k.view.Bids[i], &k.verdicts[i]
	g := a.groupOf(k, i, v.Imp)
	worth := k.worth(v)
	imp := &a.x.Request.Imp[v.Imp]
	priority := uint8(openTier)
	if v.Deal >= 0 {
		priority = dealTier
		deal := &a.x.Request.Deals(imp.Deals)[v.Deal]
		if deal.BidFloor > 0 {
			floor, ok := a.policy.Rates.ConvertUp(deal.BidFloor, deal.BidFloorCur, a.book.Currency)
			if !ok || worth < floor {
				c.count(c.m.offersBelow)
				k.lost[i] = openrtb.BelowDealFloor
				return
			}
		}
	} else if worth < a.floors[v.Imp] {
		c.count(c.m.offersBelow)
		k.lost[i] = openrtb.BelowAuctionFloor
		return
	}
	k.lost[i] = openrtb.LostToHigherBid
	d.offers.list.Add(&auction.Offer{
		Standing: openrtb.Standing{
			Price: c.sel.Weigh(v.Media, worth), Tier: k.partner.Tier, Seat: k.view.Seats[b.SeatBid].Seat, ID: b.ID,
			Place: uint32(n)<<16 | uint32(i),
		},
		Price: worth, Imp: v.Imp, Group: g, Priority: priority,
	})
}

// groupOf is the number of a bid's group, from 1; 0 for one that stands alone.
func (a *parked) groupOf(k *call, i int, imp int32) int32 {
	seat := k.view.Bids[i].SeatBid
	if !k.view.Seats[seat].Group {
		return 0
	}
	g := int32(0)
	for j := range k.groups {
		if k.groups[j] > 0 && k.view.Bids[j].SeatBid == seat {
			g = k.groups[j]
			break
		}
	}
	if g == 0 {
		a.groups = append(a.groups, group{})
		g = int32(len(a.groups))
	}
	k.groups[i] = g
	a.groups[g-1].imps[imp/64] |= 1 << (imp % 64)
	return g
}

// headOf is the first of the offers that is not out, and what follows it.
func (c *Core) headOf(offers []auction.Offer) (*auction.Offer, []auction.Offer) {
	for len(offers) > 0 && c.decision.offers.list.Out(&offers[0]) {
		offers = offers[1:]
	}
	if len(offers) == 0 {
		return nil, nil
	}
	return &offers[0], offers[1:]
}

// rankOf is the rank of a line item's bid in the currency in which the offers
// compete; a bid whose currency has no rate goes behind them.
func (c *Core) rankOf(b *auction.Bid) unit.Nanos {
	a := c.decision.offers.of
	cur := c.sel.Catalog().Snapshot.Lines[b.Line].Currency
	rank, ok := a.policy.Rates.Convert(b.Rank.CPM(), cur, a.book.Currency)
	if !ok {
		return -1
	}
	return rank.PerImpression()
}

// take gives an offer the impression; false if it can't have it. second is the
// line item's bid that it precedes, nil if there is none, and behind the offers
// behind it.
func (c *Core) take(x *Context, i int, o *auction.Offer, second *auction.Bid, behind []auction.Offer) bool {
	d := &c.decision
	a := d.offers.of
	k, n := a.calls[o.Place>>16], int(o.Place&0xffff)
	if _, _, ok := c.answerPrice(a, o.Price); !ok {
		k.lost[n] = openrtb.InvalidBidResponse
		c.count(c.m.offersNoCurrency)
		return false
	}
	win, refused := c.broker.Reserve(nobody, 0, budget.Exact, c.shard.Now(), c.shard.Wall())
	if refused != budget.Reserved {
		k.lost[n] = openrtb.InternalError
		c.count(c.m.refused[refused])
		return false
	}
	pays, worth, minimum := c.clear(a, k, n, o, second, behind)
	price, cur, _ := c.answerPrice(a, worth)
	w := winner{
		imp: i, win: win, currency: cur, place: selection.Place{Price: price},
		call: k, theirs: n, worth: worth, pays: pays, minimum: minimum,
	}
	if g := k.groups[n]; g > 0 {
		a.groups[g-1].won++
	}
	c.passOn(x, &w)
	if len(d.winners) == 0 {
		c.sel.RestrictCurrency(cur)
	}
	k.lost[n] = openrtb.BidWon
	d.winners = append(d.winners, w)
	return true
}

// nobody pays for what a bidder has, of our campaigns.
var nobody = [2]int32{int32(campaign.NoAccount), int32(campaign.NoAccount)}

// clear is what the winner pays, in its own currency; what the impression is then
// worth to us, in the auction's; and the least that would have won, in its own.
func (c *Core) clear(a *parked, k *call, n int, o *auction.Offer, second *auction.Bid, behind []auction.Offer) (pays, worth, minimum unit.CPMMicros) {
	v, cur := &k.verdicts[n], k.view.Cur
	rates, ours := a.policy.Rates, a.book.Currency
	next := c.second(k, second, behind, v.At == openrtb.SecondPricePlus)
	least := k.partner.Asked(next)
	minimum, _ = rates.Convert(least, ours, cur)
	bid := k.view.Bids[n].Price
	switch v.At {
	case openrtb.FixedPrice:
		if pays, ok := rates.Convert(v.Price, ours, cur); ok {
			return min(pays, bid), o.Price, minimum
		}
		return bid, o.Price, minimum
	case openrtb.SecondPricePlus:
		if v.Deal < 0 {
			break // only deals ask; the partner was told of a first-price auction
		}
		cleared := auction.Clear(v.At, v.Price, least, c.dealFloor(a, v))
		if pays, ok := rates.Convert(cleared, ours, cur); ok {
			return min(pays, bid), k.partner.Adjusted(cleared), minimum
		}
	}
	return bid, o.Price, minimum
}

// dealFloor is the floor of a bid's deal as its price is compared with it.
func (c *Core) dealFloor(a *parked, v *openrtb.Verdict) unit.CPMMicros {
	deal := &a.x.Request.Deals(a.x.Request.Imp[v.Imp].Deals)[v.Deal]
	floor, _ := a.policy.Rates.ConvertUp(deal.BidFloor, deal.BidFloorCur, a.book.Currency)
	return floor
}

// second is what the impression would be worth without the bidder: the best offer
// of another one behind the winner, or the best bid of a line item. Where it is
// to be paid, line items that may not have the impression do not count.
func (c *Core) second(k *call, b *auction.Bid, behind []auction.Offer, exact bool) (second unit.CPMMicros) {
	d := &c.decision
	for i := range behind {
		o := &behind[i]
		if d.offers.of.calls[o.Place>>16].partner != k.partner && !d.offers.list.Out(o) {
			second = max(second, o.Price)
		}
	}
	for b != nil {
		if !exact || c.admits(b) {
			price, ok := d.offers.of.policy.Rates.Convert(b.Price.CPM(), c.sel.Catalog().Snapshot.Lines[b.Line].Currency, d.offers.of.book.Currency)
			if ok && price > second {
				second = price
			}
			break
		}
		var ok bool
		if b, ok = c.sel.Next(&d.lost); !ok {
			break
		}
	}
	return second
}

func (c *Core) admits(b *auction.Bid) bool {
	_, why := c.sel.Admit(b)
	return why == selection.Won
}

// answerPrice is a price of the auction in a currency that the answer may have.
func (c *Core) answerPrice(a *parked, price unit.CPMMicros) (unit.CPMMicros, unit.Currency, bool) {
	allowed := c.sel.Currencies()
	for _, cur := range allowed {
		if cur == a.book.Currency {
			return price, cur, true
		}
	}
	for _, cur := range allowed {
		if p, ok := a.policy.Rates.Convert(price, a.book.Currency, cur); ok {
			return p, cur, true
		}
	}
	return 0, unit.Currency{}, false
}

// regroup undoes a decision in which a group won some of its impressions and not
// all, and takes the group out: the first such one. What it gave way to, and what
// it kept out, may then change, so everything is decided again. false: no group
// is broken.
func (c *Core) regroup(a *parked) bool {
	broken := int32(0)
	for i := range a.groups {
		g := &a.groups[i]
		if g.won > 0 && g.won < g.size() && broken == 0 {
			broken = int32(i + 1)
		}
		g.won = 0
	}
	if broken == 0 {
		return false
	}
	d := &c.decision
	d.offers.list.Drop(broken)
	for i := range d.winners {
		c.undo(&d.winners[i])
	}
	for _, k := range a.calls {
		for i, g := range k.groups {
			if k.lost[i] == openrtb.BidWon || g == broken && k.verdicts[i].Reason == openrtb.Accepted {
				k.lost[i] = openrtb.LostToHigherBid
			}
		}
	}
	return true
}

// size is how many impressions the group bids on.
func (g *group) size() (n int) {
	for _, w := range g.imps {
		for ; w != 0; w &= w - 1 {
			n++
		}
	}
	return n
}

// undo takes a line item's win back. Its pacing keeps what it took off until the
// next exchange of counts: a little too careful for a moment.
func (c *Core) undo(w *winner) {
	if w.call != nil {
		return
	}
	snap := c.sel.Catalog().Snapshot
	l := &snap.Lines[w.bid.Line]
	c.broker.Cancel(&w.win, w.accounts, w.bid.Price, poolOf(l))
	c.tally.wins[w.bid.Line]--
}
