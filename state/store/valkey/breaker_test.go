package valkey

import (
	"testing"
	"time"

	"millrace/codec/unit"
)

func TestBreaker(t *testing.T) {
	c := Default()
	c.FailuresMax, c.Backoff, c.BackoffMax = 2, 100, 300
	b := newBreaker(c)
	expect := func(now unit.MonoTime, allowed bool, s State) {
		t.Helper()
		if got := b.allow(now); got != allowed || b.current() != s {
			t.Fatalf("at %d: allowed %v, %v; want %v, %v", now, got, b.current(), allowed, s)
		}
	}
	expect(0, true, BreakerClosed)
	if b.failed(0) {
		t.Fatal("opened by the first failure of two")
	}
	b.succeeded()
	b.failed(0)
	expect(0, true, BreakerClosed) // a success in between: not in a row
	if !b.failed(0) {
		t.Fatal("closed after two failures")
	}
	expect(99, false, BreakerOpen)
	expect(100, true, BreakerHalfOpen)
	expect(100, false, BreakerHalfOpen) // one probe at a time
	for _, wait := range []time.Duration{200, 300, 300} {
		if !b.failed(1000) {
			t.Fatal("a probe that fails opens")
		}
		if b.failed(1000) {
			t.Fatal("a call from before opens it again")
		}
		expect(unit.MonoTime(1000).Add(wait-1), false, BreakerOpen)
		expect(unit.MonoTime(1000).Add(wait), true, BreakerHalfOpen)
	}
	b.succeeded()
	expect(1300, true, BreakerClosed)
	b.failed(1300)
	b.failed(1300)
	expect(1399, false, BreakerOpen) // the waits begin again
	expect(1400, true, BreakerHalfOpen)
}
