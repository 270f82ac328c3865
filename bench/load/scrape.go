package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Metrics are the samples of a Prometheus text page, by name with labels as
// written ("x_total" or `x_total{shard="0"}`).
type Metrics map[string]float64

// Scrape reads a page of Prometheus text.
func Scrape(ctx context.Context, url string) (Metrics, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("load: scrape %s: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("load: scrape: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("load: scrape %s: %w", url, err)
	}
	if resp.StatusCode != 200 {
		return nil, fmt.Errorf("load: scrape %s: status %d", url, resp.StatusCode)
	}
	return ParseMetrics(b), nil
}

// ParseMetrics reads Prometheus text 0.0.4; lines it does not understand are
// left out.
func ParseMetrics(b []byte) Metrics {
	m := Metrics{}
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		// A label's value may hold spaces; the number follows the brace.
		end := strings.LastIndexByte(line, '}') + 1
		rest := line[end:]
		if end == 0 {
			end = strings.IndexByte(line, ' ')
			if end < 0 {
				continue
			}
			rest = line[end:]
		}
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ") // a timestamp may follow
		if v, err := strconv.ParseFloat(number, 64); err == nil {
			m[line[:end]] = v
		}
	}
	return m
}

// Sum adds up every sample of a name over all its labels.
func (m Metrics) Sum(name string) (sum float64, found bool) {
	for k, v := range m {
		if k == name || len(k) > len(name) && k[len(name)] == '{' && k[:len(name)] == name {
			sum += v
			found = true
		}
	}
	return sum, found
}

// ServerDelta is what the server's own metrics say about a run: the difference
// of two scrapes of its admin page.
type ServerDelta struct {
	GCCycles     float64 `json:"gc_cycles"`
	GCPauses     float64 `json:"gc_pauses"`
	GCPauseP999  float64 `json:"gc_pause_p99_9_us"` // upper bound of the bucket
	GCPauseMax   float64 `json:"gc_pause_max_us"`   // upper bound of the bucket
	Mallocs      float64 `json:"mallocs"`
	AllocBytes   float64 `json:"alloc_bytes"`
	MallocsPer   float64 `json:"mallocs_per_request"`
	CPUSeconds   float64 `json:"cpu_seconds"`
	CPUMicrosPer float64 `json:"cpu_us_per_request"`
	RSSBytes     float64 `json:"rss_bytes"` // afterwards
}

// Delta compares two scrapes around a run that answered so many requests of all
// kinds.
func Delta(before, after Metrics, answered int64) *ServerDelta {
	diff := func(name string) float64 {
		a, _ := after.Sum(name)
		b, _ := before.Sum(name)
		return a - b
	}
	d := &ServerDelta{
		GCCycles: diff("go_gc_cycles_total"), GCPauses: diff("go_gc_pauses_seconds_count"),
		Mallocs: diff("go_memstats_mallocs_total"), AllocBytes: diff("go_memstats_alloc_bytes_total"),
		CPUSeconds: diff("process_cpu_seconds_total"),
	}
	d.RSSBytes, _ = after.Sum("process_resident_memory_bytes")
	d.GCPauseP999 = quantile(before, after, "go_gc_pauses_seconds_bucket", 0.999) * 1e6
	d.GCPauseMax = quantile(before, after, "go_gc_pauses_seconds_bucket", 1) * 1e6
	if answered > 0 {
		d.MallocsPer = d.Mallocs / float64(answered)
		d.CPUMicrosPer = d.CPUSeconds * 1e6 / float64(answered)
	}
	return d
}

// quantile is the upper bound of the histogram bucket that holds the quantile
// of the difference; 0 when nothing was counted.
func quantile(before, after Metrics, name string, q float64) float64 {
	type bucket struct{ le, count float64 }
	var buckets []bucket
	prefix := name + `{le="`
	for k, v := range after {
		text, ok := strings.CutPrefix(k, prefix)
		if !ok {
			continue
		}
		le, err := strconv.ParseFloat(strings.TrimSuffix(text, `"}`), 64)
		if err != nil {
			continue
		}
		buckets = append(buckets, bucket{le, v - before[k]})
	}
	slices.SortFunc(buckets, func(a, b bucket) int {
		if a.le < b.le {
			return -1
		}
		return 1
	})
	if len(buckets) == 0 || buckets[len(buckets)-1].count == 0 {
		return 0
	}
	want := q * buckets[len(buckets)-1].count
	for i, b := range buckets {
		if b.count >= want && b.count > 0 {
			if i == len(buckets)-1 && i > 0 {
				return buckets[i-1].le // +Inf: at least the last finite bound
			}
			return b.le
		}
	}
	return 0
}

func (d *ServerDelta) text() string {
	return fmt.Sprintf("server    %.0f GC cycles, %.0f pauses (p99.9 ≤ %s, max ≤ %s), %.3f mallocs and %.1f µs of CPU a request, %.0f MB resident\n",
		d.GCCycles, d.GCPauses, micros(d.GCPauseP999), micros(d.GCPauseMax), d.MallocsPer, d.CPUMicrosPer, d.RSSBytes/1e6)
}
