package serve

import (
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/demand"
	"millrace/netio/dsp"
)

// ask sends the request to the bidders that are chosen for it and parks the
// auction. false: nobody was asked, and it is to be decided at once.
func (c *Core) ask(x *Context) bool {
	f := c.demand
	if f == nil || f.stopping || len(x.Body) == 0 {
		return false
	}
	if f.waiting >= c.cfg.ParkedMax {
		c.count(c.m.asksFull)
		return false
	}
	now := c.shard.Now()
	arrived := x.Arrived
	if arrived == 0 || arrived > now {
		arrived = now
	}
	f.ask = demand.Ask{Request: &x.Request, Size: len(x.Body), Arrived: arrived, Now: now, Wall: c.shard.Wall()}
	plan := f.desk.Plan(&f.ask)
	if len(plan.Choices) == 0 {
		c.count(c.m.asksNobody)
		return false
	}
	if !f.patcher.Begin(&x.Request, x.Body, f.desk.Common()).OK() {
		c.count(c.m.asksUnsendable)
		return false
	}
	a := f.park(x, plan)
	c.begin(a)
	a.collector.Begin(f.desk, now)
	for i := range plan.Choices {
		c.send(a, plan, i)
	}
	if a.open == 0 {
		f.leave(a)
		return false
	}
	c.count(c.m.asks)
	c.arm(a)
	return true
}

// park takes a slot for the auction.
func (f *fanout) park(x *Context, plan *demand.Plan) *parked {
	if len(f.free) == 0 {
		a := &parked{slot: uint32(len(f.slots))}
		f.slots = append(f.slots, a)
		f.free = append(f.free, a)
	}
	a := f.free[len(f.free)-1]
	f.free = f.free[:len(f.free)-1]
	f.waiting++
	a.lives++
	a.x, a.book, a.publisher, a.arrived = x, plan.Book, plan.Publisher, plan.Arrived
	a.calls, a.open, a.changed, a.timer = a.calls[:0], 0, false, 0
	a.floors, a.best, a.groups = a.floors[:0], a.best[:0], a.groups[:0]
	for i := range x.Request.Imp {
		floor := unit.CPMMicros(0)
		if i < len(plan.Imps) {
			floor = plan.Imps[i].Floor
		}
		a.floors, a.best = append(a.floors, floor), append(a.best, 0)
	}
	return a
}

// begin makes the policy of the auction's moment.
func (c *Core) begin(a *parked) {
	a.policy = openrtb.Policy{Cur: a.book.Currency, Rates: a.book.Rates(c.shard.Wall()), Parents: c.cfg.Parents}
}

// leave gives the auction's slot and its calls back.
func (f *fanout) leave(a *parked) {
	for _, k := range a.calls {
		if len(k.Response) > 0 {
			f.bidders.Release(&k.Call)
		}
		k.of, k.partner = nil, nil
		f.spare = append(f.spare, k)
	}
	if f.judging == a {
		f.judging = nil
	}
	a.calls, a.x, a.book = a.calls[:0], nil, nil
	f.free = append(f.free, a)
	f.waiting--
}

// call takes a call that is under way for nobody.
func (f *fanout) call() *call {
	if n := len(f.spare); n > 0 {
		k := f.spare[n-1]
		f.spare = f.spare[:n-1]
		return k
	}
	k := &call{}
	k.Tag = uint64(len(f.calls))
	f.calls = append(f.calls, k)
	return k
}

// send asks one bidder.
func (c *Core) send(a *parked, plan *demand.Plan, i int) {
	f, choice := c.demand, &plan.Choices[i]
	k := f.call()
	k.of, k.choice, k.back, k.unsent, k.answer, k.outcome = a, i, false, false, openrtb.NoBid, demand.Cancelled
	k.partner, k.buyer = plan.Book.Partner(choice.Partner), &f.buyers[choice.Partner]
	k.sent(f.desk.Edit(&f.ask, i))
	k.verdicts, k.lost, k.groups = k.verdicts[:0], k.lost[:0], k.groups[:0]
	f.body = f.patcher.Append(f.body[:0], &k.edit)
	// What all are told alike stands in the shared body; bids are held against it too.
	if common := f.desk.Common(); k.edit.At == 0 {
		k.edit.At = common.At
	}
	k.Endpoint, k.Deadline = f.swap.EndpointOf[choice.Partner], choice.Deadline
	a.calls = append(a.calls, k)
	refused := dsp.RefusedBody
	if len(f.body) > 0 {
		refused = f.bidders.Send(&k.Call, f.body, c.shard.Now())
	}
	c.count(c.m.callsSent[refused])
	if refused == dsp.Accepted {
		a.open++
		return
	}
	k.back, k.unsent, k.Response = true, true, nil
	outcome := demand.Refused
	if refused == dsp.RefusedBody || refused == dsp.RefusedDeadline {
		outcome = demand.Cancelled // our doing: it says nothing of the bidder
	}
	c.ended(k, outcome)
}

// sent keeps what the bidder is asked: the desk's edit is its scratch, but for
// the texts, which are the book's.
func (k *call) sent(e *openrtb.Edit) {
	k.imps = append(k.imps[:0], e.Imps...)
	k.edit = *e
	k.edit.Imps = k.imps
}
