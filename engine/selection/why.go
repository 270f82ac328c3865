package selection

import (
	"cmp"
	"math"
	"slices"

	"millrace/models/bundle"
	"millrace/models/feature"
	"millrace/state/campaign"
)

// Why says what a model makes of a creative at the impression at hand.
type Why struct {
	Version uint64 `json:"model_version"`
	// Model that predicts clicks: of everything known, or of the context where
	// nothing is known of the user.
	Model string  `json:"model"`
	Raw   float64 `json:"raw_score"`
	CTR   float64 `json:"calibrated_ctr"`
	CVR   float64 `json:"calibrated_cvr"`
	// Base is the raw score of a pair that nothing is known of; with the sum of
	// all columns' contributions it is Raw. Top are the largest of them.
	Base float64        `json:"base_score"`
	Top  []Contribution `json:"top_contributions"`
}

// Contribution is what a column's value adds to the raw score (TreeSHAP).
type Contribution struct {
	Column string   `json:"column"`
	Value  *float32 `json:"value"` // null: missing
	Score  float64  `json:"score"`
}

// contributionsMax is how many columns are named.
const contributionsMax = 8

// Why explains the request's model's prediction; false where none is in force.
// It allocates and walks trees: for explanations only, after the last Next.
func (s *Selector) Why(c campaign.CreativeIndex) (w Why, ok bool) {
	p := s.predictor
	if s.arm == nil {
		return w, false
	}
	m := s.arm.model
	b := m.bundle
	schema := b.Schema
	split := schema.Split()
	p.encode(s)
	row := make([]float32, split.Columns())
	copy(row, p.request)
	if slot := m.slots[c]; slot != noAd {
		copy(row[split.Request:], m.row(int(slot)))
	} else {
		seen := s.rates.of(m.snapshot.Creatives[c].ID)
		p.inputs.encodeAd(schema.NewEncoder(), m.snapshot, c, &seen, s.wall, row[split.Request:split.Request+schema.Width(feature.Ad)])
	}
	p.encodePair(s, c, row[split.Request+split.Ad:])
	forest, name := &b.CTR, bundle.PartCTR
	if !s.known {
		forest, name = &b.Context, bundle.PartContext
	}
	w = Why{Version: b.Version(), Model: name, Raw: forest.Forest.Raw(row), CTR: forest.RateOf(row), CVR: b.CVR.RateOf(row)}
	phi := make([]float64, len(row))
	base, err := forest.Forest.Contributions(row, phi)
	if err != nil {
		return w, true // a model without covers predicts all the same
	}
	w.Base = base
	w.Top = top(phi, row, schema)
	return w, true
}

// top are the columns that contribute most, either way.
func top(phi []float64, row []float32, schema *feature.Schema) (list []Contribution) {
	order := make([]int, 0, len(phi))
	for i := range phi {
		if phi[i] != 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(math.Abs(phi[b]), math.Abs(phi[a])) })
	for _, i := range order[:min(len(order), contributionsMax)] {
		c := Contribution{Column: schema.Columns[i].Name, Score: phi[i]}
		if v := row[i]; v == v {
			c.Value = &v
		}
		list = append(list, c)
	}
	return list
}

// Quality is the creative's, and what its rank is its price times.
func (s *Selector) Quality(c campaign.CreativeIndex) (quality, weight float32) {
	return s.catalog.Snapshot.Creatives[c].Quality, s.catalog.weights[c]
}
