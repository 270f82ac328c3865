package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// The plot's sizes in pixels.
const (
	plotWidth, plotHeight   = 860, 460
	plotLeft, plotRight     = 70, 190
	plotTop, plotBottom     = 60, 50
	labelGap, fontPixels    = 16, 13
	gridLines, bandStdError = 5, 2
)

// Colours that people with any colour sight tell apart (Okabe and Ito).
var colours = []string{"#000000", "#D55E00", "#0072B2", "#009E73"}

// axes turn values into places.
type axes struct{ xMost, yMost float64 }

func (a axes) x(v float64) float64 {
	return plotLeft + v/a.xMost*(plotWidth-plotLeft-plotRight)
}

func (a axes) y(v float64) float64 {
	return plotHeight - plotBottom - v/a.yMost*(plotHeight-plotTop-plotBottom)
}

// plot draws cumulative regret by requests, a line and its band each policy.
func plot(results []result, seeds int, s size) []byte {
	var b bytes.Buffer
	most := 0.0
	for _, r := range results {
		last := len(r.regret) - 1
		most = max(most, r.regret[last]+bandStdError*r.spread[last])
	}
	step := niceStep(most / gridLines)
	a := axes{xMost: float64(s.requests), yMost: step * math.Ceil(most/step)}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="%d">`+"\n",
		plotWidth, plotHeight, plotWidth, plotHeight, fontPixels)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	text := func(x, y float64, anchor, more, words string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, more, html.EscapeString(words))
	}
	text(plotLeft, 24, "start", `font-size="16" font-weight="bold"`, "What not knowing costs: cumulative regret by policy")
	text(plotLeft, 44, "start", `fill="#555"`, fmt.Sprintf("mean of %d worlds, bands are ±%d standard errors; %d ads, a new one every %d requests", seeds, bandStdError, s.ads, s.every))
	for v := 0.0; v <= a.yMost+step/2; v += step {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", plotLeft, plotWidth-plotRight, a.y(v), a.y(v))
		text(plotLeft-8, a.y(v)+4, "end", "", fmt.Sprintf("%.0f", v))
	}
	for i := range 5 {
		v := a.xMost * float64(i) / 4
		text(a.x(v), plotHeight-plotBottom+20, "middle", "", fmt.Sprintf("%.0f k", v/1000))
	}
	text((plotLeft+plotWidth-plotRight)/2, plotHeight-10, "middle", "", "requests")
	fmt.Fprintf(&b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">regret, clicks of mean value</text>`+"\n", (plotTop+plotHeight-plotBottom)/2)
	for i, r := range results {
		curve(&b, a, r, s, colours[i%len(colours)])
	}
	labels(results, a, func(y float64, i int) {
		text(plotWidth-plotRight+8, y+4, "start", fmt.Sprintf(`fill="%s"`, colours[i%len(colours)]), results[i].name)
	})
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func curve(b *bytes.Buffer, a axes, r result, s size, colour string) {
	at := func(i int) float64 { return a.xMost * float64(i+1) / float64(s.points) }
	fmt.Fprintf(b, `<path fill="%s" fill-opacity="0.15" d="M%.1f %.1f`, colour, a.x(0), a.y(0))
	for i := range r.regret {
		fmt.Fprintf(b, "L%.1f %.1f", a.x(at(i)), a.y(r.regret[i]+bandStdError*r.spread[i]))
	}
	for i := len(r.regret) - 1; i >= 0; i-- {
		fmt.Fprintf(b, "L%.1f %.1f", a.x(at(i)), a.y(max(r.regret[i]-bandStdError*r.spread[i], 0)))
	}
	fmt.Fprintf(b, `Z"/>`+"\n"+`<path fill="none" stroke="%s" stroke-width="2" d="M%.1f %.1f`, colour, a.x(0), a.y(0))
	for i := range r.regret {
		fmt.Fprintf(b, "L%.1f %.1f", a.x(at(i)), a.y(r.regret[i]))
	}
	b.WriteString(`"/>` + "\n")
}

// labels places the names at the ends of the lines, apart from each other.
func labels(results []result, a axes, write func(y float64, i int)) {
	order := make([]int, len(results))
	for i := range order {
		order[i] = i
		for j := i; j > 0 && end(results[order[j]]) > end(results[order[j-1]]); j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	last := math.Inf(-1)
	for _, i := range order {
		y := max(a.y(end(results[i])), last+labelGap)
		write(y, i)
		last = y
	}
}

func end(r result) float64 { return r.regret[len(r.regret)-1] }

// niceStep is the next of 1, 2, 2.5, 5 × a power of ten.
func niceStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if v <= m*power {
			return m * power
		}
	}
	return 10 * power
}
