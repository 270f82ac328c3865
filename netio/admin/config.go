package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Config is the admin server's configuration; immutable after Listen.
type Config struct {
	// Listen is host:port. Port 0 takes a free one.
	Listen string
	// BodyBytesMax caps a request body (a list of wins to refund is the largest).
	BodyBytesMax int
	// IdleTimeout closes a keep-alive connection that asks nothing.
	IdleTimeout time.Duration
	// ReadTimeout bounds the reading of one request.
	ReadTimeout time.Duration
	// ReloadTimeout bounds POST /reload.
	ReloadTimeout time.Duration
}

// Default is the configuration without a file: loopback, port 8081.
func Default() Config {
	return Config{
		Listen:        "127.0.0.1:8081",
		BodyBytesMax:  4 << 20,
		IdleTimeout:   2 * time.Minute,
		ReadTimeout:   30 * time.Second,
		ReloadTimeout: time.Minute,
	}
}

// Validate lists every fault, each naming its field and a remedy.
func (c Config) Validate() []error {
	var faults []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		faults = append(faults, fmt.Errorf("admin.Listen: %q is not host:port; write e.g. 127.0.0.1:8081", c.Listen))
	}
	if c.BodyBytesMax < 1 {
		faults = append(faults, fmt.Errorf("admin.BodyBytesMax: %d; it must be at least 1", c.BodyBytesMax))
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"IdleTimeout", c.IdleTimeout}, {"ReadTimeout", c.ReadTimeout}, {"ReloadTimeout", c.ReloadTimeout}} {
		if d.v <= 0 {
			faults = append(faults, fmt.Errorf("admin.%s: %v; it must be above 0", d.name, d.v))
		}
	}
	return faults
}

// ErrNotFound is what Sources.Campaign returns for an unknown name or id; the
// server answers 404.
var ErrNotFound = errors.New("not found")

// Sources are the functions the server shows. Each may be called from several
// goroutines at once and should honour its context. A nil one answers 501 with
// the reason, so a partial node can still be looked at.
type Sources struct {
	// Version is shown at /.
	Version string
	// Metrics writes Prometheus text 0.0.4. The server appends Go's and the
	// process's own (go_*, process_*) itself.
	Metrics func(w io.Writer) error
	// Config returns the effective configuration, secrets masked by its types.
	Config func() any
	// Campaigns lists all; by convention []CampaignStatus.
	Campaigns func(ctx context.Context) (any, error)
	// Campaign finds one by name or hex id; ErrNotFound where there is none.
	Campaign func(ctx context.Context, id string) (any, error)
	// Shards lists the shards; by convention []ShardStatus.
	Shards func(ctx context.Context) (any, error)
	// Store tells how budgets are kept, and with whom.
	Store func(ctx context.Context) (any, error)
	// Models shows what predicts. Promote and Rollback are an operator's steps of
	// a model on trial.
	Models            func(ctx context.Context) (any, error)
	Promote, Rollback func(ctx context.Context) error
	// Refund takes postings back; ErrInvalid where the request is to blame.
	Refund func(ctx context.Context, r *Refund) (*RefundAnswer, error)
	// Demand shows the bidders: tiers, health, latencies, circuits.
	Demand func(ctx context.Context) (any, error)
	// Reconcile compares journal, ledger and budget store; dry repairs nothing.
	Reconcile func(ctx context.Context, dry bool) (*Reconciled, error)
	// Ready is nil when the node can take traffic, else why not.
	Ready func() error
	// Reload re-reads the catalog and the model; its error lists the faults.
	Reload func() error
	// Level is the log level that GET and PUT /log/level read and set.
	Level *slog.LevelVar
	// Logger takes the server's own lines; nil discards them.
	Logger *slog.Logger
}

// loopback reports whether a is bound to a loopback address only.
func loopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().IsLoopback()
}

// loopbackHost reports whether a Host header names this machine's loopback.
func loopbackHost(host string) bool {
	h := host
	if name, _, err := net.SplitHostPort(host); err == nil {
		h = name
	}
	h = strings.TrimSuffix(strings.TrimPrefix(h, "["), "]")
	if strings.EqualFold(h, "localhost") || strings.HasSuffix(strings.ToLower(h), ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(h)
	return err == nil && a.IsLoopback()
}
