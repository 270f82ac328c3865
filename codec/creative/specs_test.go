package creative

import (
	"encoding/json"
	"fmt"
	"testing"

	"millrace/codec/openrtb"
)

func compile(t testing.TB, s Spec) *Template {
	t.Helper()
	c, faults := Compile(&s)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return c
}

// adm renders, checks that the result is the inside of a JSON string, and
// decodes it.
func adm(t testing.TB, c *Template, v *Vars) string {
	t.Helper()
	out, ok := c.AppendAdm([]byte{'"'}, v)
	if !ok {
		t.Fatal("does not fit")
	}
	var s string
	if err := json.Unmarshal(append(out, '"'), &s); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return s
}

// with is a request with one impression, of the given media objects.
func with(t testing.TB, imp string) *openrtb.BidRequest {
	t.Helper()
	r := new(openrtb.BidRequest)
	if e := openrtb.Parse([]byte(`{"id":"a","imp":[{"id":"1",`+imp+`}]}`), r); !e.OK() {
		t.Fatalf("%v: %s", e, imp)
	}
	return r
}

// texts are where a Spec's texts come from: the plain ones of a test, or
// hostile ones.
type texts struct {
	plain func(name string) string // any text
	url   func(name string) string // any URL
}

func ordinary() texts {
	return texts{
		plain: func(name string) string { return "The " + name },
		url: func(name string) string {
			return "https://cdn.example/" + name + ".png?a=1&b=${AUCTION_ID}&e=[ERRORCODE]"
		},
	}
}

func imageBanner(x texts) Spec {
	return Spec{ID: "image-1", Media: openrtb.BannerMedia, Banner: Banner{W: 300, H: 250, Image: x.url("image"), Alt: x.plain("alt"), Trackers: []string{x.url("tracker")}}}
}

func frameBannerSpec(x texts) Spec {
	return Spec{ID: "frame-1", Media: openrtb.BannerMedia, Banner: Banner{W: 300, H: 250, Frame: x.url("page") + "&click=${MILLRACE_CLICK}", Alt: x.plain("alt")}}
}

// linear has every part that VAST has a place for.
func linear(x texts, media openrtb.MediaType) Spec {
	url := x.url
	s := Spec{ID: "linear-1", Title: x.plain("title"), Description: x.plain("description"), Domain: "shop.example", Media: media}
	l := &s.Linear
	*l = Linear{
		Seconds: 75, SkipAfter: 5, Parameters: x.plain("parameters"), ShowPrice: true, AdRegistry: x.plain("registry"), AdID: x.plain("id"),
		Files: []MediaFile{
			{URL: url("720"), Mime: "video/mp4", W: 1280, H: 720, Bitrate: 2200, Codec: x.plain("codec")},
			{URL: url("adaptive"), Mime: "application/vnd.apple.mpegurl", W: 1920, H: 1080, BitrateMin: 400, BitrateMax: 6000, Streaming: true},
		},
		Trackers: []string{url("impression")}, Errors: []string{url("error"), url("error2")},
		ClickTrackers: []string{url("click"), url("click2")}, CustomClicks: []string{url("custom")},
		Viewable: []string{url("viewable")}, NotViewable: []string{url("not")}, Undetermined: []string{url("undetermined")},
		Verifications:      []Verification{{Vendor: x.plain("vendor"), Script: url("omid"), Parameters: x.plain("verification parameters"), NotExecuted: []string{url("no-omid")}}},
		CompanionsRequired: "any",
		Companions: []Companion{
			{ID: x.plain("companion"), W: 300, H: 250, Image: url("companion"), Mime: "image/png", Alt: x.plain("companion alt"), Trackers: []string{url("shown")}, Clicks: []string{url("companion-click")}, Slot: x.plain("slot"), Mode: "end-card"},
			{W: 728, H: 90, Frame: url("companion-page")},
			{W: 320, H: 50, HTML: `<a href="${MILLRACE_CLICK}" title='${AUCTION_SEAT_ID}'>${AUCTION_ID} ]]> &amp; </a><script>var a="${AUCTION_ID}"; // c` + "\n" + `go(a)</script>`},
		},
		Icons: []Icon{{Program: x.plain("program"), W: 20, H: 20, X: "right", Y: "10", Image: url("icon"), Mime: "image/png", Click: url("icon-page"), Clicks: []string{url("icon-click")}, Trackers: []string{url("icon-shown")}, Start: 1, For: 10}},
	}
	if media == openrtb.AudioMedia {
		l.Files = []MediaFile{{URL: url("spot"), Mime: "audio/mpeg", Bitrate: 128}, {URL: url("spot2"), Mime: "audio/ogg", Bitrate: 96}}
	}
	for _, name := range eventNames {
		e := Event{Name: name, URL: url(name)}
		if name == "progress" {
			l.Events = append(l.Events, Event{Name: name, URL: url("progress10"), After: "10s"})
			e.After = "25%"
		}
		l.Events = append(l.Events, e)
	}
	return s
}

