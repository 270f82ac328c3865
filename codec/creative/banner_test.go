package creative

import (
	"strings"
	"testing"
	"unsafe"

	"millrace/codec/openrtb"
)

func TestBannerImage(t *testing.T) {
	s := Spec{ID: "cr1", Media: openrtb.BannerMedia, Banner: Banner{W: 300, H: 250, Image: "https://cdn.example/a.jpg?x=1&y=2", Alt: `Say "hi" <now>`, Trackers: []string{"https://t.example/?a=${AUCTION_ID}"}}}
	c := compile(t, s)
	const end = `" width="1" height="1" alt="" style="position:absolute;left:-1px;top:-1px">`
	want := `<a href="https://ads.example/e/c?t=def&amp;u=1" target="_blank" rel="noopener"><img src="https://cdn.example/a.jpg?x=1&amp;y=2" width="300" height="250" border="0" alt="Say&#32;&#34;hi&#34;&#32;&lt;now&gt;"></a>` +
		`<img src="https://ads.example/e/i?t=abc_-1&amp;x=2` + end + `<img src="https://t.example/?a=i%26d` + end
	if got := adm(t, c, testVars("i&d")); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if w, h := c.Size(); !c.Secure() || w != 300 || h != 250 || c.Media() != openrtb.BannerMedia || c.Banner() != ImageBanner {
		t.Error("its own properties")
	}
}

