package memory

import (
	"maps"
	"slices"
	"sync"

	"millrace/codec/unit"
	"millrace/state/store"
	"millrace/state/store/joint"
)

// remembered is how many operations the counter knows again.
const remembered = 1 << 14

// Counter is the shared counter.
type Counter struct {
	mu      sync.Mutex
	state   counts
	replica counts // as a replica has it that lags behind
}

// counts are what a counter knows.
type counts struct {
	accounts map[unit.AccountID]*count
	taken    map[store.OpID]joint.Taken
	given    map[store.OpID]struct{}
}

type count struct {
	total   unit.Nanos
	days    map[unit.Day]unit.Nanos
	holders map[unit.NodeID]struct{}
}

func emptyCounts() counts {
	return counts{accounts: map[unit.AccountID]*count{}, taken: map[store.OpID]joint.Taken{}, given: map[store.OpID]struct{}{}}
}

func (c counts) clone() counts {
	n := counts{accounts: make(map[unit.AccountID]*count, len(c.accounts)), taken: maps.Clone(c.taken), given: maps.Clone(c.given)}
	for id, a := range c.accounts {
		n.accounts[id] = &count{a.total, maps.Clone(a.days), maps.Clone(a.holders)}
	}
	return n
}

// NewCounter is an empty counter.
func NewCounter() *Counter { return &Counter{state: emptyCounts(), replica: emptyCounts()} }

// Empty forgets everything, as a restart without persistence does.
func (c *Counter) Empty() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = emptyCounts()
}

// Replicate brings the replica up to date; Failover makes it the counter: what
// was written since is lost.
func (c *Counter) Replicate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replica = c.state.clone()
}

// Failover see Replicate.
func (c *Counter) Failover() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = c.replica.clone()
}

func (c *Counter) take(batch []store.GrantRequest) ([]joint.Taken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]joint.Taken, len(batch))
	for i := range batch {
		out[i] = c.takeOne(&batch[i])
	}
	return out, nil
}

func (c *Counter) takeOne(r *store.GrantRequest) joint.Taken {
	s := &c.state
	if t, again := s.taken[r.ID]; again {
		return t
	}
	a := s.accounts[r.Account]
	if a == nil {
		return joint.Taken{Status: store.Unavailable}
	}
	day, known := a.days[r.Day]
	if !known {
		return joint.Taken{Status: store.Unavailable}
	}
	a.holders[r.ID.Node] = struct{}{}
	room := store.Headroom(r.Daily, r.Total, day, a.total)
	t := joint.Taken{Status: store.Exhausted}
	if amount := store.Chunk(r.Amount, r.AtLeast, room, store.Limit(r.Daily, r.Total), len(a.holders)); amount > 0 {
		a.days[r.Day] += amount
		a.total += amount
		t = joint.Taken{Status: store.OK, Amount: amount, Remaining: room - amount}
		if len(s.taken) >= remembered {
			clear(s.taken)
		}
		s.taken[r.ID] = t
	}
	return t
}

func (c *Counter) load(batch []joint.Balance) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range batch {
		b := &batch[i]
		a := c.state.accounts[b.Account]
		if a == nil {
			a = &count{days: map[unit.Day]unit.Nanos{}, holders: map[unit.NodeID]struct{}{}}
			c.state.accounts[b.Account] = a
		}
		a.total, a.days[b.Day] = b.CommittedTotal, b.CommittedDay
	}
	return nil
}

func (c *Counter) give(batch []store.ReturnRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	for i := range batch {
		r := &batch[i]
		a := s.accounts[r.Account]
		if _, again := s.given[r.ID]; again || a == nil {
			continue
		}
		if len(s.given) >= remembered {
			clear(s.given)
		}
		s.given[r.ID] = struct{}{}
		a.total = max(a.total-r.Amount, 0)
		if day, known := a.days[r.Day]; known {
			a.days[r.Day] = max(day-r.Amount, 0)
		}
	}
	return nil
}

// CounterClient is one node's way to the counter.
type CounterClient struct {
	counter *Counter
	via     Transport
}

// Client reaches the counter through a transport.
func (c *Counter) Client(via Transport) *CounterClient { return &CounterClient{c, via} }

// Take see joint.Counter.
func (c *CounterClient) Take(batch []store.GrantRequest, done func([]joint.Taken, error)) {
	batch = slices.Clone(batch)
	call(c.via, func() ([]joint.Taken, error) { return c.counter.take(batch) }, done)
}

// Load see joint.Counter.
func (c *CounterClient) Load(batch []joint.Balance, done func(error)) {
	batch = slices.Clone(batch)
	callBare(c.via, func() error { return c.counter.load(batch) }, done)
}

// Give see joint.Counter.
func (c *CounterClient) Give(batch []store.ReturnRequest, done func(error)) {
	batch = slices.Clone(batch)
	callBare(c.via, func() error { return c.counter.give(batch) }, done)
}
