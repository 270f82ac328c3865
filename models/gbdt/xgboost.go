package gbdt

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// isXGBoost reports whether b begins as JSON or UBJSON does.
func isXGBoost(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	return len(b) > 0 && b[0] == '{'
}

// LoadXGBoost reads a model that XGBoost 1.7 or newer saved as JSON or UBJSON
// (Booster.save_model, save_raw), told apart by the bytes after the first brace.
func LoadXGBoost(b []byte) (*Forest, error) {
	f, err := loadXGBoost(b)
	if err != nil {
		return nil, fmt.Errorf("xgboost model: %w", err)
	}
	return f, nil
}

func loadXGBoost(b []byte) (*Forest, error) {
	if err := checkSize(b); err != nil {
		return nil, err
	}
	if !isXGBoost(b) {
		return nil, errors.New(`no "{" at the start: save it with Booster.save_model as .json or .ubj; the old binary format is not supported`)
	}
	var d document = &ubjsonDocument{b: b}
	if rest := bytes.TrimLeft(bytes.TrimLeft(b, " \t\r\n")[1:], " \t\r\n"); len(rest) > 0 && (rest[0] == '"' || rest[0] == '}') {
		d = &jsonDocument{b: b}
	}
	var m xgboostModel
	if err := m.read(d); err != nil {
		return nil, err
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return m.forest()
}

// xgboostModel is what a model file says, before it is brought to a Forest. The
// members of an object come in any order.
type xgboostModel struct {
	version                         []int32
	objective                       string
	base, classes, targets, columns string
	names                           []string
	group                           []int32
	trees                           []xgboostTree
	dart                            bool
	weights                         []float32 // of dart's trees
}

func (m *xgboostModel) read(d document) error {
	learner := false
	err := object(d, func(key string) error {
		switch key {
		case "learner":
			learner = true
			return object(d, func(key string) error { return m.readLearner(d, key) })
		case "version":
			return indices(d, 8, &m.version)
		case "Model", "Config":
			return errors.New("this is a memory snapshot (serialize, pickle); save the model with Booster.save_model")
		}
		return d.skip()
	})
	if err == nil && !learner {
		return errors.New("learner is missing; save the model with Booster.save_model")
	}
	return err
}

func (m *xgboostModel) readLearner(d document, key string) error {
	switch key {
	case "feature_names":
		m.names = nil
		return array(d, func(i int) error {
			if i >= MaxColumns {
				return fmt.Errorf("more than %d; train on fewer columns", MaxColumns)
			}
			name, err := d.text()
			m.names = append(m.names, name)
			return err
		})
	case "gradient_booster":
		return object(d, func(key string) error { return m.readBooster(d, key) })
	case "learner_model_param":
		return texts(d, map[string]*string{"base_score": &m.base, "num_class": &m.classes, "num_target": &m.targets, "num_feature": &m.columns})
	case "objective":
		return texts(d, map[string]*string{"name": &m.objective})
	}
	return d.skip()
}

// texts takes an object and keeps the strings that are asked for.
func texts(d document, into map[string]*string) error {
	return object(d, func(key string) error {
		at := into[key]
		if at == nil {
			return d.skip()
		}
		var err error
		*at, err = d.text()
		return err
	})
}

// readBooster takes a member of gradient_booster; dart's has a whole gbtree in it.
func (m *xgboostModel) readBooster(d document, key string) error {
	switch key {
	case "name":
		name, err := d.text()
		m.dart = m.dart || name == "dart"
		if err == nil && name != "gbtree" && name != "dart" {
			return fmt.Errorf("booster %.40q is not supported; train with booster=gbtree or dart", name)
		}
		return err
	case "gbtree":
		return object(d, func(key string) error { return m.readBooster(d, key) })
	case "weight_drop":
		m.dart = true
		return numbers(d, MaxTrees, &m.weights)
	case "model":
		return object(d, func(key string) error {
			switch key {
			case "tree_info":
				return indices(d, MaxTrees, &m.group)
			case "trees":
				return m.readTrees(d)
			}
			return d.skip()
		})
	}
	return d.skip()
}

func (m *xgboostModel) readTrees(d document) error {
	m.trees = nil
	return array(d, func(i int) error {
		if i >= MaxTrees {
			return fmt.Errorf("more than %d trees; train fewer", MaxTrees)
		}
		m.trees = append(m.trees, xgboostTree{})
		t := &m.trees[i]
		return object(d, func(key string) error { return t.read(d, key) })
	})
}

func (m *xgboostModel) forest() (*Forest, error) {
	f := &Forest{Trainer: "xgboost", Float32: true, Sigmoid: 1, FeatureNames: m.names}
	for i, v := range m.version {
		f.Trainer += " ."[min(i, 1):min(i, 1)+1] + strconv.Itoa(int(v))
	}
	if err := m.checkShape(f); err != nil {
		return nil, err
	}
	if err := m.setObjective(f); err != nil {
		return nil, err
	}
	if m.dart && len(m.weights) != len(m.trees) {
		return nil, fmt.Errorf("weight_drop: %d weights for %d trees; save the model again", len(m.weights), len(m.trees))
	}
	f.Trees = make([]Tree, len(m.trees))
	words := MaxCategoryWords
	for i := range m.trees {
		weight := float32(1)
		if m.dart {
			weight = m.weights[i]
		}
		if err := m.trees[i].build(&f.Trees[i], weight, &words); err != nil {
			return nil, fmt.Errorf("trees[%d].%w", i, err)
		}
		m.trees[i] = xgboostTree{} // free for the collector
	}
	return f, f.finish()
}

// checkShape refuses what has more than one output.
func (m *xgboostModel) checkShape(f *Forest) error {
	if m.classes != "" && m.classes != "0" && m.classes != "1" {
		return fmt.Errorf("num_class=%.20s: models of several classes are not supported; train one binary or regression model", m.classes)
	}
	if m.targets != "" && m.targets != "0" && m.targets != "1" {
		return fmt.Errorf("num_target=%.20s: models of several targets are not supported; train one model a target", m.targets)
	}
	for i, g := range m.group {
		if g != 0 {
			return fmt.Errorf("tree_info[%d] = %d: models of several outputs are not supported; train one model an output", i, g)
		}
	}
	var err error
	if f.Columns, err = strconv.Atoi(m.columns); err != nil || f.Columns < 0 || f.Columns > MaxColumns {
		return fmt.Errorf("num_feature=%.20q: want a number from 0 to %d; train on fewer columns", m.columns, MaxColumns)
	}
	return nil
}

// setObjective also brings base_score, a prediction, to the margin that sums
// start from, in float32 as XGBoost does.
func (m *xgboostModel) setObjective(f *Forest) error {
	text := strings.Trim(m.base, "[] ") // a vector of one since 3.1
	if strings.Contains(text, ",") {
		return fmt.Errorf("base_score=%.40s: models of several outputs are not supported; train one model an output", m.base)
	}
	base64, err := strconv.ParseFloat(text, 32)
	if err != nil {
		return fmt.Errorf("base_score=%.20q is not a number", m.base)
	}
	base := float32(base64)
	switch m.objective {
	case "reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror", "reg:quantileerror", "reg:linear",
		"binary:logitraw": // its base_score is a margin already, its prediction the raw score
	case "binary:logistic", "reg:logistic":
		if !(base > 0 && base < 1) {
			return fmt.Errorf("base_score=%v: %s needs one between 0 and 1", base, m.objective)
		}
		base = -float32(math.Log(float64(1/base - 1)))
		f.Objective = Binary
	case "count:poisson", "reg:gamma", "reg:tweedie":
		if !(base > 0) {
			return fmt.Errorf("base_score=%v: %s needs one above 0", base, m.objective)
		}
		base = float32(math.Log(float64(base)))
		f.Objective = Exponential
	default:
		return fmt.Errorf("objective %.40q is not supported: train with binary:logistic, binary:logitraw, reg:squarederror, count:poisson, reg:gamma or reg:tweedie", m.objective)
	}
	f.Base = float64(base)
	return nil
}
