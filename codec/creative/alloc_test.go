package creative

import (
	"fmt"
	"testing"

	"millrace/codec/openrtb"
)

// Every form in every version, with ordinary and with hostile values, and the
// question whether it fits.
func TestAllocAppend(t *testing.T) {
	var templates []*Template
	for _, s := range forms(ordinary()) {
		templates = append(templates, compile(t, s))
	}
	l, faults := CompileLanding("c", "https://shop.example/?c=${MILLRACE_CONVERSION}&a=${AUCTION_ID}")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	r := with(t, `"banner":{"mimes":["image/png"]},"video":{"mimes":["video/mp4"],"protocols":[3,6,7],"companionad":[{"w":300,"h":250}]},"audio":{"protocols":[3]},"native":{}`)
	native := nativeRequest(t, allAssets)
	var details openrtb.Details
	for _, value := range nasties {
		v := hostileVars(value)
		dst, notice := make([]byte, 0, 1<<20), []byte("https://n.example/?p=${AUCTION_PRICE}&i=${AUCTION_ID:B64}&x=${NONE}")
		if n := testing.AllocsPerRun(5, func() {
			for _, c := range templates {
				var ok bool
				if v.Fit, ok = c.Fits(r, &r.Imp[0], native, &details); !ok {
					t.Error("does not fit")
				}
				for i := range vastVersions {
					v.Fit.version = uint8(i)
					if dst, ok = c.AppendAdm(dst[:0], v); !ok {
						t.Error("no markup")
					}
				}
			}
			dst = l.Append(dst[:0], v)
			dst = AppendMacros(dst, notice, &v.Macros)
		}); n != 0 {
			t.Errorf("%v allocations with %.40q", n, value)
		}
	}
}

func BenchmarkAppendAdm(b *testing.B) {
	x := ordinary()
	for _, s := range forms(x) {
		c := compile(b, s)
		for _, version := range []int{0, 3} {
			if version > 0 && c.linear == nil {
				break
			}
			name := s.ID
			if c.linear != nil {
				name = fmt.Sprintf("%v/%s/VAST=%s", s.Media, s.ID, vastVersions[version].name)
			}
			b.Run(name, func(b *testing.B) {
				v := testVars("8f2a4c1e-7b90-4f7e-9a53-1c6f0d2b7e48").fit(b, c, version)
				var dst []byte
				b.ReportAllocs()
				for b.Loop() {
					dst, _ = c.AppendAdm(dst[:0], v)
				}
				b.SetBytes(int64(len(dst)))
			})
		}
	}
}

// BenchmarkFits is the question asked of each candidate at the top.
func BenchmarkFits(b *testing.B) {
	r := with(b, `"banner":{"mimes":["image/png"]},"video":{"mimes":["video/mp4"],"protocols":[2,3,5,6,7,8]},"audio":{"protocols":[3]},"native":{}`)
	native := nativeRequest(b, allAssets)
	var details openrtb.Details
	for _, s := range forms(ordinary())[:5] {
		c := compile(b, s)
		b.Run(s.ID+"/"+s.Media.String(), func(b *testing.B) {
			for b.Loop() {
				c.Fits(r, &r.Imp[0], native, &details)
			}
		})
	}
}
