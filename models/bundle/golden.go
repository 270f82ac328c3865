package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// goldenRowsMin is what a bundle must bring: fewer rows would leave most of a
// model's branches untried.
const goldenRowsMin = 32

// cell is a value of a golden row: null is a missing one.
type cell float32

func (c *cell) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*c = cell(math.NaN())
		return nil
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("%.40s is not a number", b)
	}
	if float64(float32(v)) != v {
		return fmt.Errorf("%.40s is no float32; write the very value that the trainer was given", b)
	}
	*c = cell(v)
	return nil
}

// goldenRow is a row and what the trainer predicts for it: raw scores, and the
// calibrated probabilities of them.
type goldenRow struct {
	X          []cell   `json:"x"`
	CTRRaw     *float64 `json:"ctr_raw"`
	CTR        *float64 `json:"ctr"`
	CVRRaw     *float64 `json:"cvr_raw"`
	CVR        *float64 `json:"cvr"`
	ContextRaw *float64 `json:"context_raw"`
	Context    *float64 `json:"context"`
}

// expected is one target's predictions: raw and calibrated, by row.
type expected struct{ raw, rate []float64 }

// golden are the rows, one after another, and the predictions.
type golden struct {
	rows              []float32
	columns, n        int
	ctr, cvr, context expected
}

func (g *golden) row(i int) []float32 { return g.rows[i*g.columns : (i+1)*g.columns] }

// decodeGolden reads {"rows":[…]} row by row: what a text of nothing but "{},"
// would grow to is never allocated.
func decodeGolden(text []byte, columns int) (*golden, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	for _, want := range []json.Token{json.Delim('{'), "rows", json.Delim('[')} {
		if t, err := d.Token(); err != nil || t != want {
			return nil, errors.New(`want {"rows":[…]}`)
		}
	}
	g := &golden{columns: columns}
	for ; d.More(); g.n++ {
		if g.n == GoldenRowsMax {
			return nil, fmt.Errorf("more than %d rows", GoldenRowsMax)
		}
		var row goldenRow
		if err := d.Decode(&row); err != nil {
			return nil, fmt.Errorf("rows[%d]: %w", g.n, err)
		}
		if len(row.X) != columns {
			return nil, fmt.Errorf("rows[%d].x: %d values; the schema has %d columns", g.n, len(row.X), columns)
		}
		for _, v := range row.X {
			g.rows = append(g.rows, float32(v))
		}
		for _, p := range []struct {
			to        *expected
			name      string
			raw, rate *float64
		}{{&g.ctr, PartCTR, row.CTRRaw, row.CTR}, {&g.cvr, PartCVR, row.CVRRaw, row.CVR}, {&g.context, PartContext, row.ContextRaw, row.Context}} {
			if p.raw == nil || p.rate == nil {
				return nil, fmt.Errorf("rows[%d]: %s_raw or %s is missing", g.n, p.name, p.name)
			}
			p.to.raw, p.to.rate = append(p.to.raw, *p.raw), append(p.to.rate, *p.rate)
		}
	}
	for _, want := range []json.Token{json.Delim(']'), json.Delim('}')} {
		if t, err := d.Token(); err != nil || t != want {
			return nil, errors.New(`something other than {"rows":[…]}`)
		}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	if g.n < goldenRowsMin {
		return nil, fmt.Errorf("%d rows; at least %d are needed", g.n, goldenRowsMin)
	}
	return g, nil
}
