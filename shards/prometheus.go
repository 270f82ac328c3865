package shards

import (
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// ContentType is the media type of WritePrometheus.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// WritePrometheus writes all metrics in the Prometheus text format 0.0.4, in
// the order of their names. Shards are asked for their numbers first; one that
// does not answer within a tenth of a second is shown as it was last. It must
// not be called from a callback of a shard.
func (r *Registry) WritePrometheus(w io.Writer) error {
	r.scrape.Lock()
	defer r.scrape.Unlock()
	blocks := r.collect()
	_, err := w.Write(r.appendText(nil, blocks))
	return err
}

func (r *Registry) appendText(dst []byte, blocks []*CounterBlock) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.families))
	for name := range r.families {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		f := r.families[name]
		dst = append(dst, "# HELP "+name+" "+helpEscaper.Replace(f.help)+"\n# TYPE "+name+" "+typeNames[f.kind]+"\n"...)
		for _, s := range f.series {
			dst = s.appendText(dst, f, blocks)
		}
	}
	return dst
}

var helpEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`)

// appendText writes one series, or one a shard.
func (s *series) appendText(dst []byte, f *family, blocks []*CounterBlock) []byte {
	switch {
	case s.function != nil:
		return appendSample(dst, f.name, s.labels, "", s.function())
	case s.atomic != nil:
		return s.appendValue(dst, f, s.labels, func(word uint32) uint64 { return s.atomic.words[word].Load() }, 0)
	case !s.desc.PerShard:
		return s.appendValue(dst, f, s.labels, func(word uint32) uint64 { return sumWord(blocks, word) }, s.firstWord())
	}
	var shown []string
	for _, b := range blocks {
		if slices.Contains(shown, b.label) {
			continue
		}
		shown = append(shown, b.label)
		same := slices.DeleteFunc(slices.Clone(blocks), func(o *CounterBlock) bool { return o.label != b.label })
		labels := joinLabels(s.labels, `shard="`+b.label+`"`)
		dst = s.appendValue(dst, f, labels, func(word uint32) uint64 { return sumWord(same, word) }, s.firstWord())
	}
	return dst
}

func (s *series) firstWord() uint32 {
	if s.histogram.buckets > 0 {
		return s.histogram.word
	}
	return s.word
}

func (s *series) appendValue(dst []byte, f *family, labels string, read func(uint32) uint64, first uint32) []byte {
	if f.kind != typeHistogram {
		v := read(first)
		if f.kind == typeGauge {
			return appendSample(dst, f.name, labels, "", f.scale(float64(int64(v))))
		}
		return appendSample(dst, f.name, labels, "", f.scale(float64(v)))
	}
	var count uint64
	last := int(s.histogram.buckets) - 1
	for b := range last + 1 {
		count += read(first + 1 + uint32(b))
		le := "+Inf"
		if b < last {
			le = strconv.FormatFloat(f.scale(float64(s.histogram.upper(b))), 'g', -1, 64)
		}
		dst = appendSample(dst, f.name+"_bucket", labels, le, float64(count))
	}
	dst = appendSample(dst, f.name+"_sum", labels, "", f.scale(float64(read(first))))
	return appendSample(dst, f.name+"_count", labels, "", float64(count))
}

func (f *family) scale(v float64) float64 {
	if f.unit == Seconds {
		return v / 1e9
	}
	return v
}

func joinLabels(a, b string) string {
	if a == "" {
		return b
	}
	return a + "," + b
}

func appendSample(dst []byte, name, labels, le string, v float64) []byte {
	dst = append(dst, name...)
	if le != "" {
		labels = joinLabels(labels, `le="`+le+`"`)
	}
	if labels != "" {
		dst = append(dst, '{')
		dst = append(dst, labels...)
		dst = append(dst, '}')
	}
	dst = append(dst, ' ')
	if v == float64(int64(v)) && v < 1<<53 && v > -1<<53 {
		dst = strconv.AppendInt(dst, int64(v), 10)
	} else {
		dst = strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
	return append(dst, '\n')
}
