package creative

import (
	"fmt"
	"html"
	"strconv"
	"unicode/utf8"

	"millrace/codec/openrtb"
)

// dataTypes is one more than the last data asset type of native 1.2.
const dataTypes = 13

// nativeTemplate holds the assets, each a program that writes a JSON string
// within a JSON string; which of them are sent, the request decides.
type nativeTemplate struct {
	title    nativeText
	icon     nativeImage
	main     nativeImage
	data     [dataTypes]nativeText
	link     program // what follows the assets: `],"link":{…}`
	privacy  program // `,"privacy":"…"`, or nothing
	trackers []nativeTracker
}

type nativeText struct {
	json program // `"text"`; nil = we have none
	len  int32   // in characters, as the catalog writes it
}

type nativeImage struct {
	json program
	mime string // "" = not known
	w, h int32
}

// nativeTracker is a URL of the catalog's: `"https://…"`; of a script also as
// HTML, in tag.
type nativeTracker struct {
	event    int32
	method   openrtb.NativeMethod
	url, tag program
}

func (c *Compiler) compileNative(t *Template, s *Spec) {
	n := &s.Native
	out := &nativeTemplate{title: c.quoted(n.Title), icon: c.image(t, "native.icon", &n.Icon), main: c.image(t, "native.image", &n.Main)}
	for i, text := range [...]string{
		"", n.Sponsored, n.Desc, n.Rating, n.Likes, n.Downloads, n.Price, n.SalePrice, n.Phone, n.Address, n.Desc2, n.DisplayURL, n.CTA,
	} {
		out.data[i] = c.quoted(text)
	}
	if n.Title == "" && n.Main.URL == "" && n.Icon.URL == "" {
		c.fault("native.title", "neither a title nor an image", "write the headline")
	}
	// Pages that are opened on a click are not loaded with the ad.
	secure := t.secure
	for _, page := range [...]struct{ field, url string }{{"native.privacy_link", n.PrivacyLink}, {"native.fallback", n.Fallback}} {
		if page.url != "" {
			c.url(t, page.field, page.url)
		}
	}
	t.secure = secure
	c.urls(t, "native.click_trackers", n.ClickTrackers)
	c.atMost("native.click_trackers", len(n.ClickTrackers))
	c.atMost("native.trackers", len(n.Trackers))
	for i := range n.Trackers {
		k := &n.Trackers[i]
		at := fmt.Sprintf("native.trackers[%d].", i)
		c.url(t, at+"url", k.URL)
		if k.Event < 1 || k.Event > 4 {
			c.fault(at+"event", fmt.Sprintf("%d is not an event", k.Event), "write impression, viewable_mrc50, viewable_mrc100 or viewable_video50")
		}
		b := builder{c: c}
		b.markup(`"`).url(jsonJSON, k.URL).markup(`"`)
		tracker := nativeTracker{event: k.Event, method: openrtb.NativeImageMethod, url: b.program()}
		if k.Script {
			tracker.method = openrtb.NativeScriptMethod
			b.url(jsonJSON, `<script src="`+html.EscapeString(k.URL)+`"></script>`)
			tracker.tag = b.program()
		}
		out.trackers = append(out.trackers, tracker)
	}
	if n.PrivacyLink != "" {
		b := builder{c: c}
		b.markup(`,"privacy":"`).url(jsonJSON, n.PrivacyLink).markup(`"`)
		out.privacy = b.program()
	}
	out.link = c.nativeLink(n)
	t.native = out
}

func (c *Compiler) quoted(s string) nativeText {
	if s == "" {
		return nativeText{}
	}
	b := builder{c: c}
	b.markup(`"`).value(jsonJSON, s).markup(`"`)
	return nativeText{json: b.program(), len: int32(utf8.RuneCountInString(s))}
}

func (c *Compiler) image(t *Template, field string, m *Image) nativeImage {
	if m.URL == "" {
		return nativeImage{}
	}
	c.url(t, field+".url", m.URL)
	if m.W <= 0 || m.H <= 0 {
		c.fault(field+".size", "missing", "write width x height: 1200x627")
	}
	out := nativeImage{mime: c.keep([]byte(m.Mime)), w: m.W, h: m.H}
	if out.mime == "" {
		out.mime = imageMime(m.URL)
	} else if !validMime(m.Mime) {
		c.fault(field+".mime", fmt.Sprintf("%q is not a media type", m.Mime), "write it like image/png")
	}
	b := builder{c: c}
	b.markup(`{"url":"`).url(jsonJSON, m.URL).markup(fmt.Sprintf(`","w":%d,"h":%d}`, m.W, m.H))
	out.json = b.program()
	return out
}

func (c *Compiler) nativeLink(n *Native) program {
	b := builder{c: c}
	b.markup(`],"link":{"url":"`).hole(jsonJSON, clickURL).markup(`"`)
	for i, u := range n.ClickTrackers {
		if i == 0 {
			b.markup(`,"clicktrackers":[`)
		} else {
			b.markup(`,`)
		}
		b.markup(`"`).url(jsonJSON, u).markup(`"`)
	}
	if len(n.ClickTrackers) > 0 {
		b.markup(`]`)
	}
	if n.Fallback != "" {
		b.markup(`,"fallback":"`).url(jsonJSON, n.Fallback).markup(`"`)
	}
	b.markup(`}`)
	return b.program()
}

// fits reports whether every required asset can be given.
func (t *nativeTemplate) fits(n *openrtb.NativeRequest) bool {
	given := 0
	for i := range n.Assets {
		a := &n.Assets[i]
		switch {
		case t.has(n, a):
			given++
		case a.Required:
			return false
		}
	}
	return given > 0
}

