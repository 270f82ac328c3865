package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"testing"

	"millrace/state/pacing"
)

// The week is random by its seed alone, so these are no timed assertions.
func TestEvenPacingKeepsToItsPlan(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		for _, a := range simulate(seed, 1).accounts {
			r := a.result()
			if a.mode == pacing.Even && a.name != "large, tight" {
				if r.OnPlan < 0.95 {
					t.Errorf("seed %d, %s: %.1f %% of the hours within 5 %% of plan", seed, a.name, 100*r.OnPlan)
				}
				if r.Unspent > 0.01 {
					t.Errorf("seed %d, %s: %.2f %% unspent", seed, a.name, 100*r.Unspent)
				}
			}
			for _, d := range a.days {
				if d.spent > d.budget {
					t.Errorf("seed %d, %s: spent %v of %v", seed, a.name, d.spent, d.budget)
				}
			}
		}
	}
}

func TestReportAndPicture(t *testing.T) {
	w := simulate(1, 0)
	var out bytes.Buffer
	for _, asJSON := range []bool{false, true} {
		if err := report(&out, w, asJSON); err != nil {
			t.Fatal(err)
		}
	}
	for d := xml.NewDecoder(bytes.NewReader(draw(w))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
