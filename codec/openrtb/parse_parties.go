package openrtb

import "unsafe"

// inventory reads a site, app or screen; a request has at most one.
func (p *walker) inventory(k int, kind InventoryKind, o *table) int {
	d := &p.r.Inventory
	if p.b[p.x[k]] != '{' {
		if k = p.null(k); d.Kind == kind {
			*d = Inventory{}
			p.kinds = 0
		}
		return k
	}
	if p.kinds |= 1 << kind; p.kinds != 1<<kind {
		return p.failAt(k, Conflict)
	}
	if d.Kind != NoInventory {
		*d = Inventory{}
	}
	d.Kind = kind
	k = p.members(k, unsafe.Pointer(d), o)
	p.bad = false
	return k
}

func (p *walker) publisher(k int) int {
	d := &p.r.Inventory
	d.PublisherID, d.PublisherName, d.PublisherDomain = Str{}, Str{}, Str{}
	d.PublisherCatTax, d.PublisherCat, d.PublisherExt = 0, StrSpan{}, Raw{}
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	return p.members(k, unsafe.Pointer(d), publisherTable)
}

func (p *walker) content(k int) int {
	c := &p.r.Inventory.Content
	if c.Present {
		*c = Content{}
	}
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	c.Present = true
	return p.members(k, unsafe.Pointer(c), contentTable)
}

// device: a number that can't be read leaves its field empty; dropping the
// device would drop the wish not to be tracked with it.
func (p *walker) device(k int) int {
	d := &p.r.Device
	if d.Present {
		*d = Device{}
	}
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	d.Present = true
	k = p.members(k, unsafe.Pointer(d), deviceTable)
	p.bad = false
	return k
}

// geo reads a place; an invalid one is no place at all.
func (p *walker) geo(k int, g *Geo, o *table) int {
	if g.Present {
		*g = Geo{}
	}
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	bad := p.bad
	p.bad = false
	g.Present = true
	k = p.members(k, unsafe.Pointer(g), o)
	g.HasLatLon = g.hasLat && g.hasLon
	if p.bad {
		*g = Geo{}
	}
	p.bad = bad
	return k
}

func (p *walker) user(k int) int {
	u := &p.r.User
	if u.Present {
		*u = User{}
	}
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	u.Present = true
	k = p.members(k, unsafe.Pointer(u), userTable)
	if u.Consent.IsZero() {
		u.Consent = u.old25.consent
	}
	if !u.EIDs.Present() {
		u.EIDs = u.old25.eids
	}
	p.bad = false
	return k
}

func (p *walker) regs(k int) int {
	g := &p.r.Regs
	if g.Present {
		*g = Regs{}
	}
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	g.Present = true
	k = p.members(k, unsafe.Pointer(g), regsTable)
	if !g.HasGDPR {
		g.GDPR, g.HasGDPR = g.old25.gdpr, g.old25.hasGDPR
	}
	if g.USPrivacy.IsZero() {
		g.USPrivacy = g.old25.usPrivacy
	}
	if g.GPP.IsZero() {
		g.GPP = g.old25.gpp
	}
	if g.GPPSID.n == 0 {
		g.GPPSID = g.old25.gppSID
	}
	p.bad = false
	return k
}

func (p *walker) source(k int) int {
	s := &p.r.Source
	if s.Present {
		*s = Source{}
	}
	if p.b[p.x[k]] != '{' {
		return p.null(k)
	}
	s.Present = true
	k = p.members(k, unsafe.Pointer(s), sourceTable)
	if !s.SChain.Present() {
		s.SChain = s.old25.schain
	}
	p.bad = false
	return k
}

func (p *walker) userExt(k int, u *User) int {
	u.Ext, u.old25.consent, u.old25.eids = Raw{}, Str{}, Raw{}
	return p.extension(k, unsafe.Pointer(u), &u.Ext, userExtTable)
}

func (p *walker) regsExt(k int, g *Regs) int {
	var empty Regs
	g.Ext, g.old25 = Raw{}, empty.old25
	return p.extension(k, unsafe.Pointer(g), &g.Ext, regsExtTable)
}

func (p *walker) sourceExt(k int, s *Source) int {
	s.Ext, s.old25.schain = Raw{}, Raw{}
	return p.extension(k, unsafe.Pointer(s), &s.Ext, sourceExtTable)
}
