package campaign

import (
	"fmt"
	"strconv"
	"time"

	"millrace/codec/creative"
	"millrace/codec/openrtb"
)

// content compiles the creative's markup. What is wrong with its texts
// codec/creative says; here is read what the catalog writes in its own way:
// sizes, times and words. A value that can't be read is replaced by one that
// can, so that nothing is blamed twice.
func (c *compiler) content(p place, spec *CreativeSpec, cr *Creative) {
	out := creative.Spec{ID: cr.Name, Title: spec.Name, Media: cr.Media}
	if len(cr.Domains) > 0 {
		out.Domain = cr.Domains[0]
	}
	switch cr.Media {
	case openrtb.VideoMedia:
		c.linear(p, spec.Video, cr, &out, "video")
	case openrtb.AudioMedia:
		c.linear(p, spec.Audio, cr, &out, "audio")
	case openrtb.NativeMedia:
		c.native(p, spec.Native, &out.Native)
	default:
		out.Banner = creative.Banner{
			W: int32(cr.Size.W), H: int32(cr.Size.H), HTML: spec.HTML, Image: spec.Image, Frame: spec.Frame, Alt: spec.Alt, Trackers: spec.Trackers,
		}
		if spec.Size != "" && cr.Size == (Size{}) {
			out.Banner.W, out.Banner.H = 1, 1
		}
	}
	t, faults := c.markup.Compile(&out)
	c.creativeFaults(p, faults)
	cr.Secure = c.markup.Secure()
	if t != nil {
		cr.Template, cr.BannerType = t, uint8(t.Banner())
	}
	if spec.Secure != nil {
		if *spec.Secure && !cr.Secure {
			c.fault(p, "secure", "true, but its content is fetched by http://", "change the URLs to https://, or write secure: false")
		}
		cr.Secure = *spec.Secure
	}
}

// seconds reads a time that VAST writes in whole seconds.
func (c *compiler) seconds(p place, field string, d time.Duration) int32 {
	if d < 0 || d%time.Second != 0 || d > linearMax {
		c.fault(p, field, d.String()+" is not whole seconds up to 1h", "write it like 5s, or remove it")
		return 0
	}
	return int32(d / time.Second)
}

// linearMax is the longest video or audio ad.
const linearMax = time.Hour

// dimensions reads a size; 1×1 where it can't be read.
func (c *compiler) dimensions(p place, field, text, example string) (w, h int32) {
	z, ok := parseSize(text)
	if !ok {
		c.fault(p, field, fmt.Sprintf("%q is not a size", text), "write width x height: "+example)
		return 1, 1
	}
	return int32(z.W), int32(z.H)
}

func (c *compiler) linear(p place, spec *LinearSpec, cr *Creative, out *creative.Spec, in string) {
	l := &out.Linear
	out.Description = spec.Description
	*l = creative.Linear{
		Parameters: spec.Parameters, Trackers: spec.Trackers, Errors: spec.Errors, ClickTrackers: spec.ClickTrackers, CustomClicks: spec.CustomClicks,
		Viewable: spec.Viewable, NotViewable: spec.NotViewable, Undetermined: spec.Undetermined, CompanionsRequired: spec.CompanionsRequired,
		AdRegistry: spec.AdID.Registry, AdID: spec.AdID.Value, ShowPrice: spec.ShowPrice,
	}
	if d := spec.Duration; d < time.Second || d > linearMax || d%time.Second != 0 {
		c.fault(p, in+".duration", "missing, or not whole seconds up to 1h", "write its length: 15s")
		l.Seconds = int32(linearMax / time.Second)
	} else {
		l.Seconds = int32(d / time.Second)
	}
	cr.DurationSeconds = uint16(l.Seconds)
	l.SkipAfter = c.seconds(p, in+".skip_after", spec.SkipAfter)
	if k := spec.Wrapper; k != nil {
		l.Wrapper = &creative.Wrapper{
			Tag: k.Tag, Mimes: k.Mimes, NoFurtherWrappers: k.Follow != nil && !*k.Follow, AllowMultipleAds: k.MultipleAds, FallbackOnNoAd: k.FallbackNoAds,
		}
	}
	for i := range spec.Files {
		l.Files = append(l.Files, c.mediaFile(p, &spec.Files[i], in+".files["+strconv.Itoa(i)+"]."))
	}
	for _, e := range spec.Events {
		l.Events = append(l.Events, creative.Event{Name: e.Event, URL: e.URL, After: e.After})
	}
	for _, v := range spec.Verifications {
		l.Verifications = append(l.Verifications, creative.Verification(v))
	}
	for i := range spec.Companions {
		k := &spec.Companions[i]
		w, h := c.dimensions(p, in+".companions["+strconv.Itoa(i)+"].size", k.Size, "300x250")
		l.Companions = append(l.Companions, creative.Companion{
			ID: k.ID, W: w, H: h, Image: k.Image, Mime: k.Mime, Frame: k.Frame, HTML: k.HTML, Alt: k.Alt, Trackers: k.Trackers, Clicks: k.ClickTrackers, Slot: k.Slot, Mode: k.Mode,
		})
	}
	for i := range spec.Icons {
		k, at := &spec.Icons[i], in+".icons["+strconv.Itoa(i)+"]."
		w, h := c.dimensions(p, at+"size", k.Size, "20x20")
		l.Icons = append(l.Icons, creative.Icon{
			Program: k.Program, W: w, H: h, X: k.X, Y: k.Y, Image: k.Image, Mime: k.Mime, Click: k.Click, Clicks: k.ClickTrackers, Trackers: k.Trackers,
			Start: c.seconds(p, at+"start", k.Start), For: c.seconds(p, at+"for", k.For),
		})
	}
}

