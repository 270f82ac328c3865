package sim

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"millrace/codec/event"
	"millrace/codec/openrtb"
)

const (
	audioAd = `landing: "https://adv.example.com/land", audio: {duration: 20s, files: [{url: "https://cdn.example.com/a.mp3", mime: audio/mpeg, bitrate: 128}, {url: "https://cdn.example.com/a.ogg", mime: audio/ogg, bitrate: 96}], ` +
		`companions: [{size: 300x250, image: "https://cdn.example.com/c.png"}], companions_required: any}`
	videoAd   = `landing: "https://adv.example.com/land", video: {duration: 15s, files: [{url: "https://cdn.example.com/a.mp4", mime: video/mp4, size: 640x360, bitrate: 800}]}`
	wrapperAd = `landing: "https://adv.example.com/land", video: {duration: 15s, wrapper: {tag: "https://other.example.com/vast", mimes: [video/mp4]}}`
	frameAd   = `size: 300x250, landing: "https://adv.example.com/land", iframe: "https://cdn.example.com/page?click=${MILLRACE_CLICK}"`
)

// TestMedia: an impression gets the forms that its objects ask for.
func TestMedia(t *testing.T) {
	w := world(t, Config{Catalog: compile(t, catalog(
		line{"audio", "price: 4", audioAd}, line{"video", "price: 3", videoAd}, line{"wrapper", "price: 2", wrapperAd}, line{"frame", "price: 1", frameAd}))})
	for imp, want := range map[string]string{
		`"audio":{"mimes":["audio/mpeg"]}`: "audio-cr", `"audio":{"mimes":["audio/aac"]}`: "", `"audio":{"mimes":["audio/mpeg"],"maxduration":15}`: "", `"audio":{"mimes":["audio/mpeg"],"minduration":30}`: "",
		`"audio":{"mimes":["audio/mpeg"],"protocols":[3]}`: "audio-cr", `"audio":{"mimes":["audio/mpeg"],"protocols":[9,10]}`: "", `"audio":{"mimes":["audio/mpeg"],"maxbitrate":64}`: "",
		`"audio":{"mimes":["audio/mpeg"],"companionad":[{"w":300,"h":250}]}`: "audio-cr", `"audio":{"mimes":["audio/mpeg"],"companionad":[{"w":320,"h":50}]}`: "", `"audio":{"mimes":["audio/mpeg"]},"secure":1`: "audio-cr",
		`"audio":{"mimes":["audio/mpeg"],"battr":[1]}`: "audio-cr", `"audio":{"mimes":["audio/mpeg"]},"banner":{"w":300,"h":250}`: "audio-cr",
		`"video":{"mimes":["video/mp4"],"protocols":[3,6]}`: "video-cr", `"video":{"mimes":["video/mp4"],"protocols":[6]}`: "wrapper-cr", `"video":{"mimes":["video/webm"],"protocols":[3,6]}`: "",
		`"banner":{"w":300,"h":250}`: "frame-cr", `"banner":{"w":300,"h":250,"btype":[4]}`: "",
	} {
		got := ""
		for _, b := range bidsOf(t, w.Bid([]byte(request(`"imp":[{"id":"1",`+imp+`}]`)))) {
			got = b.CRID
			if kind := map[string]int{"audio-cr": 3, "video-cr": 2, "wrapper-cr": 2, "frame-cr": 1}[got]; b.MType != kind {
				t.Errorf("%s: mtype %d", got, b.MType)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", imp, got, want)
		}
	}
}

// TestAudioIsServedAndBilled from the request to the money.
func TestAudioIsServedAndBilled(t *testing.T) {
	w := world(t, Config{Catalog: compile(t, catalog(line{"a", "price: 2.5", audioAd}))})
	a := w.Bid([]byte(request(`"imp":[{"id":"1","audio":{"mimes":["audio/ogg","audio/mpeg"],"protocols":[2,3,7,11,13],"minduration":5,"maxduration":30,"companionad":[{"w":300,"h":250}]}}]`)))
	bids := bidsOf(t, a)
	if len(bids) != 1 || bids[0].MType != 3 || !strings.Contains(string(a.Body), `"dur":20`) {
		t.Fatalf("%s", a.Body)
	}
	var vast struct {
		Version string `xml:"version,attr"`
		Ad      struct {
			Type   string `xml:"adType,attr"`
			InLine struct {
				Impression []string
				Creatives  struct {
					Creative []struct {
						Linear struct {
							Duration string
							Files    []string `xml:"MediaFiles>MediaFile"`
							Click    string   `xml:"VideoClicks>ClickThrough"`
						}
						Companions []struct {
							W int `xml:"width,attr"`
						} `xml:"CompanionAds>Companion"`
					}
				}
			}
		}
	}
	if err := xml.Unmarshal([]byte(bids[0].Adm), &vast); err != nil {
		t.Fatal(err)
	}
	creatives := vast.Ad.InLine.Creatives.Creative
	if vast.Version != "4.2" || vast.Ad.Type != "audio" || len(creatives) != 2 || creatives[0].Linear.Duration != "00:00:20" || len(creatives[0].Linear.Files) != 2 || len(creatives[1].Companions) != 1 {
		t.Fatalf("%+v", vast)
	}
	if got := w.Event(event.Impression, token(t, vast.Ad.InLine.Impression[0], event.Impression)); got.Status != 204 {
		t.Fatalf("impression: %d", got.Status)
	}
	if got := w.Event(event.Click, token(t, creatives[0].Linear.Click, event.Click)); got.Status != 302 || string(got.Location) != "https://adv.example.com/land" {
		t.Fatalf("click: %d to %s", got.Status, got.Location)
	}
	expectPosted(t, w, 1, "0.0025")
}

// TestWrapperCountsItsClicks: a wrapper's click URL is pinged.
func TestWrapperCountsItsClicks(t *testing.T) {
	w := world(t, Config{Catalog: compile(t, catalog(line{"a", "pricing: cpc, price: 0.75", wrapperAd + ", ctr: 0.01"}))})
	bids := bidsOf(t, w.Bid([]byte(request(`"imp":[{"id":"1","video":{"mimes":["video/mp4"],"protocols":[8]}}]`))))
	if len(bids) != 1 || !strings.Contains(bids[0].Adm, `<Wrapper followAdditionalWrappers="true"`) || !strings.Contains(bids[0].Adm, "<VASTAdTagURI><![CDATA[https://other.example.com/vast]]>") {
		t.Fatalf("%+v", bids)
	}
	_, click, _ := strings.Cut(bids[0].Adm, "<ClickTracking>")
	if got := w.Event(event.Click, token(t, click, event.Click)); got.Status != 302 {
		t.Fatalf("click: %s", fmt.Sprint(got.Status))
	}
	expectPosted(t, w, 1, "0.75")
}

// TestOurBidsStandBeforeTheRulesForBidders: what this exchange would refuse
// from a bidder it does not send either. Every form of the demo catalog has its
// turn.
func TestOurBidsStandBeforeTheRulesForBidders(t *testing.T) {
	w := world(t, Config{Catalog: demo(t)})
	r := rand.New(rand.NewPCG(7, 9))
	var (
		request openrtb.BidRequest
		answer  openrtb.BidResponse
		judge   openrtb.Judge
	)
	forms := map[openrtb.MediaType]int{}
	for i := range 3000 {
		text := randomRequest(r, i)
		if i%3 == 0 {
			text = strings.Replace(text, `"imp":[`, `"imp":[{"id":"spot","secure":1,"audio":{"mimes":["audio/mpeg"],"protocols":[2,3,7],"companionad":[{"w":300,"h":250}]}},`, 1)
		}
		body := []byte(text)
		a := w.Bid(body)
		// The simulated node's own URLs are http, as public_url is.
		secure := bytes.ReplaceAll(a.Body, []byte("http://sim.example/"), []byte("https://sim.example/"))
		kind, e := openrtb.ReadAnswer(a.Status, secure, &answer)
		if !kind.OK() {
			t.Fatalf("%v, %v: %s", kind, e, a.Body)
		}
		if kind == openrtb.NoBid {
			continue
		}
		if e := openrtb.Parse(body, &request); !e.OK() {
			t.Fatal(e)
		}
		judge.Begin(&request, &openrtb.Policy{RequireCRID: true, RequireADomain: true})
		if !judge.IDMatches(&answer) {
			t.Errorf("another id: %s", a.Body)
		}
		for j, v := range judge.Judge(&answer) {
			if v.Reason != openrtb.Accepted {
				t.Fatalf("%v (rule %d): %s\nfor %s", v.Reason, v.Reason.Rule(), a.Body, body)
			}
			if int32(v.Media) != answer.Bids[j].MType {
				t.Errorf("mtype %d, but it is %v", answer.Bids[j].MType, v.Media)
			}
			forms[v.Media]++
		}
	}
	if len(forms) != 4 {
		t.Errorf("bids by form: %v", forms)
	}
}
