package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/engine/node"
	"millrace/netio/admin"
)

func sampleDemand() node.DemandStatus {
	return node.DemandStatus{
		File: "demand.yaml", Version: 3, Shards: 2, Stage: map[string]int{"all": 1, "top": 1}, Requests: 5000, Open: 1,
		Partners: []node.PartnerStatus{
			{Name: "alpha", Tier: 1, Near: true, Circuit: "closed", Health: node.HealthStatus{Score: 0.875}, P50: 8.25, P95: 21, P99: 40, Timeout: 26, BidRate: 0.5, WinRate: 0.25, CallValue: 1.2,
				Asked: 4000, Outcomes: map[string]uint64{"answered": 3900, "timeout": 100}, Wins: 500, Value: admin.Amount(1_250_000_000)},
			{Name: "a-bidder-with-a-very-long-name", Tier: 2, Circuit: "open", Cause: "slow", OpenOn: 2, Opened: 4, RetrySeconds: 7.6, P50: 90, P95: -1, P99: -1, Timeout: 120,
				Asked: 1000, Outcomes: map[string]uint64{"timeout": 990, "answered": 10}, Lies: 3},
			{Name: "resting", Tier: 3, Paused: true, Circuit: "closed"},
		},
	}
}

// serveDemand is an admin port that shows a demand side.
func serveDemand(t *testing.T, status int, s any) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/demand" {
			w.WriteHeader(404)
			return
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(s)
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// TestDemandStatusView keeps the table as it was reviewed.
func TestDemandStatusView(t *testing.T) {
	code, out, errs := call(t, "demand", "status", "--admin", serveDemand(t, 200, sampleDemand()))
	if code != exitOK {
		t.Fatal(code, errs)
	}
	v := demandView{now: sampleDemand(), before: sampleDemand(), length: 2 * time.Second}
	v.now.Requests += 200
	v.now.Partners[0].Asked += 150
	v.now.Partners[0].Outcomes = map[string]uint64{"answered": 4040, "timeout": 110}
	v.now.Partners[0].Wins += 3
	v.now.Partners[0].Value += 4_000_000
	var watched strings.Builder
	if err := v.writeText(&watched, 1000); err != nil {
		t.Fatal(err)
	}
	out += "\n" + watched.String()
	file := filepath.Join("testdata", "demand_status.txt")
	if *update {
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out != string(want) {
		t.Errorf("it differs from %s:\n%s", file, out)
	}
	for range 2 {
		var short strings.Builder
		if err := v.writeText(&short, 6); err != nil || !strings.Contains(short.String(), "and 2 more") {
			t.Error(err, short.String())
		}
	}
}

func TestDemandStatusAnswers(t *testing.T) {
	code, out, _ := call(t, "demand", "status", "--json", "--admin", serveDemand(t, 200, sampleDemand()))
	var s node.DemandStatus
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != exitOK || len(s.Partners) != 3 || s.Partners[0].Value != sampleDemand().Partners[0].Value {
		t.Error(code, err, out)
	}
	for _, c := range []struct {
		status int
		body   any
		want   string
	}{{501, map[string]string{"error": "none"}, "no demand file"}, {503, "x", "status 503"}, {200, []int{1}, "GET /demand"}} {
		if code, _, errs := call(t, "demand", "status", "--admin", serveDemand(t, c.status, c.body)); code != exitFault || !strings.Contains(errs, c.want) {
			t.Error(code, errs)
		}
	}
	if code, _, errs := call(t, "demand", "status", "--admin", closedPort(t)); code != exitFault || !strings.Contains(errs, "does not answer") {
		t.Error(code, errs)
	}
	if code, _, _ := call(t, "demand", "status", "--every", "0s"); code != exitUsage {
		t.Error(code)
	}
}
