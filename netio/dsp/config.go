package dsp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Config is immutable once given to New. Default has working values for all but
// Notify.
type Config struct {
	// Notify is called, from any goroutine, when Ready has something to do: it puts
	// a message into the shard's mailbox and never blocks. It is called once until
	// the next Ready or Tick, whatever happens in between; a call that is lost (the
	// mailbox is full) is made up for by the next Tick. nil: the caller has a loop of
	// its own and calls Poll.
	Notify func()
	// Resolve finds a host's addresses, off the shard; nil asks the system.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Seed    uint64 // of the jitter

	CallsMax        int // in flight or waiting, a pool
	RequestBytesMax int // a request's body
	HeaderBytesMax  int // an answer's head, sent and decompressed
	OutBytesMax     int // that one connection's peer has not taken; beyond: RefusedBusy
	BufferBytesMax  int // all of a pool's buffers: waiting bodies, partial and unreleased answers

	DialsMax        int           // attempts under way at once, a pool
	DialTimeout     time.Duration // name, connection, TLS and the peer's first SETTINGS
	BackoffMin      time.Duration // after a failed attempt; doubles with each, with jitter
	BackoffMax      time.Duration // short: who is well again is to be reached when somebody looks, and one attempt costs little
	PingAfter       time.Duration // silence on an HTTP/2 connection after which it is asked whether it lives
	PingTimeout     time.Duration // for the answer
	WriteTimeout    time.Duration // for a peer to take anything of what waits
	IdleTimeout     time.Duration // without use, after which a connection beyond ConnsMin is closed
	DrainTimeout    time.Duration // an HTTP/1.1 answer that nobody waits for is read for so long, to keep its connection
	ResolveInterval time.Duration // how often names are looked up again
}

// Default is a configuration for one shard of a bidder.
func Default() Config {
	return Config{
		Seed:     1,
		CallsMax: 16 << 10, RequestBytesMax: 256 << 10, HeaderBytesMax: 16 << 10, OutBytesMax: 1 << 20, BufferBytesMax: 128 << 20,
		DialsMax: 64, DialTimeout: 2 * time.Second, BackoffMin: 100 * time.Millisecond, BackoffMax: 2 * time.Second,
		PingAfter: 5 * time.Second, PingTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second,
		IdleTimeout: 30 * time.Second, DrainTimeout: 250 * time.Millisecond, ResolveInterval: 30 * time.Second,
	}
}

// Validate lists every fault, each with field and remedy.
func (c *Config) Validate() error {
	var faults []error
	for _, f := range []struct {
		name        string
		v, min, max int
	}{
		{"CallsMax", c.CallsMax, 1, 1 << 20},
		{"RequestBytesMax", c.RequestBytesMax, 1 << 10, 16 << 20},
		{"HeaderBytesMax", c.HeaderBytesMax, 1 << 10, 1 << 20},
		{"OutBytesMax", c.OutBytesMax, 64 << 10, 1 << 30},
		{"BufferBytesMax", c.BufferBytesMax, 1 << 20, 1 << 40},
		{"DialsMax", c.DialsMax, 1, 1024},
	} {
		if f.v < f.min || f.v > f.max {
			faults = append(faults, fmt.Errorf("%s: %d; give %d to %d", f.name, f.v, f.min, f.max))
		}
	}
	for _, f := range []struct {
		name string
		v    time.Duration
	}{
		{"DialTimeout", c.DialTimeout}, {"BackoffMin", c.BackoffMin}, {"BackoffMax", c.BackoffMax}, {"PingAfter", c.PingAfter},
		{"PingTimeout", c.PingTimeout}, {"WriteTimeout", c.WriteTimeout}, {"IdleTimeout", c.IdleTimeout},
		{"DrainTimeout", c.DrainTimeout}, {"ResolveInterval", c.ResolveInterval},
	} {
		if f.v < time.Millisecond || f.v > 24*time.Hour {
			faults = append(faults, fmt.Errorf("%s: %v; give 1ms to 24h", f.name, f.v))
		}
	}
	if c.BackoffMin > c.BackoffMax {
		faults = append(faults, fmt.Errorf("BackoffMin: %v; give at most BackoffMax, %v", c.BackoffMin, c.BackoffMax))
	}
	return errors.Join(faults...)
}
