package creative

import (
	"strings"
	"testing"

	"millrace/codec/openrtb"
)

// The protocols of the impression decide the version of VAST, and whether a
// wrapper may be sent.
func TestVASTVersions(t *testing.T) {
	x := ordinary()
	inline, wrapped, audio := compile(t, linear(x, openrtb.VideoMedia)), compile(t, wrapper(x)), compile(t, linear(x, openrtb.AudioMedia))
	for _, k := range []struct {
		c         *Template
		protocols string
		version   string
	}{
		{inline, `[]`, "4.2"}, {inline, `[2,3,5,6,7,8]`, "4.0"}, {inline, `[2,3]`, "3.0"}, {inline, `[2,5]`, "2.0"}, {inline, `[11,12]`, "4.1"}, {inline, `[13,2]`, "4.2"}, {inline, `[15]`, "4.2"},
		{inline, `[1]`, ""}, {inline, `[5,6,8,12,14,16]`, ""}, {inline, `[9]`, ""}, {inline, `[99,-1,0]`, ""},
		{wrapped, `[]`, "4.2"}, {wrapped, `[2,5]`, "2.0"}, {wrapped, `[6,3]`, "3.0"}, {wrapped, `[8]`, "4.0"}, {wrapped, `[12]`, "4.1"}, {wrapped, `[14]`, "4.2"}, {wrapped, `[16]`, "4.2"}, {wrapped, `[1,2,3,4,7,11,13,15]`, ""},
		{audio, `[]`, "4.2"}, {audio, `[2,3]`, "3.0"}, {audio, `[9,10]`, ""},
	} {
		r := with(t, `"video":{"protocols":`+k.protocols+`},"audio":{"protocols":`+k.protocols+`}`)
		f, ok := k.c.Fits(r, &r.Imp[0], nil, new(openrtb.Details))
		if ok != (k.version != "") {
			t.Errorf("%s of %s: fits %v", k.protocols, k.c.id, ok)
			continue
		}
		if !ok {
			continue
		}
		v := testVars("x")
		v.Fit = f
		if root := readVAST(t, adm(t, k.c, v)); root.attr("version") != k.version {
			t.Errorf("%s of %s: version %s, want %s", k.protocols, k.c.id, root.attr("version"), k.version)
		}
	}
}

// What stands in the markup: our own two URLs and the catalog's.
func TestVASTContent(t *testing.T) {
	c := compile(t, linear(ordinary(), openrtb.VideoMedia))
	for version := range vastVersions {
		v := testVars("req&1").fit(t, c, version)
		root := readVAST(t, adm(t, c, v))
		impressions := root.all("Impression")
		if len(impressions) != 2 || impressions[0].text != string(v.ImpressionURL) || impressions[1].text != "https://cdn.example/impression.png?a=1&b=req%261&e=[ERRORCODE]" {
			t.Errorf("impressions %+v", impressions[1])
		}
		if root.the(t, "ClickThrough") != string(v.ClickURL) || root.the(t, "CompanionClickThrough") != string(v.ClickURL) || root.the(t, "AdTitle") != "The title" || root.the(t, "Duration") != "00:01:15" {
			t.Error("its texts")
		}
		if n := len(root.all("ClickTracking")); n != 2 || len(root.all("MediaFile")) != 2 || len(root.all("Companion")) != 3 || len(root.all("Verification")) != 1 {
			t.Error("its lists")
		}
		errors := 1
		if version <= 2 {
			errors = 2
		}
		if len(root.all("Error")) != errors || !strings.HasSuffix(root.all("Error")[0].text, "e=[ERRORCODE]") {
			t.Error("its errors")
		}
		name := vastVersions[version].name
		linear := root.all("Linear")[0]
		if (linear.attr("skipoffset") == "00:00:05") != (name != "2.0") || (len(root.all("AdServingId")) == 1) != (name >= "4.1") || len(root.all("UniversalAdId")) != map[bool]int{true: 2}[name >= "4.0"] {
			t.Errorf("%s: what only some versions have", name)
		}
		progress := 0
		for _, e := range root.all("Tracking") {
			if e.attr("event") == "progress" && (e.attr("offset") == "00:00:10" || e.attr("offset") == "25%") {
				progress++
			}
		}
		if progress != map[bool]int{true: 2}[name != "2.0"] {
			t.Errorf("%s: %d progress events", name, progress)
		}
		html := root.all("HTMLResource")[0].text
		if !strings.Contains(html, `<a href="https://ads.example/e/c?t=def&amp;u=1" title='req&amp;1'>req&amp;1 ]]> &amp; </a><script>var a="req\u00261"; // c`+"\n"+`go(a)</script>`) {
			t.Errorf("the companion's HTML reads %s", html)
		}
	}
}

func TestVASTWrapper(t *testing.T) {
	c := compile(t, wrapper(ordinary()))
	for version := range vastVersions {
		v := testVars("x").fit(t, c, version)
		root := readVAST(t, adm(t, c, v))
		if root.the(t, "VASTAdTagURI") != "https://cdn.example/vast.png?a=1&b=x&e=[ERRORCODE]" || root.all("ClickTracking")[0].text != string(v.ClickURL) || len(root.all("ClickThrough"))+len(root.all("MediaFile"))+len(root.all("Duration")) > 0 {
			t.Error("its content")
		}
		w := root.all("Wrapper")[0]
		if w.attr("followAdditionalWrappers") != map[bool]string{true: "false"}[version < 4] || w.attr("fallbackOnNoAd") != map[bool]string{true: "true"}[version < 4] {
			t.Errorf("%s: %+v", vastVersions[version].name, w.attrs)
		}
	}
}

