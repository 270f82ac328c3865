package creative

import (
	"fmt"
	"math/bits"

	"millrace/codec/openrtb"
	"millrace/codec/strict"
)

// Template is a compiled creative. It is immutable and shared.
type Template struct {
	id      string
	media   openrtb.MediaType
	secure  bool
	kind    BannerKind
	mime    string // of an image banner; "" = not known
	banner  program
	linear  *linearTemplate
	native  *nativeTemplate
	w, h    int32
	seconds int32
}

// BannerKind is AdCOM's banner ad type, for btype.
type BannerKind uint8

// Kinds of banners.
const (
	ImageBanner  BannerKind = 2 // XHTML: an image with a link
	ScriptBanner BannerKind = 3
	FrameBanner  BannerKind = 4
)

// Compiler compiles creatives. Texts that their templates have in common are
// stored once. The zero value is ready; not shared.
type Compiler struct {
	texts  map[string]string
	faults strict.Faults
	secure bool
}

// Texts that are worth looking for an equal one: those of every template of a
// form, not an advertiser's own.
const (
	keptLenMax = 512
	keptMax    = 1 << 16
)

// keep is the text as a string.
func (c *Compiler) keep(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	if t, ok := c.texts[string(text)]; ok {
		return t
	}
	t := string(text)
	if len(t) <= keptLenMax && len(c.texts) < keptMax {
		if c.texts == nil {
			c.texts = map[string]string{}
		}
		c.texts[t] = t
	}
	return t
}

func (c *Compiler) fault(field, problem, remedy string) {
	c.faults = append(c.faults, strict.Fault{Field: field, Problem: problem, Remedy: remedy})
}

// Compile checks a creative and compiles it, or lists its faults. Their fields
// are those of a creative in the catalog.
func Compile(s *Spec) (*Template, strict.Faults) { return new(Compiler).Compile(s) }

// Compile checks a creative and compiles it, or lists its faults. Their fields
// are those of a creative in the catalog.
func (c *Compiler) Compile(s *Spec) (*Template, strict.Faults) {
	c.faults = nil
	t := &Template{id: s.ID, media: s.Media, secure: true}
	switch s.Media {
	case openrtb.BannerMedia:
		c.compileBanner(t, s)
	case openrtb.VideoMedia, openrtb.AudioMedia:
		c.compileLinear(t, s)
	case openrtb.NativeMedia:
		c.compileNative(t, s)
	default:
		c.fault("format", fmt.Sprintf("%v can't be served", s.Media), "use banner, video, audio or native")
	}
	if c.secure = t.secure; len(c.faults) > 0 {
		return nil, c.faults
	}
	return t, nil
}

// Secure reports whether the creative compiled last loads by https alone,
// faulty or not.
func (c *Compiler) Secure() bool { return c.secure }

// Media is what the template makes.
func (t *Template) Media() openrtb.MediaType { return t.media }

// Secure reports whether the markup loads by https alone, the tracking URLs
// apart, which are the caller's.
func (t *Template) Secure() bool { return t.secure }

// Banner is what kind of banner it is; 0 if it is none.
func (t *Template) Banner() BannerKind { return t.kind }

// Size is the creative's own size; 0 = none.
func (t *Template) Size() (w, h int32) { return t.w, t.h }

// Seconds is the length of a video or audio ad.
func (t *Template) Seconds() int32 { return t.seconds }

// Protocol is that of the markup in the form of the Fit; 0 if it is not VAST.
func (t *Template) Protocol(f Fit) openrtb.Protocol {
	if t.linear == nil {
		return 0
	}
	asks := vastVersions[f.version].inline
	if t.linear.wrapper {
		asks = vastVersions[f.version].wrapper
	}
	return openrtb.Protocol(bits.TrailingZeros32(asks))
}

// APIs are what the markup asks of its player: Open Measurement, if it has a
// verification script. Borrowed.
func (t *Template) APIs() []int32 {
	if t.linear == nil || !t.linear.verified {
		return nil
	}
	return openMeasurement[:]
}

var openMeasurement = [...]int32{7} // AdCOM: OMID 1

// Fits reports whether the creative may answer the impression, by all that the
// catalog's index of sizes does not know: security, MIME types, durations,
// protocols, required assets. The Fit says in which form, for Vars. native is
// the parsed native request, nil if the impression has none; the Fit keeps it.
// d is the scratch with which the places for companions are read.
func (t *Template) Fits(r *openrtb.BidRequest, imp *openrtb.Imp, native *openrtb.NativeRequest, d *openrtb.Details) (f Fit, ok bool) {
	if !imp.Media.Has(t.media) || imp.Secure && !t.secure {
		return f, false
	}
	switch t.media {
	case openrtb.BannerMedia:
		return f, t.mime == "" || mimeAllowed(r.Strs(imp.Banner.Mimes), t.mime)
	case openrtb.VideoMedia:
		return t.linear.fitsVideo(r, &imp.Video, d)
	case openrtb.AudioMedia:
		return t.linear.fitsAudio(r, &imp.Audio, d)
	case openrtb.NativeMedia:
		f.native = native
		return f, native != nil && t.native.fits(native)
	}
	return f, false
}

// FitNative is the Fit for a native request alone, as for a preview.
func (t *Template) FitNative(n *openrtb.NativeRequest) (f Fit, ok bool) {
	f.native = n
	return f, t.media == openrtb.NativeMedia && t.native.fits(n)
}

// AppendAdm appends the markup as the inside of a JSON string, ready for
// openrtb.Bid.Adm. It is false, and dst unchanged, for a native ad whose
// Vars.Fit is not of a native request that it fits.
func (t *Template) AppendAdm(dst []byte, v *Vars) ([]byte, bool) {
	switch t.media {
	case openrtb.BannerMedia:
		return t.banner.append(dst, v, t.id), true
	case openrtb.VideoMedia, openrtb.AudioMedia:
		return t.linear.program.append(dst, v, t.id), true
	case openrtb.NativeMedia:
		if v.Fit.native == nil {
			return dst, false
		}
		return t.native.append(dst, v, t.id), true
	}
	return dst, false
}
