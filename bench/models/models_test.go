package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder has small trained models under the names of the benchmark's, and rows.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var x index
	for _, pattern := range []string{"*.txt", "*.json"} {
		all, err := filepath.Glob(filepath.Join("..", "..", "models", "gbdt", "testdata", "golden", pattern))
		if err != nil || len(all) == 0 {
			t.Fatalf("no golden model %s: %v", pattern, err)
		}
		b, err := os.ReadFile(all[0])
		if err != nil {
			t.Fatal(err)
		}
		m := modelFile{File: filepath.Base(all[0]), Trainer: map[string]string{"*.txt": "lightgbm", "*.json": "xgboost"}[pattern]}
		x.Models = append(x.Models, m)
		if err := os.WriteFile(filepath.Join(dir, m.File), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(x)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "models.json"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for name, n := range map[string]int{"requests": 8 * split.Request, "ads": 300 * split.Ad, "cross": pairRows * split.Cross} {
		var b []byte
		for range n {
			b = binary.LittleEndian.AppendUint32(b, uint32(0x3f000000+r.IntN(1<<24)))
		}
		if err := os.WriteFile(filepath.Join(dir, name+".f32"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRun(t *testing.T) {
	var out, faults bytes.Buffer
	code := run([]string{"-models", folder(t), "-python", "none", "-ads", "300", "-rounds", "1", "-budget", "1ms", "-candidates", "1,10"}, &out, &faults)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, faults.String())
	}
	for _, want := range []string{"SKIPPED: the C APIs", "10 candidates: naive ", "| twin ", "B an ad; masks of 300 ads", "result hash "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the output:\n%s", want, out.String())
		}
	}
}

func TestRunWithoutModels(t *testing.T) {
	var out, faults bytes.Buffer
	if code := run([]string{"-models", t.TempDir(), "-python", "none"}, &out, &faults); code != 0 || !strings.Contains(out.String(), "SKIPPED: no models") {
		t.Errorf("exit %d: %s%s", code, out.String(), faults.String())
	}
	for _, args := range [][]string{{"-candidates", "0"}, {"-rounds", "0"}, {"-ads", "1"}, {"x"}} {
		if code := run(args, &out, &faults); code != 2 {
			t.Errorf("%v: exit %d, not 2", args, code)
		}
	}
}
