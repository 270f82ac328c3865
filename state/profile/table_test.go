package profile

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"millrace/codec/unit"
)

type pair struct {
	user unit.UserID
	line unit.LineID
}

type modelWindow struct {
	start  unit.MonoTime
	length time.Duration // as recorded when it opened, rounded up to 1 ms
	count  uint16
}

// model is the table's meaning, written without a thought for speed.
type model map[pair]modelWindow

func (m model) count(p pair, now unit.MonoTime, window time.Duration) uint16 {
	w, ok := m[p]
	if !ok || now.Sub(w.start) >= min(w.length, window) {
		return 0
	}
	return w.count
}

func (m model) add(p pair, now unit.MonoTime, window time.Duration) uint16 {
	if window <= 0 {
		return 1
	}
	if c := m.count(p, now, window); c > 0 {
		w := m[p]
		if w.count < math.MaxUint16 {
			w.count++
		}
		m[p] = w
		return w.count
	}
	up := window.Truncate(time.Millisecond)
	if up < window && up <= math.MaxInt64-time.Millisecond {
		up += time.Millisecond
	}
	m[p] = modelWindow{start: now, length: up, count: 1}
	return 1
}

// open is how many recorded windows are not over.
func (m model) open(now unit.MonoTime) (n int) {
	for _, w := range m {
		if now.Sub(w.start) < w.length {
			n++
		}
	}
	return n
}

// checkWhole verifies the table's own rules: the count of used slots, no pair
// twice, and every pair reachable from its home without crossing an empty slot.
func checkWhole(t *testing.T, tab *Table) {
	t.Helper()
	seen := map[pair]int{}
	used := 0
	for i := range tab.slots {
		s := &tab.slots[i]
		if s.empty() {
			continue
		}
		used++
		p := pair{s.user, s.line}
		if j, twice := seen[p]; twice {
			t.Fatalf("pair %v stands in slots %d and %d", p, j, i)
		}
		seen[p] = i
		for j := tab.home(s.user, s.line); j != i; j = (j + 1) % len(tab.slots) {
			if tab.slots[j].empty() {
				t.Fatalf("pair %v in slot %d is cut off from its home by the empty slot %d", p, i, j)
			}
		}
	}
	if used != tab.used || used > tab.max {
		t.Fatalf("%d slots in use, counted %d, allowed %d", used, tab.used, tab.max)
	}
}

// step does one random operation on both sides. choose(n) is a number below n.
func step(t *testing.T, tab *Table, m model, now *unit.MonoTime, choose func(n int) int) {
	t.Helper()
	windows := [...]time.Duration{0, 1, time.Millisecond, time.Millisecond + 1, time.Second, time.Minute, math.MaxInt64}
	p := pair{unit.UserID(choose(12)), unit.LineID(choose(6))}
	window := windows[(int(p.line)+choose(2))%len(windows)] // now and then the catalog changes it
	limit := uint16(choose(4))
	switch op := choose(16); {
	case op < 6:
		addBoth(t, tab, m, p, *now, window)
	case op < 10:
		if got, want := tab.Count(p.user, p.line, *now, window), m.count(p, *now, window); got != want {
			t.Fatalf("Count(%v, %d, %v) = %d, want %d", p, *now, window, got, want)
		}
	case op < 13:
		want := Open
		if m.count(p, *now, window) >= limit {
			want = Capped
		}
		got := tab.Check(p.user, p.line, *now, window, limit)
		full := got == Full && want == Open && tab.Len() == tab.max
		if got != want && !full {
			t.Fatalf("Check(%v, %d, %v, limit %d) = %v with %d of %d slots used, want %v", p, *now, window, limit, got, tab.Len(), tab.max, want)
		}
	case op < 14:
		tab.Sweep(*now, choose(len(tab.slots)))
	default:
		*now = now.Add(time.Duration(1) << choose(36))
	}
}

