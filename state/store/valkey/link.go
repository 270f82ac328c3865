package valkey

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"regexp"
	"time"

	client "github.com/valkey-io/valkey-go"
)

// link holds the client of the moment.
type link struct {
	option client.ClientOption
	// turn is held by who looks at current or replaces it; dialling takes a while.
	turn    chan struct{}
	current client.Client
}

// Sizes of one connection: what is sent is small.
const (
	connectionBuffer = 64 << 10
	ringScale        = 8
)

func newLink(cfg Config) *link {
	dialer := net.Dialer{Timeout: cfg.Timeout, KeepAlive: time.Second}
	o := client.ClientOption{
		InitAddress: cfg.Addresses, Username: cfg.Username, Password: cfg.Password, TLSConfig: cfg.TLS, ClientName: "millrace",
		Dialer: dialer, ConnWriteTimeout: cfg.Timeout, DisableCache: true, PipelineMultiplex: -1, // one connection a server
		ReadBufferEachConn: connectionBuffer, WriteBufferEachConn: connectionBuffer, RingScaleEachConn: ringScale,
	}
	if cfg.Sentinel != "" {
		// A failover that the sentinels' message did not reach us with is found by
		// looking.
		o.Sentinel = client.SentinelOption{
			MasterSet: cfg.Sentinel, Dialer: dialer, TLSConfig: cfg.TLS, ClientName: "millrace", TopologyRefreshInterval: time.Second,
		}
	}
	return &link{option: o, turn: make(chan struct{}, 1)}
}

// get is the client, made if there is none. An error had no effect.
func (l *link) get(ctx context.Context) (client.Client, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ErrLate
	}
	if l.current == nil {
		made, err := client.NewClient(l.option)
		if err != nil {
			return nil, fmt.Errorf("valkey: not reached: %w", err)
		}
		l.current = made
	}
	return l.current, nil
}

// drop throws the client away, if it is still that one. What it has under way
// ends with an unknown outcome.
func (l *link) drop(old client.Client) {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	if old != nil && l.current == old {
		l.current = nil
		go old.Close() // may wait for a server that does not answer
	}
}

func (l *link) close() {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	if l.current != nil {
		l.current.Close()
		l.current = nil
	}
}

var versionLine = regexp.MustCompile(`(?m)^(?:valkey|redis)_version:(\S+)`)

// Check connects, once, and tells what it found: for a look at a configuration.
func Check(ctx context.Context, cfg Config) (string, error) {
	if err := cfg.validate(); err != nil {
		return "", err
	}
	l := newLink(cfg)
	defer l.close()
	server, err := l.get(ctx)
	if err != nil {
		return "", err
	}
	info, err := server.Do(ctx, server.B().Info().Section("server").Build()).ToString()
	if err != nil {
		return "", fmt.Errorf("valkey: %w", err)
	}
	found := versionLine.FindAllStringSubmatch(info, -1)
	if len(found) == 0 {
		return "", fmt.Errorf("valkey: the server does not tell its version")
	}
	return fmt.Sprintf("%s, %s", found[len(found)-1][1], server.Mode()), nil
}

// TLS is a configuration that trusts the system's roots.
func TLS() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }
