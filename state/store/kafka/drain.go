package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
)

const (
	retryMin = 250 * time.Millisecond
	retryMax = 15 * time.Second
	// silence is how long nothing may be acknowledged before the log says so.
	silence = 10 * time.Second
	// requestTimeout bounds one question to a broker, so that a stopped one is
	// told from a slow one.
	requestTimeout = 10 * time.Second
)

// Status is what a drain did, for metrics.
type Status struct {
	// Acknowledged events and their bytes, since Start.
	Acknowledged, Bytes uint64
	// Errors: connections that failed, and producers that had to begin again.
	Errors uint64
	// Of the journal, what is not yet acknowledged. LagRecords counts those that
	// were read and estimates the others by the mean size of a record.
	LagRecords, LagBytes uint64
	LagSeconds           float64
	// MissedBytes of the journal were removed before they were delivered.
	MissedBytes uint64
}

// Drain carries a journal's spend events to a topic. Any goroutine.
type Drain struct {
	cfg     Config
	journal *outbox.Journal
	cursor  *outbox.Cursor
	log     *slog.Logger
	wall    func() unit.WallTime
	window  *window

	cancel  context.CancelFunc
	stopped chan struct{} // both goroutines ended
	read    atomic.Uint64 // position

	acknowledged, bytes, errors, lagBytes, lagRecords atomic.Uint64
	lagNanos                                          atomic.Int64
	records, recordBytes                              atomic.Uint64 // read, for their mean size

	mu   sync.Mutex
	last error // why the broker was last not reached
}

// Start begins to drain from where the journal's cursor stands. Brokers that
// can't be reached are no error: the log and the metrics tell.
func Start(cfg Config, j *outbox.Journal, log *slog.Logger, wall func() unit.WallTime) (*Drain, error) {
	cursor, err := j.Cursor(cfg.Cursor)
	if err != nil {
		return nil, err
	}
	d := &Drain{
		cfg: cfg, journal: j, cursor: cursor, log: log.With("drain", "kafka", "topic", cfg.Topic), wall: wall,
		window: newWindow(cfg.BufferEvents), stopped: make(chan struct{}),
	}
	client, err := d.newClient() // faults of the configuration are told here
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	d.window.reset(cursor.Position())
	d.read.Store(cursor.Position())
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	var both sync.WaitGroup
	both.Go(func() { d.run(ctx, client) })
	both.Go(func() { d.watch(ctx) })
	go func() { both.Wait(); close(d.stopped) }()
	return d, nil
}

// Stop gives what is in the journal now until ctx ends to be delivered, and
// stops; what is left is for the next start. Call it before the journal's Close.
func (d *Drain) Stop(ctx context.Context) error {
	end := d.journal.End()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for acked, _, _ := d.window.state(); acked < end && !d.journal.Failed() && ctx.Err() == nil; acked, _, _ = d.window.state() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			d.log.Info("stopped before all was delivered; the next start goes on from the journal")
		}
	}
	d.cancel()
	<-d.stopped
	return d.advance()
}

// Status is for metrics.
func (d *Drain) Status() Status {
	return Status{
		Acknowledged: d.acknowledged.Load(), Bytes: d.bytes.Load(), Errors: d.errors.Load(),
		LagRecords: d.lagRecords.Load(), LagBytes: d.lagBytes.Load(), LagSeconds: time.Duration(d.lagNanos.Load()).Seconds(),
		MissedBytes: d.cursor.MissedBytes(),
	}
}

func (d *Drain) newClient() (*kgo.Client, error) {
	return kgo.NewClient(
		kgo.SeedBrokers(d.cfg.Brokers...),
		kgo.ClientID("millrace"),
		kgo.DefaultProduceTopic(d.cfg.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotence is franz-go's default with it
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(d.cfg.Linger),
		kgo.MaxBufferedRecords(d.cfg.BufferEvents),
		kgo.MaxBufferedBytes(d.cfg.BufferBytes),
		kgo.RequestTimeoutOverhead(requestTimeout),
		kgo.ProduceRequestTimeout(requestTimeout),
		kgo.RetryBackoffFn(func(n int) time.Duration { return min(retryMin<<min(n, 5), 2*time.Second) }),
		kgo.Dialer((&net.Dialer{Timeout: 5 * time.Second}).DialContext),
		kgo.WithHooks(hooks{d}),
	)
}

// hooks hear why a broker is not reached.
type hooks struct{ d *Drain }

func (h hooks) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		h.d.fault(err)
	}
}

func (d *Drain) fault(err error) {
	d.errors.Add(1)
	d.mu.Lock()
	d.last = err
	d.mu.Unlock()
}

