package serve

import (
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/selection"
	"millrace/state/campaign"
)

// event decides about a verified token and answers once that is durable.
func (c *Core) event(x *Context) {
	t := &x.Token
	if t.Test {
		// Rule 19: never billed, budgeted or reported. The user's browser gets
		// what it would get.
		c.respondEvent(x)
		c.fx.Reply(x)
		return
	}
	if !c.pending.room() {
		c.refuse(x, "too many events wait for the journal; try again\n")
		return
	}
	outcome, pos := c.broker.Post(t, c.shard.Now(), c.shard.Wall())
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
	}
	c.respondEvent(x)
	if pos == 0 {
		c.fx.Reply(x)
		return
	}
	c.pending.push(pos, x)
}

func (c *Core) refuse(x *Context, why string) {
	x.Answer.Set(503, why)
	c.fx.Reply(x)
}

func (c *Core) respondEvent(x *Context) {
	x.Answer.Set(204, "")
	if x.Token.Kind == event.Click {
		x.Answer.Status, x.Answer.Location = 302, x.Token.Landing
	}
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
	if t.Kind != event.Impression {
		return
	}
	owner := unit.Owner(uint64(t.User), c.shard.Shards())
	if owner == c.shard.ID() {
		c.remember(t.User, t.Line)
		return
	}
	// A win of an earlier life: its home shard posted it, the user's shard
	// remembers it.
	c.out = Message{Type: Capped, User: t.User, Line: t.Line}
	if !c.shard.Send(owner, &c.out) {
		c.count(c.m.capsLost)
	}
}

// remember counts an impression against the line's cap, where it has one.
func (c *Core) remember(u unit.UserID, id unit.LineID) {
	if c.sel == nil {
		return
	}
	snap := c.sel.Catalog().Snapshot
	line, ok := snap.Line(id)
	if !ok || snap.Lines[line].FrequencyCap.Impressions == 0 {
		return
	}
	if _, ok := c.caps.Add(u, id, c.shard.Now(), snap.Lines[line].FrequencyCap.Window); !ok {
		c.count(c.m.capsLost)
	}
}

// acknowledge answers the events whose records are on disk. When the journal
// has failed the rest will never be: they are told to come back.
func (c *Core) acknowledge() {
	if c.pending.empty() {
		return
	}
	durable, alive := c.fx.Durable()
	for {
		x, ok := c.pending.pop(durable)
		if !ok {
			break
		}
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

// acks is a bounded queue of answers that wait for a journal position. The
// positions rise, but for those of duplicates, which wait for the front.
type acks struct {
	ring        []ack
	first, size int
}

type ack struct {
	pos uint64
	x   *Context
}

func newAcks(max int) acks { return acks{ring: make([]ack, max)} }

func (q *acks) room() bool  { return q.size < len(q.ring) }
func (q *acks) empty() bool { return q.size == 0 }

func (q *acks) push(pos uint64, x *Context) {
	q.ring[(q.first+q.size)%len(q.ring)] = ack{pos, x}
	q.size++
}

func (q *acks) pop(durable uint64) (*Context, bool) {
	if q.size == 0 || q.ring[q.first].pos > durable {
		return nil, false
	}
	x := q.ring[q.first].x
	q.ring[q.first].x = nil
	q.first = (q.first + 1) % len(q.ring)
	q.size--
	return x, true
}

// LineTotals are what a line item did since this process started.
type LineTotals struct {
	Line   unit.LineID
	Wins   uint64
	Events selection.Counts
	Billed unit.Nanos
}

// tally counts by line item for reports. Wins are counted by index, the rest
// by id, since events outlive catalogs.
type tally struct {
	wins   []uint64 // by the current snapshot's line index
	slots  map[unit.LineID]uint32
	totals []LineTotals
}

func newTally() tally { return tally{slots: make(map[unit.LineID]uint32)} }

func (t *tally) won(line uint32) { t.wins[line]++ }

func (t *tally) happened(id unit.LineID, k event.Kind, billed unit.Nanos) {
	l := t.of(id)
	l.Events[k.Index()]++
	l.Billed += billed
}

func (t *tally) of(id unit.LineID) *LineTotals {
	s, ok := t.slots[id]
	if !ok {
		s = uint32(len(t.totals))
		t.slots[id] = s
		t.totals = append(t.totals, LineTotals{Line: id})
	}
	return &t.totals[s]
}

// fold moves the wins counted by index to their ids, before the snapshot goes.
func (t *tally) fold(s *campaign.Snapshot) {
	for i, n := range t.wins {
		if n > 0 {
			t.of(s.Lines[i].ID).Wins += n
			t.wins[i] = 0
		}
	}
}

func (t *tally) resize(lines int) {
	if cap(t.wins) < lines {
		t.wins = make([]uint64, lines)
	}
	t.wins = t.wins[:lines]
	clear(t.wins)
}

// AppendTotals appends the totals of every line that did anything.
func (c *Core) AppendTotals(dst []LineTotals) []LineTotals {
	if c.sel != nil {
		c.tally.fold(c.sel.Catalog().Snapshot)
	}
	return append(dst, c.tally.totals...)
}
