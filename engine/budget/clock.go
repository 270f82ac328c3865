package budget

import (
	"time"

	"millrace/codec/unit"
)

// sliceMax is how many accounts one call works on before it yields the shard.
const sliceMax = 2048

// zone is one time zone in use: the day its accounts live in.
type zone struct {
	loc   *time.Location
	day   unit.Day
	start unit.WallTime // of the day
	end   unit.WallTime // of the day: the start of the next
	open  unit.WallTime // spending allowed from here
	stop  unit.WallTime // to here
	// stopMono is stop by the monotonic clock, as it looked when the day began:
	// a wall clock that is set back does not prolong the day.
	stopMono unit.MonoTime
	dayMono  unit.MonoTime // stopMono, if leases have no end before
	rolled   int32         // slots below it are in the day; rolls go on while < len(slots)
	rolling  bool
}

// zoneOf is the index of a location's zone; nil is UTC.
func (b *Broker) zoneOf(loc *time.Location, now unit.MonoTime, wall unit.WallTime) uint16 {
	if loc == nil {
		loc = time.UTC
	}
	for i := range b.zones {
		if b.zones[i].loc == loc || b.zones[i].loc.String() == loc.String() {
			return uint16(i)
		}
	}
	z := zone{loc: loc}
	// Within the margin after midnight it is still the day before, closed.
	z.set(wall.Add(-b.cfg.MidnightMargin).DayIn(loc), b.cfg.MidnightMargin, now, wall)
	z.stopMono = b.lasts(z.dayMono)
	b.zones = append(b.zones, z)
	return uint16(len(b.zones) - 1)
}

func (z *zone) set(day unit.Day, margin time.Duration, now unit.MonoTime, wall unit.WallTime) {
	z.day = day
	z.start, z.end = day.Start(z.loc), (day + 1).Start(z.loc)
	z.open, z.stop = z.start.Add(margin), z.end.Add(-margin)
	z.dayMono = now.Add(z.stop.Sub(wall))
}

// dayOf is the day in which a bucket lies: buckets never straddle a midnight.
func (z *zone) dayOf(number, width int64) unit.Day {
	at := unit.WallFromUnix(number * width)
	if at >= z.start && at < z.end {
		return z.day
	}
	return at.DayIn(z.loc)
}

// Timer continues what After announced.
func (b *Broker) Timer(kind uint8, arg uint64, now unit.MonoTime, wall unit.WallTime) {
	b.now, b.wall = now, wall
	switch kind {
	case TimerTick:
		b.tick(now, wall)
	case TimerFlush:
		b.flushing = false
		b.unsent = true
	case TimerWork:
		b.working = false
		b.work(now)
	}
	b.flush()
}

// tick looks at the clock: days that end, buckets that are void, dead leases
// that are over, answers that are overdue, shards that wait.
func (b *Broker) tick(now unit.MonoTime, wall unit.WallTime) {
	b.now, b.wall = now, wall
	next := b.cfg.TickEvery
	for i := range b.zones {
		z := &b.zones[i]
		if over := z.end.Add(b.cfg.MidnightMargin); wall >= over {
			z.set(wall.Add(-b.cfg.MidnightMargin).DayIn(z.loc), b.cfg.MidnightMargin, now, wall)
			z.stopMono = b.lasts(z.dayMono)
			z.rolling, z.rolled = true, 0
		} else if left := over.Sub(wall); left < next {
			next = max(left, time.Millisecond)
		}
	}
	b.work(now)
	b.releaseDead(now, wall)
	b.dropPages(wall)
	b.retry(now)
	b.renew(now)
	b.hungryTick()
	b.askFirst()
	b.fx.After(next, TimerTick, 0)
}

// work does what was put off, a slice at a time.
func (b *Broker) work(now unit.MonoTime) {
	left := sliceMax
	for i := range b.zones {
		if z := &b.zones[i]; z.rolling {
			left = b.rollZone(uint16(i), z, left)
		}
	}
	if !b.draining {
		left = b.sweep(left)
	}
	b.pump(now)
	if left <= 0 {
		b.pumpLater()
	}
}

