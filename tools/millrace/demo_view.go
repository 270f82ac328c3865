package main

import (
	"fmt"
	"io"
	"strings"

	"millrace/codec/unit"
	"millrace/netio/admin"
)

// writeLine is the view without a terminal: one line, of fixed shape.
func (w *watch) writeLine(out io.Writer) {
	p := &w.progress
	var wins uint64
	var spent unit.Nanos
	for _, c := range w.campaigns {
		spent += unit.Nanos(c.Budget.SpentToday)
		for _, l := range c.Lines {
			wins += l.Wins
		}
	}
	fmt.Fprintf(out, "%6.1fs  %7.0f qps  p50 %s  p99 %s  p99.9 %s  wins %7d  beacons/s %5.0f  spent today %s  errors %d",
		p.Elapsed.Seconds(), p.Rate, microText(p.Latency.P50), microText(p.Latency.P99), microText(p.Latency.P999),
		wins, float64(p.Beacons)/max(p.Seconds, 0.001), money(spent), w.errors)
	if w.problem != "" {
		fmt.Fprintf(out, "  (%s)", w.problem)
	}
	fmt.Fprintln(out)
}

// writeScreen paints the whole picture from the top, in one write, without
// clearing first: nothing flickers.
func (w *watch) writeScreen(out io.Writer, width, height int) {
	var b strings.Builder
	p := &w.progress
	gc, _ := w.metrics.Sum("go_gc_cycles_total")
	rss, _ := w.metrics.Sum("process_resident_memory_bytes")
	lines := []string{
		bold(fmt.Sprintf("millrace demo   %s   admin %s   Ctrl-C ends", w.ads, w.adm)),
		"",
		fmt.Sprintf("requests  %8.0f/s  %s", p.Rate, sparkline(w.rates, max(width-24, 10))),
		fmt.Sprintf("latency   p50 %s   p99 %s   p99.9 %s   max %s", microText(p.Latency.P50), microText(p.Latency.P99), microText(p.Latency.P999), microText(p.Latency.Max)),
		fmt.Sprintf("total     %d requests, %d without a good answer; %.0f GC cycles, %.0f MB resident", w.sent, w.errors, gc, rss/1e6),
		"",
	}
	foot := strings.Split(w.urls(), "\n")
	switch {
	case w.problem != "":
		foot = append(foot, w.problem)
	case w.foot.last() != "":
		foot = append(foot, w.foot.last())
	}
	room := height - len(lines) - len(foot) - 2
	var table strings.Builder
	w.writeCampaigns(&table, width, max(room, 3))
	lines = append(lines, strings.Split(strings.TrimRight(table.String(), "\n"), "\n")...)
	lines = append(lines, "")
	lines = append(lines, foot...)
	b.WriteString(screenHome)
	for i, l := range lines[:min(len(lines), height-1)] {
		if i > 0 {
			b.WriteString(lineRest)
		}
		b.WriteString(cut(l, width))
	}
	b.WriteString("\x1b[K" + screenRest)
	// A terminal that can't be written to has no reader; the next look tells.
	_, _ = io.WriteString(out, b.String())
}

// columns are the widths of the table: a narrow terminal drops columns rather
// than cutting names.
type columns struct {
	name, gauge int
	narrow      bool
}

func columnsFor(width int) columns {
	c := columns{narrow: width < 110}
	numbers, money := 47, 30
	if c.narrow {
		numbers, money = 28, 26
	}
	c.gauge = max(min((width-numbers-money)/4, 24), 6)
	c.name = max(min(width-numbers-money-c.gauge, 44), 16)
	return c
}

func (c columns) header() string {
	if c.narrow {
		return fmt.Sprintf("%s %9s %8s %7s  %s", pad("campaign / line item", c.name), "wins", "wins/s", "clicks", "spent of budget")
	}
	return fmt.Sprintf("%s %10s %8s %10s %7s %6s  %s", pad("campaign / line item", c.name), "wins", "wins/s", "shown", "clicks", "conv", "spent of budget")
}

