package ingress

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"millrace/codec/http1"
	"millrace/codec/unit"
)

// Handler serves requests.
type Handler interface {
	// Serve is called for each complete request, in the order of arrival on its
	// connection and never concurrently for one connection: on a poller, or (rarely)
	// on the goroutine that resumes a stalled or half-closed connection. It must
	// not block. It answers with x.Reply(f, …) before it returns, or hands x to
	// another goroutine that replies later with its own Flusher; f is valid during
	// the call only.
	Serve(x *Exchange, f *Flusher)
}

// ReplyHeaders is what an answer may say besides status and length. Slices are
// read during Reply and may be reused after it.
type ReplyHeaders struct {
	ContentType       []byte
	Location          []byte // made safe for a header line
	Extra             []byte // whole header lines, each ending with CR LF; the caller vouches for them
	RetryAfterSeconds int
	NoStore           bool
}

// Exchange is one request and its answer. Exchanges are pooled and never move;
// the pool is bounded by Config.InFlightMax.
type Exchange struct {
	Req     http1.Request  // slices valid until Reply
	Body    []byte         // decompressed; owned by the exchange until Reply; may be changed in place
	Remote  netip.AddrPort // the peer, which may be a proxy: see Req.XForwardedFor
	Arrived unit.MonoTime  // when the request's last byte was read
	// Attachment is Config.NewAttachment's value, kept over the exchange's lives.
	Attachment any
	// Out is the answer's body: append to Out[:0] and leave the result here.
	Out []byte

	conn  *conn
	next  *Exchange     // towards newer: of the connection while pending, of the pool when free
	raw   []byte        // the request's bytes; Req and Body point here
	plain []byte        // the decompressed body
	zip   []byte        // the other one of two buffers for Out, to compress into
	ready []byte        // the whole answer, waiting for an earlier one; guarded by conn.mu
	done  bool          // ready is complete; guarded by conn.mu
	last  bool          // the connection is closed after this answer; guarded by conn.mu
	coded answerCoding  // of Out; set by Reply
	state atomic.Uint32 // exchangeFree, exchangeServing
}

const (
	exchangeFree uint32 = iota
	exchangeServing
)

// retainMax is the most a free exchange keeps of each of its buffers, so that a
// few large requests do not pin memory for good.
const retainMax = 64 << 10

// Reply sends the answer: exactly once an exchange, from any goroutine. x must
// not be touched afterwards. With a Flusher the bytes leave at its next Flush;
// with nil at once. Answers leave in the order of the requests, whatever the
// order of replies. A connection that is gone swallows the answer.
func (x *Exchange) Reply(f *Flusher, status int, h ReplyHeaders) {
	if !x.state.CompareAndSwap(exchangeServing, exchangeFree) {
		panic("ingress: Exchange.Reply called twice, or on an exchange that is not being served")
	}
	c := x.conn
	x.coded = c.srv.deflate(x, status)
	c.srv.metrics.answers[min(max(status/100, 0), 5)].Add(1)
	c.mu.Lock()
	freed := c.answer(x, status, &h)
	c.touch(f)
	c.mu.Unlock()
	for freed != nil {
		y := freed
		freed = y.next
		c.srv.exchanges.put(y)
	}
}

// answer takes x's answer and returns the exchanges that are finished by it.
// Holds c.mu.
func (c *conn) answer(x *Exchange, status int, h *ReplyHeaders) (freed *Exchange) {
	if c.dead {
		c.pending-- // its list was cut when it died
		x.next = nil
		c.notice()
		return x
	}
	if x == c.back && c.srv.draining.Load() {
		x.last, c.noMore = true, true // nothing is admitted behind it any more
	}
	if x != c.front {
		x.ready = x.encode(x.ready[:0], status, h)
		x.done = true
		return nil
	}
	c.needOutput()
	c.out = x.encode(c.out, status, h)
	tail, last := x, x.last
	for {
		c.pending--
		c.front = tail.next
		if c.front == nil || !c.front.done {
			break
		}
		tail = c.front
		c.out = append(c.out, tail.ready...)
		last = last || tail.last
	}
	tail.next = nil
	if c.front == nil {
		c.back = nil
		c.settle(last)
	}
	if c.resumable() {
		c.srv.lane.resume(c)
	}
	return x
}

func (x *Exchange) encode(dst []byte, status int, h *ReplyHeaders) []byte {
	head := http1.Head{
		ContentType: h.ContentType, Location: h.Location, Extra: h.Extra,
		RetryAfterSeconds: h.RetryAfterSeconds, NoStore: h.NoStore,
		Date:  x.conn.srv.date(),
		Close: x.last, KeepAlive: x.Req.Minor == 0 && !x.last,
		Gzip: x.coded == answerGzip, VaryEncoding: x.coded != answerPlain,
	}
	dst = http1.AppendHead(dst, status, len(x.Out), &head)
	if x.Req.Method == http1.HEAD || !http1.HasBody(status) {
		return dst
	}
	return append(dst, x.Out...)
}

// exchangePool is a LIFO of at most max exchanges, made as they are needed: the
// few that a moderate load uses stay in the cache.
type exchangePool struct {
	mu            sync.Mutex
	free          *Exchange
	made, max     int
	inFlight      atomic.Int64
	newAttachment func() any
}

func (p *exchangePool) get() *Exchange {
	p.mu.Lock()
	x := p.free
	if x != nil {
		p.free = x.next
		p.mu.Unlock()
		x.next = nil
		p.inFlight.Add(1)
		return x
	}
	if p.made == p.max {
		p.mu.Unlock()
		return nil
	}
	p.made++
	p.mu.Unlock()
	x = &Exchange{raw: make([]byte, 0, 4096), Out: make([]byte, 0, 4096)}
	if p.newAttachment != nil {
		x.Attachment = p.newAttachment()
	}
	p.inFlight.Add(1)
	return x
}

func (p *exchangePool) put(x *Exchange) {
	x.conn, x.done, x.last, x.Body = nil, false, false, nil
	x.Req = http1.Request{}
	for _, b := range [...]*[]byte{&x.raw, &x.plain, &x.zip, &x.ready, &x.Out} {
		if cap(*b) > retainMax {
			*b = nil
		}
	}
	x.mangle()
	p.inFlight.Add(-1)
	p.mu.Lock()
	x.next = p.free
	p.free = x
	p.mu.Unlock()
}
