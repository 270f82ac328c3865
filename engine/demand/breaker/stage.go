package breaker

import (
	"math"
	"time"

	"millrace/codec/unit"
)

// Rung is how much of the demand side is asked, most first.
type Rung uint8

// Rungs.
const (
	All Rung = iota
	Top
	FewTop
	Internal

	Rungs = 4
)

var rungNames = [Rungs]string{"all", "top", "few", "internal"}

func (r Rung) String() string { return rungNames[r] }

// StageConfig of a Stage. Immutable.
type StageConfig struct {
	// Down: a p95 above it for DownFor takes one rung; Up: one below it for
	// UpFor gives one back.
	Down    time.Duration
	DownFor time.Duration
	Up      time.Duration
	UpFor   time.Duration
	// Top and Few are how many partners are asked on the rungs of that name.
	Top, Few int
}

// Stage is the ladder of the whole demand side, by how long answers take.
//
//	All ─► Top ─► FewTop ─► Internal     p95 above Down for DownFor
//	All ◄─ Top ◄─ FewTop ◄─ Internal     p95 below Up for UpFor
//
// A p95 is of a window of a second, or of as long as it takes to have enough
// answers. Between Up and Down nothing changes and both clocks begin anew. The
// zero Stage is at All.
type Stage struct {
	rung Rung

	began, last         unit.MonoTime // of the window; of the last answer
	total, aboveDown    uint32
	notBelowUp          uint32
	badSince, goodSince unit.MonoTime // of the first window of an unbroken row
	bad, good           bool

	// Downs and Ups count changes.
	Downs, Ups uint64
}

const (
	stageWindow = time.Second
	stageLeast  = 20 // answers a window needs for a p95
	stageQuiet  = 10 * time.Second
)

// Rung in force.
func (s *Stage) Rung() Rung { return s.rung }

// Limit is how many partners may be asked; 0 is none.
func (s *Stage) Limit(cfg *StageConfig) int {
	switch s.rung {
	case All:
		return math.MaxInt
	case Top:
		return cfg.Top
	case FewTop:
		return cfg.Few
	}
	return 0
}

// Observe takes how long an answer took from the request's first byte,
// whoever was asked for it.
func (s *Stage) Observe(cfg *StageConfig, took time.Duration, now unit.MonoTime) {
	if now.Sub(s.last) > stageQuiet {
		// Nobody knows what would have been in between.
		s.bad, s.good, s.total, s.aboveDown, s.notBelowUp = false, false, 0, 0, 0
	}
	s.last = now
	if s.total == 0 {
		s.began = now
	}
	s.total++
	if took > cfg.Down {
		s.aboveDown++
	}
	if took >= cfg.Up {
		s.notBelowUp++
	}
	if now.Sub(s.began) >= stageWindow && s.total >= stageLeast {
		s.judge(cfg, now)
	}
}

func (s *Stage) judge(cfg *StageConfig, now unit.MonoTime) {
	// p95 > x: more than one in twenty is.
	bad, good := 20*s.aboveDown > s.total, 20*s.notBelowUp <= s.total
	began := s.began
	s.total, s.aboveDown, s.notBelowUp = 0, 0, 0
	if bad && !s.bad {
		s.badSince = began
	}
	if good && !s.good {
		s.goodSince = began
	}
	s.bad, s.good = bad, good
	switch {
	case bad && now.Sub(s.badSince) >= cfg.DownFor:
		s.badSince = now
		if s.rung < Internal {
			s.rung++
			s.Downs++
		}
	case good && now.Sub(s.goodSince) >= cfg.UpFor:
		s.goodSince = now
		if s.rung > All {
			s.rung--
			s.Ups++
		}
	}
}
