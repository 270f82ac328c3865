package serve

import (
	"strconv"
	"time"

	"millrace/codec/creative"
	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/state/campaign"
)

// renderer is the scratch of one bid's markup.
type renderer struct {
	vars       creative.Vars
	native     openrtb.NativeRequest
	details    openrtb.Details
	token      event.Token
	impression []byte
	click      []byte
	landing    []byte
	conversion []byte
}

// renderBid signs the bid's tokens and appends its id and markup to the
// decision's texts. False: this creative can't be shown there.
func (c *Core) renderBid(x *Context, w *winner) bool {
	d, imp := &c.decision, &x.Request.Imp[w.imp]
	cr := &c.sel.Catalog().Snapshot.Creatives[w.bid.Creative]
	var native *openrtb.NativeRequest
	if cr.Media == openrtb.NativeMedia && d.render.native.Parse(imp.Native.Request) {
		native = &d.render.native
	}
	fit, ok := cr.Template.Fits(&x.Request, imp, native, &d.render.details)
	if !ok {
		return false
	}
	w.id.from = len(d.texts)
	d.texts = appendWinID(d.texts, &w.win.ID)
	w.id.to = len(d.texts)
	w.protocol = cr.Template.Protocol(fit)
	w.w, w.h = size(&x.Request, imp, cr)
	v := &d.render.vars
	*v = creative.Vars{
		Macros: creative.Macros{
			AuctionID: x.Request.ID, BidID: d.text(w.id), ImpID: imp.ID, AdID: cr.Name,
			SeatID: c.sel.Catalog().Snapshot.Advertiser(campaign.LineIndex(w.bid.Line)).Name,
			// First price: what is bid is what is paid. The exchange's own macro
			// reaches us only in notices, which this answer does not ask for.
			Price: w.place.Price, HasPrice: true, Currency: w.currency,
		},
		Fit: fit, CacheBuster: w.win.ID.Seq,
	}
	if !c.signURLs(x, w, imp, cr) {
		return false
	}
	from := len(d.texts)
	texts, ok := cr.Template.AppendAdm(d.texts, v)
	if !ok {
		return false
	}
	d.texts = texts
	w.adm = span{from, len(texts)}
	return true
}

func (d *decision) text(s span) []byte { return d.texts[s.from:s.to] }

// size of the ad: its own, or for one that scales the impression's.
func size(r *openrtb.BidRequest, imp *openrtb.Imp, cr *campaign.Creative) (w, h int32) {
	if cr.Size != (campaign.Size{}) {
		return int32(cr.Size.W), int32(cr.Size.H)
	}
	switch cr.Media {
	case openrtb.BannerMedia:
		// Formats are in order of the publisher's preference where it has one.
		if f := r.Formats(imp.Banner.Formats); len(f) > 0 && f[0].W > 0 && f[0].H > 0 {
			return f[0].W, f[0].H
		}
		return imp.Banner.W, imp.Banner.H
	case openrtb.VideoMedia:
		return imp.Video.W, imp.Video.H
	}
	return 0, 0
}

// appendWinID appends the id a bid carries: node-epoch-shard-seq, in base 36.
func appendWinID(dst []byte, id *event.WinID) []byte {
	dst = strconv.AppendUint(dst, uint64(id.Node), 36)
	dst = strconv.AppendUint(append(dst, '-'), uint64(id.Epoch), 36)
	dst = strconv.AppendUint(append(dst, '-'), uint64(id.Shard), 36)
	return strconv.AppendUint(append(dst, '-'), id.Seq, 36)
}

// signURLs makes the tracking URLs of a win. A token is good for one kind of
// event: who can see the impression's URL can't claim a conversion with it.
func (c *Core) signURLs(x *Context, w *winner, imp *openrtb.Imp, cr *campaign.Creative) bool {
	r, snap := &c.decision.render, c.sel.Catalog().Snapshot
	l := &snap.Lines[w.bid.Line]
	r.token = event.Token{
		Test: x.Request.Test, Win: w.win.ID, User: x.User.ID,
		Campaign: snap.Campaigns[l.Campaign].ID, Line: l.ID, Creative: cr.ID,
		CampaignAccount: accountID(snap, l.Account), LineAccount: accountID(snap, l.LineAccount),
		Reserved: w.bid.Price, Currency: l.Currency, Day: w.win.Day, Issued: w.win.Issued,
		Policy: w.policy, Group: w.group,
	}
	r.vars.ImpressionURL = c.trackingURL(r.impression, l, event.Impression, c.impressionTTL(imp), nil)
	r.impression = r.vars.ImpressionURL
	if cr.Landing.WantsConversion() {
		c.prepareToken(l, event.Conversion, c.cfg.TokenTTL, nil)
		r.conversion = c.signer.Append(r.conversion[:0], &r.token)
		r.vars.Conversion = r.conversion
	}
	r.landing = cr.Landing.Append(r.landing[:0], &r.vars)
	if len(r.landing) > event.LandingMax {
		return false
	}
	r.vars.ClickURL = c.trackingURL(r.click, l, event.Click, c.cfg.TokenTTL, r.landing)
	r.click = r.vars.ClickURL
	return true
}

// impressionTTL: imp.exp bounds how late an impression may bill (OpenRTB 3.2.4).
func (c *Core) impressionTTL(imp *openrtb.Imp) time.Duration {
	if exp := time.Duration(imp.Exp) * time.Second; exp > 0 && exp < c.cfg.TokenTTL {
		return exp
	}
	return c.cfg.TokenTTL
}

// prepareToken makes the win's token one for a kind of event.
func (c *Core) prepareToken(l *campaign.LineItem, k event.Kind, ttl time.Duration, landing []byte) {
	t := &c.decision.render.token
	t.Kind, t.Landing, t.Expires = k, landing, t.Issued.Add(ttl)
	t.Billable = l.Billable() && k == pays(l.Pricing)
	t.Price = 0
	if t.Billable {
		t.Price = l.Price
	}
}

func (c *Core) trackingURL(dst []byte, l *campaign.LineItem, k event.Kind, ttl time.Duration, landing []byte) []byte {
	c.prepareToken(l, k, ttl, landing)
	dst = append(append(append(dst[:0], c.decision.base...), k.Path()...), "?t="...)
	return c.signer.Append(dst, &c.decision.render.token)
}

// pays is the event that a pricing pays for.
func pays(p campaign.Pricing) event.Kind {
	switch p {
	case campaign.CPC:
		return event.Click
	case campaign.CPA:
		return event.Conversion
	}
	return event.Impression
}

func accountID(s *campaign.Snapshot, a campaign.AccountIndex) unit.AccountID {
	if a == campaign.NoAccount {
		return 0
	}
	return s.Accounts[a].ID
}
