package sim

import (
	"time"

	"millrace/codec/openrtb"
	"millrace/engine/gateway"
	"millrace/engine/selection"
	"millrace/engine/serve"
	"millrace/shards"
)

// Loop drives one shard's core directly, for measurements: request bytes in,
// answer bytes out, one batch a request, nothing in between.
type Loop struct {
	world  *World
	x      serve.Context
	id     gateway.Identity
	m      serve.Message
	handle func(*shards.Shard[serve.Message])
	calls  int
}

// Every so many decisions the loop's clock jumps, so that reservations lapse
// and budgets last however long it runs.
const (
	jumpEvery = 4096
	jump      = 10 * time.Second
)

// Loop is a loop over the world's first shard.
func (w *World) Loop() *Loop {
	l := &Loop{world: w}
	l.m = serve.Message{Type: serve.BidRequest, Context: &l.x}
	l.handle = func(*shards.Shard[serve.Message]) { w.cores[0].Handle(&l.m) }
	w.discard = true
	return l
}

// Decide answers one request. The body it returns is valid until the next call.
func (l *Loop) Decide(body []byte) (status int, answer []byte) {
	if fault := openrtb.Parse(body, &l.x.Request); !fault.OK() {
		return 400, nil
	}
	user, known := l.id.Of(&l.x.Request)
	l.x.User, l.x.Body = selection.User{ID: user, Known: known}, body
	l.world.sim.Invoke(0, l.handle)
	if l.calls++; l.calls%jumpEvery == 0 {
		l.world.sim.Clock().Advance(jump)
		l.world.Settle()
	} else if len(l.world.store.replies) > 0 {
		l.world.Settle()
	}
	return l.x.Answer.Status, l.x.Answer.Body
}
