package openrtb

import (
	"encoding/binary"
	"math/bits"
)

// index is the first pass over a body: where its tokens begin. With it the
// second pass knows where everything is before it has read what stands before
// it, so that the processor reads many members at once instead of one after
// the other; and a string costs the same however long it is.
//
//	body    {"id":"a\u0031","imp":[{"w": 300}]}
//	tokens  ^^   ^^ ^      ^^    ^^^^  ^ ^  ^^^
//
// Tokens are: { } [ ] : , outside of strings; the opening quote of a string;
// the first byte of anything else that is not white space (a number, a word,
// garbage); and, within strings, the backslash that begins an escape: whoever
// finds one after an opening quote knows that the string has escapes. What
// follows a run of such other bytes without a space belongs to the run, even
// a quote, so the readers of numbers and words look at what ends them.
type index struct {
	// at are the positions, in order, then padding.
	at []uint32
	n  int // positions without the padding
}

// indexPad is how many positions readers may look ahead of the last token.
// They are 1: the byte after the brace that opens the body is nothing that may
// follow any token there is, so a reader who runs over the end stops at once.
const indexPad = 8

// indexStep is the number of bytes a vector has, so of tokens that one step
// may find.
const indexStep = 64

// indexState is what a step leaves to the next.
type indexState [4]uint64

const (
	stateInString = iota // all ones within a string
	stateEscaped         // 1 if a backslash precedes the next byte
	stateScalar          // 1 if the last byte was one of a number or word
	stateBad             // not zero once there was a fault
)

// build indexes b. A fault is a string that does not end or that contains a
// control character, or a backslash that is in no string, and the byte where
// it was noticed.
func (x *index) build(b []byte) (fault int, ok bool) {
	if !hasWide() {
		return x.buildPlain(b)
	}
	var s indexState
	x.n = 0
	for at := 0; at < len(b); {
		if cap(x.at) < x.n+indexStep {
			x.grow(len(b))
		}
		next, n := indexWide(b, at, x.at[x.n:cap(x.at)], &s)
		at, x.n = next, x.n+n
	}
	if s[stateBad] != 0 {
		return x.buildPlain(b)
	}
	x.pad(len(b))
	return len(b), s[stateInString] == 0
}

// grow makes room for more positions: at first as many as half the bytes,
// which is more than usual, and never more than there are bytes.
func (x *index) grow(n int) {
	room := max(n/2, min(2*cap(x.at), n)) + 2*indexStep + indexPad
	at := make([]uint32, x.n, room)
	copy(at, x.at[:x.n])
	x.at = at
}

// indexKeptMax is how many positions a view keeps room for: those of a body
// of 64 KiB at the very least.
const indexKeptMax = 1 << 16

// shrink gives the room back that one giant needed.
func (x *index) shrink() {
	if cap(x.at) > indexKeptMax+2*indexStep+indexPad {
		x.at = nil
	}
}

// pad ends the index.
func (x *index) pad(n int) {
	if cap(x.at) < x.n+indexPad {
		x.grow(n)
	}
	x.at = x.at[:x.n+indexPad]
	for i := x.n; i < len(x.at); i++ {
		x.at[i] = 1
	}
}

// Classes of bytes outside of strings. One bit tells an operator, one what
// begins a token unless such a byte precedes it.
const (
	spaceByte = 0
	opByte    = 1
	otherByte = 2
	quoteByte = 4 | otherByte
	slashByte = 8 | otherByte
)

// byteClass has two bytes among the operators that are none, since the vector
// compares them so; no reader takes them for one.
var byteClass = func() (class [256]uint8) {
	for i := range class {
		class[i] = otherByte
	}
	for _, c := range " \t\n\r" {
		class[c] = spaceByte
	}
	for _, c := range "{}[]:,\x0c\x1a" {
		class[c] = opByte
	}
	class['"'], class['\\'] = quoteByte, slashByte
	return class
}()

// buildPlain is build without vectors, and what vectors are tested against.
// Outside of strings it branches for quotes only.
func (x *index) buildPlain(b []byte) (fault int, ok bool) {
	at, n, before := x.at[:cap(x.at)], 0, uint8(0)
	for i := 0; i < len(b); i++ {
		if n >= len(at) {
			at = x.more(n, len(b))
		}
		class := byteClass[b[i]]
		at[n] = uint32(i)
		n += int((class | class>>1&^before) & 1)
		before = class >> 1
		if class <= otherByte {
			continue
		}
		if class == slashByte {
			return i, false
		}
		before = 0
		for i = stringStop(b, i+1); i < len(b) && b[i] == '\\'; i = stringStop(b, i+2) {
			if n >= len(at) {
				at = x.more(n, len(b))
			}
			at[n] = uint32(i)
			n++
			if i+1 < len(b) && b[i+1] < ' ' {
				return i + 1, false
			}
		}
		if i >= len(b) || b[i] != '"' {
			return min(i, len(b)), false
		}
	}
	x.at, x.n = at, n
	x.pad(len(b))
	return len(b), true
}

// more makes room for more positions than n.
func (x *index) more(n, bytes int) []uint32 {
	x.n, x.at = n, x.at[:n:cap(x.at)]
	x.grow(bytes)
	x.at = x.at[:cap(x.at)]
	return x.at
}

// stringStop is the index of the first quote, backslash or control character
// at or after i, or len(b).
func stringStop(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if m := ending(binary.LittleEndian.Uint64(b[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
		i++
	}
	return i
}
