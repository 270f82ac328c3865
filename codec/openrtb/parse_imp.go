package openrtb

import "millrace/codec/unit"

func (p *parser) banner(i int, m *Imp) int {
	i, ok := p.media(i, m, BannerMedia)
	d := &m.Banner
	*d = Banner{}
	if !ok {
		return i
	}
	bad := p.bad
	p.bad = false
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "w":
			i = p.size(i, &d.W)
		case "h":
			i = p.size(i, &d.H)
		case "format":
			i = p.formatList(i, &d.Formats)
		case "pos":
			i = p.integer(i, &d.Pos)
		case "mimes":
			i = p.strs(i, &d.Mimes)
		case "btype":
			i = p.ints(i, &d.BType)
		case "battr":
			i = p.ints(i, &d.BAttr)
		case "api":
			i = p.ints(i, &d.API)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("imp[].banner", k)
		}
		k, i = p.next(i)
	}
	return p.endMedia(i, m, BannerMedia, bad, "imp[].banner")
}

// formatList reads sizes; an invalid one is left out.
func (p *parser) formatList(i int, dst *FormatSpan) int {
	*dst = FormatSpan{}
	i, ok := p.array(i)
	if !ok {
		return i
	}
	bad, from := p.bad, len(p.r.formats)
	i, done := p.firstItem(i)
	for !done {
		var f Format
		if i, ok = p.object(i); ok {
			p.bad = false
			if !p.room(i, len(p.r.formats), p.limit.Items/8) {
				return -1
			}
			if i = p.format(i, &f); i >= 0 && !p.bad {
				p.r.formats = append(p.r.formats, f)
			}
		}
		if i < 0 {
			return p.fault("imp[].banner.format[]", nil)
		}
		i, done = p.nextItem(i)
	}
	p.bad = bad
	*dst = FormatSpan{uint32(from), uint32(len(p.r.formats) - from)}
	return i
}

func (p *parser) format(i int, f *Format) int {
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "w":
			i = p.size(i, &f.W)
		case "h":
			i = p.size(i, &f.H)
		case "wratio":
			i = p.size(i, &f.WRatio)
		case "hratio":
			i = p.size(i, &f.HRatio)
		case "wmin":
			i = p.size(i, &f.WMin)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("imp[].banner.format[]", k)
		}
		k, i = p.next(i)
	}
	return i
}

func (p *parser) video(i int, m *Imp) int {
	i, ok := p.media(i, m, VideoMedia)
	d := &m.Video
	*d = Video{}
	if !ok {
		return i
	}
	bad, protocol := p.bad, int32(0)
	p.bad = false
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "mimes":
			i = p.strs(i, &d.Mimes)
		case "w":
			i = p.size(i, &d.W)
		case "h":
			i = p.size(i, &d.H)
		case "minduration":
			i = p.size(i, &d.MinDuration)
		case "maxduration":
			i = p.size(i, &d.MaxDuration)
		case "protocols":
			i = p.ints(i, &d.Protocols)
		case "protocol":
			i = p.integer(i, &protocol)
		case "startdelay":
			d.HasStartDelay = p.b[i] != 'n'
			i = p.integer(i, &d.StartDelay)
		case "linearity":
			i = p.integer(i, &d.Linearity)
		case "placement":
			i = p.integer(i, &d.Placement)
		case "plcmt":
			i = p.integer(i, &d.Plcmt)
		case "pos":
			i = p.integer(i, &d.Pos)
		case "skip":
			i = p.integer(i, &d.Skip)
		case "minbitrate":
			i = p.size(i, &d.MinBitrate)
		case "maxbitrate":
			i = p.size(i, &d.MaxBitrate)
		case "battr":
			i = p.ints(i, &d.BAttr)
		case "api":
			i = p.ints(i, &d.API)
		case "delivery":
			i = p.ints(i, &d.Delivery)
		case "playbackmethod":
			i = p.ints(i, &d.PlaybackMethod)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("imp[].video", k)
		}
		k, i = p.next(i)
	}
	if protocol != 0 && d.Protocols.n == 0 {
		d.Protocols = IntSpan{uint32(len(p.r.ints)), 1}
		p.r.ints = append(p.r.ints, protocol)
	}
	return p.endMedia(i, m, VideoMedia, bad, "imp[].video")
}

func (p *parser) audio(i int, m *Imp) int {
	i, ok := p.media(i, m, AudioMedia)
	d := &m.Audio
	*d = Audio{}
	if !ok {
		return i
	}
	bad := p.bad
	p.bad = false
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "mimes":
			i = p.strs(i, &d.Mimes)
		case "minduration":
			i = p.size(i, &d.MinDuration)
		case "maxduration":
			i = p.size(i, &d.MaxDuration)
		case "protocols":
			i = p.ints(i, &d.Protocols)
		case "battr":
			i = p.ints(i, &d.BAttr)
		case "api":
			i = p.ints(i, &d.API)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("imp[].audio", k)
		}
		k, i = p.next(i)
	}
	return p.endMedia(i, m, AudioMedia, bad, "imp[].audio")
}

