package ingress

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"millrace/codec/gzip"
	"millrace/codec/http1"
	"millrace/codec/unit"
	"millrace/shards"
)

// Server is a listening ingress.
type Server struct {
	cfg      Config
	clock    shards.Clock
	handler  Handler
	acceptor *acceptor
	lane     *lane

	exchanges exchangePool
	turns     turnPool
	gzip      *gzip.Pool
	outputs   outputPool
	metrics   metrics
	buffered  atomic.Int64 // bytes of partial requests and backlogs
	draining  atomic.Bool
	failed    atomic.Pointer[error]

	dateText atomic.Pointer[[]byte]
	dateSec  int64 // owned by the sweep

	connsMu sync.Mutex
	conns   []*conn // in no order; conn.index points back

	drainMu   sync.Mutex
	drainTurn turn // guarded by drainMu

	running sync.WaitGroup // the acceptor's and the connections' goroutines
	quit    chan struct{}
	swept   chan struct{}
	stop    sync.Once
}

// turn is what one reading turn needs; owned by one goroutine at a time.
type turn struct {
	scratch []byte
	req     http1.Request
	flusher Flusher
	now     unit.MonoTime
	next    *turn
}

// scratchBytes is what one recv can take: some forty requests of ordinary size.
const scratchBytes = 64 << 10

// turnPool has a turn a poller; LIFO, so that the buffers stay in the cache.
type turnPool struct {
	mu   sync.Mutex
	free *turn
}

func (p *turnPool) get() *turn {
	p.mu.Lock()
	t := p.free
	if t != nil {
		p.free = t.next
	}
	p.mu.Unlock()
	if t == nil {
		t = &turn{scratch: make([]byte, scratchBytes)}
	}
	return t
}

func (p *turnPool) put(t *turn) {
	p.mu.Lock()
	t.next, p.free = p.free, t
	p.mu.Unlock()
}

// netpoll's pollers are process-wide, and changing their number while they run
// drops connections; so the first Listen that names one decides.
var pollers struct {
	sync.Mutex
	set int
}

// Pollers is the process's number of pollers, 0 while no Listen has named one.
func Pollers() int {
	pollers.Lock()
	defer pollers.Unlock()
	return pollers.set
}

func setPollers(n int) error {
	if n == 0 {
		return nil
	}
	pollers.Lock()
	defer pollers.Unlock()
	if pollers.set != 0 && pollers.set != n {
		return fmt.Errorf("%s: %d, but netpoll's pollers are process-wide and already %d; give that, or 0", "Pollers", n, pollers.set)
	}
	if pollers.set == n {
		return nil
	}
	pollers.set = n
	return netpoll.Configure(netpoll.Config{PollerNum: n})
}

// descriptorReserve is left for everything that is not a client's connection.
const descriptorReserve = 256

// Listen opens the address and serves h until Shutdown. The registry, which may
// be nil, gets the server's counters and gauges.
func Listen(cfg Config, clock shards.Clock, reg *shards.Registry, h Handler) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("ingress: configuration: %w", err)
	}
	if err := setPollers(cfg.Pollers); err != nil {
		return nil, fmt.Errorf("ingress: configuration: %w", err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		cfg.ConnectionsMax = max(1, int(min(uint64(cfg.ConnectionsMax), limit.Cur-min(limit.Cur, descriptorReserve))))
	}
	zip, err := gzip.NewPool(cfg.GzipLevel)
	if err != nil {
		return nil, fmt.Errorf("ingress: configuration: %w", err)
	}
	a, err := newAcceptor(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("ingress: listen on %s: %w", cfg.Addr, err)
	}
	l, err := newLane()
	if err != nil {
		_ = a.Close()
		return nil, fmt.Errorf("ingress: slow lane: %w", err)
	}
	s := &Server{
		gzip: zip,
		cfg:  cfg, clock: clock, handler: h, acceptor: a, lane: l,
		exchanges: exchangePool{max: cfg.InFlightMax, newAttachment: cfg.NewAttachment},
		drainTurn: turn{scratch: make([]byte, scratchBytes)},
		quit:      make(chan struct{}), swept: make(chan struct{}),
	}
	a.srv = s
	s.setDate()
	s.register(reg)
	go l.run()
	go s.sweep()
	s.running.Add(1)
	go a.run()
	return s, nil
}

// Addr is the address that is listened on.
func (s *Server) Addr() net.Addr { return s.acceptor.addr }

// Config is the effective configuration: ConnectionsMax may have been lowered to
// what the descriptor limit allows.
func (s *Server) Config() Config { return s.cfg }

// Err tells why the server stopped accepting without having been shut down.
func (s *Server) Err() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// drainInterval is how often a shutdown looks for connections that can go.
const drainInterval = 5 * time.Millisecond

// Shutdown refuses new connections, closes idle ones, lets requests that have
// begun be completed and answered (with "Connection: close"), and returns when
// all connections are gone. When ctx ends first the rest is cut off and ctx's
// error returned. Exchanges still with their handlers may be replied to at any
// later time. A second call waits for the first one's work too.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.acceptor.stop()
	tick := time.NewTicker(drainInterval)
	defer tick.Stop()
	var conns []*conn
	var err error
	for s.Connections() > 0 {
		conns = s.snapshot(conns[:0])
		for _, c := range conns {
			if err != nil {
				c.kill(&s.metrics.forced)
			} else {
				c.drainIdle()
			}
		}
		if err != nil {
			<-tick.C // the kills take effect within a turn of the poller
			continue
		}
		select {
		case <-ctx.Done():
			err = fmt.Errorf("ingress: shutdown: %d connections cut off: %w", s.Connections(), ctx.Err())
		case <-tick.C:
		}
	}
	s.running.Wait()
	s.stop.Do(func() { close(s.quit) })
	<-s.swept
	s.lane.stop()
	return err
}

// Connections is the number of open connections.
func (s *Server) Connections() int {
	s.connsMu.Lock()
	defer s.connsMu.Unlock()
	return len(s.conns)
}

// InFlight is the number of exchanges between Serve and Reply, or waiting for
// an earlier answer of their connection.
func (s *Server) InFlight() int { return int(s.exchanges.inFlight.Load()) }

// remember admits a connection if there is room for it.
func (s *Server) remember(c *conn) bool {
	s.connsMu.Lock()
	defer s.connsMu.Unlock()
	if len(s.conns) >= s.cfg.ConnectionsMax || s.draining.Load() {
		return false
	}
	c.index = len(s.conns)
	s.conns = append(s.conns, c)
	s.running.Add(1)
	return true
}

func (s *Server) forget(c *conn) {
	s.connsMu.Lock()
	defer s.connsMu.Unlock()
	last := len(s.conns) - 1
	moved := s.conns[last]
	s.conns[c.index], moved.index = moved, c.index
	s.conns[last] = nil
	s.conns = s.conns[:last]
}

func (s *Server) snapshot(dst []*conn) []*conn {
	s.connsMu.Lock()
	defer s.connsMu.Unlock()
	return append(dst, s.conns...)
}
