package op

import (
	"encoding/json"
	"slices"

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
