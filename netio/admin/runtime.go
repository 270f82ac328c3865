package admin

import (
	"bytes"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"
)

// runtimeMetric is one of Go's own numbers under the name that dashboards know.
type runtimeMetric struct {
	source, name, kind, help string
}

var runtimeMetrics = []runtimeMetric{
	{"/gc/cycles/total:gc-cycles", "go_gc_cycles_total", "counter", "Completed garbage collection cycles."},
	{"/gc/heap/allocs:objects", "go_memstats_mallocs_total", "counter", "Heap objects allocated."},
	{"/gc/heap/allocs:bytes", "go_memstats_alloc_bytes_total", "counter", "Heap bytes allocated."},
	{"/gc/heap/frees:objects", "go_memstats_frees_total", "counter", "Heap objects freed."},
	{"/gc/heap/live:bytes", "go_gc_heap_live_bytes", "gauge", "Heap bytes that the last collection found alive."},
	{"/gc/heap/goal:bytes", "go_gc_heap_goal_bytes", "gauge", "Heap size at which the next collection starts."},
	{"/memory/classes/total:bytes", "go_memory_total_bytes", "gauge", "Memory that the Go runtime has mapped."},
	{"/gc/gomemlimit:bytes", "go_gc_memory_limit_bytes", "gauge", "Soft memory limit (GOMEMLIMIT)."},
	{"/cpu/classes/gc/total:cpu-seconds", "go_gc_cpu_seconds_total", "counter", "CPU time spent in garbage collection, estimated."},
	{"/sched/goroutines:goroutines", "go_goroutines", "gauge", "Live goroutines."},
	{"/sched/gomaxprocs:threads", "go_gomaxprocs_threads", "gauge", "Threads that may run Go code at once."},
	{"/sched/pauses/total/gc:seconds", "go_gc_pauses_seconds", "histogram", "Stop-the-world pauses of the garbage collector."},
	{"/sched/latencies:seconds", "go_sched_latencies_seconds", "histogram", "Time goroutines were ready but not running."},
}

var processStart = time.Now()

// WriteRuntimeMetrics writes Go's and the process's own metrics as Prometheus
// text. The server appends them to what Sources.Metrics writes.
func WriteRuntimeMetrics(w io.Writer) error {
	var b bytes.Buffer
	samples := make([]metrics.Sample, len(runtimeMetrics))
	for i, m := range runtimeMetrics {
		samples[i].Name = m.source
	}
	metrics.Read(samples)
	for i, m := range runtimeMetrics {
		switch v := samples[i].Value; v.Kind() {
		case metrics.KindUint64:
			describe(&b, m.name, m.kind, m.help)
			sample(&b, m.name, float64(v.Uint64()))
		case metrics.KindFloat64:
			describe(&b, m.name, m.kind, m.help)
			sample(&b, m.name, v.Float64())
		case metrics.KindFloat64Histogram:
			describe(&b, m.name, m.kind, m.help)
			histogram(&b, m.name, v.Float64Histogram())
		}
	}
	describe(&b, "go_info", "gauge", "Go version of the binary.")
	sample(&b, `go_info{version="`+runtime.Version()+`"}`, 1)
	processMetrics(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func processMetrics(b *bytes.Buffer) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		describe(b, "process_cpu_seconds_total", "counter", "User and system CPU time.")
		sample(b, "process_cpu_seconds_total", float64(u.Utime.Nano()+u.Stime.Nano())/1e9)
		describe(b, "process_context_switches_total", "counter", "Context switches, voluntary and not.")
		sample(b, `process_context_switches_total{kind="voluntary"}`, float64(u.Nvcsw))
		sample(b, `process_context_switches_total{kind="involuntary"}`, float64(u.Nivcsw))
	}
	// Linux only; elsewhere these are absent.
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := bytes.Fields(statm); len(f) > 1 {
			if pages, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
				describe(b, "process_resident_memory_bytes", "gauge", "Resident memory.")
				sample(b, "process_resident_memory_bytes", float64(pages)*float64(os.Getpagesize()))
			}
		}
	}
	if dir, err := os.Open("/proc/self/fd"); err == nil {
		names, err := dir.Readdirnames(-1)
		_ = dir.Close()
		if err == nil {
			describe(b, "process_open_fds", "gauge", "Open file descriptors.")
			sample(b, "process_open_fds", float64(len(names)))
		}
	}
	describe(b, "process_start_time_seconds", "gauge", "Start of the process since the Unix epoch.")
	sample(b, "process_start_time_seconds", float64(processStart.UnixNano())/1e9)
}

func describe(b *bytes.Buffer, name, kind, help string) {
	b.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
}

func sample(b *bytes.Buffer, name string, v float64) {
	b.WriteString(name + " " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
}

// histogram folds Go's fine buckets into those that end at a power of two of a
// microsecond, 1 µs to 1 s; the sum is from the buckets' lower bounds, as
// exact as Go tells.
func histogram(b *bytes.Buffer, name string, h *metrics.Float64Histogram) {
	var total uint64
	var sum float64
	i := 0
	for le := 1e-6; le < 1.1; le *= 2 {
		for i < len(h.Counts) && h.Buckets[i+1] <= le {
			total += h.Counts[i]
			sum += lower(h, i) * float64(h.Counts[i])
			i++
		}
		sample(b, name+`_bucket{le="`+strconv.FormatFloat(le, 'g', 6, 64)+`"}`, float64(total))
	}
	for ; i < len(h.Counts); i++ {
		total += h.Counts[i]
		sum += lower(h, i) * float64(h.Counts[i])
	}
	sample(b, name+`_bucket{le="+Inf"}`, float64(total))
	sample(b, name+"_sum", sum)
	sample(b, name+"_count", float64(total))
}

func lower(h *metrics.Float64Histogram, i int) float64 {
	return math.Max(h.Buckets[i], 0) // the first bucket starts at -Inf
}
