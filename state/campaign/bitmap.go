package campaign

import "math/bits"

// Bitmap is a set of line items, one bit each in LineIndex order: the best tier
// comes first. It is a plain slice of words, so that the engine may combine and
// walk it word by word. Sized for one snapshot; owned by whoever allocated it.
type Bitmap struct {
	words []uint64
}

// NewBitmap is an empty set for n line items.
func NewBitmap(n int) *Bitmap { return &Bitmap{words: make([]uint64, wordsFor(n))} }

func wordsFor(n int) int { return (n + 63) / 64 }

// Resize empties the set and makes room for n line items. It allocates only
// when the set was never as large.
func (b *Bitmap) Resize(n int) {
	w := wordsFor(n)
	if cap(b.words) < w {
		b.words = make([]uint64, w, max(w, reservedBytes/8))
	}
	b.words = b.words[:w]
	clear(b.words)
}

// Words is the set itself: bit i%64 of word i/64 is line item i. Borrowed.
func (b *Bitmap) Words() []uint64 { return b.words }

// Has reports whether i is in the set.
func (b *Bitmap) Has(i LineIndex) bool { return b.words[i/64]>>(i%64)&1 != 0 }

// Set puts i into the set.
func (b *Bitmap) Set(i LineIndex) { b.words[i/64] |= 1 << (i % 64) }

// Clear takes i out of the set.
func (b *Bitmap) Clear(i LineIndex) { b.words[i/64] &^= 1 << (i % 64) }

// Fill puts the first n line items into the set, and only those.
func (b *Bitmap) Fill(n int) { fillWords(b.words, n) }

func fillWords(words []uint64, n int) {
	for i := range words {
		words[i] = ^uint64(0)
	}
	if n%64 != 0 && len(words) > 0 {
		words[len(words)-1] = 1<<(n%64) - 1
	}
}

// Len counts the set.
func (b *Bitmap) Len() int {
	n := 0
	for _, w := range b.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// Next is the first line item of the set at or after from; ok is false when
// there is none. Walk a set with
//
//	for i, ok := b.Next(0); ok; i, ok = b.Next(i + 1) { … }
func (b *Bitmap) Next(from LineIndex) (i LineIndex, ok bool) {
	w := int(from / 64)
	if w >= len(b.words) {
		return 0, false
	}
	word := b.words[w] >> (from % 64) << (from % 64)
	for word == 0 {
		if w++; w == len(b.words) {
			return 0, false
		}
		word = b.words[w]
	}
	return LineIndex(w*64 + bits.TrailingZeros64(word)), true
}

// and keeps in dst what is in src too. The slices have one length.
func and(dst, src []uint64) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] &= src[i]
	}
}
