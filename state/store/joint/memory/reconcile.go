package memory

import (
	"millrace/codec/unit"
	"millrace/state/store/joint"
)

var (
	_ joint.Summing = (*LedgerClient)(nil)
	_ joint.Reading = (*CounterClient)(nil)
)

type sums struct {
	list    []joint.Sum
	drained uint64
}

// Sums see joint.Summing.
func (c *LedgerClient) Sums(node unit.NodeID, done func([]joint.Sum, uint64, error)) {
	call(c.via, func() (sums, error) { return c.ledger.sums(node), nil }, func(s sums, err error) { done(s.list, s.drained, err) })
}

func (l *Ledger) sums(node unit.NodeID) (out sums) {
	l.mu.Lock()
	defer l.mu.Unlock()
	index := map[joint.AccountDay]int{}
	for k, x := range l.leases {
		if k.node != node {
			continue
		}
		key := joint.AccountDay{Account: k.account, Day: k.day}
		i, known := index[key]
		if !known {
			i = len(out.list)
			index[key] = i
			out.list = append(out.list, joint.Sum{AccountDay: key})
		}
		s := &out.list[i]
		s.Granted += x.granted
		s.Returned += x.returned
		s.Posted += x.posted
		s.Refunded += x.refunded
	}
	if lives := l.lives[node]; len(lives) > 0 {
		out.drained = lives[len(lives)-1].drained
	}
	return out
}

// Read see joint.Reading.
func (c *CounterClient) Read(keys []joint.AccountDay, done func([]joint.Balance, error)) {
	call(c.via, func() ([]joint.Balance, error) { return c.counter.read(keys), nil }, done)
}

func (c *Counter) read(keys []joint.AccountDay) (known []joint.Balance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		if a := c.state.accounts[k.Account]; a != nil {
			if day, ok := a.days[k.Day]; ok {
				known = append(known, joint.Balance{AccountDay: k, CommittedDay: day, CommittedTotal: a.total})
			}
		}
	}
	return known
}
