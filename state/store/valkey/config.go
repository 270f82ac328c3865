package valkey

import (
	"crypto/tls"
	"errors"
	"time"
)

// Config is how a Counter finds its server and how long it waits.
type Config struct {
	// Addresses: one server (which may turn out to be of a cluster), several of a
	// cluster, or, with Sentinel, sentinels.
	Addresses []string
	// Sentinel is the name of the primary at the sentinels; "" is none.
	Sentinel           string
	Username, Password string
	TLS                *tls.Config

	// Timeout bounds a call, from the moment at which it is handed over.
	Timeout time.Duration
	// Queue is how many calls may wait; more are refused.
	Queue int
	// Keep is how long counts stand without being loaded again.
	Keep time.Duration
	// Remember is how long outcomes are kept at least, for repeats; at most thrice
	// as long.
	Remember time.Duration
	// Holding is how long a node that took counts as a holder.
	Holding time.Duration
	// FailuresMax in a row open the breaker; it then stays open for Backoff, and
	// for twice as long after each probe that fails, up to BackoffMax.
	FailuresMax         int
	Backoff, BackoffMax time.Duration
}

// Default is a configuration without addresses.
func Default() Config {
	return Config{
		Timeout: 500 * time.Millisecond, Queue: 1024, Keep: 5 * time.Minute, Remember: time.Minute, Holding: time.Minute,
		FailuresMax: 3, Backoff: 100 * time.Millisecond, BackoffMax: 2 * time.Second,
	}
}

func (c Config) validate() error {
	switch {
	case len(c.Addresses) == 0:
		return errors.New("valkey: no addresses")
	case c.Timeout <= 0 || c.Queue < 1 || c.Keep <= 0 || c.Remember <= 0 || c.Holding <= 0:
		return errors.New("valkey: time-out, queue, keep, remember and holding must be above 0")
	case c.FailuresMax < 1 || c.Backoff <= 0 || c.BackoffMax < c.Backoff:
		return errors.New("valkey: the breaker needs a number of failures and a backoff above 0, up to its maximum")
	}
	return nil
}
