package serve

import (
	"bytes"
	"strconv"

	"millrace/codec/creative"
	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// Which notice is given when:
//
//	lurl   of what lost here      now, with the reason
//	nurl   of what won here       when the exchange calls our nurl; now where ours is the last auction
//	burl   of what won here       when the exchange calls our burl and the record of it is durable
//	lurl   of what won here       when the exchange calls our lurl, with its reason
//
// A bid without markup is not told by us: its win notice is fetched for the
// markup. What a test request brought is told to nobody.

// tellBidders lets the desk know what became of the bids, and bidders of those
// that lost.
func (c *Core) tellBidders(x *Context, a *parked) {
	d := &c.decision
	if a.open == 0 && !a.collector.Early() {
		c.count(c.m.collected)
	} else {
		c.count(c.m.collectedEarly)
	}
	for i := range d.winners {
		w := &d.winners[i]
		if w.call == nil {
			continue
		}
		c.count(c.m.offersWon)
		c.demand.desk.Won(&a.collector, w.call.choice, w.worth)
		if c.cfg.LastAuction && w.nurl != (span{}) && !w.call.view.Bids[w.theirs].Adm.IsZero() {
			c.tellWin(x, w)
		}
	}
	if x.Request.Test {
		return
	}
	for _, k := range a.calls {
		if !k.partner.LossNotices {
			continue
		}
		for i := range k.verdicts {
			if k.lost[i] != openrtb.BidWon && !k.view.Bids[i].LURL.IsZero() {
				c.tellLoss(x, k, i)
			}
		}
	}
}

// tellWin gives a bidder its win notice.
func (c *Core) tellWin(x *Context, w *winner) {
	d := &c.decision
	if x.Request.Test {
		return
	}
	d.filled = d.appendFilled(d.filled[:0], w.call.view.Bids[w.theirs].NURL, c.macros(x, w))
	c.tell1(event.WonThere, d.filled)
}

// tellLoss tells a bidder why its bid lost, and what would have been enough if
// that was all that was wrong with it; not what the winner pays.
func (c *Core) tellLoss(x *Context, k *call, i int) {
	d, b, v := &c.decision, &k.view.Bids[i], &k.verdicts[i]
	m := &d.render.vars.Macros
	*m = creative.Macros{
		AuctionID: x.Request.ID, Bidder: creative.Bidder{BidID: k.view.BidID, SeatID: k.view.Seats[b.SeatBid].Seat, AdID: b.AdID},
		Currency: k.view.Cur, Loss: k.lost[i], HasLoss: true,
	}
	if v.Imp >= 0 {
		m.ImpID = x.Request.Imp[v.Imp].ID
	}
	if v.Reason == openrtb.Accepted && (k.lost[i] == openrtb.LostToHigherBid || k.lost[i] == openrtb.LostToDealBid) {
		m.MinToWin, m.HasMinToWin = c.minimum(k, v.Imp)
	}
	d.filled = d.appendFilled(d.filled[:0], b.LURL, m)
	c.tell1(event.LostThere, d.filled)
}

// minimum is what would have won an impression, in the currency of a call's bids.
func (c *Core) minimum(k *call, imp int32) (unit.CPMMicros, bool) {
	a := k.of
	for i := range c.decision.winners {
		w := &c.decision.winners[i]
		if w.imp != int(imp) {
			continue
		}
		worth := w.worth
		if w.call == nil {
			var ok bool
			if worth, ok = a.policy.Rates.Convert(w.bid.Price.CPM(), w.currency, a.book.Currency); !ok {
				return 0, false
			}
		}
		return a.policy.Rates.Convert(k.partner.Asked(worth), a.book.Currency, k.view.Cur)
	}
	return 0, false
}

// tell1 hands a notice over.
func (c *Core) tell1(n event.Notice, url []byte) {
	if c.cfg.Notices == nil || !c.cfg.Notices.Notify(c.shard.ID(), n, url) {
		c.count(c.m.noticesDropped)
		return
	}
	c.count(c.m.notices[n-1])
}

// told remembers the notices of exchanges that came lately, by win: they are
// repeated when an answer is lost, and bidders count what they are told. A table
// of fixed size: a repeat that comes after thousands of others is told again,
// which bidders have to expect anyway.
type told struct{ recent []uint64 }

const toldSlots = 1 << 14

// first notes a notice and reports whether it is new.
func (t *told) first(w *event.WinID, n event.Notice) bool {
	if t.recent == nil {
		t.recent = make([]uint64, toldSlots)
	}
	key := w.Seq<<2 | uint64(n)
	key ^= (uint64(w.Epoch)<<16 | uint64(w.Shard)) * 0x9E3779B97F4A7C15
	slot := &t.recent[key*0xBF58476D1CE4E5B9>>50]
	if *slot == key {
		return false
	}
	*slot = key
	return true
}

// noticed takes an exchange's notice that is no event, and answers at once.
func (c *Core) noticed(x *Context) {
	t := &x.Token
	x.Answer.Set(204, "")
	switch {
	case t.Test:
	case !c.told.first(&t.Win, x.Notice):
		c.count(c.m.noticesRepeated)
	case len(t.Landing) == 0:
	case x.Notice == event.LostThere:
		c.tell1(x.Notice, c.withLoss(t.Landing, x.Loss))
	default:
		c.tell1(x.Notice, t.Landing)
	}
	c.fx.Reply(x)
}

var lossMacro = []byte("${AUCTION_LOSS}")

// withLoss fills the one macro in that had to wait.
func (c *Core) withLoss(url []byte, loss openrtb.LossReason) []byte {
	d := &c.decision
	d.filled = d.filled[:0]
	for {
		i := bytes.Index(url, lossMacro)
		if i < 0 {
			break
		}
		d.filled = strconv.AppendUint(append(d.filled, url[:i]...), uint64(loss), 10)
		url = url[i+len(lossMacro):]
	}
	d.filled = append(d.filled, url...)
	return d.filled
}

// billed gives a bidder its billing notice, once the record of it is durable.
func (c *Core) billed(x *Context) {
	if x.sold {
		x.sold = false
		c.tell1(event.Billed, x.Token.Landing)
	}
}
