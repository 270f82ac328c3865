package openrtb

// inventory reads a site, app or screen; a request has at most one.
func (p *parser) inventory(i int, kind InventoryKind) int {
	start := i
	i, ok := p.object(i)
	d := &p.r.Inventory
	if !ok {
		if d.Kind == kind {
			*d = Inventory{}
			p.kinds = 0
		}
		return i
	}
	if p.kinds |= 1 << kind; p.kinds != 1<<kind {
		return p.fail(start, Conflict)
	}
	if d.Kind != NoInventory {
		*d = Inventory{}
	}
	d.Kind = kind
	site, app, dooh := kind == SiteInventory, kind == AppInventory, kind == DOOHInventory
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.str(i, &d.ID)
		case "name":
			i = p.str(i, &d.Name)
		case "domain":
			i = p.str(i, &d.Domain)
		case "page":
			i = p.strIf(site, i, &d.Page)
		case "ref":
			i = p.strIf(site, i, &d.Ref)
		case "bundle":
			i = p.strIf(app, i, &d.Bundle)
		case "storeurl":
			i = p.strIf(app, i, &d.StoreURL)
		case "ver":
			i = p.strIf(app, i, &d.Ver)
		case "keywords":
			i = p.str(i, &d.Keywords)
		case "cattax":
			if dooh {
				i = p.skip(i)
			} else {
				i = p.integer(i, (*int32)(&d.CatTax))
			}
		case "cat":
			i = p.strsIf(!dooh, i, &d.Cat)
		case "sectioncat":
			i = p.strsIf(!dooh, i, &d.SectionCat)
		case "pagecat":
			i = p.strsIf(!dooh, i, &d.PageCat)
		case "publisher":
			i = p.publisher(i, d)
		case "content":
			i = p.content(i, &d.Content)
		case "ext":
			i = p.raw(i, &d.Ext)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault(kind.String(), k)
		}
		k, i = p.next(i)
	}
	p.bad = false
	return p.end(i, kind.String())
}

func (p *parser) publisher(i int, d *Inventory) int {
	d.PublisherID, d.PublisherName, d.PublisherDomain, d.PublisherCat = Str{}, Str{}, Str{}, StrSpan{}
	i, ok := p.object(i)
	if !ok {
		return i
	}
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.str(i, &d.PublisherID)
		case "name":
			i = p.str(i, &d.PublisherName)
		case "domain":
			i = p.str(i, &d.PublisherDomain)
		case "cat":
			i = p.strs(i, &d.PublisherCat)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("publisher", k)
		}
		k, i = p.next(i)
	}
	return p.end(i, "publisher")
}

func (p *parser) content(i int, c *Content) int {
	if c.Present {
		*c = Content{}
	}
	i, ok := p.object(i)
	if !ok {
		return i
	}
	c.Present = true
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.str(i, &c.ID)
		case "title":
			i = p.str(i, &c.Title)
		case "genre":
			i = p.str(i, &c.Genre)
		case "keywords":
			i = p.str(i, &c.Keywords)
		case "language":
			i = p.str(i, &c.Language)
		case "cattax":
			i = p.integer(i, (*int32)(&c.CatTax))
		case "cat":
			i = p.strs(i, &c.Cat)
		case "data":
			i = p.dataList(i, &c.Data, "content.data[]")
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("content", k)
		}
		k, i = p.next(i)
	}
	return p.end(i, "content")
}

func (p *parser) device(i int) int {
	d := &p.r.Device
	if d.Present {
		*d = Device{}
	}
	i, ok := p.object(i)
	if !ok {
		return i
	}
	d.Present = true
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "ua":
			i = p.str(i, &d.UA)
		case "ip":
			i = p.str(i, &d.IP)
		case "ipv6":
			i = p.str(i, &d.IPv6)
		case "ifa":
			i = p.str(i, &d.IFA)
		case "os":
			i = p.str(i, &d.OS)
		case "osv":
			i = p.str(i, &d.OSV)
		case "make":
			i = p.str(i, &d.Make)
		case "model":
			i = p.str(i, &d.Model)
		case "language":
			i = p.str(i, &d.Language)
		case "carrier":
			i = p.str(i, &d.Carrier)
		case "dnt":
			i = p.flag(i, &d.DNT, true)
		case "lmt":
			i = p.flag(i, &d.LMT, true)
		case "devicetype":
			i = p.integer(i, (*int32)(&d.DeviceType))
		case "connectiontype":
			i = p.integer(i, &d.ConnectionType)
		case "w":
			i = p.size(i, &d.W)
		case "h":
			i = p.size(i, &d.H)
		case "geo":
			i = p.geo(i, &d.Geo, "device.geo")
		case "sua":
			i = p.raw(i, &d.SUA)
		case "ext":
			i = p.raw(i, &d.Ext)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("device", k)
		}
		k, i = p.next(i)
	}
	// A number that can't be read leaves its field empty: dropping the device
	// would drop the wish not to be tracked with it.
	p.bad = false
	return p.end(i, "device")
}

