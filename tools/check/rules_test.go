package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// whole is a small repository that keeps every rule.
func whole() map[string]string {
	return map[string]string{
		"go.mod": `module millrace

go 1.26

require (
	example.org/queue v1.0.0
	example.org/queue/v2 v2.1.0
	example.org/hidden v1.0.0 // indirect
	example.org/lint v0.1.0 // indirect
)

tool example.org/lint/cmd/lint
`,
		"README.md":             "Test it: `go test ./...`\n",
		".ci/run":               "go test ./...\n",
		"docs/dependencies.md":  "| module | reason |\n|---|---|\n| `example.org/queue` | queues |\n| `example.org/queue/v2` | more |\n| `example.org/lint` | finds faults |\n| `example.org/grammar` | parses |\n",
		"codec/unit/doc.go":     "// Package unit holds units.\npackage unit\n",
		"shards/doc.go":         "// Package shards runs loops.\npackage shards\n\nimport _ \"millrace/codec/unit\"\n",
		"state/ledger/doc.go":   "// Package ledger keeps books.\npackage ledger\n\nimport (\n\t_ \"example.org/queue/v2/ring\"\n\t_ \"millrace/shards\"\n\t_ \"millrace/state/window\"\n)\n",
		"state/window/doc.go":   "// Package window is time.\npackage window\n",
		"netio/ingress/doc.go":  "// Package ingress listens.\npackage ingress\n\nimport _ \"millrace/codec/unit\"\n",
		"engine/node/doc.go":    "// Package node composes.\npackage node\n\nimport (\n\t_ \"millrace/netio/ingress\"\n\t_ \"millrace/state/ledger\"\n)\n",
		"bench/load/doc.go":     "// Package load loads.\npackage load\n",
		"tools/millrace/doc.go": "// Command millrace is the one binary.\npackage main\n\nimport (\n\t\"fmt\"\n\n\t_ \"millrace/bench/load\"\n\t_ \"millrace/engine/node\"\n)\n\nfunc main() { fmt.Println() }\n",
		"tools/grammar/go.mod":  "module millrace/tools/grammar\n\nrequire example.org/grammar v1.0.0\n",
		"tools/grammar/doc.go":  "// Command grammar parses.\npackage main\n\nimport _ \"example.org/grammar/sql\"\n",
		// Not source: none of these may be looked at.
		"bench/load/testdata/broken.go": "not go",
		"bin/leftover.go":               "not go",
		".idea/x.go":                    "not go",
	}
}

func faultsOf(t *testing.T, files map[string]string) []Fault {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	tr, err := load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return tr.check()
}

func TestWholeRepositoryHasNoFault(t *testing.T) {
	for _, f := range faultsOf(t, whole()) {
		t.Error(f)
	}
}

