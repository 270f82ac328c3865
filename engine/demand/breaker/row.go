package breaker

import (
	"time"

	"millrace/codec/unit"
)

// rows are what went wrong without anything in between that went well: how a
// circuit is judged while its window holds too few calls for a share of them to
// mean something.
//
// Who fails a quarter of its calls, which is the most that closes a circuit by
// default, fails five in a row once in some 1,400 calls; who fails one in ten,
// once in 110,000. At the traffic for which rows are there that is hours, and
// costs the shortest opening. Who has stopped answering fails them at once.
//
// That holds where calls fail for reasons of their own. Those that are under way
// when a connection breaks do not: so what fails within gap of the last failure
// that counted is the same failure.
type rows struct {
	failed, slow, lies row
	node               row  // of whatever kind, on all shards
	told               bool // some of node's were other shards'
	silent             bool // the last of failed was given up early
}

type row struct {
	n  float32
	at unit.MonoTime // of the last that counted
}

func (r *row) add(weight float32, gap time.Duration, now unit.MonoTime) {
	if weight > 0 && (r.n == 0 || now.Sub(r.at) >= gap) {
		r.n += weight
		r.at = now
	}
}

// gap is how far apart failures are to be two: so far as calls are at the traffic
// that fills the window.
func (c *Config) gap() time.Duration { return c.Window / time.Duration(c.Calls) }

// add takes a call.
func (r *rows) add(cfg *Config, s *Sample, now unit.MonoTime) {
	gap := cfg.gap()
	switch {
	case s.Error:
		r.failed.add(1, gap, now)
		r.silent = false
	case s.Silent:
		r.failed.add(min(s.Doubt, 1), gap, now)
		r.silent = true
	default:
		r.failed.n = 0
	}
	switch cfg.Says(s) {
	case Ill:
		r.node.add(1, gap, now)
	case Well:
		r.node.n, r.told = 0, false
	}
	switch {
	case s.Latency >= cfg.P95:
		r.slow.add(1, gap, now)
	case !s.Error && !s.Silent:
		r.slow.n = 0
	}
	switch {
	case s.Bids == 0:
	case s.Lies >= s.Bids:
		r.lies.add(1, gap, now)
	default:
		r.lies.n = 0
	}
}

// judge is what opens a closed circuit whose window says nothing yet.
func (r *rows) judge(cfg *Config, n *count) Cause {
	all, need := n.calls+n.neutral, float32(cfg.Row)
	switch {
	case all < cfg.Calls && r.failed.n >= need && r.silent:
		return Silent
	case all < cfg.Calls && r.failed.n >= need:
		return Errors
	case all < cfg.slowCalls() && r.slow.n >= need:
		return Slow
	case n.offers < cfg.offers() && r.lies.n >= need:
		return Lies
	case all < cfg.Calls && r.told && r.node.n >= need:
		return Others
	}
	return None
}

// Verdict is what one call says of its partner by itself.
type Verdict uint8

// Verdicts.
const (
	Nothing Verdict = iota
	Well
	Ill
)

// Says is what a call says.
func (c *Config) Says(s *Sample) Verdict {
	switch {
	case s.Error || s.Doubt >= 1 || s.Latency >= c.P95 || s.Bids > 0 && s.Lies >= s.Bids:
		return Ill
	case s.Silent:
		return Nothing
	}
	return Well
}

// Told takes how many calls of another shard went well in a time, and how many
// ill: where each shard asks too seldom to know, all of them do.
func (b *Breaker) Told(cfg *Config, well, ill uint32, now unit.MonoTime) {
	if b.state != Closed {
		return
	}
	switch r := &b.rows; {
	case well > 0:
		r.node.n, r.told = 0, false
	case ill > 0:
		r.node.add(1, cfg.gap(), now)
		r.told = true
		b.move(cfg, now)
		b.decide(cfg, now)
	}
}
