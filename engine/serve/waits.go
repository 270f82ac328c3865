package serve

import (
	"time"

	"millrace/codec/unit"
	"millrace/engine/budget"
)

// waitsMax is how many events of a shard wait for money at one time. Each is
// posted again whenever money comes, so the list stays short; an event beyond
// it is decided at once.
const waitsMax = 256

// waits are events whose price this shard has not got yet, the oldest first:
// a click costs a hundred times what was reserved for it, and the rest may be
// in the home shard's pool or in the store. The list is bounded in number and
// in time; an event is answered when it has been decided.
type waits struct {
	ring        []wait
	first, size int
	funds       uint64 // of the broker when they were last posted
	armed       bool   // a timer will fire
}

type wait struct {
	x     *Context
	until unit.MonoTime
}

func newWaits() waits { return waits{ring: make([]wait, waitsMax)} }

func (q *waits) push(w wait) bool {
	if q.size == len(q.ring) {
		return false
	}
	q.ring[(q.first+q.size)%len(q.ring)] = w
	q.size++
	return true
}

func (q *waits) pop() wait {
	w := q.ring[q.first]
	q.ring[q.first] = wait{}
	q.first = (q.first + 1) % len(q.ring)
	q.size--
	return w
}

// await puts an event off until its money is here; false if it can't wait.
func (c *Core) await(x *Context) bool {
	return c.waits.push(wait{x, c.shard.Now().Add(c.cfg.FundsWait)})
}

// armWaits makes sure that the oldest event does not wait too long.
func (c *Core) armWaits() {
	if q := &c.waits; q.size > 0 && !q.armed {
		q.armed = true
		c.shard.After(max(q.ring[q.first].until.Sub(c.shard.Now()), time.Millisecond), timerFunds, 0)
	}
}

// postAgain tries the events that wait, in their order: all when money has
// come, and for the last time those that have waited long enough.
func (c *Core) postAgain() {
	q, now := &c.waits, c.shard.Now()
	came := q.funds != c.broker.Funds()
	q.funds = c.broker.Funds()
	for range q.size {
		if !came && now < q.ring[q.first].until {
			break
		}
		w := q.pop()
		outcome, pos := budget.Deferred, uint64(0)
		if t := &w.x.Token; now >= w.until {
			outcome, pos = c.broker.Post(t, now, c.shard.Wall())
		} else if outcome, pos = c.broker.PostOrWait(t, now, c.shard.Wall()); outcome == budget.Deferred {
			q.push(w) // when all are tried the order is as before
			continue
		}
		c.decided(w.x, outcome, pos)
	}
	c.armWaits()
}