func (p *parser) native(i int, m *Imp) int {
	i, ok := p.media(i, m, NativeMedia)
	d := &m.Native
	*d = Native{}
	if !ok {
		return i
	}
	bad := p.bad
	p.bad = false
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "request":
			i = p.str(i, &d.Request)
		case "ver":
			i = p.str(i, &d.Ver)
		case "battr":
			i = p.ints(i, &d.BAttr)
		case "api":
			i = p.ints(i, &d.API)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("imp[].native", k)
		}
		k, i = p.next(i)
	}
	return p.endMedia(i, m, NativeMedia, bad, "imp[].native")
}

func (p *parser) pmp(i int, m *Imp) int {
	m.HasPMP, m.PrivateAuction, m.Deals = false, false, DealSpan{}
	i, ok := p.object(i)
	if !ok {
		return i
	}
	m.HasPMP = true
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "private_auction":
			// Unreadable: the impression is invalid, and private until then.
			i = p.flag(i, &m.PrivateAuction, true)
		case "deals":
			i = p.dealList(i, &m.Deals)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("imp[].pmp", k)
		}
		k, i = p.next(i)
	}
	return p.end(i, "imp[].pmp")
}

// dealList reads deals; an invalid one is left out.
func (p *parser) dealList(i int, dst *DealSpan) int {
	*dst = DealSpan{}
	i, ok := p.array(i)
	if !ok {
		return i
	}
	bad, from := p.bad, len(p.r.deals)
	i, done := p.firstItem(i)
	for !done {
		d := Deal{BidFloorCur: unit.USD}
		if i, ok = p.object(i); ok {
			p.bad = false
			if !p.room(i, len(p.r.deals), p.limit.Items/8) {
				return -1
			}
			if i = p.deal(i, &d); i >= 0 && !p.bad {
				p.r.deals = append(p.r.deals, d)
			}
		}
		if i < 0 {
			return p.fault("imp[].pmp.deals[]", nil)
		}
		i, done = p.nextItem(i)
	}
	p.bad = bad
	*dst = DealSpan{uint32(from), uint32(len(p.r.deals) - from)}
	return i
}

func (p *parser) deal(i int, d *Deal) int {
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.str(i, &d.ID)
		case "bidfloor":
			i = p.cpm(i, &d.BidFloor, &d.HasBidFloor)
		case "bidfloorcur":
			i = p.currency(i, &d.BidFloorCur, unit.USD)
		case "at":
			i = p.integer(i, (*int32)(&d.At))
		case "wseat":
			i = p.strs(i, &d.WSeat)
		case "wadomain":
			i = p.strs(i, &d.WADomain)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return p.fault("imp[].pmp.deals[]", k)
		}
		k, i = p.next(i)
	}
	return i
}

// impExt keeps ext and reads the 2.5 places of rwdd from it (rule 20). Nothing
// in ext is ever a fault, but for its syntax.
func (p *parser) impExt(i int, m *Imp, rewarded *bool) int {
	start := i
	*rewarded, m.Ext = false, Raw{}
	if p.b[i] != '{' {
		return p.raw(i, &m.Ext)
	}
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "rwdd", "is_rewarded_inventory":
			i = p.lenientFlag(i, rewarded)
		case "prebid":
			i = p.impExtPrebid(i, rewarded)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return i
		}
		k, i = p.next(i)
	}
	return p.keep(start, i, &m.Ext)
}

func (p *parser) impExtPrebid(i int, rewarded *bool) int {
	if p.b[i] != '{' {
		return p.skip(i)
	}
	k, i := p.first(i)
	for k != nil {
		if string(k) == "is_rewarded_inventory" {
			i = p.lenientFlag(i, rewarded)
		} else {
			i = p.skip(i)
		}
		if i < 0 {
			return i
		}
		k, i = p.next(i)
	}
	return i
}

// keep keeps the bytes of an object that was read member by member.
func (p *parser) keep(start, end int, dst *Raw) int {
	if end >= 0 {
		*dst = Raw{p: &p.b[start], n: uint32(end - start)}
	}
	return end
}

// lenientFlag reads a flag inside ext; what is none is skipped.
func (p *parser) lenientFlag(i int, dst *bool) int {
	end := p.skip(i)
	if end < 0 {
		return end
	}
	text := p.b[i:end]
	*dst = string(text) == "1" || string(text) == "true" || string(text) == `"1"`
	return end
}
