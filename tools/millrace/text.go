package main

import (
	"errors"
	"strings"
)

// joinLines is one error with a line for each.
func joinLines(errs []error) error { return errors.Join(errs...) }

// pad cuts or fills s to n columns; runes count as one.
func pad(s string, n int) string {
	r := []rune(s)
	if len(r) > n {
		return string(r[:max(n-1, 0)]) + "…"
	}
	return s + strings.Repeat(" ", n-len(r))
}

// bar is a gauge of n columns, filled by share to an eighth of a column; over 1
// is full.
func bar(share float64, n int) string {
	eighths := []rune("·▏▎▍▌▋▊▉")
	steps := int(min(max(share, 0), 1)*float64(8*n) + 0.5)
	full := steps / 8
	s := strings.Repeat("█", full)
	if full < n {
		s += string(eighths[steps%8]) + strings.Repeat("·", n-full-1)
	}
	return s
}