func (c columns) row(label string, l *admin.LineStatus, rate float64, note string) string {
	if c.narrow {
		return fmt.Sprintf("%s %9d %8.0f %7d  %s", pad(label, c.name), l.Wins, rate, l.Clicks, note)
	}
	return fmt.Sprintf("%s %10d %8.0f %10d %7d %6d  %s", pad(label, c.name), l.Wins, rate, l.Impressions, l.Clicks, l.Conversions, note)
}

// writeCampaigns is the table: a campaign with its budget, its lines below.
func (w *watch) writeCampaigns(out io.Writer, width, rows int) {
	cols := columnsFor(width)
	fmt.Fprintln(out, cols.header())
	written, left := 1, 0
	for i := range w.campaigns {
		c := &w.campaigns[i]
		if written+1+len(c.Lines) > rows && written > 1 {
			left++
			continue
		}
		written += 1 + len(c.Lines)
		var sum admin.LineStatus
		rate := 0.0
		for j := range c.Lines {
			l := &c.Lines[j]
			sum.Wins += l.Wins
			sum.Impressions += l.Impressions
			sum.Clicks += l.Clicks
			sum.Conversions += l.Conversions
			rate += w.winRate[l.ID]
		}
		fmt.Fprintln(out, cols.row(c.Name, &sum, rate, budgetText(&c.Budget, c.Currency, cols.gauge)))
		for j := range c.Lines {
			l := &c.Lines[j]
			label := "  " + l.Name + " (" + strings.ReplaceAll(l.Kind, "_", " ") + ", " + l.Pricing + ")"
			fmt.Fprintln(out, cols.row(label, l, w.winRate[l.ID], lineNote(l, c.Currency, cols.gauge)))
		}
	}
	if left > 0 {
		fmt.Fprintf(out, "… and %d more campaigns: curl -s %s/campaigns\n", left, w.adm)
	}
	if len(w.campaigns) == 0 {
		fmt.Fprintln(out, "(no campaigns yet)")
	}
}

func lineNote(l *admin.LineStatus, currency string, gauge int) string {
	switch {
	case !l.Active:
		return "out of dates, hours or budget"
	case l.Budget != nil:
		return budgetText(l.Budget, currency, gauge)
	case l.Spent > 0:
		return money(unit.Nanos(l.Spent)) + " " + currency
	}
	return ""
}

// budgetText is spend against the day's budget, or the whole one where there is
// no daily, or the spend alone where there is none.
func budgetText(b *admin.Budget, currency string, gauge int) string {
	spent, limit := b.SpentToday, b.Daily
	if limit == 0 && b.Total > 0 {
		spent, limit = b.SpentTotal, b.Total
	}
	if limit == 0 {
		return money(unit.Nanos(spent)) + " " + currency + ", no limit"
	}
	return bar(unit.Nanos(spent).Float()/unit.Nanos(limit).Float(), gauge) + " " + money(unit.Nanos(spent)) + " / " + unit.Nanos(limit).String() + " " + currency
}

// money is an amount for people: whole cents, the rest cut off.
func money(n unit.Nanos) string {
	const cent = unit.NanosPerUnit / 100
	s := n / cent
	return fmt.Sprintf("%d.%02d", s/100, max(s%100, -s%100))
}

func bold(s string) string { return "\x1b[1m" + s + "\x1b[0m" }

// sparkline draws the values as columns, the last n of them.
func sparkline(values []float64, n int) string {
	const steps = "▁▂▃▄▅▆▇█"
	columns := []rune(steps)
	values = values[max(0, len(values)-n):]
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		i := 0
		if top > 0 {
			i = int(v / top * float64(len(columns)-1))
		}
		b.WriteRune(columns[min(max(i, 0), len(columns)-1)])
	}
	return b.String()
}

// cut keeps a line within the width; escape sequences count as nothing.
func cut(s string, width int) string {
	shown, escape := 0, false
	for i, r := range s {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			if shown++; shown > width {
				return s[:i] + "\x1b[0m"
			}
		}
	}
	return s
}
