package storm

import (
	"time"

	"millrace/codec/unit"
	"millrace/engine/serve"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store"
)

// effects are one shard's hands in the world.
type effects struct {
	node  *node
	life  uint64
	a     *outbox.Appender
	woken bool // the journal has news
}

func newEffects(n *node, _ unit.ShardID) *effects {
	fx := &effects{node: n, life: n.lives}
	fx.a = n.journal.NewAppender(func(uint64) { fx.woken = true })
	return fx
}

// Reply hands an answer to the client that waits for it.
func (fx *effects) Reply(c *serve.Context) {
	if fx.life == fx.node.lives {
		c.Carrier.(carrier).answered(fx.node, c)
	}
}

// Journal appends.
func (fx *effects) Journal(r *ledger.Record) (uint64, bool) {
	pos, err := fx.a.Append(r)
	return pos, err == nil
}

// Durable is how far the journal is on disk.
func (fx *effects) Durable() (uint64, bool) { return fx.a.Durable(), !fx.node.journal.Failed() }

// Grant sends a request to the store.
func (fx *effects) Grant(r *store.GrantRequest) {
	q := *r
	fx.node.toStore(func(s store.BudgetStore) { s.Grant(&q) })
}

// Return sends money back.
func (fx *effects) Return(r *store.ReturnRequest) {
	q := *r
	fx.node.toStore(func(s store.BudgetStore) { s.Return(&q) })
}

// Flush ends a batch.
func (fx *effects) Flush() {
	before := fx.a.Position()
	fx.a.Commit()
	if before > fx.a.Durable() {
		fx.node.write()
	}
}

// toStore carries a request to the node's store, as well as the weather allows.
func (n *node) toStore(send func(store.BudgetStore)) {
	life := n.lives
	n.world.carry(func() {
		if n.sim != nil {
			n.enter(life, func() { send(n.budgets) })
		}
	})
}

// deliverer takes the store's replies back.
func (n *node) deliverer() store.Deliver {
	life := n.lives
	return func(r *store.Reply) bool {
		reply := *r
		n.world.carry(func() {
			if n.lives == life && n.sim != nil {
				n.submit(reply.Shard, budgetMessage(&reply))
			}
		})
		return true
	}
}

// carry delivers a message: late, twice, or not at all.
func (w *World) carry(f func()) {
	d := 50*time.Microsecond + time.Duration(w.net.ExpFloat64()*float64(500*time.Microsecond))
	s := &w.storms
	if s.active(StoreDown) {
		w.hit(Lost)
		return
	}
	if s.active(StoreSlow) {
		d += 300*time.Millisecond + time.Duration(w.net.Int64N(int64(2*time.Second)))
	}
	if s.active(Lost) && w.net.IntN(4) == 0 {
		w.hit(Lost)
		return
	}
	if s.active(Twice) && w.net.IntN(3) == 0 {
		w.hit(Twice)
		w.after(d+time.Duration(w.net.Int64N(int64(3*time.Second))), f)
	}
	if s.active(Late) && w.net.IntN(3) == 0 {
		w.hit(Late)
		d += time.Duration(w.net.Int64N(int64(1500 * time.Millisecond)))
	}
	w.after(d, f)
}
