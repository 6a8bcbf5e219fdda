package op

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// maxAsked is how many bytes of a claims parameter are carried on: it travels in
// a cookie, and is kept with everything that comes of the request.
const maxAsked = 1536

// ask reads the claims parameter (OpenID Connect Core 1.0 §5.5). What the client
// may not ask for is left out, as scopes are.
func (q *request) ask(client federation.Client, text string) error {
	if text == "" {
		return nil
	}
	asked, err := claims.ParseRequest(text)
	if err != nil {
		return federation.Fail(federation.InvalidRequest, "claims is not a valid request for claims.").Because(err)
	}
	asked.Asked = asked.Asked.Within(client.Scopes)
	if kept, err := json.Marshal(asked); err != nil || len(kept) > maxAsked {
		return federation.Fail(federation.InvalidRequest, "claims asks for too much.").Because(err)
	}
	q.Asked, q.Subjects = asked.Asked, asked.Subjects
	if len(asked.ACR) > 0 {
		q.ACRValues, q.ACREssential = asked.ACR, asked.ACREssential // said more precisely than by acr_values
	}
	return nil
}

// unmet says whether a login lacks the acr that the request insists on (OpenID
// Connect Core 1.0 §5.5.1.1).
func (q request) unmet(login federation.Login) bool {
	return q.ACREssential && !slices.Contains(q.ACRValues, login.ACR)
}

// describeClaims says what each claim that was asked for by name means to the
// person who is asked. Which text the element is named after cannot be a scope's:
// no scope has a space.
func describeClaims(names []string) []scopeLine {
	lines := make([]scopeLine, 0, len(names))
	for _, name := range names {
		base, language, _ := strings.Cut(name, "#")
		text, ok := map[string]string{
			"email": "See your e-mail address", "email_verified": "See whether your e-mail address is verified",
			"phone_number_verified": "See whether your phone number is verified", "address": "See your postal address",
			"profile": "See the address of your profile page", "picture": "See your picture", "website": "See the address of your website",
			"birthdate": "See your date of birth", "zoneinfo": "See your time zone", "locale": "See your language and country",
			"updated_at": "See when your profile was last changed", "nickname": "See your nickname",
		}[strings.ToLower(base)]
		if !ok {
			text = "See your " + strings.ReplaceAll(strings.ToLower(base), "_", " ")
		}
		if language != "" {
			text += " (" + language + ")"
		}
		lines = append(lines, scopeLine{Scope: "claim " + name, Text: text})
	}
	return lines
}