func (t *nativeTemplate) has(n *openrtb.NativeRequest, a *openrtb.NativeAsset) bool {
	switch a.Kind {
	case openrtb.NativeTitle:
		return t.title.within(a.Len)
	case openrtb.NativeImage:
		m := t.image(a)
		return m.satisfies(a) && (m.mime == "" || mimeAllowed(n.Mimes(a), m.mime))
	case openrtb.NativeData:
		return a.Type > 0 && a.Type < dataTypes && t.data[a.Type].within(a.Len)
	}
	return false
}

// image is ours for the asset: an icon (1) or a logo (2, deprecated), else the
// main one.
func (t *nativeTemplate) image(a *openrtb.NativeAsset) *nativeImage {
	if a.Type == 1 || a.Type == 2 {
		return &t.icon
	}
	return &t.main
}

// within: a text that is too long is not cut, it is not given.
func (t *nativeText) within(most int32) bool { return t.json != nil && (most == 0 || t.len <= most) }

// satisfies: not smaller than the least size asked for; where only a wanted
// size is given, not smaller and of that shape, within a hundredth.
func (m *nativeImage) satisfies(a *openrtb.NativeAsset) bool {
	switch {
	case m.json == nil:
		return false
	case a.WMin > 0 || a.HMin > 0:
		return m.w >= a.WMin && m.h >= a.HMin
	case a.W > 0 && a.H > 0:
		across, down := int64(m.w)*int64(a.H), int64(m.h)*int64(a.W)
		return m.w >= a.W && m.h >= a.H && (across-down)*100 <= across && (down-across)*100 <= down
	}
	return m.w >= a.W && m.h >= a.H
}

// append appends the native response for the request, which fits. Before 1.1
// it was wrapped in an object.
func (t *nativeTemplate) append(dst []byte, v *Vars, id string) []byte {
	n := v.Fit.native
	wrapped := n.Ver.Equal("1.0") || n.Ver.Equal("1")
	switch {
	case wrapped:
		dst = append(dst, `{\"native\":{\"ver\":\"1.0`...)
	case n.Ver.Equal("1.1"):
		dst = append(dst, `{\"ver\":\"1.1`...)
	default:
		dst = append(dst, `{\"ver\":\"1.2`...)
	}
	dst = t.appendAssets(append(dst, `\",\"assets\":[`...), v, id)
	dst = t.link.append(dst, v, id)
	if n.ImageImpressions {
		dst = t.appendTrackers(dst, v, id)
	} else {
		dst = t.appendOldTrackers(dst, v, id)
	}
	if n.Privacy {
		dst = t.privacy.append(dst, v, id)
	}
	dst = append(dst, '}')
	if wrapped {
		dst = append(dst, '}')
	}
	return dst
}

func (t *nativeTemplate) appendAssets(dst []byte, v *Vars, id string) []byte {
	n, first := v.Fit.native, true
	for i := range n.Assets {
		a := &n.Assets[i]
		if !t.has(n, a) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, `{\"id\":`...)
		dst = strconv.AppendInt(dst, int64(a.ID), 10)
		if a.Required {
			dst = append(dst, `,\"required\":1`...)
		}
		switch a.Kind {
		case openrtb.NativeTitle:
			dst = append(t.title.json.append(append(dst, `,\"title\":{\"text\":`...), v, id), '}')
		case openrtb.NativeImage:
			dst = t.image(a).json.append(append(dst, `,\"img\":`...), v, id)
		default:
			dst = append(t.data[a.Type].json.append(append(dst, `,\"data\":{\"value\":`...), v, id), '}')
		}
		dst = append(dst, '}')
	}
	return dst
}

// appendTrackers appends the event trackers of 1.2: the impression, and those
// of the catalog that the request can take.
func (t *nativeTemplate) appendTrackers(dst []byte, v *Vars, id string) []byte {
	dst = append(dst, `,\"eventtrackers\":[{\"event\":1,\"method\":1,\"url\":\"`...)
	dst = append(appendEscaped(dst, jsonJSON, v.ImpressionURL), `\"}`...)
	for i := range t.trackers {
		k := &t.trackers[i]
		if !v.Fit.native.Tracks(k.event, k.method) {
			continue
		}
		dst = strconv.AppendInt(append(dst, `,{\"event\":`...), int64(k.event), 10)
		dst = strconv.AppendInt(append(dst, `,\"method\":`...), int64(k.method), 10)
		dst = append(k.url.append(append(dst, `,\"url\":`...), v, id), '}')
	}
	return append(dst, ']')
}

// appendOldTrackers appends the trackers of impressions that came before event
// trackers: images, and HTML with scripts.
func (t *nativeTemplate) appendOldTrackers(dst []byte, v *Vars, id string) []byte {
	const impression = 1
	dst = append(dst, `,\"imptrackers\":[\"`...)
	dst = append(appendEscaped(dst, jsonJSON, v.ImpressionURL), `\"`...)
	scripts := false
	for i := range t.trackers {
		k := &t.trackers[i]
		scripts = scripts || k.event == impression && k.method == openrtb.NativeScriptMethod
		if k.event == impression && k.method == openrtb.NativeImageMethod {
			dst = k.url.append(append(dst, ','), v, id)
		}
	}
	dst = append(dst, ']')
	if !scripts {
		return dst
	}
	dst = append(dst, `,\"jstracker\":\"`...)
	for i := range t.trackers {
		if k := &t.trackers[i]; k.event == impression && k.method == openrtb.NativeScriptMethod {
			dst = k.tag.append(dst, v, id)
		}
	}
	return append(dst, `\"`...)
}
