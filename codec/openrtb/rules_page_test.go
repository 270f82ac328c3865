package openrtb

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRulesPage: each of the 24 rules has a test somewhere in the repository,
// and the page of the rules names every such test and none that is not there.
func TestRulesPage(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "openrtb.md"))
	if err != nil {
		t.Fatal(err)
	}
	function, name := regexp.MustCompile(`(?m)^func (TestRule\d\w*)\(`), regexp.MustCompile(`TestRule\d\w*`)
	tests := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, m := range function.FindAllSubmatch(source, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for test := range tests {
		if !bytes.Contains(page, []byte(test)) {
			t.Errorf("docs/openrtb.md does not name %s", test)
		}
	}
	for _, test := range name.FindAllString(string(page), -1) {
		if !tests[test] {
			t.Errorf("docs/openrtb.md names %s, which is not there", test)
		}
	}
	for rule := 1; rule <= 24; rule++ {
		found := false
		for test := range tests {
			found = found || strings.HasPrefix(test, fmt.Sprintf("TestRule%02d", rule))
		}
		if !found {
			t.Errorf("rule %d has no test", rule)
		}
	}
}