// geo reads a place; an invalid one is no place at all.
func (p *parser) geo(i int, g *Geo, name string) int {
	if g.Present {
		*g = Geo{}
	}
	i, ok := p.object(i)
	if !ok {
		return i
	}
	bad := p.bad
	p.bad = false
	var hasLat, hasLon bool
	g.Present = true
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "country":
			i = p.str(i, &g.Country)
		case "region":
			i = p.str(i, &g.Region)
		case "city":
			i = p.str(i, &g.City)
		case "metro":
			i = p.str(i, &g.Metro)
		case "zip":
			i = p.str(i, &g.Zip)
		case "lat":
			i = p.float(i, &g.Lat, &hasLat)
		case "lon":
			i = p.float(i, &g.Lon, &hasLon)
		case "type":
			i = p.integer(i, &g.Type)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault(name, k)
		}
		k, i = p.next(i)
	}
	g.HasLatLon = hasLat && hasLon
	if p.bad {
		*g = Geo{}
	}
	p.bad = bad
	return p.end(i, name)
}

func (p *parser) user(i int) int {
	u := &p.r.User
	if u.Present {
		*u = User{}
	}
	i, ok := p.object(i)
	if !ok {
		return i
	}
	u.Present = true
	var consent Str
	var eids Raw
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.str(i, &u.ID)
		case "buyeruid":
			i = p.str(i, &u.BuyerUID)
		case "gender":
			i = p.str(i, &u.Gender)
		case "keywords":
			i = p.str(i, &u.Keywords)
		case "consent":
			i = p.str(i, &u.Consent)
		case "yob":
			i = p.integer(i, &u.YOB)
		case "geo":
			i = p.geo(i, &u.Geo, "user.geo")
		case "data":
			i = p.dataList(i, &u.Data, "user.data[]")
		case "eids":
			i = p.raw(i, &u.EIDs)
		case "ext":
			i = p.userExt(i, u, &consent, &eids)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("user", k)
		}
		k, i = p.next(i)
	}
	if !u.Consent.Present() {
		u.Consent = consent
	}
	if !u.EIDs.Present() {
		u.EIDs = eids
	}
	p.bad = false
	return p.end(i, "user")
}

func (p *parser) userExt(i int, u *User, consent *Str, eids *Raw) int {
	start := i
	*consent, *eids, u.Ext = Str{}, Raw{}, Raw{}
	if p.b[i] != '{' {
		return p.raw(i, &u.Ext)
	}
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "consent":
			i = p.lenientStr(i, consent)
		case "eids":
			i = p.raw(i, eids)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return i
		}
		k, i = p.next(i)
	}
	return p.keep(start, i, &u.Ext)
}

func (p *parser) dataList(i int, dst *DataSpan, name string) int {
	*dst = DataSpan{}
	i, ok := p.array(i)
	if !ok {
		return i
	}
	from := len(p.r.data)
	i, done := p.firstItem(i)
	for !done {
		var d Data
		if i, ok = p.object(i); ok {
			if !p.room(i, len(p.r.data), p.limit.Items/8) {
				return -1
			}
			if i = p.dataItem(i, &d, name); i >= 0 {
				p.r.data = append(p.r.data, d)
			}
		}
		if i < 0 {
			return p.fault(name, nil)
		}
		i, done = p.nextItem(i)
	}
	*dst = DataSpan{uint32(from), uint32(len(p.r.data) - from)}
	return i
}

