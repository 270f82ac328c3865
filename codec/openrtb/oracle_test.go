package openrtb

import (
	"encoding/json"

	"github.com/prebid/openrtb/v20/adcom1"
	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/unit"
)

// translator writes a view, and what Details read of it, in the oracle's types.
type translator struct {
	r *BidRequest
	d Details
}

type integer interface {
	~int8 | ~int | ~int64
}

func text(s Str) string { return s.String() }

func texts(l []Str) (out []string) {
	for _, s := range l {
		out = append(out, s.String())
	}
	return out
}

func numbers[T integer](l []int32) (out []T) {
	for _, n := range l {
		out = append(out, T(n))
	}
	return out
}

// some is a pointer to a number, nil if there is none.
func some[T integer](n int32) *T {
	v := T(n)
	if n == 0 {
		return nil
	}
	return &v
}

func given[T integer](n int32, has bool) *T {
	v := T(n)
	if !has {
		return nil
	}
	return &v
}

func tri[T integer](t Tri) *T {
	v := T(t - No)
	if t == Unset {
		return nil
	}
	return &v
}

func flagBit(b bool) int8 {
	if b {
		return 1
	}
	return 0
}

func message(r Raw) json.RawMessage { return r.Bytes() }

func price(c unit.CPMMicros) float64 { return float64(c) / 1e6 }

func (t *translator) request() *openrtb2.BidRequest {
	r := t.r
	o := &openrtb2.BidRequest{
		ID: text(r.ID), Test: flagBit(r.Test), AT: int64(r.At), TMax: int64(r.TMax), AllImps: flagBit(r.AllImps),
		WSeat: texts(r.Strs(r.WSeat)), BSeat: texts(r.Strs(r.BSeat)), Cur: texts(r.Strs(r.Cur)),
		WLang: texts(r.Strs(r.WLang)), WLangB: texts(r.Strs(r.WLangB)), ACat: texts(r.Strs(r.ACat)), BCat: texts(r.Strs(r.BCat)),
		CatTax: adcom1.CategoryTaxonomy(r.CatTax), BAdv: texts(r.Strs(r.BAdv)), BApp: texts(r.Strs(r.BApp)), Ext: message(r.Ext),
	}
	for i := range r.Imp {
		o.Imp = append(o.Imp, t.imp(&r.Imp[i]))
	}
	t.inventory(o)
	if d := &r.Device; d.Present {
		o.Device = t.device(d)
	}
	if u := &r.User; u.Present {
		o.User = &openrtb2.User{
			ID: text(u.ID), BuyerUID: text(u.BuyerUID), Yob: int64(u.YOB), Gender: text(u.Gender), Keywords: text(u.Keywords),
			KwArray: texts(r.Strs(u.KwArray)), CustomData: text(u.CustomData), Geo: t.geo(&u.Geo), Data: t.data(u.Data),
			Consent: text(u.Consent), EIDs: t.eids(u.EIDs), Ext: message(u.Ext),
		}
	}
	if g := &r.Regs; g.Present {
		o.Regs = &openrtb2.Regs{COPPA: flagBit(g.COPPA), USPrivacy: text(g.USPrivacy), GPP: text(g.GPP), GPPSID: numbers[int8](r.Ints(g.GPPSID)), Ext: message(g.Ext)}
		if g.HasGDPR {
			v := flagBit(g.GDPR)
			o.Regs.GDPR = &v
		}
	}
	if s := &r.Source; s.Present {
		o.Source = &openrtb2.Source{FD: some[int8](s.FD), TID: text(s.TID), PChain: text(s.PChain), SChain: t.chain(s.SChain), Ext: message(s.Ext)}
	}
	return o
}

