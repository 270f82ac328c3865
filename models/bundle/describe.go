package bundle

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"millrace/models/feature"
	"millrace/models/gbdt"
)

// Inspect opens a bundle for looking at it: any version, trained on any schema.
// Its signature is checked only where there are keys; a bundle opened without
// must not serve.
func Inspect(text []byte, keys []ed25519.PublicKey) (*Bundle, error) {
	e, err := openEnvelope(text)
	if err == nil && len(keys) > 0 {
		err = e.verify(keys)
	}
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(e.manifest)
	if err != nil {
		return nil, err
	}
	parts, err := e.cut(m)
	if err != nil {
		return nil, err
	}
	schema, err := feature.Parse("schema.json", parts[PartSchema])
	if err != nil {
		return nil, refuse(WrongSchema, "part %s: %v", PartSchema, err)
	}
	return e.open(schema, Options{}, len(text))
}

// Description is what there is to know of a bundle.
type Description struct {
	Name    string             `json:"name"`
	Version uint64             `json:"version"`
	Created time.Time          `json:"created"`
	Bytes   int                `json:"bytes"`
	Key     string             `json:"key"`
	Schema  SchemaDescription  `json:"schema"`
	Models  []ModelDescription `json:"models"`
	Golden  int                `json:"golden_rows"`
	Parts   []Part             `json:"parts"`
	Metrics json.RawMessage    `json:"metrics,omitempty"`
	Data    json.RawMessage    `json:"data,omitempty"`
}

// SchemaDescription is what features the models read.
type SchemaDescription struct {
	Version uint32         `json:"version"`
	SHA256  string         `json:"sha256"`
	Columns int            `json:"columns"`
	Groups  map[string]int `json:"groups"`
	// Served is whether this build computes it.
	Served bool `json:"served"`
}

// ModelDescription is one forest and what it reads.
type ModelDescription struct {
	Part       string `json:"part"`
	Trainer    string `json:"trainer"`
	Trees      int    `json:"trees"`
	Leaves     int    `json:"leaves"`
	LeavesMost int    `json:"leaves_of_largest_tree"`
	// Sides is how many nodes test each side of a row: what the cost of a
	// candidate depends on.
	Sides map[string]int `json:"nodes_by_side"`
	// SegmentBy is the column by which calibration differs, Segments the values
	// with a map of their own.
	SegmentBy string `json:"segment_by,omitempty"`
	Segments  []int  `json:"segments,omitempty"`
	// Features that it reads, the most important first.
	Features []Importance `json:"features"`
}

// Importance is what a column gave a model in training.
type Importance struct {
	Column string  `json:"column"`
	Group  string  `json:"group"`
	Splits int     `json:"splits"`
	Gain   float64 `json:"gain"`
	// Share of the gain of all columns, or of the splits where the model file
	// has no gains.
	Share float64 `json:"share"`
}

// Describe lists it.
func (b *Bundle) Describe() Description {
	m := b.Manifest
	d := Description{
		Name: m.Name, Version: m.Version, Created: m.Created, Bytes: b.size, Key: b.Key.String(), Golden: b.golden.n, Parts: m.Parts, Metrics: m.Metrics, Data: m.Data,
		Schema: SchemaDescription{Version: b.Schema.Version, SHA256: b.Schema.SHA256, Columns: len(b.Schema.Columns), Groups: map[string]int{}, Served: b.Schema.SHA256 == feature.Default().SHA256},
	}
	for g := range feature.Group(feature.Groups) {
		d.Schema.Groups[g.String()] = b.Schema.Width(g)
	}
	for _, m := range b.Models() {
		d.Models = append(d.Models, m.describe(b.Schema))
	}
	return d
}

var sideNames = [...]string{gbdt.RequestSide: "request", gbdt.AdSide: "ad", gbdt.CrossSide: "cross"}

func (n NamedModel) describe(schema *feature.Schema) ModelDescription {
	f := n.Model.Forest
	d := ModelDescription{Part: n.Name, Trainer: f.Trainer, Trees: len(f.Trees), Sides: map[string]int{}, SegmentBy: n.Model.Calibration.SegmentBy, Segments: n.Model.Calibration.Segments()}
	split := schema.Split()
	for i := range f.Trees {
		t := &f.Trees[i]
		d.Leaves += len(t.Leaves)
		d.LeavesMost = max(d.LeavesMost, len(t.Leaves))
		for j := range t.Nodes {
			d.Sides[sideNames[split.Side(int(t.Nodes[j].Feature))]]++
		}
	}
	splits, gain := f.Importance()
	total, all := 0.0, 0
	for c := range splits {
		total += gain[c]
		all += splits[c]
	}
	for c, column := range schema.Columns {
		if splits[c] == 0 {
			continue
		}
		share := float64(splits[c]) / float64(all)
		if total > 0 {
			share = gain[c] / total
		}
		d.Features = append(d.Features, Importance{Column: column.Name, Group: column.Group.String(), Splits: splits[c], Gain: gain[c], Share: share})
	}
	slices.SortStableFunc(d.Features, func(a, b Importance) int {
		switch {
		case a.Share > b.Share:
			return -1
		case a.Share < b.Share:
			return 1
		}
		return 0
	})
	return d
}

// Contribution is what one column's value added to a row's raw score.
type Contribution struct {
	Column string
	// Value in the row; NaN is missing.
	Value float32
	Added float64
}

// Explain says why a row has its raw score: what the model expects of any row,
// and the most that columns' values added or took, by size. The sum over all
// columns is the raw score. Slow; not for the hot path.
func (m *Model) Explain(schema *feature.Schema, row []float32, most int) (base float64, why []Contribution, err error) {
	if len(row) != m.Forest.Columns || len(schema.Columns) != m.Forest.Columns {
		return 0, nil, fmt.Errorf("explain: a row of %d values and a schema of %d columns for a model of %d columns", len(row), len(schema.Columns), m.Forest.Columns)
	}
	phi := make([]float64, m.Forest.Columns)
	if base, err = m.Forest.Contributions(row, phi); err != nil {
		return 0, nil, err
	}
	for c, added := range phi {
		if added != 0 {
			why = append(why, Contribution{Column: schema.Columns[c].Name, Value: row[c], Added: added})
		}
	}
	slices.SortStableFunc(why, func(a, b Contribution) int {
		switch x, y := math.Abs(a.Added), math.Abs(b.Added); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return base, why[:min(len(why), most)], nil
}
