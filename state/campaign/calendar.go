package campaign

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"millrace/codec/unit"
)

// always is every hour of the week.
var always = hours{math.MaxUint64, math.MaxUint64, 1<<(weekHours-128) - 1}

func (h *hours) intersect(o hours) {
	for i := range h {
		h[i] &= o[i]
	}
}

func (h *hours) unite(o hours) {
	for i := range h {
		h[i] |= o[i]
	}
}

func (h *hours) subtract(o hours) {
	for i := range h {
		h[i] &^= o[i]
	}
}

var dayNames = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// parseHours adds the hours of a text like "mon-fri 8-20", "sat,sun", "22-6":
// days, hours, or both. The last hour is not included; hours that pass midnight
// end on the next day.
func parseHours(text string, into *hours) bool {
	fields := strings.Fields(strings.ToLower(text))
	if len(fields) == 0 || len(fields) > 2 {
		return false
	}
	days, ok := parseDays(fields[0])
	if ok {
		fields = fields[1:]
	} else {
		days = 1<<7 - 1
	}
	first, last := 0, 24
	switch {
	case len(fields) == 0:
	case len(fields) > 1:
		return false
	default:
		if first, last, ok = parseHourRange(fields[0]); !ok {
			return false
		}
	}
	for d := range 7 {
		if days>>d&1 != 0 {
			for h := first; h < last; h++ {
				into.set((d*24 + h) % weekHours)
			}
		}
	}
	return true
}

func parseDays(text string) (days uint8, ok bool) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		first := dayOf(from)
		last := first
		if ranged {
			last = dayOf(to)
		}
		if first < 0 || last < 0 {
			return 0, false
		}
		for d := first; ; d = (d + 1) % 7 {
			days |= 1 << d
			if d == last {
				break
			}
		}
	}
	return days, true
}

// dayOf takes "mon" as well as "monday"; −1 is "no day".
func dayOf(text string) int {
	for i, name := range dayNames {
		if len(text) >= 3 && strings.HasPrefix(text, name) && strings.HasPrefix(longDayNames[i], text) {
			return i
		}
	}
	return -1
}

var longDayNames = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

func parseHourRange(text string) (first, last int, ok bool) {
	from, to, ranged := strings.Cut(text, "-")
	hour := func(text string) int {
		text = strings.TrimSuffix(text, ":00")
		n, err := strconv.Atoi(text)
		if err != nil || len(text) > 2 || n < 0 || n > 24 {
			return -1
		}
		return n
	}
	if first = hour(from); !ranged {
		return first, first + 1, first >= 0 && first < 24
	}
	if last = hour(to); first < 0 || last < 0 || first == last || first == 24 {
		return 0, 0, false
	}
	if last < first {
		last += 24
	}
	return first, last, true
}

// hours is the union of the texts; none is always.
func (c *compiler) hours(p place, field string, texts []string) hours {
	if len(texts) == 0 {
		return always
	}
	var open hours
	good := true
	for i, text := range texts {
		if !parseHours(text, &open) {
			good = false
			c.fault(p, field+"["+strconv.Itoa(i)+"]", fmt.Sprintf("%q is not a part of the week", text),
				"write days, hours or both, the last hour not included: mon-fri 8-20, sat,sun, 22-6")
		}
	}
	if !good {
		return always // what follows from it is no second fault
	}
	return open
}

func (c *compiler) zone(p place, name string) *time.Location {
	if name == "" {
		return time.UTC
	}
	if z, ok := c.zones[name]; ok {
		return z
	}
	z, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		c.fault(p, "time_zone", fmt.Sprintf("%q is not a time zone", name), "write its IANA name: Europe/Berlin, America/New_York, UTC")
		z = time.UTC
	}
	c.zones[name] = z
	return z
}

// dates reads a start and an end; what is not given is the beginning of time,
// and Never.
func (c *compiler) dates(p place, startText, endText string, zone *time.Location) (start, end unit.WallTime) {
	const remedy = "write a day (2026-03-01) or a minute (2026-03-01T18:00), on the clocks of time_zone"
	start, end = 0, Never
	if startText != "" {
		t, _, ok := parseDate(startText, zone)
		if !ok {
			c.fault(p, "start", fmt.Sprintf("%q is not a date", startText), remedy)
		}
		start = max(t, 0)
	}
	if endText != "" {
		t, day, ok := parseDate(endText, zone)
		switch {
		case !ok:
			c.fault(p, "end", fmt.Sprintf("%q is not a date", endText), remedy)
		case day:
			end = (t.DayIn(zone) + 1).Start(zone)
		default:
			end = t
		}
	}
	if start >= end {
		c.fault(p, "end", endText+" is not after the start", "write a later end")
		return 0, Never // what follows from it is no second fault
	}
	return start, end
}

// parseDate reads a date; day says that it was one without a time.
func parseDate(text string, zone *time.Location) (at unit.WallTime, day, ok bool) {
	for _, layout := range [...]string{time.DateOnly, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", time.RFC3339} {
		t, err := time.ParseInLocation(layout, text, zone)
		if err != nil || t.Year() < 1970 || t.Year() > 2200 {
			continue
		}
		if layout == time.DateOnly {
			y, m, d := t.Date()
			day := unit.Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
			return day.Start(zone), true, true
		}
		return unit.WallTime(t.UnixNano()), false, true
	}
	return 0, false, false
}
