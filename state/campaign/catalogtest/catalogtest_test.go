package catalogtest

import (
	"bytes"
	"testing"
)

// The same seed gives the same text, another seed another; both compile.
func TestDeterministic(t *testing.T) {
	for _, tight := range []bool{false, true} {
		a, b := Options{Lines: 50, Seed: 1, Tight: tight}, Options{Lines: 50, Seed: 2, Tight: tight}
		if !bytes.Equal(JSON(a), JSON(a)) || bytes.Equal(JSON(a), JSON(b)) {
			t.Error("the text does not follow the seed")
		}
		if s := Snapshot(b); len(s.Lines) != 50 {
			t.Errorf("%d line items", len(s.Lines))
		}
	}
}
