package unit

import "time"

// MonoTime is nanoseconds on the node's monotonic clock since it started.
// Deadlines, leases and timers use it; it is never written to disk.
type MonoTime int64

// WallTime is nanoseconds since the Unix epoch, UTC.
type WallTime int64

// Add is t moved by d.
func (t MonoTime) Add(d time.Duration) MonoTime { return t + MonoTime(d) }

// Sub is the time from u to t.
func (t MonoTime) Sub(u MonoTime) time.Duration { return time.Duration(t - u) }

// Add is t moved by d.
func (t WallTime) Add(d time.Duration) WallTime { return t + WallTime(d) }

// Sub is the time from u to t.
func (t WallTime) Sub(u WallTime) time.Duration { return time.Duration(t - u) }

// Unix is whole seconds since the epoch.
func (t WallTime) Unix() int64 { return int64(t) / int64(time.Second) }

// Time is t as a time.Time in UTC, for calendars and display.
func (t WallTime) Time() time.Time { return time.Unix(0, int64(t)).UTC() }

// WallFromUnix is the wall time of whole seconds since the epoch.
func WallFromUnix(seconds int64) WallTime { return WallTime(seconds * int64(time.Second)) }

// Day is a calendar day in some time zone: days since 1970-01-01.
type Day int32

// DayIn is the calendar day of t in loc.
func (t WallTime) DayIn(loc *time.Location) Day {
	y, m, d := t.Time().In(loc).Date()
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// Start is the first instant of the day in loc. Where midnight does not exist
// (a DST jump) it is the first instant after the gap.
func (d Day) Start(loc *time.Location) WallTime {
	y, m, dd := time.Unix(int64(d)*86400, 0).UTC().Date()
	t := time.Date(y, m, dd, 0, 0, 0, 0, loc)
	// time.Date normalises a missing midnight to either side of the gap.
	for WallTime(t.UnixNano()).DayIn(loc) < d {
		t = t.Add(15 * time.Minute)
	}
	return WallTime(t.UnixNano())
}
