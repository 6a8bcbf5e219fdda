package federation

import "slices"

// Level is the authentication level of an acr: its place among the tenant's,
// lowest first, from 1. One that is not listed, or not known, is level 0.
func (t Tenant) Level(acr string) int {
	if acr == "" {
		return 0
	}
	return slices.Index(t.ACRLevels, acr) + 1
}

// Reaches says whether an acr is as good as one of those asked for, as far as
// that is known: it is one of them, or the tenant has levels and it is at least
// the lowest of theirs. Where the tenant says nothing of those asked for, an acr
// that nobody told is given the benefit of the doubt.
func (t Tenant) Reaches(acr string, asked []string) bool {
	if len(asked) == 0 || slices.Contains(asked, acr) {
		return true
	}
	least := 0
	for _, a := range asked {
		if l := t.Level(a); l > 0 && (least == 0 || l < least) {
			least = l
		}
	}
	if least == 0 {
		return acr == ""
	}
	return t.Level(acr) >= least
}
