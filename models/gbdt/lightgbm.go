package gbdt

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// LoadLightGBM reads a model that LightGBM saved as text (Booster.save_model).
func LoadLightGBM(b []byte) (*Forest, error) {
	f, err := loadLightGBM(b)
	if err != nil {
		return nil, fmt.Errorf("lightgbm model: %w", err)
	}
	return f, nil
}

func loadLightGBM(b []byte) (*Forest, error) {
	if err := checkSize(b); err != nil {
		return nil, err
	}
	r := lightGBMReader{rest: b}
	if first, _ := r.line(); string(first) != "tree" {
		return nil, errors.New(`the first line is not "tree": this is no text model; write one with Booster.save_model`)
	}
	var header lightGBMSection
	if err := header.read(&r); err != nil {
		return nil, err
	}
	f, err := header.forest()
	if err != nil {
		return nil, err
	}
	for r.tree {
		if len(f.Trees) == MaxTrees {
			return nil, fmt.Errorf("more than %d trees: train fewer", MaxTrees)
		}
		i := len(f.Trees)
		var s lightGBMSection
		if err := s.read(&r); err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
		t, err := s.buildTree()
		if err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
		f.Trees = append(f.Trees, t)
	}
	if !r.ended {
		return nil, errors.New(`"end of trees" is missing: the file was cut; copy it again`)
	}
	return f, f.finish()
}

// lightGBMReader cuts the file into lines and knows what ended a section.
type lightGBMReader struct {
	rest        []byte
	tree, ended bool // the last section ended at "Tree=", at "end of trees"
}

func (r *lightGBMReader) line() (line []byte, ok bool) {
	if len(r.rest) == 0 {
		return nil, false
	}
	line, r.rest, _ = bytes.Cut(r.rest, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'}), true
}

// lightGBMSection is the header or one tree: the values of its lines, still text.
// Fields that say nothing about a prediction are not kept.
type lightGBMSection struct {
	version, numClass, perIteration, maxFeature, objective, names []byte // header
	average                                                       bool

	numLeaves, numCat, linear                              []byte // tree
	feature, gain, threshold, decision, left, right, value []byte
	leafCount, nodeCount, catBoundaries, catThreshold      []byte
}

// field is where a key's value is kept, nil for a key that is not needed.
func (s *lightGBMSection) field(key string) *[]byte {
	switch key {
	case "version":
		return &s.version
	case "num_class":
		return &s.numClass
	case "num_tree_per_iteration":
		return &s.perIteration
	case "max_feature_idx":
		return &s.maxFeature
	case "objective":
		return &s.objective
	case "feature_names":
		return &s.names
	case "num_leaves":
		return &s.numLeaves
	case "num_cat":
		return &s.numCat
	case "is_linear":
		return &s.linear
	case "split_feature":
		return &s.feature
	case "split_gain":
		return &s.gain
	case "threshold":
		return &s.threshold
	case "decision_type":
		return &s.decision
	case "left_child":
		return &s.left
	case "right_child":
		return &s.right
	case "leaf_value":
		return &s.value
	case "leaf_count":
		return &s.leafCount
	case "internal_count":
		return &s.nodeCount
	case "cat_boundaries":
		return &s.catBoundaries
	case "cat_threshold":
		return &s.catThreshold
	}
	return nil
}

// read takes lines until the next tree, the end of trees or of the file.
func (s *lightGBMSection) read(r *lightGBMReader) error {
	r.tree = false
	for {
		line, ok := r.line()
		if !ok {
			return nil
		}
		key, value, assigned := bytes.Cut(line, []byte{'='})
		switch {
		case string(line) == "end of trees":
			r.ended = true
			return nil
		case string(line) == "average_output":
			s.average = true
		case assigned && string(key) == "Tree":
			r.tree = true
			return nil
		case assigned:
			into := s.field(string(key))
			if into == nil {
				continue
			}
			if *into != nil {
				return fmt.Errorf("%s stands there twice; save the model again", key)
			}
			*into = value[:len(value):len(value)]
		}
	}
}

// forest is what the header says.
func (s *lightGBMSection) forest() (*Forest, error) {
	f := &Forest{Trainer: strings.TrimSpace("lightgbm " + string(s.version)), Sigmoid: 1, Average: s.average}
	for _, n := range []struct {
		name string
		text []byte
	}{{"num_class", s.numClass}, {"num_tree_per_iteration", s.perIteration}} {
		if n.text != nil && string(n.text) != "1" {
			return nil, fmt.Errorf("%s=%.20s: models of several classes are not supported; train one binary or regression model", n.name, n.text)
		}
	}
	last, err := strconv.Atoi(string(s.maxFeature))
	if err != nil || last < 0 || last >= MaxColumns {
		return nil, fmt.Errorf("max_feature_idx=%.20s: want a number from 0 to %d; train on fewer columns", s.maxFeature, MaxColumns-1)
	}
	f.Columns = last + 1
	if bytes.Count(s.names, []byte{' '}) >= MaxColumns {
		return nil, fmt.Errorf("feature_names: more than %d; train on fewer columns", MaxColumns)
	}
	f.FeatureNames = strings.Fields(string(s.names))
	return f, f.setLightGBMObjective(string(s.objective))
}

// setLightGBMObjective takes the value of the objective line: a name and the
// parameters that change how a score is converted.
func (f *Forest) setLightGBMObjective(objective string) error {
	words := strings.Fields(objective)
	if len(words) == 0 {
		return nil // an objective of the user's own: the raw score is all there is
	}
	switch words[0] {
	case "regression", "regression_l1", "huber", "fair", "quantile", "mape":
	case "binary", "cross_entropy":
		f.Objective = Binary
	case "poisson", "gamma", "tweedie":
		f.Objective = Exponential
	default:
		return fmt.Errorf("objective=%.40s is not supported: train with binary, cross_entropy, regression, poisson, gamma or tweedie", words[0])
	}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, ":")
		switch name {
		case "sqrt":
			return errors.New("objective: reg_sqrt is not supported; train with reg_sqrt=false")
		case "sigmoid":
			v, err := strconv.ParseFloat(value, 64)
			if err != nil || !(v > 0) || bad(v) {
				return fmt.Errorf("objective: sigmoid:%.20s is not a positive number", value)
			}
			f.Sigmoid = v
		}
	}
	return nil
}

