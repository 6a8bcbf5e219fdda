package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/drawbridge-id/drawbridge/claims"
)

// who asks whom an access token is about: the profile, with the subject as sub,
// and the user's address where that is told elsewhere.
func (c *OAuth2) who(ctx context.Context, access string) (subject string, said claims.Set, err error) {
	_, body, err := profile(ctx, c.http, c.o.Userinfo, access, "application/json")
	if err != nil {
		return "", nil, err
	}
	if said, err = claims.DecodeObject(body, claims.UpstreamLimits()); err != nil {
		return "", nil, distrust("userinfo", err)
	}
	if subject = subjectOf(member(said, c.o.SubjectClaim)); subject == "" {
		return "", nil, distrust("userinfo sub", nil)
	}
	for _, name := range minted() {
		delete(said, name) // nobody vouches for it here
	}
	for name := range said {
		if name != "sub" && strings.EqualFold(name, "sub") {
			return "", nil, distrust("userinfo", errors.New("a name folds to sub"))
		}
	}
	said["sub"] = subject
	if c.o.Emails == "" {
		return subject, said, nil
	}
	return subject, said, c.address(ctx, access, said)
}

// minted are claims that only an ID token says of a login.
func minted() []string {
	return []string{"iss", "aud", "exp", "iat", "nonce", "auth_time", "acr", "amr", "azp", "sid"}
}

// member finds a member by its name, or by a path of names with dots between.
func member(in map[string]any, path string) any {
	if v, ok := in[path]; ok {
		return v
	}
	name, rest, deeper := strings.Cut(path, ".")
	inner, ok := in[name].(map[string]any)
	if !deeper || !ok {
		return nil
	}
	return member(inner, rest)
}

// subjectOf makes text of a subject. A number must be whole: another spelling of
// it would be another user.
func subjectOf(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) <= 255 {
			return v
		}
	case json.Number:
		if text := v.String(); strings.Trim(text, "0123456789") == "" && len(text) <= 255 {
			return text
		}
	}
	return ""
}

// address puts the user's primary address into the claims, in place of one that
// the profile may show: that is what the user wants others to see. The endpoint
// answers with a list of addresses, or with one.
func (c *OAuth2) address(ctx context.Context, access string, said claims.Set) error {
	_, body, err := profile(ctx, c.http, c.o.Emails, access, "application/json")
	if err != nil {
		return err
	}
	whole, err := claims.DecodeObject([]byte(`{"all":`+string(body)+`}`), claims.UpstreamLimits())
	if err != nil {
		return distrust("emails", err)
	}
	list, ok := whole["all"].([]any)
	if !ok {
		list = []any{whole["all"]}
	}
	delete(said, "email")
	delete(said, "email_verified")
	for _, item := range list {
		entry, ok := item.(map[string]any)
		if !ok {
			return distrust("emails", errors.New("an entry is no object"))
		}
		email, _ := entry["email"].(string)
		if primary, told := entry["primary"]; email == "" || told && primary != true || !told && len(list) > 1 {
			continue
		}
		said["email"], said["email_verified"] = email, entry["verified"] == true || entry["email_verified"] == true
		return nil
	}
	return nil
}
