package claims

import (
	"slices"
	"strings"
)

// scopeOf returns the scope that releases a standard claim
// (OpenID Connect Core 1.0 §5.4), "" for a claim that is not one. The name is
// folded first, or "EMAIL" would be a way around consent, and its language tag
// (§5.2, "name#ja") is set aside.
func scopeOf(name string) string {
	base, _, _ := strings.Cut(fold(name), "#")
	switch base {
	case "name", "family_name", "given_name", "middle_name", "nickname",
		"preferred_username", "profile", "picture", "website", "gender",
		"birthdate", "zoneinfo", "locale", "updated_at":
		return "profile"
	case "email", "email_verified":
		return "email"
	case "address":
		return "address"
	case "phone_number", "phone_number_verified":
		return "phone"
	}
	return ""
}

// release picks from the bag what the client is told; the package doc has the
// rule. only are the claims that it asked for in the ID token alone.
func (r *run) release() (out Set, only []string) {
	out = make(Set, len(r.bag))
	for name, value := range r.bag {
		if value == nil || value == "" {
			continue
		}
		told := r.pipeline.mapping.sets(name) || r.releases(name) || mayTell(name, r.in.Asked.Userinfo)
		if !told && !mayTell(name, r.in.Asked.IDToken) {
			continue
		}
		value, err := standard(name, value)
		if err != nil {
			r.problems = append(r.problems, Problem{Step: StepRelease, Claim: name, What: NotConvertible})
			continue
		}
		if out[name] = value; !told {
			only = append(only, name)
		}
	}
	slices.Sort(only)
	return out, only
}

func (r *run) releases(name string) bool {
	if scope := scopeOf(name); scope != "" {
		return slices.Contains(r.in.Scopes, scope)
	}
	_, authored := r.origin[name]
	return authored
}
