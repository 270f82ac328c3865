package strict

import "strings"

// Nearest is the name of known that text was most likely meant to be, or ""
// when none is close: a distance of at most a third of the length, at least
// one. Letter case, "-" and "_" do not count. Ties go to the earlier name.
func Nearest(text string, known []string) string {
	folded := fold(text)
	if len(folded) > 64 {
		return ""
	}
	best, bestDistance := "", max(1, len(folded)/3)+1
	for _, k := range known {
		if d := distance(folded, fold(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

func fold(s string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
}

// distance is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours, which are the slips of typing.
func distance(a, b string) int {
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}

// Remedy says which of the known names to write instead of text: the nearest,
// or the list where it is short.
func Remedy(text string, known []string) string {
	if near := Nearest(text, known); near != "" {
		return "did you mean \"" + near + "\"?"
	}
	if len(known) > 0 && len(known) <= 24 {
		return "known: " + strings.Join(known, ", ")
	}
	return "remove it"
}
