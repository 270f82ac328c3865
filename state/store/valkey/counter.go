package valkey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/valkey-io/valkey-go"

	"millrace/codec/unit"
	"millrace/state/store"
	"millrace/state/store/joint"
)

// Clock is what a counter needs to know of time.
type Clock interface {
	Mono() unit.MonoTime
	Wall() unit.WallTime
}

// Errors of calls that had no effect.
var (
	ErrBusy   = errors.New("valkey: too many calls are waiting")
	ErrOpen   = errors.New("valkey: the server does not answer; the breaker is open")
	ErrLate   = errors.New("valkey: the call's time was over before it was sent")
	ErrClosed = errors.New("valkey: the counter is closed")
)

// workers is how many calls are under way at once.
const workers = 4

// Counter is joint.Counter on Valkey.
type Counter struct {
	cfg     Config
	clock   Clock
	breaker *breaker
	link    *link

	mu     sync.RWMutex // of closed: no call is queued after the queue is closed
	closed bool
	queue  chan *call
	done   sync.WaitGroup

	roundTrips, commands, errors, unknown, reloads, refused atomic.Uint64
}

var (
	_ joint.Counter = (*Counter)(nil)
	_ joint.Reading = (*Counter)(nil)
)

// call is a batch on its way.
type call struct {
	script   *script
	runs     []*run
	deadline unit.MonoTime
	finish   func(results []client.ValkeyResult, err error)
}

// Open starts a counter. The server need not be there.
func Open(cfg Config, clock Clock) (*Counter, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Counter{cfg: cfg, clock: clock, breaker: newBreaker(cfg), link: newLink(cfg), queue: make(chan *call, cfg.Queue)}
	for range workers {
		c.done.Go(func() {
			for q := range c.queue {
				q.finish(c.carry(q))
			}
		})
	}
	return c, nil
}

// Close answers what is waiting and ends the counter.
func (c *Counter) Close() {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if !again {
		close(c.queue)
		c.done.Wait()
		c.link.close()
	}
}

// Take see joint.Counter.
func (c *Counter) Take(batch []store.GrantRequest, done func([]joint.Taken, error)) {
	rs := c.takes(batch)
	out := make([]joint.Taken, len(batch))
	c.enqueue(takeScript, rs, func(results []client.ValkeyResult, err error) {
		for i := 0; err == nil && i < len(rs); i++ {
			err = readTaken(&results[i], rs[i].from, out)
		}
		if err != nil {
			done(nil, err)
			return
		}
		done(out, nil)
	})
}

// Load see joint.Counter.
func (c *Counter) Load(batch []joint.Balance, done func(error)) {
	c.enqueue(loadScript, c.loads(batch), func(_ []client.ValkeyResult, err error) { done(err) })
}

// Give see joint.Counter.
func (c *Counter) Give(batch []store.ReturnRequest, done func(error)) {
	c.enqueue(giveScript, c.gives(batch), func(_ []client.ValkeyResult, err error) { done(err) })
}

// Read see joint.Reading.
func (c *Counter) Read(keys []joint.AccountDay, done func([]joint.Balance, error)) {
	keys = slices.Clone(keys)
	rs := reads(keys)
	c.enqueue(readScript, rs, func(results []client.ValkeyResult, err error) {
		all := make([]joint.Balance, len(keys))
		known := make([]bool, len(keys))
		for i := 0; err == nil && i < len(rs); i++ {
			err = readCounts(&results[i], rs[i].from, all, known)
		}
		if err != nil {
			done(nil, err)
			return
		}
		var out []joint.Balance
		for i := range all {
			if known[i] {
				all[i].AccountDay = keys[i]
				out = append(out, all[i])
			}
		}
		done(out, nil)
	})
}

func (c *Counter) enqueue(s *script, rs []*run, finish func([]client.ValkeyResult, error)) {
	q := &call{script: s, runs: rs, deadline: c.clock.Mono().Add(c.cfg.Timeout), finish: finish}
	err := ErrClosed
	c.mu.RLock()
	if !c.closed {
		select {
		case c.queue <- q:
			err = nil
		default:
			err = ErrBusy
		}
	}
	c.mu.RUnlock()
	if err != nil {
		c.refused.Add(1)
		go finish(nil, err) // never before the call returns
	}
}

