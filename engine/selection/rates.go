package selection

import (
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/shards"
)

// Counts are events of a creative by event.Kind.Index.
type Counts [event.Kinds]uint64

func (c *Counts) of(k event.Kind) uint64 { return c[k.Index()] }

func (c *Counts) add(d *Counts) {
	for i := range c {
		c[i] += d[i]
	}
}

// Rates counts a creative's events over the whole node. A shard sees only the
// events of its own users, so what it counts goes out to the other shards as
// deltas, and totals change only when deltas are applied: every shard predicts
// from the same totals but for messages under way. Owned by one shard.
type Rates struct {
	_      shards.Pad
	slots  map[unit.CreativeID]uint32
	ids    []unit.CreativeID
	totals []Counts
	deltas []Counts
	dirty  []uint32 // slots with a delta
	_      shards.Pad
}

// NewRates is a table without events.
func NewRates() *Rates {
	const some = 256
	return &Rates{
		slots:  make(map[unit.CreativeID]uint32),
		ids:    shards.AlignedSlice[unit.CreativeID](some)[:0],
		totals: shards.AlignedSlice[Counts](some)[:0],
		deltas: shards.AlignedSlice[Counts](some)[:0],
		dirty:  shards.AlignedSlice[uint32](some)[:0],
	}
}

func (r *Rates) slot(id unit.CreativeID) uint32 {
	s, ok := r.slots[id]
	if !ok {
		s = uint32(len(r.ids))
		r.slots[id] = s
		r.ids = append(r.ids, id)
		r.totals = append(r.totals, Counts{})
		r.deltas = append(r.deltas, Counts{})
	}
	return s
}

// Observe counts one event into the creative's delta.
func (r *Rates) Observe(id unit.CreativeID, k event.Kind) {
	s := r.slot(id)
	if r.deltas[s] == (Counts{}) {
		r.dirty = append(r.dirty, s)
	}
	r.deltas[s][k.Index()]++
}

// Take removes one creative's delta, for the caller to apply and to tell the
// other shards of; ok is false when none is left.
func (r *Rates) Take() (id unit.CreativeID, d Counts, ok bool) {
	if len(r.dirty) == 0 {
		return 0, d, false
	}
	s := r.dirty[len(r.dirty)-1]
	r.dirty = r.dirty[:len(r.dirty)-1]
	d, r.deltas[s] = r.deltas[s], Counts{}
	return r.ids[s], d, true
}

// apply adds a delta to the creative's totals and returns them.
func (r *Rates) apply(id unit.CreativeID, d *Counts) *Counts {
	t := &r.totals[r.slot(id)]
	t.add(d)
	return t
}

// of are the creative's events.
func (r *Rates) of(id unit.CreativeID) (c Counts) {
	if slot, ok := r.slots[id]; ok {
		c = r.totals[slot]
	}
	return c
}

// Totals are a copy of what has been applied.
func (r *Rates) Totals() map[unit.CreativeID]Counts {
	m := make(map[unit.CreativeID]Counts, len(r.ids))
	for i, id := range r.ids {
		m[id] = r.totals[i]
	}
	return m
}
