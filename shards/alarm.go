package shards

import (
	"time"

	"millrace/codec/unit"
)

// alarm wakes a shard's owner when its next timer is due. It belongs to the
// owner; only rang is written elsewhere.
//
// An alarm that was set stays set when the owner is woken by something else: most
// parks wait for the timer the last one waited for. So it may ring while the owner
// is awake, which then looks once for nothing when it parks.
type alarm struct {
	rang  chan struct{} // holds one
	at    unit.MonoTime // what it is set to, NoDeadline: nothing
	after func(time.Duration)
	close func()
}

func newAlarm() *alarm {
	a := &alarm{rang: make(chan struct{}, 1), at: NoDeadline}
	if !a.precise() {
		a.coarse()
	}
	return a
}

// set makes it ring at a time that is a duration from now.
func (a *alarm) set(at unit.MonoTime, in time.Duration) {
	if a.at != at {
		a.at = at
		a.after(in)
	}
}

// heard is called by whoever received from rang.
func (a *alarm) heard() { a.at = NoDeadline }

// ring runs on a goroutine of the timer's.
func (a *alarm) ring() {
	select {
	case a.rang <- struct{}{}:
	default:
	}
}

// coarse uses the runtime's timers, which ring up to a millisecond late in an
// idle process: it sleeps by whole milliseconds.
func (a *alarm) coarse() {
	t := time.AfterFunc(time.Hour, a.ring)
	t.Stop()
	a.after = func(d time.Duration) { t.Reset(d) }
	a.close = func() { t.Stop() }
}