func (t *translator) imp(m *Imp) openrtb2.Imp {
	r := t.r
	secure := flagBit(m.Secure)
	o := openrtb2.Imp{
		ID: text(m.ID), DisplayManager: text(m.DisplayManager), DisplayManagerVer: text(m.DisplayManagerVer), Instl: flagBit(m.Instl), TagID: text(m.TagID),
		BidFloor: price(m.BidFloor), BidFloorCur: m.BidFloorCur.String(), ClickBrowser: tri[int8](m.ClickBrowser), Secure: &secure,
		IframeBuster: texts(r.Strs(m.IframeBuster)), Rwdd: flagBit(m.Rwdd), SSAI: openrtb2.AdInsertion(m.SSAI), Exp: int64(m.Exp), DT: m.DT, Ext: message(m.Ext),
	}
	metrics, _ := t.d.Metrics(m.Metric)
	for _, x := range metrics {
		o.Metric = append(o.Metric, openrtb2.Metric{Type: text(x.Type), Value: x.Value, Vendor: text(x.Vendor), Ext: message(x.Ext)})
	}
	if q, _ := t.d.Qty(m.Qty); m.Qty.Present() {
		o.Qty = &openrtb2.Qty{Multiplier: q.Multiplier, SourceType: adcom1.DOOHMultiplierMeasurementSourceType(q.SourceType), Vendor: text(q.Vendor), Ext: message(q.Ext)}
	}
	if f, _ := t.d.Refresh(m.Refresh); m.Refresh.Present() {
		o.Refresh = &openrtb2.Refresh{Count: given[int](f.Count, f.HasCount), Ext: message(f.Ext)}
		for _, x := range f.Settings {
			o.Refresh.RefSettings = append(o.Refresh.RefSettings, openrtb2.RefSettings{RefType: adcom1.AutoRefreshTrigger(x.RefType), MinInt: int(x.MinInt), Ext: message(x.Ext)})
		}
	}
	if m.Listed.Has(BannerMedia) {
		b := t.banner(&m.Banner, &r.lists)
		o.Banner = &b
	}
	if m.Listed.Has(VideoMedia) {
		o.Video = t.video(&m.Video)
	}
	if m.Listed.Has(AudioMedia) {
		o.Audio = t.audio(&m.Audio)
	}
	if n := &m.Native; m.Listed.Has(NativeMedia) {
		o.Native = &openrtb2.Native{Request: text(n.Request), Ver: text(n.Ver), API: numbers[adcom1.APIFramework](r.Ints(n.API)), BAttr: numbers[adcom1.CreativeAttribute](r.Ints(n.BAttr)), Ext: message(n.Ext)}
	}
	if m.HasPMP {
		o.PMP = &openrtb2.PMP{PrivateAuction: flagBit(m.PrivateAuction), Ext: message(m.PMPExt)}
		for _, d := range r.Deals(m.Deals) {
			o.PMP.Deals = append(o.PMP.Deals, openrtb2.Deal{
				ID: text(d.ID), BidFloor: price(d.BidFloor), BidFloorCur: d.BidFloorCur.String(), AT: int64(d.At), WSeat: texts(r.Strs(d.WSeat)), WADomain: texts(r.Strs(d.WADomain)),
				Guar: flagBit(d.Guaranteed), MinCPMPerSec: price(d.MinCPMPerSec), DurFloors: t.floors(d.DurFloors), Ext: message(d.Ext),
			})
		}
	}
	return o
}

func (t *translator) floors(raw Raw) (out []openrtb2.DurFloors) {
	l, _ := t.d.DurFloors(raw)
	for _, x := range l {
		out = append(out, openrtb2.DurFloors{MinDur: int64(x.MinDur), MaxDur: int64(x.MaxDur), BidFloor: price(x.BidFloor), Ext: message(x.Ext)})
	}
	return out
}

func (t *translator) companions(raw Raw) (out []openrtb2.Banner) {
	l, _ := t.d.Companions(raw)
	for i := range l {
		out = append(out, t.banner(&l[i], &t.d.lists))
	}
	return out
}

func (t *translator) banner(b *Banner, l *lists) openrtb2.Banner {
	o := openrtb2.Banner{
		W: some[int64](b.W), H: some[int64](b.H), WMax: int64(b.WMax), HMax: int64(b.HMax), WMin: int64(b.WMin), HMin: int64(b.HMin),
		BType: numbers[openrtb2.BannerAdType](l.Ints(b.BType)), BAttr: numbers[adcom1.CreativeAttribute](l.Ints(b.BAttr)), Pos: some[adcom1.PlacementPosition](b.Pos),
		MIMEs: texts(l.Strs(b.Mimes)), TopFrame: flagBit(b.TopFrame), ExpDir: numbers[adcom1.ExpandableDirection](l.Ints(b.ExpDir)), API: numbers[adcom1.APIFramework](l.Ints(b.API)),
		ID: text(b.ID), Vcm: tri[int8](b.Vcm), Ext: message(b.Ext),
	}
	for _, f := range l.Formats(b.Formats) {
		o.Format = append(o.Format, openrtb2.Format{W: int64(f.W), H: int64(f.H), WRatio: int64(f.WRatio), HRatio: int64(f.HRatio), WMin: int64(f.WMin), Ext: message(f.Ext)})
	}
	return o
}

