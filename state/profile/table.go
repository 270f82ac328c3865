package profile

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"

	"millrace/codec/unit"
	"millrace/shards"
)

const (
	// Load stays at or under 3/4: an unsuccessful linear probe then reads about
	// 8 slots (4 neighbouring cache lines) on average. 7/8 would read 32.
	loadNumerator, loadDenominator = 3, 4

	// A full table looks at this many slots for an expired one before it says
	// so: the price of a refusal stays under a microsecond.
	sweepWhenFull = 64

	countBits     = 16
	countMax      = 1<<countBits - 1
	windowMillis  = 1<<(64-countBits) - 1
	entriesMax    = 1 << 31
	slotBytes     = 32
	nanosPerMilli = int64(time.Millisecond)
)

// Config is the size of a Table. Immutable after New.
type Config struct {
	// Entries is how many (user, line item) pairs in an open window the table
	// can hold. Memory is Entries × 4/3 × 32 bytes, taken at once.
	Entries int
	// Seed keys the hash, so that nobody who chooses user ids can aim them at
	// one slot. Any number; a simulation passes a fixed one.
	Seed uint64
}

// Default is room for a million open windows: 43 MB.
func Default() Config { return Config{Entries: 1 << 20} }

// Validate lists every fault of the configuration, or is nil.
func (c Config) Validate() error {
	var faults []error
	if c.Entries < 1 {
		faults = append(faults, fmt.Errorf("profile: Entries is %d: give the number of (user, line item) windows to remember, at least 1", c.Entries))
	}
	if c.Entries > entriesMax {
		faults = append(faults, fmt.Errorf("profile: Entries is %d: at most %d fit one shard's table; use more shards", c.Entries, entriesMax))
	}
	return errors.Join(faults...)
}

// Bytes is the memory a table of this configuration takes.
func (c Config) Bytes() int64 { return int64(slotCount(c.Entries)) * slotBytes }

func slotCount(entries int) int {
	// One more than the load asks for: a probe ends at an empty slot, so there
	// is always one.
	return entries*loadDenominator/loadNumerator + 1
}

// Verdict is what Check says about one more impression.
type Verdict uint8

const (
	// Open: under the cap, and there is room to remember the impression.
	Open Verdict = iota
	// Capped: the user has had the allowed number in this window.
	Capped
	// Full: the table has no room to remember it; do not serve. Counted in Stats.
	Full
)

// String is the verdict's name in metrics and explanations.
func (v Verdict) String() string {
	switch v {
	case Open:
		return "open"
	case Capped:
		return "frequency_capped"
	case Full:
		return "frequency_table_full"
	}
	return "unknown"
}

// Stats are the table's counts since New. They merge across shards by addition.
type Stats struct {
	Entries  uint64 // slots in use now, expired ones that nobody met included
	Capacity uint64 // Config.Entries
	Full     uint64 // times Check or Add found no room
	Recycled uint64 // expired slots taken over by a new pair
	Swept    uint64 // expired slots given back by Sweep
}

// slot is one user's window on one line item. packed is window in milliseconds
// << 16 | count; 0 is an empty slot, since a slot in use has counted something.
type slot struct {
	user   unit.UserID
	line   unit.LineID
	start  unit.MonoTime
	packed uint64
}

func (s *slot) empty() bool   { return s.packed == 0 }
func (s *slot) count() uint16 { return uint16(s.packed & countMax) }
func (s *slot) window() int64 { return int64(s.packed>>countBits) * nanosPerMilli }

// expired: the window that was written down when it opened is over. (window()
// cannot overflow: packWindow capped it.)
func (s *slot) expired(now unit.MonoTime) bool { return int64(now-s.start) >= s.window() }

// packWindow rounds up to a millisecond, so that a cap never ends early.
func packWindow(d time.Duration) uint64 {
	ms := int64(d) / nanosPerMilli
	if int64(d)%nanosPerMilli != 0 {
		ms++
	}
	// The largest Duration is 9.2e12 ms; it fits 48 bits, and its nanoseconds
	// must still fit an int64 after the rounding.
	return uint64(min(ms, math.MaxInt64/nanosPerMilli)) & windowMillis
}

// Table counts impressions by (user, line item). Owned by one shard.
type Table struct {
	_     shards.Pad
	slots []slot // fixed after New
	seed  uint64 // immutable
	used  int    // slots not empty
	max   int    // Config.Entries
	hand  int    // where Sweep goes on
	stats Stats
	_     shards.Pad
}

// New takes the table's memory. Its slots hold no pointer, so the collector
// never looks inside.
func New(cfg Config) (*Table, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Table{slots: make([]slot, slotCount(cfg.Entries)), seed: cfg.Seed, max: cfg.Entries}, nil
}

// Count is how many impressions of line the user was given in the window that
// is open at now. window is the line item's present one: a window that the
// catalog made shorter applies at once, one made longer applies to windows that
// open from now on.
func (t *Table) Count(user unit.UserID, line unit.LineID, now unit.MonoTime, window time.Duration) uint16 {
	i, found, _ := t.find(user, line, now)
	if !found || !live(&t.slots[i], now, window) {
		return 0
	}
	return t.slots[i].count()
}

