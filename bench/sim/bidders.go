package sim

import (
	"fmt"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/serve"
	"millrace/netio/dsp"
	"millrace/shards"
)

// Reply is what a simulated bidder does with a request.
type Reply struct {
	// Refused: the call could not even be sent.
	Refused dsp.Refused
	// After is when the outcome is known; Never: not before the call's deadline.
	After time.Duration
	Never bool
	// Outcome, and of an answer its status and body.
	Outcome    dsp.Outcome
	Status     int
	Body       []byte
	RetryAfter time.Duration
}

// Respond is how the simulated bidders behave: what comes of a request to an
// endpoint. It must follow from its arguments and the world's seed.
type Respond func(shard unit.ShardID, to dsp.EndpointID, body []byte) Reply

// Watcher hears of what becomes of calls; a nil field does not.
type Watcher struct {
	// Sent, Returned and Cancelled name a call by its number in the world. The reply
	// is what will come back, unless it is cancelled.
	Sent      func(call uint64, to dsp.EndpointID, body []byte, r *Reply)
	Returned  func(call uint64)
	Cancelled func(call uint64)
}

// bidders stand behind one shard: a dsp.Pool without sockets, whose answers come
// when the world's clock says so. It keeps to the pool's contract and panics where
// the core does not keep to its own.
type bidders struct {
	world   *World
	shard   unit.ShardID
	flights []flight
	done    []*dsp.Call
	number  map[*dsp.Call]uint64 // of calls that are the pool's
}

type flight struct {
	call   *dsp.Call
	due    unit.MonoTime
	number uint64
	reply  Reply
}

func newBidders(w *World, id unit.ShardID) *bidders {
	return &bidders{world: w, shard: id, number: map[*dsp.Call]uint64{}}
}

func (b *bidders) Send(c *dsp.Call, body []byte, now unit.MonoTime) dsp.Refused {
	if _, twice := b.number[c]; twice {
		panic("sim: a call was sent that is under way")
	}
	r := b.world.cfg.Respond(b.shard, c.Endpoint, body)
	if r.Refused != dsp.Accepted {
		return r.Refused
	}
	b.world.calls++
	f := flight{call: c, number: b.world.calls, reply: r, due: now.Add(r.After)}
	if r.Never || f.due >= c.Deadline {
		f.due, f.reply = c.Deadline, Reply{Outcome: dsp.TimedOut}
	}
	c.Outcome, c.Status, c.Response, c.RetryAfter, c.Sent = dsp.Pending, 0, nil, 0, now
	b.number[c] = f.number
	b.flights = append(b.flights, f)
	if watch := b.world.cfg.Watch.Sent; watch != nil {
		watch(f.number, c.Endpoint, body, &f.reply)
	}
	return dsp.Accepted
}

func (b *bidders) Cancel(c *dsp.Call) {
	n, ours := b.number[c]
	if !ours {
		panic("sim: a call was cancelled that is not under way")
	}
	delete(b.number, c)
	for i := range b.flights {
		if b.flights[i].call == c {
			b.flights = append(b.flights[:i], b.flights[i+1:]...)
			break
		}
	}
	for i, d := range b.done {
		if d == c {
			b.done = append(b.done[:i], b.done[i+1:]...)
			break
		}
	}
	if watch := b.world.cfg.Watch.Cancelled; watch != nil {
		watch(n)
	}
}

func (b *bidders) Ready(now unit.MonoTime) { b.land(now) }

func (b *bidders) Tick(now unit.MonoTime) (next unit.MonoTime) {
	b.land(now)
	next = shards.NoDeadline
	for i := range b.flights {
		next = min(next, b.flights[i].due)
	}
	return next
}

// land completes what is due, the earliest first.
func (b *bidders) land(now unit.MonoTime) {
	for {
		first := -1
		for i := range b.flights {
			if b.flights[i].due <= now && (first < 0 || b.flights[i].due < b.flights[first].due) {
				first = i
			}
		}
		if first < 0 {
			return
		}
		f := b.flights[first]
		b.flights = append(b.flights[:first], b.flights[first+1:]...)
		c := f.call
		c.Outcome, c.Status, c.RetryAfter, c.Done = f.reply.Outcome, uint16(f.reply.Status), f.reply.RetryAfter, f.due
		if len(f.reply.Body) > 0 {
			c.Response = append([]byte(nil), f.reply.Body...)
		}
		b.done = append(b.done, c)
	}
}

func (b *bidders) Next() (*dsp.Call, bool) {
	if len(b.done) == 0 {
		return nil, false
	}
	c := b.done[0]
	b.done = b.done[1:]
	n := b.number[c]
	delete(b.number, c)
	if watch := b.world.cfg.Watch.Returned; watch != nil {
		watch(n)
	}
	return c, true
}

// Release mangles the answer: whoever reads it after that reads nonsense.
func (b *bidders) Release(c *dsp.Call) {
	if _, ours := b.number[c]; ours {
		panic("sim: the answer of a call that is under way was released")
	}
	for i := range c.Response {
		c.Response[i] = 0xDB
	}
	c.Response = nil
}

func (b *bidders) Flush() {}

func (b *bidders) SetEndpoints(*dsp.Endpoints, unit.MonoTime) {}

// Told is a notice that a bidder would have been given.
type Told struct {
	Kind event.Notice
	URL  string
}

// Notify is serve.Notifier.
func (w *World) Notify(_ unit.ShardID, n event.Notice, url []byte) bool {
	if !w.discard {
		w.Told = append(w.Told, Told{n, string(url)})
	}
	return true
}

// StopDemand ends the asking on every shard: what waits is decided.
func (w *World) StopDemand() {
	for i, c := range w.cores {
		w.sim.Invoke(unit.ShardID(i), func(*shards.Shard[serve.Message]) { c.StopDemand() })
	}
}

// Socket tells every shard that a socket is ready, as a poller would.
func (w *World) Socket() {
	for i := range w.cores {
		w.sim.Submit(unit.ShardID(i), &serve.Message{Type: serve.Socket})
	}
}

// UnderWay is an error while calls or auctions are.
func (w *World) UnderWay() error {
	for i, b := range w.bidders {
		if n := len(b.number); n > 0 {
			return fmt.Errorf("shard %d: %d calls are still under way", i, n)
		}
		if n := w.cores[i].Waiting(); n > 0 {
			return fmt.Errorf("shard %d: %d auctions still wait", i, n)
		}
	}
	return nil
}
