package demand

import (
	"math/bits"

	"millrace/codec/unit"
	"millrace/engine/demand/partners"
)

// Op is what a Message says.
type Op uint8

// Operations.
const (
	opNews  Op = iota + 1 // shard → all: N more at cell At of what was learned
	opWant                // shard → home: so many units were wanted of a budget in a period
	opShare               // home → shard: a period's part of a budget
	opHold                // shard → all: leave the partner alone until
)

// Message is what desks tell each other. A plain value without pointers.
type Message struct {
	N       [8]uint32
	Partner partners.ID
	At      uint16 // opNews: first cell; opWant, opShare: which budget
	From    unit.ShardID
	Op      Op
}

// Budgets of a message.
const (
	callsBudget = iota
	bytesBudget
	egressBudget // of the node: Partner does not count
)

func (m *Message) put(i int, v int64) { m.N[i], m.N[i+1] = uint32(v), uint32(v>>32) }
func (m *Message) get(i int) int64    { return int64(m.N[i]) | int64(m.N[i+1])<<32 }

// toOthers sends msg to every other shard; what a full mailbox refuses is
// counted and lost.
func (d *Desk) toOthers() {
	d.msg.From = d.id
	for to := range d.shards {
		if to := unit.ShardID(to); to != d.id {
			d.send(to)
		}
	}
}

func (d *Desk) send(to unit.ShardID) {
	if !d.out.SendDemand(to, &d.msg) {
		d.counts.Unsent++
	}
}

// exchange learns this shard's news and tells them to the others, eight numbers
// a message; those that are all zero are not sent.
func (d *Desk) exchange() {
	for _, p := range d.book.Order {
		x := &d.who[p]
		if !x.news.some {
			continue
		}
		x.news.some = false
		for at := 0; at < cells; at += 8 {
			d.msg = Message{Op: opNews, Partner: p, At: uint16(at)}
			part := x.news.n[at:min(at+8, cells)]
			if copy(d.msg.N[:], part); d.msg.N == [8]uint32{} {
				continue
			}
			clear(part)
			d.add(&d.msg)
			d.toOthers()
		}
	}
}

// add adds numbers to what was learned of a partner.
func (d *Desk) add(m *Message) {
	l := &d.who[m.Partner].learned
	for i, n := range m.N {
		if at := int(m.At) + i; n > 0 && at < cells {
			*l.cell(at) += float32(n)
		}
	}
}

// Handle takes a message of another desk.
func (d *Desk) Handle(m *Message, now unit.MonoTime) {
	if d.book == nil || m.Op != opNews && m.At > egressBudget {
		return
	}
	if m.Op == opNews || m.Op == opHold || m.At != egressBudget {
		if d.book.Partner(m.Partner) == nil {
			return // of a book that is gone, or not here yet
		}
	}
	switch m.Op {
	case opNews:
		d.add(m)
		if m.At == 0 {
			c := &d.who[m.Partner].circuit
			c.Told(&d.book.Settings.Breaker, m.N[nWell], m.N[nIll], now)
			d.note(m.Partner, c)
		}
	case opHold:
		c := &d.who[m.Partner].circuit
		c.Hold(unit.MonoTime(m.get(0)).Sub(now), now)
		d.note(m.Partner, c)
	case opWant:
		if b := d.budget(m); int(m.From) < len(b.wants) {
			b.wants[m.From] = m.get(0)
		}
	case opShare:
		b := d.budget(m)
		b.next, b.nextAt = m.get(0), m.get(2)
	}
}

func (d *Desk) budget(m *Message) *budget {
	switch m.At {
	case callsBudget:
		return &d.who[m.Partner].calls
	case bytesBudget:
		return &d.who[m.Partner].bytes
	}
	return &d.egress
}

// tellHold tells the others to leave a partner alone.
func (d *Desk) tellHold(p partners.ID, until unit.MonoTime) {
	d.msg = Message{Op: opHold, Partner: p}
	d.msg.put(0, int64(until))
	d.toOthers()
}

// home of a partner's budgets.
func (d *Desk) home(p partners.ID) unit.ShardID { return unit.ShardID(int(p) % d.shards) }

// turn begins a period of the budgets: what was given for it comes into force,
// and what was wanted in the last is told to the home, which half a period later
// divides the next.
func (d *Desk) turn(now unit.MonoTime) {
	if d.shards == 1 {
		return
	}
	d.fill(now)
	at := int64(now / unit.MonoTime(period))
	began := at != d.period
	d.period = at
	divides := now%unit.MonoTime(period)/unit.MonoTime(Every) == periodTicks/2
	if !began && !divides {
		return
	}
	for _, p := range d.book.Order {
		x := &d.who[p]
		for which, b := range [...]*budget{callsBudget: &x.calls, bytesBudget: &x.bytes} {
			d.turnOf(b, p, uint16(which), d.home(p), began, divides)
		}
	}
	d.turnOf(&d.egress, 0, egressBudget, 0, began, divides)
}

func (d *Desk) turnOf(b *budget, p partners.ID, which uint16, home unit.ShardID, began, divides bool) {
	if b.cap == 0 {
		return
	}
	if began {
		rate := b.fixed(d.shards)
		if b.nextAt == d.period {
			rate += b.next
		}
		b.begin(rate)
		if home == d.id {
			b.wants[d.id] = b.wanted
		} else {
			d.msg = Message{Op: opWant, Partner: p, At: which, From: d.id}
			d.msg.put(0, b.wanted)
			d.send(home)
		}
		b.wanted = 0
	}
	if divides && home == d.id {
		d.divide(b, p, which)
	}
}

// divide gives the shards their parts of the next period by what they wanted
// in the last, and one more each so that nobody is forgotten. Rounded down, the
// parts are never more than there is.
func (d *Desk) divide(b *budget, p partners.ID, which uint16) {
	rest := b.cap - b.fixed(d.shards)*int64(d.shards)
	all := int64(0)
	for _, w := range b.wants {
		all += w + 1
	}
	for to, w := range b.wants {
		hi, lo := bits.Mul64(uint64(rest), uint64(w+1))
		part, _ := bits.Div64(hi, lo, uint64(all))
		if unit.ShardID(to) == d.id {
			b.next, b.nextAt = int64(part), d.period+1
			continue
		}
		d.msg = Message{Op: opShare, Partner: p, At: which, From: d.id}
		d.msg.put(0, int64(part))
		d.msg.put(2, d.period+1)
		d.send(unit.ShardID(to))
	}
}
