package creative

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// The judge of our native ads: the objects of native 1.2 as encoding/json
// reads them, unknown fields refused, held against the request.

type nativeAnswer struct {
	Ver    string `json:"ver"`
	Assets []struct {
		ID       *int `json:"id"`
		Required int  `json:"required"`
		Title    *struct {
			Text string `json:"text"`
		} `json:"title"`
		Img *struct {
			URL  string `json:"url"`
			W, H int
		} `json:"img"`
		Data *struct {
			Value string `json:"value"`
		} `json:"data"`
	} `json:"assets"`
	Link *struct {
		URL           string   `json:"url"`
		ClickTrackers []string `json:"clicktrackers"`
		Fallback      string   `json:"fallback"`
	} `json:"link"`
	EventTrackers []struct {
		Event, Method int
		URL           string
	} `json:"eventtrackers"`
	ImpTrackers []string `json:"imptrackers"`
	JSTracker   string   `json:"jstracker"`
	Privacy     string   `json:"privacy"`
}

type nativeAsked struct {
	Ver     string
	Privacy int
	Assets  []struct {
		ID, Required int
		Title        *struct{ Len int }
		Img          *struct {
			Type, W, H, WMin, HMin int
			Mimes                  []string
		}
		Data *struct{ Type, Len int }
	}
	EventTrackers []struct {
		Event   int
		Methods []int
	}
}

func readNative(t testing.TB, text string) *nativeAnswer {
	t.Helper()
	decode := func(v any) error {
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		return d.Decode(v)
	}
	var wrapped struct {
		Native *nativeAnswer `json:"native"`
	}
	if decode(&wrapped) == nil && wrapped.Native != nil {
		return wrapped.Native
	}
	a := new(nativeAnswer)
	if err := decode(a); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return a
}

func judgeNative(request string, a *nativeAnswer) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	var q nativeAsked
	if err := json.Unmarshal([]byte(request), &q); err != nil {
		return []string{err.Error()}
	}
	checkURL := func(what, text string) {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "https" {
			fault("%s is %q", what, text)
		}
	}
	given := map[int]bool{}
	for i, x := range a.Assets {
		if x.ID == nil || given[*x.ID] {
			fault("asset %d has no id of its own", i)
			continue
		}
		given[*x.ID] = true
		known := false
		for _, want := range q.Assets {
			if want.ID != *x.ID {
				continue
			}
			known = true
			switch {
			case want.Title != nil:
				if x.Title == nil || x.Img != nil || x.Data != nil || utf8.RuneCountInString(x.Title.Text) > want.Title.Len {
					fault("asset %d is not the title asked for", *x.ID)
				}
			case want.Img != nil:
				if x.Img == nil || x.Title != nil || x.Data != nil || x.Img.W < want.Img.WMin || x.Img.H < want.Img.HMin {
					fault("asset %d is not the image asked for", *x.ID)
					break
				}
				checkURL("an image", x.Img.URL)
			case want.Data != nil:
				if x.Data == nil || x.Title != nil || x.Img != nil || want.Data.Len > 0 && utf8.RuneCountInString(x.Data.Value) > want.Data.Len {
					fault("asset %d is not the data asked for", *x.ID)
				}
			}
			if want.Required != x.Required {
				fault("asset %d: required is %d", *x.ID, x.Required)
			}
		}
		if !known {
			fault("asset %d was not asked for", *x.ID)
		}
	}
	for _, want := range q.Assets {
		if want.Required == 1 && !given[want.ID] {
			fault("asset %d is required and missing", want.ID)
		}
	}
	if a.Link == nil {
		return append(faults, "no link")
	}
	checkURL("the link", a.Link.URL)
	for _, u := range append(append([]string(nil), a.Link.ClickTrackers...), a.ImpTrackers...) {
		checkURL("a tracker", u)
	}
	for _, e := range a.EventTrackers {
		checkURL("a tracker", e.URL)
		ok := false
		for _, want := range q.EventTrackers {
			for _, m := range want.Methods {
				ok = ok || want.Event == e.Event && m == e.Method
			}
		}
		if !ok {
			fault("event %d by method %d was not asked for", e.Event, e.Method)
		}
	}
	if len(a.ImpTrackers) > 0 == (len(a.EventTrackers) > 0) {
		fault("the impression is tracked in two ways, or in none")
	}
	if a.Privacy != "" && q.Privacy != 1 {
		fault("a privacy link that the publisher does not show")
	}
	return faults
}

