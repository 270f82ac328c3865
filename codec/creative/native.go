package creative

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"millrace/codec/openrtb"
)

// dataTypes is one more than the last data asset type of native 1.2.
const dataTypes = 13

// nativeTemplate holds the assets, each escaped as a JSON string within a JSON
// string; which of them are sent, the request decides.
type nativeTemplate struct {
	title nativeText
	icon  nativeImage
	main  nativeImage
	data  [dataTypes]nativeText
	// trackers are what follows the assets: the link, and the impression in
	// the two ways a request may ask for.
	events, imps program
}

type nativeText struct {
	json string // `"text"` or so, ready to send; "" = we have none
	len  int32  // in characters
}

type nativeImage struct {
	json string
	w, h int32
}

// quote is a quote of the inner JSON as it stands in the outer.
const quote = `\"`

func (t *Template) compileNative(s *Spec) error {
	n := &s.Native
	var errs []error
	t.secure = true
	image := func(field string, m *Image) nativeImage {
		if m.URL == "" {
			return nativeImage{}
		}
		if err := checkURL(field+".url", m.URL); err != nil {
			errs = append(errs, err)
		}
		t.secure = t.secure && isSecure(m.URL)
		j := string(appendEscaped(append([]byte(nil), quote+`url`+quote+`:`+quote...), jsonJSON, m.URL)) + quote
		if m.W > 0 && m.H > 0 {
			j += fmt.Sprintf(`,%sw%s:%d,%sh%s:%d`, quote, quote, m.W, quote, quote, m.H)
		}
		return nativeImage{json: j, w: m.W, h: m.H}
	}
	out := &nativeTemplate{title: quotedText(n.Title), icon: image("native.icon", &n.Icon), main: image("native.main", &n.Main)}
	for i, text := range [...]string{
		"", n.Sponsored, n.Desc, n.Rating, n.Likes, n.Downloads, n.Price, n.SalePrice, n.Phone, n.Address, n.Desc2, n.DisplayURL, n.CTA,
	} {
		out.data[i] = quotedText(text)
	}
	if n.Title == "" && n.Main.URL == "" && n.Icon.URL == "" {
		errs = append(errs, errors.New("native: neither a title nor an image; give at least one"))
	}
	if n.PrivacyLink != "" {
		if err := checkURL("native.privacy_link", n.PrivacyLink); err != nil {
			errs = append(errs, err)
		}
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	out.events = nativeTail(n, `"eventtrackers":[{"event":1,"method":1,"url":"`, `"}]`)
	out.imps = nativeTail(n, `"imptrackers":["`, `"]`)
	t.native = out
	return nil
}

func quotedText(s string) nativeText {
	if s == "" {
		return nativeText{}
	}
	j := appendEscaped(append([]byte(nil), quote...), jsonJSON, s)
	return nativeText{json: string(append(j, quote...)), len: int32(utf8.RuneCountInString(s))}
}

func nativeTail(n *Native, before, after string) program {
	var b builder
	b.markup(jsonJSON, `],"link":{"url":"`).hole(jsonJSON, clickURL).markup(jsonJSON, `"},`)
	b.markup(jsonJSON, before).hole(jsonJSON, impressionURL).markup(jsonJSON, after)
	if n.PrivacyLink != "" {
		b.markup(jsonJSON, `,"privacy":"`).value(jsonJSON, n.PrivacyLink).markup(jsonJSON, `"`)
	}
	b.markup(jsonJSON, "}")
	return b.program()
}

// fits reports whether every required asset can be given.
func (t *nativeTemplate) fits(n *openrtb.NativeRequest) bool {
	given := 0
	for i := range n.Assets {
		a := &n.Assets[i]
		switch {
		case t.has(a):
			given++
		case a.Required:
			return false
		}
	}
	return given > 0
}

func (t *nativeTemplate) has(a *openrtb.NativeAsset) bool {
	switch a.Kind {
	case openrtb.NativeTitle:
		return t.title.within(a.Len)
	case openrtb.NativeImage:
		return t.image(a).satisfies(a)
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
func (t *nativeText) within(most int32) bool { return t.json != "" && (most == 0 || t.len <= most) }

// satisfies: not smaller than the least size asked for; where only a wanted
// size is given, not smaller and of that shape, within a hundredth.
func (m *nativeImage) satisfies(a *openrtb.NativeAsset) bool {
	switch {
	case m.json == "":
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
	n := v.Native
	wrapped := n.Ver.Equal("1.0") || n.Ver.Equal("1")
	if wrapped {
		dst = append(dst, `{\"native\":`...)
	}
	dst = append(dst, `{\"ver\":\"1.2\",\"assets\":[`...)
	first := true
	for i := range n.Assets {
		a := &n.Assets[i]
		if !t.has(a) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, `{\"id\":`...)
		dst = strconv.AppendInt(dst, int64(a.ID), 10)
		switch a.Kind {
		case openrtb.NativeTitle:
			dst = append(append(dst, `,\"title\":{\"text\":`...), t.title.json...)
		case openrtb.NativeImage:
			dst = append(append(dst, `,\"img\":{`...), t.image(a).json...)
		default:
			dst = append(append(dst, `,\"data\":{\"value\":`...), t.data[a.Type].json...)
		}
		dst = append(dst, '}', '}')
	}
	tail := t.imps
	if n.ImageImpressions {
		tail = t.events
	}
	dst = tail.append(dst, v, id)
	if wrapped {
		dst = append(dst, '}')
	}
	return dst
}
