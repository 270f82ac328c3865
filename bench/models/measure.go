package main

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"slices"
	"time"

	"github.com/dmitryikh/leaves"

	"millrace/models/gbdt"
)

// method is one way to score; call scores the candidates of call i.
type method struct {
	name   string
	call   func(i int) []float64
	nanos  []float64 // a candidate, by round
	absent string    // why it is not measured
}

func (m *method) median() float64 {
	if len(m.nanos) == 0 {
		return math.NaN()
	}
	s := slices.Clone(m.nanos)
	slices.Sort(s)
	return s[len(s)/2]
}

// kernelMethod is one of our kernels, on hot or cold ads.
func kernelMethod(name string, k gbdt.Kernel, m *model, r *rows, ads []uint32, n int) *method {
	s := m.compiled.NewScorer()
	s.Use(k)
	out := make([]float64, n)
	return &method{name: name, call: func(i int) []float64 {
		s.Begin(r.request(i))
		s.Score(m.masks, picks(ads, i, n), r.pairs(i, n), out)
		return out
	}}
}

func naiveMethod(m *model, whole []float32, n int) *method {
	out := make([]float64, n)
	calls := len(whole) / (n * split.Columns())
	return &method{name: "naive", call: func(i int) []float64 {
		at := i % calls * n
		for j := range out {
			out[j] = m.forest.Raw(whole[(at+j)*split.Columns():][:split.Columns()])
		}
		return out
	}}
}

// leavesMethod is github.com/dmitryikh/leaves, which reads LightGBM's text up to
// version 3. Version 4 differs in what these models don't have, so it is told
// that it reads a 3; its scores are compared like all others.
func leavesMethod(path string, whole []float32, n int) *method {
	b, err := os.ReadFile(path)
	if err != nil {
		return &method{name: "leaves", absent: err.Error()}
	}
	b = bytes.Replace(b, []byte("version=v4"), []byte("version=v3"), 1)
	e, err := leaves.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(b)), false)
	if err != nil {
		return &method{name: "leaves", absent: err.Error()}
	}
	wide := make([]float64, len(whole))
	for i, x := range whole {
		wide[i] = float64(x)
	}
	out := make([]float64, n)
	calls := len(whole) / (n * split.Columns())
	return &method{name: "leaves", call: func(i int) []float64 {
		at := i % calls * n * split.Columns()
		if err := e.PredictDense(wide[at:at+n*split.Columns()], n, split.Columns(), out, 0, 1); err != nil {
			panic(err)
		}
		return out
	}}
}

// measure runs the method for the time and notes nanoseconds a candidate. The
// sum of all scores' bits goes to the hash, so that no work can be left out.
func (m *method) measure(n int, budget time.Duration, hash *uint64) {
	m.call(0)
	calls := 0
	start := now()
	for {
		// Looking at the clock costs as much as a candidate.
		for range max(1, 400/n) {
			out := m.call(calls)
			*hash = *hash*31 + math.Float64bits(out[len(out)-1])
			calls++
		}
		if spent := now() - start; spent > budget {
			m.nanos = append(m.nanos, float64(spent.Nanoseconds())/float64(calls*n))
			return
		}
	}
}
