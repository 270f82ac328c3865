package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"millrace/codec/corpus"
)

const (
	goodRequest  = `{"id":"a","at":1,"imp":[{"id":"1","bidfloor":2,"banner":{"w":300,"h":250}}]}`
	goodResponse = `{"id":"a","seatbid":[{"bid":[{"id":"b","impid":"1","price":3,"adm":"<p>","crid":"c","adomain":["a.example"],"mtype":1}]}]}`
)

// checkInput runs openrtb check over standard input.
func checkInput(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	root := rootCommand()
	var out, errs bytes.Buffer
	root.SetIn(strings.NewReader(input))
	root.SetArgs(append([]string{"openrtb", "check", "-"}, args...))
	root.SetOut(&out)
	root.SetErr(&errs)
	err := root.ExecuteContext(context.Background())
	switch {
	case err == nil:
	case errors.Is(err, errReported):
		code = exitFault
	default:
		code = exitUsage
	}
	return code, out.String(), fmt.Sprint(err)
}

func TestOpenRTBCheckForms(t *testing.T) {
	request := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(request, []byte(goodRequest), 0o644); err != nil {
		t.Fatal(err)
	}
	pretty := "{\n  \"id\": \"a\",\n  \"at\": 1,\n  \"imp\": [\n    {\"id\": \"1\",\n     \"banner\": {\"w\": \"300\"}}\n  ]\n}\n"
	cheap := strings.Replace(goodResponse, `"price":3`, `"price":1`, 1)
	for _, c := range []struct {
		name, input string
		args        []string
		code        int
		says        string
	}{
		{"one request", goodRequest, nil, exitOK, "1 documents (1 requests, 0 responses), 0 errors, 0 warnings"},
		{"a line each", goodRequest + "\n\n" + goodResponse + "\r\n{\"nbr\":2}\n", nil, exitOK, "3 documents (1 requests, 2 responses), 0 errors"},
		{"over many lines", pretty + pretty, nil, exitFault, "standard input:6:22: warning: imp[0].banner.w: a number in quotes (rule 5)\n    write the number without quotes\nstandard input:14:22: warning"},
		{"errors only", pretty, []string{"--errors"}, exitOK, "0 errors, 0 warnings"},
		{"broken among good", goodRequest + "\n" + `{"id":"a","imp":[{"id"` + "\n" + goodRequest + "\n", nil, exitFault, "standard input:2:23: error"},
		{"and counts all", goodRequest + "\n" + `{"id":"a","imp":[{"id"` + "\n" + goodRequest + "\n", nil, exitFault, "3 documents (3 requests, 0 responses), 1 errors"},
		{"not JSON", "hello\n", nil, exitFault, "standard input:1:1: error"},
		{"a response by flag", "{}\n", []string{"--response"}, exitOK, "1 responses"},
		{"a response that is not JSON", `{"seatbid":[{"bid":[{"id":"b","impid":"1","price":NaN,"adm":"x"}]}]}`, []string{"--errors"}, exitFault, "error: seatbid[0].bid[0].price: NaN is no number"},
		{"judged", cheap, []string{"--request", request}, exitFault, "standard input:1:30: error: seatbid[0].bid[0]: rejected: below_floor (loss reason 100, below_auction_floor) (rule 9)\n    bid at least the impression's bidfloor"},
		{"judged well", goodResponse, []string{"--request", request}, exitOK, "0 errors"},
		{"an exchange", `{"status":200,"request":` + goodRequest + `,"response":` + cheap + `}`, nil, exitFault, "below_floor"},
		{"no bid", `{"status":204,"request":` + goodRequest + `,"response":{}}`, nil, exitOK, "1 requests, 1 responses"},
		{"a policy", strings.Replace(goodResponse, `"crid":"c",`, "", 1), []string{"--errors", "--require-crid", "--request", request}, exitFault, "missing_crid"},
		{"nothing", " \n", nil, exitUsage, ""},
		{"twice standard input", goodResponse, []string{"--request", "-"}, exitUsage, ""},
		{"no such request", goodResponse, []string{"--request", request + "x"}, exitUsage, ""},
		{"a request that is none", goodResponse, []string{"--request", os.DevNull}, exitUsage, ""},
	} {
		code, out, errs := checkInput(t, c.input, c.args...)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, want %d; %q does not say %q (%s)", c.name, code, c.code, out, c.says, errs)
		}
	}
	if code, _, errs := call(t, "openrtb", "check", request+"x"); code != exitUsage || !strings.Contains(errs, "cannot read the documents") {
		t.Errorf("a file that is not there: %d %s", code, errs)
	}
	if code, _, _ := call(t, "openrtb", "check", request); code != exitOK {
		t.Errorf("a file: %d", code)
	}
}

func TestOpenRTBCheckJSON(t *testing.T) {
	_, out, _ := checkInput(t, `{"id":"a","imp":[{"id":"1","banner":{"w":-1,"h":"2"}}]}`, "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, line := range lines {
		var f checkFinding
		dec := json.NewDecoder(strings.NewReader(line))
		if i < len(lines)-1 {
			dec.DisallowUnknownFields()
			if err := dec.Decode(&f); err != nil || f.Line != 1 || f.Column < 1 || f.Severity == "" || f.Remedy == "" || f.Rule == 0 || f.Kind != "request" {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		var s checkSummary
		dec.DisallowUnknownFields()
		if err := dec.Decode(&s); err != nil || s.Documents != 1 || s.Errors != 2 || s.Warnings != 2 || len(lines) != 5 {
			t.Errorf("%s: %v", out, err)
		}
	}
}

// repeated is a reader of n times the same text.
type repeated struct {
	text string
	n    int
	rest string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.n--
		r.rest = r.text
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// TestOpenRTBCheckMemory: neither a long file nor a document without end fills
// the memory.
func TestOpenRTBCheckMemory(t *testing.T) {
	run := func(in io.Reader) (held uint64, k *openrtbCheck) {
		var out bytes.Buffer
		root := rootCommand()
		root.SetOut(&out)
		k = newOpenRTBCheck(&checkOptions{}, &out, "test")
		if err := k.run(in); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, k
	}
	before, _ := run(strings.NewReader(goodRequest))
	after, k := run(&repeated{text: goodRequest + "\n", n: 5_000})
	if k.sum.Documents != 5_000 || k.sum.Errors != 0 || after > before+8<<20 {
		t.Errorf("%+v, %d KiB more", k.sum, (int64(after)-int64(before))>>10)
	}
	after, k = run(io.MultiReader(strings.NewReader(`{"id":"`), &repeated{text: strings.Repeat("x", 1<<16), n: 1 << 10}, strings.NewReader("\n"+goodRequest)))
	if k.sum.Errors != 1 || k.sum.Documents != 2 || after > before+3*documentMax {
		t.Errorf("%+v, %d KiB more", k.sum, (int64(after)-int64(before))>>10)
	}
}

func TestOpenRTBCheckCorpus(t *testing.T) {
	for _, name := range []string{corpus.Requests, corpus.IABRequests, corpus.IABResponses, corpus.Exchanges} {
		if !corpus.Has(name) {
			t.Skipf("no corpus file %s", name)
		}
		code, out, errs := call(t, "openrtb", "check", "--errors", filepath.Join(corpus.Dir(), name))
		if code != exitOK && code != exitFault || !strings.Contains(out, " documents (") {
			t.Errorf("%s: %d %s", name, code, errs)
		}
	}
}
