package profile

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"
	"unsafe"

	"millrace/codec/unit"
	"millrace/shards"
)

const (
	// A user may stand in any slot of one set: eight slots, whose tags fill half
	// a cache line, so that a stranger costs one miss and an acquaintance two.
	setWays = 8

	advertisersMax = 8
	categoriesMax  = 4
	linesMax       = 4

	// userBytes is a slot and its tag.
	userBytes = 256 + 4
	usersMax  = 1 << 28
)

// Lifetimes of the decayed counts: an event of so long ago counts 1/e.
const (
	// Day is the lifetime of the short counts.
	Day = 24 * time.Hour
	// Month is the lifetime of the long counts and of the affinities.
	Month = 30 * Day
)

// Never is how long ago something was that never was.
const Never = time.Duration(math.MaxInt64)

// UsersConfig is the size of a Users table. Immutable after NewUsers.
type UsersConfig struct {
	// Users is how many can be remembered; memory is 260 bytes each, taken at
	// once. Sets fill unevenly: leave a quarter more than are expected.
	Users int
	// Seed keys the hash, as Config.Seed does.
	Seed uint64
}

// DefaultUsers is room for 131,072 users: 34 MB.
func DefaultUsers() UsersConfig { return UsersConfig{Users: 1 << 17} }

// Validate lists every fault of the configuration, or is nil.
func (c UsersConfig) Validate() error {
	if c.Users < 1 || c.Users > usersMax {
		return fmt.Errorf("profile: Users is %d: give the number of users to remember, 1 to %d", c.Users, usersMax)
	}
	return nil
}

// Bytes is the memory a table of this configuration takes.
func (c UsersConfig) Bytes() int64 { return int64(setCount(c.Users)) * setWays * userBytes }

func setCount(users int) int { return (users + setWays - 1) / setWays }

// Event is something a user did.
type Event uint8

// Events that are remembered.
const (
	Impression Event = iota
	Click
)

// Subject is what an event was about: hashes of the ids, 0 for none.
type Subject struct{ Advertiser, Category, Line uint32 }

// affinity is what a user had to do with one advertiser, category or line.
// Counts are in 1/countUnit, decayed to seen.
type affinity struct {
	key         uint32
	seen        uint32 // seconds since the clock's start
	impressions uint16
	clicks      uint16
}

// countUnit: a count of 16 bits reaches 1,023 in steps of 1/64.
const countUnit = 64

// User is what is remembered of one: four cache lines, no pointer. It is the
// table's; a caller may read it until its next Add.
type User struct {
	id                    unit.UserID
	updated               unit.MonoTime // what the counts are decayed to
	impression            unit.MonoTime // the last one; never is noTime
	click                 unit.MonoTime
	impressions1, clicks1 float32
	impressions30         float32
	clicks30              float32
	_                     [16]byte
	advertisers           [advertisersMax]affinity
	categories            [categoriesMax]affinity
	lines                 [linesMax]affinity
}

const noTime = unit.MonoTime(math.MinInt64)

// UsersStats are a table's counts since NewUsers. They merge by addition.
type UsersStats struct {
	Users    uint64 // remembered now
	Capacity uint64
	Recycled uint64 // users forgotten for others
}

// Users remembers what users saw and clicked. Owned by one shard.
type Users struct {
	_     shards.Pad
	tags  []uint32 // 0 is an empty slot
	users []User
	sets  uint64
	seed  uint64
	stats UsersStats
	_     shards.Pad
}

// NewUsers takes the table's memory. It holds no pointer, so the collector
// never looks inside.
func NewUsers(cfg UsersConfig) (*Users, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if unsafe.Sizeof(User{})+4 != userBytes {
		return nil, errors.New("profile: the layout of User has changed; correct userBytes")
	}
	n := setCount(cfg.Users) * setWays
	u := &Users{
		tags: shards.AlignedSlice[uint32](n), users: shards.AlignedSlice[User](n),
		sets: uint64(setCount(cfg.Users)), seed: cfg.Seed,
	}
	u.stats.Capacity = uint64(n)
	return u, nil
}

// place is the first slot of the user's set, and the tag.
func (t *Users) place(id unit.UserID) (first int, tag uint32) {
	hi, lo := bits.Mul64(uint64(id)^t.seed^0x9E3779B97F4A7C15, 0xD1B54A32D192ED03^bits.RotateLeft64(t.seed, 32))
	h := (hi ^ lo) * 0xFF51AFD7ED558CCD
	set, _ := bits.Mul64(h, t.sets)
	return int(set) * setWays, uint32(h) | 1
}

// Find is the user, or nil for a stranger.
func (t *Users) Find(id unit.UserID) *User {
	first, tag := t.place(id)
	for i := first; i < first+setWays; i++ {
		if t.tags[i] == tag && t.users[i].id == id {
			return &t.users[i]
		}
	}
	return nil
}

// Add remembers an event. A new user in a full set takes the place of the one
// not heard of for longest.
func (t *Users) Add(id unit.UserID, e Event, about Subject, now unit.MonoTime) {
	u := t.Find(id)
	if u == nil {
		u = t.insert(id, now)
	}
	u.decay(now)
	if e == Click {
		u.clicks1++
		u.clicks30++
		u.click = now
	} else {
		u.impressions1++
		u.impressions30++
		u.impression = now
	}
	note(u.advertisers[:], about.Advertiser, e, now)
	note(u.categories[:], about.Category, e, now)
	note(u.lines[:], about.Line, e, now)
}