// Check says whether one more impression stays within limit, and whether it
// could be remembered. Check and Add in one callback agree, unless other Adds
// come between them; so a caller that places several impressions looks at Add's
// answer too.
func (t *Table) Check(user unit.UserID, line unit.LineID, now unit.MonoTime, window time.Duration, limit uint16) Verdict {
	if limit == 0 {
		return Capped
	}
	i, found, reusable := t.find(user, line, now)
	if found {
		if live(&t.slots[i], now, window) && t.slots[i].count() >= limit {
			return Capped
		}
		return Open
	}
	if reusable < 0 && !t.room(now) {
		t.stats.Full++
		return Full
	}
	return Open
}

// Add counts one impression and returns how many the window now holds; it stays
// at 65,535 from there on. ok is false when the table is full: nothing was
// counted and the impression must not be served.
func (t *Table) Add(user unit.UserID, line unit.LineID, now unit.MonoTime, window time.Duration) (count uint16, ok bool) {
	if window <= 0 {
		return 1, true // a window of no length holds this impression and is over
	}
	i, found, reusable := t.find(user, line, now)
	switch {
	case found && live(&t.slots[i], now, window):
		s := &t.slots[i]
		if s.count() < countMax {
			s.packed++
		}
		return s.count(), true
	case found: // this pair's own window is over: open the next in its place
	case reusable >= 0:
		// Every slot from the pair's home to here is in use, so a search for
		// the pair gets here: taking over keeps the probe order whole.
		i = reusable
		t.stats.Recycled++
	default:
		if t.used >= t.max {
			if !t.room(now) {
				t.stats.Full++
				return 0, false
			}
			i, _, _ = t.find(user, line, now) // sweeping moved slots
		}
		t.used++
	}
	t.slots[i] = slot{user: user, line: line, start: now, packed: packWindow(window)<<countBits | 1}
	return 1, true
}

// live: the slot counts at now for a line item whose window is now d long.
func live(s *slot, now unit.MonoTime, d time.Duration) bool {
	return int64(now-s.start) < int64(d) && !s.expired(now)
}

// find looks for the pair from its home slot on. found: i is its slot. Not
// found: i is the empty slot that ended the search, and reusable is the first
// expired slot on the way, or −1.
func (t *Table) find(user unit.UserID, line unit.LineID, now unit.MonoTime) (i int, found bool, reusable int) {
	reusable = -1
	for i = t.home(user, line); ; {
		s := &t.slots[i]
		if s.empty() {
			return i, false, reusable
		}
		if s.user == user && s.line == line {
			return i, true, reusable
		}
		if reusable < 0 && s.expired(now) {
			reusable = i
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

func (t *Table) home(user unit.UserID, line unit.LineID) int {
	// Both ids are well-mixed hashes already; the seed makes the result
	// unpredictable, the odd constants keep a zero id from erasing the other.
	hi, lo := bits.Mul64(uint64(user)^t.seed^0x9E3779B97F4A7C15, uint64(line)^bits.RotateLeft64(t.seed, 32)^0xD1B54A32D192ED03)
	h := (hi ^ lo) * 0xFF51AFD7ED558CCD
	// Multiply-shift instead of a mask: the size need not be a power of two.
	slot, _ := bits.Mul64(h, uint64(len(t.slots)))
	return int(slot)
}

// room makes sure one more slot may be used, sweeping a little if it has to.
func (t *Table) room(now unit.MonoTime) bool {
	if t.used >= t.max {
		t.Sweep(now, sweepWhenFull)
	}
	return t.used < t.max
}

// Sweep gives back the expired slots among the next n, going round the table,
// and returns how many. The shard calls it from a timer; n bounds the work of
// one call.
func (t *Table) Sweep(now unit.MonoTime, n int) int {
	swept := 0
	for ; n > 0; n-- {
		// A removal may pull another expired slot into this place: look again.
		for s := &t.slots[t.hand]; !s.empty() && s.expired(now); {
			t.remove(t.hand)
			swept++
		}
		if t.hand++; t.hand == len(t.slots) {
			t.hand = 0
		}
	}
	t.stats.Swept += uint64(swept)
	return swept
}

// remove empties slot i and closes the gap: each following slot of the run that
// may stand in the gap (its home is not between gap and slot) is moved into it.
// Tombstones would be simpler, and would make every miss of an old table walk a
// full run.
func (t *Table) remove(i int) {
	gap := i
	for j := i; ; {
		if j++; j == len(t.slots) {
			j = 0
		}
		s := &t.slots[j]
		if s.empty() {
			break
		}
		if home := t.home(s.user, s.line); distance(home, j, len(t.slots)) >= distance(gap, j, len(t.slots)) {
			t.slots[gap] = *s
			gap = j
		}
	}
	t.slots[gap] = slot{}
	t.used--
}

// distance is how many steps forward lead from a to b in a ring of n.
func distance(a, b, n int) int {
	if b >= a {
		return b - a
	}
	return b + n - a
}

// Len is the number of slots in use, expired ones that nobody met included.
func (t *Table) Len() int { return t.used }

// Stats is a copy of the counts.
func (t *Table) Stats() Stats {
	s := t.stats
	s.Entries, s.Capacity = uint64(t.used), uint64(t.max)
	return s
}
