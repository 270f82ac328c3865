package campaign

import (
	"slices"
	"time"

	"millrace/codec/unit"
)

// hours is a set of the 168 hours of a week, Monday 0:00 first.
type hours [3]uint64

func (h *hours) set(i int)      { h[i/64] |= 1 << (i % 64) }
func (h *hours) has(i int) bool { return h[i/64]>>(i%64)&1 != 0 }

const weekHours = 7 * 24

// schedule is the hours at which line items may serve, on the clocks of a zone.
// Line items with equal ones share it.
type schedule struct {
	zone *time.Location
	open hours
}

// hourOfWeek is the hour on the clocks of zone, and when it ends: at the next
// full hour, or earlier where the clocks are changed.
func hourOfWeek(zone *time.Location, now unit.WallTime) (hour int, ends unit.WallTime) {
	t := now.Time().In(zone)
	hour = (int(t.Weekday())+6)%7*24 + t.Hour()
	intoHour := time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	ends = now.Add(time.Hour - intoHour)
	if _, change := t.ZoneBounds(); !change.IsZero() {
		ends = min(ends, unit.WallTime(change.UnixNano()))
	}
	return hour, ends
}

// Activity is the line items that dates, dayparts and pauses let serve now. It
// is rebuilt only when one of them changes: at a start, an end, or the turn of
// an hour that a schedule speaks of. It depends on the snapshot and the time
// only. Owned by one shard.
type Activity struct {
	snapshot    *Snapshot
	from, until unit.WallTime
	set         Bitmap
	open        []bool // by schedule
}

// At is the set at a time: borrowed, until the next call.
func (a *Activity) At(s *Snapshot, now unit.WallTime) *Bitmap {
	if a.snapshot != s || now < a.from || now >= a.until {
		a.rebuild(s, now)
	}
	return &a.set
}

func (a *Activity) rebuild(s *Snapshot, now unit.WallTime) {
	a.snapshot, a.from, a.until = s, now, Never
	a.set.resizeDirty(len(s.Lines))
	copy(a.set.words, s.untimed)
	if cap(a.open) < len(s.schedules) {
		a.open = make([]bool, len(s.schedules))
	}
	a.open = a.open[:len(s.schedules)]
	for i := range s.schedules {
		hour, ends := 0, Never
		if i > 0 { // schedule 0 is always open
			hour, ends = hourOfWeek(s.schedules[i].zone, now)
		}
		a.open[i] = i == 0 || s.schedules[i].open.has(hour)
		a.until = min(a.until, ends)
	}
	for i := range s.timed {
		t := &s.timed[i]
		switch {
		case now >= t.end:
		case now < t.start:
			a.until = min(a.until, t.start)
		default:
			a.until = min(a.until, t.end)
			if a.open[t.schedule] {
				a.set.Set(t.line)
			}
		}
	}
}

// timedLine is what Activity needs of a line item that is not simply always
// on: 24 bytes, so that rebuilding walks little memory.
type timedLine struct {
	start, end unit.WallTime
	line       LineIndex
	schedule   uint32
}

// timeLines splits the line items into those always on, those that never are
// (paused), and those that depend on the time.
func (s *Snapshot) timeLines() {
	s.untimed = make([]uint64, wordsFor(len(s.Lines)))
	for i := range s.Lines {
		switch l := &s.Lines[i]; {
		case l.Paused:
		case l.Start <= 0 && l.End == Never && l.schedule == 0:
			s.untimed[i/64] |= 1 << (i % 64)
		default:
			s.timed = append(s.timed, timedLine{l.Start, l.End, LineIndex(i), l.schedule})
		}
	}
	s.timed = slices.Clip(s.timed)
}

// Expire makes the next At rebuild the set.
func (a *Activity) Expire() { a.until = a.from }
