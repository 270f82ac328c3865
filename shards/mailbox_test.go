package shards

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"unsafe"
)

// letter is the message of most tests: who sent it, and its number.
type letter struct {
	kind   uint8
	from   uint16
	number uint64
}

func (l letter) Kind() uint8 { return l.kind }

func TestMailboxAgainstSlice(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	b := NewMailbox[letter](5)
	if b.Cap() != 8 {
		t.Fatalf("capacity %d, want 8", b.Cap())
	}
	var model []uint64 // pushed, not popped
	uncommitted := 0
	for i := range uint64(200_000) {
		switch r.IntN(5) {
		case 0, 1:
			want := len(model)+uncommitted < b.Cap()
			if got := b.Push(&letter{number: i}); got != want {
				t.Fatalf("step %d: push says %v with %d of %d taken", i, got, len(model)+uncommitted, b.Cap())
			}
			if want {
				model = append(model, i)
			}
		case 2, 3:
			m := b.Front()
			if (m == nil) != (len(model) == 0) {
				t.Fatalf("step %d: front %v with %d messages", i, m, len(model))
			}
			if m != nil {
				if m.number != model[0] {
					t.Fatalf("step %d: got %d, want %d", i, m.number, model[0])
				}
				b.Pop()
				model = model[1:]
				uncommitted++
			}
		case 4:
			b.Commit()
			uncommitted = 0
			if b.Len() != len(model) || b.Ready() != (len(model) > 0) {
				t.Fatalf("step %d: length %d, ready %v, want %d", i, b.Len(), b.Ready(), len(model))
			}
		}
	}
}

func TestMailboxManyProducers(t *testing.T) {
	const producers, each = 4, 20_000
	b := NewMailbox[letter](64)
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range uint64(each) {
				for !b.Push(&letter{from: uint16(p), number: i}) {
					runtime.Gosched()
				}
			}
		})
	}
	var next [producers]uint64
	for got := 0; got < producers*each; {
		m := b.Front()
		if m == nil {
			b.Commit()
			runtime.Gosched()
			continue
		}
		if m.number != next[m.from] {
			t.Fatalf("producer %d: got %d, want %d", m.from, m.number, next[m.from])
		}
		next[m.from]++
		b.Pop()
		if got++; got%7 == 0 {
			b.Commit()
		}
	}
	wg.Wait()
	b.Commit()
	if b.Front() != nil || b.Len() != 0 {
		t.Fatalf("%d messages left", b.Len())
	}
}

// After close not one message more gets in, however many are being pushed, and
// every one that was accepted is there.
func TestMailboxCloseIsExact(t *testing.T) {
	for range 50 {
		b := NewMailbox[letter](1 << 12)
		var wg sync.WaitGroup
		var accepted [4]int
		for p := range accepted {
			wg.Go(func() {
				for b.Push(&letter{}) {
					accepted[p]++
				}
			})
		}
		runtime.Gosched()
		b.close(gateOutside)
		final := b.tail.Load() & positionMask
		wg.Wait()
		sum := 0
		for _, n := range accepted {
			sum += n
		}
		if b.tail.Load()&positionMask != final || uint64(sum) != final {
			t.Fatalf("tail %d at closing, %d accepted, %d at the end", final, sum, b.tail.Load()&positionMask)
		}
		if b.push(&letter{}, gateSealed) == pushClosed {
			t.Fatal("closed to outsiders is closed to shards")
		}
		b.close(gateSealed)
		if b.push(&letter{}, gateSealed) != pushClosed {
			t.Fatal("a sealed mailbox takes a message")
		}
	}
}

func TestMailboxKeepsNothingAlive(t *testing.T) {
	type parcel struct{ content *[64]byte }
	b := NewMailbox[parcel](4)
	b.Push(&parcel{new([64]byte)})
	slot := b.Front()
	b.Pop()
	if slot.content != nil {
		t.Fatal("a handled message still points at its content")
	}
	if NewMailbox[letter](4).clear {
		t.Fatal("a message without pointers is erased for nothing")
	}
}

func TestMailboxSlotsShareNoLine(t *testing.T) {
	check := func(size, stride uintptr) {
		// The bytes in use of slot i end at i*stride+size; wherever the ring
		// starts, the next slot's first byte is on another line of 64.
		if stride < size+64 {
			t.Errorf("slots of %d bytes in use stand %d apart", size, stride)
		}
	}
	check(8+unsafe.Sizeof(letter{}), unsafe.Sizeof(slot[letter]{}))
	check(8+120, unsafe.Sizeof(slot[[120]byte]{}))
	check(8+1, unsafe.Sizeof(slot[byte]{}))
}
