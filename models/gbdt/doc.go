// Package gbdt loads gradient-boosted forests and scores candidates with them,
// bit for bit as their trainers do.
//
//	LightGBM text ─┐             ┌─ Raw: the naive walk, the oracle
//	XGBoost JSON ──┼─► Forest ───┼─ Contributions, Importance: why, off the hot path
//	XGBoost UBJSON ┘  one form   └─ Compile ─► kernels (Compiled, AdMasks, Scorer)
//
// # One form
//
// A loader brings every condition to x ≤ t with a float32 t, exactly for every
// float32 x, and every model to a sum of leaves; it refuses what it can't bring
// there, naming the field and what to do. It also refuses what a walk could
// leave or never end in, so that neither the walk nor a kernel checks anything.
// What the trainers do differently:
//
//	               LightGBM                          XGBoost
//	numeric        x ≤ t, t a float64:               x < c, both float32:
//	               the float32 at or below t         the float32 below c
//	near zero      |x| ≤ 1e-35 reads as zero, so     nothing
//	               a t among them moves to ±1e-35
//	NaN            by node: missing, or zero         always missing, the node's
//	zero           by node: missing (zero_as_        a value (a DMatrix made with
//	               missing) or a value               missing=0: send NaN for it)
//	categories     the set goes left; x cut          the set goes right, so the
//	               towards zero (-0.5 is 0)          children change places; -0.5
//	                                                 is no category
//	category NaN   right                             the node's default way
//	no category    right (negative, ≥ 2³¹,           left (negative, ≥ 2²⁴,
//	               not in the set)                   not in the set)
//	sum            float64, trees in order           float32, base first, trees in
//	                                                 order; dart: leaf × weight first
//	base           in the first tree's leaves        base_score, a prediction: its
//	                                                 margin (of logitraw: as it is)
//	random forest  the sum divided by the number     the sum
//	               of trees
//	prediction     1 / (1 + e^(-sigmoid·raw)),       the same in float32, e^x held
//	               float64                           below overflow
//
// All trees of a file count: LightGBM saves the best iteration and no later one,
// XGBoost saves all (cut the Booster, booster[:best_iteration+1], before saving).
// Where XGBoost was trained on categories of a data frame, a row has their codes.
//
// One thing can differ from XGBoost in the last bit: the logarithm in the margin
// of base_score is rounded correctly here, and otherwise by glibc for one
// base_score in a thousand.
//
// # Ownership
//
// A Forest is immutable once loaded and shared by all shards; its methods
// allocate nothing but Contributions and Importance, which are for people who
// ask why. Limits on size, trees, leaves, depth, columns and categories stand in
// limits.go: what loading takes is a small multiple of the file.
//
// # Goldens
//
// testdata/golden has small models of several versions of both trainers with
// rows and predictions; `make goldens` trains the full set (tools/train/goldens.py)
// and holds every loader and kernel to it.
package gbdt
