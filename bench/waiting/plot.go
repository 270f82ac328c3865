package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// The picture's sizes in pixels.
const (
	plotWidth, plotHeight = 860, 480
	plotLeft, plotRight   = 70, 40
	plotTop, plotBottom   = 70, 55
	fontPixels            = 13
)

// Colours that people with any colour sight tell apart (Okabe and Ito).
const (
	fixedColour    = "#0072B2"
	expectedColour = "#D55E00"
	otherColour    = "#333333"
)

// frame turns milliseconds and shares into places.
type frame struct{ xLeast, xMost, yLeast float64 }

func (f frame) x(ms float64) float64 {
	return plotLeft + (ms-f.xLeast)/(f.xMost-f.xLeast)*(plotWidth-plotLeft-plotRight)
}

func (f frame) y(share float64) float64 {
	return plotTop + (1.015-share)/(1.015-f.yLeast)*(plotHeight-plotTop-plotBottom)
}

// plot draws the revenue kept by the mean wait: a line for fixed ends, one for
// stopping where waiting can't pay.
func plot(results []result, records []*record) []byte {
	f := frame{xLeast: 40, xMost: 105, yLeast: 1}
	for _, r := range results {
		f.yLeast = math.Min(f.yLeast, math.Floor(r.kept*20)/20)
		f.xLeast = math.Min(f.xLeast, math.Floor(millis(r.mean)/10)*10)
	}
	f.xLeast = math.Min(f.xLeast, math.Floor(millis(results[0].knowing)/10)*10)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="%d">`+"\n", plotWidth, plotHeight, plotWidth, plotHeight, fontPixels)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	text := func(x, y float64, anchor, more, words string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, more, html.EscapeString(words))
	}
	text(plotLeft, 24, "start", `font-size="16" font-weight="bold"`, "Revenue kept by the time waited for bids")
	text(plotLeft, 46, "start", `fill="#555"`, fmt.Sprintf("%d records of %d auctions with %d partners; 100 %% is waiting for everybody, to the end", len(records), records[0].auctions(), records[0].partners))
	for share := f.yLeast; share < 1.001; share += 0.05 {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", plotLeft, plotWidth-plotRight, f.y(share), f.y(share))
		text(plotLeft-8, f.y(share)+4, "end", "", fmt.Sprintf("%.0f %%", 100*share))
	}
	for ms := f.xLeast; ms <= f.xMost; ms += 10 {
		text(f.x(ms), plotHeight-plotBottom+20, "middle", "", fmt.Sprintf("%.0f", ms))
	}
	text((plotLeft+plotWidth-plotRight)/2, plotHeight-12, "middle", "", "mean wait, ms")
	line := func(colour string, take func(*result) bool, label func(*result) string, below float64) {
		path := "M"
		for i := range results {
			if r := &results[i]; take(r) {
				x, y := f.x(millis(r.mean)), f.y(r.kept)
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x, y, colour)
				text(x, y+below, "middle", fmt.Sprintf(`fill="%s" font-size="12"`, colour), label(r))
				path += fmt.Sprintf("%.1f %.1fL", x, y)
			}
		}
		fmt.Fprintf(&b, `<path fill="none" stroke="%s" stroke-width="2" d="%s"/>`+"\n", colour, path[:len(path)-1])
	}
	line(fixedColour, func(r *result) bool { return r.cut > 0 && r.cut < hard }, func(r *result) string { return fmt.Sprintf("%.0f", millis(r.cut)) }, 20)
	line(expectedColour, func(r *result) bool { return r.factor > 0 }, func(r *result) string { return fmt.Sprintf("× %g", r.factor) }, -10)
	mark := func(x, y float64, words, anchor string, dx, dy float64) {
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="8" height="8" fill="%s"/>`+"\n", f.x(x)-4, f.y(y)-4, otherColour)
		text(f.x(x)+dx, f.y(y)+dy, anchor, fmt.Sprintf(`fill="%s" font-size="12"`, otherColour), words)
	}
	mark(millis(results[0].mean), results[0].kept, "everybody", "start", 9, 4)
	mark(millis(results[0].knowing), results[0].full, "knowing all answers", "start", 9, 4)
	for i := range results {
		if r := &results[i]; r.policy.cut == 0 && r.factor == 0 {
			mark(millis(r.mean), r.kept, "own timeouts only", "middle", -6, -12)
		}
	}
	for i, l := range []struct{ colour, words string }{
		{fixedColour, "always until so many ms"}, {expectedColour, "where it pays (the gain asked for at 50, 70 and 80 ms times …)"},
	} {
		y := float64(plotHeight - plotBottom - 40 + 20*i)
		fmt.Fprintf(&b, `<circle cx="%d" cy="%.1f" r="4" fill="%s"/>`+"\n", plotWidth-plotRight-430, y-4, l.colour)
		text(plotWidth-plotRight-420, y, "start", fmt.Sprintf(`fill="%s"`, l.colour), l.words)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
