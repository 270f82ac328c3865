package gbdt

// Side is which part of a request × candidate pair a feature is of. A forest is
// scored fast because a node on a request feature is the same for every
// candidate and a node on an ad feature the same for every request.
type Side uint8

// Sides, in the order of a row: the request's columns (user, then context)
// come first, then the ad's, then those of the pair.
const (
	RequestSide Side = iota
	AdSide
	CrossSide
)

// Split is how many columns of a row each side has. Columns of a side are
// consecutive, so a feature's number tells its side.
type Split struct{ Request, Ad, Cross int }

// Columns is the length of a whole row.
func (s Split) Columns() int { return s.Request + s.Ad + s.Cross }

// Side is the side of column f.
func (s Split) Side(f int) Side {
	switch {
	case f < s.Request:
		return RequestSide
	case f < s.Request+s.Ad:
		return AdSide
	}
	return CrossSide
}

// Objective is what a forest's raw score means.
type Objective uint8

// Objectives.
const (
	// Regression: the raw score is the prediction.
	Regression Objective = iota
	// Binary: the prediction is the logistic function of the raw score times
	// Forest.Sigmoid.
	Binary
	// Exponential: the prediction is e to the raw score (Poisson, gamma, Tweedie).
	Exponential
)

// Missing is which values a node sends its default way.
type Missing uint8

// Missing modes.
const (
	// MissingNone: no value is missing; NaN reads as zero.
	MissingNone Missing = iota
	// MissingZero: zero (as LightGBM takes it: |x| ≤ 1e-35) and NaN are missing.
	MissingZero
	// MissingNaN: NaN is missing.
	MissingNaN
)

// Node is an inner node. A row goes left when its value is ≤ Threshold (or in
// Categories), right otherwise, and the default way when it is missing.
// Tree.GoesLeft says it in code.
type Node struct {
	Feature int32
	// Left and Right: a node of the same tree if ≥ 0, else leaf ^Left.
	Left, Right int32
	// Threshold is the largest float32 that goes left: what a trainer stores as
	// a float64 or tests with < is brought to this form by the loader, exactly
	// for every float32 value.
	Threshold float32
	// FirstWord and EndWord, when the node is Categorical: the categories that go
	// left are the bits of Tree.Categories[FirstWord:EndWord]. Every other number,
	// known or not, goes right. NaN is always missing here: Missing is MissingNaN.
	FirstWord, EndWord int32
	Categorical        bool
	// Floor: the category of x is the integer at or below it (XGBoost), so that
	// -0.5 is none; otherwise x is cut towards zero (LightGBM), and -0.5 is
	// category 0.
	Floor       bool
	Missing     Missing
	DefaultLeft bool
}

// Tree has its root at Nodes[0]; a tree of one leaf has no nodes. Nodes and
// leaves are numbered in the trainer's order; every one has exactly one parent,
// but a parent may come after its children.
type Tree struct {
	Nodes      []Node
	Leaves     []float64
	Categories []uint32
	// Cover of nodes and leaves (rows or hessian seen in training), for
	// contributions; nil when the model file has none, or a zero where a row could
	// come.
	NodeCover, LeafCover []float64
	// Gain of each split, for importance; nil when the model file has none.
	Gain []float64
}

// Forest is a trained model in the one form that every kernel starts from.
// Immutable once loaded. The raw score of a row is Base plus the leaf values of
// its trees, added in the order of Trees: in float64, or where Float32 is set
// (XGBoost) in float32.
type Forest struct {
	Trainer      string // "lightgbm" or "xgboost", with its version where known
	Objective    Objective
	Sigmoid      float64 // 1 unless LightGBM's sigmoid parameter says otherwise
	Base         float64
	Float32      bool     // sums and the transform are float32: base, leaves and scores are float32 values
	Average      bool     // LightGBM's random forest: the sum is divided by the number of trees
	Columns      int      // length of a row; every Node.Feature is below it
	FeatureNames []string // Columns of them, or nil when the file has none
	Trees        []Tree
}
