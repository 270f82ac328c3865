package gbdt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Models that the trainers saved and that can't be served are refused in words
// that say which field, and what to do.
func TestRefusedModels(t *testing.T) {
	want := map[string]string{
		"lightgbm-multiclass.txt":  "num_class=3: models of several classes are not supported; train one",
		"lightgbm-ova.txt":         "num_class=3: models of several classes are not supported; train one",
		"lightgbm-linear-tree.txt": "is_linear=1: linear leaves are not supported; train with linear_tree=false",
		"lightgbm-sqrt.txt":        "train with reg_sqrt=false",
		"lightgbm-ranking.txt":     "objective=lambdarank is not supported: train with",
		"xgboost-softprob.json":    "num_class=3: models of several classes are not supported; train one",
		"xgboost-softprob.ubj":     "num_class=3: models of several classes are not supported; train one",
		"xgboost-linear.json":      `booster "gblinear" is not supported; train with booster=gbtree`,
		"xgboost-outputs.json":     "num_target=2: models of several targets are not supported; train one",
		"xgboost-vector-leaf.json": "num_target=2: models of several targets are not supported; train one",
		"xgboost-ranking.json":     `objective "rank:pairwise" is not supported: train with`,
		"xgboost-hinge.json":       `objective "binary:hinge" is not supported: train with`,
		"xgboost-snapshot.ubj":     "save the model with Booster.save_model",
	}
	paths, _ := filepath.Glob("testdata/golden/refused/*")
	if len(paths) != len(want) {
		t.Errorf("%d models in testdata/golden/refused, want %d", len(paths), len(want))
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		if _, err := Load(b); err == nil || !strings.Contains(err.Error(), want[name]) || want[name] == "" {
			t.Errorf("%s: error %v, want %q in it", name, err, want[name])
		}
	}
}
