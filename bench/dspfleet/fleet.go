package dspfleet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Fleet is a running fleet: Start makes it, Close ends it.
type Fleet struct {
	// Began is what the times of calls count from.
	Began time.Time

	cfg      Config
	dsps     []*dsp
	workers  []*worker
	notices  *notices
	changing sync.Mutex // one change of behaviours at a time
	end      context.CancelFunc
	running  sync.WaitGroup
	admin    *http.Server
	doorAt   string
	noticeAt string
	cert     *tls.Certificate
}

// dsp is one bidder at work. Its connections are its worker's; what stands here
// is shared.
type dsp struct {
	index     int
	cfg       DSP
	port      int
	tls       *tls.Config
	worker    *worker
	behaviour atomic.Pointer[Behaviour]
	count     counters

	mu      sync.Mutex
	notices Notices                 // guarded by mu
	latency *hdrhistogram.Histogram // of answers, guarded by mu
	late    *hdrhistogram.Histogram // how much later than drawn, guarded by mu
	breach  string                  // what a client last did against the protocol, guarded by mu
}

// counters are the worker's; others read them.
type counters struct {
	requests, answers, bids, noBids, badRequests atomic.Uint64
	cancelled, resets, lateResets                atomic.Uint64
	opened, open, handshakes, resumed, h2        atomic.Uint64
	goAways, pings, breaches, bytesIn, bytesOut  atomic.Uint64
	writes, reads                                atomic.Uint64
	faults                                       [faultKinds]atomic.Uint64
}

// Start opens every port and begins to answer.
func Start(cfg Config) (*Fleet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &Fleet{cfg: cfg, Began: time.Now()}
	ctx, end := context.WithCancel(context.Background())
	f.end = end
	if err := f.start(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *Fleet) start(ctx context.Context) error {
	if f.cert = f.cfg.Certificate; f.cert == nil {
		for _, d := range f.cfg.DSPs {
			if d.Protocol.TLS() {
				cert, err := makeCertificate(f.cfg.Host)
				if err != nil {
					return fmt.Errorf("dspfleet: cannot make a certificate: %w", err)
				}
				f.cert = cert
				break
			}
		}
	}
	for i, cfg := range f.cfg.DSPs {
		d := &dsp{index: i, cfg: cfg, latency: hdrhistogram.New(1000, int64(time.Minute), 3), late: hdrhistogram.New(1000, int64(time.Minute), 2)}
		if cfg.Protocol.TLS() {
			d.tls = serverTLS(f.cert, cfg.Protocol)
		}
		b := cfg.Behaviour
		d.behaviour.Store(&b)
		f.dsps = append(f.dsps, d)
	}
	f.notices = &notices{seed: f.cfg.Seed, dsps: f.dsps}
	if err := f.startWorkers(); err != nil {
		return err
	}
	if f.cfg.Admin != "" {
		if err := f.openDoor(); err != nil {
			return err
		}
	}
	for _, w := range f.workers {
		f.running.Go(w.run)
	}
	f.running.Go(func() { f.follow(ctx) })
	return nil
}

// openDoor starts the admin server.
func (f *Fleet) openDoor() error {
	ln, err := net.Listen("tcp", f.cfg.Admin)
	if err != nil {
		return fmt.Errorf("dspfleet: admin: %w", err)
	}
	f.doorAt = ln.Addr().String()
	f.admin = &http.Server{Handler: f.door(), ReadHeaderTimeout: 10 * time.Second}
	f.running.Go(func() { _ = f.admin.Serve(ln) }) // it ends with Close
	return nil
}

// Close ends the fleet and waits for it.
func (f *Fleet) Close() {
	f.end()
	if f.admin != nil {
		_ = f.admin.Close() // whoever asks it now gets no answer
	}
	for _, w := range f.workers {
		w.command(func(w *worker) { w.stopped = true })
	}
	f.running.Wait()
	for _, w := range f.workers {
		w.close()
	}
}

// URL is where a bidder takes bid requests.
func (f *Fleet) URL(i int) string {
	scheme := "http"
	if f.dsps[i].cfg.Protocol.TLS() {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s/bid", scheme, f.Address(i))
}

// Address is host:port of a bidder.
func (f *Fleet) Address(i int) string {
	return net.JoinHostPort(f.cfg.Host, fmt.Sprint(f.dsps[i].port))
}

// AdminAddress is host:port of the admin server, "" if there is none.
func (f *Fleet) AdminAddress() string { return f.doorAt }

// NoticeAddress is host:port of where notices go.
func (f *Fleet) NoticeAddress() string { return f.noticeAt }

// Certificate is what bidders with TLS show, nil if there are none: clients
// take it as their root.
func (f *Fleet) Certificate() *tls.Certificate { return f.cert }
