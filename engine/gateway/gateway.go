package gateway

import (
	"bytes"
	"sync/atomic"

	"millrace/codec/event"
	"millrace/codec/http1"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/selection"
	"millrace/engine/serve"
	"millrace/netio/ingress"
	"millrace/shards"
)

// Submit hands a message to a shard; false: its mailbox is full.
type Submit func(to unit.ShardID, m *serve.Message) bool

// Config of a Gateway. Immutable.
type Config struct {
	Node  unit.NodeID
	Epoch unit.Epoch
	// Limits of a bid request.
	Limits openrtb.Limits
	// Debug lets X-Millrace-Debug ask for an explanation.
	Debug bool
	// RetryAfterSeconds in 503 answers.
	RetryAfterSeconds int
}

// Gateway is the ingress.Handler of a node.
type Gateway struct {
	cfg    Config
	keys   *event.Keyring
	clock  shards.Clock
	engine atomic.Pointer[engine] // nil until Attach
	ready  atomic.Bool
	m      metrics
}

// engine is the shards behind the gateway.
type engine struct {
	submit Submit
	shards int
}

// New is a gateway that is not ready, and knows no shards yet: the listener can
// start before them, so that they know its address.
func New(cfg Config, keys *event.Keyring, clock shards.Clock, registry *shards.Registry) *Gateway {
	return &Gateway{cfg: cfg, keys: keys, clock: clock, m: newMetrics(registry)}
}

// Attach gives the gateway its shards. Until then events get 503.
func (g *Gateway) Attach(submit Submit, shards int) { g.engine.Store(&engine{submit, shards}) }

// SetReady opens or closes the gate, after Attach: closed, bid requests get 503 and /readyz
// says so. Events are taken as long as the listener lives.
func (g *Gateway) SetReady(ready bool) { g.ready.Store(ready) }

// Ready reports what /readyz says.
func (g *Gateway) Ready() bool { return g.ready.Load() }

// carrier is what the gateway keeps with each of the listener's exchanges.
type carrier struct {
	context  serve.Context
	identity Identity
	signer   *event.Signer
	message  serve.Message // what is submitted: a local one would escape
}

// NewAttachment is ingress.Config.NewAttachment.
func (g *Gateway) NewAttachment() any { return &carrier{signer: g.keys.NewSigner()} }

// Serve is ingress.Handler.
func (g *Gateway) Serve(x *ingress.Exchange, f *ingress.Flusher) {
	c := x.Attachment.(*carrier)
	path := x.Req.Path
	switch {
	case string(path) == "/openrtb2/auction":
		if g.allow(x, f, http1.POST) {
			g.bid(x, f, c)
		}
	case len(path) > 3 && path[1] == 'e' && path[2] == '/':
		g.event(x, f, c)
	case len(path) > 3 && path[1] == 'n' && path[2] == '/':
		g.notice(x, f, c)
	case string(path) == "/healthz":
		if g.allow(x, f, http1.GET) {
			g.reply(x, f, 200, "ok\n", g.m.health)
		}
	case string(path) == "/readyz":
		g.readiness(x, f)
	default:
		g.reply(x, f, 404, "no such path; bid requests go to POST /openrtb2/auction\n", g.m.notFound)
	}
}

func (g *Gateway) readiness(x *ingress.Exchange, f *ingress.Flusher) {
	switch {
	case !g.allow(x, f, http1.GET):
	case g.Ready():
		g.reply(x, f, 200, "ready\n", g.m.health)
	default:
		g.unavailable(x, f, "not ready\n", g.m.notReady)
	}
}

// allow answers 405 unless the method fits; HEAD goes where GET goes.
func (g *Gateway) allow(x *ingress.Exchange, f *ingress.Flusher, m http1.Method) bool {
	if x.Req.Method == m || m == http1.GET && x.Req.Method == http1.HEAD {
		return true
	}
	allow := allowGet
	if m == http1.POST {
		allow = allowPost
	}
	g.m.method.Inc()
	x.Out = append(x.Out[:0], "method not allowed here\n"...)
	x.Reply(f, 405, ingress.ReplyHeaders{ContentType: http1.TypeText, Extra: allow})
	return false
}

var (
	allowGet    = []byte("Allow: GET, HEAD\r\n")
	allowPost   = []byte("Allow: POST\r\n")
	rtbVersion  = []byte("X-Openrtb-Version: 2.6\r\n")
	debugYes    = []byte("1")
	jsonType    = []byte("application/json")
	jsonSuffix  = []byte("+json")
	tokenPrefix = []byte("t=")
	pricePrefix = []byte("p=")
	lossPrefix  = []byte("l=")
)

// isJSON: no Content-Type means JSON (OpenRTB 2.6, 2.3); parameters are
// ignored.
func isJSON(contentType []byte) bool {
	if i := bytes.IndexByte(contentType, ';'); i >= 0 {
		contentType = contentType[:i]
	}
	contentType = bytes.TrimSpace(contentType)
	return len(contentType) == 0 || bytes.EqualFold(contentType, jsonType) || bytes.HasSuffix(contentType, jsonSuffix)
}

