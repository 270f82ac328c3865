package dspfleet

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
)

// Protocol is what a bidder speaks.
type Protocol uint8

// Protocols.
const (
	HTTP1  Protocol = iota // HTTP/1.1
	H2C                    // HTTP/2 with prior knowledge; HTTP/1.1 too
	HTTP1S                 // HTTP/1.1 over TLS
	HTTP2                  // HTTP/2 over TLS by ALPN; HTTP/1.1 too
	protocols
)

var protocolNames = [protocols]string{"http1", "h2c", "https1", "h2"}

// String is the protocol as ParseProtocol reads it.
func (p Protocol) String() string { return protocolNames[p] }

// ParseProtocol reads http1, h2c, https1 or h2.
func ParseProtocol(s string) (Protocol, error) {
	for i, name := range protocolNames {
		if s == name {
			return Protocol(i), nil
		}
	}
	return 0, fmt.Errorf("there is no protocol %q; write http1, h2c, https1 or h2", s)
}

// TLS reports whether connections are encrypted.
func (p Protocol) TLS() bool { return p >= HTTP1S }

// HTTP2 reports whether HTTP/2 is spoken.
func (p Protocol) HTTP2() bool { return p == H2C || p == HTTP2 }

// DSP is one bidder of the configuration.
type DSP struct {
	Name      string
	Protocol  Protocol
	Behaviour Behaviour
}

// Config is a fleet.
type Config struct {
	Host string // address all listen on
	// Port of the first bidder; the others follow. 0: any free ones.
	Port int
	// Admin is host:port of the operator's door; "" for none.
	Admin string
	// Workers are the threads; the bidders are shared out to them.
	Workers int
	Seed    uint64
	DSPs    []DSP
	// Streams is how many requests a HTTP/2 connection may have open.
	Streams uint32
	// Certificate of the bidders with TLS; nil: one made for Host.
	Certificate *tls.Certificate
	Schedule    []Step

	// Respond, if set, answers instead of the bid model where ok is true: with a
	// recorded answer, say. The latency and the faults are the behaviour's. The
	// request is valid during the call; calls come from the workers.
	Respond func(dsp int, request []byte) (status int, body []byte, ok bool)
	// Observe, if set, is called with every request a bidder read whole, when
	// its answer is written or it is known that there will be none. The id is
	// valid during the call; calls come from the workers, at the same time.
	Observe func(Call)
}

// Call is one request to a bidder; times are since Fleet.Began.
type Call struct {
	DSP      int
	ID       []byte // of the request; nil where it is none
	Received time.Duration
	Answered time.Duration // 0: never
	Fault    FaultKind
}

// Step changes bidders at a time of the run.
type Step struct {
	At    time.Duration
	Names string   // of the bidders, with commas; * stands for any text
	Pairs []string // key=value; "reset" takes back what was changed
}

// Apply changes the bidders that a step names, before the start.
func (c *Config) Apply(s Step) error {
	if err := c.check(s); err != nil {
		return err
	}
	for i := range c.DSPs {
		if d := &c.DSPs[i]; matches(s.Names, d.Name) {
			d.Behaviour, _ = d.Behaviour.With(s.Pairs...) // check has looked
		}
	}
	return nil
}

// Default is a fleet of k bidders on loopback, dsp-01 to the last, that speak
// HTTP/2 without TLS.
func Default(k int) Config {
	c := Config{Host: "127.0.0.1", Workers: 1, Seed: 1, Streams: 250}
	for i := range k {
		c.DSPs = append(c.DSPs, DSP{Name: fmt.Sprintf("dsp-%02d", i+1), Protocol: H2C, Behaviour: DefaultBehaviour()})
	}
	return c
}

// DSPsMax bounds a fleet.
const DSPsMax = 1000

// Validate lists every fault, each naming its field and a remedy.
func (c *Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("dspfleet: "+format, args...)) }
	if net.ParseIP(c.Host) == nil {
		fault("host %q is no address; write e.g. 127.0.0.1", c.Host)
	}
	if len(c.DSPs) < 1 || len(c.DSPs) > DSPsMax {
		fault("%d bidders; use 1 to %d", len(c.DSPs), DSPsMax)
	}
	if c.Port < 0 || c.Port > 0 && c.Port+len(c.DSPs) > 65_535 {
		fault("port %d leaves no room for %d ports; use 0 for any, or a lower one", c.Port, len(c.DSPs))
	}
	if c.Workers < 1 || c.Workers > 256 {
		fault("workers %d is out of range; use 1 to 256 (%d cores here)", c.Workers, runtime.NumCPU())
	}
	if c.Streams < 1 {
		fault("streams 0: a connection must be allowed one; use e.g. 250")
	}
	names := map[string]bool{}
	for i, d := range c.DSPs {
		if d.Name == "" || names[d.Name] || d.Protocol >= protocols {
			fault("bidder %d: name %q is empty or taken, or its protocol unknown", i, d.Name)
		}
		names[d.Name] = true
	}
	for _, s := range c.Schedule {
		if s.At < 0 {
			fault("schedule: %v is before the start", s.At)
		}
		if err := c.check(s); err != nil {
			fault("schedule at %v: %w", s.At, err)
		}
	}
	return errors.Join(faults...)
}

// check reports what is wrong with a step, without taking it.
func (c *Config) check(s Step) error {
	named := false
	for _, d := range c.DSPs {
		named = named || matches(s.Names, d.Name)
	}
	if !named {
		return fmt.Errorf("no bidder is named %q", s.Names)
	}
	if _, err := (Behaviour{}).With(without(s.Pairs, resetPair)...); err != nil {
		return err
	}
	return nil
}
