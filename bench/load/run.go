package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// settleMax is how long answers and beacons are waited for after the end, or
// Timeout where that is shorter.
const settleMax = 5 * time.Second

// recordings in the hands of one worker and the collector together.
const spareRecordings = 4

// timing is the plan of a run in worker time: nanoseconds since its start.
type timing struct {
	begin    time.Time
	measure  int64 // end of the warm-up
	end      int64 // no bid request is due from here on
	giveUp   int64 // answers are no longer waited for
	requests int64 // bid requests of this worker; math.MaxInt64: no bound
}

// span is what one worker measured in a piece of time.
type span struct {
	rec    *recording
	warmup bool
	to     int64
	home   chan *recording
}

// Run drives the server as cfg says and returns what was measured. Ending ctx
// ends the run early, with the results so far. The error is about the run
// itself (a fault in cfg, a server that cannot be reached); answers that are
// errors are in the summary.
func Run(ctx context.Context, cfg Config) (*Summary, error) {
	if faults := cfg.Validate(); faults != nil {
		return nil, errors.Join(faults...)
	}
	if cfg.Corpus == nil {
		cfg.Corpus = Mix(cfg.Seed)
	}
	spans := make(chan span, cfg.Workers*spareRecordings)
	stop := make(chan struct{})
	workers, err := newWorkers(cfg, spans, stop)
	if err != nil {
		return nil, err
	}
	plan := workers[0].plan // before it is the worker's
	cpuBefore := processCPU()
	var running sync.WaitGroup
	for _, w := range workers {
		running.Go(w.run)
	}
	go func() {
		running.Wait()
		close(spans)
	}()
	if ctx.Done() != nil {
		finished := make(chan struct{})
		defer close(finished)
		go func() {
			select {
			case <-ctx.Done():
				close(stop)
			case <-finished:
			}
		}()
	}
	total, elapsed := collect(cfg, plan, spans)
	up := false
	for _, w := range workers {
		up = up || w.everUp
	}
	if !up {
		return nil, fmt.Errorf("load: %s: %w; is the server running there?", cfg.Address, ErrUnreachable)
	}
	s := summarise(cfg, total, elapsed)
	s.ClientCPU = (processCPU() - cpuBefore).Seconds()
	return s, nil
}

// collect merges spans until the workers are done, reporting progress between.
// The elapsed time is that of the measured part.
func collect(cfg Config, plan timing, spans <-chan span) (*recording, time.Duration) {
	total, part := newRecording(), newRecording()
	every := cfg.ProgressEvery
	if every <= 0 {
		every = time.Second
	}
	var last, reported int64
	warm := false
	report := func(now int64) {
		if cfg.Progress != nil && now > reported {
			cfg.Progress(progressOf(part, now, now-reported, warm))
		}
		part.reset()
		reported = now
	}
	for s := range spans {
		total.merge(s.rec)
		part.merge(s.rec)
		warm = s.warmup
		last = max(last, s.to)
		s.rec.reset()
		s.home <- s.rec
		if last-reported >= int64(every) {
			report(last)
		}
	}
	if rest := &part.kinds[kindBid]; rest.sent+rest.answered()+rest.failures() > 0 {
		report(max(last, reported+1))
	}
	// Waiting for the last answers is not part of the measured time, unless
	// the run was bounded by requests and has no other end.
	return total, time.Duration(max(min(last, plan.end)-plan.measure, 0))
}

func progressOf(r *recording, now, length int64, warm bool) Progress {
	bid := &r.kinds[kindBid]
	p := Progress{
		Elapsed: time.Duration(now), Warmup: warm, Seconds: float64(length) / 1e9,
		Sent: bid.sent, Answered: bid.answered(), Bids: r.bids, Latency: latencyOf(r.latency), Errors: bid.failures(),
	}
	for status := 400; status < len(bid.status); status++ {
		p.Errors += bid.status[status]
	}
	for k := kindImpression; k < kindCount; k++ {
		p.Beacons += r.kinds[k].sent
	}
	p.Rate = float64(p.Answered) / p.Seconds
	return p
}

// processCPU is the user and system time of this process.
func processCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