// rollZone moves the accounts of a zone into its new day.
func (b *Broker) rollZone(index uint16, z *zone, left int) int {
	for ; left > 0; z.rolled++ {
		if int(z.rolled) == len(b.slots) {
			z.rolling = false
			return left
		}
		if sl := &b.slots[z.rolled]; sl.zone == index && sl.day < z.day {
			b.rollSlot(z.rolled, z.day)
			left--
		}
	}
	return left
}

// rollSlot ends the lease of the day before: what is available goes back, what
// is reserved stays until it is posted or void. The home asks for the new day.
func (b *Broker) rollSlot(s int32, day unit.Day) {
	sl := &b.slots[s]
	if day <= sl.day {
		return
	}
	if sl.home != none {
		// Into the pool, past whoever is hungry: setDay returns all of it.
		b.homes[sl.home].pool += sl.avail
		sl.avail = 0
	}
	b.giveUp(s)
	b.setDay(s, day)
	if sl.home != none && sl.active {
		b.homes[sl.home].initial = true
		b.requestGrant(sl.home)
	}
}

// setDay moves an account without available money to a day.
func (b *Broker) setDay(s int32, day unit.Day) {
	sl := &b.slots[s]
	if day == sl.day {
		return
	}
	if sl.home != none {
		h := &b.homes[sl.home]
		b.closePool(sl.home)
		h.day, h.exhausted, h.elsewhere.InDay = day, false, 0
	}
	sl.day, sl.asked = day, 0
	b.terms[s].postedDay = 0
	b.setWet(sl)
}

// openBucket begins the bucket of second sec; what its ring entry still holds
// of long ago is voided first.
func (b *Broker) openBucket(sec int64) {
	number := sec / b.width
	entry := int(number & (ring - 1))
	if k := &b.buckets[entry]; k.number != number || !k.used {
		if k.used {
			b.sweepBucket(entry, 1<<30)
		}
		k.number, k.used, k.swept = number, true, 0
		k.slots = k.slots[:0]
	}
	b.current, b.bucketEnd = entry, (number+1)*b.width
}

// sweep voids what was reserved longer than the TTL ago, by the wall clock or by
// our own: one that was set back would keep reservations for as long as the step.
func (b *Broker) sweep(left int) int {
	sec := max(b.issued, b.wall.Unix())
	for entry := range b.buckets {
		k := &b.buckets[entry]
		if old := (k.number+1)*b.width+b.ttl <= sec || int64(b.now.Sub(k.last)) >= (b.ttl+b.width)*1e9; left > 0 && k.used && old {
			left = b.sweepBucket(entry, left)
		}
	}
	return left
}

func (b *Broker) sweepBucket(entry, left int) int {
	k := &b.buckets[entry]
	for ; k.swept < len(k.slots) && left > 0; k.swept++ {
		b.void(k.slots[k.swept], entry)
		left--
	}
	if k.swept == len(k.slots) {
		k.used = false
		if entry == b.current {
			b.bucketEnd = 0 // the next reservation opens a bucket anew
		}
	}
	return left
}

// void makes what is left of one account's bucket available again, or returns
// it when its day is over.
func (b *Broker) void(s int32, entry int) {
	sl, row := &b.slots[s], &b.pending[s][entry]
	amount := row[Exact] + row[Expected]
	row[Exact], row[Expected] = 0, 0
	sl.mask &^= 1 << entry
	if amount == 0 {
		return
	}
	day := b.zones[sl.zone].dayOf(b.buckets[entry].number, b.width)
	if day != sl.day || !sl.active || sl.recalled {
		b.sendBack(s, amount, day)
		return
	}
	sl.avail += amount
	b.funds++
	b.setWet(sl)
}

// voidAll ends all reservations of an account: its zone changes, and with it
// the days its buckets belong to.
func (b *Broker) voidAll(s int32) {
	for entry := range b.buckets {
		if b.slots[s].mask>>entry&1 != 0 {
			b.void(s, entry)
			// It stays listed in the bucket; a void of nothing is harmless.
		}
	}
}