// run has one producer after the other: each lives until an event is refused
// for good, or the drain is stopped.
func (d *Drain) run(ctx context.Context, client *kgo.Client) {
	wait := retryMin
	for {
		before := d.acknowledged.Load()
		err := d.produce(ctx, client)
		client.Close()
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, outbox.ErrClosed) || errors.Is(err, outbox.ErrDiskFull) || d.journal.Failed() {
			d.log.Info("the journal ended", "reason", err)
			return
		}
		if d.acknowledged.Load() > before {
			wait = retryMin
		}
		d.fault(err)
		d.log.Error("delivery begins again at the last acknowledged event", "in", wait, "error", err)
		for again := false; !again; wait = min(2*wait, retryMax) {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
			if client, err = d.newClient(); err != nil {
				d.fault(err)
				continue
			}
			again = true
		}
	}
}

// produce reads from the first event that is not acknowledged, and hands it to
// the producer, until one is refused.
func (d *Drain) produce(parent context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	from, _, _ := d.window.state()
	d.window.reset(from)
	tail := d.journal.Tail(from)
	defer func() { _ = tail.Close() }()
	checked := false
	for {
		rec, pos, err := tail.Next(ctx)
		if gap := (*outbox.Gap)(nil); errors.As(err, &gap) {
			d.fault(err)
			d.log.Error("events are lost to the topic", "error", err)
			continue
		}
		if err != nil {
			return cause(ctx, err)
		}
		d.count(pos)
		if !spend(rec) {
			d.window.skip(pos)
			continue
		}
		if !checked {
			if err := d.awaitTopic(ctx, client, rec.Wall); err != nil {
				return cause(ctx, err)
			}
			checked = true
		}
		if err := d.send(ctx, cancel, client, rec, pos); err != nil {
			return cause(ctx, err)
		}
	}
}

func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

func (d *Drain) count(pos uint64) {
	if last := d.read.Swap(pos); last>>36 == pos>>36 && pos > last {
		d.recordBytes.Add(pos - last)
		d.records.Add(1)
	}
}

// send waits for room, and gives the event to the producer.
func (d *Drain) send(ctx context.Context, cancel context.CancelCauseFunc, client *kgo.Client, rec *ledger.Record, pos uint64) error {
	ordinal, full := d.window.add(pos, rec.Wall)
	for full {
		select {
		case <-d.window.room:
			ordinal, full = d.window.add(pos, rec.Wall)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	value := appendMessage(make([]byte, 0, 640), rec, pos)
	message := &kgo.Record{Key: appendHex(make([]byte, 0, 16), uint64(rec.Campaign)), Value: value, Timestamp: rec.Wall.Time()}
	client.Produce(ctx, message, func(r *kgo.Record, err error) {
		if err != nil {
			// Nothing more is read; what was handed over after it may still
			// arrive, and comes again.
			cancel(fmt.Errorf("kafka: topic %s: %w", d.cfg.Topic, err))
			return
		}
		d.acknowledged.Add(1)
		d.bytes.Add(uint64(len(r.Value)))
		d.window.done(ordinal)
	})
	return nil
}

// watch advances the cursor, measures the lag, and says when it stands still.
func (d *Drain) watch(ctx context.Context) {
	tick := time.NewTicker(d.cfg.Advance)
	defer tick.Stop()
	quiet := outage{since: time.Now()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := d.advance(); err != nil {
			d.log.Error("the cursor stays", "error", err)
		}
		d.measure()
		quiet.look(d)
	}
}

func (d *Drain) advance() error {
	acked, _, _ := d.window.state()
	return d.cursor.Advance(acked)
}

func (d *Drain) measure() {
	acked, waiting, oldest := d.window.state()
	bytes, err := d.journal.LagBytes(acked)
	if err != nil {
		d.log.Error("the lag is unknown", "error", err)
		return
	}
	d.lagBytes.Store(uint64(bytes))
	records := uint64(waiting)
	if unread, err := d.journal.LagBytes(d.read.Load()); err == nil && unread > 0 {
		mean := uint64(160)
		if n := d.records.Load(); n > 0 {
			mean = max(1, d.recordBytes.Load()/n)
		}
		records += max(1, uint64(unread)/mean)
	}
	d.lagRecords.Store(records)
	if oldest != 0 {
		d.lagNanos.Store(int64(max(0, d.wall().Sub(oldest))))
	} else if bytes == 0 {
		d.lagNanos.Store(0)
	}
}

// outage tells once that nothing is acknowledged, again each minute, and when it is over.
type outage struct {
	acknowledged uint64
	since, told  time.Time
}

func (o *outage) look(d *Drain) {
	n, now := d.acknowledged.Load(), time.Now()
	if n != o.acknowledged || d.lagBytes.Load() == 0 {
		if !o.told.IsZero() && n != o.acknowledged {
			d.log.Info("events are acknowledged again", "after", now.Sub(o.since).Round(time.Second), "lag_bytes", d.lagBytes.Load())
			o.told = time.Time{}
		}
		o.acknowledged, o.since = n, now
		return
	}
	if now.Sub(o.since) < silence || now.Sub(o.told) < time.Minute {
		return
	}
	d.mu.Lock()
	last := d.last
	d.mu.Unlock()
	d.log.Warn("nothing is acknowledged; the journal keeps the events", "for", now.Sub(o.since).Round(time.Second),
		"lag_bytes", d.lagBytes.Load(), "error", last)
	o.told = now
}
