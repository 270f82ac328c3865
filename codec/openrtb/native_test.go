package openrtb

import (
	"strings"
	"testing"
)

func TestNativeRequestShapes(t *testing.T) {
	plain := `{\"ver\":\"1.2\",\"context\":1,\"assets\":[{\"id\":1,\"required\":1,\"title\":{\"len\":75}},{\"id\":2,\"img\":{\"mimes\":[\"image/png\",null,\"image/gif\"],\"type\":3,\"wmin\":492,\"hmin\":328}},{\"id\":\"3\",\"data\":{\"type\":6}},null,{\"id\":4,\"required\":1,\"data\":{\"len\":1e999}}],\"eventtrackers\":[{\"event\":1,\"methods\":[2,1]},{\"methods\":[2,7,-1],\"event\":4},{\"event\":99,\"methods\":[1]}]}`
	for name, request := range map[string]string{
		"1.2":     plain,
		"wrapped": `{\"native\":` + plain + `}`,
		"twice":   `\"` + doubled(plain) + `\"`,
	} {
		r := mustParse(t, `{"id":"a","imp":[{"id":"1","native":{"request":"`+request+`"}}]}`)
		var n NativeRequest
		for range 2 {
			if !n.Parse(r.Imp[0].Native.Request) {
				t.Fatalf("%s: not parsed", name)
			}
		}
		want := []NativeAsset{
			{ID: 1, Required: true, Kind: NativeTitle, Len: 75}, {ID: 2, Kind: NativeImage, Type: 3, WMin: 492, HMin: 328},
			{ID: 3, Kind: NativeData, Type: 6}, {ID: 4, Required: true, Kind: NativeUnknown},
		}
		if len(n.Assets) != len(want) || !n.Ver.Equal("1.2") || n.Context != 1 || !n.ImageImpressions {
			t.Fatalf("%s: %+v", name, n)
		}
		for i := range want {
			got := n.Assets[i]
			mimes := n.Mimes(&got)
			if got.mimes = (StrSpan{}); got != want[i] || (len(mimes) == 2) != (i == 1) {
				t.Errorf("%s: asset %+v with types %v, want %+v", name, got, mimes, want[i])
			}
		}
		for event := int32(-1); event < 100; event++ {
			image, script := n.Tracks(event, NativeImageMethod), n.Tracks(event, NativeScriptMethod)
			if image != (event == 1) || script != (event == 1 || event == 4) {
				t.Errorf("%s: event %d by image %v, by script %v", name, event, image, script)
			}
		}
	}
	var n NativeRequest
	for _, bad := range []string{"", "{}", "{json string 1}", `{"assets":[]}`, `{"assets":[{"id":1}]`, `[]`, `"`, `{"assets":[{"id":1}]}x`} {
		if n.Parse(Str{}) || n.Parse(MakeStr([]byte(bad))) {
			t.Errorf("%q parsed", bad)
		}
	}
}

// doubled is the inside of a JSON string, encoded once more.
func doubled(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }

func TestNativeRequestsOfCorpus(t *testing.T) {
	var r BidRequest
	var n NativeRequest
	parsed, all := 0, 0
	for _, line := range corpusRequests(t) {
		if !Parse(line, &r).OK() {
			continue
		}
		for i := range r.Imp {
			if q := r.Imp[i].Native.Request; !q.IsZero() {
				all++
				if n.Parse(q) {
					parsed++
				} else {
					t.Logf("not a native request: %.120s", q.String())
				}
			}
		}
	}
	if t.Logf("%d of %d", parsed, all); parsed < all/2 {
		t.Errorf("only %d of %d native requests parsed", parsed, all)
	}
}

func TestAllocNativeRequest(t *testing.T) {
	r := mustParse(t, `{"id":"a","imp":[{"id":"1","native":{"request":"{\"assets\":[{\"id\":1,\"title\":{\"len\":75}}]}"}}]}`)
	var n NativeRequest
	n.Parse(r.Imp[0].Native.Request)
	if a := testing.AllocsPerRun(100, func() { n.Parse(r.Imp[0].Native.Request) }); a != 0 {
		t.Errorf("%v allocations", a)
	}
}
