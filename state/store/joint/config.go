package joint

import (
	"errors"
	"fmt"
	"time"

	"millrace/codec/unit"
	"millrace/state/outbox"
	"millrace/state/store"
)

// Config of a Store.
type Config struct {
	// Journal is the node's, opened with Ledger.LastEpoch as its EpochFloor.
	Journal *outbox.Journal
	Ledger  Ledger
	Counter Counter
	// Deliver passes replies to the shards.
	Deliver store.Deliver
	// Wall and Mono are the node's clocks; After runs f later, from any goroutine.
	Wall  func() unit.WallTime
	Mono  func() unit.MonoTime
	After func(d time.Duration, f func())
	// Alarm is told of what an operator should know, from any goroutine.
	Alarm func(error)

	// BatchMax is how many grants share a round trip.
	BatchMax int
	// DrainRows is how many records share a transaction.
	DrainRows int
	// RetryMin and RetryMax bound the back-off after a call that failed.
	RetryMin, RetryMax time.Duration
	// DriftMax is how much slower, in thousandths, the node's monotonic clock may
	// run than the ledger's.
	DriftMax int
	// RecheckEvery: so often at most is a counter that says "exhausted" compared
	// with the ledger, by account. It may have counted what was never granted.
	RecheckEvery time.Duration
}

// Default is a configuration without its parts.
func Default() Config {
	return Config{
		BatchMax: 256, DrainRows: 1000, RetryMin: 50 * time.Millisecond, RetryMax: 5 * time.Second, DriftMax: 20, RecheckEvery: time.Minute,
	}
}

// Validate lists every fault.
func (c *Config) Validate() error {
	var faults []error
	check := func(ok bool, text string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("joint store: "+text, args...))
		}
	}
	check(c.Journal != nil && c.Ledger != nil && c.Counter != nil && c.Deliver != nil && c.Wall != nil && c.Mono != nil && c.After != nil,
		"journal, ledger, counter, deliver, clocks and timer must all be given")
	check(c.BatchMax > 0 && c.DrainRows > 0, "batches of %d grants and %d records, want at least 1", c.BatchMax, c.DrainRows)
	check(c.RetryMin > 0 && c.RetryMax >= c.RetryMin, "back-off from %v to %v", c.RetryMin, c.RetryMax)
	check(c.DriftMax >= 0 && c.DriftMax <= 500, "drift_max: %d thousandths, want between 0 and 500", c.DriftMax)
	check(c.RecheckEvery > 0, "recheck_every: %v, want above zero", c.RecheckEvery)
	return errors.Join(faults...)
}
