package load

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
)

// Config is one run. The zero value of a field marked so means its default.
type Config struct {
	Address string // host:port
	Path    string // of the bid requests
	// Connections are kept alive and shared out evenly to Workers.
	Connections int
	// Workers is the number of client goroutines, each with its own epoll set.
	// One drives some 100,000 requests a second.
	Workers int
	// Pipeline is how many requests may wait for answers on one connection.
	Pipeline int
	// Rate is bid requests a second over all workers; 0 is as fast as the
	// server answers (closed loop).
	Rate float64
	// Poisson spaces arrivals like independent users do, in bursts and gaps;
	// otherwise they are even.
	Poisson bool
	// Duration bounds the measured time; Requests the bid requests sent. One of
	// the two must be set.
	Duration time.Duration
	Requests int64
	// Warmup runs before, unmeasured.
	Warmup time.Duration
	// Timeout is how long an answer may take before its connection is given up.
	Timeout time.Duration
	Corpus  *Corpus // nil: Mix(Seed)
	Seed    uint64

	// Shares, 0 to 1: of the won impressions that are shown, of the shown ones
	// that are clicked, of the clicks that convert.
	Impressions, Clicks, Conversions float64
	// BeaconDelay passes before each of these steps.
	BeaconDelay time.Duration

	// Answered, if set, is called with every answer to a measured bid request, by
	// the worker that got it.
	Answered func(Answered)

	// Progress, if set, is called about every ProgressEvery from one goroutine.
	Progress      func(Progress)
	ProgressEvery time.Duration
}

// Answered is a bid request that was answered.
type Answered struct {
	// ID as its 16 hex digits stand in requests of the built-in mix.
	ID         uint64
	Due        time.Time // when it was to be sent: earlier than Sent if the client was late
	Sent, Done time.Time
	Status     int
	Bids       int
}

// Default is a short open-loop run against the default address.
func Default() Config {
	return Config{
		Address:       "127.0.0.1:8080",
		Path:          "/openrtb2/auction",
		Connections:   64,
		Workers:       1,
		Pipeline:      1,
		Rate:          1000,
		Duration:      10 * time.Second,
		Timeout:       5 * time.Second,
		Seed:          1,
		Impressions:   0.9,
		Clicks:        0.02,
		Conversions:   0.1,
		BeaconDelay:   20 * time.Millisecond,
		ProgressEvery: time.Second,
	}
}

// Validate lists every fault, each naming its field and a remedy.
func (c Config) Validate() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("load: "+format, args...)) }
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		fault("address %q is not host:port; write e.g. 127.0.0.1:8080", c.Address)
	}
	if len(c.Path) == 0 || c.Path[0] != '/' {
		fault("path %q must start with /", c.Path)
	}
	if c.Connections < 1 || c.Connections > 65_536 {
		fault("connections %d is out of range; use 1 to 65536", c.Connections)
	}
	if c.Workers < 1 || c.Workers > min(256, max(c.Connections, 1)) {
		fault("workers %d is out of range; use 1 to 256 and no more than connections (%d cores here)", c.Workers, runtime.NumCPU())
	}
	if c.Pipeline < 1 || c.Pipeline > 1024 {
		fault("pipeline %d is out of range; use 1 to 1024", c.Pipeline)
	}
	if !(c.Rate >= 0 && c.Rate <= 1e8) {
		fault("rate %v is out of range; use a number of requests a second, 0 for as many as possible", c.Rate)
	}
	if c.Duration <= 0 && c.Requests <= 0 {
		fault("neither duration nor requests is set; give one to end the run")
	}
	if c.Duration < 0 || c.Requests < 0 || c.Warmup < 0 || c.BeaconDelay < 0 {
		fault("duration, requests, warmup and beacon delay must not be negative")
	}
	if c.Timeout <= 0 {
		fault("timeout %v must be above 0", c.Timeout)
	}
	for _, s := range []struct {
		name string
		v    float64
	}{{"impressions", c.Impressions}, {"clicks", c.Clicks}, {"conversions", c.Conversions}} {
		if !(s.v >= 0 && s.v <= 1) {
			fault("share of %s %v is out of range; use 0 to 1", s.name, s.v)
		}
	}
	if c.Corpus != nil && len(c.Corpus.bodies) == 0 {
		fault("the corpus is empty; give at least one request")
	}
	return faults
}

// ErrUnreachable is wrapped by Run's error when no connection could be made.
var ErrUnreachable = errors.New("server unreachable")
