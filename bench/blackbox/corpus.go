package blackbox

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Corpus is every bid request of the corpus files, one a line. The test is
// skipped where they are absent.
func Corpus(t testing.TB) [][]byte {
	t.Helper()
	dir := os.Getenv("MILLRACE_CORPUS")
	if dir == "" {
		root, err := Root()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(root, "..", "shared", "corpus")
	}
	var requests [][]byte
	for _, name := range []string{"bidrequests.jsonl", "iab-2.6-requests.jsonl"} {
		file := filepath.Join(dir, "openrtb", name)
		data, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			t.Skipf("the corpus is not here: %s (set MILLRACE_CORPUS to its folder)", file)
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				requests = append(requests, line)
			}
		}
	}
	if len(requests) == 0 {
		t.Fatalf("the corpus in %s is empty", dir)
	}
	return requests
}
