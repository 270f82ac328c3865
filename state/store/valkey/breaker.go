package valkey

import (
	"sync"
	"time"

	"millrace/codec/unit"
)

// State is what a breaker does with calls.
type State uint8

// States of a breaker.
const (
	// BreakerClosed lets all calls through.
	BreakerClosed State = iota
	// BreakerHalfOpen lets one through, to see.
	BreakerHalfOpen
	// BreakerOpen lets none through.
	BreakerOpen
)

// String is the state's name.
func (s State) String() string { return [...]string{"closed", "half-open", "open"}[s] }

// breaker keeps calls from a server that does not answer: they would only wait.
// The time is given to it.
type breaker struct {
	failuresMax         int
	backoff, backoffMax time.Duration

	mu       sync.Mutex
	state    State
	failures int
	wait     time.Duration // of the next time that it opens
	until    unit.MonoTime
	probing  bool
}

func newBreaker(c Config) *breaker {
	return &breaker{failuresMax: c.FailuresMax, backoff: c.Backoff, backoffMax: c.BackoffMax, wait: c.Backoff}
}

// allow tells whether a call may go; one that may must be told of by succeeded
// or failed.
func (b *breaker) allow(now unit.MonoTime) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state == BreakerClosed:
		return true
	case b.probing || now < b.until:
		return false
	}
	b.state, b.probing = BreakerHalfOpen, true
	return true
}

func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.probing, b.failures, b.wait = BreakerClosed, false, 0, b.backoff
}

// failed is true when the breaker opens by it.
func (b *breaker) failed(now unit.MonoTime) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if b.state == BreakerOpen || b.state == BreakerClosed && b.failures < b.failuresMax {
		return false // of a call that went before the breaker opened, or too few
	}
	b.state, b.probing = BreakerOpen, false
	b.until = now.Add(b.wait)
	b.wait = min(2*b.wait, b.backoffMax)
	return true
}

func (b *breaker) current() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}
