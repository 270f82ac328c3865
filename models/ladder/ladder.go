package ladder

import (
	"errors"
	"fmt"
	"time"

	"millrace/codec/unit"
)

// Rung is how predictions are made, best first.
type Rung uint8

// Rungs.
const (
	Full Rung = iota
	Cached
	ColdStart
	Prior
)

// Rungs is how many there are.
const Rungs = 4

var rungNames = [Rungs]string{"full", "cached", "cold-start", "prior"}

func (r Rung) String() string {
	if r < Rungs {
		return rungNames[r]
	}
	return "unknown"
}

// Config of a Ladder. Immutable.
type Config struct {
	// CostMax is what predicting may cost a decision; more is late.
	CostMax time.Duration
	// Window is how long decisions are counted before they are judged, and
	// DecisionsMin how many a judgement needs at least: a window with fewer is
	// made longer.
	Window       time.Duration
	DecisionsMin uint32
	// DownPermille of a window's decisions bad: one rung down. Twice that share
	// or more: two.
	DownPermille uint32
	// UpPermille is what share of the probes may be bad for a climb.
	UpPermille uint32
	// ProbeEvery is one in how many decisions works one rung higher while the
	// ladder is not at Full. A power of two.
	ProbeEvery uint32
	// ProbesMin is how many probes a climb needs at least.
	ProbesMin uint32
	// HoldMin and HoldMax bound how long a rung is held before a climb.
	HoldMin, HoldMax time.Duration
}

// Default judges every 100 ms and climbs after 2 s to 2 min.
func Default() Config {
	return Config{
		CostMax: 2 * time.Millisecond, Window: 100 * time.Millisecond, DecisionsMin: 32, DownPermille: 100, UpPermille: 20,
		ProbeEvery: 32, ProbesMin: 16, HoldMin: 2 * time.Second, HoldMax: 2 * time.Minute,
	}
}

// Validate lists every fault.
func (c Config) Validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(c.CostMax <= 0, "cost_max: %v; give what predicting may cost a decision, such as 2ms", c.CostMax)
	fault(c.Window <= 0, "window: %v; give a time such as 100ms", c.Window)
	fault(c.DecisionsMin == 0, "decisions_min: 0; judge on at least 1 decision")
	fault(c.DownPermille == 0 || c.DownPermille > 1000, "down_permille: %d; give 1 to 1000", c.DownPermille)
	fault(c.UpPermille >= c.DownPermille, "up_permille: %d; it has to be below down_permille, %d, or the ladder flaps", c.UpPermille, c.DownPermille)
	fault(c.ProbeEvery < 2 || c.ProbeEvery&(c.ProbeEvery-1) != 0, "probe_every: %d; give a power of two from 2", c.ProbeEvery)
	fault(c.ProbesMin == 0, "probes_min: 0; climb on at least 1 probe")
	fault(c.HoldMin < c.Window, "hold_min: %v; it has to be window, %v, or more", c.HoldMin, c.Window)
	fault(c.HoldMax < c.HoldMin, "hold_max: %v; it has to be hold_min, %v, or more", c.HoldMax, c.HoldMin)
	return errors.Join(errs...)
}

// Ladder is one shard's. The zero Ladder is not ready: use New.
type Ladder struct {
	cfg  Config
	rung Rung

	since  unit.MonoTime // of the window
	total  uint32        // decisions of the window, probes apart
	bad    uint32
	probes uint32 // since the last change of rung, or the last bad run of them
	missed uint32 // probes that were bad
	turn   uint32 // decisions, for choosing probes

	changed unit.MonoTime        // when the rung last changed, or its probes were last found wanting
	holds   [Rungs]time.Duration // how long the rung below is held before a climb to this one
	onTrial bool                 // climbed here, and its hold not passed yet

	// Downs and Ups count changes by the rung that was left.
	Downs, Ups [Rungs]uint64
}

// New is a ladder at Full.
func New(cfg Config, now unit.MonoTime) Ladder {
	l := Ladder{cfg: cfg, since: now, changed: now}
	for r := range l.holds {
		l.holds[r] = cfg.HoldMin
	}
	return l
}

// Rung is the one in force.
func (l *Ladder) Rung() Rung { return l.rung }

// Choose is the rung of the next decision: the one in force or, for a probe,
// the one above. The decision keeps it to its end and reports it to Observe.
func (l *Ladder) Choose() Rung {
	if l.rung == Full {
		return Full
	}
	l.turn++
	if l.turn&(l.cfg.ProbeEvery-1) == 0 {
		return l.rung - 1
	}
	return l.rung
}

// Observe takes what a decision on a rung cost, and whether predicting failed
// on it (features missing, no score). Call it once a decision.
func (l *Ladder) Observe(on Rung, cost time.Duration, failed bool, now unit.MonoTime) {
	bad := uint32(0)
	if failed || cost > l.cfg.CostMax {
		bad = 1
	}
	switch {
	case on == l.rung:
		l.total++
		l.bad += bad
	case on+1 == l.rung:
		l.probes++
		l.missed += bad
	} // else of a rung that was left while the decision ran
	if now.Sub(l.since) >= l.cfg.Window && l.total >= l.cfg.DecisionsMin {
		l.judge(now)
	}
}

func (l *Ladder) judge(now unit.MonoTime) {
	bad, total := uint64(l.bad)*1000, uint64(l.total)
	down := uint64(l.cfg.DownPermille)
	l.since, l.total, l.bad = now, 0, 0
	switch {
	case bad >= down*total && l.rung != Prior:
		l.descend(bad >= 2*down*total, now)
		return
	case l.onTrial && now.Sub(l.changed) >= l.holds[l.rung]:
		// The climb has lasted for as long as it was waited for.
		l.onTrial, l.holds[l.rung] = false, l.cfg.HoldMin
	}
	if l.rung == Full || now.Sub(l.changed) < l.holds[l.rung-1] {
		return
	}
	if uint64(l.missed)*1000 > uint64(l.cfg.UpPermille)*uint64(l.probes) {
		// The rung above would not hold: look again after another hold.
		l.probes, l.missed, l.changed = 0, 0, now
		return
	}
	if l.probes >= l.cfg.ProbesMin {
		l.Ups[l.rung]++
		l.move(l.rung-1, now)
		l.onTrial = true
	}
}

func (l *Ladder) descend(far bool, now unit.MonoTime) {
	l.Downs[l.rung]++
	to := l.rung + 1
	switch {
	case l.onTrial:
		// The climb failed: back to the rung that held, and wait twice as long.
		l.holds[l.rung] = min(2*l.holds[l.rung], l.cfg.HoldMax)
	case far:
		to++
	}
	l.move(min(to, Prior), now)
}

func (l *Ladder) move(to Rung, now unit.MonoTime) {
	l.rung, l.changed, l.onTrial = to, now, false
	l.probes, l.missed = 0, 0
}
