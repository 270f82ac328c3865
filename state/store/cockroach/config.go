package cockroach

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/codec/unit"
)

// Config of a ledger.
type Config struct {
	// URL of the database: postgres://user:password@host:port/database, of a
	// PostgreSQL or a CockroachDB.
	URL string
	// Lease is how long a life may spend after it was last heard.
	Lease time.Duration
	// Call bounds a call, with all its repeats; Statement one statement within it.
	Call, Statement time.Duration
	// Conns bounds the connections.
	Conns int
	// Queue bounds the calls that wait in one lane.
	Queue int
	// Wall is the clock; Log takes what an operator should know.
	Wall func() unit.WallTime
	Log  *slog.Logger
}

// Default is a configuration without URL and Wall.
func Default() Config {
	return Config{
		Lease: 30 * time.Second, Call: 5 * time.Second, Statement: 4 * time.Second, Conns: 4, Queue: 64,
		Log: slog.New(slog.DiscardHandler),
	}
}

// Validate lists every fault.
func (c *Config) Validate() error {
	var faults []error
	check := func(ok bool, text string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("ledger."+text, args...))
		}
	}
	if _, err := c.pool(); err != nil {
		faults = append(faults, fmt.Errorf("ledger.url: %w; write postgres://user:password@host:port/database", err))
	}
	check(c.URL != "", "url: not set; write postgres://user:password@host:port/database")
	check(c.Lease >= time.Second, "lease: %v, want at least 1s", c.Lease)
	check(c.Call >= 100*time.Millisecond, "call: %v, want at least 100ms", c.Call)
	check(c.Statement > 0 && c.Statement <= c.Call, "statement: %v, want above zero and not above call, %v", c.Statement, c.Call)
	check(c.Conns >= int(lanes), "conns: %d, want at least %d, one for each kind of call", c.Conns, int(lanes))
	check(c.Queue >= 1, "queue: %d, want at least 1", c.Queue)
	check(c.Wall != nil, "wall: no clock given")
	return errors.Join(faults...)
}

// pool is the driver's configuration. What the server enforces goes with the
// connection: a statement's time, a lock's, and that of a transaction whose
// client is gone.
func (c *Config) pool() (*pgxpool.Config, error) {
	p, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, err
	}
	p.MaxConns = int32(c.Conns)
	p.ConnConfig.ConnectTimeout = min(2*time.Second, c.Call)
	params := p.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"application_name":                    "millrace",
		"timezone":                            "UTC",
		"synchronous_commit":                  "on", // what is acknowledged, the journal lets go of
		"statement_timeout":                   milliseconds(c.Statement),
		"lock_timeout":                        milliseconds(c.Statement),
		"idle_in_transaction_session_timeout": milliseconds(c.Call),
	} {
		if params[name] == "" {
			params[name] = value
		}
	}
	return p, nil
}

func milliseconds(d time.Duration) string { return fmt.Sprint(max(1, d.Milliseconds())) }