func (t *translator) video(v *Video) *openrtb2.Video {
	r := t.r
	return &openrtb2.Video{
		MIMEs: texts(r.Strs(v.Mimes)), MinDuration: int64(v.MinDuration), MaxDuration: int64(v.MaxDuration), StartDelay: given[adcom1.StartDelay](v.StartDelay, v.HasStartDelay),
		MaxSeq: int64(v.MaxSeq), PodDur: int64(v.PodDur), Protocols: numbers[adcom1.MediaCreativeSubtype](r.Ints(v.Protocols)),
		W: some[int64](v.W), H: some[int64](v.H), PodID: text(v.PodID), PodSeq: adcom1.PodSequence(v.PodSeq), RqdDurs: numbers[int64](r.Ints(v.RqdDurs)),
		Placement: adcom1.VideoPlacementSubtype(v.Placement), Plcmt: adcom1.VideoPlcmtSubtype(v.Plcmt), Linearity: adcom1.LinearityMode(v.Linearity),
		Skip: some[int8](v.Skip), SkipMin: int64(v.SkipMin), SkipAfter: int64(v.SkipAfter), Sequence: int8(v.Sequence), SlotInPod: adcom1.SlotPositionInPod(v.SlotInPod),
		MinCPMPerSec: price(v.MinCPMPerSec), BAttr: numbers[adcom1.CreativeAttribute](r.Ints(v.BAttr)), MaxExtended: int64(v.MaxExtended), MinBitRate: int64(v.MinBitrate), MaxBitRate: int64(v.MaxBitrate),
		BoxingAllowed: tri[int8](v.BoxingAllowed), PlaybackMethod: numbers[adcom1.PlaybackMethod](r.Ints(v.PlaybackMethod)), PlaybackEnd: adcom1.PlaybackCessationMode(v.PlaybackEnd),
		Delivery: numbers[adcom1.DeliveryMethod](r.Ints(v.Delivery)), Pos: some[adcom1.PlacementPosition](v.Pos), CompanionAd: t.companions(v.CompanionAd),
		API: numbers[adcom1.APIFramework](r.Ints(v.API)), CompanionType: numbers[adcom1.CompanionType](r.Ints(v.CompanionType)), PodDedupe: numbers[adcom1.PodDedupe](r.Ints(v.PodDedupe)),
		DurFloors: t.floors(v.DurFloors), Ext: message(v.Ext),
	}
}

func (t *translator) audio(v *Audio) *openrtb2.Audio {
	r := t.r
	return &openrtb2.Audio{
		MIMEs: texts(r.Strs(v.Mimes)), MinDuration: int64(v.MinDuration), MaxDuration: int64(v.MaxDuration), PodDur: int64(v.PodDur),
		Protocols: numbers[adcom1.MediaCreativeSubtype](r.Ints(v.Protocols)), StartDelay: given[adcom1.StartDelay](v.StartDelay, v.HasStartDelay),
		RqdDurs: numbers[int64](r.Ints(v.RqdDurs)), PodID: text(v.PodID), PodSeq: adcom1.PodSequence(v.PodSeq), Sequence: int64(v.Sequence), SlotInPod: adcom1.SlotPositionInPod(v.SlotInPod),
		MinCPMPerSec: price(v.MinCPMPerSec), BAttr: numbers[adcom1.CreativeAttribute](r.Ints(v.BAttr)), MaxExtended: int64(v.MaxExtended), MinBitrate: int64(v.MinBitrate), MaxBitrate: int64(v.MaxBitrate),
		Delivery: numbers[adcom1.DeliveryMethod](r.Ints(v.Delivery)), CompanionAd: t.companions(v.CompanionAd), API: numbers[adcom1.APIFramework](r.Ints(v.API)),
		CompanionType: numbers[adcom1.CompanionType](r.Ints(v.CompanionType)), MaxSeq: int64(v.MaxSeq), Feed: adcom1.FeedType(v.Feed), Stitched: tri[int8](v.Stitched),
		NVol: given[adcom1.VolumeNormalizationMode](v.NVol, v.HasNVol), DurFloors: t.floors(v.DurFloors), Ext: message(v.Ext),
	}
}

