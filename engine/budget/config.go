package budget

import (
	"errors"
	"fmt"
	"time"
)

// Config of the brokers of a node.
type Config struct {
	// ReservationTTL: how long a win holds its money for the event.
	ReservationTTL time.Duration
	// TokenTTL: how long events of a win are accepted, and remembered.
	TokenTTL time.Duration
	// MidnightMargin: no spending, no grants this long around local midnight.
	MidnightMargin time.Duration
	// LeaseHorizon and ShareHorizon: a lease (a shard's share) is sized to
	// last this long at the observed rate.
	LeaseHorizon time.Duration
	ShareHorizon time.Duration
	// LeaseMin, in nanos: no lease is asked for less, while there is more.
	LeaseMin int64
	// DriftMax is how much slower, in thousandths, this node's monotonic clock may
	// run than the store's: by so much earlier a lease that ends is over here.
	DriftMax int
	// StoreTimeout: an unanswered request to the store is repeated.
	StoreTimeout time.Duration
	// StoreWindow: at most so many requests of a shard wait at the store.
	StoreWindow int
	// RetryEvery: pause before refused messages are sent again.
	RetryEvery time.Duration
	// TickEvery: the longest pause between two looks at the clock.
	TickEvery time.Duration
	// ExhaustedRetry: how often a dry account's store is asked again though
	// nothing is known to have changed.
	ExhaustedRetry time.Duration
	// SeenPagesMax bounds the memory for remembered wins, 24 KiB a page of
	// 65,536 wins; the oldest page is dropped, its events are then Unknown.
	SeenPagesMax int
}

// Default is the configuration of money.md.
func Default() Config {
	return Config{
		ReservationTTL: 5 * time.Minute,
		TokenTTL:       24 * time.Hour,
		MidnightMargin: 200 * time.Millisecond,
		LeaseHorizon:   10 * time.Second,
		ShareHorizon:   time.Second,
		LeaseMin:       50_000_000,
		DriftMax:       20,
		StoreTimeout:   500 * time.Millisecond,
		StoreWindow:    512,
		RetryEvery:     time.Millisecond,
		TickEvery:      250 * time.Millisecond,
		ExhaustedRetry: 30 * time.Second,
		SeenPagesMax:   16384,
	}
}

// Validate lists every fault.
func (c *Config) Validate() error {
	var faults []error
	positive := func(name string, ok bool) {
		if !ok {
			faults = append(faults, fmt.Errorf("budget.%s: must be above zero", name))
		}
	}
	positive("lease_horizon", c.LeaseHorizon > 0)
	positive("share_horizon", c.ShareHorizon > 0)
	positive("lease_min", c.LeaseMin > 0)
	positive("store_timeout", c.StoreTimeout > 0)
	positive("store_window", c.StoreWindow > 0)
	positive("retry_every", c.RetryEvery > 0)
	positive("tick_every", c.TickEvery > 0)
	positive("exhausted_retry", c.ExhaustedRetry > 0)
	positive("seen_pages_max", c.SeenPagesMax > 0)
	if c.ReservationTTL < time.Second || c.ReservationTTL > 3*time.Hour {
		faults = append(faults, fmt.Errorf("budget.reservation_ttl: %v, want between 1s and 3h", c.ReservationTTL))
	}
	if c.TokenTTL < c.ReservationTTL {
		faults = append(faults, fmt.Errorf("budget.token_ttl: %v is shorter than reservation_ttl (%v)", c.TokenTTL, c.ReservationTTL))
	}
	if c.DriftMax < 0 || c.DriftMax > 500 {
		faults = append(faults, fmt.Errorf("budget.drift_max: %d thousandths, want between 0 and 500", c.DriftMax))
	}
	if c.MidnightMargin < 0 || c.MidnightMargin > time.Minute {
		faults = append(faults, fmt.Errorf("budget.midnight_margin: %v, want between 0s and 1m", c.MidnightMargin))
	}
	return errors.Join(faults...)
}
