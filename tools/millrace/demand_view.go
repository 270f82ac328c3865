package main

import (
	"fmt"
	"io"
	"strings"

	"millrace/codec/unit"
	"millrace/engine/node"
)

// writeScreen paints the picture from the top in one write, as the demo does.
func (v *demandView) writeScreen(out io.Writer, screen *terminal) error {
	width, height := screen.size()
	var table, b strings.Builder
	if err := v.writeText(&table, height-2); err != nil {
		return err
	}
	b.WriteString(screenHome)
	for _, l := range strings.Split(strings.TrimRight(table.String(), "\n"), "\n") {
		b.WriteString(cut(l, width))
		b.WriteString(lineRest)
	}
	b.WriteString(screenRest)
	_, err := io.WriteString(out, b.String())
	return err
}

// writeText writes the table, rows lines of it at most.
func (v *demandView) writeText(w io.Writer, rows int) error {
	l := &lines{w: w}
	s := &v.now
	l.printf("%s version %d, %d shards, asking %s; %d requests%s; %s\n", s.File, s.Version, s.Shards, stageText(s.Stage), s.Requests,
		v.perSecond(s.Requests, v.before.Requests), circuits(s.Open))
	if s.LastRefusal != "" {
		l.printf("the file as it is now does not serve: %s\n", s.LastRefusal)
	}
	name := 8
	for i := range s.Partners {
		name = min(max(name, len(s.Partners[i].Name)), 24)
	}
	asked, wins, value := "asked", "wins", "value"
	if v.length > 0 {
		asked, wins, value = "asked/s", "wins/s", "value/s"
	}
	l.printf("\n%s %4s %-9s %-6s %-8s %7s %7s %7s %7s %6s %6s %7s %6s %9s %8s %10s\n", pad("partner", name), "tier", "circuit", "health", "",
		"p50", "p95", "p99", "given", "bids", "wins", "cpm", "ok", asked, wins, value)
	rows -= 4
	for i := range s.Partners {
		if i >= rows-1 && len(s.Partners) > rows {
			l.printf("… and %d more\n", len(s.Partners)-i)
			break
		}
		v.row(l, i, name)
	}
	return l.err
}

func (v *demandView) row(l *lines, i, name int) {
	p := &v.now.Partners[i]
	var q node.PartnerStatus
	seconds := 0.0
	if v.length > 0 {
		q, seconds = v.before.Partners[i], v.length.Seconds()
	}
	l.printf("%s %4d %s %.2f   %s %7s %7s %7s %7s %6s %6s %7.3f %6s %9s %8s %10s%s\n", pad(p.Name, name), p.Tier, pad(circuitText(p), 9), p.Health.Score, bar(p.Health.Score, 8),
		milliText(p.P50), milliText(p.P95), milliText(p.P99), milliText(p.Timeout), percentText(p.BidRate), percentText(p.WinRate), p.CallValue, percentText(okShare(p, &q)),
		countText(p.Asked, q.Asked, seconds), countText(p.Wins, q.Wins, seconds), valueText(unit.Nanos(p.Value), unit.Nanos(q.Value), seconds), whyText(p))
}

// circuitText is the state, and when it may change.
func circuitText(p *node.PartnerStatus) string {
	switch {
	case p.Paused:
		return "paused"
	case p.RetrySeconds > 0:
		return fmt.Sprintf("%s %.0fs", p.Circuit, p.RetrySeconds)
	}
	return p.Circuit
}

// whyText is the cause of a circuit that is not closed, and what went wrong.
func whyText(p *node.PartnerStatus) string {
	text := ""
	if p.OpenOn > 0 {
		text = fmt.Sprintf("  %s, on %d shards, opened %d×", p.Cause, p.OpenOn, p.Opened)
	}
	if p.Lies > 0 {
		text += fmt.Sprintf("  %d bids against the rules", p.Lies)
	}
	return text
}

// okShare is the share of calls that were answered, of all or of those since
// the last look.
func okShare(p, before *node.PartnerStatus) float64 {
	var all, ok uint64
	for outcome, n := range p.Outcomes {
		n -= before.Outcomes[outcome]
		if all += n; outcome == "answered" {
			ok = n
		}
	}
	if all == 0 {
		return -1
	}
	return float64(ok) / float64(all)
}

func (v *demandView) perSecond(n, before uint64) string {
	if v.length <= 0 {
		return ""
	}
	return fmt.Sprintf(" (%.0f/s)", float64(n-before)/v.length.Seconds())
}

func stageText(stage map[string]int) string {
	var parts []string
	for _, rung := range []string{"all", "top", "few", "internal"} {
		if n := stage[rung]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s on %d", rung, n))
		}
	}
	if len(parts) == 0 {
		return "nobody yet"
	}
	return strings.Join(parts, ", ")
}

func circuits(open int) string {
	switch open {
	case 0:
		return "all circuits closed"
	case 1:
		return "1 circuit not closed"
	}
	return fmt.Sprintf("%d circuits not closed", open)
}

// milliText is a time in milliseconds; below 0 is a time that never comes.
func milliText(ms float64) string {
	switch {
	case ms < 0:
		return "never"
	case ms == 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.1fms", ms)
	}
	return fmt.Sprintf("%.0fms", ms)
}

// percentText is a share; below 0 is none.
func percentText(share float64) string {
	if share < 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*share)
}

func countText(n, before uint64, seconds float64) string {
	if seconds <= 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%.1f", float64(n-before)/seconds)
}

func valueText(v, before unit.Nanos, seconds float64) string {
	if seconds <= 0 {
		return fmt.Sprintf("%.4f", v.Float())
	}
	return fmt.Sprintf("%.4f", (v-before).Float()/seconds)
}
