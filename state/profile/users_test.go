package profile

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"millrace/codec/unit"
)

// naiveUser is everything a user ever did, in order.
type naiveUser []naiveEvent

type naiveEvent struct {
	e     Event
	about Subject
	at    unit.MonoTime
}

// count is the decayed number of events that match, by the definition.
func (u naiveUser) count(e Event, lifetime time.Duration, now unit.MonoTime) (sum float64) {
	for _, x := range u {
		if x.e == e {
			sum += math.Exp(-float64(now.Sub(x.at)) / float64(lifetime))
		}
	}
	return sum
}

func (u naiveUser) since(e Event, now unit.MonoTime) time.Duration {
	for i := len(u) - 1; i >= 0; i-- {
		if u[i].e == e {
			return now.Sub(u[i].at)
		}
	}
	return Never
}

// affinity is what a list that keeps the last n keys met should say: events of
// the key since it was last forgotten.
func (u naiveUser) affinity(of func(Subject) uint32, n int, key uint32, now unit.MonoTime) (a Affinity) {
	kept := []uint32{} // the one met last at the end
	a.Since = Never
	for _, x := range u {
		k := of(x.about)
		if k == 0 {
			continue
		}
		for i, have := range kept {
			if have == k {
				kept = append(kept[:i:i], kept[i+1:]...)
				break
			}
		}
		if kept = append(kept, k); len(kept) > n {
			if kept[0] == key {
				a = Affinity{Since: Never}
			}
			kept = kept[1:]
		}
		if k != key {
			continue
		}
		left := float32(math.Exp(-float64(now.Sub(x.at)) / float64(Month)))
		if x.e == Click {
			a.Clicks += left
		} else {
			a.Impressions += left
		}
		a.Since = now.Sub(x.at)
	}
	return a
}

func near(got, want float32, slack float64) bool {
	return math.Abs(float64(got-want)) <= slack+1e-3*math.Abs(float64(want))
}

func expectAffinity(t *testing.T, what string, got, want Affinity, events int) {
	t.Helper()
	// Every event may round a count by half a step.
	slack := float64(events) / countUnit / 2
	if !near(got.Impressions, want.Impressions, slack) || !near(got.Clicks, want.Clicks, slack) || got.Since != want.Since {
		t.Fatalf("%s: %+v, want %+v", what, got, want)
	}
}

// TestUsersAgainstMap: with room for all, the table says what the whole history
// says by the definitions.
func TestUsersAgainstMap(t *testing.T) {
	seeds := 6
	if testing.Short() {
		seeds = 1
	}
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		tab, err := NewUsers(UsersConfig{Users: 400, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		naive, now := map[unit.UserID]naiveUser{}, unit.MonoTime(0)
		for range 3000 {
			now = now.Add(time.Duration(1+r.IntN(1<<r.IntN(18))) * time.Second)
			id := unit.UserID(r.IntN(40))
			x := naiveEvent{Event(r.IntN(2)), Subject{uint32(r.IntN(14)), uint32(r.IntN(6)), uint32(r.IntN(7))}, now}
			tab.Add(id, x.e, x.about, now)
			naive[id] = append(naive[id], x)
			expectUser(t, tab, naive, unit.UserID(r.IntN(45)), now.Add(time.Duration(r.IntN(100))*time.Second))
		}
		if s := tab.Stats(); s.Users != 40 || s.Recycled != 0 {
			t.Fatalf("%+v: want 40 users, none forgotten", s)
		}
	}
}

func expectUser(t *testing.T, tab *Users, naive map[unit.UserID]naiveUser, id unit.UserID, now unit.MonoTime) {
	t.Helper()
	u, n := tab.Find(id), naive[id]
	if (u == nil) != (n == nil) {
		t.Fatalf("user %d: found %v, has %d events", id, u != nil, len(n))
	}
	if u == nil {
		return
	}
	a := u.Activity(now)
	for _, c := range []struct {
		got      float32
		e        Event
		lifetime time.Duration
	}{{a.Impressions1d, Impression, Day}, {a.Clicks1d, Click, Day}, {a.Impressions30d, Impression, Month}, {a.Clicks30d, Click, Month}} {
		if want := float32(n.count(c.e, c.lifetime, now)); !near(c.got, want, 1e-3) {
			t.Fatalf("user %d, %v over %v: %v, want %v", id, c.e, c.lifetime, c.got, want)
		}
	}
	if a.SinceImpression != n.since(Impression, now) || a.SinceClick != n.since(Click, now) {
		t.Fatalf("user %d: %+v", id, a)
	}
	for key := range uint32(14) {
		expectAffinity(t, "advertiser", u.Advertiser(key, now), n.affinity(func(s Subject) uint32 { return s.Advertiser }, advertisersMax, key, now), len(n))
		expectAffinity(t, "category", u.Category(key, now), n.affinity(func(s Subject) uint32 { return s.Category }, categoriesMax, key, now), len(n))
		expectAffinity(t, "line", u.Line(key, now), n.affinity(func(s Subject) uint32 { return s.Line }, linesMax, key, now), len(n))
	}
}

// TestUsersForgetTheOldest: a full set gives the place of the one not heard of
// for longest, and never grows.
func TestUsersForgetTheOldest(t *testing.T) {
	tab, err := NewUsers(UsersConfig{Users: setWays})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		now := unit.MonoTime(time.Duration(i) * time.Second)
		tab.Add(unit.UserID(1), Impression, Subject{}, now) // comes back all the time
		tab.Add(unit.UserID(100+i), Impression, Subject{}, now)
		for back := range 100 {
			want := back < setWays-1 && back <= i
			if got := tab.Find(unit.UserID(100+i-back)) != nil; got != want && i >= back {
				t.Fatalf("after %d users: the one %d ago remembered %v, want %v", i+1, back, got, want)
			}
		}
	}
	if tab.Find(1) == nil {
		t.Error("the user who always comes back was forgotten")
	}
	if s := tab.Stats(); s.Users != setWays || s.Capacity != setWays || s.Recycled != 100+1-setWays {
		t.Errorf("%+v", s)
	}
}

