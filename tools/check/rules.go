package main

import (
	"bytes"
	"fmt"
	"go/format"
	"path"
	"slices"
	"strings"
)

// rule is one thing the repository promises about itself.
type rule struct {
	name string
	says string
	find func(*tree) []Fault
}

// The table is filled in init because the rules reach it through tree.check.
var rules []rule

func init() {
	rules = []rule{
		{"layers", "imports go downward: tools → bench → engine → {netio, state, models} → shards → codec; netio, state and models never import each other", findLayers},
		{"folders", "the top level holds the folders of the architecture page and no Go file", findFolders},
		{"names", "no folder or package is named after nothing (util, common, helper, manager, base, ...)", findNames},
		{"docs", "every package has one package comment that begins with its name", findDocs},
		{"gofmt", "every Go file is formatted by gofmt", findFormat},
		{"dependencies", "every module that is imported, required directly or run as a tool has its reason in " + dependenciesDoc, findDependencies},
		{"readme", "the README's test command is the one that .ci/run runs", findReadme},
	}
}

// layer is the height of each top-level code folder. Equal heights never import
// each other, except within one folder.
var layer = map[string]int{
	"codec": 0, "shards": 1,
	"netio": 2, "state": 2, "models": 2,
	"engine": 3, "bench": 4, "tools": 5,
}

// Top-level folders without Go code.
var documentFolders = []string{"docs"}

func topOf(dir string) string {
	top, _, _ := strings.Cut(dir, "/")
	return top
}

func findLayers(t *tree) (faults []Fault) {
	t.eachFile(func(dir string, f *goFile) {
		from, known := layer[topOf(dir)]
		if !known {
			return // the rule on folders reports it
		}
		for _, imp := range f.imports {
			inside, ours := strings.CutPrefix(imp.path, t.module+"/")
			if !ours {
				continue
			}
			target := topOf(inside)
			to, known := layer[target]
			if !known || to < from || target == topOf(dir) {
				continue
			}
			problem, remedy := fmt.Sprintf("%s imports %s, which stands above it", dir, inside),
				"declare what you need as a small interface or struct on this side and let engine (or tools) connect the two"
			if to == from {
				problem = fmt.Sprintf("%s imports %s; netio, state and models never import each other", dir, inside)
			}
			faults = append(faults, Fault{File: f.path, Line: imp.line, Problem: problem, Remedy: remedy})
		}
	})
	return faults
}

func findFolders(t *tree) (faults []Fault) {
	for _, dir := range t.topDirs {
		if _, code := layer[dir]; !code && !slices.Contains(documentFolders, dir) {
			faults = append(faults, Fault{File: dir, Problem: "not a folder of the architecture page",
				Remedy: "put it under codec, shards, models, state, netio, engine, bench, tools or docs"})
		}
	}
	for _, f := range t.packages[""] {
		faults = append(faults, Fault{File: f.path, Problem: "Go file at the top level", Remedy: "move it into the package that owns it"})
	}
	return faults
}

// Names that say nothing about what a package owns.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "base", "misc", "shared", "stuff"}

func findNames(t *tree) (faults []Fault) {
	const remedy = "name it after what it owns"
	for _, dir := range t.folders {
		if name := path.Base(dir); slices.Contains(emptyNames, name) {
			faults = append(faults, Fault{File: dir, Problem: fmt.Sprintf("folder named %q", name), Remedy: remedy})
		}
		for _, f := range t.packages[dir] {
			name := strings.TrimSuffix(f.ast.Name.Name, "_test")
			if slices.Contains(emptyNames, name) && name != path.Base(dir) {
				faults = append(faults, Fault{File: f.path, Line: f.lines.Line(f.ast.Name.Pos()), Problem: fmt.Sprintf("package named %q", name), Remedy: remedy})
			}
		}
	}
	return faults
}

func findDocs(t *tree) (faults []Fault) {
	for _, dir := range t.folders {
		faults = append(faults, docOf(dir, t.packages[dir])...)
	}
	return faults
}

func docOf(dir string, files []*goFile) (faults []Fault) {
	documented := ""
	for _, f := range files {
		if f.ast.Doc == nil || strings.TrimSpace(f.ast.Doc.Text()) == "" {
			continue
		}
		if documented != "" {
			faults = append(faults, Fault{File: f.path, Line: 1, Problem: "a second package comment; the first is in " + documented,
				Remedy: "keep one, or put an empty line before the package clause"})
			continue
		}
		documented = f.path
		name := strings.TrimSuffix(f.ast.Name.Name, "_test")
		begins := "Package " + name + " "
		if name == "main" {
			begins = "Command " + path.Base(dir) + " "
		}
		if text := strings.Join(strings.Fields(f.ast.Doc.Text()), " ") + " "; !strings.HasPrefix(text, begins) {
			faults = append(faults, Fault{File: f.path, Line: f.lines.Line(f.ast.Doc.Pos()), Problem: "the package comment does not begin with its name",
				Remedy: fmt.Sprintf("begin it with %q", strings.TrimSpace(begins))})
		}
	}
	if documented == "" {
		faults = append(faults, Fault{File: dir, Problem: "package without a package comment",
			Remedy: "add a doc.go: what it owns, who may import it, its lifetime rules"})
	}
	return faults
}

func findFormat(t *tree) (faults []Fault) {
	t.eachFile(func(_ string, f *goFile) {
		formatted, err := format.Source(f.source)
		if err != nil {
			faults = append(faults, Fault{File: f.path, Problem: err.Error(), Remedy: "mend the syntax"})
			return
		}
		if !bytes.Equal(formatted, f.source) {
			faults = append(faults, Fault{File: f.path, Line: firstDifference(formatted, f.source), Problem: "not formatted", Remedy: "run gofmt -w " + f.path})
		}
	})
	return faults
}

func firstDifference(a, b []byte) int {
	line := 1
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			break
		}
		if a[i] == '\n' {
			line++
		}
	}
	return line
}

// findReadme keeps the two places that name the test command together.
func findReadme(t *tree) []Fault {
	const command = "go test ./..."
	var faults []Fault
	for _, doc := range []string{readme, ciRun} {
		if text, present := t.text[doc]; present && !strings.Contains(text, command) {
			faults = append(faults, Fault{File: doc, Problem: fmt.Sprintf("does not name the test command %q", command),
				Remedy: "the README and .ci/run run the tests in the same words"})
		}
	}
	return faults
}
