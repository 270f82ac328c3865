package campaign

import (
	"os"
	"testing"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// FuzzCheck: no text takes the compiler down; what it accepts can be asked and
// explained, and Match agrees with Explain.
func FuzzCheck(f *testing.F) {
	f.Add(DemoYAML())
	if text, err := os.ReadFile("testdata/faults.yaml"); err == nil {
		f.Add(text)
	}
	f.Add([]byte(`{"advertisers":[{"id":"a","campaigns":[{"id":"c","line_items":[{"id":"l","kind":"house","creatives":[{"id":"x","html":"y","landing":"https://a.b"}]}]}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<17 {
			return
		}
		s, faults := Check("f.yaml", text)
		for _, x := range faults {
			if x.Problem == "" || x.Remedy == "" {
				t.Fatalf("incomplete: %+v", x)
			}
		}
		if (s == nil) != (len(faults) > 0) {
			t.Fatalf("snapshot %v, faults %v", s, faults)
		}
		if s == nil {
			return
		}
		var q Query
		var a Activity
		dst := NewBitmap(0)
		s.Begin(&q)
		q.SetGeo([]byte("USA"), []byte("CA"), []byte("Berlin"))
		q.Offer(openrtb.BannerMedia)
		q.AddSize(300, 250)
		const now = unit.WallTime(1_790_000_000e9)
		s.Match(&q, a.At(s, now), nil, dst)
		for i := range s.Lines {
			if l := LineIndex(i); dst.Has(l) != (s.Explain(&q, now, l) == NotExcluded) {
				t.Fatalf("line %s: Match %v, Explain %v", s.Lines[i].Name, dst.Has(l), s.Explain(&q, now, l))
			}
		}
	})
}

// FuzzQuery: request values are bytes of strangers.
func FuzzQuery(f *testing.F) {
	s, faults := Compile(Demo(), Options{})
	if len(faults) > 0 {
		f.Fatal(faults)
	}
	f.Add([]byte("USA"), []byte("US-CA"), []byte("www.news.example.com"), []byte("IAB1-2"), 4)
	f.Add([]byte("\xff\xfe"), []byte("É"), []byte("...."), []byte("---"), -1)
	f.Fuzz(func(t *testing.T, a, b, c, d []byte, n int) {
		var q Query
		dst := NewBitmap(0)
		s.Begin(&q)
		q.SetGeo(a, b, c)
		q.SetDevice(n, d, a)
		for _, v := range [][]byte{a, b, c, d} {
			q.AddSite(v)
			q.AddApp(v)
			q.AddBundle(v)
			q.AddCategory(v)
			q.AddSegment(a, v)
			q.AddDeal(v)
			q.BlockCategory(v)
			q.BlockDomain(v)
			q.BlockApp(v)
		}
		q.BlockAttribute(openrtb.MediaType(n), n)
		q.BlockType(n)
		q.Offer(openrtb.BannerMedia)
		q.AddSize(n, n+1)
		s.Match(&q, nil, nil, dst)
		for i, ok := dst.Next(0); ok; i, ok = dst.Next(i + 1) {
			if int(i) >= len(s.Lines) {
				t.Fatalf("line %d of %d", i, len(s.Lines))
			}
			s.Reject(&q, s.Lines[i].FirstCreative)
		}
	})
}
