package creative

import (
	"fmt"

	"millrace/codec/openrtb"
)

// vastWriter writes one ad for all versions of VAST at once. Elements stand in
// the order of each version's schema, which differ: what stands elsewhere in
// another version is written in both places, each for its own.
type vastWriter struct {
	builder
	s *Spec
	l *Linear
}

func (c *Compiler) vast(s *Spec) program {
	w := &vastWriter{builder: builder{c: c}, s: s, l: &s.Linear}
	w.markup(`<?xml version="1.0" encoding="UTF-8"?>`)
	for i, v := range vastVersions {
		namespace := ""
		if vast41Up.has(uint8(i)) {
			namespace = ` xmlns="http://www.iab.com/VAST"`
		}
		w.in(1<<i, func() { w.markup(`<VAST version="` + v.name + `"` + namespace + `>`) })
	}
	w.markup(`<Ad id="`).value(inXML, s.ID)
	if s.Media == openrtb.AudioMedia {
		w.in(vast41Up, func() { w.markup(`" adType="audio`) })
	}
	w.markup(`">`)
	if w.l.Wrapper != nil {
		w.wrapper()
	} else {
		w.inline()
	}
	w.markup(`</Ad></VAST>`)
	return w.program()
}

// in writes for the given versions alone.
func (w *vastWriter) in(only versions, write func()) {
	if w.only != 0 {
		only &= w.only
	}
	if only == 0 {
		return
	}
	before := w.only
	w.scope(only, w.builder.part)
	write()
	w.scope(before, w.builder.part)
}

// inPart writes what is left out where a Fit says so.
func (w *vastWriter) inPart(part uint8, write func()) {
	w.scope(w.only, part)
	write()
	w.scope(w.only, 0)
}

func (w *vastWriter) element(name, text string) {
	w.markup("<"+name+">").value(inXML, text).markup("</" + name + ">")
}

// link is an element with a URL of the catalog; attributes begin with a blank.
func (w *vastWriter) link(name, attributes, url string) {
	w.markup("<"+name+attributes+"><![CDATA[").url(cdata, url).markup("]]></" + name + ">")
}

func (w *vastWriter) links(name string, urls []string) {
	for _, u := range urls {
		w.link(name, "", u)
	}
}

// ours is an element with a URL of the auction.
func (w *vastWriter) ours(name string, h hole) {
	w.markup("<"+name+"><![CDATA[").hole(cdata, h).markup("]]></" + name + ">")
}

func (w *vastWriter) inline() {
	w.markup("<InLine>")
	w.element("AdSystem", "Millrace")
	w.in(vast4, w.base)
	w.in(vast41Up, func() {
		w.markup("<AdServingId>").hole(inXML, auctionBidID).markup("-").hole(inXML, auctionImpID).markup("</AdServingId>")
	})
	title := w.s.Title
	if title == "" {
		title = w.s.ID
	}
	w.element("AdTitle", title)
	w.in(vast41Up, w.verifications)
	w.in(vast3Or2, func() { w.optional("Description", w.s.Description) })
	w.in(vast30Up, func() { w.optional("Advertiser", w.s.Domain) })
	w.in(vast30, w.pricing)
	w.in(vast3Or2, func() {
		w.firstError()
		w.impressions()
	})
	w.markup("<Creatives>")
	w.creative(func() { w.linear(true) })
	w.companions()
	w.markup("</Creatives>")
	w.in(vast4, func() { w.optional("Description", w.s.Description) })
	w.in(vast3Or2, w.extensions)
	w.markup("</InLine>")
}