// Media files that the player can't play are left out.
func TestVASTMediaFilesFit(t *testing.T) {
	c := compile(t, linear(ordinary(), openrtb.VideoMedia))
	for video, want := range map[string]string{
		`{}`: "720 adaptive", `{"mimes":["video/mp4"]}`: "720", `{"delivery":[1]}`: "adaptive", `{"maxbitrate":1000}`: "adaptive", `{"minbitrate":3000}`: "adaptive", `{"delivery":[2,3]}`: "720", `{"delivery":[1,2]}`: "720 adaptive",
	} {
		r := with(t, `"video":`+video)
		f, ok := c.Fits(r, &r.Imp[0], nil, new(openrtb.Details))
		if !ok {
			t.Fatalf("%s does not fit", video)
		}
		v := testVars("x")
		v.Fit = f
		root := readVAST(t, adm(t, c, v))
		var got []string
		for _, m := range root.all("MediaFile") {
			name := strings.TrimPrefix(m.text, "https://cdn.example/")
			got = append(got, name[:strings.IndexByte(name, '.')])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", video, got, want)
		}
		for _, fault := range judge(root) {
			t.Error(fault)
		}
	}
}

// Companions without a place are left out; without one that is required there
// is no bid.
func TestVASTCompanionsFit(t *testing.T) {
	for _, k := range []struct{ required, player, want string }{
		{"", `{}`, "300x250 728x90 320x50"}, {"", `{"companionad":[]}`, "300x250 728x90 320x50"}, {"", `{"companionad":[{"w":300,"h":250}]}`, "300x250"}, {"", `{"companionad":[{"w":1,"h":1}]}`, ""},
		{"", `{"companionad":[{"format":[{"w":728,"h":90},{"w":320,"h":50}]}]}`, "728x90 320x50"}, {"", `{"companionad":[{"id":"any"}]}`, "300x250 728x90 320x50"}, {"", `{"companiontype":[1]}`, "300x250"},
		{"", `{"companiontype":[2,3]}`, "728x90 320x50"}, {"", `{"companiontype":[2],"companionad":[{"w":300,"h":250}]}`, ""},
		{"any", `{"companionad":[{"w":1,"h":1}]}`, "no bid"}, {"any", `{"companionad":[{"w":300,"h":250}]}`, "300x250"}, {"all", `{"companionad":[{"w":300,"h":250}]}`, "no bid"}, {"all", `{}`, "300x250 728x90 320x50"}, {"none", `{"companionad":[{"w":1,"h":1}]}`, ""},
	} {
		for _, media := range []openrtb.MediaType{openrtb.VideoMedia, openrtb.AudioMedia} {
			s := linear(ordinary(), media)
			s.Linear.CompanionsRequired = k.required
			c := compile(t, s)
			r := with(t, `"`+media.String()+`":`+k.player)
			f, ok := c.Fits(r, &r.Imp[0], nil, new(openrtb.Details))
			got := "no bid"
			if ok {
				v := testVars("x")
				v.Fit = f
				root := readVAST(t, adm(t, c, v))
				var sizes []string
				for _, m := range root.all("Companion") {
					sizes = append(sizes, m.attr("width")+"x"+m.attr("height"))
				}
				got = strings.Join(sizes, " ")
				for _, fault := range judge(root) {
					t.Error(fault)
				}
			}
			if got != k.want {
				t.Errorf("%v, required %q, %s: %s, want %s", media, k.required, k.player, got, k.want)
			}
		}
	}
}

func TestVASTAudio(t *testing.T) {
	c := compile(t, linear(ordinary(), openrtb.AudioMedia))
	root := readVAST(t, adm(t, c, testVars("x")))
	m := root.all("MediaFile")
	if root.all("Ad")[0].attr("adType") != "audio" || len(m) != 2 || m[0].attr("type") != "audio/mpeg" || m[0].attr("width") != "0" || m[0].attr("bitrate") != "128" || c.Seconds() != 75 {
		t.Errorf("%+v", m[0])
	}
	if old := readVAST(t, adm(t, c, testVars("x").fit(t, c, 3))); old.all("Ad")[0].attr("adType") != "" {
		t.Error("an attribute that VAST 3 does not have")
	}
}

// The answer says what the markup needs.
func TestVASTProtocolAndAPIs(t *testing.T) {
	x := ordinary()
	inline, wrapped, plain, banner := compile(t, linear(x, openrtb.VideoMedia)), compile(t, wrapper(x)), compile(t, small()), compile(t, imageBanner(x))
	for version, want := range [][2]openrtb.Protocol{{openrtb.VAST42, openrtb.VAST42Wrap}, {openrtb.VAST41, openrtb.VAST41Wrap}, {openrtb.VAST4, openrtb.VAST4Wrapper}, {openrtb.VAST3, openrtb.VAST3Wrapper}, {openrtb.VAST2, openrtb.VAST2Wrapper}} {
		f := Fit{version: uint8(version)}
		if inline.Protocol(f) != want[0] || wrapped.Protocol(f) != want[1] || banner.Protocol(f) != 0 {
			t.Errorf("version %d: %v, %v, %v", version, inline.Protocol(f), wrapped.Protocol(f), banner.Protocol(f))
		}
	}
	if len(inline.APIs()) != 1 || inline.APIs()[0] != 7 || plain.APIs() != nil || banner.APIs() != nil {
		t.Error("its APIs")
	}
}