func (t *translator) inventory(o *openrtb2.BidRequest) {
	r, n := t.r, &t.r.Inventory
	var publisher *openrtb2.Publisher
	p := openrtb2.Publisher{ID: text(n.PublisherID), Name: text(n.PublisherName), Domain: text(n.PublisherDomain), CatTax: adcom1.CategoryTaxonomy(n.PublisherCatTax),
		Cat: texts(r.Strs(n.PublisherCat)), Ext: message(n.PublisherExt)}
	if p.ID != "" || p.Name != "" || p.Domain != "" || p.CatTax != 0 || p.Cat != nil || p.Ext != nil {
		publisher = &p
	}
	content := t.content(&n.Content)
	switch n.Kind {
	case SiteInventory:
		o.Site = &openrtb2.Site{
			ID: text(n.ID), Name: text(n.Name), Domain: text(n.Domain), CatTax: adcom1.CategoryTaxonomy(n.CatTax), Cat: texts(r.Strs(n.Cat)), SectionCat: texts(r.Strs(n.SectionCat)), PageCat: texts(r.Strs(n.PageCat)),
			Page: text(n.Page), Ref: text(n.Ref), Search: text(n.Search), Mobile: tri[int8](n.Mobile), PrivacyPolicy: tri[int8](n.PrivacyPolicy), Publisher: publisher, Content: content,
			Keywords: text(n.Keywords), KwArray: texts(r.Strs(n.KwArray)), InventoryPartnerDomain: text(n.PartnerDomain), Ext: message(n.Ext),
		}
	case AppInventory:
		o.App = &openrtb2.App{
			ID: text(n.ID), Name: text(n.Name), Bundle: text(n.Bundle), Domain: text(n.Domain), StoreURL: text(n.StoreURL), CatTax: adcom1.CategoryTaxonomy(n.CatTax),
			Cat: texts(r.Strs(n.Cat)), SectionCat: texts(r.Strs(n.SectionCat)), PageCat: texts(r.Strs(n.PageCat)), Ver: text(n.Ver), PrivacyPolicy: tri[int8](n.PrivacyPolicy), Paid: tri[int8](n.Paid),
			Publisher: publisher, Content: content, Keywords: text(n.Keywords), KwArray: texts(r.Strs(n.KwArray)), InventoryPartnerDomain: text(n.PartnerDomain), Ext: message(n.Ext),
		}
	case DOOHInventory:
		o.DOOH = &openrtb2.DOOH{
			ID: text(n.ID), Name: text(n.Name), VenueType: texts(r.Strs(n.VenueType)), VenueTypeTax: given[adcom1.DOOHVenueTaxonomy](n.VenueTypeTax, n.HasVenueTypeTax),
			Publisher: publisher, Domain: text(n.Domain), Keywords: text(n.Keywords), Content: content, Ext: message(n.Ext),
		}
	}
}

func (t *translator) content(c *Content) *openrtb2.Content {
	if !c.Present {
		return nil
	}
	r := t.r
	o := &openrtb2.Content{
		ID: text(c.ID), Episode: int64(c.Episode), Title: text(c.Title), Series: text(c.Series), Season: text(c.Season), Artist: text(c.Artist), Genre: text(c.Genre), Album: text(c.Album), ISRC: text(c.ISRC),
		URL: text(c.URL), CatTax: adcom1.CategoryTaxonomy(c.CatTax), Cat: texts(r.Strs(c.Cat)), ProdQ: some[adcom1.ProductionQuality](c.ProdQ), VideoQuality: some[adcom1.ProductionQuality](c.VideoQuality),
		Context: adcom1.ContentContext(c.Context), ContentRating: text(c.ContentRating), UserRating: text(c.UserRating), QAGMediaRating: adcom1.MediaRating(c.QAGMediaRating), Keywords: text(c.Keywords),
		KwArray: texts(r.Strs(c.KwArray)), LiveStream: tri[int8](c.LiveStream), SourceRelationship: tri[int8](c.SourceRelationship), Len: int64(c.Len), Language: text(c.Language), LangB: text(c.LangB),
		Embeddable: tri[int8](c.Embeddable), Data: t.data(c.Data), Ext: message(c.Ext),
	}
	if p, _ := t.d.Producer(c.Producer); c.Producer.Present() {
		o.Producer = &openrtb2.Producer{ID: text(p.ID), Name: text(p.Name), CatTax: adcom1.CategoryTaxonomy(p.CatTax), Cat: texts(t.d.Strs(p.Cat)), Domain: text(p.Domain), Ext: message(p.Ext)}
	}
	if p, _ := t.d.Party(c.Network); c.Network.Present() {
		o.Network = &openrtb2.Network{ID: text(p.ID), Name: text(p.Name), Domain: text(p.Domain), Ext: message(p.Ext)}
	}
	if p, _ := t.d.Party(c.Channel); c.Channel.Present() {
		o.Channel = &openrtb2.Channel{ID: text(p.ID), Name: text(p.Name), Domain: text(p.Domain), Ext: message(p.Ext)}
	}
	return o
}

func (t *translator) data(s DataSpan) (out []openrtb2.Data) {
	for _, x := range t.r.Data(s) {
		o := openrtb2.Data{ID: text(x.ID), Name: text(x.Name), Ext: message(x.Ext)}
		for _, y := range t.r.Segments(x.Segments) {
			o.Segment = append(o.Segment, openrtb2.Segment{ID: text(y.ID), Name: text(y.Name), Value: text(y.Value), Ext: message(y.Ext)})
		}
		out = append(out, o)
	}
	return out
}