func wrapper(x texts) Spec {
	s := linear(x, openrtb.VideoMedia)
	s.ID, s.Linear.Files = "wrapper-1", nil
	s.Linear.Wrapper = &Wrapper{Tag: x.url("vast"), Mimes: []string{"video/mp4"}, NoFurtherWrappers: true, FallbackOnNoAd: true}
	return s
}

// small is a linear ad with what is required and no more.
func small() Spec {
	return Spec{ID: "small-1", Media: openrtb.VideoMedia, Linear: Linear{Seconds: 15, Files: []MediaFile{{URL: "https://cdn.example/a.mp4", Mime: "video/mp4", W: 640, H: 360}}}}
}

func nativeSpec(x texts) Spec {
	return Spec{ID: "native-1", Media: openrtb.NativeMedia, Native: Native{
		Title: x.plain("title"), Sponsored: x.plain("sponsor"), Desc: x.plain("description"), CTA: "Buy", Rating: x.plain("rating"),
		Icon: Image{URL: x.url("icon"), W: 80, H: 80, Mime: "image/png"}, Main: Image{URL: x.url("main"), W: 1200, H: 627, Mime: "image/png"},
		PrivacyLink: x.url("privacy"), Fallback: x.url("fallback"), ClickTrackers: []string{x.url("click"), x.url("click2")},
		Trackers: []NativeTracker{{URL: x.url("seen"), Event: 1}, {URL: x.url("run"), Event: 1, Script: true}, {URL: x.url("viewable"), Event: 2}, {URL: x.url("script50"), Event: 2, Script: true}},
	}}
}

// forms are one creative of each form.
func forms(x texts) []Spec {
	html := Spec{ID: "html-1", Media: openrtb.BannerMedia, Banner: Banner{HTML: `<a href="${MILLRACE_CLICK}" title='${AUCTION_SEAT_ID}' onclick="go('${AUCTION_ID}')" style="color:'${AUCTION_SEAT_ID}'" id=${AUCTION_ID}>${AUCTION_ID}</a>` +
		`<script>var a = "${AUCTION_ID}", b = '${AUCTION_SEAT_ID}', c = "${MILLRACE_CLICK}";</script><style>a:after{content:"${AUCTION_ID}"}</style><textarea>${AUCTION_ID}</textarea>`}}
	return []Spec{imageBanner(x), frameBannerSpec(x), html, linear(x, openrtb.VideoMedia), linear(x, openrtb.AudioMedia), wrapper(x), small(), nativeSpec(x)}
}

func nativeRequest(t testing.TB, text string) *openrtb.NativeRequest {
	t.Helper()
	b, _ := json.Marshal(text)
	n := new(openrtb.NativeRequest)
	if !n.Parse(with(t, `"native":{"request":`+string(b)+`}`).Imp[0].Native.Request) {
		t.Fatalf("not a native request: %s", text)
	}
	return n
}

const allAssets = `{"ver":"1.2","privacy":1,"assets":[{"id":1,"required":1,"title":{"len":9000}},{"id":2,"required":1,"img":{"type":3,"w":600,"h":314}},{"id":3,"img":{"type":1,"wmin":50,"hmin":50,"mimes":["image/gif","image/png"]}},
	{"id":4,"required":1,"data":{"type":1}},{"id":5,"data":{"type":6}},{"id":6,"data":{"type":12,"len":10}}],"eventtrackers":[{"event":1,"methods":[1,2]},{"event":2,"methods":[2]}]}`

// fit sets the Fit for every form: the VAST of the version, or all native
// assets.
func (v *Vars) fit(t testing.TB, c *Template, version int) *Vars {
	t.Helper()
	v.Fit = Fit{version: uint8(version)}
	if c.media == openrtb.NativeMedia {
		requests := []string{allAssets, `{"ver":"1.0","assets":[{"id":1,"title":{"len":9000}}]}`, `{"ver":"1.1","assets":[{"id":1,"data":{"type":2}},{"id":2,"img":{}}]}`}
		f, ok := c.FitNative(nativeRequest(t, requests[version%len(requests)]))
		if !ok {
			t.Fatal("does not fit")
		}
		v.Fit = f
	}
	return v
}

// each renders every form in every version.
func each(t *testing.T, x texts, v *Vars, check func(name string, s *Spec, c *Template, version int, adm string)) {
	t.Helper()
	for _, s := range forms(x) {
		c := compile(t, s)
		for i := range vastVersions {
			if s.Media == openrtb.BannerMedia && i > 0 {
				break
			}
			check(fmt.Sprintf("%v %s in version %d", s.Media, s.ID, i), &s, c, i, adm(t, c, v.fit(t, c, i)))
		}
	}
}