func TestUsersExtremes(t *testing.T) {
	tab, _ := NewUsers(UsersConfig{Users: 1})
	about := Subject{1, 2, 3}
	for range 3000 {
		tab.Add(1, Impression, about, 5)
	}
	u := tab.Find(1)
	if a := u.Advertiser(1, 5); a.Impressions < 1023 || a.Impressions > 1024 || a.Since != 0 {
		t.Errorf("a count that saturates: %+v", a)
	}
	tab.Add(1, Click, about, 0) // a clock that stepped back
	if a := tab.Find(1).Activity(0); a.Impressions1d != 3000 || a.Clicks1d != 1 || a.SinceImpression != 0 {
		t.Errorf("%+v", a)
	}
	if a := u.Activity(math.MaxInt64); a.Impressions30d != 0 || a.Clicks30d != 0 {
		t.Errorf("after all of time: %+v", a)
	}
	tab.Add(1, Impression, about, math.MaxInt64)
	if a := tab.Find(1).Advertiser(1, math.MaxInt64); a.Impressions != 1 {
		t.Errorf("at the end of time: %+v", a)
	}
	for _, n := range []int{0, -1, usersMax + 1} {
		if _, err := NewUsers(UsersConfig{Users: n}); err == nil {
			t.Errorf("Users %d accepted", n)
		}
	}
	if err := DefaultUsers().Validate(); err != nil {
		t.Error(err)
	}
}

// TestUserLayout: what is stated of memory.
func TestUserLayout(t *testing.T) {
	if n := unsafe.Sizeof(User{}); n != 256 {
		t.Errorf("a user is %d bytes, want 256: four cache lines", n)
	}
	const users = 10_000_000
	bytes := UsersConfig{Users: users * 5 / 4}.Bytes()
	t.Logf("10 M users with a quarter to spare: %.2f GB", float64(bytes)/1e9)
	if bytes > 8e9/2 {
		t.Errorf("10 M users take %d bytes", bytes)
	}
}

func TestAllocUsers(t *testing.T) {
	tab, _ := NewUsers(UsersConfig{Users: 1000})
	now, id, sum := unit.MonoTime(0), unit.UserID(0), float32(0)
	if n := testing.AllocsPerRun(5000, func() {
		id++
		now += unit.MonoTime(time.Minute)
		tab.Add(id%3000, Event(id%2), Subject{uint32(id % 20), uint32(id % 9), uint32(id % 30)}, now)
		u := tab.Find(id % 3000)
		sum += u.Activity(now).Impressions1d + u.Advertiser(uint32(id%20), now).Clicks
	}); n != 0 || sum == 0 {
		t.Fatalf("%v allocations, sum %v", n, sum)
	}
}

func BenchmarkUsers(b *testing.B) {
	const users = 1 << 18
	tab, _ := NewUsers(UsersConfig{Users: users, Seed: 1})
	for i := range users {
		tab.Add(unit.UserID(i), Impression, Subject{1, 1, 1}, unit.MonoTime(i))
	}
	sum := float32(0)
	b.Run("find", func(b *testing.B) {
		for i := range b.N {
			if u := tab.Find(unit.UserID(i * 7919 % users)); u != nil {
				sum += u.Activity(1 << 30).Impressions1d
			}
		}
	})
	b.Run("add", func(b *testing.B) {
		for i := range b.N {
			tab.Add(unit.UserID(i*7919%users), Event(i&1), Subject{uint32(i), uint32(i & 7), uint32(i & 3)}, unit.MonoTime(i)<<20)
		}
	})
	b.Logf("sum %v", sum)
}
