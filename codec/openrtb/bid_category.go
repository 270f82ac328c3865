package openrtb

import (
	"cmp"
	"slices"
)

// CategoryParent says that a category of a taxonomy is below another of it.
// Codes are as bidders and exchanges write them.
type CategoryParent struct {
	Taxonomy     CategoryTaxonomy
	Code, Parent string
}

// Parents are the parent relations of taxonomies whose codes do not show them:
// all but IAB 1.0. The IAB Tech Lab publishes them as tables of an id and its
// parent. It is immutable and may be shared; nil knows of none.
type Parents struct {
	rows []CategoryParent
}

// NewParents makes the table. Of a code given twice the first row counts; rows
// without a code or a parent are left out.
func NewParents(rows []CategoryParent) *Parents {
	p := &Parents{}
	for _, r := range rows {
		if r.Code != "" && r.Parent != "" {
			p.rows = append(p.rows, r)
		}
	}
	slices.SortStableFunc(p.rows, func(a, b CategoryParent) int {
		return cmp.Or(cmp.Compare(a.Taxonomy, b.Taxonomy), cmp.Compare(a.Code, b.Code))
	})
	p.rows = slices.CompactFunc(p.rows, func(a, b CategoryParent) bool { return a.Taxonomy == b.Taxonomy && a.Code == b.Code })
	return p
}

// tiersMax is more than any taxonomy has; it ends a table that goes in circles.
const tiersMax = 8

// of is the parent of a code, "" if the table has none.
func (p *Parents) of(tax CategoryTaxonomy, code []byte) string {
	if p == nil {
		return ""
	}
	lo, hi := 0, len(p.rows)
	for lo < hi {
		mid := (lo + hi) / 2
		r := &p.rows[mid]
		switch {
		case r.Taxonomy == tax && r.Code == string(code):
			return r.Parent
		case r.Taxonomy < tax || r.Taxonomy == tax && r.Code < string(code):
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return ""
}
