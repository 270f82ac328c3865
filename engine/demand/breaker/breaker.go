package breaker

import (
	"time"

	"millrace/codec/unit"
)

// Config of breakers. Immutable.
type Config struct {
	// Errors is the share of calls that fail, Invalid the share of bids that
	// break the rules, at which a circuit opens; both above 0 and up to 1.
	Errors, Invalid float64
	// P95 is the latency that no more than one call in twenty may reach, unless
	// more of them bring a bid: who is late now and then and bids in a third of
	// its calls is worth more asked than left alone.
	P95 time.Duration
	// Window is how far back is looked, Calls how many must be in it.
	Window time.Duration
	Calls  uint32
	// Row is how many in a row open a circuit whose window holds fewer.
	Row uint32
	// OpenMin and OpenMax bound how long a circuit stays open.
	OpenMin, OpenMax time.Duration
	// Probes is how many calls decide whether it closes.
	Probes uint32
}

// State of a circuit.
type State uint8

// States.
const (
	Closed State = iota
	Open
	HalfOpen
)

var stateNames = [...]string{"closed", "open", "half-open"}

func (s State) String() string { return stateNames[s] }

// Cause of the last opening.
type Cause uint8

// Causes. Others: what other shards' calls came to.
const (
	None Cause = iota
	Errors
	Slow
	Lies
	Silent
	RetryAfter
	ProbesBad
	Others
)

var causeNames = [...]string{"none", "errors", "slow", "lies", "silent", "retry-after", "probes", "others"}

func (c Cause) String() string { return causeNames[c] }

// Sample is what a call says.
type Sample struct {
	// Error: it failed. Silent: there was no answer, whether that is an error or
	// not: it may have been given up early.
	Error, Silent bool
	// Doubt is how much of an error the silence of a call is that was given up too
	// early to be one: 0 where who is well would have said nothing yet either.
	Doubt float32
	// Latency, or how long it was waited for.
	Latency time.Duration
	// Bids and Lies, of those, that break the rules.
	Bids, Lies uint32
	// Probe: it was sent as one.
	Probe bool
}

// parts of a window, in a ring.
const parts = 8

// retryMax bounds a Retry-After: a partner that names next year is probed
// sooner.
const retryMax = time.Hour

// lostAfter is when probes are sent again of which nothing was heard, after the
// last was sent.
const lostAfter = 10 * time.Second

type count struct{ calls, errors, silent, neutral, slow, bidding, offers, liars, bids, lies uint32 }

// Breaker is one circuit. The zero Breaker is closed.
type Breaker struct {
	state State
	cause Cause
	at    unit.MonoTime // of the last change of state; half open, of the last probe
	until unit.MonoTime // open until
	open  time.Duration // how long the last opening was; 0 = forgotten

	part    int
	began   unit.MonoTime // of the part
	window  [parts]count
	rows    rows
	probes  count
	sent    uint32 // probes, but for those whose results say nothing
	openeds uint64
}

// State in force.
func (b *Breaker) State() State { return b.state }

// Cause of the last opening.
func (b *Breaker) Cause() Cause { return b.cause }

// Until is when an open circuit is probed.
func (b *Breaker) Until() unit.MonoTime { return b.until }

// Opened counts openings.
func (b *Breaker) Opened() uint64 { return b.openeds }

// Probe asks for leave to send a probe through a half-open circuit.
func (b *Breaker) Probe(cfg *Config, now unit.MonoTime) bool {
	if b.state != HalfOpen || b.sent >= cfg.Probes {
		return false
	}
	b.sent++
	b.at = now
	return true
}

// Tick moves the window and lets an open circuit be probed when its time is
// over. Call it every tenth of a second or so.
func (b *Breaker) Tick(cfg *Config, now unit.MonoTime) {
	b.move(cfg, now)
	switch {
	case b.state == Open && now >= b.until:
		b.state, b.at = HalfOpen, now
		b.probes, b.sent = count{}, 0
	case b.state == HalfOpen && b.sent >= cfg.Probes && now.Sub(b.at) >= lostAfter:
		b.at, b.sent = now, b.probes.calls
	case b.state == Closed && b.open > 0 && now.Sub(b.at) >= b.open:
		b.open = 0
	}
}

func (b *Breaker) move(cfg *Config, now unit.MonoTime) {
	part := cfg.Window / parts
	passed := now.Sub(b.began)
	if passed < part {
		return
	}
	if passed >= cfg.Window {
		b.window, b.part, b.began = [parts]count{}, 0, now
		return
	}
	for ; passed >= part; passed -= part {
		b.part = (b.part + 1) % parts
		b.window[b.part] = count{}
		b.began = b.began.Add(part)
	}
}