func (t *Users) insert(id unit.UserID, now unit.MonoTime) *User {
	first, tag := t.place(id)
	at := first
	for i := first; i < first+setWays; i++ {
		if t.tags[i] == 0 {
			at = i
			break
		}
		if t.users[i].updated < t.users[at].updated {
			at = i
		}
	}
	if t.tags[at] == 0 {
		t.stats.Users++
	} else {
		t.stats.Recycled++
	}
	t.tags[at] = tag
	t.users[at] = User{id: id, updated: now, impression: noTime, click: noTime}
	return &t.users[at]
}

// Stats is a copy of the counts.
func (t *Users) Stats() UsersStats { return t.stats }

// fade is what is left of a count after d.
func fade(d, lifetime time.Duration) float64 {
	if d <= 0 {
		return 1 // a clock that stepped back makes nothing grow
	}
	return math.Exp(-float64(d) / float64(lifetime))
}

// decay brings the counts to now.
func (u *User) decay(now unit.MonoTime) {
	d := now.Sub(u.updated)
	if d <= 0 {
		return
	}
	day, month := float32(fade(d, Day)), float32(fade(d, Month))
	u.impressions1 *= day
	u.clicks1 *= day
	u.impressions30 *= month
	u.clicks30 *= month
	u.updated = now
}

// Activity is what a user did altogether. Counts are exponentially decayed.
type Activity struct {
	Impressions1d, Clicks1d   float32
	Impressions30d, Clicks30d float32
	// How long ago the last were; Never.
	SinceImpression, SinceClick time.Duration
}

// Activity is the user's at now.
func (u *User) Activity(now unit.MonoTime) Activity {
	d := now.Sub(u.updated)
	day, month := float32(fade(d, Day)), float32(fade(d, Month))
	return Activity{
		Impressions1d: u.impressions1 * day, Clicks1d: u.clicks1 * day,
		Impressions30d: u.impressions30 * month, Clicks30d: u.clicks30 * month,
		SinceImpression: since(now, u.impression), SinceClick: since(now, u.click),
	}
}

func since(now, t unit.MonoTime) time.Duration {
	if t == noTime {
		return Never
	}
	return max(now.Sub(t), 0)
}

// Affinity is what a user had to do with one advertiser, category or line.
// Counts are decayed over a Month; Since is how long ago the last event was.
type Affinity struct {
	Impressions, Clicks float32
	Since               time.Duration
}

// Advertiser is the user's affinity to one of the advertisers remembered: those
// met last. Zero counts and Never for any other.
func (u *User) Advertiser(key uint32, now unit.MonoTime) Affinity {
	return find(u.advertisers[:], key, now)
}

// Category is the user's affinity to a category, likewise.
func (u *User) Category(key uint32, now unit.MonoTime) Affinity {
	return find(u.categories[:], key, now)
}

// Line is the user's affinity to a line item, likewise.
func (u *User) Line(key uint32, now unit.MonoTime) Affinity { return find(u.lines[:], key, now) }

func find(list []affinity, key uint32, now unit.MonoTime) Affinity {
	if key != 0 {
		for i := range list {
			if a := &list[i]; a.key == key {
				d := time.Duration(max(int64(wholeSeconds(now))-int64(a.seen), 0)) * time.Second
				left := float32(fade(d, Month)) / countUnit
				return Affinity{float32(a.impressions) * left, float32(a.clicks) * left, d}
			}
		}
	}
	return Affinity{Since: Never}
}

// note counts an event in the list. A key that is not in it takes an empty
// entry, or that of the key met longest ago; the first of equals.
func note(list []affinity, key uint32, e Event, now unit.MonoTime) {
	if key == 0 {
		return
	}
	seconds := wholeSeconds(now)
	at := 0
	for i := range list {
		if list[i].key == key {
			at = i
			break
		}
		if list[at].key != 0 && (list[i].key == 0 || list[i].seen < list[at].seen) {
			at = i
		}
	}
	a := &list[at]
	if a.key != key {
		*a = affinity{key: key, seen: seconds}
	}
	if seconds > a.seen {
		left := fade(time.Duration(seconds-a.seen)*time.Second, Month)
		a.impressions, a.clicks = faded(a.impressions, left), faded(a.clicks, left)
		a.seen = seconds
	}
	if e == Click {
		a.clicks = raised(a.clicks)
	} else {
		a.impressions = raised(a.impressions)
	}
}

// wholeSeconds is the time as an affinity keeps it: 136 years of it.
func wholeSeconds(t unit.MonoTime) uint32 {
	return uint32(min(max(int64(t)/int64(time.Second), 0), math.MaxUint32))
}

func faded(count uint16, left float64) uint16 { return uint16(float64(count)*left + 0.5) }

// raised adds one; it stays at the most there is.
func raised(count uint16) uint16 { return uint16(min(int(count)+countUnit, math.MaxUint16)) }
