package selection

import (
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/shards"
)

// Counts are events by event.Kind.Index.
type Counts [event.Kinds]uint64

func (c *Counts) of(k event.Kind) uint64 { return c[k.Index()] }

func (c *Counts) add(d *Counts) {
	for i := range c {
		c[i] += d[i]
	}
}

// Rates counts creatives' events.
type Rates = Tally[unit.CreativeID]

// Tally counts events by key over the whole node. A shard sees only the
// events of its own users, so what it counts goes out to the other shards as
// deltas, and totals change only when deltas are applied: every shard predicts
// from the same totals but for messages under way. Owned by one shard.
type Tally[K comparable] struct {
	_      shards.Pad
	slots  map[K]uint32
	ids    []K
	totals []Counts
	deltas []Counts
	dirty  []uint32 // slots with a delta
	_      shards.Pad
}

// NewRates is a table without events.
func NewRates() *Rates {
	r := newTally[unit.CreativeID]()
	return &r
}

func newTally[K comparable]() Tally[K] {
	const some = 256
	return Tally[K]{
		slots:  make(map[K]uint32),
		ids:    shards.AlignedSlice[K](some)[:0],
		totals: shards.AlignedSlice[Counts](some)[:0],
		deltas: shards.AlignedSlice[Counts](some)[:0],
		dirty:  shards.AlignedSlice[uint32](some)[:0],
	}
}

func (r *Tally[K]) slot(id K) uint32 {
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

// Observe counts one event into the key's delta.
func (r *Tally[K]) Observe(id K, k event.Kind) { r.add(id, k, 1) }

func (r *Tally[K]) add(id K, k event.Kind, n uint64) {
	if n == 0 {
		return
	}
	s := r.slot(id)
	if r.deltas[s] == (Counts{}) {
		r.dirty = append(r.dirty, s)
	}
	r.deltas[s][k.Index()] += n
}

// Take removes one key's delta, for the caller to apply and to tell the
// other shards of; ok is false when none is left.
func (r *Tally[K]) Take() (id K, d Counts, ok bool) {
	if len(r.dirty) == 0 {
		return id, d, false
	}
	s := r.dirty[len(r.dirty)-1]
	r.dirty = r.dirty[:len(r.dirty)-1]
	d, r.deltas[s] = r.deltas[s], Counts{}
	return r.ids[s], d, true
}

// apply adds a delta to the key's totals and returns them.
func (r *Tally[K]) apply(id K, d *Counts) *Counts {
	t := &r.totals[r.slot(id)]
	t.add(d)
	return t
}

// of are the key's events.
func (r *Tally[K]) of(id K) (c Counts) {
	if slot, ok := r.slots[id]; ok {
		c = r.totals[slot]
	}
	return c
}

// Totals are a copy of what has been applied.
func (r *Tally[K]) Totals() map[K]Counts {
	m := make(map[K]Counts, len(r.ids))
	for i, id := range r.ids {
		m[id] = r.totals[i]
	}
	return m
}
