package demo

import (
	"testing"

	"millrace/models/bundle"
	"millrace/models/feature"
)

// The committed bundle is one that this build serves: make train makes it again
// after the schema has changed.
func TestDemoServes(t *testing.T) {
	b, err := bundle.Open(File(), Keys(), feature.Default(), bundle.Options{})
	if err != nil {
		t.Fatalf("%v; make train", err)
	}
	if b.Manifest.Name != "demo" || b.Size() > 350<<10 {
		t.Errorf("%s, %d bytes: the demo's bundle is small", b.Manifest.Name, b.Size())
	}
	row := make([]float32, len(b.Schema.Columns))
	for _, m := range b.Models() {
		if p := m.Model.RateOf(row); !(p > 0 && p < 0.5) {
			t.Errorf("%s predicts %v of a row of zeros", m.Name, p)
		}
	}
}
