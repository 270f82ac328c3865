package gateway

import (
	"math"

	"millrace/codec/event"
	"millrace/codec/http1"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/serve"
	"millrace/netio/ingress"
)

// notice takes what an exchange tells of a bid that we passed on: that it won
// there, or why it did not.
func (g *Gateway) notice(x *ingress.Exchange, f *ingress.Flusher, c *carrier) {
	n, ok := event.NoticeOf(x.Req.Path)
	if !ok {
		g.reply(x, f, 404, "no such notice; there are /n/w and /n/l\n", g.m.notFound)
		return
	}
	e := g.behind(x, f)
	if e == nil {
		return
	}
	t := &c.context.Token
	var status event.Status
	c.context.TokenBuffer, status = c.signer.ParseNotice(parameter(x.Req.Query, tokenPrefix), g.clock.Wall(), n, t, c.context.TokenBuffer)
	if status != event.OK {
		g.refuseToken(x, f, status)
		return
	}
	c.context.Carrier, c.context.Notice = x, n
	c.context.Loss = readLoss(x.Req.Query)
	if x.Req.Method == http1.HEAD {
		g.m.previews.Inc()
		c.context.Answer.Set(204, "")
		g.Reply(&c.context, f)
		return
	}
	c.message = serve.Message{Type: serve.Notice, Context: &c.context}
	if !e.submit(budget.Route(t, g.cfg.Node, g.cfg.Epoch, e.shards), &c.message) {
		g.unavailable(x, f, "mailbox full\n", g.m.mailboxFull)
	}
}

// readLoss is the exchange's reason for a loss: that it lost to a higher bid,
// unless it says another number.
func readLoss(query []byte) openrtb.LossReason {
	text := parameter(query, lossPrefix)
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' || n > math.MaxUint16/10 {
			return openrtb.LostToHigherBid
		}
		n = n*10 + int(c-'0')
	}
	if len(text) == 0 || n > math.MaxUint16 {
		return openrtb.LostToHigherBid
	}
	return openrtb.LossReason(n)
}

// readPrice notes what the exchange says that the impression of a sale costs: a
// plain decimal, CPM. What is none (the macro itself, where nobody filled it in) is
// as if nothing were said.
func readPrice(t *event.Token, query []byte) {
	if t.Sale.Notice == 0 {
		return
	}
	price, ok := parsePrice(parameter(query, pricePrefix))
	t.Sale.Reported, t.Sale.Told = price.PerImpression(), ok
}

// parsePrice reads a decimal of up to six places; further ones are cut off.
func parsePrice(text []byte) (price unit.CPMMicros, ok bool) {
	const whole = math.MaxInt64 / int64(unit.MicrosPerUnit) / 10
	n, places, point := int64(0), 0, false
	for _, c := range text {
		switch {
		case c == '.' && !point:
			point = true
			continue
		case c < '0' || c > '9' || n > whole*int64(unit.MicrosPerUnit):
			return 0, false
		}
		if ok = true; point {
			if places == 6 {
				continue
			}
			places++
		}
		n = n*10 + int64(c-'0')
	}
	for ; ok && places < 6; places++ {
		if n > math.MaxInt64/10 {
			return 0, false
		}
		n *= 10
	}
	return unit.CPMMicros(n), ok
}
