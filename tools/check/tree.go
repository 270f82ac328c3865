package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// Fault is one breach of one rule.
type Fault struct {
	File    string
	Line    int // 0: the whole file
	Rule    string
	Problem string
	Remedy  string
}

func (f Fault) String() string {
	at := f.File
	if f.Line > 0 {
		at += ":" + strconv.Itoa(f.Line)
	}
	return fmt.Sprintf("%s: %s: %s; %s", at, f.Rule, f.Problem, f.Remedy)
}

// goFile is one parsed source file.
type goFile struct {
	path    string // slash-separated, from the root
	source  []byte
	ast     *ast.File
	lines   *token.File
	imports []importLine
}

type importLine struct {
	path string
	line int
}

// tree is what the rules look at. Immutable after load.
type tree struct {
	module   string
	mod      *modfile.File
	nested   []*modfile.File // of modules in folders below, which keep every rule too
	topDirs  []string
	packages map[string][]*goFile // by folder; "" is the root
	folders  []string             // keys of packages, sorted
	text     map[string]string    // documents the rules read; only those that exist
}

// Folders that are not source. Hidden ones and those in .gitignore at the top
// are the developer's own.
var scratchDirs = []string{"bin", "build", "data", "vendor"}

// The documents that rules read.
const (
	dependenciesDoc = "docs/dependencies.md"
	readme          = "README.md"
	ciRun           = ".ci/run"
)

func load(fsys fs.FS) (*tree, error) {
	t := &tree{packages: map[string][]*goFile{}, text: map[string]string{}}
	data, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	if t.mod, err = modfile.Parse("go.mod", data, nil); err != nil {
		return nil, err
	}
	t.module = t.mod.Module.Mod.Path
	for _, doc := range []string{dependenciesDoc, readme, ciRun} {
		text, err := fs.ReadFile(fsys, doc)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			t.text[doc] = string(text)
		}
	}
	if err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error { return t.visit(fsys, p, d, err) }); err != nil {
		return nil, err
	}
	for dir := range t.packages {
		t.folders = append(t.folders, dir)
	}
	slices.Sort(t.folders)
	return t, nil
}

func (t *tree) visit(fsys fs.FS, p string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	name, top := d.Name(), !strings.Contains(p, "/")
	if d.IsDir() {
		switch {
		case p == ".":
			return nil
		case strings.HasPrefix(name, "."), strings.HasPrefix(name, "_"), name == "testdata", top && slices.Contains(scratchDirs, name):
			return fs.SkipDir
		}
		if top {
			t.topDirs = append(t.topDirs, name)
		}
		return nil
	}
	if name == "go.mod" && !top {
		return t.nest(fsys, p)
	}
	if !strings.HasSuffix(name, ".go") {
		return nil
	}
	f, err := parse(fsys, p)
	if err != nil {
		return err
	}
	dir := path.Dir(p)
	if dir == "." {
		dir = ""
	}
	t.packages[dir] = append(t.packages[dir], f)
	return nil
}

// nest reads the go.mod of a module within the repository.
func (t *tree) nest(fsys fs.FS, p string) error {
	data, err := fs.ReadFile(fsys, p)
	if err != nil {
		return err
	}
	mod, err := modfile.Parse(p, data, nil)
	if err != nil {
		return err
	}
	t.nested = append(t.nested, mod)
	return nil
}

// mods are the repository's go.mod files, its own first.
func (t *tree) mods() []*modfile.File { return append([]*modfile.File{t.mod}, t.nested...) }

func parse(fsys fs.FS, p string) (*goFile, error) {
	source, err := fs.ReadFile(fsys, p)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, p, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &goFile{path: p, source: source, ast: parsed, lines: set.File(parsed.Pos())}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: import %s: %w", p, spec.Path.Value, err)
		}
		f.imports = append(f.imports, importLine{imported, f.lines.Line(spec.Pos())})
	}
	return f, nil
}

// eachFile visits every Go file, in order of folder and name.
func (t *tree) eachFile(visit func(dir string, f *goFile)) {
	for _, dir := range t.folders {
		for _, f := range t.packages[dir] {
			visit(dir, f)
		}
	}
}

// check runs every rule and sorts what they found.
func (t *tree) check() []Fault {
	var faults []Fault
	for _, r := range rules {
		for _, f := range r.find(t) {
			f.Rule = r.name
			faults = append(faults, f)
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(a.Rule, b.Rule))
	})
	return faults
}
