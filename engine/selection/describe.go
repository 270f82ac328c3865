package selection

import "millrace/codec/openrtb"

// describe tells targeting what the request says of user, device and inventory.
// 2.5 and 2.6 places have been merged by the parser.
func (s *Selector) describe() {
	r, q := s.request, &s.query
	geo := &r.Device.Geo
	if geo.Country.IsZero() && geo.Region.IsZero() && geo.City.IsZero() {
		geo = &r.User.Geo // where the user lives, if not where the device is
	}
	q.SetGeo(geo.Country.Raw(), geo.Region.Raw(), s.text(geo.City))
	q.SetDevice(int(r.Device.DeviceType), r.Device.OS.Raw(), r.Device.Language.Raw())
	s.describeInventory()
	for _, d := range r.Data(r.User.Data) {
		for _, seg := range r.Segments(d.Segments) {
			q.AddSegment(d.ID.Raw(), s.text(seg.ID))
		}
	}
	for _, c := range r.Strs(r.BCat) {
		q.BlockCategory(c.Raw())
	}
	for _, d := range r.Strs(r.BAdv) {
		q.BlockDomain(d.Raw())
	}
	for _, b := range r.Strs(r.BApp) {
		q.BlockApp(s.text(b))
	}
}

func (s *Selector) describeInventory() {
	inv, q := &s.request.Inventory, &s.query
	switch inv.Kind {
	case openrtb.SiteInventory:
		if !inv.ID.IsZero() {
			q.AddSite(s.text(inv.ID))
		}
		if !inv.Domain.IsZero() {
			q.AddSite(s.text(inv.Domain))
		}
	case openrtb.AppInventory:
		if !inv.ID.IsZero() {
			q.AddApp(s.text(inv.ID))
		}
		if !inv.Bundle.IsZero() {
			q.AddBundle(s.text(inv.Bundle))
		}
	}
	for _, span := range [...]openrtb.StrSpan{inv.Cat, inv.SectionCat, inv.PageCat, inv.Content.Cat} {
		for _, c := range s.request.Strs(span) {
			q.AddCategory(c.Raw())
		}
	}
}

// BeginImp narrows the request's candidates to those of its impression.
func (s *Selector) BeginImp(imp *openrtb.Imp) {
	s.imp = imp
	q := &s.query
	q.BeginImp()
	for m := openrtb.BannerMedia; m <= openrtb.NativeMedia; m++ {
		if imp.Media.Has(m) {
			q.Offer(m)
		}
	}
	s.describeBanner(&imp.Banner)
	s.blockAttributes(openrtb.VideoMedia, imp.Video.BAttr)
	s.blockAttributes(openrtb.AudioMedia, imp.Audio.BAttr)
	s.blockAttributes(openrtb.NativeMedia, imp.Native.BAttr)
	for i := range s.request.Deals(imp.Deals) {
		q.AddDeal(s.text(s.request.Deals(imp.Deals)[i].ID))
	}
	if imp.HasPMP && imp.PrivateAuction {
		q.SetPrivate()
	}
	if imp.Secure {
		q.SetSecure()
	}
	s.catalog.Snapshot.MatchImp(q, &s.base, &s.match)
	s.position = s.catalog.cfg.Position[positionOf(imp)]
	s.tier.known, s.tier.group = false, s.tier.place|segmentOf(s.request, imp)
	s.beginScan()
}

func (s *Selector) describeBanner(b *openrtb.Banner) {
	q := &s.query
	q.AddSize(int(b.W), int(b.H))
	for _, f := range s.request.Formats(b.Formats) {
		q.AddSize(int(f.W), int(f.H))
	}
	for _, t := range s.request.Ints(b.BType) {
		q.BlockType(int(t))
	}
	s.blockAttributes(openrtb.BannerMedia, b.BAttr)
}

func (s *Selector) blockAttributes(m openrtb.MediaType, span openrtb.IntSpan) {
	for _, a := range s.request.Ints(span) {
		s.query.BlockAttribute(m, int(a))
	}
}

// text is the decoded text, in the selector's scratch where it had escapes.
func (s *Selector) text(str openrtb.Str) (text []byte) {
	text, s.scratch = str.Text(s.scratch)
	return text
}
