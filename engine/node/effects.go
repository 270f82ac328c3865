package node

import (
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/serve"
	"millrace/netio/ingress"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store"
)

// effects carries out what one shard's core wants. Owned by the shard, but for
// wake, which the journal's writer calls.
type effects struct {
	node    *Node
	shard   unit.ShardID
	records *outbox.Appender
	flusher ingress.Flusher
}

func newEffects(n *Node, id unit.ShardID) *effects {
	fx := &effects{node: n, shard: id}
	fx.records = n.journal.NewAppender(fx.wake)
	return fx
}

// wake lets the shard look at the journal. If its mailbox is full it is awake,
// and looks at the end of its batch.
func (fx *effects) wake(uint64) {
	m := serve.Message{Type: serve.Wake}
	fx.node.group.Submit(fx.shard, &m)
}

func (fx *effects) Reply(c *serve.Context) { fx.node.gate.Reply(c, &fx.flusher) }

func (fx *effects) Journal(r *ledger.Record) (pos uint64, ok bool) {
	pos, err := fx.records.Append(r)
	return pos, err == nil
}

func (fx *effects) Durable() (pos uint64, alive bool) {
	return fx.records.Durable(), !fx.node.journal.Failed()
}

func (fx *effects) Grant(r *store.GrantRequest)   { fx.node.budgets.Grant(r) }
func (fx *effects) Return(r *store.ReturnRequest) { fx.node.budgets.Return(r) }

func (fx *effects) Flush() {
	fx.records.Commit()
	fx.flusher.Flush()
}

func budgetReply(r *store.Reply) budget.Message { return budget.ReplyMessage(r) }