func addBoth(t *testing.T, tab *Table, m model, p pair, now unit.MonoTime, window time.Duration) {
	t.Helper()
	got, ok := tab.Add(p.user, p.line, now, window)
	if ok {
		if want := m.add(p, now, window); got != want {
			t.Fatalf("Add(%v, %d, %v) = %d, want %d", p, now, window, got, want)
		}
		return
	}
	if tab.Len() != tab.max {
		t.Fatalf("Add says full with %d of %d slots used", tab.Len(), tab.max)
	}
	// After a whole sweep only open windows are left: then full means full.
	tab.Sweep(now, len(tab.slots))
	checkWhole(t, tab)
	open := m.open(now)
	if tab.Len() != open {
		t.Fatalf("%d slots used after a whole sweep, %d windows open", tab.Len(), open)
	}
	if got, ok = tab.Add(p.user, p.line, now, window); ok != (open < tab.max) {
		t.Fatalf("Add = %v with %d windows open of %d", ok, open, tab.max)
	} else if ok && got != m.add(p, now, window) {
		t.Fatalf("Add after a sweep = %d", got)
	}
}

func TestTableAgainstMap(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		tab, err := New(Config{Entries: 1 + r.IntN(40), Seed: r.Uint64()})
		if err != nil {
			t.Fatal(err)
		}
		m, now := model{}, unit.MonoTime(r.IntN(1000))
		for i := range 4000 {
			step(t, tab, m, &now, r.IntN)
			if i%64 == 0 {
				checkWhole(t, tab)
			}
		}
	}
}

// FuzzTable lets the fuzzer choose the operations.
func FuzzTable(f *testing.F) {
	f.Add([]byte("\x05\x01\x02\x03\x04\x05\x06\x07\x08"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) < 2 || len(ops) > 4096 {
			return
		}
		tab, err := New(Config{Entries: 1 + int(ops[0])%16, Seed: uint64(ops[1])})
		if err != nil {
			t.Fatal(err)
		}
		m, now, at := model{}, unit.MonoTime(0), 2
		choose := func(n int) int {
			if at >= len(ops) {
				return 0
			}
			at++
			return int(ops[at-1]) % n
		}
		for at < len(ops) {
			step(t, tab, m, &now, choose)
		}
		checkWhole(t, tab)
	})
}

func TestFullHasANameAndFailsClosed(t *testing.T) {
	tab, err := New(Config{Entries: 3})
	if err != nil {
		t.Fatal(err)
	}
	for u := range unit.UserID(3) {
		if _, ok := tab.Add(u, 1, 0, time.Hour); !ok {
			t.Fatalf("no room for user %d of 3", u)
		}
	}
	if v := tab.Check(9, 1, 0, time.Hour, 5); v != Full || v.String() != "frequency_table_full" {
		t.Errorf("Check in a full table: %v", v)
	}
	if _, ok := tab.Add(9, 1, 0, time.Hour); ok {
		t.Error("Add into a full table succeeded")
	}
	if v := tab.Check(1, 1, 0, time.Hour, 5); v != Open {
		t.Errorf("a pair already in a full table: %v, want open", v)
	}
	if s := tab.Stats(); s.Full != 2 || s.Entries != 3 || s.Capacity != 3 {
		t.Errorf("stats %+v, want 2 refusals, 3 of 3 used", s)
	}
	// An hour later the same table has room again, without a timer's help.
	later := unit.MonoTime(time.Hour)
	if v := tab.Check(9, 1, later, time.Hour, 5); v != Open {
		t.Errorf("after the windows ended: %v", v)
	}
	if n, ok := tab.Add(9, 1, later, time.Hour); !ok || n != 1 {
		t.Errorf("Add after the windows ended: %d, %v", n, ok)
	}
}

