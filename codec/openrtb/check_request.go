package openrtb

import (
	"fmt"

	"millrace/codec/unit"
)

// requestShape is what the checker knows of requests.
var requestShape = func() *shape {
	deal := shapeOf(dealTable, map[string]*shape{"durfloors[]": shapeOf(durFloorTable, nil)})
	floors := map[string]*shape{"durfloors[]": shapeOf(durFloorTable, nil)}
	imp := shapeOf(impTable, map[string]*shape{
		"banner": shapeOf(bannerTable, map[string]*shape{"format[]": shapeOf(formatTable, nil)}),
		"video":  shapeOf(videoTable, floors), "audio": shapeOf(audioTable, floors), "native": shapeOf(nativeTable, nil),
		"pmp": shapeOf(pmpTable, map[string]*shape{"deals[]": deal}), "metric[]": shapeOf(metricTable, nil), "qty": shapeOf(qtyTable, nil),
		"refresh": shapeOf(refreshTable, map[string]*shape{"refsettings[]": shapeOf(refSettingTable, nil)}),
	})
	segments := map[string]*shape{"segment[]": shapeOf(segmentTable, nil)}
	party := shapeOf(partyTable, nil)
	content := shapeOf(contentTable, map[string]*shape{"data[]": shapeOf(contentDataTable, segments), "producer": party, "network": party, "channel": party})
	inventory := map[string]*shape{"publisher": shapeOf(publisherTable, nil), "content": content}
	brand := shapeOf(brandTable, nil)
	agent := shapeOf(userAgentTable, map[string]*shape{"browsers[]": brand, "platform": brand})
	eid := shapeOf(eidTable, map[string]*shape{"uids[]": shapeOf(uidTable, nil)})
	chain := shapeOf(chainTable, map[string]*shape{"nodes[]": shapeOf(nodeTable, nil)})
	return shapeOf(requestTable, map[string]*shape{
		"imp[]": imp, "site": shapeOf(siteTable, inventory), "app": shapeOf(appTable, inventory), "dooh": shapeOf(doohTable, inventory),
		"device": shapeOf(deviceTable, map[string]*shape{"geo": shapeOf(deviceGeoTable, nil), "sua": agent}),
		"user":   shapeOf(userTable, map[string]*shape{"geo": shapeOf(userGeoTable, nil), "data[]": shapeOf(userDataTable, segments), "eids[]": eid}),
		"regs":   shapeOf(regsTable, nil), "source": shapeOf(sourceTable, map[string]*shape{"schain": chain}),
	})
}()

// Request checks a bid request. The findings are in the order of the document
// where they have a place, then what only the whole shows.
func (c *Checker) Request(body []byte) []Finding {
	c.begin()
	if e := Parse(body, &c.req); !e.OK() {
		c.refused(e)
		return c.end()
	}
	p := parser{b: body, key: &c.key, limit: DefaultLimits(), imp: -1}
	c.walk(&p, p.space(0), "", requestShape)
	r := &c.req
	if r.WSeat.Len() > 0 && r.BSeat.Len() > 0 {
		c.add(Fault, 11, "bseat", 0, "send wseat or bseat, not both", "given together with wseat")
	}
	for _, s := range r.Strs(r.Cur) {
		if _, ok := unit.ParseCurrency(s.String()); !ok {
			c.add(Fault, 9, "cur", 0, "send ISO 4217 codes, as USD", "%q is no currency", s)
		}
	}
	if r.At == 0 {
		c.add(Warning, 14, "at", 0, "send at 1 if the auction is a first-price one", "absent: bidders take it for a second-price auction")
	}
	if r.Regs.GDPR && r.User.Consent.IsZero() {
		c.add(Warning, 20, "user.consent", 0, "send the TCF string in user.consent", "absent though regs.gdpr is 1: bidders may not use any id")
	}
	c.chain()
	for i := range r.Imp {
		c.impression(fmt.Sprintf("imp[%d]", i), &r.Imp[i])
	}
	return c.end()
}

// chain looks for what makes a supply chain useless to a bidder (rule 21).
func (c *Checker) chain() {
	raw := c.req.Source.SChain.Bytes()
	if raw == nil {
		return
	}
	nodes := 0
	p := parser{b: raw, key: &c.key, limit: DefaultLimits(), imp: -1}
	if raw[0] == '{' {
		k, i := p.first(0)
		for k != nil && i >= 0 {
			if string(k) == "nodes" && raw[i] == '[' {
				nodes = 0
				at, done := p.firstItem(i)
				for !done {
					nodes++
					if at = p.skip(at); at < 0 {
						return
					}
					at, done = p.nextItem(at)
				}
				i = at
			} else {
				i = p.skip(i)
			}
			if i < 0 {
				return
			}
			k, i = p.next(i)
		}
	}
	if nodes == 0 {
		c.add(Warning, 21, "source.schain.nodes", 0, "list every seller, the first one first, or leave schain out", "a supply chain without nodes")
	}
}

func (c *Checker) impression(path string, m *Imp) {
	r := &c.req
	for t := BannerMedia; t <= NativeMedia && !m.Invalid; t++ {
		if m.Listed.Has(t) && !m.Media.Has(t) {
			c.add(Fault, 5, path+"."+t.String(), 0, "correct its numbers", "invalid: it is not on offer")
		}
	}
	if m.Invalid {
		c.add(Fault, 5, path, 0, "correct its numbers and its bidfloorcur", "invalid: nobody can bid on it")
	}
	if m.PrivateAuction && m.Deals.Len() == 0 {
		c.add(Warning, 10, path+".pmp.deals", 0, "list the deals, or send private_auction 0", "a private auction without deals: nobody can bid")
	}
	for i, d := range r.Deals(m.Deals) {
		if d.ID.IsZero() {
			c.add(Fault, 10, fmt.Sprintf("%s.pmp.deals[%d].id", path, i), 0, "give the deal its id", "absent: no bid can name the deal")
		}
	}
	if m.Listed.Has(VideoMedia) && m.Video.Mimes.Len() == 0 {
		c.add(Warning, 4, path+".video.mimes", 0, "list the types the player plays, as video/mp4", "absent: the specification requires it")
	}
	if m.Listed.Has(AudioMedia) && m.Audio.Mimes.Len() == 0 {
		c.add(Warning, 4, path+".audio.mimes", 0, "list the types the player plays, as audio/mp4", "absent: the specification requires it")
	}
	switch {
	case !m.Listed.Has(NativeMedia):
	case m.Native.Request.IsZero():
		c.add(Warning, 4, path+".native.request", 0, "send the native request as a string of JSON", "absent: nobody knows which assets are wanted")
	case !c.native.Parse(m.Native.Request):
		c.add(Fault, 4, path+".native.request", 0, "send a native 1.2 request with assets, as a string of JSON", "not a native request: nobody can bid")
	}
}
