package gbdt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

var (
	nan      = float32(math.NaN())
	inf      = float32(math.Inf(1))
	up       = func(x float32) float32 { return math.Nextafter32(x, inf) }
	down     = func(x float32) float32 { return math.Nextafter32(x, -inf) }
	negZero  = float32(math.Copysign(0, -1))
	denormal = float32(math.SmallestNonzeroFloat32)
)

// stump is a LightGBM model of one node on the first of two columns: leaf -1 on
// the left, 1 on the right.
func stump(threshold string, decision int, extra string) string {
	return fmt.Sprintf(`tree
version=v4
num_class=1
num_tree_per_iteration=1
max_feature_idx=1
objective=binary sigmoid:1
feature_names=a b

Tree=0
num_leaves=2
split_feature=0
threshold=%s
decision_type=%d
left_child=-1
right_child=-2
leaf_value=-1 1
%s

end of trees
`, threshold, decision, extra)
}

// xgbStump is its XGBoost twin.
func xgbStump(condition string, defaultLeft int, extra string) string {
	if extra == "" {
		extra = `"split_type":[0,0,0]`
	}
	return fmt.Sprintf(`{"learner":{"gradient_booster":{"model":{"tree_info":[0],"trees":[{"left_children":[1,-1,-1],"right_children":[2,-1,-1],
"split_indices":[0,0,0],"split_conditions":[%s,-1,1],"default_left":[%d,0,0],%s,"tree_param":{"num_deleted":"0","size_leaf_vector":"1"}}]},
"name":"gbtree"},"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"2"},"objective":{"name":"binary:logistic"}},"version":[3,2,0]}`,
		condition, defaultLeft, extra)
}

