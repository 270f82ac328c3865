package main

import (
	"bytes"
	"fmt"
)

// draw makes a picture of the week: for each account what the plan had for each
// hour (grey), what was spent (blue) and the participation (orange, log scale).
func draw(w *world) []byte {
	const width, height, left, gap = 1100, 110, 170, 16
	var b bytes.Buffer
	total := len(w.accounts)*(height+gap) + 40
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", left+width+20, total)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for i, a := range w.accounts {
		top := 10 + i*(height+gap)
		most := 1.0
		for _, h := range a.hours {
			most = max(most, float64(h.planned), float64(h.spent))
		}
		x := func(k int) float64 { return left + width*float64(k)/float64(len(a.hours)) }
		y := func(v float64) float64 { return float64(top) + height*(1-v/most) }
		for k, h := range a.hours {
			if h.dark {
				fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#fdd"/>`+"\n", x(k), top, x(1)-x(0), height)
			}
		}
		fmt.Fprintf(&b, `<text x="6" y="%d">%s</text><text x="6" y="%d" fill="#777">%s, $%s a day</text>`+"\n", top+20, a.name, top+36, a.mode, a.budget)
		line(&b, "#999", "3", len(a.hours), x, func(k int) float64 { return y(float64(a.hours[k].planned)) })
		line(&b, "#1f5fbf", "1.2", len(a.hours), x, func(k int) float64 { return y(float64(a.hours[k].spent)) })
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#ccc"/>`+"\n", left, top, width, height)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#777">a week by the hour: grey the plan, blue spent, red ground hours in which the supply failed</text>`+"\n</svg>\n", left, total-12)
	return b.Bytes()
}

// line draws a stepped line of n hours.
func line(b *bytes.Buffer, colour, weight string, n int, x func(int) float64, y func(int) float64) {
	fmt.Fprintf(b, `<path fill="none" stroke="%s" stroke-width="%s" d="`, colour, weight)
	for k := range n {
		command := "L"
		if k == 0 {
			command = "M"
		}
		fmt.Fprintf(b, "%s%.1f %.1f H%.1f ", command, x(k), y(k), x(k+1))
	}
	fmt.Fprintln(b, `"/>`)
}