func (w *vastWriter) wrapper() {
	k := w.l.Wrapper
	w.in(vast30Up, func() {
		w.markup(fmt.Sprintf(`<Wrapper followAdditionalWrappers="%t" allowMultipleAds="%t" fallbackOnNoAd="%t">`, !k.NoFurtherWrappers, k.AllowMultipleAds, k.FallbackOnNoAd))
	})
	w.in(vast20, func() { w.markup("<Wrapper>") })
	w.element("AdSystem", "Millrace")
	w.in(vast4, w.base)
	w.in(vast41Up, w.verifications)
	w.in(vast3Or2, func() {
		w.link("VASTAdTagURI", "", k.Tag)
		w.firstError()
		w.impressions()
	})
	w.markup("<Creatives>")
	w.creative(func() { w.linear(false) })
	w.companions()
	w.markup("</Creatives>")
	w.in(vast3Or2, w.extensions)
	w.in(vast4, func() { w.link("VASTAdTagURI", "", k.Tag) })
	w.markup("</Wrapper>")
}

// base is what VAST 4 has right behind AdSystem, in an ad and in a wrapper.
func (w *vastWriter) base() {
	w.links("Error", w.l.Errors)
	w.in(vast40, w.extensions)
	w.impressions()
	w.pricing()
	if len(w.l.Viewable)+len(w.l.NotViewable)+len(w.l.Undetermined) > 0 {
		w.markup("<ViewableImpression>")
		w.links("Viewable", w.l.Viewable)
		w.links("NotViewable", w.l.NotViewable)
		w.links("ViewUndetermined", w.l.Undetermined)
		w.markup("</ViewableImpression>")
	}
}

// firstError: VAST 2 and 3 have one.
func (w *vastWriter) firstError() {
	if len(w.l.Errors) > 0 {
		w.link("Error", "", w.l.Errors[0])
	}
}

func (w *vastWriter) impressions() {
	w.ours("Impression", impressionURL)
	w.links("Impression", w.l.Trackers)
}

func (w *vastWriter) optional(name, text string) {
	if text != "" {
		w.element(name, text)
	}
}

func (w *vastWriter) pricing() {
	if w.l.ShowPrice {
		w.markup(`<Pricing model="cpm" currency="`).hole(inXML, auctionCurrency).markup(`">`).hole(inXML, auctionPrice).markup("</Pricing>")
	}
}

// extensions carry verifications before VAST 4.1, which made them elements.
func (w *vastWriter) extensions() {
	if len(w.l.Verifications) > 0 {
		w.markup(`<Extensions><Extension type="AdVerifications">`)
		w.verifications()
		w.markup("</Extension></Extensions>")
	}
}

func (w *vastWriter) verifications() {
	if len(w.l.Verifications) == 0 {
		return
	}
	w.markup("<AdVerifications>")
	for i := range w.l.Verifications {
		v := &w.l.Verifications[i]
		w.markup(`<Verification vendor="`).value(inXML, v.Vendor).markup(`">`)
		w.link("JavaScriptResource", ` apiFramework="omid" browserOptional="true"`, v.Script)
		if len(v.NotExecuted) > 0 {
			w.markup("<TrackingEvents>")
			for _, u := range v.NotExecuted {
				w.link("Tracking", ` event="verificationNotExecuted"`, u)
			}
			w.markup("</TrackingEvents>")
		}
		w.optional("VerificationParameters", v.Parameters)
		w.markup("</Verification>")
	}
	w.markup("</AdVerifications>")
}

// creative writes a Creative. In the ad itself VAST 4 wants a UniversalAdId in
// each.
func (w *vastWriter) creative(write func()) {
	w.markup(`<Creative id="`).value(inXML, w.s.ID).markup(`" sequence="1">`)
	write()
	if w.l.Wrapper == nil {
		registry, id := "unknown", "unknown"
		if w.l.AdID != "" {
			registry, id = w.l.AdRegistry, w.l.AdID
		}
		w.in(vast4, func() {
			w.markup(`<UniversalAdId idRegistry="`).value(inXML, registry)
			w.in(vast40, func() { w.markup(`" idValue="`).value(inXML, id) })
			w.markup(`">`).value(inXML, id).markup("</UniversalAdId>")
		})
	}
	w.markup("</Creative>")
}

