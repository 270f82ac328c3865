package bundle_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/models/bundle"
	"millrace/models/bundle/bundletest"
	"millrace/models/feature"
)

func TestPackIsDeterministic(t *testing.T) {
	dir := t.TempDir()
	bundletest.Directory(t, dir, bundletest.Options{})
	var files [2][]byte
	for i := range files {
		var err error
		if files[i], err = bundle.Pack(dir, bundle.PackOptions{Key: bundletest.Key("test")}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the same directory and key gave two files")
	}
	b, err := bundle.Pack(dir, bundle.PackOptions{Key: bundletest.Key("test"), Version: 77})
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := bundle.Open(b, bundletest.Public("test"), feature.Default(), bundle.Options{}); err != nil || opened.Version() != 77 {
		t.Errorf("%v, %v", opened, err)
	}
	unsigned, err := bundle.Pack(dir, bundle.PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r := reasonOf(t, unsigned, bundle.Options{}); r.Reason != bundle.Unsigned {
		t.Error(r)
	}
}

func TestPackRefusesDirectories(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, words string
		change      func(dir string, m map[string]any)
	}{
		{"path", "plain file name", func(_ string, m map[string]any) { m["parts"].(map[string]any)["ctr"] = "../secret.txt" }},
		{"absolute path", "plain file name", func(_ string, m map[string]any) { m["parts"].(map[string]any)["ctr"] = secret }},
		{"link that leads out", "parts.ctr", func(dir string, m map[string]any) {
			os.Remove(filepath.Join(dir, "ctr.txt"))
			os.Symlink(secret, filepath.Join(dir, "ctr.txt"))
		}},
		{"folder", "regular file", func(dir string, m map[string]any) {
			os.Remove(filepath.Join(dir, "ctr.txt"))
			os.Mkdir(filepath.Join(dir, "ctr.txt"), 0o755)
		}},
		{"part missing", "parts.golden: missing", func(_ string, m map[string]any) { delete(m["parts"].(map[string]any), "golden") }},
		{"part unknown", "parts.extra", func(_ string, m map[string]any) { m["parts"].(map[string]any)["extra"] = "ctr.txt" }},
		{"field unknown", "colour", func(_ string, m map[string]any) { m["colour"] = 1 }},
		{"version", "version", func(_ string, m map[string]any) { m["version"] = 0 }},
		{"name", "name", func(_ string, m map[string]any) { m["name"] = "A B" }},
		{"metrics", "metrics", func(_ string, m map[string]any) { m["metrics"] = []int{1} }},
		{"other schema, and no part", "parts.schema", func(_ string, m map[string]any) { m["schema_sha256"] = strings.Repeat("00", 32) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			bundletest.Directory(t, dir, bundletest.Options{})
			file := filepath.Join(dir, bundle.ManifestFile)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var m map[string]any
			if err := json.Unmarshal(text, &m); err != nil {
				t.Fatal(err)
			}
			c.change(dir, m)
			if text, err = json.Marshal(m); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err = bundle.Pack(dir, bundle.PackOptions{Key: bundletest.Key("test")})
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%v; want %q", err, c.words)
			}
		})
	}
	if _, err := bundle.Pack(filepath.Join(t.TempDir(), "none"), bundle.PackOptions{}); err == nil {
		t.Error("a folder that does not exist was packed")
	}
}

func TestReadFileIsBounded(t *testing.T) {
	if _, err := bundle.ReadFile("/dev/zero"); err == nil || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("an endless file: %v", err)
	}
	if _, err := bundle.ReadFile(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file was read")
	}
}

func TestKeysInText(t *testing.T) {
	key := bundletest.Key("test")
	private, public := bundle.FormatPrivateKey(key), bundle.FormatPublicKey(bundletest.Public("test")[0])
	if k, err := bundle.ParsePrivateKey(" " + private + "\n"); err != nil || !k.Equal(key) {
		t.Error(err)
	}
	if k, err := bundle.ParsePublicKey(public + "\r\n"); err != nil || !k.Equal(key.Public()) {
		t.Error(err)
	}
	for _, c := range []struct {
		text, words string
		private     bool
	}{
		{public, "public key", true}, {private, "private key", false}, {"", "keygen", true}, {"", "keygen", false},
		{private[:60], "damaged", true}, {public + "A", "damaged", false},
	} {
		var err error
		if c.private {
			_, err = bundle.ParsePrivateKey(c.text)
		} else {
			_, err = bundle.ParsePublicKey(c.text)
		}
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%.40q: %v; want %q", c.text, err, c.words)
		}
		if err != nil && strings.Contains(err.Error(), private[30:50]) {
			t.Error("an error repeats the secret")
		}
	}
	generated, err := bundle.GenerateKey()
	if err != nil || generated.Equal(key) {
		t.Error(err)
	}
}
