package serve

import (
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/selection"
	"millrace/state/profile"
)

// event decides about a verified token and answers once that is durable.
func (c *Core) event(x *Context) {
	t := &x.Token
	x.sold = false
	if t.Test {
		// Rule 19: never billed, budgeted or reported. The user's browser gets
		// what it would get.
		x.RespondEvent()
		c.fx.Reply(x)
		return
	}
	if c.pending.size+c.waits.size >= len(c.pending.ring) {
		c.refuse(x, "too many events wait for the journal; try again\n")
		return
	}
	outcome, pos := c.broker.PostOrWait(t, c.shard.Now(), c.shard.Wall())
	if outcome == budget.Deferred {
		if c.await(x) {
			c.count(c.m.eventsDeferred)
			return
		}
		outcome, pos = c.broker.Post(t, c.shard.Now(), c.shard.Wall())
	}
	c.decided(x, outcome, pos)
}

// decided answers an event, or lets it wait for the journal.
func (c *Core) decided(x *Context, outcome budget.Outcome, pos uint64) {
	t := &x.Token
	c.count(c.m.events[t.Kind.Index()][outcome])
	switch outcome {
	case budget.NotDurable:
		c.refuse(x, "the journal takes no events; try again\n")
		return
	case budget.Misrouted:
		c.refuse(x, "the event met the wrong shard; try again\n")
		return
	case budget.Posted, budget.PostedLate, budget.Recorded, budget.Unfunded:
		c.observe(t, outcome)
	case budget.Resold:
		x.sold = len(t.Landing) > 0
	}
	x.RespondEvent()
	if pos == 0 {
		c.billed(x)
		c.fx.Reply(x)
		return
	}
	c.pending.push(pos, x)
}

func (c *Core) refuse(x *Context, why string) {
	x.Answer.Set(503, why)
	c.fx.Reply(x)
}

// observe lets a new event count: in reports, in predictions, and in the
// user's caps.
func (c *Core) observe(t *event.Token, o budget.Outcome) {
	billed := unit.Nanos(0)
	if o == budget.Posted || o == budget.PostedLate {
		billed = t.Price
	}
	c.tally.happened(t.Line, t.Kind, billed)
	c.rates.Observe(t.Creative, t.Kind)
	if c.sel != nil {
		c.sel.ObserveGroup(t.Group, t.Creative, t.Kind)
	}
	c.judge(t, billed)
	if t.Kind == event.Conversion {
		return
	}
	owner := unit.Owner(uint64(t.User), c.shard.Shards())
	if owner == c.shard.ID() {
		c.remember(t.User, t.Kind, t.Line, t.Creative)
		return
	}
	// A win of an earlier life: its home shard posted it, the user's shard
	// remembers it.
	c.out = Message{Type: Seen, User: t.User, Event: t.Kind, Line: t.Line, ID: t.Creative}
	if !c.shard.Send(owner, &c.out) {
		c.count(c.m.capsLost)
	}
}

// remember adds an event to what is known of its user, and counts an impression
// against the line's cap, where it has one.
func (c *Core) remember(u unit.UserID, kind event.Kind, id unit.LineID, creative unit.CreativeID) {
	if c.sel == nil {
		return
	}
	snap := c.sel.Catalog().Snapshot
	var about profile.Subject
	if cr, ok := snap.Creative(creative); ok {
		about = selection.Subject(snap, cr)
	}
	if kind == event.Click {
		c.users.Add(u, profile.Click, about, c.shard.Now())
		return
	}
	c.users.Add(u, profile.Impression, about, c.shard.Now())
	line, ok := snap.Line(id)
	if !ok || snap.Lines[line].FrequencyCap.Impressions == 0 {
		return
	}
	if _, ok := c.caps.Add(u, id, c.shard.Now(), snap.Lines[line].FrequencyCap.Window); !ok {
		c.count(c.m.capsLost)
	}
}

// acknowledge answers the events whose records are on disk. When the journal
// has failed the rest will never be: they are told to come back, and spending
// stops; house ads go on.
func (c *Core) acknowledge() {
	durable, alive := c.fx.Durable()
	for {
		x, ok := c.pending.pop(durable)
		if !ok {
			break
		}
		c.billed(x)
		c.fx.Reply(x)
	}
	if alive {
		return
	}
	c.broker.Halt()
	for {
		x, ok := c.pending.pop(^uint64(0))
		if !ok {
			return
		}
		c.refuse(x, "the journal failed; the event may or may not be counted\n")
	}
}
