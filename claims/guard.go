package claims

import (
	"cmp"
	"slices"
)

// authority is what the author of an answer may write beside free claims.
type authority bool

const (
	operator authority = true  // an explicit rule of the configuration: protected claims too
	stranger authority = false // everybody else: free claims only
)

// check lets through of an answer what its author may write and puts back what
// he may not take away. before is the bag he was shown, without the minted
// claims that he was shown beside it. The result shares nothing with answer:
// whoever keeps a reference to it cannot change the bag afterwards.
// The error is a *DecodeError where the answer is no proper set at all.
func (g *Guard) check(step string, who authority, before, minted, answer Set) (Set, []Verdict, error) {
	if err := checkNames(answer); err != nil {
		return nil, nil, err
	}
	after := make(Set, max(len(before), len(answer)))
	var verdicts []Verdict
	judge := func(name string, class Class, value any, shown Set) {
		had, ok := shown[name]
		switch {
		case !ok:
			verdicts = append(verdicts, Verdict{step, name, class, Added})
		case !equal(had, value, sameValue):
			verdicts = append(verdicts, Verdict{step, name, class, Changed})
		}
	}
	for name, value := range answer {
		value, err := normal(value, UpstreamLimits().Depth)
		if err != nil {
			return nil, nil, err
		}
		switch class := g.Class(name); {
		case class == Minted:
			judge(name, class, value, minted)
		case class == Protected && who == stranger:
			judge(name, class, value, before)
		case value != nil:
			kept, refused := g.pointers(name, value)
			for _, member := range refused {
				verdicts = append(verdicts, Verdict{step, name + "." + member, g.Class(member), Added})
			}
			after[name] = kept
		}
	}
	g.keepProtected(before, after)
	slices.SortFunc(verdicts, func(a, b Verdict) int { return cmp.Compare(a.Claim, b.Claim) })
	return after, verdicts, nil
}

// keepProtected puts back what was left out: for a protected claim omission is neutral.
func (g *Guard) keepProtected(before, after Set) {
	for name, value := range before {
		if g.Class(name) == Protected {
			if _, ok := after[name]; !ok {
				after[name] = value
			}
		}
	}
}

// pointers keeps aggregated and distributed claims (OpenID Connect Core 1.0
// §5.6.2) from being a back door: a member of _claim_names tells the relying
// party to take the claim of that name from elsewhere, so it is refused where
// the claim itself would be. The value is one that check has copied.
func (g *Guard) pointers(name string, value any) (kept any, refused []string) {
	members, ok := value.(map[string]any)
	if !ok || fold(name) != "_claim_names" {
		return value, nil
	}
	for member := range members {
		if g.Class(member) != Free {
			refused = append(refused, member)
			delete(members, member)
		}
	}
	return members, refused
}
