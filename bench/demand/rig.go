package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"millrace/bench/dspfleet"
	"millrace/bench/load"
	"millrace/bench/process"
)

// rig is a server with its bidders, and what is seen of both.
type rig struct {
	fleet  *dspfleet.Fleet
	server *process.Server
	calls  *recorder
	folder string
	stderr io.Writer
}

// plan is what a rig is made of.
type plan struct {
	binary   string
	cores    []int // of the server
	dsps     int
	seed     uint64
	all      []string // settings of all bidders
	protocol dspfleet.Protocol
	demand   string                       // text before the list of partners
	catalog  string                       // text; "": the demo catalog
	serve    []string                     // further arguments
	change   func(*dspfleet.Config) error // last word on the fleet
	alone    bool                         // nobody is asked
}

// newRig starts fleet and server.
func newRig(ctx context.Context, p plan, stderr io.Writer) (r *rig, err error) {
	r = &rig{calls: newRecorder(), stderr: stderr}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.folder, err = os.MkdirTemp("", "millrace-demand-*"); err != nil {
		return r, err
	}
	c := dspfleet.Default(p.dsps)
	c.Seed, c.Observe = p.seed, r.calls.observe
	for i := range c.DSPs {
		c.DSPs[i].Protocol = p.protocol
		if c.DSPs[i].Behaviour, err = c.DSPs[i].Behaviour.With(p.all...); err != nil {
			return r, err
		}
	}
	if p.change != nil {
		if err = p.change(&c); err != nil {
			return r, err
		}
	}
	if r.fleet, err = dspfleet.Start(c); err != nil {
		return r, err
	}
	r.calls.began = r.fleet.Began
	ca := filepath.Join(r.folder, "fleet.pem")
	demand := filepath.Join(r.folder, "demand.yaml")
	args := []string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-level", "error",
		"--data", filepath.Join(r.folder, "data"), "--set", "demand.notices.private=true"}
	err = errors.Join(os.WriteFile(ca, r.fleet.CertificatePEM(), 0o600), os.WriteFile(demand, append([]byte(p.demand), r.fleet.DemandFile(ca)...), 0o600))
	if !p.alone {
		args = append(args, "--demand", demand)
	}
	if p.catalog != "" {
		catalog := filepath.Join(r.folder, "catalog.yaml")
		err = errors.Join(err, os.WriteFile(catalog, []byte(p.catalog), 0o600))
		args = append(args, "--catalog", catalog)
	}
	if err != nil {
		return r, err
	}
	r.server, err = process.Start(ctx, p.cores, stderr, p.binary, append(args, p.serve...)...)
	if err != nil {
		return r, fmt.Errorf("millrace does not start: %w", err)
	}
	if !p.alone {
		err = r.connected(ctx)
	}
	return r, err
}

// connected waits until every bidder that listens has a connection: they are
// made beside the requests, and those that come before them find nobody.
func (r *rig) connected(ctx context.Context) error {
	for range 200 {
		all := true
		for _, d := range r.fleet.Status() {
			all = all && d.Open > 0
		}
		if all {
			break
		}
		if err := sleep(ctx, 25*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) close() {
	if r.server != nil {
		r.server.Stop()
	}
	if r.fleet != nil {
		r.fleet.Close()
	}
	if r.folder != "" {
		_ = os.RemoveAll(r.folder) // a leftover in the temporary folder harms nobody
	}
}

// drive runs a load against the server; what it did before is forgotten.
func (r *rig) drive(ctx context.Context, c load.Config) (*load.Summary, *load.ServerDelta, error) {
	c.Address = r.server.Address
	c.Answered = r.calls.answered
	before, err := r.metrics(ctx)
	if err != nil {
		return nil, nil, err
	}
	s, err := load.Run(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	if ctx.Err() != nil {
		return nil, nil, errors.New("interrupted")
	}
	after, err := r.metrics(ctx)
	if err != nil {
		return nil, nil, err
	}
	return s, load.Delta(before, after, s.Answered), nil
}

func (r *rig) metrics(ctx context.Context) (load.Metrics, error) {
	return load.Scrape(ctx, "http://"+r.server.Admin+"/metrics")
}

// recorder knows of each auction when its bidders were asked and when they
// answered. Fleet and load call it, from their threads.
type recorder struct {
	began time.Time

	mu       sync.Mutex
	auctions map[uint64]span         // guarded by mu
	own      *hdrhistogram.Histogram // of the bidders, guarded by mu
	above    *hdrhistogram.Histogram // what the client waited beyond, guarded by mu
	total    *hdrhistogram.Histogram // of answers, from when they were sent, guarded by mu
	calls    uint64                  // guarded by mu
}

// span is from the first bidder's request to the last bidder's answer.
type span struct{ first, last time.Duration }

func newRecorder() *recorder {
	r := &recorder{}
	r.reset()
	return r
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	histogram := func() *hdrhistogram.Histogram { return hdrhistogram.New(1000, int64(10*time.Second), 3) }
	r.auctions, r.own, r.above, r.total, r.calls = map[uint64]span{}, histogram(), histogram(), histogram(), 0
}

func (r *recorder) observe(c dspfleet.Call) {
	id, err := strconv.ParseUint(string(c.ID), 16, 64)
	if err != nil || c.Answered == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	s, ok := r.auctions[id]
	if !ok || c.Received < s.first {
		s.first = c.Received
	}
	s.last = max(s.last, c.Answered)
	if len(r.auctions) < 1<<20 {
		r.auctions[id] = s
	}
}

func (r *recorder) answered(a load.Answered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	took := a.Done.Sub(a.Sent)
	_ = r.total.RecordValue(min(int64(took), r.total.HighestTrackableValue()))
	s, ok := r.auctions[a.ID]
	if !ok {
		return
	}
	delete(r.auctions, a.ID)
	// A bidder that answered when the auction was over does not count.
	own := min(s.last, a.Done.Sub(r.began)) - s.first
	_ = r.own.RecordValue(max(int64(own), 0))
	_ = r.above.RecordValue(min(max(int64(took-own), 0), r.above.HighestTrackableValue()))
}

// quantile of a histogram in milliseconds.
func quantile(h *hdrhistogram.Histogram, q float64) float64 {
	return float64(h.ValueAtQuantile(q)) / 1e6
}

// environment says where figures come from.
func environment(split bool) string {
	where := "server, load and bidders share the cores"
	if split {
		where = "the server on one half of them, load and bidders on the other"
	}
	return fmt.Sprintf("%d cores, %s", runtime.NumCPU(), where)
}