// breaches break one thing at a time: the rule, where it must point and a part
// of what it must say.
var breaches = []struct {
	name, rule, at, says string
	change               map[string]string // "" deletes the file
}{
	{"upward", "layers", "codec/unit/up.go:3", "stands above",
		map[string]string{"codec/unit/up.go": "package unit\n\nimport _ \"millrace/shards\"\n"}},
	{"upward from a test", "layers", "engine/node/x_test.go:3", "stands above",
		map[string]string{"engine/node/x_test.go": "package node\n\nimport _ \"millrace/bench/load\"\n"}},
	{"bench imports tools", "layers", "bench/load/x.go:3", "stands above",
		map[string]string{"bench/load/x.go": "package load\n\nimport _ \"millrace/tools/millrace\"\n"}},
	{"netio to state", "layers", "netio/ingress/x.go:3", "never import each other",
		map[string]string{"netio/ingress/x.go": "package ingress\n\nimport _ \"millrace/state/ledger\"\n"}},
	{"state to models", "layers", "state/window/x.go:3", "never import each other",
		map[string]string{"state/window/x.go": "package window\n\nimport _ \"millrace/models/gbdt\"\n"}},
	{"models to netio", "layers", "models/gbdt/x.go:4", "never import each other",
		map[string]string{"models/gbdt/x.go": "// Package gbdt scores.\npackage gbdt\n\nimport _ \"millrace/netio/ingress\"\n"}},
	{"shards to state", "layers", "shards/x.go:3", "stands above",
		map[string]string{"shards/x.go": "package shards\n\nimport _ \"millrace/state/ledger\"\n"}},
	{"strange folder", "folders", "pkg:", "architecture",
		map[string]string{"pkg/thing/doc.go": "// Package thing is.\npackage thing\n"}},
	{"strange folder without Go", "folders", "scripts:", "architecture",
		map[string]string{"scripts/x.sh": "true\n"}},
	{"Go at the top", "folders", "main.go:", "top level",
		map[string]string{"main.go": "// Command . is.\npackage main\n"}},
	{"empty folder name", "names", "codec/util:", "util",
		map[string]string{"codec/util/doc.go": "// Package util is.\npackage util\n"}},
	{"empty package name", "names", "codec/text/doc.go:2", "common",
		map[string]string{"codec/text/doc.go": "// Package common is.\npackage common\n"}},
	{"no package comment", "docs", "state/window:", "without a package comment",
		map[string]string{"state/window/doc.go": "package window\n"}},
	{"a detached comment", "docs", "state/window:", "without a package comment",
		map[string]string{"state/window/doc.go": "// Package window is time.\n\npackage window\n"}},
	{"only a build tag", "docs", "state/window:", "without a package comment",
		map[string]string{"state/window/doc.go": "//go:build linux\n\npackage window\n"}},
	{"comment with another name", "docs", "state/window/doc.go:1", "begin it with \"Package window\"",
		map[string]string{"state/window/doc.go": "// Package windows is time.\npackage window\n"}},
	{"command without its name", "docs", "tools/millrace/doc.go:1", "begin it with \"Command millrace\"",
		map[string]string{"tools/millrace/doc.go": "// The binary.\npackage main\n"}},
	{"two package comments", "docs", "state/window/x.go:1", "second",
		map[string]string{"state/window/x.go": "// Package window again.\npackage window\n"}},
	{"not formatted", "gofmt", "state/window/x.go:3", "gofmt -w state/window/x.go",
		map[string]string{"state/window/x.go": "package window\n\nvar  x = 1\n"}},
	{"requirement without reason", "dependencies", "go.mod:6", "example.org/queue is required",
		map[string]string{"docs/dependencies.md": "| `example.org/queue/v2` | more |\n| `example.org/lint` | x |\n| `example.org/grammar` | parses |\n"}},
	{"no document", "dependencies", "go.mod:6", "example.org/queue is required",
		map[string]string{"docs/dependencies.md": ""}},
	{"tool without reason", "dependencies", "go.mod:12", "lint",
		map[string]string{"docs/dependencies.md": "| `example.org/queue` | x |\n| `example.org/queue/v2` | more |\n| `example.org/grammar` | parses |\n"}},
	{"requirement of a nested module without reason", "dependencies", "tools/grammar/go.mod:4", "example.org/other is required",
		map[string]string{"tools/grammar/go.mod": whole()["tools/grammar/go.mod"] + "require example.org/other v1.0.0\n"}},
	{"import of an indirect module", "dependencies", "state/window/x.go:3", "example.org/hidden",
		map[string]string{"state/window/x.go": "package window\n\nimport _ \"example.org/hidden/deep\"\n"}},
	{"stale reason", "dependencies", "docs/dependencies.md:", "example.org/gone",
		map[string]string{"docs/dependencies.md": whole()["docs/dependencies.md"] + "| `example.org/gone` | was useful |\n"}},
	{"empty reason", "dependencies", "docs/dependencies.md:", "empty reason",
		map[string]string{"docs/dependencies.md": whole()["docs/dependencies.md"] + "| `example.org/hidden` | |\n"}},
	{"README drifts from CI", "readme", "README.md:", "go test",
		map[string]string{"README.md": "Test it: make test\n"}},
	{"CI drifts from README", "readme", ".ci/run:", "go test",
		map[string]string{".ci/run": "make test\n"}},
}

// TestEveryRuleCanFail: each breach is found, by its rule alone; every rule of
// the table has at least one.
func TestEveryRuleCanFail(t *testing.T) {
	broken := map[string]bool{}
	for _, c := range breaches {
		t.Run(c.name, func(t *testing.T) {
			files := whole()
			for name, text := range c.change {
				files[name] = text
			}
			found := false
			for _, f := range faultsOf(t, files) {
				if f.Rule != c.rule {
					t.Errorf("another rule too: %v", f)
				}
				found = found || strings.HasPrefix(f.String(), c.at) && strings.Contains(f.String(), c.says)
			}
			if !found {
				t.Errorf("want a fault of %s at %s saying %q, got %v", c.rule, c.at, c.says, faultsOf(t, files))
			}
		})
		broken[c.rule] = true
	}
	for _, r := range rules {
		if !broken[r.name] {
			t.Errorf("no case breaks the rule %s", r.name)
		}
	}
}

func TestRepository(t *testing.T) {
	root, err := findRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.packages) < 2 {
		t.Fatalf("only %d packages found under %s", len(tr.packages), root)
	}
	for _, f := range tr.check() {
		t.Error(f)
	}
}

func TestCommand(t *testing.T) {
	root := t.TempDir()
	for name, text := range whole() {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"-root", root}, &out, &errs); code != 0 {
		t.Errorf("exit %d on a whole repository: %s%s", code, &out, &errs)
	}
	if err := os.WriteFile(filepath.Join(root, "state/window/x.go"), []byte("package window\nvar x=1"), 0o644); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if code := run([]string{"-root", root}, &out, &errs); code != 1 || !strings.Contains(out.String(), "gofmt") {
		t.Errorf("exit %d on a broken repository: %s", code, &out)
	}
	if code := run([]string{"-root", filepath.Join(root, "docs")}, &out, &errs); code != 2 {
		t.Errorf("exit %d without a go.mod, want 2", code)
	}
	out.Reset()
	if code := run([]string{"-rules"}, &out, &errs); code != 0 || strings.Count(out.String(), "\n") != len(rules) {
		t.Errorf("-rules: exit %d, %s", code, &out)
	}
}
