package pacing

import (
	"math/bits"

	"millrace/shards"
)

// Masks is how many participation masks a Throttle keeps.
const Masks = 64

// Throttle applies participations to line items at the price of one AND a word:
// each request takes one of 64 prepared bitmaps, in as many of which a line's
// bit is set as its participation asks for, rounded up. What the rounding gives
// too much, Passes takes away by a number drawn for the request and the line;
// it is asked only for the lines that are left in a ranking.
//
//	participation 0.30: bit set in 20 of 64 masks, and 0.30·64/20 = 0.96 of those pass
//
// Which masks a line is in depends on the line, evenly spread: lines of equal
// participation do not all sit out the same requests. Owned by one shard.
type Throttle struct {
	_     shards.Pad
	words int
	masks []uint64 // Masks rows of words
	count []uint8  // by line: masks it is in, 0 … Masks
	fine  []uint32 // by line: passes below this; all ones is always
	_     shards.Pad
}

// NewThrottle lets n lines take part in everything.
func NewThrottle(n int) *Throttle {
	t := &Throttle{words: (n + 63) / 64}
	t.masks = shards.AlignedSlice[uint64](Masks * t.words)
	t.count = shards.AlignedSlice[uint8](n)
	t.fine = shards.AlignedSlice[uint32](n)
	for i := range n {
		t.Set(i, 1)
	}
	return t
}

// Set gives line i its participation, 0 to 1. It costs what changes.
func (t *Throttle) Set(i int, share float64) {
	share = min(max(share, 0), 1)
	n := int(share * Masks)
	if float64(n) < share*Masks {
		n++
	}
	for ; int(t.count[i]) < n; t.count[i]++ {
		t.masks[t.row(i, int(t.count[i]))+i/64] |= 1 << (i % 64)
	}
	for ; int(t.count[i]) > n; t.count[i]-- {
		t.masks[t.row(i, int(t.count[i])-1)+i/64] &^= 1 << (i % 64)
	}
	t.fine[i] = 1<<32 - 1
	if n > 0 {
		t.fine[i] = uint32(min(share*Masks/float64(n)*(1<<32), 1<<32-1))
	}
}

// row is where the mask begins that line i enters as its k-th: a permutation of
// the masks for each line, whose every beginning is spread out.
func (t *Throttle) row(i, k int) int {
	order := int(bits.Reverse8(uint8(k)) >> 2)
	return (order + int(mix(uint64(i))>>58)) % Masks * t.words
}

// Mask is the bitmap of lines that take part in the request drawn, a word for 64
// lines. Valid until the next Set.
func (t *Throttle) Mask(draw uint64) []uint64 {
	from := int(draw%Masks) * t.words
	return t.masks[from : from+t.words]
}

// Passes decides about a line that is in the request's mask.
func (t *Throttle) Passes(i int, draw uint64) bool {
	if t.fine[i] == 1<<32-1 {
		return true
	}
	return uint32(mix(draw^uint64(i)<<32)) < t.fine[i]
}

// mix is the finaliser of splitmix64: every bit of the result depends on every
// bit of x.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
