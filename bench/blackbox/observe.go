package blackbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"

	"millrace/codec/unit"
	"millrace/netio/admin"
)

// Campaigns reads GET /campaigns.
func (s *Server) Campaigns() map[string]admin.CampaignStatus {
	s.t.Helper()
	code, body, err := get(s.Admin + "/campaigns")
	if err != nil || code != http.StatusOK {
		s.t.Fatalf("GET /campaigns: status %d, error %v\n%s", code, err, body)
	}
	var list []admin.CampaignStatus
	if err := json.Unmarshal(body, &list); err != nil {
		// A listing under a key is as good as a bare one.
		var wrapped struct {
			Campaigns []admin.CampaignStatus `json:"campaigns"`
		}
		if json.Unmarshal(body, &wrapped) != nil {
			s.t.Fatalf("GET /campaigns: %v\n%s", err, body)
		}
		list = wrapped.Campaigns
	}
	byName := make(map[string]admin.CampaignStatus, len(list))
	for _, c := range list {
		byName[c.Name] = c
	}
	return byName
}

// Spent is a campaign's spend of all time, by GET /campaigns.
func (s *Server) Spent(campaign string) unit.Nanos {
	s.t.Helper()
	c, known := s.Campaigns()[campaign]
	if !known {
		s.t.Fatalf("GET /campaigns does not list %q", campaign)
	}
	return unit.Nanos(c.Budget.SpentTotal)
}

// Metrics reads GET /metrics: the sum over all labels, by name.
func (s *Server) Metrics() map[string]float64 {
	s.t.Helper()
	code, body, err := get(s.Admin + "/metrics")
	if err != nil || code != http.StatusOK {
		s.t.Fatalf("GET /metrics: status %d, error %v", code, err)
	}
	sums, err := parseMetrics(body)
	if err != nil {
		s.t.Fatalf("GET /metrics: %v", err)
	}
	return sums
}

// parseMetrics reads Prometheus text and refuses what a scraper would.
func parseMetrics(text []byte) (map[string]float64, error) {
	sums, types := map[string]float64{}, map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(kind, " ")
			if types[name] != "" {
				return nil, fmt.Errorf("line %d: a second TYPE of %s", n, name)
			}
			types[name] = kind
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		end := strings.LastIndexByte(line, ' ')
		if end < 0 {
			return nil, fmt.Errorf("line %d has no value: %q", n, line)
		}
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		name, _, _ := strings.Cut(line[:end], "{")
		sums[name] += value
	}
	return sums, lines.Err()
}

// Memory is what the process holds.
type Memory struct {
	ResidentBytes int64 // VmRSS
	// LiveBytes is Go's heap right after a collection.
	LiveBytes int64
}

// Memory collects garbage in the server, then looks.
func (s *Server) Memory() Memory {
	s.t.Helper()
	code, body, err := get(s.Admin + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil || code != http.StatusOK {
		s.t.Fatalf("GET /debug/pprof/heap: status %d, error %v", code, err)
	}
	var m Memory
	for line := range strings.SplitSeq(string(body), "\n") {
		if text, ok := strings.CutPrefix(line, "# HeapAlloc = "); ok {
			if m.LiveBytes, err = strconv.ParseInt(text, 10, 64); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	if m.LiveBytes == 0 {
		s.t.Fatal("GET /debug/pprof/heap does not tell HeapAlloc")
	}
	if m.ResidentBytes, err = s.Resident(); err != nil {
		s.t.Logf("resident memory is not checked: %v", err)
	}
	return m
}

// Resident is VmRSS in bytes.
func (s *Server) Resident() (int64, error) {
	if runtime.GOOS != "linux" {
		return 0, errNotLinux
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS of process %d", s.Pid())
}

// Reload asks for POST /reload and returns its status and body.
func (s *Server) Reload() (code int, body string) {
	s.t.Helper()
	resp, err := adminClient.Post(s.Admin+"/reload", "application/json", nil)
	if err != nil {
		s.t.Fatalf("POST /reload: %v", err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(resp.Body)
	return resp.StatusCode, b.String()
}
