package dspfleet

import (
	"strconv"

	"github.com/cespare/xxhash/v2"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// bidder makes the answers of a worker's bidders. It owns its scratch and is
// owned by the worker.
type bidder struct {
	req   openrtb.BidRequest
	res   openrtb.Response
	arena []byte // the texts of one answer
	id    []byte
	host  string // of the notices, host:port
	seed  uint64
}

// read parses a request; drawn are its random numbers for a bidder.
func (m *bidder) read(body []byte, dsp int) (drawn draws, ok bool) {
	if !openrtb.Parse(body, &m.req).OK() {
		return 0, false
	}
	var id []byte
	id, m.id = m.req.ID.Text(m.id)
	return drawsOf(m.seed, dsp, xxhash.Sum64(id)), true
}

// answer appends the bid response of a bidder to the request that was read, and
// tells how many bids are in it: 0, and nothing is appended, for a no-bid.
func (m *bidder) answer(dst []byte, dsp int, name string, b *Behaviour, d draws, lie FaultKind) (out []byte, bids int) {
	m.arena = m.arena[:0]
	m.res = openrtb.Response{ID: m.req.ID, Cur: b.Currency, Bids: m.res.Bids[:0]}
	seat, domain := b.Seat, b.Domain
	if seat == "" {
		seat = name
	}
	if domain == "" {
		domain = name + ".example"
	}
	for i := range m.req.Imp {
		if d.at(drawBid+i) < b.Bids || lie >= Malformed {
			m.bid(i, dsp, seat, domain, b, d, lie)
		}
	}
	if len(m.res.Bids) == 0 {
		return dst, 0
	}
	switch lie {
	case WrongID:
		m.res.ID = openrtb.MakeStr([]byte("of-another-request"))
	case WrongCurrency:
		m.res.Cur = unit.Currency{'X', 'T', 'S'} // ISO 4217: for testing, nobody's
	}
	return openrtb.AppendResponse(dst, &m.res), len(m.res.Bids)
}

// bid adds the bid on impression i, if the bidder has something for it.
func (m *bidder) bid(i, dsp int, seat, domain string, b *Behaviour, d draws, lie FaultKind) {
	imp := &m.req.Imp[i]
	media, size, ok := m.fits(imp, b, d.at(drawSize+i))
	if !ok {
		return
	}
	price := unit.CPMMicros(b.Price.At(d.at(drawPrice+i))*1e4) * 100 // four decimals
	floor, floorCur, deal := imp.BidFloor, imp.BidFloorCur, openrtb.Str{}
	if deals := m.req.Deals(imp.Deals); len(deals) > 0 && d.at(drawDeal+i) < b.Deals {
		deal, floor, floorCur = deals[0].ID, deals[0].BidFloor, deals[0].BidFloorCur
	}
	switch {
	case lie == BelowFloor:
		price = floor / 2
	case price <= 0 || floorCur == b.Currency && price < floor:
		return
	}
	key := d.bits(drawBid + i)
	bid := openrtb.Bid{Seat: seat, ID: m.hex(key), ImpID: imp.ID, Price: price, MType: media, W: size.W, H: size.H, DealID: deal,
		CID: "c1", CRID: domain, Exp: 3600}
	bid.ADomain = append(bid.ADomain, domain)
	if lie == WrongImp {
		bid.ImpID = openrtb.MakeStr([]byte("of-nobody"))
	}
	if b.Notices {
		bid.NURL = m.notice(noticeWin, dsp, key, price)
		bid.BURL = m.notice(noticeBill, dsp, key, price)
		bid.LURL = m.notice(noticeLoss, dsp, key, price)
	}
	bid.Adm = m.markup(media, size, domain)
	m.res.Bids = append(m.res.Bids, bid)
}

// fits is the type and the size of what the bidder shows there.
func (m *bidder) fits(imp *openrtb.Imp, b *Behaviour, u float64) (media openrtb.MediaType, size Size, ok bool) {
	switch {
	case imp.Media.Has(openrtb.BannerMedia):
		size, ok = m.size(&imp.Banner, b, u)
		return openrtb.BannerMedia, size, ok
	case len(b.Sizes) > 0:
		return 0, size, false
	case imp.Media.Has(openrtb.VideoMedia):
		return openrtb.VideoMedia, size, true
	case imp.Media.Has(openrtb.AudioMedia):
		return openrtb.AudioMedia, size, true
	case imp.Media.Has(openrtb.NativeMedia):
		return openrtb.NativeMedia, size, true
	}
	return 0, size, false
}

// size is one of those that are asked for and the bidder has.
func (m *bidder) size(banner *openrtb.Banner, b *Behaviour, u float64) (s Size, ok bool) {
	formats := m.req.Formats(banner.Formats)
	from := int(u * float64(len(formats)))
	for k := range formats {
		f := &formats[(from+k)%len(formats)]
		if s = (Size{f.W, f.H}); b.has(s) {
			return s, true
		}
	}
	s = Size{banner.W, banner.H}
	switch {
	case s.W > 0 && s.H > 0:
		return s, b.has(s)
	case len(formats) == 0 && len(b.Sizes) == 0:
		return Size{300, 250}, true
	case len(formats) == 0:
		return b.Sizes[0], true
	}
	return s, false
}

func (b *Behaviour) has(s Size) bool {
	if len(b.Sizes) == 0 {
		return s.W > 0 && s.H > 0
	}
	for _, t := range b.Sizes {
		if s == t {
			return true
		}
	}
	return false
}

// text is what was appended to the arena from an index on: it stays where it
// is, also when the arena moves on.
func (m *bidder) text(from int) []byte { return m.arena[from:len(m.arena):len(m.arena)] }

func (m *bidder) hex(v uint64) []byte {
	from := len(m.arena)
	m.arena = appendHex(m.arena, v)
	return m.text(from)
}

func appendHex(dst []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

// notice is the URL of a notice: what was bid, a seal over it, and the macros
// that the exchange fills in.
func (m *bidder) notice(kind byte, dsp int, key uint64, price unit.CPMMicros) []byte {
	from := len(m.arena)
	a := append(m.arena, "http://"...)
	a = append(a, m.host...)
	a = append(a, '/', kind, '/')
	a = strconv.AppendInt(a, int64(dsp), 10)
	a = append(a, "?i="...)
	a = appendHex(a, key)
	a = append(a, "&b="...)
	a = price.Append(a)
	a = append(a, "&k="...)
	a = appendHex(a, seal(m.seed, kind, dsp, key, price))
	a = append(a, "&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}"...)
	if kind == noticeLoss {
		a = append(a, "&l=${AUCTION_LOSS}"...)
	}
	m.arena = a
	return m.text(from)
}

// seal makes the bidder know its own notices.
func seal(seed uint64, kind byte, dsp int, key uint64, price unit.CPMMicros) uint64 {
	return mix(mix(mix(seed+uint64(kind))^key) + uint64(dsp)<<48 + uint64(price))
}

// markup is an ad of the type, as the inside of a JSON string.
func (m *bidder) markup(media openrtb.MediaType, s Size, domain string) []byte {
	from := len(m.arena)
	a := m.arena
	text := func(parts ...string) {
		for _, p := range parts {
			a = append(a, p...)
		}
	}
	switch media {
	case openrtb.BannerMedia:
		w, h := strconv.Itoa(int(s.W)), strconv.Itoa(int(s.H))
		text(`<a href=\"https://`, domain, `/click?u=${CLICK_URL}\" target=\"_blank\"><img src=\"https://cdn.`, domain, `/`, w, `x`, h, `.png\" width=\"`, w, `\" height=\"`, h,
			`\" alt=\"\" style=\"border:0;display:block\"></a><img src=\"https://`, domain, `/seen\" width=\"1\" height=\"1\" alt=\"\" style=\"display:none\">`)
	case openrtb.NativeMedia:
		text(`{\"native\":{\"ver\":\"1.2\",\"link\":{\"url\":\"https://`, domain, `/click\"},\"assets\":[{\"id\":1,\"title\":{\"text\":\"From `, domain,
			`\"}},{\"id\":2,\"img\":{\"url\":\"https://cdn.`, domain, `/main.png\",\"w\":1200,\"h\":627}}]}}`)
	default:
		mime, file := "video/mp4", "ad.mp4"
		if media == openrtb.AudioMedia {
			mime, file = "audio/mpeg", "ad.mp3"
		}
		text(`<VAST version=\"4.0\"><Ad id=\"1\"><InLine><AdSystem>`, domain, `</AdSystem><AdTitle>ad</AdTitle><Impression><![CDATA[https://`, domain,
			`/seen]]></Impression><Creatives><Creative><Linear><Duration>00:00:15</Duration><MediaFiles><MediaFile delivery=\"progressive\" type=\"`, mime,
			`\" width=\"640\" height=\"360\"><![CDATA[https://cdn.`, domain, `/`, file, `]]></MediaFile></MediaFiles></Linear></Creative></Creatives></InLine></Ad></VAST>`)
	}
	m.arena = a
	return m.text(from)
}
