package bundle

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"millrace/models/feature"
)

// Difference is what changed from one bundle to another.
type Difference struct {
	Fields   []FieldChange  `json:"fields"`
	Features FeatureChange  `json:"features"`
	Metrics  []MetricChange `json:"metrics"`
	// Predictions over the golden rows of both, where they read the same
	// columns.
	Predictions []PredictionChange `json:"predictions"`
}

// FieldChange is a fact that differs.
type FieldChange struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// FeatureChange is columns by name.
type FeatureChange struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	// Moved have another place in the row or are computed otherwise.
	Moved []string `json:"moved"`
}

// MetricChange is a number of the manifest's metrics; NaN-free: one that is
// missing on a side is nil.
type MetricChange struct {
	Metric string   `json:"metric"`
	From   *float64 `json:"from"`
	To     *float64 `json:"to"`
}

// PredictionChange is how a model's calibrated rates differ.
type PredictionChange struct {
	Part     string  `json:"part"`
	Rows     int     `json:"rows"`
	MeanFrom float64 `json:"mean_from"`
	MeanTo   float64 `json:"mean_to"`
	MeanMove float64 `json:"mean_move"` // mean of |to − from|
	MostMove float64 `json:"most_move"`
}

// Diff compares two bundles.
func Diff(from, to *Bundle) Difference {
	d := Difference{Fields: []FieldChange{}, Metrics: diffMetrics(from.Manifest.Metrics, to.Manifest.Metrics), Features: diffSchemas(from.Schema, to.Schema)}
	field := func(name string, a, b any) {
		if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
			d.Fields = append(d.Fields, FieldChange{name, x, y})
		}
	}
	a, b := from.Describe(), to.Describe()
	field("name", a.Name, b.Name)
	field("version", a.Version, b.Version)
	field("created", a.Created.Format(time.RFC3339), b.Created.Format(time.RFC3339))
	field("key", a.Key, b.Key)
	field("bytes", a.Bytes, b.Bytes)
	field("schema", a.Schema.SHA256[:12], b.Schema.SHA256[:12])
	for i, x := range a.Models {
		y := b.Models[i]
		field(x.Part+".trainer", x.Trainer, y.Trainer)
		field(x.Part+".trees", x.Trees, y.Trees)
		field(x.Part+".leaves", x.Leaves, y.Leaves)
		field(x.Part+".segments", len(x.Segments), len(y.Segments))
	}
	if len(d.Features.Added)+len(d.Features.Removed)+len(d.Features.Moved) == 0 {
		d.Predictions = diffPredictions(from, to)
	}
	return d
}

func diffSchemas(from, to *feature.Schema) FeatureChange {
	d := FeatureChange{Added: []string{}, Removed: []string{}, Moved: []string{}}
	places := map[string]int{}
	for i, c := range from.Columns {
		places[c.Name] = i
	}
	for i, c := range to.Columns {
		at, known := places[c.Name]
		switch {
		case !known:
			d.Added = append(d.Added, c.Name)
		case at != i || fmt.Sprintf("%+v", from.Columns[at]) != fmt.Sprintf("%+v", c):
			d.Moved = append(d.Moved, c.Name)
		}
		delete(places, c.Name)
	}
	for _, c := range from.Columns {
		if _, left := places[c.Name]; left {
			d.Removed = append(d.Removed, c.Name)
		}
	}
	return d
}

// diffMetrics compares every number in the two objects, by its path.
func diffMetrics(from, to json.RawMessage) []MetricChange {
	a, b := flatten(from), flatten(to)
	names := make([]string, 0, len(a)+len(b))
	for name := range a {
		names = append(names, name)
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	list := []MetricChange{}
	for _, name := range names {
		c := MetricChange{Metric: name}
		if v, ok := a[name]; ok {
			c.From = &v
		}
		if v, ok := b[name]; ok {
			c.To = &v
		}
		list = append(list, c)
	}
	return list
}

func flatten(text json.RawMessage) map[string]float64 {
	numbers := map[string]float64{}
	var value any
	if json.Unmarshal(text, &value) != nil {
		return numbers // an empty one
	}
	var visit func(path string, v any)
	visit = func(path string, v any) {
		switch v := v.(type) {
		case float64:
			numbers[path] = v
		case map[string]any:
			for k, x := range v {
				if path != "" {
					k = path + "." + k
				}
				visit(k, x)
			}
		}
	}
	visit("", value)
	return numbers
}

func diffPredictions(from, to *Bundle) []PredictionChange {
	list := []PredictionChange{}
	a, b := from.Models(), to.Models()
	for i := range a {
		d := PredictionChange{Part: a[i].Name}
		for _, g := range []*golden{from.golden, to.golden} {
			for r := range g.n {
				x, y := a[i].Model.RateOf(g.row(r)), b[i].Model.RateOf(g.row(r))
				d.Rows++
				d.MeanFrom += x
				d.MeanTo += y
				d.MeanMove += math.Abs(y - x)
				d.MostMove = max(d.MostMove, math.Abs(y-x))
			}
		}
		n := float64(d.Rows)
		d.MeanFrom, d.MeanTo, d.MeanMove = d.MeanFrom/n, d.MeanTo/n, d.MeanMove/n
		list = append(list, d)
	}
	return list
}
