package campaign

import (
	"testing"

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
