package dsp

import "millrace/codec/unit"

// flight is what the pool keeps of a call.
type flight struct{ next *Call }

// Pool is one shard's connections to all endpoints. All methods are called inside
// the shard's turn, but for Stop.
type Pool struct {
	cfg  Config
	list *Endpoints
	done *Call
}

// New makes a pool and begins to open its connections.
func New(cfg Config, list *Endpoints, now unit.MonoTime) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Pool{cfg: cfg, list: list}, nil
}

// Send begins a call. body is not kept. What was accepted comes back by Next,
// or is taken back by Cancel.
func (p *Pool) Send(c *Call, body []byte, now unit.MonoTime) Refused { return RefusedDown }

// Flush writes what Send, Cancel and the protocol gathered, once a connection: at
// the end of a turn.
func (p *Pool) Flush() {}

// Cancel takes a call back that Next has not returned: it is the caller's again.
// The peer is told by the next Flush, and the connection stays.
func (p *Pool) Cancel(c *Call) {}

// Release gives back the memory of a call's Response. Send does so too.
func (p *Pool) Release(c *Call) {}

// Ready does the I/O that Notify announced. Next then has what was completed.
func (p *Pool) Ready(now unit.MonoTime) {}

// Tick does what time demands: deadlines, and now and then the care for
// connections; also what a lost Notify announced. It tells when it wants to be
// called again at the latest; call it when a timer for that has fired, or simply
// in every turn: it costs nothing when there is nothing to do.
func (p *Pool) Tick(now unit.MonoTime) (next unit.MonoTime) { return now }

// Next takes a completed call, oldest first; false when there is none.
func (p *Pool) Next() (c *Call, ok bool) {
	if c = p.done; c != nil {
		p.done = c.next
	}
	return c, c != nil
}

// SetEndpoints replaces the list. Connections of endpoints that stay as they were
// (by name, address and TLS) stay; calls to others are let end.
func (p *Pool) SetEndpoints(list *Endpoints, now unit.MonoTime) { p.list = list }

// Stats is what is known of one endpoint in this pool.
type Stats struct {
	Conns    int    // open
	Dialing  int    // attempts under way
	Calls    int    // in flight
	Queued   int    // waiting for a connection
	Opened   uint64 // connections, ever
	Failures uint64 // attempts that failed, ever
	Closed   uint64 // connections that ended by a fault or by the peer, ever
	Resumed  uint64 // TLS sessions resumed, ever
	HTTP2    bool   // what the last connection speaks
	Reason   string // why the last attempt failed or connection ended; for people
}

// Stats tells of one endpoint.
func (p *Pool) Stats(id EndpointID) Stats { return Stats{} }

// Close ends the pool: its connections are closed, calls in flight come back as
// Lost by Next. Nothing else may be called after that.
func (p *Pool) Close() {}
