package config

import "strings"

// nearest returns the candidate that was most likely meant, or "" where none
// is close. Case, dashes and underscores cost nothing: clientId is client_id.
func nearest(given string, candidates []string) string {
	const longest = 64 // longer text is no mistyped name, and comparing it is slow
	if len(given) > longest {
		return ""
	}
	best, bestCost := "", 0
	for _, candidate := range candidates {
		a, b := squash(given), squash(candidate)
		cost, limit := distance(a, b), max(1, min(len(a), len(b))/3)
		if min(len(a), len(b)) > 2 && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) { // warning is warn
			cost = min(cost, 1)
		}
		if cost <= limit && (best == "" || cost < bestCost) {
			best, bestCost = candidate, cost
		}
	}
	return best
}

func squash(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to turn a into b.
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// meant is the tail of a message about an unknown name.
func meant(given string, candidates []string) string {
	if near := nearest(given, candidates); near != "" {
		return "; did you mean " + word(near) + "?"
	}
	return ""
}
