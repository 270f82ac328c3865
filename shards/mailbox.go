package shards

import (
	"fmt"
	"math/bits"
	"reflect"
	"sync/atomic"
	"unsafe"
)

// The mailbox's tail carries two gates above the position, so that closing one
// is atomic with every claim of a slot: after the gate is set no message slips
// in, and the position says exactly what is still to be drained.
const (
	gateOutside  = 1 << 63 // closed for goroutines that are not shards
	gateSealed   = 1 << 62 // closed for everybody
	positionMask = gateSealed - 1
)

// pushResult says what became of a message.
type pushResult uint8

const (
	pushed pushResult = iota
	pushFull
	pushClosed
)

// slot is one place of the ring. The pad keeps two slots from sharing a line
// whatever the size of M; choose M of 120 or 248 bytes to fill whole lines.
type slot[M any] struct {
	// seq is position+1 once the message of that position is readable.
	seq atomic.Uint64
	msg M
	_   [64]byte
}

// Mailbox is a bounded queue of values, many producers, one consumer: Vyukov's
// ring with per-slot sequence numbers, changed in one respect. A slot is freed
// not by a store into the slot but by the consumer's head, published once a
// batch, and producers work from a copy of it kept on their own line. So a
// message costs one line going over and nothing coming back.
//
// "The consumer" is whoever holds the shard's turn; it may be a different
// goroutine each time, ordered by the turn.
type Mailbox[M any] struct {
	_ Pad
	// tail is written by producers: position of the next message, and gates.
	tail atomic.Uint64
	// headSeen is the producers' copy of head: never ahead of it.
	headSeen atomic.Uint64
	full     atomic.Uint64 // refused because full
	closed   atomic.Uint64 // refused because closed
	_        Pad
	// head is where the consumer will continue, as far as published.
	head atomic.Uint64
	// next is the consumer's own position, ahead of head within a batch.
	next uint64
	_    Pad
	// Immutable.
	slots []slot[M]
	mask  uint64
	// clear says that handled messages are erased, so that the ring keeps
	// nothing alive that a message pointed at.
	clear bool
	_     Pad
}

// NewMailbox makes a mailbox for at least the given number of messages (rounded
// up to a power of two).
func NewMailbox[M any](slots int) *Mailbox[M] {
	if slots < 2 || slots > 1<<24 {
		panic(fmt.Sprintf("shards: a mailbox of %d slots: use 2 to %d", slots, 1<<24))
	}
	n := 1 << bits.Len(uint(slots-1))
	return &Mailbox[M]{
		slots: AlignedSlice[slot[M]](n),
		mask:  uint64(n - 1),
		clear: hasPointers(reflect.TypeFor[M]()),
	}
}

// Push copies *m into the mailbox, from any goroutine. false means that it is
// full or closed and nothing was kept.
func (b *Mailbox[M]) Push(m *M) bool { return b.push(m, gateOutside|gateSealed) == pushed }

func (b *Mailbox[M]) push(m *M, gates uint64) pushResult {
	for {
		t := b.tail.Load()
		if t&gates != 0 {
			b.closed.Add(1)
			return pushClosed
		}
		pos := t & positionMask
		// Signed: a stale pos may lie behind the head; the CAS then fails.
		if int64(pos-b.headSeen.Load()) > int64(b.mask) {
			h := b.head.Load()
			if int64(pos-h) > int64(b.mask) {
				b.full.Add(1)
				return pushFull
			}
			b.headSeen.Store(h)
		}
		if b.tail.CompareAndSwap(t, t+1) {
			s := &b.slots[pos&b.mask]
			s.msg = *m
			s.seq.Store(pos + 1)
			return pushed
		}
	}
}

// Ready reports whether a message can be taken. Any goroutine may ask. A slot
// that is claimed but not yet filled is not ready: its producer has still to
// look for the consumer afterwards.
func (b *Mailbox[M]) Ready() bool {
	h := b.head.Load()
	return b.slots[h&b.mask].seq.Load() == h+1
}

// Front is the next message in place, or nil. It is valid until Pop.
// Consumer only.
func (b *Mailbox[M]) Front() *M {
	s := &b.slots[b.next&b.mask]
	if s.seq.Load() != b.next+1 {
		return nil
	}
	return &s.msg
}

// Pop steps over the message of Front. The slot stays the consumer's until
// Commit. Consumer only.
func (b *Mailbox[M]) Pop() {
	s := &b.slots[b.next&b.mask]
	if b.clear {
		var zero M
		s.msg = zero
	} else if invariants {
		mangle(unsafe.Slice((*byte)(unsafe.Pointer(&s.msg)), unsafe.Sizeof(s.msg)))
	}
	b.next++
}

// Commit gives the slots of popped messages back to producers. Consumer only.
func (b *Mailbox[M]) Commit() {
	if b.head.Load() != b.next {
		b.head.Store(b.next)
	}
}

// claimed is how many messages stand between the consumer and the tail, among
// them such as are being written just now. Consumer only.
func (b *Mailbox[M]) claimed() int { return int(b.tail.Load()&positionMask - b.next) }

// Len is the number of messages in the mailbox: a snapshot from any goroutine.
func (b *Mailbox[M]) Len() int {
	h := b.head.Load()
	return int(max(int64(b.tail.Load()&positionMask-h), 0))
}

// Cap is the number of slots.
func (b *Mailbox[M]) Cap() int { return len(b.slots) }

func (b *Mailbox[M]) close(gates uint64) { b.tail.Or(gates) }

func (b *Mailbox[M]) open(gates uint64) { b.tail.And(^gates) }

// hasPointers reports whether the collector finds anything in a value of t.
func hasPointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return false
	case reflect.Array:
		return t.Len() > 0 && hasPointers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hasPointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	}
	return true
}
