package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// In docs/dependencies.md a dependency is explained in a table row whose first
// cell is the module path in backquotes.
var explainedRow = regexp.MustCompile("(?m)^\\| *`([^`]+)` *\\|([^|]*)\\|")

func findDependencies(t *tree) (faults []Fault) {
	explained := map[string]bool{}
	for _, row := range explainedRow.FindAllStringSubmatch(t.text[dependenciesDoc], -1) {
		explained[row[1]] = true
		if strings.TrimSpace(row[2]) == "" {
			faults = append(faults, Fault{File: dependenciesDoc, Problem: row[1] + " has an empty reason", Remedy: "say what it does for us and why not our own code"})
		}
	}
	required := map[string]bool{}
	for _, mod := range t.mods() {
		for _, r := range mod.Require {
			required[r.Mod.Path] = true
			if !r.Indirect && !explained[r.Mod.Path] {
				faults = append(faults, Fault{File: mod.Syntax.Name, Line: r.Syntax.Start.Line, Problem: r.Mod.Path + " is required without a reason",
					Remedy: "add a row to " + dependenciesDoc + ", or do without it"})
			}
		}
	}
	for _, tool := range t.mod.Tool {
		if module := t.moduleOf(tool.Path); !explained[module] {
			faults = append(faults, Fault{File: "go.mod", Line: tool.Syntax.Start.Line, Problem: fmt.Sprintf("tool %s comes without a reason", tool.Path),
				Remedy: fmt.Sprintf("add a row for %s to %s", module, dependenciesDoc)})
		}
	}
	for module := range explained {
		if !required[module] {
			faults = append(faults, Fault{File: dependenciesDoc, Problem: module + " is explained and not in go.mod", Remedy: "delete its row"})
		}
	}
	return append(faults, t.unexplainedImports(explained)...)
}

// unexplainedImports catches what go.mod still marks as indirect.
func (t *tree) unexplainedImports(explained map[string]bool) (faults []Fault) {
	t.eachFile(func(_ string, f *goFile) {
		for _, imp := range f.imports {
			first, _, _ := strings.Cut(imp.path, "/")
			if first == t.module || !strings.Contains(first, ".") {
				continue // ours, or the standard library
			}
			if module := t.moduleOf(imp.path); !explained[module] {
				faults = append(faults, Fault{File: f.path, Line: imp.line, Problem: fmt.Sprintf("imports %s of a module without a reason", imp.path),
					Remedy: fmt.Sprintf("add a row for %s to %s, or do without it", module, dependenciesDoc)})
			}
		}
	})
	return faults
}

// moduleOf is the required module that holds the package: the longest match.
func (t *tree) moduleOf(pkg string) string {
	var matches []string
	for _, mod := range t.mods() {
		for _, r := range mod.Require {
			if pkg == r.Mod.Path || strings.HasPrefix(pkg, r.Mod.Path+"/") {
				matches = append(matches, r.Mod.Path)
			}
		}
	}
	if len(matches) == 0 {
		return pkg
	}
	return slices.MaxFunc(matches, func(a, b string) int { return len(a) - len(b) })
}