func (t *translator) device(d *Device) *openrtb2.Device {
	dnt, lmt := flagBit(d.DNT), flagBit(d.LMT)
	o := &openrtb2.Device{
		Geo: t.geo(&d.Geo), DNT: &dnt, Lmt: &lmt, UA: text(d.UA), IP: text(d.IP), IPv6: text(d.IPv6), DeviceType: adcom1.DeviceType(d.DeviceType), Make: text(d.Make), Model: text(d.Model),
		OS: text(d.OS), OSV: text(d.OSV), HWV: text(d.HWV), H: int64(d.H), W: int64(d.W), PPI: int64(d.PPI), PxRatio: d.PxRatio, JS: tri[int8](d.JS), GeoFetch: tri[int8](d.GeoFetch),
		FlashVer: text(d.FlashVer), Language: text(d.Language), LangB: text(d.LangB), Carrier: text(d.Carrier), MCCMNC: text(d.MCCMNC), ConnectionType: some[adcom1.ConnectionType](d.ConnectionType),
		IFA: text(d.IFA), DIDSHA1: text(d.DIDSHA1), DIDMD5: text(d.DIDMD5), DPIDSHA1: text(d.DPIDSHA1), DPIDMD5: text(d.DPIDMD5), MACSHA1: text(d.MACSHA1), MACMD5: text(d.MACMD5), Ext: message(d.Ext),
	}
	if u, _ := t.d.UserAgent(d.SUA); d.SUA.Present() {
		o.SUA = &openrtb2.UserAgent{Mobile: tri[int8](u.Mobile), Architecture: text(u.Architecture), Bitness: text(u.Bitness), Model: text(u.Model), Source: adcom1.UserAgentSource(u.Source), Ext: message(u.Ext)}
		for _, b := range u.Browsers {
			o.SUA.Browsers = append(o.SUA.Browsers, t.brand(b))
		}
		if b := t.brand(u.Platform); b.Brand != "" || b.Version != nil || b.Ext != nil {
			o.SUA.Platform = &b
		}
	}
	return o
}

func (t *translator) brand(b BrandVersion) openrtb2.BrandVersion {
	return openrtb2.BrandVersion{Brand: text(b.Brand), Version: texts(t.d.Strs(b.Version)), Ext: message(b.Ext)}
}

func (t *translator) geo(g *Geo) *openrtb2.Geo {
	if !g.Present {
		return nil
	}
	o := &openrtb2.Geo{
		Type: adcom1.LocationType(g.Type), Accuracy: int64(g.Accuracy), LastFix: int64(g.LastFix), IPService: adcom1.IPLocationService(g.IPService), Country: text(g.Country), Region: text(g.Region),
		RegionFIPS104: text(g.RegionFIPS104), Metro: text(g.Metro), City: text(g.City), ZIP: text(g.Zip), UTCOffset: int64(g.UTCOffset), Ext: message(g.Ext),
	}
	if g.hasLat {
		o.Lat = &g.Lat
	}
	if g.hasLon {
		o.Lon = &g.Lon
	}
	return o
}

func (t *translator) eids(raw Raw) (out []openrtb2.EID) {
	l, _ := t.d.EIDs(raw)
	for _, x := range l {
		o := openrtb2.EID{Inserter: text(x.Inserter), Matcher: text(x.Matcher), MM: adcom1.MatchMethod(x.MM), Source: text(x.Source), Ext: message(x.Ext)}
		for _, y := range t.d.UIDs(x.UIDs) {
			o.UIDs = append(o.UIDs, openrtb2.UID{ID: text(y.ID), AType: adcom1.AgentType(y.AType), Ext: message(y.Ext)})
		}
		out = append(out, o)
	}
	return out
}

func (t *translator) chain(raw Raw) *openrtb2.SupplyChain {
	c, ok := t.d.SupplyChain(raw)
	if !raw.Present() || !ok {
		return nil
	}
	o := &openrtb2.SupplyChain{Complete: int8(c.Complete), Ver: text(c.Ver), Ext: message(c.Ext)}
	for _, x := range c.Nodes {
		o.Nodes = append(o.Nodes, openrtb2.SupplyChainNode{ASI: text(x.ASI), SID: text(x.SID), RID: text(x.RID), Name: text(x.Name), Domain: text(x.Domain), HP: tri[int8](x.HP), Ext: message(x.Ext)})
	}
	return o
}
