package ingress

import (
	"errors"
	"fmt"
	"time"

	"millrace/codec/gzip"
)

// Config is immutable once given to Listen. Default has working values for all.
type Config struct {
	Addr    string // host:port; port 0 picks a free one
	Pollers int    // netpoll's, process-wide: the first Listen decides; 0 leaves netpoll's default

	ConnectionsMax   int // beyond: 503 and close; lowered to what the descriptor limit allows
	InFlightMax      int // exchanges between Serve and Reply; beyond: 503
	PipelineMax      int // unanswered requests of one connection; beyond: its input waits
	HeadBytesMax     int // beyond: 431
	BodyBytesMax     int // as sent and decompressed; beyond: 413
	BacklogBytesMax  int // answers a connection has not taken; beyond: it is dropped
	BufferedBytesMax int // all partial requests and all backlogs; beyond: 503, or dropped

	HeadTimeout   time.Duration // from a request's first byte to the end of its head
	BodyTimeout   time.Duration // from there to the end of its body
	IdleTimeout   time.Duration // between requests
	AnswerTimeout time.Duration // from Serve to Reply; then the connection is dropped
	WriteTimeout  time.Duration // for a slow client to take 1/32 of BacklogBytesMax, or all that waits; again and again
	LingerTimeout time.Duration // for the peer to close after it has our last answer
	SweepInterval time.Duration // how often timeouts are looked at: their granularity

	RetryAfterSeconds int  // in 503 answers
	Date              bool // send a Date header (RFC 9110, section 6.6.1)

	// GzipBytesMin is the shortest answer that is compressed for clients that
	// accept gzip; 0 compresses none. GzipLevel is 1 (fastest) to 9.
	GzipBytesMin int
	GzipLevel    int

	// NewAttachment makes an exchange's Attachment; called once an exchange, not
	// once a request. May be nil.
	NewAttachment func() any
}

// Default is a configuration for an exchange-facing server.
func Default() Config {
	return Config{
		Addr: "127.0.0.1:8080", Pollers: 1,
		ConnectionsMax: 16384, InFlightMax: 4096, PipelineMax: 64,
		HeadBytesMax: 16 << 10, BodyBytesMax: 512 << 10, BacklogBytesMax: 512 << 10, BufferedBytesMax: 256 << 20,
		HeadTimeout: 5 * time.Second, BodyTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second,
		AnswerTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, LingerTimeout: time.Second,
		SweepInterval: 100 * time.Millisecond, RetryAfterSeconds: 1, Date: true,
		GzipBytesMin: 2 << 10, GzipLevel: gzip.LevelFastest,
	}
}

// Validate lists every fault, each with field and remedy.
func (c *Config) Validate() error {
	var faults []error
	if c.Addr == "" {
		faults = append(faults, fmt.Errorf("%s: empty; give host:port such as 127.0.0.1:8080", "Addr"))
	}
	if c.Pollers < 0 || c.Pollers > 256 {
		faults = append(faults, fmt.Errorf("%s: %d; give 0 to 256 (0 = netpoll's default)", "Pollers", c.Pollers))
	}
	for _, f := range []struct {
		name     string
		v        int
		min, max int
	}{
		{"ConnectionsMax", c.ConnectionsMax, 1, 1 << 20},
		{"InFlightMax", c.InFlightMax, 1, 1 << 20},
		{"PipelineMax", c.PipelineMax, 1, 1 << 16},
		{"HeadBytesMax", c.HeadBytesMax, 256, 1 << 20},
		{"BodyBytesMax", c.BodyBytesMax, 0, 1 << 30},
		{"BacklogBytesMax", c.BacklogBytesMax, 4 << 10, 1 << 30},
		{"BufferedBytesMax", c.BufferedBytesMax, 64 << 10, 1 << 40},
		{"RetryAfterSeconds", c.RetryAfterSeconds, 0, 86400},
		{"GzipBytesMin", c.GzipBytesMin, 0, 1 << 30},
		{"GzipLevel", c.GzipLevel, gzip.LevelFastest, gzip.LevelBest},
	} {
		if f.v < f.min || f.v > f.max {
			faults = append(faults, fmt.Errorf("%s: %d; give %d to %d", f.name, f.v, f.min, f.max))
		}
	}
	for _, f := range []struct {
		name string
		v    time.Duration
	}{
		{"HeadTimeout", c.HeadTimeout}, {"BodyTimeout", c.BodyTimeout}, {"IdleTimeout", c.IdleTimeout},
		{"AnswerTimeout", c.AnswerTimeout}, {"WriteTimeout", c.WriteTimeout}, {"LingerTimeout", c.LingerTimeout},
		{"SweepInterval", c.SweepInterval},
	} {
		if f.v < time.Millisecond || f.v > 24*time.Hour {
			faults = append(faults, fmt.Errorf("%s: %v; give 1ms to 24h", f.name, f.v))
		}
	}
	return errors.Join(faults...)
}

// inputMax is the most a connection's input may wait in its buffer: one request
// of the largest size, with room for chunk framing.
func (c *Config) inputMax() int { return c.HeadBytesMax + c.BodyBytesMax + 8<<10 }
