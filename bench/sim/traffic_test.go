package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/campaign"
	"millrace/state/campaign/catalogtest"
)

var start = unit.WallTime(time.Date(2026, 3, 17, 9, 0, 0, 0, time.UTC).UnixNano())

func compile(t testing.TB, yaml string) *campaign.Snapshot {
	t.Helper()
	s, faults := campaign.Check("test.yaml", []byte(yaml))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return s
}

func demo(t testing.TB) *campaign.Snapshot {
	t.Helper()
	return compile(t, string(campaign.DemoYAML()))
}

// unpaced is the demo without pacing.
func unpaced(t testing.TB) *campaign.Snapshot {
	t.Helper()
	s, faults := campaign.Compile(catalogtest.Unpaced(campaign.Demo()), campaign.Options{Version: 1})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return s
}

func world(t testing.TB, cfg Config) *World {
	t.Helper()
	if cfg.Start == 0 {
		cfg.Start = start
	}
	if cfg.Shards == 0 {
		cfg.Shards = 2
	}
	w, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// pick draws one of the choices.
func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

// randomRequest is one of the requests an exchange might send.
func randomRequest(r *rand.Rand, i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"r%d","at":1,"tmax":120,"imp":[`, i)
	for n := range 1 + r.IntN(3) {
		if n > 0 {
			b.WriteByte(',')
		}
		media := pick(r,
			`"banner":{"w":300,"h":250}`, `"banner":{"format":[{"w":728,"h":90},{"w":970,"h":250}]}`, `"banner":{"w":320,"h":50}`,
			`"video":{"mimes":["video/mp4"],"protocols":[2,3,7],"w":640,"h":360,"minduration":5,"maxduration":60}`,
			`"native":{"request":"{\"ver\":\"1.2\",\"assets\":[{\"id\":1,\"required\":1,\"title\":{\"len\":90}},{\"id\":2,\"img\":{\"type\":3,\"wmin\":600,\"hmin\":300}}]}"}`)
		fmt.Fprintf(&b, `{"id":"%d","secure":1,"bidfloor":%s,%s}`, n+1, pick(r, "0", "0.5", "2.1", "9.99"), media)
	}
	b.WriteString(`],`)
	fmt.Fprintf(&b, `"device":{"geo":{"country":%q},"os":%q,"devicetype":%d,"language":%q},`,
		pick(r, "USA", "DEU", "JPN", "GBR", "BRA"), pick(r, "iOS", "Android", "Windows"), pick(r, 1, 2, 4, 5), pick(r, "en", "de", "ja"))
	fmt.Fprintf(&b, `"site":{"domain":%q,"cat":[%q]},`, pick(r, "news.example.org", "rumours.example.org"), pick(r, "IAB1", "IAB26", "IAB19-6"))
	fmt.Fprintf(&b, `"bcat":[%q],`, pick(r, "IAB25", "IAB7", "IAB20"))
	fmt.Fprintf(&b, `"user":{"id":"u%d"}}`, r.IntN(40))
	return b.String()
}

// bidView is what of an answer a test looks at.
type bidView struct {
	ImpID string  `json:"impid"`
	Price float64 `json:"price"`
	Adm   string  `json:"adm"`
	CRID  string  `json:"crid"`
	CID   string  `json:"cid"`
	Deal  string  `json:"dealid"`
	MType int     `json:"mtype"`
	Exp   int     `json:"exp"`
}

func bidsOf(t testing.TB, a Answer) []bidView {
	t.Helper()
	if a.Status == 204 && len(a.Body) == 0 {
		return nil
	}
	if a.Status != 200 {
		t.Fatalf("answer %d: %s", a.Status, a.Body)
	}
	var resp struct {
		SeatBid []struct{ Bid []bidView }
	}
	if err := json.Unmarshal(a.Body, &resp); err != nil {
		t.Fatalf("%v in %s", err, a.Body)
	}
	var bids []bidView
	for _, s := range resp.SeatBid {
		bids = append(bids, s.Bid...)
	}
	slices.SortFunc(bids, func(a, b bidView) int { return strings.Compare(a.ImpID, b.ImpID) })
	return bids
}

var tokenIn = regexp.MustCompile(`/e/([icv])(?:\?|%3F|%3f)t(?:=|%3D|%3d)([A-Za-z0-9_-]+)`)

// tokens are those of one kind in markup.
func tokens(adm string, kind event.Kind) []string {
	var found []string
	for _, m := range tokenIn.FindAllStringSubmatch(adm, -1) {
		if "/e/"+m[1] == kind.Path() && !slices.Contains(found, m[2]) {
			found = append(found, m[2])
		}
	}
	return found
}

func token(t testing.TB, adm string, kind event.Kind) []byte {
	t.Helper()
	found := tokens(adm, kind)
	if len(found) != 1 {
		t.Fatalf("%d %v tokens in %s", len(found), kind, adm)
	}
	return []byte(found[0])
}

// identity of wins: what carries the shard's number and the sequence on it.
var identity = regexp.MustCompile(`/e/[icv]\?t=[A-Za-z0-9_-]+|"(bidid|id)":"[0-9a-z]+-[0-9a-z]+-[0-9a-z]+-[0-9a-z]+"`)

// script plays a day's worth of seeded traffic, with the events that follow,
// and returns every answer in order.
func script(t testing.TB, w *World, seed uint64, requests int) (transcript []string) {
	r := rand.New(rand.NewPCG(seed, 99))
	for i := range requests {
		a := w.Bid([]byte(randomRequest(r, i)))
		transcript = append(transcript, fmt.Sprintf("%d %s", a.Status, a.Body))
		shown, clicked := r.IntN(10) < 8, r.IntN(10) == 0
		for _, b := range bidsOf(t, a) {
			if !shown {
				continue
			}
			for _, tok := range tokens(b.Adm, event.Impression) {
				e := w.Event(event.Impression, []byte(tok))
				transcript = append(transcript, fmt.Sprintf("i %d", e.Status))
			}
			for _, tok := range tokens(b.Adm, event.Click) {
				if clicked {
					e := w.Event(event.Click, []byte(tok))
					transcript = append(transcript, fmt.Sprintf("c %d %s", e.Status, e.Location))
				}
			}
		}
		w.Advance(time.Duration(r.IntN(20)) * time.Millisecond)
	}
	return transcript
}

func canonical(transcript []string) []string {
	for i := range transcript {
		transcript[i] = identity.ReplaceAllString(transcript[i], "…")
		// A landing page may carry a conversion token.
		transcript[i] = regexp.MustCompile(`[A-Za-z0-9_-]{100,}`).ReplaceAllString(transcript[i], "…")
	}
	return transcript
}
