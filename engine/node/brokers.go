package node

import (
	"context"
	"sync"
	"time"

	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/serve"
	"millrace/shards"
)

// brokerCounts are the brokers' counts together, as old as brokersKept at most:
// a scrape of several metrics asks the shards once.
type brokerCounts struct {
	mu    sync.Mutex
	at    unit.MonoTime
	asked bool
	sum   budget.Counts
}

const (
	brokersKept    = time.Second
	brokersTimeout = 200 * time.Millisecond
)

func (b *brokerCounts) read(n *Node) budget.Counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := n.clock.Mono(); b.asked && now.Sub(b.at) < brokersKept {
		return b.sum
	}
	ctx, cancel := context.WithTimeout(context.Background(), brokersTimeout)
	defer cancel()
	var sum budget.Counts
	for i, core := range n.cores {
		err := n.group.Invoke(ctx, unit.ShardID(i), func(*shards.Shard[serve.Message]) {
			c := core.Broker().Counts()
			sum.Refused += c.Refused
			sum.Defects += c.Defects
			sum.DeadEvents += c.DeadEvents
			sum.Hungry += c.Hungry
			sum.Behind = max(sum.Behind, c.Behind)
			sum.Fenced = sum.Fenced || c.Fenced
		})
		if err != nil {
			return b.sum // a shard is busy, or ends: what was known
		}
	}
	b.at, b.asked, b.sum = n.clock.Mono(), true, sum
	return sum
}

// measureBrokers shows what the brokers count.
func (n *Node) measureBrokers() {
	b := &brokerCounts{}
	n.registry.GaugeFunc(shards.Desc{
		Name: "millrace_clock_behind", Unit: shards.Seconds,
		Help: "The most that a stamp was ahead of the wall clock since the start: other nodes' clocks, or this one set back.",
	}, func() float64 { return b.read(n).Behind.Seconds() })
	n.registry.CounterFunc(shards.Desc{Name: "millrace_budget_defects", Help: "Contradictions in the brokers' books that should not happen."},
		func() float64 { return float64(b.read(n).Defects) })
	n.registry.CounterFunc(shards.Desc{Name: "millrace_budget_messages_refused", Help: "Messages between brokers that were sent again for a full mailbox."},
		func() float64 { return float64(b.read(n).Refused) })
	n.registry.GaugeFunc(shards.Desc{Name: "millrace_budget_hungry", Help: "Accounts with shards that wait for money."},
		func() float64 { return float64(b.read(n).Hungry) })
}
