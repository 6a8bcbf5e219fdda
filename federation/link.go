package federation

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
)

// Linking says what becomes of a first sign-in with the address of somebody who
// is known from another upstream.
type Linking string

const (
	// LinkNever makes it somebody new.
	LinkNever Linking = "never"
	// LinkAsk asks the user, who proves the account by signing in with it.
	LinkAsk Linking = "ask"
	// LinkEmail adds the login to the account: the upstreams' word is enough.
	LinkEmail Linking = "email"
)

// Link is a further login of a person's: an alias beside the one that they came
// with.
type Link struct {
	Upstream string `json:"upstream"`
	Subject  string `json:"subject"`
	// Linked is when it was added.
	Linked time.Time `json:"linked"`
	// Claims is the newest bag of that upstream, empty before it has said any.
	Claims claims.Set `json:"claims,omitempty"`
}

// SubjectAt is what an upstream knows the person as; not ok where it does not.
func (p Person) SubjectAt(upstream string) (subject string, ok bool) {
	if p.Upstream == upstream {
		return p.Subject, true
	}
	for _, l := range p.Links {
		if l.Upstream == upstream {
			return l.Subject, true
		}
	}
	return "", false
}

// ClaimsAt is the newest bag of one of the person's upstreams. What another one
// said is no answer to who may see only this one. A grant that names no upstream is
// of before there were several.
func (p Person) ClaimsAt(upstream string) claims.Set {
	if p.Upstream == upstream || upstream == "" {
		return p.Claims
	}
	if i := slices.IndexFunc(p.Links, func(l Link) bool { return l.Upstream == upstream }); i >= 0 {
		return p.Links[i].Claims
	}
	return nil
}
