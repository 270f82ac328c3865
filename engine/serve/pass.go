package serve

import (
	"bytes"
	"math"
	"time"

	"millrace/codec/creative"
	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// passOn writes what the answer says of an offer that has won: the bidder's markup
// with its macros filled in, and notices of our own that bring the bidder's about.
func (c *Core) passOn(x *Context, w *winner) {
	d := &c.decision
	w.id.from = len(d.texts)
	d.texts = appendWinID(d.texts, &w.win.ID)
	w.id.to = len(d.texts)
	b := &w.call.view.Bids[w.theirs]
	m := c.macros(x, w)
	w.adm.from = len(d.texts)
	d.texts = d.appendMarkup(d.texts, b.Adm, m)
	w.adm.to = len(d.texts)
	if b.Adm.IsZero() {
		// The body of its win notice is the markup (rule 17): whoever shows the ad
		// fetches it, and so the notice is given.
		w.nurl.from = len(d.texts)
		d.texts = d.appendFilled(d.texts, b.NURL, m)
		w.nurl.to = len(d.texts)
	} else if w.call.partner.WinNotices {
		w.nurl = c.ownNotice(x, w, event.WonThere, b.NURL, m)
	}
	w.burl = c.ownNotice(x, w, event.Billed, b.BURL, m)
	if w.call.partner.LossNotices {
		m.HasLoss, m.LossLater = false, true
		w.lurl = c.ownNotice(x, w, event.LostThere, b.LURL, m)
	}
}

// macros are the values of a winning offer's macros. The bidder is told what it
// pays, which our auction has settled; whatever the exchange's own says later is
// between the exchange and us.
func (c *Core) macros(x *Context, w *winner) *creative.Macros {
	d, res := &c.decision, &w.call.view
	b := &res.Bids[w.theirs]
	m := &d.render.vars.Macros
	*m = creative.Macros{
		AuctionID: x.Request.ID, Bidder: creative.Bidder{BidID: res.BidID, SeatID: res.Seats[b.SeatBid].Seat, AdID: b.AdID},
		ImpID: x.Request.Imp[w.imp].ID, Price: w.pays, HasPrice: true, Currency: res.Cur,
		Loss: openrtb.BidWon, HasLoss: true, MinToWin: w.minimum, HasMinToWin: w.minimum > 0,
	}
	if b.Price > 0 && w.pays <= math.MaxInt64/unit.CPMMicros(unit.MicrosPerUnit) {
		m.MarketBidRatio = int32(w.pays * unit.CPMMicros(unit.MicrosPerUnit) / b.Price)
	}
	return m
}

// appendMarkup appends markup as the inside of a JSON string. Most has no macro,
// and is passed on as it came.
func (d *decision) appendMarkup(dst []byte, adm openrtb.Str, m *creative.Macros) []byte {
	if raw := adm.Raw(); bytes.IndexByte(raw, '$') < 0 && (!adm.Escaped() || !bytes.Contains(raw, escapedDollar)) {
		return adm.AppendJSON(dst)
	}
	d.plain = adm.AppendText(d.plain[:0])
	d.filled = creative.AppendMacros(d.filled[:0], d.plain, m)
	return openrtb.AppendEscaped(dst, d.filled)
}

// escapedDollar may hide a macro in a JSON string.
var escapedDollar = []byte(`\u0024`)

// appendFilled appends a text with its macros filled in.
func (d *decision) appendFilled(dst []byte, s openrtb.Str, m *creative.Macros) []byte {
	d.plain = s.AppendText(d.plain[:0])
	return creative.AppendMacros(dst, d.plain, m)
}

// ownNotice appends a URL of ours that the exchange is to call, with a token that
// carries the bidder's own notice. What bills us is always wanted: it is how we
// know what a bidder owes; the others only where there is somebody to tell.
func (c *Core) ownNotice(x *Context, w *winner, n event.Notice, theirs openrtb.Str, m *creative.Macros) (s span) {
	d := &c.decision
	if theirs.IsZero() && n != event.Billed {
		return s
	}
	d.filled = d.appendFilled(d.filled[:0], theirs, m)
	if len(d.filled) > event.LandingMax {
		c.count(c.m.noticesDropped)
		if n != event.Billed {
			return s
		}
		d.filled = d.filled[:0]
	}
	res := &w.call.view
	b := &res.Bids[w.theirs]
	t := &d.render.token
	*t = event.Token{
		Kind: event.Impression, Test: x.Request.Test, Win: w.win.ID, User: x.User.ID,
		Campaign: w.call.buyer.id, Line: unit.LineID(d.hash(res.Seats[b.SeatBid].Seat)), Creative: unit.CreativeID(d.hash(b.CRID)),
		Price: w.pays.PerImpression(), Currency: res.Cur, Day: w.win.Day, Issued: w.win.Issued, Landing: d.filled,
		Sale: event.Sale{Notice: n, Bid: w.place.Price.PerImpression(), Currency: w.currency, Buyer: w.call.buyer.name},
	}
	t.Expires = t.Issued.Add(c.noticeTTL(w))
	s.from = len(d.texts)
	d.texts = append(append(append(d.texts, d.base...), n.Path()...), "?t="...)
	d.texts = c.signer.Append(d.texts, t)
	switch n {
	case event.LostThere:
		d.texts = append(d.texts, "&l=${AUCTION_LOSS}"...)
	default:
		d.texts = append(d.texts, "&p=${AUCTION_PRICE}"...)
	}
	s.to = len(d.texts)
	return s
}

// noticeTTL: the exp of impression and bid bound how late an impression may bill
// (rule 22).
func (c *Core) noticeTTL(w *winner) time.Duration {
	if exp := time.Duration(w.call.verdicts[w.theirs].Exp) * time.Second; exp > 0 && exp < c.cfg.TokenTTL {
		return exp
	}
	return c.cfg.TokenTTL
}

// hash is a number for a bidder's text.
func (d *decision) hash(s openrtb.Str) uint64 {
	if s.IsZero() {
		return 0
	}
	var text []byte
	text, d.plain = s.Text(d.plain)
	return unit.HashText("", text)
}

// theirBid is an offer that has won, as the answer's bid.
func (c *Core) theirBid(x *Context, w *winner) openrtb.Bid {
	d, v := &c.decision, &w.call.verdicts[w.theirs]
	group := w.call.groups[w.theirs]
	d.offers.passed = append(d.offers.passed, openrtb.Passed{Bid: &w.call.view.Bids[w.theirs], Of: &w.call.view, Group: group})
	b := openrtb.Bid{
		Seat: w.call.partner.Name, Group: group > 0, ID: d.text(w.id), ImpID: x.Request.Imp[w.imp].ID, Price: w.place.Price,
		NURL: d.text(w.nurl), BURL: d.text(w.burl), LURL: d.text(w.lurl), Adm: d.text(w.adm), MType: v.Media, Exp: v.Exp,
		Passed: &d.offers.passed[len(d.offers.passed)-1],
	}
	if v.Deal >= 0 {
		b.DealID = x.Request.Deals(x.Request.Imp[w.imp].Deals)[v.Deal].ID
	}
	return b
}