func TestBannerFrame(t *testing.T) {
	s := Spec{ID: "cr1", Media: openrtb.BannerMedia, Banner: Banner{W: 300, H: 250, Frame: "https://cdn.example/page?a=1&click=${MILLRACE_CLICK}&id=${AUCTION_ID}"}}
	c := compile(t, s)
	got := adm(t, c, testVars(`"><script>`))
	for _, want := range []string{
		`<iframe src="https://cdn.example/page?a=1&amp;click=https%3A%2F%2Fads.example%2Fe%2Fc%3Ft%3Ddef%26u%3D1&amp;id=%22%3E%3Cscript%3E" width="300" height="250" title="Advertisement" sandbox="`,
		`></iframe><img src="https://ads.example/e/i?t=abc_-1&amp;x=2"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	if strings.Contains(got, "allow-same-origin") || strings.Contains(got, "allow-top-navigation ") || c.Banner() != FrameBanner {
		t.Errorf("what the page may do: %s", got)
	}
}

func TestBannerHTMLMacros(t *testing.T) {
	s := Spec{ID: "cr1", Media: openrtb.BannerMedia, Banner: Banner{HTML: `<p data-id="${AUCTION_ID}" data-price="${AUCTION_PRICE}" x="${UNKNOWN}${AUCTION_LOSS}$" c="${MILLRACE_CREATIVE_ID}">` +
		`<a href="https://t.example/?c=${MILLRACE_CLICK_ESC}&cb=${MILLRACE_CACHEBUSTER}&p64=${AUCTION_PRICE:B64}&s=${AUCTION_SEAT_ID}">"\` + "\n" + `</a>`}}
	got := adm(t, compile(t, s), testVars("id-1"))
	for _, want := range []string{
		`data-id="id-1"`, `data-price="2.5"`, `x="${UNKNOWN}$"`, `c="cr1"`, `?c=https%3A%2F%2Fads.example%2Fe%2Fc%3Ft%3Ddef%26u%3D1&cb=z&p64=Mi41&s=id-1`, `"\` + "\n",
		`<img src="https://ads.example/e/i?t=abc_-1&amp;x=2"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	s.Banner.HTML = `<img src="${MILLRACE_IMPRESSION}">`
	if got := adm(t, compile(t, s), testVars("id")); strings.Count(got, "<img") != 1 {
		t.Errorf("a second pixel: %s", got)
	}
}

// A value is escaped for the place in the HTML where its macro stands.
func TestBannerHTMLPlaces(t *testing.T) {
	const value = `"'&</x>$ %`
	const text, script, style = `&#34;&#39;&amp;&lt;/x&gt;$&#32;%`, `\u0022\u0027\u0026\u003C/x\u003E\u0024 \u0025`, `\22 \27 \26 \3C \2F x\3E \24 \20 \25 `
	for html, want := range map[string]string{
		`<p>${AUCTION_ID}</p>`: text, `<p title="${AUCTION_ID}">`: text, `<p title='${AUCTION_ID}'>`: text, `<p title=${AUCTION_ID}>`: text, `<P TITLE = "a${AUCTION_ID}" >`: "a" + text,
		`<script>a="${AUCTION_ID}"</script>`: script, `<SCRIPT type=x src="/a>b">a<b;"</p>${AUCTION_ID}"</ScRiPt >`: script, `<p onclick="f('${AUCTION_ID}')">`: script, `<p ONload='f("${AUCTION_ID}")'>`: script,
		`<a href="javascript:f('${AUCTION_ID}')">`: script, `<a href=" JavaScript:f('${AUCTION_ID}')">`: script, `<a href="https://x/${AUCTION_ID}">`: text,
		`<style>a{b:"${AUCTION_ID}"}</style>`: style, `<p style="b:'${AUCTION_ID}'">`: style, `<script>1</script><p>${AUCTION_ID}</p>`: text, `<!-- <script> --><p>${AUCTION_ID}</p>`: text,
		`<!--><p>${AUCTION_ID}</p>`: text, `<!doctype html><p>${AUCTION_ID}</p>`: text, `</p ${"><p>${AUCTION_ID}</p>`: text, `a < b ${AUCTION_ID}`: text, `<br/>${AUCTION_ID}`: text, `<p/title="${AUCTION_ID}">`: text,
		`<textarea><script>${AUCTION_ID}</textarea>`: text, `<script>"</scripty>${AUCTION_ID}"</script>`: script, `<script><<</script><p>${AUCTION_ID}</p>`: text, `<!-- a --!><p>${AUCTION_ID}</p>`: text, `<?x?><p>${AUCTION_ID}</p>`: text,
	} {
		got := adm(t, compile(t, Spec{ID: "c", Media: openrtb.BannerMedia, Banner: Banner{HTML: html}}), testVars(value))
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s\nlacks %s", html, got, want)
		}
	}
	for html, want := range map[string]string{
		`<${AUCTION_ID}>`: "outside of an attribute's value", `<p ${AUCTION_ID}>`: "outside of an attribute's value", `<p x${AUCTION_ID}="">`: "outside of an", `</p${AUCTION_ID}>`: "outside of an",
		`<!-- ${AUCTION_ID} -->`: "in a comment", `<iframe srcdoc="${AUCTION_ID}">`: "srcdoc", `<p onclick=f(${AUCTION_ID})>`: "without quotes", `<p style=${AUCTION_ID}>`: "without quotes",
		`<a href="${AUCTION_ID}">`: "begins a URL", `<a href=${AUCTION_ID}>`: "begins a URL", `<img src='${MILLRACE_CLICK_ESC}'>`: "begins a URL", "<p>\n\n<p x=1 ${AUCTION_ID}>": "in its line 3",
		`<script>`: "ends inside of <script>", `<p title="`: "inside of a tag", `<!-- `: "inside of a comment", `<p`: "inside of a tag", `<title>x</titl>`: "inside of <title>",
	} {
		if _, faults := Compile(&Spec{Media: openrtb.BannerMedia, Banner: Banner{HTML: html}}); !strings.Contains(faults.Error(), want) {
			t.Errorf("%s: %v, want %q", html, faults, want)
		}
	}
}

func TestFits(t *testing.T) {
	x := ordinary()
	banner, insecure := compile(t, imageBanner(x)), imageBanner(x)
	insecure.Banner.Image = "http://cdn.example/a.png"
	audio, wrapped := compile(t, linear(x, openrtb.AudioMedia)), compile(t, wrapper(x))
	video, native, plainHTTP := compile(t, linear(x, openrtb.VideoMedia)), compile(t, nativeSpec(x)), compile(t, insecure)
	cases := []struct {
		c    *Template
		imp  string
		want bool
	}{
		{banner, `"banner":{}`, true}, {banner, `"video":{}`, false}, {banner, `"banner":{"mimes":["image/PNG"]}`, true}, {banner, `"banner":{"mimes":["image/gif"]}`, false}, {banner, `"banner":{"w":-1}`, false},
		{plainHTTP, `"banner":{}`, true}, {plainHTTP, `"banner":{},"secure":1`, false}, {banner, `"banner":{},"secure":1`, true},
		{video, `"video":{"mimes":["video/MP4"],"protocols":[2],"minduration":5,"maxduration":90}`, true}, {video, `"video":{"maxduration":30}`, false}, {video, `"video":{"minduration":80}`, false},
		{video, `"video":{"mimes":["video/ogg"]}`, false}, {video, `"video":{"protocols":[5]}`, false}, {video, `"video":{"linearity":2}`, false}, {video, `"video":{}`, true}, {video, `"audio":{}`, false},
		{video, `"video":{"rqddurs":[15,75],"maxduration":10}`, true}, {video, `"video":{"rqddurs":[15,30]}`, false}, {video, `"video":{"poddur":60}`, false}, {audio, `"audio":{"rqddurs":[75]}`, true}, {audio, `"audio":{"maxbitrate":95}`, false}, {audio, `"audio":{"delivery":[1]}`, false},
		{video, `"video":{"delivery":[2]}`, true}, {video, `"video":{"delivery":[1],"mimes":["video/mp4"]}`, false}, {video, `"video":{"delivery":[9]}`, false}, {video, `"video":{"maxbitrate":300}`, false},
		{video, `"video":{"maxbitrate":2200,"minbitrate":2200}`, true}, {video, `"video":{"mimes":["video/mp4"],"minbitrate":2201}`, false},
		{wrapped, `"video":{"protocols":[2,3,7]}`, false}, {wrapped, `"video":{"protocols":[3,6]}`, true}, {wrapped, `"video":{"protocols":[5],"mimes":["video/webm"]}`, false}, {wrapped, `"video":{}`, true},
		{audio, `"audio":{"mimes":["audio/mpeg"],"protocols":[7],"minduration":5,"maxduration":90}`, true}, {audio, `"audio":{"maxduration":30}`, false}, {audio, `"audio":{"mimes":["audio/aac"]}`, false},
		{audio, `"audio":{"protocols":[9,10]}`, false}, {audio, `"video":{}`, false}, {audio, `"audio":{"minduration":80}`, false},
		{native, `"native":{}`, false},
	}
	for _, k := range cases {
		r := with(t, k.imp)
		if _, got := k.c.Fits(r, &r.Imp[0], nil, new(openrtb.Details)); got != k.want {
			t.Errorf("%v fits %s: %v", k.c.Media(), k.imp, got)
		}
	}
	r := with(t, `"native":{}`)
	if _, ok := native.Fits(r, &r.Imp[0], nativeRequest(t, allAssets), nil); !ok {
		t.Error("native does not fit")
	}
}

func TestCompileFaults(t *testing.T) {
	x := ordinary()
	broken := func(s Spec, change func(*Spec)) *Spec {
		change(&s)
		return &s
	}
	video := func(change func(*Linear)) *Spec {
		return broken(linear(x, openrtb.VideoMedia), func(s *Spec) { change(&s.Linear) })
	}
	cases := map[string]*Spec{
		"format: unknown can't be served":              {},
		"a banner without content":                     {Media: openrtb.BannerMedia},
		`image: "a.jpg" is not an absolute URL`:        {Media: openrtb.BannerMedia, Banner: Banner{Image: "a.jpg"}},
		"size: missing; write the image's size":        {Media: openrtb.BannerMedia, Banner: Banner{Image: "https://a.example/a.jpg"}},
		"size: missing; write the page's size":         {Media: openrtb.BannerMedia, Banner: Banner{Frame: "https://a.example/a"}},
		`image: "https://u:p@a.example/" has a user`:   {Media: openrtb.BannerMedia, Banner: Banner{W: 1, H: 1, Image: "https://u:p@a.example/"}},
		"video.files: missing":                         video(func(l *Linear) { l.Files = nil }),
		"video.duration: missing":                      video(func(l *Linear) { l.Seconds = 0 }),
		"video.skip_after: not within":                 video(func(l *Linear) { l.SkipAfter = 100 }),
		`video.files[0].mime: "mp4" is not a media`:    video(func(l *Linear) { l.Files[0].Mime = "mp4" }),
		"video.files[0].size: missing":                 video(func(l *Linear) { l.Files[0].W = 0 }),
		"video.files[1].bitrate: not a rate":           video(func(l *Linear) { l.Files[1].Bitrate = 1 }),
		`video.events[0].event: "begin" is not an`:     video(func(l *Linear) { l.Events[0].Name = "begin" }),
		`video.events[0].after: "5s"; write it for`:    video(func(l *Linear) { l.Events[0].After = "5s" }),
		"video.click_trackers[1]: missing":             video(func(l *Linear) { l.ClickTrackers[1] = "" }),
		"video.verifications[0].vendor: missing":       video(func(l *Linear) { l.Verifications[0].Vendor = "" }),
		"video.companions[1].image: a companion has":   video(func(l *Linear) { l.Companions[1].HTML = "x" }),
		"video.companions[0].size: missing":            video(func(l *Linear) { l.Companions[0].H = 0 }),
		"video.companions[0].mode":                     video(func(l *Linear) { l.Companions[0].Mode = "endcard" }),
		"video.companions[2].html: ends inside":        video(func(l *Linear) { l.Companions[2].HTML = "<script>" }),
		"video.companions_required":                    video(func(l *Linear) { l.CompanionsRequired = "some" }),
		"video.icons[0].program":                       video(func(l *Linear) { l.Icons[0].Program = "" }),
		"video.icons[0].x":                             video(func(l *Linear) { l.Icons[0].X = "middle" }),
		"video.ad_id: an id without":                   video(func(l *Linear) { l.AdID = "" }),
		"video.trackers: 65 of them":                   video(func(l *Linear) { l.Trackers = make([]string, 65) }),
		"video.companions: 33 of them":                 video(func(l *Linear) { l.Companions = make([]Companion, 33) }),
		"video.files: a wrapper's files are":           broken(wrapper(x), func(s *Spec) { s.Linear.Files = make([]MediaFile, 1) }),
		"video.wrapper.tag: missing":                   broken(wrapper(x), func(s *Spec) { s.Linear.Wrapper.Tag = "" }),
		"native.title: neither a title":                {Media: openrtb.NativeMedia},
		`native.image.url: "javascript:1" is not an a`: {Media: openrtb.NativeMedia, Native: Native{Main: Image{URL: "javascript:1", W: 1, H: 1}}},
		"native.icon.size: missing":                    broken(nativeSpec(x), func(s *Spec) { s.Native.Icon.W = 0 }),
		"native.trackers[0].event: 7 is not":           broken(nativeSpec(x), func(s *Spec) { s.Native.Trackers[0].Event = 7 }),
	}
	for want, s := range cases {
		if _, faults := Compile(s); len(faults) != 1 && want != `native.image.url: "javascript:1" is not an a` && !strings.HasPrefix(want, "image:") && !strings.Contains(want, " of them") || !strings.Contains(faults.Error(), want) {
			t.Errorf("%v, want %q", faults, want)
		}
	}
}

func TestEqualTextsAreStoredOnce(t *testing.T) {
	var c Compiler
	one, two := imageBanner(ordinary()), imageBanner(ordinary())
	a, _ := c.Compile(&one)
	b, _ := c.Compile(&two)
	for i := range a.banner {
		if x, y := a.banner[i].text, b.banner[i].text; unsafe.StringData(x) != unsafe.StringData(y) {
			t.Errorf("%q is stored twice", x)
		}
	}
}