var deliveryNames = []string{"progressive", "streaming"}

func (c *compiler) mediaFile(p place, spec *MediaFileSpec, at string) creative.MediaFile {
	f := creative.MediaFile{
		URL: spec.URL, Mime: spec.Mime, Codec: spec.Codec, Bitrate: spec.Bitrate, BitrateMin: spec.BitrateMin, BitrateMax: spec.BitrateMax,
		Streaming: c.choice(p, at+"delivery", spec.Delivery, deliveryNames, 0) == 1,
	}
	if spec.Size != "" {
		f.W, f.H = c.dimensions(p, at+"size", spec.Size, "1280x720")
	}
	return f
}

// Events and methods of native trackers, in the order of their numbers.
var (
	nativeEventNames  = []string{"impression", "viewable_mrc50", "viewable_mrc100", "viewable_video50"}
	nativeMethodNames = []string{"image", "script"}
)

func (c *compiler) native(p place, spec *NativeSpec, out *creative.Native) {
	image := func(field string, spec *ImageSpec) (i creative.Image) {
		if spec == nil {
			return i
		}
		i.URL, i.Mime = spec.URL, spec.Mime
		i.W, i.H = c.dimensions(p, "native."+field+".size", spec.Size, "1200x627")
		if spec.URL == "" {
			c.fault(p, "native."+field+".url", "missing", "write an absolute https URL")
		}
		return i
	}
	if spec.Title == "" {
		c.fault(p, "native.title", "missing", "write the headline")
	}
	*out = creative.Native{
		Title: spec.Title, Icon: image("icon", spec.Icon), Main: image("image", spec.Main),
		Sponsored: spec.Sponsored, Desc: spec.Desc, Rating: spec.Rating, Likes: spec.Likes, Downloads: spec.Downloads, Price: spec.Price,
		SalePrice: spec.SalePrice, Phone: spec.Phone, Address: spec.Address, Desc2: spec.Desc2, DisplayURL: spec.DisplayURL, CTA: spec.CTA,
		PrivacyLink: spec.PrivacyLink, Fallback: spec.Fallback, ClickTrackers: spec.ClickTrackers,
	}
	if out.Title == "" {
		out.Title = "-" // missing, which was said
	}
	for i, k := range spec.Trackers {
		at := "native.trackers[" + strconv.Itoa(i) + "]."
		event := 1 + c.choice(p, at+"event", k.Event, nativeEventNames, 0)
		out.Trackers = append(out.Trackers, creative.NativeTracker{
			URL: k.URL, Event: int32(event), Script: c.choice(p, at+"method", k.Method, nativeMethodNames, 0) == 1,
		})
	}
}