func (w *vastWriter) linear(inline bool) {
	w.markup("<Linear")
	if w.l.SkipAfter > 0 {
		w.in(vast30Up, func() { w.markup(` skipoffset="` + clock(w.l.SkipAfter) + `"`) })
	}
	w.markup(">")
	w.in(vast30Up, w.icons)
	duration := func() { w.markup("<Duration>" + clock(w.l.Seconds) + "</Duration>") }
	parameters := func() { w.optional("AdParameters", w.l.Parameters) }
	if !inline {
		w.trackingEvents()
		w.wrapperClicks()
		w.markup("</Linear>")
		return
	}
	w.in(vast3Or2, duration)
	w.trackingEvents()
	parameters()
	w.in(vast3Or2, func() {
		w.markup("<VideoClicks>")
		w.ours("ClickThrough", clickURL)
		w.links("ClickTracking", w.l.ClickTrackers)
		w.links("CustomClick", w.l.CustomClicks)
		w.markup("</VideoClicks>")
	})
	w.in(vast4, duration)
	w.mediaFiles()
	w.in(vast4, func() {
		w.markup("<VideoClicks>")
		w.links("ClickTracking", w.l.ClickTrackers)
		w.links("CustomClick", w.l.CustomClicks)
		w.ours("ClickThrough", clickURL)
		w.markup("</VideoClicks>")
	})
	w.markup("</Linear>")
}

// wrapperClicks: a wrapper's click is told, where it leads the ad itself says.
func (w *vastWriter) wrapperClicks() {
	w.markup("<VideoClicks>")
	w.ours("ClickTracking", clickURL)
	w.links("ClickTracking", w.l.ClickTrackers)
	w.in(vast30Up, func() { w.links("CustomClick", w.l.CustomClicks) })
	w.markup("</VideoClicks>")
}

func (w *vastWriter) trackingEvents() {
	if len(w.l.Events) == 0 {
		return
	}
	w.markup("<TrackingEvents>")
	for i := range w.l.Events {
		e := &w.l.Events[i]
		names := events[e.Name]
		at := ""
		if e.After != "" {
			at = ` offset="` + offset(e.After) + `"`
		}
		var have versions
		for _, v := range [...]struct {
			only versions
			name string
		}{{vast41Up, names.v41}, {vast40, names.v40}, {vast30, names.v3}, {vast20, names.v2}} {
			if v.name != "" {
				have |= v.only
				w.in(v.only, func() { w.markup(`<Tracking event="` + v.name + `"` + at + `>`) })
			}
		}
		w.in(have, func() { w.markup("<![CDATA[").url(cdata, e.URL).markup("]]></Tracking>") })
	}
	w.markup("</TrackingEvents>")
}

func (w *vastWriter) mediaFiles() {
	w.markup("<MediaFiles>")
	for i := range w.l.Files {
		f := &w.l.Files[i]
		w.inPart(uint8(1+i), func() {
			delivery := "progressive"
			if f.Streaming {
				delivery = "streaming"
			}
			w.markup(`<MediaFile delivery="`+delivery+`" type="`).value(inXML, f.Mime)
			w.markup(fmt.Sprintf(`" width="%d" height="%d"`, f.W, f.H))
			if f.Codec != "" {
				w.in(vast30Up, func() { w.markup(` codec="`).value(inXML, f.Codec).markup(`"`) })
			}
			if f.Bitrate > 0 {
				w.markup(fmt.Sprintf(` bitrate="%d"`, f.Bitrate))
			}
			if f.BitrateMax > 0 {
				w.in(vast30Up, func() { w.markup(fmt.Sprintf(` minBitrate="%d" maxBitrate="%d"`, f.BitrateMin, f.BitrateMax)) })
			}
			w.markup("><![CDATA[").url(cdata, f.URL).markup("]]></MediaFile>")
		})
	}
	w.markup("</MediaFiles>")
}

