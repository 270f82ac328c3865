package shards

import (
	"math/bits"
	"sync"
)

// Counter is the handle of a counter that every shard counts on its own.
type Counter struct{ word uint32 }

// Gauge is the handle of a gauge that every shard sets on its own.
type Gauge struct{ word uint32 }

// Histogram is the handle of a log-linear histogram that every shard fills on
// its own.
type Histogram struct {
	word    uint32 // the sum; the buckets follow
	buckets uint16 // the last is for everything above
	minExp  uint8  // the first bucket ends at 2^minExp
	subBits uint8  // each power of two is cut into 2^subBits
}

// bucket is the index of the bucket of v: bucket b holds the values up to and
// including upper(b) that no earlier one holds.
func (h Histogram) bucket(v uint64) uint32 {
	if v <= 1<<h.minExp {
		return 0
	}
	v-- // upper bounds belong to their bucket, and are round numbers
	e := uint8(bits.Len64(v) - 1)
	fraction := uint32(v>>(e-h.subBits)) & (1<<h.subBits - 1)
	return min(1+uint32(e-h.minExp)<<h.subBits+fraction, uint32(h.buckets)-1)
}

// upper is the greatest value of bucket b; the last bucket has none.
func (h Histogram) upper(b int) uint64 {
	if b == 0 {
		return 1 << h.minExp
	}
	e := h.minExp + uint8((b-1)>>h.subBits)
	fraction := uint64(b-1) & (1<<h.subBits - 1)
	return (1<<h.subBits + fraction + 1) << (e - h.subBits)
}

// CounterBlock holds one shard's counters, gauges and histograms: plain words
// on cache lines of its own, written by the holder of the shard's turn only.
//
// A scrape does not read them. It takes the shard's turn, or asks whoever has
// it, and copies the words then. Rejected: atomic words read in place, since in
// Go an atomic store of 64 bits is an XCHG on amd64, a locked instruction that
// costs a counted event several times the increment.
type CounterBlock struct {
	_     Pad
	words []uint64 // owned by the turn
	size  func() int
	_     Pad

	// mu guards snapshot and version: the copy that scrapes read.
	mu       sync.Mutex
	snapshot []uint64
	version  uint64
	// label is the value of the shard label. Immutable.
	label string
	// collect asks the owner for a fresh copy; nil where nobody else runs.
	collect func()
	_       Pad
}

// newCounterBlock makes a block with room for size words; size is asked again
// when a handle defined later is first used.
func newCounterBlock(label string, size func() int) *CounterBlock {
	b := &CounterBlock{label: label, size: size}
	b.words = AlignedSlice[uint64](size())
	return b
}

// grow makes room for a metric that was defined after the block.
func (b *CounterBlock) grow() {
	words := AlignedSlice[uint64](b.size())
	copy(words, b.words)
	b.words = words
}

// Inc counts one.
func (b *CounterBlock) Inc(c Counter) { b.Add(c, 1) }

// Add counts n.
func (b *CounterBlock) Add(c Counter, n uint64) {
	if int(c.word) >= len(b.words) {
		b.grow()
	}
	b.words[c.word] += n
}

// Set sets this shard's share of a gauge. The scrape adds the shares up.
func (b *CounterBlock) Set(g Gauge, v int64) {
	if int(g.word) >= len(b.words) {
		b.grow()
	}
	b.words[g.word] = uint64(v)
}

// Move changes this shard's share of a gauge by delta.
func (b *CounterBlock) Move(g Gauge, delta int64) {
	if int(g.word) >= len(b.words) {
		b.grow()
	}
	b.words[g.word] += uint64(delta)
}

// Observe puts a value (nanoseconds, for a histogram in seconds) into a
// histogram.
func (b *CounterBlock) Observe(h Histogram, v uint64) {
	if int(h.word)+int(h.buckets) >= len(b.words) {
		b.grow()
	}
	b.words[h.word] += v
	b.words[h.word+1+h.bucket(v)]++
}

// publish copies the words for the scrapes. Called by the owner.
func (b *CounterBlock) publish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.snapshot) < len(b.words) {
		b.snapshot = make([]uint64, len(b.words))
	}
	copy(b.snapshot, b.words)
	b.version++
}

func (b *CounterBlock) published() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.version
}
