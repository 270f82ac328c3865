package shards

import (
	"fmt"
	"math"
	"math/bits"

	"millrace/codec/unit"
)

const (
	// tickShift makes a tick of 2^18 ns (262 µs): a timer never fires early and
	// at most one tick late.
	tickShift  = 18
	levelBits  = 6
	levelSlots = 1 << levelBits
	// Eight levels span 2^48 ticks, which is all of MonoTime: nothing is ever
	// beyond the horizon.
	wheelLevels = 8
)

// NoDeadline is the Next of a wheel without timers.
const NoDeadline = unit.MonoTime(math.MaxInt64)

// TimerID names a pending timer. Zero names none.
type TimerID uint64

// timer is one slab entry. Lists are doubly linked by index, so that cancelling
// is O(1); index 0 is no entry.
type timer struct {
	tick       uint64
	arg        uint64
	next, prev uint32
	generation uint32
	kind       uint8
	level      uint8
	slot       uint8
	pending    bool
}

type timerList struct{ first, last uint32 }

// TimerWheel keeps pending timers in a hierarchy of wheels: an entry lives at
// the highest level at which its tick differs from the current one, and moves
// down when the current tick reaches its slot. Entries are slab slots addressed
// by index; nothing is allocated once the slab has its size.
//
// Timers of one tick fire in the order in which they were set: an entry is
// only ever put into a lower slot after all earlier ones for that tick have
// moved there, and every move keeps the order of the list.
//
// A wheel is owned by one goroutine at a time.
type TimerWheel struct {
	_        Pad
	entries  []timer // entries[0] is unused
	free     uint32  // list through next
	used     uint32  // entries handed out at least once, and the unused first
	max      uint32
	pending  int
	tick     uint64 // the current tick; its timers are the ones firing
	next     unit.MonoTime
	occupied [wheelLevels]uint64
	lists    [wheelLevels][levelSlots]timerList
	_        Pad
}

// NewTimerWheel makes an empty wheel standing at now that keeps at most max
// timers.
func NewTimerWheel(now unit.MonoTime, max int) *TimerWheel {
	if max < 1 || max > 1<<30 {
		panic(fmt.Sprintf("shards: a timer wheel of at most %d timers: use 1 to %d", max, 1<<30))
	}
	w := &TimerWheel{max: uint32(max), used: 1, tick: floorTick(now), next: NoDeadline}
	w.entries = AlignedSlice[timer](min(max+1, 256))
	return w
}

func floorTick(t unit.MonoTime) uint64 { return uint64(max(t, 0)) >> tickShift }

func ceilTick(t unit.MonoTime) uint64 {
	if t > math.MaxInt64-1<<tickShift {
		return math.MaxInt64 >> tickShift
	}
	return uint64(max(t, 0)+1<<tickShift-1) >> tickShift
}

// Schedule sets a timer that Pop returns once time has reached at: never
// before, and never during the tick that is firing just now. Zero means that
// the wheel is full.
func (w *TimerWheel) Schedule(at unit.MonoTime, kind uint8, arg uint64) TimerID {
	i := w.free
	switch {
	case i != 0:
		w.free = w.entries[i].next
	case w.used <= w.max:
		if int(w.used) == len(w.entries) {
			w.grow()
		}
		i = w.used
		w.used++
	default:
		return 0
	}
	e := &w.entries[i]
	e.tick = max(ceilTick(at), w.tick+1)
	e.kind, e.arg, e.pending = kind, arg, true
	w.link(i)
	w.pending++
	w.next = min(w.next, unit.MonoTime(e.tick<<tickShift))
	return TimerID(e.generation)<<32 | TimerID(i)
}

func (w *TimerWheel) grow() {
	bigger := AlignedSlice[timer](min(2*len(w.entries), int(w.max)+1))
	copy(bigger, w.entries)
	w.entries = bigger
}

