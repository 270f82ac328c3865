// Package corpus finds the shared corpus of real inputs for tests and
// benchmarks: files that nobody of the project wrote and that are not part of
// the repository. Where they are absent the test is skipped, visibly.
//
// It is for tests only; no package of the program imports it.
package corpus

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Env overrides where the corpus is looked for.
const Env = "MILLRACE_CORPUS"

// Files of the corpus.
const (
	// Requests are OpenRTB 2.x bid requests, one a line.
	Requests = "openrtb/bidrequests.jsonl"
	// IABRequests are the examples of the OpenRTB 2.6 specification.
	IABRequests = "openrtb/iab-2.6-requests.jsonl"
	// IABResponses are its example responses.
	IABResponses = "openrtb/iab-2.6-responses.jsonl"
	// Exchanges are {status, request, response} of bidders, one a line.
	Exchanges = "openrtb/dsp-exchanges.jsonl"
)

// Dir is the corpus directory: $MILLRACE_CORPUS, else shared/corpus beside the
// repository or beside one of the directories above it. "" if there is none.
func Dir() string {
	if dir := os.Getenv(Env); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		above := filepath.Dir(dir)
		if above == dir {
			return ""
		}
		dir = above
		found := filepath.Join(dir, "shared", "corpus")
		if info, err := os.Stat(found); err == nil && info.IsDir() {
			return found
		}
	}
}

// Has reports whether the corpus has the file, for those who add it to what
// they have of their own.
func Has(name string) bool {
	dir := Dir()
	if dir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
	return err == nil
}

// Lines are the non-empty lines of a corpus file. The test is skipped if it
// is not there.
func Lines(tb testing.TB, name string) [][]byte {
	tb.Helper()
	dir := Dir()
	if dir == "" {
		tb.Skipf("no corpus: neither $%s is set nor is there a ../shared/corpus beside the repository", Env)
	}
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		tb.Skipf("corpus file absent: %v", err)
	}
	var lines [][]byte
	for line := range bytes.Lines(data) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		tb.Fatalf("corpus file %s is empty", name)
	}
	return lines
}

// Exchange is what a bidder was sent and what it answered.
type Exchange struct {
	Status   int             `json:"status"`
	Request  json.RawMessage `json:"request"`
	Response json.RawMessage `json:"response"`
}

// ReadExchanges are the recorded exchanges. The test is skipped if the corpus
// is not there.
func ReadExchanges(tb testing.TB) []Exchange {
	tb.Helper()
	return ParseExchanges(tb, Lines(tb, Exchanges))
}

// ParseExchanges reads exchanges, one a line.
func ParseExchanges(tb testing.TB, lines [][]byte) (list []Exchange) {
	tb.Helper()
	for n, line := range lines {
		var x Exchange
		if err := json.Unmarshal(line, &x); err != nil {
			tb.Fatalf("exchange %d: %v", n+1, err)
		}
		list = append(list, x)
	}
	return list
}
