package gbdt

import "math"

// viewKind is how a view reads its column. With NaN kept or replaced, a missing
// value takes its node's default way in the plain comparison x ≤ threshold, so
// kernels know no missing modes.
type viewKind uint8

const (
	viewRight     viewKind = iota // missing goes right: NaN ≤ t is false
	viewLeft                      // missing goes left: NaN reads as -Inf
	viewZero                      // nothing is missing: NaN reads as 0
	viewZeroRight                 // zero and NaN are missing and go right
	viewZeroLeft                  // zero and NaN are missing and go left
	viewCategory                  // 0 for a category of the set, which goes left, else 1
)

// view is a column of a side as some nodes read it.
type view struct {
	column int32 // within its side
	kind   viewKind
	tree   *Tree // of a category view: the node whose set it tests
	node   *Node
}

// categoryThreshold parts the 0 and 1 of a category view.
const categoryThreshold = 0.5

var negInf = float32(math.Inf(-1))

func (v *view) read(side []float32) float32 {
	x := side[v.column]
	switch v.kind {
	case viewLeft:
		if x != x {
			return negInf
		}
	case viewZero:
		if x != x {
			return 0
		}
	case viewZeroRight:
		if -zeroThreshold <= x && x <= zeroThreshold {
			return float32(math.NaN())
		}
	case viewZeroLeft:
		if x != x || -zeroThreshold <= x && x <= zeroThreshold {
			return negInf
		}
	case viewCategory:
		if !v.tree.GoesLeft(v.node, x) {
			return 1
		}
		return 0
	}
	return x
}

// missing is what NaN reads as, of a viewRight, viewLeft or viewZero.
func (v *view) missing() float32 {
	switch v.kind {
	case viewLeft:
		return negInf
	case viewZero:
		return 0
	}
	return float32(math.NaN())
}

// pairRows is where the pair side's views stand in a pass: columns in eights,
// as they are transposed, for those eights that have a view; then the views that
// can't take their column's own row.
type pairRows struct {
	eights []int32 // first column of each
	row    []int32 // of each view
	column []int32 // of each view: the row of its column
	rows   int
}

func (p *pairRows) assign(columns int, views []view) {
	views8 := make([]int, (columns+7)/8)
	byColumn := make([]int, columns)
	for _, v := range views {
		views8[v.column/8]++
		byColumn[v.column]++
	}
	start := make([]int32, len(views8))
	for i, n := range views8 {
		if n > 0 {
			start[i] = int32(8 * len(p.eights))
			p.eights = append(p.eights, int32(8*i))
		}
	}
	p.rows = 8 * len(p.eights)
	for _, v := range views {
		p.column = append(p.column, start[v.column/8]+v.column%8)
		if v.kind == viewRight || byColumn[v.column] == 1 {
			p.row = append(p.row, p.column[len(p.row)])
			continue
		}
		p.row = append(p.row, int32(p.rows))
		p.rows++
	}
}

// kindOf is how the node has its column read.
func kindOf(n *Node) viewKind {
	switch {
	case n.Categorical:
		return viewCategory
	case n.Missing == MissingNone:
		return viewZero
	case n.Missing == MissingZero && n.DefaultLeft:
		return viewZeroLeft
	case n.Missing == MissingZero:
		return viewZeroRight
	case n.DefaultLeft:
		return viewLeft
	}
	return viewRight
}

// viewKey tells views apart while compiling.
type viewKey struct {
	side   Side
	column int32
	kind   viewKind
	set    string // categories and default way of a category view
}

// viewOf is the view that the node reads, and its threshold there.
func (c *Compiled) viewOf(seen map[viewKey]int32, t *Tree, n *Node) (s Side, number int32, threshold float32) {
	s = c.split.Side(int(n.Feature))
	key := viewKey{side: s, column: n.Feature - int32(c.split.start(s)), kind: kindOf(n)}
	threshold = n.Threshold
	if n.Categorical {
		threshold = categoryThreshold
		key.set = categorySet(t, n)
	}
	number, ok := seen[key]
	if !ok {
		number = int32(len(c.views[s]))
		seen[key] = number
		c.views[s] = append(c.views[s], view{key.column, key.kind, t, n})
	}
	return s, number, threshold
}

func categorySet(t *Tree, n *Node) string {
	words := t.Categories[n.FirstWord:n.EndWord]
	b := make([]byte, 0, 4*len(words)+3)
	for _, w := range words {
		b = append(b, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	for _, flag := range []bool{n.DefaultLeft, n.Floor, n.Missing == MissingNone} {
		if flag {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return string(b)
}

// start is the first column of a side.
func (s Split) start(side Side) int {
	switch side {
	case AdSide:
		return s.Request
	case CrossSide:
		return s.Request + s.Ad
	}
	return 0
}
