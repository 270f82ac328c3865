package storm

import (
	"bytes"
	"time"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/gateway"
	"millrace/engine/selection"
	"millrace/engine/serve"
)

// carrier is who waits for an answer.
type carrier interface {
	answered(n *node, c *serve.Context)
}

const users = 40

// arrive is the next request of the world, and the one after it.
func (w *World) arrive() {
	if w.silent {
		return
	}
	w.after(time.Duration(w.traffic.ExpFloat64()/w.set.rate*float64(time.Second)), w.arrive)
	user, size := w.traffic.IntN(users), w.traffic.IntN(len(sizes))
	w.history.asked(w, size)
	from := w.traffic.IntN(len(w.nodes))
	for k := range w.nodes {
		if n := w.nodes[(from+k)%len(w.nodes)]; n.ready {
			w.bid(n, user, size)
			return
		}
	}
}

// bidding waits for the answer to a bid request.
type bidding struct {
	size int
	id   gateway.Identity
}

func (w *World) bid(n *node, user, size int) {
	x := w.context()
	b := &bidding{size: size}
	x.Carrier = b
	if fault := openrtb.Parse(w.bodies[user*len(sizes)+size], &x.Request); !fault.OK() {
		panic("storm: its own request is malformed")
	}
	id, known := b.id.Of(&x.Request)
	x.User = selection.User{ID: id, Known: known}
	n.submit(unit.Owner(uint64(id), n.shards), &serve.Message{Type: serve.BidRequest, Context: x})
}

func (b *bidding) answered(n *node, c *serve.Context) {
	w := n.world
	if c.Answer.Status == 200 {
		w.shown(n, b.size, c.Answer.Body)
	}
	w.spare = append(w.spare, c)
}

// context is a fresh one, or one that was answered.
func (w *World) context() *serve.Context {
	if k := len(w.spare) - 1; k >= 0 {
		x := w.spare[k]
		w.spare = w.spare[:k]
		return x
	}
	return &serve.Context{}
}

// tokenAfter is the token that follows a tracking path in markup.
func tokenAfter(body []byte, path string) []byte {
	i := bytes.Index(body, []byte(path))
	if i < 0 {
		return nil
	}
	rest := body[i+len(path):]
	end := bytes.IndexFunc(rest, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
	if end < 0 {
		end = len(rest)
	}
	return bytes.Clone(rest[:end])
}

// shown lets a client do what clients do with an ad.
func (w *World) shown(n *node, size int, body []byte) {
	impression, click := tokenAfter(body, "/e/i?t="), tokenAfter(body, "/e/c?t=")
	if impression == nil || click == nil {
		panic("storm: no tokens in " + string(body))
	}
	r := w.traffic
	seen := w.event(n, event.Impression, impression)
	w.history.won(w, n, size, seen)
	if r.IntN(10) == 0 {
		return // never rendered
	}
	delay := time.Second + time.Duration(r.ExpFloat64()*float64(3*time.Second))
	if r.IntN(30) == 0 { // after the reservation lapsed, or about then
		delay += time.Duration(float64(w.set.reservationTTL) * (0.5 + r.Float64()))
	}
	w.after(delay, func() { w.send(seen) })
	if rate := clickRate; r.Float64() < rate {
		c := w.event(n, event.Click, click)
		w.after(delay+time.Duration(r.ExpFloat64()*float64(5*time.Second)), func() { w.send(c) })
	}
}

// clientEvent is one tracking URL that a client calls, until it has an answer.
type clientEvent struct {
	world *World
	kind  event.Kind
	text  []byte
	token event.Token
	node  unit.NodeID
	tries int
	done  bool
}

// event reads a tracking URL as a client has it.
func (w *World) event(n *node, kind event.Kind, text []byte) *clientEvent {
	e := &clientEvent{world: w, kind: kind, text: text, node: n.id}
	if _, st := w.signer.Parse(text, 0, kind, &e.token, nil); st != event.OK {
		panic("storm: " + st.String() + " token from a node")
	}
	return e
}

const (
	triesMax = 6
	patience = 3 * time.Second
)

// send calls the URL once, and again as long as there is no answer.
func (w *World) send(e *clientEvent) {
	if e.done || e.tries >= triesMax {
		return
	}
	if e.tries++; e.tries > 1 {
		w.hit(Again)
	}
	if w.storms.has(Again) && w.traffic.IntN(25) == 0 && !e.done {
		// A browser that sends it twice, or a second open tab.
		w.hit(Again)
		w.after(time.Duration(w.traffic.ExpFloat64()*float64(20*time.Second)), func() { w.deliver(e) })
	}
	w.deliver(e)
	wait := patience << (e.tries - 1)
	w.after(wait, func() { w.send(e) })
}

// machine is the one that has the number, or one of the two.
func (w *World) machine(id unit.NodeID) (found *node) {
	for _, n := range w.nodes {
		if n.id == id && !n.retired && (found == nil || found.sim == nil || w.traffic.IntN(2) == 0) {
			found = n
		}
	}
	return found
}

// deliver brings the call to the node that the URL names.
func (w *World) deliver(e *clientEvent) {
	n := w.machine(e.node)
	if n.sim == nil || n.draining {
		return
	}
	n.catchUp()
	x := w.context()
	x.Carrier = e
	scratch, st := w.signer.Parse(e.text, n.wall(), e.kind, &x.Token, x.TokenBuffer)
	x.TokenBuffer = scratch
	if st != event.OK {
		w.spare = append(w.spare, x)
		return // 403: the client shrugs
	}
	w.history.called(e)
	to := budget.Route(&x.Token, n.id, n.journal.Epoch(), n.shards)
	n.submit(to, &serve.Message{Type: serve.Event, Context: x})
}

func (e *clientEvent) answered(n *node, c *serve.Context) {
	w := e.world
	switch c.Answer.Status {
	case 204, 302:
		w.history.acknowledged(w, n, e)
		if !e.done && e.kind == event.Click {
			if text := tokenAfter(c.Answer.Location, "?c="); text != nil && w.traffic.Float64() < conversionRate {
				v := w.event(n, event.Conversion, text)
				w.after(time.Duration(w.traffic.ExpFloat64()*float64(8*time.Second)), func() { w.send(v) })
			}
		}
		e.done = true
	}
	w.spare = append(w.spare, c)
}
