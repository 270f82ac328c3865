package bundletest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/models/bundle"
	"millrace/models/feature"
	"millrace/models/gbdt"
)

// Options of what is made. The zero value is a small bundle, version 1.
type Options struct {
	Version uint64 // 1 if 0
	Seed    uint64
	Trees   int // of each model; 5 if 0
	Leaves  int // of each tree; 8 if 0
	Rows    int // golden; 40 if 0
	// Offset is added to the first leaf value of each tree: rates differ in
	// level between two bundles of one seed.
	Offset float64
}

// Key is a signing key that depends on the name alone.
func Key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("bundletest " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Public is the public half of Key(name), as Open wants it.
func Public(name string) []ed25519.PublicKey {
	return []ed25519.PublicKey{Key(name).Public().(ed25519.PublicKey)}
}

// File is a bundle signed by Key("test").
func File(t testing.TB, o Options) []byte {
	t.Helper()
	dir := t.TempDir()
	Directory(t, dir, o)
	b, err := bundle.Pack(dir, bundle.PackOptions{Key: Key("test")})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Open is an opened bundle.
func Open(t testing.TB, o Options) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Open(File(t, o), Public("test"), feature.Default(), bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Directory writes what tools/train would, into a folder that it makes.
func Directory(t testing.TB, dir string, o Options) {
	t.Helper()
	o = o.withDefaults()
	schema := feature.Default()
	r := rand.New(rand.NewPCG(o.Seed, 77))
	files := map[string][]byte{
		"ctr.txt":          forest(r, schema, o, 0),
		"cvr.txt":          forest(r, schema, o, 0),
		"context.txt":      forest(r, schema, o, schema.Width(feature.User)),
		"calibration.json": []byte(calibrationText),
	}
	files["golden.json"] = golden(t, r, schema, o, files)
	manifest := map[string]any{
		"format": 1, "name": "test", "version": o.Version, "created": time.Unix(1_800_000_000, 0).UTC(), "schema_sha256": schema.SHA256,
		"parts":   map[string]string{"ctr": "ctr.txt", "cvr": "cvr.txt", "context": "context.txt", "calibration": "calibration.json", "golden": "golden.json"},
		"metrics": map[string]any{"ctr": map[string]float64{"auc": 0.75, "log_loss": 0.06 + float64(o.Version)/1000}},
		"data":    map[string]any{"rows": 1000},
	}
	var err error
	if files[bundle.ManifestFile], err = json.Marshal(manifest); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Trees, 5}, {&o.Leaves, 8}, {&o.Rows, 40}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	o.Version = max(o.Version, 1)
	return o
}

const calibrationText = `{"ctr":{"kind":"platt","global":{"a":1,"b":-3}},"cvr":{"kind":"platt","global":{"a":0.5,"b":-2}},
"context":{"kind":"isotonic","global":{"x":[-4,-1,0,2],"y":[0.001,0.01,0.02,0.2]}}}`

// forest is LightGBM's text of random trees on the columns from first on.
func forest(r *rand.Rand, s *feature.Schema, o Options, first int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=%d\nobjective=binary sigmoid:1\nfeature_names=%s\n\n",
		len(s.Columns)-1, strings.Join(s.Names(), " "))
	for t := range o.Trees {
		tree(&b, r, s, o, t, first)
	}
	b.WriteString("end of trees\n")
	return []byte(b.String())
}

// tree splits a random leaf until there are enough.
func tree(b *strings.Builder, r *rand.Rand, s *feature.Schema, o Options, number, first int) {
	nodes := o.Leaves - 1
	left, right := make([]int, nodes), make([]int, nodes)
	columns, thresholds, decisions := make([]int, nodes), make([]float64, nodes), make([]int, nodes)
	leafCount, nodeCount := make([]int, o.Leaves), make([]int, nodes)
	type place struct {
		node int
		left bool
	}
	leaves := []place{{-1, false}} // where the child number of each leaf is written
	set := func(p place, child int) {
		switch {
		case p.node < 0:
		case p.left:
			left[p.node] = child
		default:
			right[p.node] = child
		}
	}
	for n := range nodes {
		split := r.IntN(len(leaves))
		set(leaves[split], n)
		left[n], right[n] = ^split, ^len(leaves)
		leaves[split] = place{n, true}
		leaves = append(leaves, place{n, false})
		columns[n] = first + r.IntN(len(s.Columns)-first)
		thresholds[n] = float64(float32(math.Exp(3 * r.NormFloat64())))
		decisions[n] = r.IntN(2)*2 | 8 // default left or right, NaN is missing
		nodeCount[n] = 1000
	}
	values := make([]float64, o.Leaves)
	for i := range values {
		values[i] = 0.3 * r.NormFloat64()
		leafCount[i] = 100
	}
	values[0] += o.Offset
	fmt.Fprintf(b, "Tree=%d\nnum_leaves=%d\nnum_cat=0\nsplit_feature=%s\nsplit_gain=%s\nthreshold=%s\ndecision_type=%s\nleft_child=%s\nright_child=%s\nleaf_value=%s\nleaf_count=%s\ninternal_count=%s\nis_linear=0\nshrinkage=0.1\n\n\n",
		number, o.Leaves, words(columns), words(thresholds), words(thresholds), words(decisions), words(left), words(right), words(values), words(leafCount), words(nodeCount))
}

func words[T any](list []T) string {
	return strings.Trim(fmt.Sprint(list), "[]")
}

// golden rows have missing values, and predictions of the naive walk.
func golden(t testing.TB, r *rand.Rand, s *feature.Schema, o Options, files map[string][]byte) []byte {
	t.Helper()
	type row map[string]any
	var rows []row
	x := make([]float32, len(s.Columns))
	targets := []string{"ctr", "cvr", "context"}
	models := map[string]*gbdt.Forest{}
	for _, name := range targets {
		f, err := gbdt.Load(files[name+".txt"])
		if err != nil {
			t.Fatal(err)
		}
		models[name] = f
	}
	platt := func(a, b, raw float64) float64 { return 1 / (1 + math.Exp(-(a*raw + b))) }
	for range o.Rows {
		cells := make([]any, len(x))
		for i := range x {
			switch r.IntN(8) {
			case 0, 1, 2:
				x[i], cells[i] = float32(math.NaN()), nil
				continue
			case 3:
				x[i] = float32(math.Exp(3 * r.NormFloat64()))
			default: // short: bundles are read by fuzzers
				x[i] = float32(r.IntN(9))
			}
			cells[i] = float64(x[i])
		}
		one := row{"x": cells}
		for _, name := range targets {
			one[name+"_raw"] = models[name].Raw(x)
		}
		one["ctr"] = platt(1, -3, models["ctr"].Raw(x))
		one["cvr"] = platt(0.5, -2, models["cvr"].Raw(x))
		one["context"] = isotonic(models["context"].Raw(x))
		rows = append(rows, one)
	}
	text, err := json.Marshal(map[string]any{"rows": rows})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// isotonic is the curve of calibration's context model.
func isotonic(raw float64) float64 {
	x, y := []float64{-4, -1, 0, 2}, []float64{0.001, 0.01, 0.02, 0.2}
	if raw <= x[0] {
		return y[0]
	}
	for i := 1; i < len(x); i++ {
		if raw <= x[i] {
			return y[i-1] + (y[i]-y[i-1])*(raw-x[i-1])/(x[i]-x[i-1])
		}
	}
	return y[len(y)-1]
}