// link appends entry i to the slot its tick belongs to.
func (w *TimerWheel) link(i uint32) {
	e := &w.entries[i]
	level := 0
	if differ := e.tick ^ w.tick; differ != 0 {
		level = (bits.Len64(differ) - 1) / levelBits
	}
	slot := e.tick >> (level * levelBits) % levelSlots
	e.level, e.slot = uint8(level), uint8(slot)
	l := &w.lists[level][slot]
	e.next, e.prev = 0, l.last
	if l.last != 0 {
		w.entries[l.last].next = i
	} else {
		l.first = i
	}
	l.last = i
	w.occupied[level] |= 1 << slot
}

func (w *TimerWheel) unlink(i uint32) {
	e := &w.entries[i]
	l := &w.lists[e.level][e.slot]
	if e.prev != 0 {
		w.entries[e.prev].next = e.next
	} else {
		l.first = e.next
	}
	if e.next != 0 {
		w.entries[e.next].prev = e.prev
	} else {
		l.last = e.prev
	}
	if l.first == 0 {
		w.occupied[e.level] &^= 1 << e.slot
	}
}

func (w *TimerWheel) release(i uint32) {
	e := &w.entries[i]
	e.pending = false
	e.generation++
	e.next = w.free
	w.free = i
	w.pending--
}

// Cancel takes back a timer that has not fired. false means that it has fired,
// was cancelled before, or never was.
func (w *TimerWheel) Cancel(id TimerID) bool {
	i, generation := uint32(id), uint32(id>>32)
	if i == 0 || i >= w.used {
		return false
	}
	if e := &w.entries[i]; !e.pending || e.generation != generation {
		return false
	}
	w.unlink(i)
	w.release(i)
	return true
}

// Pop takes the next timer that is due at now, oldest first. A due timer that
// another one's callback cancels does not fire any more.
func (w *TimerWheel) Pop(now unit.MonoTime) (kind uint8, arg uint64, ok bool) {
	target := floorTick(now)
	for {
		if i := w.lists[0][w.tick%levelSlots].first; i != 0 && w.entries[i].tick <= w.tick {
			e := &w.entries[i]
			kind, arg = e.kind, e.arg
			w.unlink(i)
			w.release(i)
			return kind, arg, true
		}
		tick, level := w.nextSlot()
		if level < 0 || tick > target {
			w.tick = max(w.tick, target)
			w.next = NoDeadline
			if level >= 0 {
				w.next = unit.MonoTime(tick << tickShift)
			}
			return 0, 0, false
		}
		w.tick = tick
		if level > 0 {
			w.cascade(level)
		}
	}
}

// nextSlot is the first tick of the nearest occupied slot and its level, or
// level -1. On level 0 that is when its timers are due, higher up a lower
// bound: the time for them to move down.
func (w *TimerWheel) nextSlot() (tick uint64, level int) {
	for level := range wheelLevels {
		shift := level * levelBits
		here := w.tick >> shift % levelSlots
		// Entries lie ahead of the current slot within the same turn of their
		// wheel, or they would be a level higher: no wrapping around.
		if ahead := w.occupied[level] &^ (2<<here - 1); ahead != 0 {
			slot := uint64(bits.TrailingZeros64(ahead))
			turn := w.tick >> shift &^ (levelSlots - 1)
			return (turn | slot) << shift, level
		}
	}
	return 0, -1
}

// cascade moves the timers of the current slot of a level down.
func (w *TimerWheel) cascade(level int) {
	slot := w.tick >> (level * levelBits) % levelSlots
	i := w.lists[level][slot].first
	w.lists[level][slot] = timerList{}
	w.occupied[level] &^= 1 << slot
	for i != 0 {
		next := w.entries[i].next
		w.link(i)
		i = next
	}
}

// Next is a time at or before which nothing is due: when the earliest timer
// fires, or earlier when it must first move down a level. NoDeadline means no
// timer; a cancelled timer may leave its time here until the next Pop.
func (w *TimerWheel) Next() unit.MonoTime { return w.next }

// Pending is the number of timers set.
func (w *TimerWheel) Pending() int { return w.pending }

// Clear drops all timers and returns how many there were.
func (w *TimerWheel) Clear() int {
	dropped := w.pending
	for i := uint32(1); i < w.used; i++ {
		if w.entries[i].pending {
			w.unlink(i)
			w.release(i)
		}
	}
	w.next = NoDeadline
	return dropped
}