func TestNativeIsValid(t *testing.T) {
	c := compile(t, nativeSpec(ordinary()))
	for request, want := range map[string]string{
		allAssets: `5 assets, 4 event trackers, 0 of the old, privacy`,
		`{"assets":[{"id":7,"title":{"len":25}}]}`:                                                                                     `1 assets, 0 event trackers, 2 of the old, script`,
		`{"ver":"1.1","assets":[{"id":1,"title":{"len":25}},{"id":2,"required":1,"img":{"type":1}}]}`:                                  `2 assets, 0 event trackers, 2 of the old, script`,
		`{"ver":"1.0","assets":[{"id":1,"title":{"len":25}}]}`:                                                                         `1 assets, 0 event trackers, 2 of the old, script`,
		`{"ver":"1.2","assets":[{"id":0,"title":{"len":25}}],"eventtrackers":[{"event":1,"methods":[2]}]}`:                             `1 assets, 0 event trackers, 2 of the old, script`,
		`{"ver":"1.2","assets":[{"id":0,"data":{"type":12}}],"eventtrackers":[{"event":1,"methods":[1]},{"event":2,"methods":[1,2]}]}`: `1 assets, 4 event trackers, 0 of the old`,
		`{"assets":[{"id":1,"img":{"type":3,"mimes":["image/jpeg"]}},{"id":2,"img":{"type":3,"mimes":["image/png"]}}]}`:                `1 assets, 0 event trackers, 2 of the old, script`,
	} {
		v := testVars("id")
		f, ok := c.FitNative(nativeRequest(t, request))
		if !ok {
			t.Errorf("does not fit %s", request)
			continue
		}
		v.Fit = f
		text := adm(t, c, v)
		a := readNative(t, text)
		got := fmt.Sprintf("%d assets, %d event trackers, %d of the old", len(a.Assets), len(a.EventTrackers), len(a.ImpTrackers))
		if a.JSTracker != "" {
			got += ", script"
		}
		if a.Privacy != "" {
			got += ", privacy"
		}
		for _, fault := range judgeNative(request, a) {
			t.Errorf("%s for %s: %s", fault, request, text)
		}
		if got != want {
			t.Errorf("%s, want %s, for %s: %s", got, want, request, text)
		}
		first := ""
		if len(a.EventTrackers) > 0 {
			first = a.EventTrackers[0].URL
		} else {
			first = a.ImpTrackers[0]
		}
		if first != string(v.ImpressionURL) || a.Link.URL != string(v.ClickURL) || len(a.Link.ClickTrackers) != 2 || a.Link.Fallback == "" {
			t.Errorf("its URLs: %s", text)
		}
		if a.JSTracker != "" && a.JSTracker != `<script src="https://cdn.example/run.png?a=1&amp;b=id&amp;e=[ERRORCODE]"></script>` {
			t.Errorf("jstracker %s", a.JSTracker)
		}
		if wrapped, is := strings.Contains(request, `"1.0"`), bytes.HasPrefix([]byte(text), []byte(`{"native":`)); wrapped != is {
			t.Errorf("wrapped: %v, for %s", is, request)
		}
	}
}

func TestNativeRequiredMissingIsNoBid(t *testing.T) {
	s := nativeSpec(ordinary())
	s.Native.Rating = ""
	c := compile(t, s)
	for _, assets := range []string{
		`{"id":1,"required":1,"title":{"len":5}}`, `{"id":1,"required":1,"video":{}}`, `{"id":1,"required":1,"data":{"type":3}}`, `{"id":1,"required":1,"data":{"type":99}}`,
		`{"id":1,"required":1,"img":{"type":3,"wmin":2000,"hmin":1}}`, `{"id":1,"required":1,"img":{"type":3,"w":300,"h":300}}`, `{"id":1,"required":1}`,
		`{"id":1,"required":1,"title":{"len":90}},{"id":2,"required":1,"hologram":{}}`, `{"id":1,"data":{"type":3}}`, `{"id":1,"required":1,"img":{"mimes":["image/webp"]}}`,
	} {
		if _, ok := c.FitNative(nativeRequest(t, `{"assets":[`+assets+`]}`)); ok {
			t.Errorf("bids on %s", assets)
		}
	}
	if out, ok := c.AppendAdm([]byte("keep"), testVars("x")); ok || string(out) != "keep" {
		t.Error("markup without a request")
	}
}
