package openrtb

import "bytes"

// Markup is what the adm of a bid is, as far as its first bytes tell.
type Markup uint8

// Kinds of markup.
const (
	UnknownMarkup Markup = iota
	HTMLMarkup
	VASTMarkup
	DAASTMarkup
	NativeMarkup // a JSON object
)

// markupOf looks at how markup begins.
func markupOf(adm []byte) Markup {
	for {
		adm = bytes.TrimLeft(adm, " \t\r\n\ufeff")
		switch {
		case len(adm) < 2:
			return UnknownMarkup
		case adm[0] == '{':
			return NativeMarkup
		case adm[0] != '<':
			return UnknownMarkup
		}
		end := 0
		switch {
		case adm[1] == '?':
			end = after(adm, "?>")
		case bytes.HasPrefix(adm, []byte("<!--")):
			end = after(adm, "-->")
		case tagIs(adm, "vast") || tagIs(adm, "videoadservingtemplate"):
			return VASTMarkup
		case tagIs(adm, "daast"):
			return DAASTMarkup
		default:
			return HTMLMarkup
		}
		if end == 0 {
			return UnknownMarkup
		}
		adm = adm[end:]
	}
}

// after is the index behind the first occurrence of what ends something, or 0.
func after(b []byte, what string) int {
	if i := bytes.Index(b, []byte(what)); i >= 0 {
		return i + len(what)
	}
	return 0
}

// tagIs reports whether b begins with a tag of the name, in lower case.
func tagIs(b []byte, name string) bool {
	n := len(name) + 1
	if len(b) < n || b[0] != '<' || !equalFold(b[1:n], name) {
		return false
	}
	if len(b) == n {
		return true
	}
	c := lower(b[n])
	return c-'a' >= 26 && c-'0' >= 10 && c != '-' && c != ':'
}

// mediaOf is what the markup is among the types on offer, 0 if it can't be
// told: VAST may be video or audio where both are.
func mediaOf(adm []byte, offered MediaMask) MediaType {
	switch markupOf(adm) {
	case HTMLMarkup:
		return BannerMedia
	case NativeMarkup:
		return NativeMedia
	case DAASTMarkup:
		return AudioMedia
	case VASTMarkup:
		if !offered.Has(AudioMedia) {
			return VideoMedia
		}
		if !offered.Has(VideoMedia) || bytes.Contains(adm, []byte("audio/")) && !bytes.Contains(adm, []byte("video/")) {
			return AudioMedia
		}
		return VideoMedia
	}
	return 0
}

// Banner ad types of AdCOM, as a mask by their number (btype).
const (
	textBanner   = 1 << 1
	imageBanner  = 1 << 2
	scriptBanner = 1 << 3
	iframeBanner = 1 << 4
)

// bannerTypes are the ad types that markup is of: with an iframe, with a
// script, else with an image, or else text.
func bannerTypes(adm []byte) (types uint32) {
	for {
		i := bytes.IndexByte(adm, '<')
		if i < 0 {
			break
		}
		adm = adm[i:]
		switch {
		case tagIs(adm, "iframe"):
			types |= iframeBanner
		case tagIs(adm, "script"):
			types |= scriptBanner
		case tagIs(adm, "img"), tagIs(adm, "picture"), tagIs(adm, "svg"), tagIs(adm, "canvas"), tagIs(adm, "video"):
			types |= imageBanner
		}
		adm = adm[1:]
	}
	switch {
	case types&(iframeBanner|scriptBanner) != 0:
		return types &^ imageBanner
	case types == 0:
		return textBanner
	}
	return types
}

// nextHTTP is the index of the next http: at or after i, in letters of either
// case, or -1.
func nextHTTP(b []byte, i int) int {
	for i < len(b) {
		n := bytes.IndexByte(b[i:], ':')
		if n < 0 {
			return -1
		}
		if i += n; i >= 4 && equalFold(b[i-4:i], "http") {
			return i - 4
		}
		i++
	}
	return -1
}

// loadsInsecurely reports whether markup loads something by http: an URL of
// that scheme anywhere but where none is loaded: a link to click (an a or area
// element, ClickThrough of VAST, link.url of native), a namespace, a document
// type or a schema's location.
func loadsInsecurely(adm []byte) bool {
	i := nextHTTP(adm, 0)
	if i < 0 {
		return false
	}
	tag, at := -1, 0
	for ; i >= 0; i = nextHTTP(adm, i+5) {
		// The tag the URL is in or after, found in one pass over all.
		for ; at < i; at++ {
			if adm[at] == '<' && !bytes.HasPrefix(adm[at:], []byte("<![")) {
				tag = at
			}
		}
		if !harmless(adm, tag, i) {
			return true
		}
	}
	return false
}

func harmless(adm []byte, tag, url int) bool {
	if tag < 0 {
		return linkOfNative(adm[:url])
	}
	t := adm[tag:]
	switch {
	case tagIs(t, "a"), tagIs(t, "area"), tagIs(t, "clickthrough"), tagIs(t, "!doctype"),
		tagIs(t, "iconclickthrough"), tagIs(t, "companionclickthrough"), tagIs(t, "nonlinearclickthrough"):
		return true
	}
	// The attribute the URL is the value of.
	name := adm[max(tag, url-64):url]
	if i := bytes.LastIndexAny(name, " \t\r\n"); i >= 0 {
		name = name[i+1:]
	}
	return len(name) >= 5 && equalFold(name[:5], "xmlns") || bytes.Contains(name, []byte("chemaLocation="))
}

// linkOfNative reports whether native markup up to a URL ends in link: {url:.
func linkOfNative(b []byte) bool {
	const want = `{"link":{"url":"`
	b = b[max(0, len(b)-64):]
	for k := len(want) - 1; k > 0; k-- {
		for len(b) > 0 && k < len(want)-1 && b[len(b)-1] <= ' ' {
			b = b[:len(b)-1]
		}
		if len(b) == 0 || b[len(b)-1] != want[k] {
			return false
		}
		b = b[:len(b)-1]
	}
	return true
}