func (c *count) add(cfg *Config, s *Sample) {
	switch {
	case s.Error:
		c.errors++
		c.calls++
	case s.Silent:
		c.neutral++
	default:
		c.calls++
	}
	if s.Silent {
		c.silent++
	}
	if s.Latency >= cfg.P95 {
		c.slow++
	}
	if s.Bids > s.Lies {
		c.bidding++
	}
	if s.Bids > 0 {
		c.offers++
	}
	if s.Lies > 0 {
		c.liars++
	}
	c.bids += s.Bids
	c.lies += s.Lies
}

// Observe takes what a call came to.
func (b *Breaker) Observe(cfg *Config, s *Sample, now unit.MonoTime) {
	switch {
	case b.state == Closed:
		b.move(cfg, now)
		b.window[b.part].add(cfg, s)
		b.rows.add(cfg, s, now)
		b.decide(cfg, now)
	case b.state == HalfOpen && s.Probe:
		b.probes.add(cfg, s)
		if s.Silent && !s.Error && b.sent > 0 {
			b.sent-- // another may be sent in its place
		}
		b.verdict(cfg, now)
	} // else it was sent before the circuit opened, and says nothing new
}

// decide opens a closed circuit that has to be.
func (b *Breaker) decide(cfg *Config, now unit.MonoTime) {
	if cause := b.judge(cfg); cause != None {
		b.opens(cfg, cause, now)
	}
}

// sum is what the window holds.
func (b *Breaker) sum() (n count) {
	for i := range b.window {
		w := &b.window[i]
		n.calls += w.calls
		n.errors += w.errors
		n.silent += w.silent
		n.neutral += w.neutral
		n.slow += w.slow
		n.bidding += w.bidding
		n.offers += w.offers
		n.liars += w.liars
		n.bids += w.bids
		n.lies += w.lies
	}
	return n
}

// judge is what opens a closed circuit.
func (b *Breaker) judge(cfg *Config) Cause {
	n := b.sum()
	all := n.calls + n.neutral
	switch {
	case n.calls >= cfg.Calls && float64(n.errors) >= cfg.Errors*float64(n.calls):
		return Errors
	case all >= cfg.Calls && n.silent == all:
		return Silent
	case all >= cfg.slowCalls() && 20*n.slow > all && n.slow >= n.bidding:
		return Slow
	case n.offers >= cfg.offers() && float64(n.lies) >= cfg.Invalid*float64(n.bids) && float64(n.liars) >= cfg.Invalid*float64(n.offers):
		return Lies
	}
	return b.rows.judge(cfg, &n)
}

// slowCalls is how many calls a p95 needs at least to be one, offers how many
// answers with bids a share of these.
func (c *Config) slowCalls() uint32 { return max(c.Calls, 40) }
func (c *Config) offers() uint32    { return max(c.Calls/4, 5) }

func (b *Breaker) opens(cfg *Config, cause Cause, now unit.MonoTime) {
	// An opening that follows a failed trial, or a short time of being closed,
	// is twice as long as the last.
	b.open = min(max(2*b.open, cfg.OpenMin), cfg.OpenMax)
	b.shut(cause, now, now.Add(b.open))
}

func (b *Breaker) shut(cause Cause, now, until unit.MonoTime) {
	b.state, b.cause, b.at, b.until = Open, cause, now, until
	b.window, b.rows = [parts]count{}, rows{}
	b.openeds++
}

// silentTimes is how many times as many probes as are needed may end early before
// those that did not decide.
const silentTimes = 3

// verdict closes a half-open circuit, or opens it again as soon as too many
// probes were bad. One that was given up early counts neither way: who takes its
// time where others have already bid would otherwise never be let back.
func (b *Breaker) verdict(cfg *Config, now unit.MonoTime) {
	n := &b.probes
	of := float64(cfg.Probes)
	if n.neutral >= silentTimes*cfg.Probes {
		of = float64(min(n.calls, cfg.Probes)) // no more are coming
	}
	bad := max(float64(n.errors)/cfg.Errors, float64(n.slow))
	if n.bids > 0 {
		bad = max(bad, float64(n.lies)/float64(n.bids)*float64(n.calls)/cfg.Invalid)
	}
	switch {
	case bad > 0.5*of || n.calls == 0 && n.neutral >= cfg.Probes:
		b.opens(cfg, ProbesBad, now)
	case float64(n.calls) >= of:
		b.state, b.at = Closed, now
		b.window, b.began, b.rows = [parts]count{}, now, rows{}
	}
}

// Hold opens the circuit for as long as a partner asked to be left alone. It
// reports whether that changed anything, and until when it holds.
func (b *Breaker) Hold(after time.Duration, now unit.MonoTime) (until unit.MonoTime, changed bool) {
	until = now.Add(min(after, retryMax))
	if after <= 0 || b.state == Open && b.until >= until {
		return b.until, false
	}
	if b.state == Open {
		b.until = until
		return until, true
	}
	b.shut(RetryAfter, now, until)
	return until, true
}