func (g *Gateway) bid(x *ingress.Exchange, f *ingress.Flusher, c *carrier) {
	if !isJSON(x.Req.ContentType) {
		g.reply(x, f, 415, "Content-Type must be application/json\n", g.m.notJSON)
		return
	}
	if !g.Ready() {
		g.unavailable(x, f, "not ready\n", g.m.notReady)
		return
	}
	r := &c.context.Request
	if fault := openrtb.ParseLimits(x.Body, r, g.cfg.Limits); !fault.OK() {
		g.m.malformed.Inc()
		x.Out = append(fault.AppendReason(x.Out[:0]), '\n')
		x.Reply(f, 400, ingress.ReplyHeaders{ContentType: http1.TypeText})
		return
	}
	id, known := c.identity.Of(r)
	c.context.User = selection.User{ID: id, Known: known}
	c.context.Debug = g.cfg.Debug && bytes.Equal(x.Req.Debug, debugYes)
	c.context.Carrier, c.context.Body, c.context.Arrived = x, x.Body, x.Arrived
	c.message = serve.Message{Type: serve.BidRequest, Context: &c.context}
	if e := g.engine.Load(); !e.submit(unit.Owner(uint64(id), e.shards), &c.message) {
		g.unavailable(x, f, "mailbox full\n", g.m.mailboxFull)
	}
}

// behind is the engine that a GET is for; nil: it was refused, and answered.
func (g *Gateway) behind(x *ingress.Exchange, f *ingress.Flusher) *engine {
	if !g.allow(x, f, http1.GET) {
		return nil
	}
	e := g.engine.Load()
	if e == nil {
		g.unavailable(x, f, "not ready\n", g.m.notReady)
	}
	return e
}

func (g *Gateway) event(x *ingress.Exchange, f *ingress.Flusher, c *carrier) {
	kind, ok := event.KindOf(x.Req.Path)
	if !ok {
		g.reply(x, f, 404, "no such event; there are /e/i, /e/c and /e/v\n", g.m.notFound)
		return
	}
	e := g.behind(x, f)
	if e == nil {
		return
	}
	t := &c.context.Token
	var status event.Status
	c.context.TokenBuffer, status = c.signer.Parse(parameter(x.Req.Query, tokenPrefix), g.clock.Wall(), kind, t, c.context.TokenBuffer)
	if status != event.OK {
		g.refuseToken(x, f, status)
		return
	}
	readPrice(t, x.Req.Query)
	c.context.Carrier = x
	if x.Req.Method == http1.HEAD {
		// A link preview or a checker: shown where the link leads, and counted as
		// nothing, or every preview of a click would be billed.
		g.m.previews.Inc()
		c.context.RespondEvent()
		g.Reply(&c.context, f)
		return
	}
	c.message = serve.Message{Type: serve.Event, Context: &c.context}
	if !e.submit(budget.Route(t, g.cfg.Node, g.cfg.Epoch, e.shards), &c.message) {
		g.unavailable(x, f, "mailbox full\n", g.m.mailboxFull)
	}
}

// parameter is the value of a parameter of a query, of which the prefix is the
// name and the equals sign.
func parameter(query, prefix []byte) []byte {
	for len(query) > 0 {
		pair := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		if bytes.HasPrefix(pair, prefix) {
			return pair[len(prefix):]
		}
	}
	return nil
}

func (g *Gateway) refuseToken(x *ingress.Exchange, f *ingress.Flusher, s event.Status) {
	counter := g.m.tokens[s]
	switch s {
	case event.Expired:
		g.reply(x, f, 410, "the token has expired\n", counter)
	case event.Malformed:
		g.reply(x, f, 400, "t: not a token\n", counter)
	default:
		g.reply(x, f, 403, "t: not a token of ours for this event\n", counter)
	}
}

func (g *Gateway) reply(x *ingress.Exchange, f *ingress.Flusher, status int, text string, n shards.AtomicCounter) {
	n.Inc()
	x.Out = append(x.Out[:0], text...)
	x.Reply(f, status, ingress.ReplyHeaders{ContentType: http1.TypeText, NoStore: true})
}

func (g *Gateway) unavailable(x *ingress.Exchange, f *ingress.Flusher, text string, n shards.AtomicCounter) {
	n.Inc()
	x.Out = append(x.Out[:0], text...)
	x.Reply(f, 503, ingress.ReplyHeaders{ContentType: http1.TypeText, RetryAfterSeconds: g.cfg.RetryAfterSeconds})
}

// answerKept is the most memory an answer's buffer keeps between requests.
const answerKept = 64 << 10

// Reply sends a decided answer: the engine's side of serve.Effects.Reply.
func (g *Gateway) Reply(c *serve.Context, f *ingress.Flusher) {
	x, a := c.Carrier.(*ingress.Exchange), &c.Answer
	h := ingress.ReplyHeaders{Location: a.Location, NoStore: !a.JSON}
	if a.JSON {
		h.ContentType, h.Extra = http1.TypeJSON, rtbVersion
	} else if len(a.Body) > 0 {
		h.ContentType = http1.TypeText
	}
	if a.Status == 503 {
		h.RetryAfterSeconds = g.cfg.RetryAfterSeconds
	}
	status := a.Status
	// The exchange's body becomes the answer and its old memory the next
	// answer's: nothing is copied. After Reply neither may be touched here.
	x.Out, a.Body = a.Body, x.Out[:0]
	if cap(a.Body) > answerKept {
		a.Body = nil
	}
	x.Reply(f, status, h)
}
