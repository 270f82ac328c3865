package shards

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"millrace/codec/unit"
)

// span is a range of memory that one shard writes.
type span struct {
	what       string
	first, end uintptr
}

func spanOfSlice[T any](what string, s []T) span {
	var t T
	start := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	return span{what, start, start + uintptr(len(s))*unsafe.Sizeof(t)}
}

// line is the hardware's unit of ownership; CacheLine is two of them.
const line = 64

func sameLine(a, b span) bool {
	return a.first/line <= (b.end-1)/line && b.first/line <= (a.end-1)/line
}

// ownedByTurn lists everything that the holder of a shard's turn writes while
// it handles messages and timers, as far as this package makes it.
func ownedByTurn(s *Shard[letter]) []span {
	return []span{
		{fmt.Sprint("turn state of ", s.id), uintptr(unsafe.Pointer(&s.now)), uintptr(unsafe.Pointer(&s.holder)) + 8},
		spanOfSlice(fmt.Sprint("counters of ", s.id), s.block.words),
		{fmt.Sprint("wheel of ", s.id), uintptr(unsafe.Pointer(&s.wheel.entries)), uintptr(unsafe.Pointer(&s.wheel.lists)) + unsafe.Sizeof(s.wheel.lists)},
		spanOfSlice(fmt.Sprint("timers of ", s.id), s.wheel.entries),
		{fmt.Sprint("consumer index of ", s.id), uintptr(unsafe.Pointer(&s.mailbox.head)), uintptr(unsafe.Pointer(&s.mailbox.next)) + 8},
	}
}

// sharedWithSenders lists what those who send to a shard write.
func sharedWithSenders(s *Shard[letter]) []span {
	return []span{
		{fmt.Sprint("producer index of ", s.id), uintptr(unsafe.Pointer(&s.mailbox.tail)), uintptr(unsafe.Pointer(&s.mailbox.closed)) + 8},
		{fmt.Sprint("turn and sleep of ", s.id), uintptr(unsafe.Pointer(&s.turn)), uintptr(unsafe.Pointer(&s.wakes)) + 8},
		spanOfSlice(fmt.Sprint("ring of ", s.id), s.mailbox.slots),
	}
}

// No cache line is written by two shards, but for those by which a message is
// handed over: all memory that shards write, by address, after every slab has
// grown, with groups of different owners on different lines.
func TestLayoutNoLineWrittenByTwoShards(t *testing.T) {
	cfg := testConfig(5, DispatchInline)
	cfg.MailboxSlots = 64
	sim, err := NewSim(cfg, NewManualClock(0), 1, func(s *Shard[letter]) Handler[letter] {
		return &recorder{s: s, lastFrom: map[uint16]uint64{}, handle: func(r *recorder, m *letter) { r.s.After(time.Second, 0, 0) }}
	})
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		var all []span
		for _, s := range sim.core.shards {
			all = append(all, ownedByTurn(s)...)
			all = append(all, sharedWithSenders(s)...)
		}
		slices.SortFunc(all, func(a, b span) int { return int(int64(a.first) - int64(b.first)) })
		for i := 1; i < len(all); i++ {
			if a, b := all[i-1], all[i]; sameLine(a, b) {
				t.Errorf("%s: %s [%x, %x) and %s [%x, %x) share a line", when, a.what, a.first, a.end, b.what, b.first, b.end)
			}
		}
		if len(all) != 5*8 {
			t.Errorf("%d spans", len(all))
		}
	}
	check("new")
	late := make([]Counter, 600)
	for i := range late {
		late[i] = sim.Registry().Counter(Desc{Name: "test_late", Help: "x", Labels: []Label{{"i", fmt.Sprint(i)}}})
	}
	for range 100 {
		for id := range unit.ShardID(5) {
			for range 20 {
				sim.Submit(id, &letter{})
			}
			sim.Invoke(id, func(s *Shard[letter]) { s.Counters().Inc(late[len(late)-1]) })
		}
		sim.Drain()
	}
	check("grown")
}

// Groups of fields with different writers are a line apart inside the types,
// and nothing before or behind them can share their lines.
func TestLayoutFieldGroupsAreApart(t *testing.T) {
	var s Shard[letter]
	var b Mailbox[letter]
	var w TimerWheel
	groups := map[string][]uintptr{ // ends of one group, start of the next
		"Shard": {
			0, unsafe.Offsetof(s.core),
			unsafe.Offsetof(s.wakeup) + 8, unsafe.Offsetof(s.now),
			unsafe.Offsetof(s.holder) + 8, unsafe.Offsetof(s.turn),
			unsafe.Offsetof(s.wakes) + 8, unsafe.Offsetof(s.mu),
			unsafe.Offsetof(s.closed) + 1, unsafe.Sizeof(s),
		},
		"Mailbox": {
			0, unsafe.Offsetof(b.tail),
			unsafe.Offsetof(b.closed) + 8, unsafe.Offsetof(b.head),
			unsafe.Offsetof(b.next) + 8, unsafe.Offsetof(b.slots),
			unsafe.Offsetof(b.clear) + 1, unsafe.Sizeof(b),
		},
		"TimerWheel": {
			0, unsafe.Offsetof(w.entries),
			unsafe.Offsetof(w.lists) + unsafe.Sizeof(w.lists), unsafe.Sizeof(w),
		},
	}
	for name, ends := range groups {
		for i := 0; i < len(ends); i += 2 {
			if ends[i+1]-ends[i] < CacheLine {
				t.Errorf("%s: group %d begins %d bytes behind the one before", name, i/2, ends[i+1]-ends[i])
			}
		}
	}
	if unsafe.Sizeof(timer{}) != 32 {
		t.Errorf("a timer takes %d bytes: two should fill a line", unsafe.Sizeof(timer{}))
	}
}

func TestAlignedSliceKeepsItsDistance(t *testing.T) {
	checkAligned[uint64](t, 1, 3, 64, 1000)
	checkAligned[timer](t, 1, 5, 257)
	checkAligned[[24]byte](t, 1, 5, 257)
	checkAligned[slot[letter]](t, 2, 64)
	checkAligned[[300]byte](t, 1, 2)
	checkAligned[*int](t, 1, 9)
}

func checkAligned[T any](t *testing.T, lengths ...int) {
	t.Helper()
	var spans []span
	var keep [][]T
	for range 30 {
		for _, n := range lengths {
			s := AlignedSlice[T](n)
			if len(s) != n || cap(s) != n {
				t.Fatalf("%d of %d elements", len(s), n)
			}
			keep = append(keep, s)
			spans = append(spans, spanOfSlice(fmt.Sprintf("%T", s), s))
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return int(int64(a.first) - int64(b.first)) })
	for i := 1; i < len(spans); i++ {
		if sameLine(spans[i-1], spans[i]) {
			t.Fatalf("two slices of %s share a line", spans[i].what)
		}
	}
	_ = keep
}
