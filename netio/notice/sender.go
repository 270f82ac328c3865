package notice

import (
	"container/heap"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// Sender calls bidders' notices.
type Sender struct {
	cfg    Config
	client *http.Client
	rings  []*ring
	asleep atomic.Bool // the sender's goroutine waits for wake
	wake   chan struct{}

	work chan *job
	back chan *job

	// Of the sender's goroutine.
	ready   []*job // first in, first out
	later   jobs   // by when they are due
	waiting int    // ready, later and with workers

	stop    chan struct{}
	ended   chan struct{}
	cut     context.CancelFunc // ends calls under way
	workers sync.WaitGroup

	counts [event.LostThere + 1]counts
	depth  atomic.Int64
}

type counts struct{ done, failed, retried, refused, gaveUp atomic.Uint64 }

// Status is what became of the notices of a kind since the start.
type Status struct {
	Done    uint64 // answered 200 or 204
	Failed  uint64 // tries that did not come to that
	Retried uint64 // tries beyond the first
	Refused uint64 // not called: no URL, or an address that is not public
	GaveUp  uint64 // after their tries or their age, or at the end
}

// job is a notice on its way.
type job struct {
	kind  event.Notice
	url   string
	tries int
	born  time.Time
	due   time.Time
	err   error
}

type jobs []*job

func (j jobs) Len() int           { return len(j) }
func (j jobs) Less(a, b int) bool { return j[a].due.Before(j[b].due) }
func (j jobs) Swap(a, b int)      { j[a], j[b] = j[b], j[a] }
func (j *jobs) Push(x any)        { *j = append(*j, x.(*job)) }
func (j *jobs) Pop() any {
	old := *j
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*j = old[:len(old)-1]
	return x
}

// Start begins to call.
func Start(c Config) (*Sender, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Sender{
		cfg: c, client: newClient(&c), wake: make(chan struct{}, 1), work: make(chan *job), back: make(chan *job, c.Workers),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	for range c.Shards {
		s.rings = append(s.rings, newRing(c.QueueMax))
	}
	ctx, cut := context.WithCancel(context.Background())
	s.cut = cut
	for range c.Workers {
		s.workers.Go(func() { s.call(ctx) })
	}
	go s.run()
	return s, nil
}

// Notify queues a notice of a shard: it copies the URL, and neither blocks nor
// fails otherwise than by being full. One caller a shard at a time.
func (s *Sender) Notify(from unit.ShardID, n event.Notice, url []byte) bool {
	if !s.rings[from].put(n, url) {
		return false
	}
	if s.asleep.Load() {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// Status is what became of the notices of a kind.
func (s *Sender) Status(n event.Notice) Status {
	c := &s.counts[n]
	return Status{Done: c.done.Load(), Failed: c.failed.Load(), Retried: c.retried.Load(), Refused: c.refused.Load(), GaveUp: c.gaveUp.Load()}
}

// Waiting is how many notices are on their way.
func (s *Sender) Waiting() int {
	n := int(s.depth.Load())
	for _, r := range s.rings {
		n += r.len()
	}
	return n
}

// Stop tries what waits once more until ctx ends, gives the rest up and ends all
// goroutines. Nothing may be queued any more.
func (s *Sender) Stop(ctx context.Context) error {
	close(s.stop)
	var err error
	select {
	case <-s.ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.cut() // calls under way end, and run with them
	<-s.ended
	s.workers.Wait()
	s.client.CloseIdleConnections()
	return err
}

// run hands jobs to workers and takes them back.
func (s *Sender) run() {
	defer close(s.ended)
	defer close(s.work)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	stopping := false
	for {
		s.fill()
		s.move(stopping)
		s.depth.Store(int64(s.waiting))
		if stopping && s.waiting == 0 {
			return
		}
		s.asleep.Store(true)
		if s.filled() { // put in before the flag was seen
			s.asleep.Store(false)
			continue
		}
		var work chan *job
		var first *job
		if len(s.ready) > 0 {
			work, first = s.work, s.ready[0]
		}
		timer.Reset(s.rest())
		stop := s.stop
		if stopping {
			stop = nil
		}
		select {
		case work <- first:
			s.ready[0] = nil
			s.ready = s.ready[1:]
		case j := <-s.back:
			s.takeBack(j, stopping)
		case <-timer.C:
		case <-s.wake:
		case <-stop:
			stopping = true
		}
		s.asleep.Store(false)
	}
}

// filled reports whether something in the rings could be taken.
func (s *Sender) filled() bool {
	if s.waiting >= s.cfg.WaitingMax {
		return false
	}
	for _, r := range s.rings {
		if r.len() > 0 {
			return true
		}
	}
	return false
}

// fill takes from the rings, one from each in turn, as long as there is room.
func (s *Sender) fill() {
	for some := true; some; {
		some = false
		for _, r := range s.rings {
			if s.waiting >= s.cfg.WaitingMax {
				return
			}
			n, url, ok := r.take()
			if !ok {
				continue
			}
			some = true
			s.waiting++
			s.ready = append(s.ready, &job{kind: n, url: url, born: time.Now()})
		}
	}
}

// move makes what is due ready; at the end everything is.
func (s *Sender) move(stopping bool) {
	now := time.Now()
	for len(s.later) > 0 && (stopping || !s.later[0].due.After(now)) {
		s.ready = append(s.ready, heap.Pop(&s.later).(*job))
	}
}

// rest is how long there is nothing to do.
func (s *Sender) rest() time.Duration {
	if len(s.later) == 0 {
		return time.Hour
	}
	return max(time.Until(s.later[0].due), time.Millisecond)
}

// takeBack settles a try.
func (s *Sender) takeBack(j *job, stopping bool) {
	c := &s.counts[j.kind]
	switch {
	case j.err == nil:
		c.done.Add(1)
	case errors.Is(j.err, errAddress) || errors.Is(j.err, errURL):
		c.refused.Add(1)
	default:
		c.failed.Add(1)
		pause := s.pause(j.tries)
		if !stopping && j.tries < s.cfg.Tries[j.kind] && time.Since(j.born)+pause < s.cfg.AgeMax {
			j.due = time.Now().Add(pause)
			heap.Push(&s.later, j)
			return
		}
		c.gaveUp.Add(1)
	}
	s.waiting--
}

// pause is the time before the next try.
func (s *Sender) pause(tries int) time.Duration {
	d := s.cfg.BackoffMin
	for ; tries > 1 && d < s.cfg.BackoffMax; tries-- {
		d *= 2
	}
	d = min(d, s.cfg.BackoffMax)
	return d + rand.N(d/2+1)
}

// bodyMax is how much of an answer is read, so that its connection can be used
// again.
const bodyMax = 16 << 10

// call is a worker.
func (s *Sender) call(ctx context.Context) {
	for j := range s.work {
		if j.tries++; j.tries > 1 {
			s.counts[j.kind].retried.Add(1)
		}
		j.err = s.try(ctx, j.url)
		s.back <- j
	}
}

var errStatus = errors.New("an answer that is neither 200 nor 204")

func (s *Sender) try(ctx context.Context, text string) error {
	u, err := url.Parse(text)
	if err != nil || checkURL(u) != nil {
		return errURL
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, text, nil)
	if err != nil {
		return errURL
	}
	if s.cfg.UserAgent != "" {
		r.Header.Set("User-Agent", s.cfg.UserAgent)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return err
	}
	_, _ = io.CopyN(io.Discard, answer.Body, bodyMax)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNoContent {
		return errStatus
	}
	return nil
}
