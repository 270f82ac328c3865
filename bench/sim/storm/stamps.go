package storm

import (
	"fmt"
	"time"

	"millrace/bench/recount"
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/store"
)

// stampOracle judges I6 along one node's journal.
type stampOracle struct {
	w     *World
	node  unit.NodeID
	last  map[writerKey]uint64
	floor uint64 // the highest of earlier lives
	high  uint64
	epoch unit.Epoch
	lease map[leaseKey]uint64 // of its first grant
}

// writerKey: the store, which grants and takes back, is a writer of its own, and so
// is who refunds.
type writerKey struct {
	epoch  unit.Epoch
	shard  unit.ShardID
	store  bool
	refund bool
}

func newStampOracle(w *World, id unit.NodeID) *stampOracle {
	return &stampOracle{w: w, node: id, last: map[writerKey]uint64{}, lease: map[leaseKey]uint64{}}
}

func (o *stampOracle) take(e *recount.Entry) {
	if e.Kind == recount.EpochStarted {
		o.epoch, o.floor = e.Epoch, o.high
	}
	k := writerKey{e.Epoch, e.Shard, e.Kind == recount.Granted || e.Kind == recount.Returned, e.Kind == recount.Refunded}
	if k.store || k.refund {
		k.shard = 0
	}
	switch {
	case e.Stamp <= o.floor:
		o.w.violated("I6", fmt.Sprintf("node %d, epoch %d, kind %d: stamp %x is not above %x of the life before", o.node, e.Epoch, e.Kind, e.Stamp, o.floor))
	case e.Kind != recount.EpochStarted && e.Stamp <= o.last[k]:
		o.w.violated("I6", fmt.Sprintf("node %d, writer %+v, kind %d: stamp %x follows %x", o.node, k, e.Kind, e.Stamp, o.last[k]))
	}
	o.last[k], o.high = e.Stamp, max(o.high, e.Stamp)
	switch e.Kind {
	case recount.Granted:
		// One that a later life adopted was never in use, and rests on nothing.
		id := store.OpID{Node: e.Node, Shard: e.Shard, Epoch: e.Epoch, Seq: e.Seq}
		if b := o.w.books; b != nil && e.Epoch == o.epoch && e.Stamp <= uint64(b.floor[id]) {
			o.w.violated("I6", fmt.Sprintf("node %d, epoch %d: a grant's stamp %x is not above %x of the returns and refunds it rests on", o.node, e.Epoch, e.Stamp, b.floor[id]))
		}
		if l := (leaseKey{o.node, e.Account, e.Day, e.Epoch}); o.lease[l] == 0 {
			o.lease[l] = e.Stamp
		}
	case recount.Posted:
		for _, p := range e.Parts {
			if first := o.lease[leaseKey{o.node, p.Account, p.Day, p.Epoch}]; e.Stamp <= first {
				o.w.violated("I6", fmt.Sprintf("node %d, epoch %d: a posting's stamp %x is not above %x of the lease that paid it", o.node, e.Epoch, e.Stamp, first))
			}
		}
	}
}

// billed reports whether any event of the win was posted.
func (a *auditor) billed(id event.WinID) bool {
	for k := event.Impression; k <= event.Conversion; k++ {
		if s := a.stands[eventKey{id, k}]; s != nil && s.posted {
			return true
		}
	}
	return false
}

// dayIsYoung: a budget that was just opened is no judge of delivery.
func (w *World) dayIsYoung(zone *time.Location) bool {
	return w.wall().DayIn(zone) != w.wall().Add(-w.set.calm).DayIn(zone)
}
