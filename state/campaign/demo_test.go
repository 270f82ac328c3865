package campaign

import (
	"bytes"
	"testing"

	"millrace/codec/creative"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

func demoSnapshot(t testing.TB) *Snapshot {
	t.Helper()
	s, faults := Compile(Demo(), Options{Version: 1})
	if len(faults) > 0 {
		t.Fatalf("the demo catalog has faults:\n%v", faults)
	}
	return s
}

// Every creative of the demo makes markup and a landing page.
func TestDemoCreativesRender(t *testing.T) {
	s := demoSnapshot(t)
	var native openrtb.NativeRequest
	if !native.Parse(openrtb.MakeStr([]byte(`{"ver":"1.2","assets":[{"id":1,"required":1,"title":{"len":90}},{"id":2,"img":{"type":3,"wmin":600,"hmin":300}},{"id":3,"data":{"type":1}}]}`))) {
		t.Fatal("the native request is not read")
	}
	for i := range s.Creatives {
		c := &s.Creatives[i]
		v := creative.Vars{ImpressionURL: []byte("https://t.example/e/i?t=1"), ClickURL: []byte("https://t.example/e/c?t=2")}
		if c.Media == openrtb.NativeMedia {
			if v.Fit, _ = c.Template.FitNative(&native); v.Fit == (creative.Fit{}) {
				t.Errorf("%s: does not fit", c.Name)
			}
		}
		adm, ok := c.Template.AppendAdm(nil, &v)
		if !ok || !bytes.Contains(adm, []byte("t.example")) || len(c.Domains) == 0 || !c.Secure {
			t.Errorf("%s: %v, domains %v, secure %v\n%s", c.Name, ok, c.Domains, c.Secure, adm)
		}
		if landing := c.Landing.Append(nil, &v); !bytes.HasPrefix(landing, []byte("https://")) {
			t.Errorf("%s: landing %q", c.Name, landing)
		}
	}
}

// A plain 300×250 request has candidates at every hour, from anywhere, besides
// the house ad.
func TestDemoBidsOnPlainBanner(t *testing.T) {
	s := demoSnapshot(t)
	var q Query
	var a Activity
	got := NewBitmap(0)
	for _, code := range []string{"", "USA", "DEU", "JPN", "BRA", "NGA", "xx"} {
		for hour := range unit.WallTime(weekHours) {
			now := 1_790_000_000*1e9 + hour*3600*1e9
			s.Begin(&q)
			q.SetGeo([]byte(code), nil, nil)
			q.Offer(openrtb.BannerMedia)
			q.AddSize(300, 250)
			s.Match(&q, a.At(s, now), nil, got)
			paid := 0
			for i, ok := got.Next(0); ok; i, ok = got.Next(i + 1) {
				if s.Lines[i].Kind != House {
					paid++
				}
			}
			if paid < 2 || got.Len() <= paid {
				t.Fatalf("country %q, hour %d: %d paid candidates of %d", code, hour, paid, got.Len())
			}
		}
	}
}
