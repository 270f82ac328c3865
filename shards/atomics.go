package shards

import "sync/atomic"

// atomicWords are the words of a metric that any goroutine may change, on lines
// of their own.
type atomicWords struct{ words []atomic.Uint64 }

func newAtomicWords(n int) *atomicWords {
	return &atomicWords{words: AlignedSlice[atomic.Uint64](n)}
}

// AtomicCounter is a counter for goroutines that are no shard: pollers,
// writers, background work.
type AtomicCounter struct{ w *atomicWords }

// AtomicGauge is a gauge for goroutines that are no shard.
type AtomicGauge struct{ w *atomicWords }

// AtomicHistogram is a histogram for goroutines that are no shard.
type AtomicHistogram struct {
	w *atomicWords
	h Histogram
}

// AtomicCounter defines a counter that any goroutine may count.
func (r *Registry) AtomicCounter(d Desc) AtomicCounter {
	return AtomicCounter{r.atomics(d, typeCounter, Histogram{})}
}

// AtomicGauge defines a gauge that any goroutine may set.
func (r *Registry) AtomicGauge(d Desc) AtomicGauge {
	return AtomicGauge{r.atomics(d, typeGauge, Histogram{})}
}

// AtomicHistogram defines a histogram that any goroutine may fill.
func (r *Registry) AtomicHistogram(d Desc, cut Range) AtomicHistogram {
	h := cut.histogram(d.Name)
	return AtomicHistogram{w: r.atomics(d, typeHistogram, h), h: h}
}

func (r *Registry) atomics(d Desc, kind metricType, h Histogram) *atomicWords {
	d.PerShard = false
	r.mu.Lock()
	defer r.mu.Unlock()
	s, fresh := r.define(d, kind)
	if fresh {
		s.atomic, s.histogram = newAtomicWords(1+int(h.buckets)), h
	}
	s.must(s.atomic != nil && s.histogram == h)
	return s.atomic
}

// Inc counts one.
func (c AtomicCounter) Inc() { c.w.words[0].Add(1) }

// Add counts n.
func (c AtomicCounter) Add(n uint64) { c.w.words[0].Add(n) }

// Value is the count.
func (c AtomicCounter) Value() uint64 { return c.w.words[0].Load() }

// Set sets the gauge.
func (g AtomicGauge) Set(v int64) { g.w.words[0].Store(uint64(v)) }

// Move changes the gauge by delta.
func (g AtomicGauge) Move(delta int64) { g.w.words[0].Add(uint64(delta)) }

// Value is the gauge's value.
func (g AtomicGauge) Value() int64 { return int64(g.w.words[0].Load()) }

// Observe puts a value (nanoseconds, for a histogram in seconds) in.
func (h AtomicHistogram) Observe(v uint64) {
	h.w.words[0].Add(v)
	h.w.words[1+h.h.bucket(v)].Add(1)
}

// Snapshot is the content now.
func (h AtomicHistogram) Snapshot() HistogramSnapshot {
	s := HistogramSnapshot{Sum: h.w.words[0].Load(), handle: h.h, buckets: make([]uint64, h.h.buckets)}
	for b := range s.buckets {
		s.buckets[b] = h.w.words[1+b].Load()
		s.Count += s.buckets[b]
	}
	return s
}