func (w *vastWriter) icons() {
	if len(w.l.Icons) == 0 {
		return
	}
	w.markup("<Icons>")
	for i := range w.l.Icons {
		k := &w.l.Icons[i]
		w.markup(`<Icon program="`).value(inXML, k.Program)
		w.markup(fmt.Sprintf(`" width="%d" height="%d" xPosition="%s" yPosition="%s"`, k.W, k.H, k.X, k.Y))
		if k.For > 0 {
			w.markup(` duration="` + clock(k.For) + `"`)
		}
		if k.Start > 0 {
			w.markup(` offset="` + clock(k.Start) + `"`)
		}
		w.markup(`><StaticResource creativeType="`).value(inXML, k.Mime).markup(`"><![CDATA[`).url(cdata, k.Image).markup("]]></StaticResource>")
		if k.Click != "" || len(k.Clicks) > 0 {
			w.markup("<IconClicks>")
			w.in(vast30, func() { w.links("IconClickTracking", k.Clicks) })
			if k.Click != "" {
				w.link("IconClickThrough", "", k.Click)
			}
			w.in(vast4, func() { w.links("IconClickTracking", k.Clicks) })
			w.markup("</IconClicks>")
		}
		w.links("IconViewTracking", k.Trackers)
		w.markup("</Icon>")
	}
	w.markup("</Icons>")
}

// companions are a Creative of their own: VAST 2 and 3 have one kind in each.
func (w *vastWriter) companions() {
	if len(w.l.Companions) == 0 {
		return
	}
	w.creative(func() {
		w.markup("<CompanionAds")
		if w.l.CompanionsRequired != "" {
			w.in(vast30Up, func() { w.markup(` required="` + w.l.CompanionsRequired + `"`) })
		}
		w.markup(">")
		for i := range w.l.Companions {
			w.inPart(uint8(1+filesMax+i), func() { w.companion(i) })
		}
		w.markup("</CompanionAds>")
	})
}

func (w *vastWriter) companion(i int) {
	k := &w.l.Companions[i]
	w.markup("<Companion")
	if k.ID != "" {
		w.markup(` id="`).value(inXML, k.ID).markup(`"`)
	}
	w.markup(fmt.Sprintf(` width="%d" height="%d"`, k.W, k.H))
	if k.Slot != "" {
		w.in(vast30Up, func() { w.markup(` adSlotId="`).value(inXML, k.Slot).markup(`"`) })
	}
	if k.Mode != "" {
		w.in(vast41Up, func() { w.markup(` renderingMode="` + k.Mode + `"`) })
	}
	w.markup(">")
	switch {
	case k.Image != "":
		w.markup(`<StaticResource creativeType="`).value(inXML, k.Mime).markup(`"><![CDATA[`).url(cdata, k.Image).markup("]]></StaticResource>")
	case k.Frame != "":
		w.link("IFrameResource", "", k.Frame)
	default:
		// XML's escaping, not CDATA: HTML may have "]]>" in it.
		w.markup("<HTMLResource>")
		w.c.html(&w.builder, fmt.Sprintf("%v.companions[%d].html", w.s.Media, i), k.HTML, true)
		w.markup("</HTMLResource>")
	}
	w.in(vast3Or2, func() { w.companionEvents(k) })
	w.in(vast4, func() { w.optional("AltText", k.Alt) })
	if k.Image != "" {
		w.ours("CompanionClickThrough", clickURL)
	}
	w.in(vast4, func() {
		for i, u := range k.Clicks {
			w.link("CompanionClickTracking", fmt.Sprintf(` id="%d"`, i+1), u)
		}
		w.companionEvents(k)
	})
	w.in(vast30, func() { w.links("CompanionClickTracking", k.Clicks) })
	w.in(vast3Or2, func() { w.optional("AltText", k.Alt) })
	w.markup("</Companion>")
}

func (w *vastWriter) companionEvents(k *Companion) {
	if len(k.Trackers) == 0 {
		return
	}
	w.markup("<TrackingEvents>")
	for _, u := range k.Trackers {
		w.link("Tracking", ` event="creativeView"`, u)
	}
	w.markup("</TrackingEvents>")
}
