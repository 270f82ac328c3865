package storm

import (
	"fmt"
	"time"

	"millrace/state/store"
)

// leasing is a store whose leases end: whatever it hands out may be spent for so
// long after it last heard from that life of the node.
type leasing struct {
	store.BudgetStore
	node  *node
	reply store.Deliver
}

// heard prolongs the leases. The store counts from when it got the request.
func (l *leasing) heard() {
	n := l.node
	n.leaseEnds = max(n.leaseEnds, n.world.now.add(n.world.set.lease))
}

func (l *leasing) Grant(r *store.GrantRequest) {
	l.heard()
	if r.Amount == 0 {
		l.deliver(&store.Reply{Op: store.OpGrant, Status: store.OK, Shard: r.ID.Shard, Epoch: r.ID.Epoch, Seq: r.ID.Seq, Stamp: r.Stamp})
		return
	}
	l.BudgetStore.Grant(r)
}

func (l *leasing) Return(r *store.ReturnRequest) {
	l.heard()
	l.BudgetStore.Return(r)
}

func (l *leasing) deliver(r *store.Reply) bool {
	reply := *r
	reply.Lease = l.node.world.set.lease
	return l.reply(&reply)
}

// judgeLease: nothing is reserved after the store has taken the lease for over,
// whatever clock the node goes by and whether or not it could reach the store.
func (w *World) judgeLease(n *node) {
	if w.set.lease > 0 && w.now >= n.leaseEnds {
		w.violated("I2", fmt.Sprintf("node %d reserved at %v from leases that ended at %v", n.id, time.Duration(w.now), time.Duration(n.leaseEnds)))
	}
}
