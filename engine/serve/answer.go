package serve

import (
	"time"

	"millrace/codec/openrtb"
	"millrace/state/campaign"
)

// answer writes the decision as the request's answer: 200 with the bids, or
// 204. Whoever asked for an explanation gets it in ext, with 200.
func (c *Core) answer(x *Context) {
	d := &c.decision
	if len(d.winners) == 0 && !x.Debug {
		x.Answer.Set(204, "")
		return
	}
	r := &d.answer
	bids := r.Bids[:0]
	for i := range d.winners {
		if w := &d.winners[i]; w.call == nil {
			bids = insertBid(bids, c.openrtbBid(x, w))
		}
	}
	for i := range d.winners {
		if w := &d.winners[i]; w.call != nil {
			bids = insertTheirs(bids, c.theirBid(x, w))
		}
	}
	*r = openrtb.Response{ID: x.Request.ID, NBR: openrtb.NoReason, Bids: bids}
	if len(bids) > 0 {
		r.BidID, r.Cur = bids[0].ID, d.winners[0].currency
	} else {
		r.NBR = openrtb.UnknownError
	}
	if x.Debug {
		r.Ext = c.explain(x)
	}
	x.Answer.Status, x.Answer.JSON, x.Answer.Location = 200, true, nil
	x.Answer.Body = openrtb.AppendResponse(x.Answer.Body[:0], r)
}

// insertBid keeps the bids of one seat together, so that each seat stands once
// in the response.
func insertBid(bids []openrtb.Bid, b openrtb.Bid) []openrtb.Bid {
	bids = append(bids, b)
	i := len(bids) - 1
	for i > 0 && bids[i-1].Seat > b.Seat {
		bids[i] = bids[i-1]
		i--
	}
	bids[i] = b
	return bids
}

// insertTheirs keeps bids passed on of one seatbid together, behind the others.
func insertTheirs(bids []openrtb.Bid, b openrtb.Bid) []openrtb.Bid {
	at := len(bids)
	for i := range bids {
		if bids[i].Beside(&b) {
			at = i + 1
		}
	}
	bids = append(bids, b)
	copy(bids[at+1:], bids[at:])
	bids[at] = b
	return bids
}

func (c *Core) openrtbBid(x *Context, w *winner) openrtb.Bid {
	d, snap := &c.decision, c.sel.Catalog().Snapshot
	cr := &snap.Creatives[w.bid.Creative]
	b := openrtb.Bid{
		Seat: snap.Advertiser(campaign.LineIndex(w.bid.Line)).Name,
		ID:   d.text(w.id), ImpID: x.Request.Imp[w.imp].ID, Price: w.place.Price,
		Adm: d.text(w.adm), ADomain: cr.Domains, Bundle: cr.Bundle, AdID: cr.Name, CRID: cr.Name,
		CID: snap.Campaigns[snap.Lines[w.bid.Line].Campaign].Name,
		Cat: cr.Categories, Attr: cr.Attributes, APIs: cr.Template.APIs(), Proto: w.protocol, Lang: cr.Language, DealID: w.place.Deal, MType: cr.Media,
		W: w.w, H: w.h, Dur: int32(cr.DurationSeconds),
		// After this long the reservation is void: an impression then is paid
		// from what is left, if anything is.
		Exp: int32(c.cfg.Budget.ReservationTTL / time.Second),
	}
	if exp := x.Request.Imp[w.imp].Exp; exp > 0 {
		b.Exp = min(b.Exp, exp)
	}
	return b
}
