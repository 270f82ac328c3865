package creative

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"millrace/codec/event"
	"millrace/codec/openrtb"
)

// Template is a compiled creative. It is immutable and shared.
type Template struct {
	id      string
	media   openrtb.MediaType
	secure  bool
	mime    string // of an image banner; "" = HTML
	banner  program
	video   *videoTemplate
	native  *nativeTemplate
	w, h    int32
	seconds int32
}

// Compile checks a creative and compiles it. Every fault found is in the
// error.
func Compile(s Spec) (*Template, error) {
	t := &Template{id: s.ID, media: s.Media}
	var err error
	switch s.Media {
	case openrtb.BannerMedia:
		err = t.compileBanner(&s)
	case openrtb.VideoMedia:
		err = t.compileVideo(&s)
	case openrtb.NativeMedia:
		err = t.compileNative(&s)
	default:
		err = fmt.Errorf("media: %v can't be served; use banner, video or native", s.Media)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Media is what the template makes.
func (t *Template) Media() openrtb.MediaType { return t.media }

// Secure reports whether the markup loads by https alone, the tracking URLs
// apart, which are the caller's.
func (t *Template) Secure() bool { return t.secure }

// Size is the creative's own size; 0 = none.
func (t *Template) Size() (w, h int32) { return t.w, t.h }

// Seconds is the length of a video.
func (t *Template) Seconds() int32 { return t.seconds }

// Fits reports whether the creative may answer the impression, by all that the
// catalog's index of sizes does not know: security, MIME types, durations,
// protocols, required assets. native is the parsed native request, nil if the
// impression has none.
func (t *Template) Fits(r *openrtb.BidRequest, imp *openrtb.Imp, native *openrtb.NativeRequest) bool {
	if !imp.Media.Has(t.media) || imp.Secure && !t.secure {
		return false
	}
	switch t.media {
	case openrtb.BannerMedia:
		return t.mime == "" || mimeAllowed(r.Strs(imp.Banner.Mimes), t.mime)
	case openrtb.VideoMedia:
		return t.video.fits(r, &imp.Video)
	case openrtb.NativeMedia:
		return native != nil && t.native.fits(native)
	}
	return false
}

// AppendAdm appends the markup as the inside of a JSON string, ready for
// openrtb.Bid.Adm. It is false, and dst unchanged, if the creative does not
// fit Vars.Native or Vars.Protocols.
func (t *Template) AppendAdm(dst []byte, v *Vars) ([]byte, bool) {
	switch t.media {
	case openrtb.BannerMedia:
		return t.banner.append(dst, v, t.id), true
	case openrtb.VideoMedia:
		p := t.video.program(v.Protocols)
		if p == nil {
			return dst, false
		}
		return p.append(dst, v, t.id), true
	case openrtb.NativeMedia:
		if v.Native == nil || !t.native.fits(v.Native) {
			return dst, false
		}
		return t.native.append(dst, v, t.id), true
	}
	return dst, false
}

func (t *Template) compileBanner(s *Spec) error {
	b := &s.Banner
	t.w, t.h = b.W, b.H
	switch {
	case b.HTML != "" && b.Image != "":
		return errors.New("banner: both html and image; give one of them")
	case b.HTML != "":
		t.secure = !strings.Contains(strings.ToLower(b.HTML), "http://")
		var m builder
		m.markup(inHTML, b.HTML)
		if t.banner = m.program(); !t.banner.has(impressionURL) {
			pixel(&m)
			t.banner = m.program()
		}
		return nil
	case b.Image == "":
		return errors.New("banner: neither html nor image; give one of them")
	}
	if err := checkURL("banner.image", b.Image); err != nil {
		return err
	}
	if b.W <= 0 || b.H <= 0 {
		return fmt.Errorf("banner: an image needs its size; w and h are %d×%d", b.W, b.H)
	}
	t.secure, t.mime = isSecure(b.Image), imageMime(b.Image)
	size := fmt.Sprintf(`" width="%d" height="%d" border="0" alt="`, b.W, b.H)
	var m builder
	m.markup(inHTML, `<a href="`).hole(inHTML, clickURL).markup(inHTML, `" target="_blank" rel="noopener"><img src="`)
	m.value(inHTML, b.Image).markup(inHTML, size).value(inHTML, b.Alt).markup(inHTML, `"></a>`)
	pixel(&m)
	t.banner = m.program()
	return nil
}

// pixel adds the impression pixel.
func pixel(m *builder) {
	m.markup(inHTML, `<img src="`).hole(inHTML, impressionURL)
	m.markup(inHTML, `" width="1" height="1" alt="" style="position:absolute;left:-1px;top:-1px">`)
}

// macroBrackets takes the brackets of macros out of a URL: url.Parse refuses them.
var macroBrackets = strings.NewReplacer("${", "", "}", "")

// checkURL finds what keeps a text from being an absolute web address. Macros
// are allowed in it.
func checkURL(field, text string) error {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c == 0x7f {
			return fmt.Errorf("%s: %q has a space or control character; percent-encode it", field, text)
		}
	}
	u, err := url.Parse(macroBrackets.Replace(text))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %q is not a URL: %w", field, text, err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%s: %q is not an absolute URL; begin it with https:// and a host", field, text)
	}
	return nil
}

func isSecure(u string) bool { return strings.HasPrefix(strings.ToLower(u), "https://") }

// imageMime guesses the type of an image from its URL; "" if it can't.
func imageMime(u string) string {
	path, _, _ := strings.Cut(u, "?")
	switch strings.ToLower(path[strings.LastIndexByte(path, '.')+1:]) {
	case "jpg", "jpeg":
		return "image/jpeg"
	case "png":
		return "image/png"
	case "gif":
		return "image/gif"
	case "webp":
		return "image/webp"
	case "svg":
		return "image/svg+xml"
	case "avif":
		return "image/avif"
	}
	return ""
}

// mimeAllowed reports whether a list of MIME types allows one; an empty list
// allows all.
func mimeAllowed(list []openrtb.Str, mime string) bool {
	for i := range list {
		if list[i].EqualFold(mime) || mime == "image/jpeg" && list[i].EqualFold("image/jpg") {
			return true
		}
	}
	return len(list) == 0
}

// Landing is a compiled landing page address. ${MILLRACE_CONVERSION} in it is
// the token with which the advertiser reports the conversion; macros of
// OpenRTB 4.4 and ${MILLRACE_CREATIVE_ID} may stand there too. Values are
// percent-encoded.
type Landing struct {
	id      string
	program program
}

// CompileLanding checks and compiles the landing page of a creative.
func CompileLanding(creativeID, text string) (*Landing, error) {
	if err := checkURL("landing", text); err != nil {
		return nil, err
	}
	if most := event.LandingMax / 2; len(text) > most {
		return nil, fmt.Errorf("landing: %d bytes; at most %d leave room for the values of its macros", len(text), most)
	}
	var b builder
	b.add(plain, query, text)
	l := &Landing{id: creativeID, program: b.program()}
	if l.program.has(clickURL) || l.program.has(clickURLEscaped) || l.program.has(impressionURL) {
		return nil, errors.New("landing: has a click or impression macro, which would lead back here; remove it")
	}
	return l, nil
}

// WantsConversion reports whether the page is given a conversion token, so
// that one has to be signed.
func (l *Landing) WantsConversion() bool { return l.program.has(conversionToken) }

// Append appends the address for one auction.
func (l *Landing) Append(dst []byte, v *Vars) []byte { return l.program.append(dst, v, l.id) }
