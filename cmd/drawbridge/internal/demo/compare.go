package demo

import (
	"cmp"
	"maps"
	"slices"

	"github.com/drawbridge-id/drawbridge/claims"
)

// verdict is what became of a claim on its way.
type verdict string

// What can become of a claim, in the order in which the page shows it.
const (
	forged   verdict = "forged" // must never be seen
	refused  verdict = "refused"
	withheld verdict = "withheld"
	added    verdict = "added"
	changed  verdict = "changed"
	filtered verdict = "filtered"
	mapped   verdict = "mapped"
	passed   verdict = "passed"
	unasked  verdict = "not released"
	minted   verdict = "minted"
)

func (v verdict) rank() int {
	return slices.Index([]verdict{forged, refused, withheld, added, changed, filtered, mapped, passed, unasked, minted}, v)
}

// row is one claim, side by side as everybody saw it. Values are JSON; empty is
// absent.
type row struct {
	Claim                    string
	Upstream, Sent, Answered string
	// Got is what the relying party has, and where it has it from.
	Got                   string
	InIDToken, InUserinfo bool
	Verdict               verdict
	Why                   string
}

// sides are the four views of one sign-in.
type sides struct {
	upstream, sent, answered, idToken, userinfo map[string]any
}

// compare lines the views up, the most telling claims first.
func compare(s sides) []row {
	names := map[string]bool{}
	for _, side := range []map[string]any{s.upstream, s.sent, s.answered, s.idToken, s.userinfo} {
		for name := range side {
			names[name] = true
		}
	}
	rows := make([]row, 0, len(names))
	for name := range maps.Keys(names) {
		rows = append(rows, s.row(name))
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.Verdict.rank(), b.Verdict.rank()), cmp.Compare(a.Claim, b.Claim))
	})
	return rows
}

func (s sides) row(name string) row {
	r := row{
		Claim: name, Upstream: valueOf(s.upstream, name), Sent: valueOf(s.sent, name), Answered: valueOf(s.answered, name),
		Got: cmp.Or(valueOf(s.userinfo, name), valueOf(s.idToken, name)),
	}
	_, r.InIDToken = s.idToken[name]
	_, r.InUserinfo = s.userinfo[name]
	var guard claims.Guard
	if class := guard.Class(name); class == claims.Free {
		r.Verdict, r.Why = r.free()
	} else {
		r.Verdict, r.Why = r.guarded(class)
	}
	return r
}

// guarded judges a claim that no hook may write.
func (r row) guarded(class claims.Class) (verdict, string) {
	attempted := r.Answered != "" && r.Answered != r.Sent
	switch {
	case attempted && r.Got == r.Answered:
		return forged, "The hook's value got through. This must not happen."
	case attempted && r.Got == "":
		return refused, "The hook tried to add it; the guard refused."
	case attempted:
		return refused, "The hook tried to change it; the guard refused."
	case class == claims.Minted:
		return minted, "Drawbridge's own."
	case r.Got != "":
		return mapped, "Protected; a rule of the configuration lets it in."
	}
	return withheld, "Protected: it does not pass through from a provider."
}

// free judges a claim that the hook may write.
func (r row) free() (verdict, string) {
	switch {
	case r.Sent != "" && r.Answered == "":
		return filtered, "The hook left it out."
	case r.Got == "":
		return unasked, "No scope or rule releases it to this client."
	case r.Sent == "":
		return added, "The hook introduced it."
	case r.Sent != r.Answered && r.Upstream == "":
		return changed, "Made by a mapping rule, changed by the hook."
	case r.Sent != r.Answered:
		return changed, "Changed by the hook."
	case r.Sent != r.Upstream:
		return mapped, "Made by a mapping rule."
	}
	return passed, "As it was said."
}

func valueOf(side map[string]any, name string) string {
	value, ok := side[name]
	if !ok {
		return ""
	}
	return compact(value)
}
