package bundle_test

import (
	"math"
	"testing"

	"millrace/models/bundle"
	"millrace/models/bundle/bundletest"
)

func TestDescribe(t *testing.T) {
	b, err := bundle.Inspect(bundletest.File(t, bundletest.Options{Version: 3, Trees: 7, Leaves: 9}), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := b.Describe()
	if d.Version != 3 || d.Golden != 40 || len(d.Models) != 3 || !d.Schema.Served || d.Schema.Columns != len(b.Schema.Columns) {
		t.Errorf("%+v", d)
	}
	for _, m := range d.Models {
		share, splits, sides := 0.0, 0, 0
		for i, f := range m.Features {
			share, splits = share+f.Share, splits+f.Splits
			if i > 0 && f.Share > m.Features[i-1].Share {
				t.Errorf("%s: %s stands after a less important one", m.Part, f.Column)
			}
			if m.Part == bundle.PartContext && f.Group == "user" {
				t.Errorf("the context model reads %s", f.Column)
			}
		}
		for _, n := range m.Sides {
			sides += n
		}
		if m.Trees != 7 || m.Leaves != 63 || m.LeavesMost != 9 || splits != 56 || sides != 56 || math.Abs(share-1) > 1e-9 {
			t.Errorf("%s: %d trees, %d leaves, %d splits, %d by side, shares sum to %v", m.Part, m.Trees, m.Leaves, splits, sides, share)
		}
	}
}

func TestInspectChecksTheSignatureWhereThereAreKeys(t *testing.T) {
	file := bundletest.File(t, bundletest.Options{})
	if _, err := bundle.Inspect(file, bundletest.Public("other")); err == nil {
		t.Error("a stranger's signature was taken")
	}
	for cut := 0; cut < len(file); cut += 97 {
		if _, err := bundle.Inspect(file[:cut], nil); err == nil {
			t.Fatalf("%d of %d bytes were taken", cut, len(file))
		}
	}
}

func TestExplainSumsToTheRawScore(t *testing.T) {
	b := bundletest.Open(t, bundletest.Options{Trees: 4})
	row := make([]float32, len(b.Schema.Columns))
	base, why, err := b.CTR.Explain(b.Schema, row, len(row))
	if err != nil {
		t.Fatal(err)
	}
	sum := base
	for i, c := range why {
		sum += c.Added
		if i > 0 && math.Abs(c.Added) > math.Abs(why[i-1].Added) {
			t.Errorf("%s stands after a smaller one", c.Column)
		}
	}
	if raw := b.CTR.Forest.Raw(row); math.Abs(sum-raw) > 1e-9 || len(why) == 0 {
		t.Errorf("contributions sum to %v, the raw score is %v", sum, raw)
	}
	if _, few, _ := b.CTR.Explain(b.Schema, row, 1); len(few) != 1 {
		t.Errorf("%d contributions, want 1", len(few))
	}
	if _, _, err := b.CTR.Explain(b.Schema, row[1:], 1); err == nil {
		t.Error("a short row was explained")
	}
}

func TestDiff(t *testing.T) {
	a, b := bundletest.Open(t, bundletest.Options{Version: 1}), bundletest.Open(t, bundletest.Options{Version: 2, Offset: 0.5})
	d := bundle.Diff(a, b)
	changed := map[string]bool{}
	for _, f := range d.Fields {
		changed[f.Field] = true
	}
	if !changed["version"] || changed["ctr.trees"] || len(d.Features.Added)+len(d.Features.Removed)+len(d.Features.Moved) > 0 {
		t.Errorf("%+v", d)
	}
	found := false
	for _, m := range d.Metrics {
		if m.Metric == "ctr.log_loss" {
			found = *m.From == 0.061 && *m.To == 0.062
		}
	}
	if !found {
		t.Errorf("metrics %+v", d.Metrics)
	}
	if len(d.Predictions) != 3 || d.Predictions[0].Rows != 80 || !(d.Predictions[0].MostMove > 0) || d.Predictions[0].MeanMove > d.Predictions[0].MostMove {
		t.Errorf("predictions %+v", d.Predictions)
	}
	same := bundle.Diff(a, a)
	if len(same.Fields) > 0 || same.Predictions[0].MostMove != 0 {
		t.Errorf("a bundle differs from itself: %+v", same)
	}
}