// decision_type's bits.
const (
	lightGBMCategorical = 1
	lightGBMDefaultLeft = 2
	lightGBMMissingAt   = 2 // then two bits: none, zero, NaN
)

func (s *lightGBMSection) buildTree() (Tree, error) {
	var t Tree
	if s.linear != nil && string(s.linear) != "0" {
		return t, errors.New("is_linear=1: linear leaves are not supported; train with linear_tree=false")
	}
	leaves, err := strconv.Atoi(string(s.numLeaves))
	if err != nil || leaves < 1 || leaves > MaxLeaves {
		return t, fmt.Errorf("num_leaves=%.20s: want a number from 1 to %d", s.numLeaves, MaxLeaves)
	}
	if leaves == 1 && len(s.value) == 0 {
		t.Leaves = []float64{0}
		return t, nil
	}
	if t.Leaves, err = floats("leaf_value", s.value, leaves); err != nil || leaves == 1 {
		return t, err
	}
	if err := s.buildNodes(&t, leaves-1); err != nil {
		return t, err
	}
	// What contributions and importance need may be absent.
	if len(s.gain) > 0 {
		if t.Gain, err = floats("split_gain", s.gain, leaves-1); err != nil {
			return t, err
		}
	}
	if len(s.leafCount) > 0 && len(s.nodeCount) > 0 {
		if t.LeafCover, err = floats("leaf_count", s.leafCount, leaves); err != nil {
			return t, err
		}
		if t.NodeCover, err = floats("internal_count", s.nodeCount, leaves-1); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (s *lightGBMSection) buildNodes(t *Tree, n int) error {
	feature, e1 := integers("split_feature", s.feature, n, math.MaxInt32)
	left, e2 := integers("left_child", s.left, n, math.MaxInt32)
	right, e3 := integers("right_child", s.right, n, math.MaxInt32)
	threshold, e4 := floats("threshold", s.threshold, n)
	var decision []int64
	var e5 error
	if s.decision == nil {
		decision = make([]int64, n) // files of LightGBM before 2.1
	} else {
		decision, e5 = integers("decision_type", s.decision, n, math.MaxInt32)
	}
	if err := errors.Join(e1, e2, e3, e4, e5); err != nil {
		return err
	}
	boundaries, err := s.buildCategories(t)
	if err != nil {
		return err
	}
	t.Nodes = make([]Node, n)
	for i := range t.Nodes {
		node := &t.Nodes[i]
		*node = Node{Feature: int32(feature[i]), Left: int32(left[i]), Right: int32(right[i])}
		if d := decision[i]; d&lightGBMCategorical != 0 {
			c := threshold[i]
			if !(c >= 0) || c >= float64(len(boundaries)-1) {
				return fmt.Errorf("threshold of node %d: category set %v is not one of num_cat=%.20s", i, c, s.numCat)
			}
			// NaN goes right whatever the missing type says.
			node.Categorical, node.Missing = true, MissingNaN
			node.FirstWord, node.EndWord = int32(boundaries[int(c)]), int32(boundaries[int(c)+1])
		} else {
			node.Threshold = lightGBMThreshold(threshold[i])
			node.DefaultLeft = d&lightGBMDefaultLeft != 0
			m := d >> lightGBMMissingAt & 3
			if m > int64(MissingNaN) {
				return fmt.Errorf("decision_type of node %d: missing type %d is unknown", i, m)
			}
			node.Missing = Missing(m)
		}
	}
	return nil
}

func (s *lightGBMSection) buildCategories(t *Tree) (boundaries []int64, err error) {
	sets := 0
	if s.numCat != nil {
		if sets, err = strconv.Atoi(string(s.numCat)); err != nil || sets < 0 || sets > MaxLeaves {
			return nil, fmt.Errorf("num_cat=%.20s is not a number from 0 to %d", s.numCat, MaxLeaves)
		}
	}
	if sets == 0 {
		return nil, nil
	}
	if boundaries, err = integers("cat_boundaries", s.catBoundaries, sets+1, math.MaxInt32); err != nil {
		return nil, err
	}
	for i, b := range boundaries {
		if i == 0 && b != 0 || i > 0 && b < boundaries[i-1] {
			return nil, fmt.Errorf("cat_boundaries: %d at place %d; they start at 0 and never fall", b, i)
		}
	}
	words, err := integers("cat_threshold", s.catThreshold, int(boundaries[sets]), math.MaxUint32)
	if err != nil {
		return nil, err
	}
	t.Categories = make([]uint32, len(words))
	for i, w := range words {
		if w < 0 {
			return nil, fmt.Errorf("cat_threshold: %d is not a word of 32 bits", w)
		}
		t.Categories[i] = uint32(w)
	}
	return boundaries, nil
}

// lightGBMThreshold brings x ≤ t to a float32. Before it walks, LightGBM sets
// values within zeroThreshold to zero; so all of them go the way of zero, and a
// threshold among them moves to the edge.
func lightGBMThreshold(t float64) float32 {
	zero := float64(zeroThreshold)
	switch {
	case t >= 0 && t < zero:
		return zeroThreshold
	case t < 0 && t >= -zero:
		return math.Nextafter32(-zeroThreshold, float32(math.Inf(-1)))
	}
	return floor32(t)
}

// floats reads exactly n numbers.
func floats(name string, text []byte, n int) ([]float64, error) {
	words, err := splitList(name, text, n)
	if err != nil {
		return nil, err
	}
	out := make([]float64, n)
	for i := range out {
		var w []byte
		w, words = nextWord(words)
		if out[i], err = strconv.ParseFloat(string(w), 64); err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, fmt.Errorf("%s: %.20q at place %d is not a number", name, w, i)
		}
	}
	return out, nil
}

// integers reads exactly n integers of 32 bits, none above largest.
func integers(name string, text []byte, n int, largest int64) ([]int64, error) {
	words, err := splitList(name, text, n)
	if err != nil {
		return nil, err
	}
	out := make([]int64, n)
	for i := range out {
		var w []byte
		w, words = nextWord(words)
		out[i], err = strconv.ParseInt(string(w), 10, 64)
		if err != nil || out[i] < math.MinInt32 || out[i] > largest {
			return nil, fmt.Errorf("%s: %.20q at place %d is not an integer of 32 bits", name, w, i)
		}
	}
	return out, nil
}

// splitList counts the words before anything is allocated for them.
func splitList(name string, text []byte, n int) ([]byte, error) {
	count := 0
	for rest := text; ; count++ {
		var w []byte
		if w, rest = nextWord(rest); len(w) == 0 {
			break
		}
	}
	if count != n {
		return nil, fmt.Errorf("%s has %d values, want %d", name, count, n)
	}
	return text, nil
}

func nextWord(b []byte) (word, rest []byte) {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	i := 0
	for i < len(b) && b[i] != ' ' {
		i++
	}
	return b[:i], b[i:]
}