// carry sends a call's runs in one pipeline, and those again with their text
// whose script the server did not know.
func (c *Counter) carry(q *call) ([]client.ValkeyResult, error) {
	now := c.clock.Mono()
	switch {
	case len(q.runs) == 0:
		return nil, nil
	case now >= q.deadline:
		c.refused.Add(1)
		return nil, ErrLate
	case !c.breaker.allow(now):
		c.refused.Add(1)
		return nil, ErrOpen
	}
	ctx, cancel := context.WithTimeout(context.Background(), q.deadline.Sub(now))
	defer cancel()
	results, server, err := c.send(ctx, q)
	if err == nil {
		c.breaker.succeeded()
		return results, nil
	}
	c.errors.Add(1)
	if errors.Is(err, joint.ErrUnknown) {
		c.unknown.Add(1)
	}
	// The next client asks for addresses and topology anew.
	if c.breaker.failed(c.clock.Mono()) || demoted(err) {
		c.link.drop(server)
	}
	return nil, err
}

func (c *Counter) send(ctx context.Context, q *call) ([]client.ValkeyResult, client.Client, error) {
	server, err := c.link.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	commands := make([]client.Completed, len(q.runs))
	for i, r := range q.runs {
		commands[i] = r.known(server.B(), q.script)
	}
	c.roundTrips.Add(1)
	c.commands.Add(uint64(len(commands)))
	results := server.DoMulti(ctx, commands...)
	var missing []int
	commands = commands[:0]
	for i := range results {
		if e, ok := client.IsValkeyErr(results[i].Error()); ok && e.IsNoScript() {
			missing = append(missing, i)
			commands = append(commands, q.runs[i].text(server.B(), q.script))
		}
	}
	if len(missing) > 0 {
		c.roundTrips.Add(1)
		c.commands.Add(uint64(len(commands)))
		c.reloads.Add(1)
		for i, r := range server.DoMulti(ctx, commands...) {
			results[missing[i]] = r
		}
	}
	return results, server, failure(results)
}

// harmless are the errors with which a server refuses a script before it did
// anything.
var harmless = []string{
	"READONLY", "NOSCRIPT", "LOADING", "CLUSTERDOWN", "MOVED", "ASK", "TRYAGAIN", "MASTERDOWN", "NOAUTH", "NOPERM", "WRONGPASS",
	"OOM", "MISCONF", "NOREPLICAS", "BUSY",
}

// failure is the first error of a pipeline. Unless all of it was refused, some
// may have been carried out.
func failure(results []client.ValkeyResult) error {
	var first error
	sure := true
	for i := range results {
		err := results[i].Error()
		if err == nil {
			sure = false
			continue
		}
		if first == nil {
			first = err
		}
		sure = sure && refused(err)
	}
	switch {
	case first == nil:
		return nil
	case sure:
		return fmt.Errorf("valkey: %w", first)
	}
	return fmt.Errorf("valkey: %w: %w", joint.ErrUnknown, first)
}

func refused(err error) bool {
	e, ok := client.IsValkeyErr(err)
	if !ok {
		return false
	}
	word, _, _ := strings.Cut(e.Error(), " ")
	for _, h := range harmless {
		if word == h {
			return true
		}
	}
	return false
}

// demoted: the server became a replica, and the client did not notice.
func demoted(err error) bool {
	var e *client.ValkeyError
	return errors.As(err, &e) && strings.HasPrefix(e.Error(), "READONLY")
}

// period numbers the spans in which outcomes are kept together. They are a
// node's own, so that only its own clock counts.
func (c *Counter) period() int64 { return int64(c.clock.Wall()) / int64(c.cfg.Remember) }

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Status is what a counter did since it was opened.
type Status struct {
	// RoundTrips are pipelines sent, Commands the scripts in them, Reloads the
	// pipelines that were sent for want of a script.
	RoundTrips, Commands, Reloads uint64
	// Errors are calls that were sent and failed, Unknown those of them whose
	// outcome is not known. Refused are calls that were never sent.
	Errors, Unknown, Refused uint64
	Waiting                  int
	Breaker                  State
}

// Status may be asked at any time.
func (c *Counter) Status() Status {
	return Status{
		RoundTrips: c.roundTrips.Load(), Commands: c.commands.Load(), Reloads: c.reloads.Load(),
		Errors: c.errors.Load(), Unknown: c.unknown.Load(), Refused: c.refused.Load(),
		Waiting: len(c.queue), Breaker: c.breaker.current(),
	}
}
