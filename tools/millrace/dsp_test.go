package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"millrace/bench/dspfleet"
)

// TestDSP: the fleet comes up as its flags say, writes what a node needs to
// call it, and sums up.
func TestDSP(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the mock bidders need Linux")
	}
	demand := filepath.Join(t.TempDir(), "demand.yaml")
	code, out, errs := call(t, "dsp", "--dsps", "3", "--protocol", "h2,http1", "--demand", demand, "--set", "dsp-02 faults=hang:0.5", "--at", "0s dsp-03 bids=0.1", "--for", "50ms", "--json", "latency=5ms")
	if code != exitOK || !strings.Contains(errs, "ready, admin on http://127.0.0.1:") {
		t.Fatalf("exit %d %s", code, errs)
	}
	var s dspfleet.Summary
	if err := json.Unmarshal([]byte(out), &s); err != nil || len(s.DSPs) != 3 {
		t.Fatal(err, out)
	}
	for i, want := range []string{"https://", "http://", "https://"} {
		if d := s.DSPs[i]; !strings.HasPrefix(d.URL, want) || d.Settings["latency"] != "5ms" || (d.Settings["faults"] == "ok") != (i != 1) {
			t.Errorf("%+v", d)
		}
	}
	text, err := os.ReadFile(demand)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"id: dsp-03", s.DSPs[1].URL, "protocol: http1", "demand.pem"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if _, err := os.Stat(strings.TrimSuffix(demand, ".yaml") + ".pem"); err != nil {
		t.Error(err)
	}
	if code, out, errs := call(t, "demand", "check", demand); code != exitOK || !strings.Contains(out, "3 partners") {
		t.Errorf("the demand file is not good: %s %s", out, errs)
	}
}
