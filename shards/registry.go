package shards

import (
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Unit is the unit of a metric: it ends the metric's name and scales values.
type Unit uint8

const (
	// None is a plain number.
	None Unit = iota
	// Seconds: values are counted in nanoseconds and written in seconds.
	Seconds
	// Bytes is a number of bytes.
	Bytes
)

var unitSuffix = [...]string{None: "", Seconds: "_seconds", Bytes: "_bytes"}

// Label is one fixed label pair of a metric.
type Label struct{ Name, Value string }

// Desc describes a metric. Several with one Name and different Labels are one
// family and must agree in Help, Unit and type.
type Desc struct {
	// Name without the endings that Unit and type add: "millrace_http_requests"
	// becomes millrace_http_requests_total.
	Name   string
	Help   string
	Unit   Unit
	Labels []Label
	// PerShard keeps the shards apart by a shard label; else they are added up.
	PerShard bool
}

// Range cuts a histogram's values: up to Min in one bucket, then every power of
// two into Divisions (a power of two, up to 16) until Max, and one for the rest.
// Min and Max are rounded up to powers of two.
type Range struct {
	Min, Max  uint64
	Divisions int
}

// LatencyRange suits durations in nanoseconds: 1 µs to 17 s, at most 25 % wide.
var LatencyRange = Range{Min: 1 << 10, Max: 1 << 34, Divisions: 4}

type metricType uint8

const (
	typeCounter metricType = iota
	typeGauge
	typeHistogram
)

var typeNames = [...]string{"counter", "gauge", "histogram"}

// family is all series of one name.
type family struct {
	name, help string
	unit       Unit
	kind       metricType
	series     []*series // ordered by labels
}

// series is one label set and where its value comes from: a word of every
// block, an atomic of its own, or a function.
type series struct {
	desc      Desc
	labels    string // `a="b",c="d"`, as written
	histogram Histogram
	word      uint32
	inBlocks  bool
	atomic    *atomicWords
	function  func() float64
}

// Registry holds the metrics of a node: what they are (defined once, at start)
// and the blocks of the shards that count them. Definitions that contradict
// each other are mistakes of the program and panic with the metric's name;
// defining the same metric again returns the same handle.
type Registry struct {
	mu       sync.Mutex
	families map[string]*family
	words    atomic.Uint32
	blocks   []*CounterBlock
	// scrape serialises scrapes; it is taken before mu.
	scrape sync.Mutex
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry { return &Registry{families: map[string]*family{}} }

var (
	metricName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	labelName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// define finds or makes the series of a description. Called with mu held.
func (r *Registry) define(d Desc, kind metricType) (s *series, fresh bool) {
	if !metricName.MatchString(d.Name) {
		panic(fmt.Sprintf("shards: metric name %q: use lower case letters, digits and _", d.Name))
	}
	if d.Help == "" {
		panic(fmt.Sprintf("shards: metric %s has no help text: say what it counts", d.Name))
	}
	name := d.Name + unitSuffix[d.Unit]
	if kind == typeCounter {
		name += "_total"
	}
	f := r.families[name]
	if f == nil {
		f = &family{name: name, help: d.Help, unit: d.Unit, kind: kind}
		r.families[name] = f
	}
	if f.help != d.Help || f.unit != d.Unit || f.kind != kind {
		panic(fmt.Sprintf("shards: metric %s is defined as a %s with help %q already: give both definitions one type, unit and help", name, typeNames[f.kind], f.help))
	}
	labels := formatLabels(name, d)
	i, found := slices.BinarySearchFunc(f.series, labels, func(s *series, l string) int { return strings.Compare(s.labels, l) })
	if found {
		if f.series[i].desc.PerShard != d.PerShard {
			panic(fmt.Sprintf("shards: metric %s{%s} is defined both per shard and not: choose one", name, labels))
		}
		return f.series[i], false
	}
	d.Labels = slices.Clone(d.Labels)
	s = &series{desc: d, labels: labels}
	f.series = slices.Insert(f.series, i, s)
	return s, true
}

// formatLabels writes the fixed labels in the order of their names.
func formatLabels(metric string, d Desc) string {
	sorted := slices.Clone(d.Labels)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	var b strings.Builder
	for i, l := range sorted {
		if !labelName.MatchString(l.Name) || l.Name == "le" || l.Name == "shard" && d.PerShard {
			panic(fmt.Sprintf("shards: metric %s: label name %q: use lower case letters, digits and _, not le, and not shard where PerShard adds it", metric, l.Name))
		}
		if i > 0 {
			if sorted[i-1].Name == l.Name {
				panic(fmt.Sprintf("shards: metric %s: label %s is given twice", metric, l.Name))
			}
			b.WriteByte(',')
		}
		b.WriteString(l.Name)
		b.WriteString(`="`)
		b.WriteString(labelEscaper.Replace(l.Value))
		b.WriteByte('"')
	}
	return b.String()
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// takeWords reserves n words in every block.
func (r *Registry) takeWords(n uint32) uint32 { return r.words.Add(n) - n }

// blockSize is the words a block needs now, with some for what comes later.
func (r *Registry) blockSize() int { return (int(r.words.Load()) + 127) &^ 63 }

// Counter defines a counter kept by every shard.
func (r *Registry) Counter(d Desc) Counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, fresh := r.define(d, typeCounter)
	if fresh {
		s.word, s.inBlocks = r.takeWords(1), true
	}
	s.must(s.inBlocks)
	return Counter{s.word}
}

// Gauge defines a gauge kept by every shard; the scrape adds the shards up
// unless it is PerShard.
func (r *Registry) Gauge(d Desc) Gauge {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, fresh := r.define(d, typeGauge)
	if fresh {
		s.word, s.inBlocks = r.takeWords(1), true
	}
	s.must(s.inBlocks)
	return Gauge{s.word}
}

// Histogram defines a histogram kept by every shard.
func (r *Registry) Histogram(d Desc, cut Range) Histogram {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, fresh := r.define(d, typeHistogram)
	h := cut.histogram(d.Name)
	if fresh {
		h.word = r.takeWords(uint32(h.buckets) + 1)
		s.histogram, s.inBlocks = h, true
	}
	s.must(s.inBlocks)
	h.word = s.histogram.word
	if h != s.histogram {
		panic(fmt.Sprintf("shards: histogram %s is defined with another range already: give both definitions one", d.Name))
	}
	return h
}

// must says that a series is defined twice, in two ways.
func (s *series) must(sameSource bool) {
	if !sameSource {
		panic(fmt.Sprintf("shards: metric %s{%s} is defined already, kept in another way: rename one", s.desc.Name, s.labels))
	}
}

// histogram lays the buckets out; word is still to be given.
func (c Range) histogram(name string) Histogram {
	if c.Divisions < 1 || c.Divisions > 16 || c.Divisions&(c.Divisions-1) != 0 || c.Min < 1 || c.Max <= c.Min || c.Max > 1<<62 {
		panic(fmt.Sprintf("shards: histogram %s: range %+v: use 1 ≤ Min < Max ≤ 2^62 and 1, 2, 4, 8 or 16 divisions", name, c))
	}
	sub := bits.Len(uint(c.Divisions)) - 1
	minExp := max(bits.Len64(c.Min-1), sub)
	octaves := max(bits.Len64(c.Max-1)-minExp, 1)
	return Histogram{buckets: uint16(2 + octaves<<sub), minExp: uint8(minExp), subBits: uint8(sub)}
}

// GaugeFunc defines a gauge that is asked for its value, in the unit that is
// written (seconds, not nanoseconds), at each scrape. The function must not
// define metrics.
func (r *Registry) GaugeFunc(d Desc, value func() float64) { r.function(d, typeGauge, value) }

// CounterFunc defines a counter that is asked for its value, in the unit that
// is written, at each scrape; it must never fall. The function must not define
// metrics.
func (r *Registry) CounterFunc(d Desc, value func() float64) { r.function(d, typeCounter, value) }

func (r *Registry) function(d Desc, kind metricType, value func() float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, fresh := r.define(d, kind)
	s.must(fresh)
	s.function = value
}

// newBlock makes the counters of one shard.
func (r *Registry) newBlock(label string, collect func()) *CounterBlock {
	b := newCounterBlock(label, r.blockSize)
	b.collect = collect
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocks = append(r.blocks, b)
	return b
}

// collectDeadline bounds how long a scrape waits for one stalled shard; its
// older numbers are used then.
const collectDeadline = 100 * time.Millisecond

// collect asks every shard for its numbers.
func (r *Registry) collect() []*CounterBlock {
	r.mu.Lock()
	blocks := slices.Clone(r.blocks)
	r.mu.Unlock()
	for _, b := range blocks {
		if b.collect != nil {
			b.collect()
		}
	}
	return blocks
}

// ReadCounter is the counter's value, all shards added up.
func (r *Registry) ReadCounter(c Counter) uint64 {
	r.scrape.Lock()
	defer r.scrape.Unlock()
	return sumWord(r.collect(), c.word)
}

// ReadGauge is the gauge's value, all shards added up.
func (r *Registry) ReadGauge(g Gauge) int64 {
	r.scrape.Lock()
	defer r.scrape.Unlock()
	return int64(sumWord(r.collect(), g.word))
}

// ReadHistogram is a histogram's content, all shards added up.
func (r *Registry) ReadHistogram(h Histogram) HistogramSnapshot {
	r.scrape.Lock()
	defer r.scrape.Unlock()
	blocks := r.collect()
	s := HistogramSnapshot{handle: h, buckets: make([]uint64, h.buckets)}
	s.Sum = sumWord(blocks, h.word)
	for b := range s.buckets {
		s.buckets[b] = sumWord(blocks, h.word+1+uint32(b))
		s.Count += s.buckets[b]
	}
	return s
}

func sumWord(blocks []*CounterBlock, word uint32) (sum uint64) {
	for _, b := range blocks {
		sum += b.read(word)
	}
	return sum
}

// read is a word of the last published copy.
func (b *CounterBlock) read(word uint32) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if int(word) >= len(b.snapshot) {
		return 0
	}
	return b.snapshot[word]
}

// HistogramSnapshot is the content of a histogram at one time.
type HistogramSnapshot struct {
	Count, Sum uint64
	handle     Histogram
	buckets    []uint64
}

// Quantile is an upper bound of the q-quantile (0 to 1), at most one bucket too
// high; 0 for an empty histogram. Beyond the range it is the range's end.
func (s HistogramSnapshot) Quantile(q float64) uint64 {
	if s.Count == 0 {
		return 0
	}
	rank := uint64(q * float64(s.Count))
	var seen uint64
	for b, n := range s.buckets {
		seen += n
		if seen > rank || seen == s.Count {
			return s.handle.upper(min(b, len(s.buckets)-2))
		}
	}
	return 0
}

// Sub is what was added since an earlier snapshot of the same histogram.
func (s HistogramSnapshot) Sub(earlier HistogramSnapshot) HistogramSnapshot {
	d := HistogramSnapshot{Count: s.Count - earlier.Count, Sum: s.Sum - earlier.Sum, handle: s.handle, buckets: slices.Clone(s.buckets)}
	for b, n := range earlier.buckets {
		d.buckets[b] -= n
	}
	return d
}