func mustLoad(t testing.TB, text string) *Forest {
	t.Helper()
	f, err := Load([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// goes checks where values of the first column go: left is -1, right is 1.
func goes(t *testing.T, f *Forest, want float64, values ...float32) {
	t.Helper()
	for _, x := range values {
		if got := f.Raw([]float32{x, 0}); got != want {
			t.Errorf("x = %v (%08x): raw score %v, want %v", x, math.Float32bits(x), got, want)
		}
	}
}

func TestLightGBMNumeric(t *testing.T) {
	const left, right = -1, 1
	// Decision types: 0 no missing, 2 the same with default left; 4, 6 zero; 8, 10 NaN.
	f := mustLoad(t, stump("1.5", 0, ""))
	goes(t, f, left, 1.5, down(1.5), 0, negZero, -inf, nan, -math.MaxFloat32)
	goes(t, f, right, up(1.5), 2, inf, math.MaxFloat32)

	// A threshold between two float32 values: the lower goes left.
	f = mustLoad(t, stump("1.00000000001", 8, ""))
	goes(t, f, left, 1, -inf)
	goes(t, f, right, up(1), nan, inf)
	f = mustLoad(t, stump("0.99999999999", 10, ""))
	goes(t, f, left, down(1), nan)
	goes(t, f, right, 1)

	// Beyond float32.
	f = mustLoad(t, stump("1e300", 8, ""))
	goes(t, f, left, math.MaxFloat32, -inf)
	goes(t, f, right, inf)
	f = mustLoad(t, stump("-1e300", 8, ""))
	goes(t, f, left, -inf)
	goes(t, f, right, -math.MaxFloat32, 0)
	f = mustLoad(t, stump("inf", 8, ""))
	goes(t, f, left, inf, 0, -inf)
	goes(t, f, right, nan)

	// NaN reads as zero when nothing is missing.
	goes(t, mustLoad(t, stump("-0.5", 2, "")), right, nan, 0)
	goes(t, mustLoad(t, stump("0.5", 0, "")), left, nan, 0)
}

func TestLightGBMZero(t *testing.T) {
	const left, right = -1, 1
	tiny := zeroThreshold
	f := mustLoad(t, stump("2", 4, "")) // zero is missing, default right
	goes(t, f, right, 0, negZero, nan, tiny, -tiny, denormal, -denormal, up(2), inf)
	goes(t, f, left, 2, up(tiny), -up(tiny), -inf)
	f = mustLoad(t, stump("-2", 6, "")) // the same, default left
	goes(t, f, left, 0, negZero, nan, tiny, -tiny, denormal, -2, -inf)
	goes(t, f, right, down(tiny)*2, up(tiny), up(-2))

	// Without missing values what is near zero still reads as zero.
	for _, threshold := range []string{"0", "1e-40", "1e-35", "1.0000000180025095e-35"} {
		f = mustLoad(t, stump(threshold, 8, ""))
		goes(t, f, left, 0, negZero, denormal, -denormal, tiny, -tiny, -1)
		goes(t, f, right, up(tiny), 1)
	}
	for _, threshold := range []string{"-1e-40", "-1e-36", "-1.0000000180025095e-35"} {
		f = mustLoad(t, stump(threshold, 8, ""))
		goes(t, f, left, -up(tiny), -1)
		goes(t, f, right, 0, negZero, denormal, -denormal, tiny, -tiny, 1)
	}
}

func TestLightGBMCategories(t *testing.T) {
	const left, right = -1, 1
	// Categories 0, 5, 33 go left.
	f := mustLoad(t, stump("0", 1|8|2, "num_cat=1\ncat_boundaries=0 2\ncat_threshold=33 2"))
	goes(t, f, left, 0, negZero, 0.9, -0.5, down(0)*1, 5, 5.75, 33, 33.5)
	goes(t, f, right, 1, 4.99, 6, -1, -1.5, 32, 34, 63, 64, 1e9, 3e9, 1e30, inf, -inf, nan)
	// NaN goes right whatever the missing type; zero is a category like others.
	f = mustLoad(t, stump("0", 1|4|2, "num_cat=1\ncat_boundaries=0 1\ncat_threshold=1"))
	goes(t, f, left, 0, denormal)
	goes(t, f, right, nan, 1)
}

func TestXGBoostNumeric(t *testing.T) {
	const left, right = -1, 1
	f := mustLoad(t, xgbStump("1.5", 1, ""))
	goes(t, f, left, down(1.5), 0, -inf, nan)
	goes(t, f, right, 1.5, up(1.5), inf)
	for _, zero := range []string{"0", "-0"} {
		f = mustLoad(t, xgbStump(zero, 0, ""))
		goes(t, f, left, -denormal, -1, -inf)
		goes(t, f, right, 0, negZero, denormal, nan)
	}
	f = mustLoad(t, xgbStump("1E-45", 0, ""))
	goes(t, f, left, 0, negZero, -1)
	goes(t, f, right, denormal)
	f = mustLoad(t, xgbStump("Infinity", 0, ""))
	goes(t, f, left, math.MaxFloat32, -inf)
	goes(t, f, right, inf, nan)
	f = mustLoad(t, xgbStump("-3.4028235E38", 0, ""))
	goes(t, f, left, -inf)
	goes(t, f, right, -math.MaxFloat32)
}

func TestXGBoostCategories(t *testing.T) {
	const left, right = -1, 1
	// Categories 0, 5, 33 go right, all else left, NaN by default.
	sets := `"split_type":[1,0,0],"categories":[0,5,33],"categories_nodes":[0],"categories_segments":[0],"categories_sizes":[3]`
	for missing, f := range map[float64]*Forest{left: mustLoad(t, xgbStump("0", 1, sets)), right: mustLoad(t, xgbStump("0", 0, sets))} {
		goes(t, f, right, 0, negZero, 0.9, 5, 5.75, 33, 33.5, denormal)
		goes(t, f, left, 1, 4.99, 6, -1, -0.5, -denormal, 32, 64, 1e9, 3e9, 1<<24, inf, -inf)
		goes(t, f, missing, nan)
	}
}

// Two trees and a base: sums are float32 in XGBoost's order, float64 in LightGBM's.
func TestRawSums(t *testing.T) {
	f := Forest{Base: 1 << 24, Float32: true, Sigmoid: 1, Columns: 1, Trees: []Tree{{Leaves: []float64{1}}, {Leaves: []float64{1}}}}
	if got := f.Raw([]float32{0}); got != 1<<24 {
		t.Errorf("float32 sum %v", got)
	}
	f.Float32 = false
	if got := f.Raw([]float32{0}); got != 1<<24+2 {
		t.Errorf("float64 sum %v", got)
	}
	f.Average, f.Base = true, 0
	if got := f.Raw([]float32{0}); got != 1 {
		t.Errorf("average %v", got)
	}
}

func TestPredict(t *testing.T) {
	for _, c := range []struct {
		f    Forest
		raw  float64
		want float64
	}{
		{Forest{Objective: Regression}, -3, -3},
		{Forest{Objective: Binary, Sigmoid: 1}, 0, 0.5},
		{Forest{Objective: Binary, Sigmoid: 2}, 1.5, 1 / (1 + math.Exp(-3))},
		{Forest{Objective: Binary, Sigmoid: 1}, -1000, 0},
		{Forest{Objective: Binary, Sigmoid: 1}, 1000, 1},
		{Forest{Objective: Binary, Sigmoid: 1, Float32: true}, 0, 0.5},
		{Forest{Objective: Binary, Sigmoid: 1, Float32: true}, 200, 1},
		{Forest{Objective: Exponential, Sigmoid: 1}, 1, math.E},
		{Forest{Objective: Exponential, Float32: true}, 1, float64(float32(math.E))},
	} {
		if got := c.f.Predict(c.raw); got != c.want {
			t.Errorf("Predict(%v) of %+v = %v, want %v", c.raw, c.f, got, c.want)
		}
	}
	// The exponent is held at 88.7, so that the smallest prediction is no zero.
	f := Forest{Objective: Binary, Sigmoid: 1, Float32: true}
	if got := f.Predict(-1e6); got <= 0 || got > 1e-38 {
		t.Errorf("Predict(-1e6) = %v", got)
	}
}

func TestRawAllocs(t *testing.T) {
	f := mustLoad(t, stump("1.5", 0, ""))
	row := []float32{1, 2}
	if n := testing.AllocsPerRun(100, func() { f.Predict(f.Raw(row)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLoadRefuses(t *testing.T) {
	lgb, xgb := stump("1", 0, ""), xgbStump("1", 0, "")
	for _, c := range []struct{ model, replace, with, want string }{
		{lgb, "tree\n", "xx\n", "save_model"},
		{lgb, "num_class=1", "num_class=3", "num_class=3"},
		{lgb, "per_iteration=1", "per_iteration=2", "num_tree_per_iteration=2"},
		{lgb, "feature_idx=1", "feature_idx=70000", "max_feature_idx"},
		{lgb, "feature_names=a b", "feature_names=a", "feature_names"},
		{lgb, "binary", "multiclass", "objective=multiclass"},
		{lgb, "binary", "regression sqrt", "reg_sqrt"},
		{lgb, "sigmoid:1", "sigmoid:-1", "sigmoid"},
		{lgb, "end of trees", "", "end of trees"},
		{lgb, "num_leaves=2", "num_leaves=2\nis_linear=1", "linear_tree=false"},
		{lgb, "num_leaves=2", "num_leaves=3", "leaf_value"},
		{lgb, "num_leaves=2", "num_leaves=99999999", "num_leaves"},
		{lgb, "num_leaves=2", "num_leaves=2\nnum_leaves=2", "twice"},
		{lgb, "left_child=-1", "left_child=0", "another parent"},
		{lgb, "left_child=-1", "left_child=-2", "another parent"},
		{lgb, "left_child=-1", "left_child=7", "outside"},
		{lgb, "left_child=-1", "left_child=-9", "outside"},
		{lgb, "left_child=-1", "left_child=4294967295", "left_child"},
		{lgb, "split_feature=0", "split_feature=2", "feature 2"},
		{lgb, "split_feature=0", "split_feature=-1", "feature -1"},
		{lgb, "threshold=1", "threshold=nan", "threshold"},
		{lgb, "leaf_value=-1 1", "leaf_value=-1 nan", "finite"},
		{lgb, "leaf_value=-1 1", "leaf_value=-1 inf", "finite"},
		{lgb, "decision_type=0", "decision_type=12", "missing type"},
		{lgb, "decision_type=0", "decision_type=1", "num_cat"},
		{xgb, `"version":[3,2,0]}`, `"version":[3,2,0]}x`, "after the model's end"},
		{xgb, `"version":[3,2,0]}`, `"version":[3,2`, "too early"},
		{xgb, `{"learner"`, `{"Model"`, "memory snapshot"},
		{xgb, `{"learner"`, `{"learned"`, "learner is missing"},
		{xgb, `"gbtree"`, `"gblinear"`, "gblinear"},
		{xgb, `"gbtree"`, `"dart"`, "weight_drop"},
		{xgb, `binary:logistic`, `multi:softprob`, "multi:softprob"},
		{xgb, `"num_class":"0"`, `"num_class":"3"`, "num_class=3"},
		{xgb, `"num_class":"0"`, `"num_target":"2"`, "num_target=2"},
		{xgb, `"5E-1"`, `"[5E-1,2E-1]"`, "base_score"},
		{xgb, `"5E-1"`, `"0E0"`, "base_score"},
		{xgb, `"num_feature":"2"`, `"num_feature":"70000"`, "num_feature"},
		{xgb, `"tree_info":[0]`, `"tree_info":[1]`, "tree_info[0]"},
		{xgb, `"size_leaf_vector":"1"`, `"size_leaf_vector":"3"`, "one_output_per_tree"},
		{xgb, `"split_conditions":[1`, `"split_conditions":[NaN`, "split_conditions"},
		{xgb, `"split_conditions":[1`, `"split_conditions":[-Infinity`, "split_conditions"},
		{xgb, `"split_conditions":[1,`, `"split_conditions":[`, "split_conditions has 2"},
		{xgb, `"left_children":[1`, `"left_children":[0`, "two parents"},
		{xgb, `"left_children":[1`, `"left_children":[2`, "two parents"},
		{xgb, `"left_children":[1`, `"left_children":[99`, "outside"},
		{xgb, `"left_children":[1,-1,-1],"right_children":[2,`, `"left_children":[-1,-1,-1],"right_children":[-1,`, "num_deleted"},
		{xgb, `"split_indices":[0`, `"split_indices":[2`, "feature 2"},
		{xgb, `"split_type":[0`, `"split_type":[1`, "categories_nodes"},
	} {
		text := strings.Replace(c.model, c.replace, c.with, 1)
		if text == c.model {
			t.Fatalf("%q is not in the model", c.replace)
		}
		_, err := Load([]byte(text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: error %v, want %q in it", c.with, c.replace, err, c.want)
		}
	}
}

// Arrays whose length a file only claims must not be built.
func TestUBJSONRefusesLies(t *testing.T) {
	for _, b := range []string{
		"{",
		"{i\x07learner{i\x04junk[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff",
		"{i\x07learner{i\x04junk[$Z#L\x00\x00\x00\x00\x7f\xff\xff\xff}}",
		"{i\x07learner{i\x04junk[$T#l\x7f\xff\xff\xff}}",
		"{i\x07learner{i\x04junk[#l\xff\xff\xff\xff}}",
		"{i\x07learner{i\x04junkSl\x7f\xff\xff\xff",
		"{i\x07learner" + strings.Repeat("[", 100),
	} {
		if _, err := LoadXGBoost([]byte(b)); err == nil {
			t.Errorf("%q was loaded", b)
		}
	}
}

// A condition in the common form decides as the trainer's own, for thresholds of
// every magnitude and values around them.
func TestThresholdsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 200_000 {
		wide := math.Float64frombits(r.Uint64())
		if r.IntN(2) == 0 { // near a float32
			wide = float64(math.Float32frombits(r.Uint32())) * (1 + float64(r.IntN(3)-1)*0x1p-52)
		}
		if math.IsNaN(wide) {
			continue
		}
		single := float32(wide)
		near := []float32{single, up(single), down(single), math.Float32frombits(r.Uint32()), 0, negZero, denormal, -denormal, zeroThreshold, -zeroThreshold, inf, -inf}
		got, below := lightGBMThreshold(wide), float32(0)
		if !math.IsInf(float64(single), -1) {
			below, _ = belowCondition(single)
		}
		for _, x := range near {
			if x != x {
				continue
			}
			kept := float64(x)
			if math.Abs(kept) <= float64(zeroThreshold) {
				kept = 0
			}
			if (x <= got) != (kept <= wide) {
				t.Fatalf("LightGBM: %v ≤ %v, as %v", x, wide, got)
			}
			if !math.IsInf(float64(single), -1) && (x <= below) != (x < single) {
				t.Fatalf("XGBoost: %v < %v, as ≤ %v", x, single, below)
			}
		}
	}
}