func TestWindowEdges(t *testing.T) {
	tab, _ := New(Config{Entries: 8})
	const hour = unit.MonoTime(time.Hour)
	tab.Add(1, 1, 5, time.Hour)
	tab.Add(1, 1, 6, time.Hour)
	for _, c := range []struct {
		now    unit.MonoTime
		window time.Duration
		want   uint16
	}{
		{6, time.Hour, 2}, {5 + hour - 1, time.Hour, 2}, {5 + hour, time.Hour, 0},
		{5 + hour/2, 30 * time.Minute, 0},                            // made shorter: at once
		{5 + hour/2, 2 * time.Hour, 2}, {5 + hour, 2 * time.Hour, 0}, // made longer: next window
		{0, time.Hour, 2},                                                   // a clock that stepped back never opens a cap
		{6, 0, 0}, {6, math.MaxInt64, 2}, {math.MaxInt64, math.MaxInt64, 0}, // extremes
	} {
		if got := tab.Count(1, 1, c.now, c.window); got != c.want {
			t.Errorf("Count at %d with window %v = %d, want %d", c.now, c.window, got, c.want)
		}
	}
}

func TestCountSaturates(t *testing.T) {
	tab, _ := New(Config{Entries: 1})
	for range math.MaxUint16 + 10 {
		tab.Add(1, 1, 0, time.Hour)
	}
	if got := tab.Count(1, 1, 0, time.Hour); got != math.MaxUint16 {
		t.Fatalf("count %d, want it to stay at 65535", got)
	}
	if v := tab.Check(1, 1, 0, time.Hour, math.MaxUint16); v != Capped {
		t.Fatalf("%v", v)
	}
}

func TestConfigFaults(t *testing.T) {
	for _, n := range []int{0, -1, entriesMax + 1} {
		if _, err := New(Config{Entries: n}); err == nil {
			t.Errorf("Entries %d accepted", n)
		}
	}
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestSlotLayout(t *testing.T) {
	if got := unsafe.Sizeof(slot{}); got != slotBytes {
		t.Errorf("a slot is %d bytes, want %d: two a cache line", got, slotBytes)
	}
}

// Neighbouring user ids and few lines must not crowd: a table filled with them
// keeps its probes near what the load says.
func TestProbesStayShort(t *testing.T) {
	tab, _ := New(Config{Entries: 100_000, Seed: 42})
	var key [8]byte
	for u := range 10_000 {
		binary.LittleEndian.PutUint64(key[:], uint64(u))
		for l := range 10 {
			tab.Add(unit.HashUser(1, key[:]), unit.LineID(unit.HashID("line", fmt.Sprint(l))), 0, time.Hour)
		}
	}
	total, worst := 0, 0
	for i := range tab.slots {
		if s := &tab.slots[i]; !s.empty() {
			d := distance(tab.home(s.user, s.line), i, len(tab.slots))
			total += d
			worst = max(worst, d)
		}
	}
	// Theory at load 3/4: (1/(1-α) − 1)/2 = 1.5 steps for a hit.
	if mean := float64(total) / float64(tab.used); mean > 2 || worst > 200 {
		t.Errorf("mean probe %.2f, worst %d", mean, worst)
	}
}

func TestAllocTable(t *testing.T) {
	tab, _ := New(Config{Entries: 1000})
	now, u := unit.MonoTime(0), unit.UserID(0)
	if n := testing.AllocsPerRun(5000, func() {
		u++
		now += unit.MonoTime(time.Millisecond)
		tab.Check(u%2000, 7, now, time.Second, 3)
		tab.Add(u%2000, 7, now, time.Second)
		tab.Count(u%2000, 7, now, time.Second)
		tab.Sweep(now, 16)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkTable(b *testing.B) {
	const entries = 1 << 20
	tab, _ := New(Config{Entries: entries, Seed: 1})
	users := make([]unit.UserID, entries)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range users {
		users[i] = unit.UserID(r.Uint64())
		if i < entries*9/10 {
			tab.Add(users[i], 1, 0, time.Hour)
		}
	}
	var sum uint64
	run := func(name string, op func(u unit.UserID) uint16) {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				sum += uint64(op(users[i&(entries*7/8-1)]))
			}
		})
	}
	run("hit", func(u unit.UserID) uint16 { return tab.Count(u, 1, 1, time.Hour) })
	run("miss", func(u unit.UserID) uint16 { return tab.Count(u, 2, 1, time.Hour) })
	run("add", func(u unit.UserID) uint16 { n, _ := tab.Add(u, 1, 1, time.Hour); return n })
	b.Logf("sum %d", sum)
}
