package creative

import (
	"encoding/json"
	"encoding/xml"
	"html"
	"io"
	"net/url"
	"strings"
	"testing"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// nasty is a value that tries to leave every place it is put in.
const nasty = "a\"b'c<d>e&f]]>g\\h`i</script>${AUCTION_PRICE}\n\x01é\u2028"

func testVars(value string) *Vars {
	var r openrtb.BidRequest
	id, _ := json.Marshal(value)
	if e := openrtb.Parse([]byte(`{"id":"a","imp":[{"id":"imp1","tagid":`+string(id)+`,"banner":{}}]}`), &r); !e.OK() {
		panic(e)
	}
	return &Vars{
		ImpressionURL: []byte("https://ads.example/e/i?t=abc_-1&x=2"), ClickURL: []byte("https://ads.example/e/c?t=def&u=1"), Conversion: []byte("tok-_1"), CacheBuster: 35,
		Macros: Macros{AuctionID: r.Imp[0].TagID, ImpID: r.Imp[0].ID, BidID: []byte("bid1"), SeatID: value, AdID: "ad1", Price: 2_500_000, HasPrice: true, Currency: unit.USD},
	}
}

func compile(t testing.TB, s Spec) *Template {
	t.Helper()
	c, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// adm renders, checks that the result is the inside of a JSON string, and
// decodes it.
func adm(t *testing.T, c *Template, v *Vars) string {
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

func imageBanner() Spec {
	return Spec{ID: "cr1", Media: openrtb.BannerMedia, Banner: Banner{W: 300, H: 250, Image: "https://cdn.example/a.jpg?x=1&y=2", Alt: `Say "hi" <now>`}}
}

func TestBannerImage(t *testing.T) {
	c := compile(t, imageBanner())
	want := `<a href="https://ads.example/e/c?t=def&amp;u=1" target="_blank" rel="noopener"><img src="https://cdn.example/a.jpg?x=1&amp;y=2" width="300" height="250" border="0" alt="Say &#34;hi&#34; &lt;now&gt;"></a>` +
		`<img src="https://ads.example/e/i?t=abc_-1&amp;x=2" width="1" height="1" alt="" style="position:absolute;left:-1px;top:-1px">`
	if got := adm(t, c, testVars("id")); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if w, h := c.Size(); !c.Secure() || w != 300 || h != 250 || c.Media() != openrtb.BannerMedia {
		t.Error("its own properties")
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

func TestNothingBreaksOutOfHTML(t *testing.T) {
	s := Spec{ID: "c", Media: openrtb.BannerMedia, Banner: Banner{HTML: `<i a="${AUCTION_ID}" b='${AUCTION_SEAT_ID}'>`}}
	v := testVars(nasty)
	v.ImpressionURL = []byte(`https://x/">` + nasty)
	got := adm(t, compile(t, s), v)
	if strings.Count(got, "<") != 2 || strings.Count(got, `"`) != 2+10 || strings.Count(got, "'") != 2 {
		t.Errorf("broke out: %s", got)
	}
	attr, _, _ := strings.Cut(strings.TrimPrefix(got, `<i a="`), `"`)
	if want := strings.NewReplacer("\n", " ", "\x01", " ").Replace(nasty); html.UnescapeString(attr) != want {
		t.Errorf("reads back as %q, want %q", html.UnescapeString(attr), want)
	}
}

func videoSpec() Spec {
	return Spec{ID: `v<1>"`, Title: `Spot & "co"`, Domain: "shop.example", Media: openrtb.VideoMedia, Video: Video{Seconds: 75, SkipAfter: 5,
		Files:    []MediaFile{{URL: "https://cdn.example/a.mp4?x=1&y=2", Mime: "video/mp4", W: 640, H: 360, Bitrate: 800}, {URL: "https://cdn.example/a.webm", Mime: "video/webm", W: 1280, H: 720}},
		Trackers: []string{"https://3rd.example/i?id=${AUCTION_ID}&cb=${MILLRACE_CACHEBUSTER}"}}}
}

type vastDoc struct {
	Version string `xml:"version,attr"`
	Ad      struct {
		ID     string `xml:"id,attr"`
		InLine struct {
			AdTitle     string
			Advertiser  string
			AdServingID string `xml:"AdServingId"`
			Impression  []string
			Creative    struct {
				Linear struct {
					Skip      string `xml:"skipoffset,attr"`
					Duration  string
					Click     string `xml:"VideoClicks>ClickThrough"`
					MediaFile []struct {
						Type string `xml:"type,attr"`
						URL  string `xml:",chardata"`
					} `xml:"MediaFiles>MediaFile"`
				}
				UniversalAdID string `xml:"UniversalAdId"`
			} `xml:"Creatives>Creative"`
		}
	}
}

func readVAST(t *testing.T, text string) vastDoc {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, text)
		}
	}
	var d vastDoc
	if err := xml.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestVASTVersions(t *testing.T) {
	c := compile(t, videoSpec())
	for _, k := range []struct {
		protocols []int32
		version   string
	}{{nil, "4.2"}, {[]int32{2, 3, 5, 6, 7, 8}, "4.0"}, {[]int32{2, 3}, "3.0"}, {[]int32{2, 5}, "2.0"}, {[]int32{11, 12}, "4.1"}, {[]int32{13, 2}, "4.2"}, {[]int32{15}, "4.2"}} {
		v := testVars("req&1")
		v.Protocols = k.protocols
		d := readVAST(t, adm(t, c, v))
		in := &d.Ad.InLine
		if d.Version != k.version || d.Ad.ID != `v<1>"` || in.AdTitle != `Spot & "co"` || in.Creative.Linear.Duration != "00:01:15" || len(in.Creative.Linear.MediaFile) != 2 {
			t.Errorf("%v: %+v", k.protocols, d)
		}
		if len(in.Impression) != 2 || in.Impression[0] != string(v.ImpressionURL) || in.Creative.Linear.Click != string(v.ClickURL) || in.Creative.Linear.MediaFile[0].URL != "https://cdn.example/a.mp4?x=1&y=2" {
			t.Errorf("%v: URLs %+v", k.protocols, in)
		}
		major := k.version[0]
		if (in.Creative.Linear.Skip == "00:00:05") != (major >= '3') || (in.AdServingID != "") != (k.version > "4.0") || (in.Creative.UniversalAdID != "") != (major == '4') {
			t.Errorf("%v: %+v", k.protocols, in)
		}
	}
	v := testVars("x")
	for _, p := range [][]int32{{1}, {5, 6}, {9}} {
		if v.Protocols = p; true {
			if out, ok := c.AppendAdm([]byte("keep"), v); ok || string(out) != "keep" {
				t.Errorf("protocols %v: %s", p, out)
			}
		}
	}
}

func TestNothingBreaksOutOfVAST(t *testing.T) {
	v := testVars(nasty)
	v.ClickURL = []byte("https://x/?" + nasty)
	v.BidID = []byte(nasty)
	d := readVAST(t, adm(t, compile(t, videoSpec()), v))
	if in := &d.Ad.InLine; len(in.Impression) != 2 || strings.ContainsAny(in.Impression[1], "<>\" \n]") || !strings.HasPrefix(in.Creative.Linear.Click, "https://x/?a%22b'c%3Cd%3E") {
		t.Errorf("%+v", d)
	}
}

func nativeSpec() Spec {
	return Spec{ID: "n1", Media: openrtb.NativeMedia, Native: Native{Title: `Fresh "beans" \o/ é`, Sponsored: "Roaster", Desc: "Good", CTA: "Buy",
		Icon: Image{URL: "https://cdn.example/i.png", W: 80, H: 80}, Main: Image{URL: "https://cdn.example/m.jpg", W: 1200, H: 627}, PrivacyLink: "https://p.example/"}}
}

func nativeRequest(t testing.TB, text string) *openrtb.NativeRequest {
	t.Helper()
	b, _ := json.Marshal(text)
	var r openrtb.BidRequest
	if e := openrtb.Parse([]byte(`{"id":"a","imp":[{"id":"1","native":{"request":`+string(b)+`}}]}`), &r); !e.OK() {
		t.Fatal(e)
	}
	n := new(openrtb.NativeRequest)
	if !n.Parse(r.Imp[0].Native.Request) {
		t.Fatalf("not a native request: %s", text)
	}
	return n
}

const allAssets = `{"ver":"1.2","assets":[{"id":1,"required":1,"title":{"len":25}},{"id":2,"required":1,"img":{"type":3,"w":600,"h":314}},{"id":3,"img":{"type":1,"wmin":50,"hmin":50}},
	{"id":4,"required":1,"data":{"type":1}},{"id":5,"data":{"type":3}},{"id":6,"data":{"type":12,"len":10}}],"eventtrackers":[{"event":1,"methods":[1]}]}`

func TestNativeResponse(t *testing.T) {
	c := compile(t, nativeSpec())
	v := testVars("id")
	v.Native = nativeRequest(t, allAssets)
	var d struct {
		Ver    string
		Assets []struct {
			ID    int
			Title struct{ Text string }
			Img   struct {
				URL  string
				W, H int
			}
			Data struct{ Value string }
		}
		Link          struct{ URL string }
		EventTrackers []struct {
			Event, Method int
			URL           string
		}
		ImpTrackers []string
		Privacy     string
	}
	if err := json.Unmarshal([]byte(adm(t, c, v)), &d); err != nil {
		t.Fatal(err)
	}
	if d.Ver != "1.2" || len(d.Assets) != 5 || d.Assets[0].ID != 1 || d.Assets[0].Title.Text != `Fresh "beans" \o/ é` || d.Assets[1].Img.W != 1200 || d.Assets[2].Img.URL != "https://cdn.example/i.png" ||
		d.Assets[3].Data.Value != "Roaster" || d.Assets[4].ID != 6 || d.Assets[4].Data.Value != "Buy" || d.Link.URL != string(v.ClickURL) || d.Privacy != "https://p.example/" {
		t.Errorf("%+v", d)
	}
	if len(d.EventTrackers) != 1 || d.EventTrackers[0].URL != string(v.ImpressionURL) || d.ImpTrackers != nil {
		t.Errorf("an impression is tracked once: %+v", d)
	}
	v.Native = nativeRequest(t, `{"ver":"1.0","assets":[{"id":1,"title":{"len":90}}]}`)
	if got := adm(t, c, v); !strings.HasPrefix(got, `{"native":{`) || !strings.Contains(got, `"imptrackers":["https://ads.example/e/i?t=abc_-1&x=2"]`) || !json.Valid([]byte(got)) {
		t.Errorf("1.0: %s", got)
	}
}

func TestNativeRequiredMissingIsNoBid(t *testing.T) {
	c := compile(t, nativeSpec())
	for _, assets := range []string{
		`{"id":1,"required":1,"title":{"len":5}}`, `{"id":1,"required":1,"video":{}}`, `{"id":1,"required":1,"data":{"type":3}}`, `{"id":1,"required":1,"data":{"type":99}}`,
		`{"id":1,"required":1,"img":{"type":3,"wmin":2000,"hmin":1}}`, `{"id":1,"required":1,"img":{"type":3,"w":300,"h":300}}`, `{"id":1,"required":1}`,
		`{"id":1,"required":1,"title":{"len":90}},{"id":2,"required":1,"hologram":{}}`, `{"id":1,"data":{"type":3}}`,
	} {
		v := testVars("id")
		v.Native = nativeRequest(t, `{"assets":[`+assets+`]}`)
		if _, ok := c.AppendAdm(nil, v); ok {
			t.Errorf("bids on %s", assets)
		}
	}
}

func TestFits(t *testing.T) {
	banner, plainHTTP, video, native := compile(t, imageBanner()), imageBanner(), compile(t, videoSpec()), compile(t, nativeSpec())
	plainHTTP.Banner.Image = "http://cdn.example/a.jpg"
	insecure := compile(t, plainHTTP)
	cases := []struct {
		c    *Template
		imp  string
		want bool
	}{
		{banner, `"banner":{}`, true}, {banner, `"video":{}`, false}, {banner, `"banner":{"mimes":["image/jpg"]}`, true}, {banner, `"banner":{"mimes":["image/png"]}`, false}, {banner, `"banner":{"w":-1}`, false},
		{insecure, `"banner":{}`, true}, {insecure, `"banner":{},"secure":1`, false}, {banner, `"banner":{},"secure":1`, true},
		{video, `"video":{"mimes":["video/MP4"],"protocols":[2],"minduration":5,"maxduration":90}`, true}, {video, `"video":{"maxduration":30}`, false}, {video, `"video":{"minduration":80}`, false},
		{video, `"video":{"mimes":["video/ogg"]}`, false}, {video, `"video":{"protocols":[5]}`, false}, {video, `"video":{"linearity":2}`, false}, {video, `"video":{}`, true},
		{native, `"native":{}`, false},
	}
	for _, k := range cases {
		var r openrtb.BidRequest
		if e := openrtb.Parse([]byte(`{"id":"a","imp":[{"id":"1",`+k.imp+`}]}`), &r); !e.OK() {
			t.Fatal(e)
		}
		if got := k.c.Fits(&r, &r.Imp[0], nil); got != k.want {
			t.Errorf("%v fits %s: %v", k.c.Media(), k.imp, got)
		}
	}
	var r openrtb.BidRequest
	openrtb.Parse([]byte(`{"id":"a","imp":[{"id":"1","native":{}}]}`), &r)
	if !native.Fits(&r, &r.Imp[0], nativeRequest(t, allAssets)) {
		t.Error("native does not fit")
	}
}

func TestCompileFaults(t *testing.T) {
	cases := map[string]Spec{
		"media: audio can't be served":                {Media: openrtb.AudioMedia},
		"banner: neither html nor image":              {Media: openrtb.BannerMedia},
		"banner: both html and image":                 {Media: openrtb.BannerMedia, Banner: Banner{HTML: "x", Image: "y"}},
		`banner.image: "a.jpg" is not an absolute`:    {Media: openrtb.BannerMedia, Banner: Banner{Image: "a.jpg"}},
		"banner: an image needs its size":             {Media: openrtb.BannerMedia, Banner: Banner{Image: "https://a.example/a.jpg"}},
		"video.files: none":                           {Media: openrtb.VideoMedia, Video: Video{Seconds: 1}},
		"video.seconds: 0":                            {Media: openrtb.VideoMedia, Video: Video{Files: []MediaFile{{URL: "https://x/a", Mime: "video/mp4", W: 1, H: 1}}}},
		`video.files[0]: mime "", size 0×0`:           {Media: openrtb.VideoMedia, Video: Video{Seconds: 1, Files: []MediaFile{{URL: "https://x/a"}}}},
		"native: neither a title nor an image":        {Media: openrtb.NativeMedia},
		`native.main.url: "javascript:1" is not an a`: {Media: openrtb.NativeMedia, Native: Native{Main: Image{URL: "javascript:1"}}},
	}
	for want, s := range cases {
		if _, err := Compile(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestLanding(t *testing.T) {
	l, err := CompileLanding("cr 1", "https://shop.example/p?conv=${MILLRACE_CONVERSION}&c=${MILLRACE_CREATIVE_ID}&a=${AUCTION_ID}&u=${UNKNOWN}#x")
	if err != nil || !l.WantsConversion() {
		t.Fatal(err)
	}
	got := string(l.Append(nil, testVars(nasty)))
	u, err := url.Parse(got)
	if err != nil || u.Query().Get("conv") != "tok-_1" || u.Query().Get("c") != "cr 1" || u.Query().Get("a") != nasty || u.Fragment != "x" || strings.ContainsAny(got, "\r\n\" ") {
		t.Errorf("%v: %s", err, got)
	}
	if l, err := CompileLanding("c", "https://shop.example/"); err != nil || l.WantsConversion() || string(l.Append([]byte("x"), testVars(""))) != "xhttps://shop.example/" {
		t.Error("plain landing page", err)
	}
	for text, want := range map[string]string{
		"": "not an absolute", "/p": "not an absolute", "javascript:alert(1)": "not an absolute", "https://a.example/ b": "space or control", "https://a.example/\r\nX: y": "space or control",
		"https://a.example/" + strings.Repeat("a", 3000): "bytes; at most", "https://a.example/${MILLRACE_CLICK}": "would lead back",
	} {
		if _, err := CompileLanding("c", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func TestRule16Macros(t *testing.T) {
	m := testVars(nasty).Macros
	m.Loss, m.HasLoss, m.MinToWin, m.HasMinToWin, m.MarketBidRatio, m.Multiplier, m.ImpTS = 102, true, 3_000_001, true, 950_000, 14_200_000, 1_700_000_000_123
	cases := map[string]string{
		"${AUCTION_ID}": nasty, // plain, and not expanded again
		"p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&i=${AUCTION_IMP_ID}&b=${AUCTION_BID_ID}&ad=${AUCTION_AD_ID}": "p=2.5&c=USD&i=imp1&b=bid1&ad=ad1",
		"${AUCTION_LOSS} ${AUCTION_MIN_TO_WIN} ${AUCTION_MBR} ${AUCTION_MULTIPLIER} ${AUCTION_IMP_TS}":         "102 3.000001 0.95 14.2 1700000000123",
		"${AUCTION_PRICE:B64}": "Mi41", "${AUCTION_NEW} ${auction_id} ${} ${AUCTION_ID $": "${AUCTION_NEW} ${auction_id} ${} ${AUCTION_ID $",
		"${MILLRACE_CLICK}": "${MILLRACE_CLICK}", "": "", "${${AUCTION_PRICE}}": "${2.5}", "${AUCTION_PRICE": "${AUCTION_PRICE", "é${AUCTION_PRICE}é": "é2.5é",
	}
	for text, want := range cases {
		if got := string(AppendMacros(nil, []byte(text), &m)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := string(AppendMacros(nil, []byte("[${AUCTION_PRICE}${AUCTION_LOSS:B64}]"), &Macros{})); got != "[]" {
		t.Errorf("known but empty: %q", got)
	}
	if got := string(AppendMacros(nil, []byte("${AUCTION_PRICE},${AUCTION_SEAT_ID:B64}"), &Macros{Audit: true})); got != "AUDIT,AUDIT" {
		t.Errorf("audit: %q", got)
	}
}

func TestAllocAppend(t *testing.T) {
	templates := []*Template{compile(t, imageBanner()), compile(t, videoSpec()), compile(t, nativeSpec()),
		compile(t, Spec{ID: "h", Media: openrtb.BannerMedia, Banner: Banner{HTML: `${AUCTION_ID}${AUCTION_SEAT_ID:B64}${AUCTION_PRICE}`}})}
	l, err := CompileLanding("c", "https://shop.example/?c=${MILLRACE_CONVERSION}&a=${AUCTION_ID}")
	if err != nil {
		t.Fatal(err)
	}
	v := testVars(nasty)
	v.Native = nativeRequest(t, allAssets)
	dst, notice := make([]byte, 0, 16<<10), []byte("https://n.example/?p=${AUCTION_PRICE}&i=${AUCTION_ID:B64}&x=${NONE}")
	if n := testing.AllocsPerRun(100, func() {
		for _, c := range templates {
			var ok bool
			if dst, ok = c.AppendAdm(dst[:0], v); !ok {
				t.Error("does not fit")
			}
		}
		dst = l.Append(dst[:0], v)
		dst = AppendMacros(dst, notice, &v.Macros)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzMacros holds the substitution against a naive one, and every markup
// against its decoder.
func FuzzMacros(f *testing.F) {
	f.Add("https://x/?p=${AUCTION_PRICE}&i=${AUCTION_ID:B64}${", nasty)
	f.Add("${${AUCTION_ID}}", "${AUCTION_PRICE}")
	f.Add("$${AUCTION_SEAT_ID}", "]]>")
	video, native := compile(f, videoSpec()), compile(f, nativeSpec())
	request := nativeRequest(f, allAssets)
	f.Fuzz(func(t *testing.T, text, value string) {
		v := testVars(value)
		m := Macros{SeatID: value}
		got := AppendMacros(nil, []byte(text), &m)
		if want := naive(text, value); !strings.Contains(text, ":B64") && string(got) != want {
			t.Fatalf("%q with %q: %q, want %q", text, value, got, want)
		}
		v.Native, v.BidID, v.ClickURL = request, []byte(value), []byte("https://x/"+value)
		d := readVAST(t, adm(t, video, v))
		if len(d.Ad.InLine.Impression) != 2 {
			t.Fatalf("%+v", d)
		}
		if s := adm(t, native, v); !json.Valid([]byte(s)) {
			t.Fatalf("not JSON: %s", s)
		}
		if c, err := Compile(Spec{ID: value, Media: openrtb.BannerMedia, Banner: Banner{HTML: text}}); err == nil {
			adm(t, c, v)
		}
	})
}

// naive knows one macro with a value, and that the others are empty.
func naive(text, seat string) string {
	out := ""
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			return out + text
		}
		j := strings.IndexByte(text[i:], '}')
		if j < 0 {
			return out + text
		}
		name := text[i+2 : i+j]
		switch h := holeNames[name]; {
		case name == "AUCTION_SEAT_ID":
			out += text[:i] + seat
		case h == noHole || h >= impressionURL:
			out, text = out+text[:i+1], text[i+1:]
			continue
		default:
			out += text[:i]
		}
		text = text[i+j+1:]
	}
}

func BenchmarkAppendAdm(b *testing.B) {
	for name, s := range map[string]Spec{"banner": imageBanner(), "video": videoSpec(), "native": nativeSpec()} {
		b.Run(name, func(b *testing.B) {
			c, v := compile(b, s), testVars("8f2a4c1e-7b90-4f7e-9a53-1c6f0d2b7e48")
			v.Native = nativeRequest(b, allAssets)
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = c.AppendAdm(dst[:0], v)
			}
			b.SetBytes(int64(len(dst)))
		})
	}
}
