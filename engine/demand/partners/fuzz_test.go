package partners

import (
	"math/rand/v2"
	"os"
	"testing"
)

// FuzzCheck: no text takes the compiler down, every fault is complete, and a
// book it makes can be asked.
func FuzzCheck(f *testing.F) {
	f.Add(exampleText(f))
	if text, err := os.ReadFile("testdata/faults.yaml"); err == nil {
		f.Add(text)
	}
	f.Add([]byte(`partners: [{id: a, endpoints: [{url: https://a.example.com/}]}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		b, faults := Check("f.yaml", text, Options{Now: noon, Region: "eu"})
		for _, x := range faults {
			if x.Problem == "" || x.Remedy == "" {
				t.Fatalf("incomplete: %+v", x)
			}
		}
		if (b == nil) != (len(faults) > 0) {
			t.Fatalf("book %v, faults %v", b != nil, faults)
		}
		if b == nil {
			return
		}
		again, faults := Check("f.yaml", text, Options{Now: noon, Previous: b})
		if again == nil || len(again.Order) != len(b.Order) {
			t.Fatalf("the same file after itself: %v", faults)
		}
		var m Match
		r := rand.New(rand.NewPCG(uint64(len(text)), 2))
		for range 4 {
			b.Match(parse(t, worldRequest(r)), noon, &m)
			for i := range m.Imps {
				if m.Imps[i].Floor < 0 {
					t.Fatalf("floor %v", m.Imps[i].Floor)
				}
			}
			b.Common(&m)
		}
	})
}
