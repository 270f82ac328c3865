package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"time"
)

// table is what one model with n candidates came to.
type table struct {
	model   *model
	n       int
	methods []*method
}

func (t *table) add(m *method) { t.methods = append(t.methods, m) }

func printHead(out io.Writer, x index, o *options, simd string) {
	fmt.Fprintf(out, "%s, %s, SIMD: %s; trained with lightgbm %s, xgboost %s; %d ads; medians of %d rounds of %v\n",
		runtime.Version(), runtime.GOARCH, simd, x.LightGBM, x.XGBoost, o.ads, o.rounds, o.budget)
	fmt.Fprintln(out, "ns a candidate; in brackets how many times cheaper the twin and SIMD kernels are, ads cold")
}

func (t *table) find(name string) float64 {
	for _, m := range t.methods {
		if m.name == name {
			return m.median()
		}
	}
	return math.NaN()
}

// print is one line: our kernels as hot/cold, others with both ratios.
func (t *table) print(out io.Writer) {
	m := t.model
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %3d × %3d, %4.1f %% cross, %4d candidates: naive %.0f", m.Trainer, m.Trees, m.Leaves, 100*m.CrossShare, t.n, t.find("naive"))
	for _, k := range []string{"flat", "twin", "simd", "auto"} {
		fmt.Fprintf(&b, " | %s %.0f/%.0f", k, t.find(k+" hot"), t.find(k+" cold"))
	}
	for _, way := range t.methods {
		switch {
		case way.absent != "":
			fmt.Fprintf(&b, " | %s SKIPPED: %s", way.name, way.absent)
		case way.name == "leaves", strings.HasSuffix(way.name, "C API"):
			x := way.median()
			fmt.Fprintf(&b, " | %s %.0f [%.1f, %.1f]", way.name, x, x/t.find("twin cold"), x/t.find("simd cold"))
		}
	}
	fmt.Fprintln(out, b.String())
}

// costs are what a model takes beside time to score.
type costs struct {
	modelFile
	ads, modelBytes, adBytes int
	full, partial            time.Duration
}

func (m *model) costs() costs {
	return costs{m.modelFile, m.masks.Len(), m.compiled.Bytes(), m.masks.Bytes() / m.masks.Len(), m.full, m.partial}
}

func printMemory(out io.Writer, all []costs) {
	for _, c := range all {
		fmt.Fprintf(out, "%-8s %3d × %3d, %4.1f %% cross: model %.1f KB, %d B an ad; masks of %d ads in %.0f ms, with 1 %% changed %.1f ms\n",
			c.Trainer, c.Trees, c.Leaves, 100*c.CrossShare, float64(c.modelBytes)/1024, c.adBytes, c.ads, c.full.Seconds()*1000, c.partial.Seconds()*1000)
	}
}
