package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/models/bundle/bundletest"
)

// TestModel goes from a trained directory to a bundle and looks at it.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	code, public, errs := call(t, "model", "keygen", at("release"))
	if code != exitOK || !strings.HasPrefix(public, "millrace-model-public-key:") {
		t.Fatalf("keygen: exit %d, %s%s", code, public, errs)
	}
	if info, err := os.Stat(at("release.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v, %v", info.Mode(), err)
	}
	if code, _, errs := call(t, "model", "keygen", at("release")); code != exitFault || !strings.Contains(errs, "exists") {
		t.Errorf("a key was overwritten: exit %d, %s", code, errs)
	}
	for version, out := range map[uint64]string{1: "old", 2: "new"} {
		bundletest.Directory(t, at(out), bundletest.Options{Version: version, Offset: float64(version)})
		code, text, errs := call(t, "model", "sign", at(out), "--key", at("release.key"), "--out", at(out+".bundle"))
		if code != exitOK || !strings.Contains(text, "signed: test version") {
			t.Fatalf("sign: exit %d, %s%s", code, text, errs)
		}
	}
	cases := []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"verify", at("new.bundle"), "--key", at("release.pub")}, 0, "good: test version 2", ""},
		{[]string{"verify", at("new.bundle"), "--key", strings.TrimSpace(public), "--in-force", "1", "--json"}, 0, `"ok": true`, ""},
		{[]string{"verify", at("new.bundle"), "--key", at("release.pub"), "--in-force", "2"}, 1, "", "refused: downgraded"},
		{[]string{"verify", at("new.bundle"), "--key", at("release.pub"), "--in-force", "2", "--json"}, 1, `"reason": "downgraded"`, ""},
		{[]string{"verify", at("old/manifest.json"), "--key", at("release.pub")}, 1, "", "not a bundle"},
		{[]string{"verify", at("new.bundle"), "--key", at("release.key")}, 1, "", "private key"},
		{[]string{"verify", at("new.bundle")}, 2, "", "--key is missing"},
		{[]string{"verify", at("none"), "--key", at("release.pub")}, 1, "", "no such file"},
		{[]string{"verify", "/dev/zero", "--key", at("release.pub")}, 1, "", "too large"},
		{[]string{"sign", at("old"), "--key", at("release.pub"), "--out", at("x")}, 1, "", "public key"},
		{[]string{"sign", at("old"), "--key", at("release.key")}, 2, "", "--out is missing"},
		{[]string{"sign", dir, "--key", at("release.key"), "--out", at("x")}, 1, "", "manifest.json"},
		{[]string{"inspect", at("old.bundle")}, 0, "not checked; give --key", ""},
		{[]string{"inspect", at("old.bundle"), "--key", at("release.pub"), "--top", "2"}, 0, "(good)", ""},
		{[]string{"inspect", at("old.bundle"), "--json"}, 0, `"features"`, ""},
		{[]string{"diff", at("old.bundle"), at("new.bundle")}, 0, "metrics.ctr.log_loss", ""},
		{[]string{"diff", at("old.bundle"), at("new.bundle"), "--json"}, 0, `"mean_move"`, ""},
		{[]string{"diff", at("old.bundle")}, 2, "", "accepts 2 arg"},
		{[]string{"diff", at("old.bundle"), at("release.pub")}, 1, "", "not a bundle"},
		{nil, 0, "keygen", ""},
	}
	for _, c := range cases {
		code, out, errs := call(t, append([]string{"model"}, c.args...)...)
		if code != c.code || !strings.Contains(out, c.stdout) || !strings.Contains(errs, c.stderr) {
			t.Errorf("%v: exit %d, want %d\nstdout %q\nstderr %q", c.args, code, c.code, out, errs)
		}
		if strings.Contains(out, `{`) && !json.Valid([]byte(out)) {
			t.Errorf("%v: not JSON: %s", c.args, out)
		}
	}
	if _, err := os.Stat(at("x")); err == nil {
		t.Error("a bundle that was refused was written")
	}
}

// A directory whose golden rows the models do not predict gives no file.
func TestModelSignProvesBeforeItWrites(t *testing.T) {
	dir := t.TempDir()
	bundletest.Directory(t, dir, bundletest.Options{})
	call(t, "model", "keygen", filepath.Join(dir, "k"))
	text, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(text), `"ctr":0`, `"ctr":1`, 1)
	if err := os.WriteFile(filepath.Join(dir, "golden.json"), []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.bundle")
	code, _, errs := call(t, "model", "sign", dir, "--key", filepath.Join(dir, "k.key"), "--out", out)
	if code != exitFault || !strings.Contains(errs, "golden mismatch") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the file was written")
	}
}
