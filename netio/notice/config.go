package notice

import (
	"errors"
	"fmt"
	"time"

	"millrace/codec/event"
)

// Config of a Sender. Immutable once given to Start.
type Config struct {
	// Shards is how many Notify callers there are.
	Shards int
	// QueueMax is how many notices wait in a shard's ring; WaitingMax how many wait
	// for a worker or their next try.
	QueueMax, WaitingMax int
	// Workers is how many calls are under way at most.
	Workers int
	// Tries by kind: how often a notice is sent until it is given up.
	Tries [event.LostThere + 1]int
	// After a try that failed, BackoffMin, then twice as long each time up to
	// BackoffMax, each by a random half more.
	BackoffMin, BackoffMax time.Duration
	// Timeout of a call, redirects included; AgeMax of a notice.
	Timeout, AgeMax time.Duration
	// RedirectsMax are followed.
	RedirectsMax int
	// Private lets calls go to loopback, private and other addresses that are not
	// public.
	Private bool
	// UserAgent of the calls.
	UserAgent string
}

// Default is a configuration for so many shards.
func Default(shards int) Config {
	return Config{
		Shards: shards, QueueMax: 1 << 13, WaitingMax: 1 << 15, Workers: 64,
		Tries:      [...]int{event.Billed: 6, event.WonThere: 4, event.LostThere: 1},
		BackoffMin: 500 * time.Millisecond, BackoffMax: 30 * time.Second, Timeout: 5 * time.Second, AgeMax: 10 * time.Minute,
		RedirectsMax: 3, UserAgent: "millrace",
	}
}

// Validate lists every fault, each with field and remedy.
func (c *Config) Validate() error {
	var faults []error
	within := func(name string, v, low, high int) {
		if v < low || v > high {
			faults = append(faults, fmt.Errorf("%s: %d; give %d to %d", name, v, low, high))
		}
	}
	within("Shards", c.Shards, 1, 1<<12)
	within("QueueMax", c.QueueMax, 1, 1<<20)
	within("WaitingMax", c.WaitingMax, 1, 1<<22)
	within("Workers", c.Workers, 1, 1<<12)
	within("RedirectsMax", c.RedirectsMax, 0, 10)
	for n := event.Billed; n.Valid(); n++ {
		within("tries of "+n.String(), c.Tries[n], 1, 100)
	}
	if c.BackoffMin <= 0 || c.BackoffMax < c.BackoffMin {
		faults = append(faults, fmt.Errorf("backoff: BackoffMin, BackoffMax: %v, %v; give a time above 0 and one no shorter", c.BackoffMin, c.BackoffMax))
	}
	if c.Timeout <= 0 || c.AgeMax < c.Timeout {
		faults = append(faults, fmt.Errorf("times: Timeout, AgeMax: %v, %v; give a time above 0 and one no shorter", c.Timeout, c.AgeMax))
	}
	return errors.Join(faults...)
}