func (p *parser) dataItem(i int, d *Data, name string) int {
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.str(i, &d.ID)
		case "name":
			i = p.str(i, &d.Name)
		case "segment":
			i = p.segmentList(i, &d.Segments)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault(name, k)
		}
		k, i = p.next(i)
	}
	return i
}

func (p *parser) segmentList(i int, dst *SegmentSpan) int {
	*dst = SegmentSpan{}
	i, ok := p.array(i)
	if !ok {
		return i
	}
	from := len(p.r.segments)
	i, done := p.firstItem(i)
	for !done {
		var s Segment
		if i, ok = p.object(i); ok {
			if !p.room(i, len(p.r.segments), p.limit.Items/8) {
				return -1
			}
			if i = p.segment(i, &s); i >= 0 {
				p.r.segments = append(p.r.segments, s)
			}
		}
		if i < 0 {
			return p.fault("segment[]", nil)
		}
		i, done = p.nextItem(i)
	}
	*dst = SegmentSpan{uint32(from), uint32(len(p.r.segments) - from)}
	return i
}

func (p *parser) segment(i int, s *Segment) int {
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.str(i, &s.ID)
		case "name":
			i = p.str(i, &s.Name)
		case "value":
			i = p.str(i, &s.Value)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("segment[]", k)
		}
		k, i = p.next(i)
	}
	return i
}

func (p *parser) regs(i int) int {
	g := &p.r.Regs
	if g.Present {
		*g = Regs{}
	}
	i, ok := p.object(i)
	if !ok {
		return i
	}
	g.Present = true
	var old Regs // what ext says
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "coppa":
			i = p.flag(i, &g.COPPA, true)
		case "gdpr":
			g.HasGDPR = p.b[i] != 'n'
			i = p.flag(i, &g.GDPR, true)
		case "us_privacy":
			i = p.str(i, &g.USPrivacy)
		case "gpp":
			i = p.str(i, &g.GPP)
		case "gpp_sid":
			i = p.ints(i, &g.GPPSID)
		case "ext":
			i = p.regsExt(i, &old)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("regs", k)
		}
		k, i = p.next(i)
	}
	g.Ext = old.Ext
	if !g.HasGDPR {
		g.GDPR, g.HasGDPR = old.GDPR, old.HasGDPR
	}
	if !g.USPrivacy.Present() {
		g.USPrivacy = old.USPrivacy
	}
	if !g.GPP.Present() {
		g.GPP = old.GPP
	}
	if g.GPPSID.n == 0 {
		g.GPPSID = old.GPPSID
	}
	p.bad = false
	return p.end(i, "regs")
}

func (p *parser) regsExt(i int, old *Regs) int {
	start := i
	*old = Regs{}
	if p.b[i] != '{' {
		return p.raw(i, &old.Ext)
	}
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "gdpr":
			old.HasGDPR = p.b[i] != 'n'
			i = p.lenientFlag(i, &old.GDPR)
		case "us_privacy":
			i = p.lenientStr(i, &old.USPrivacy)
		case "gpp":
			i = p.lenientStr(i, &old.GPP)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return i
		}
		k, i = p.next(i)
	}
	return p.keep(start, i, &old.Ext)
}

func (p *parser) source(i int) int {
	s := &p.r.Source
	if s.Present {
		*s = Source{}
	}
	i, ok := p.object(i)
	if !ok {
		return i
	}
	s.Present = true
	var chain Raw
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "tid":
			i = p.str(i, &s.TID)
		case "fd":
			i = p.integer(i, &s.FD)
		case "schain":
			i = p.raw(i, &s.SChain)
		case "ext":
			i = p.sourceExt(i, s, &chain)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("source", k)
		}
		k, i = p.next(i)
	}
	if !s.SChain.Present() {
		s.SChain = chain
	}
	p.bad = false
	return p.end(i, "source")
}

func (p *parser) sourceExt(i int, s *Source, chain *Raw) int {
	start := i
	*chain, s.Ext = Raw{}, Raw{}
	if p.b[i] != '{' {
		return p.raw(i, &s.Ext)
	}
	k, i := p.first(i)
	for k != nil {
		if string(k) == "schain" {
			i = p.raw(i, chain)
		} else {
			i = p.skip(i)
		}
		if i < 0 {
			return i
		}
		k, i = p.next(i)
	}
	return p.keep(start, i, &s.Ext)
}
