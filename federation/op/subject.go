package op

import (
	"context"
	"slices"

	"github.com/drawbridge-id/drawbridge/federation"
)

// subject is the sub that a client knows a person as (OpenID Connect Core 1.0
// §8). Pairwise wins over the upstream's own value, which would be the same to
// everybody.
func (h *Handler) subject(ctx context.Context, t federation.Tenant, client federation.Client, person string, login federation.Login) (string, error) {
	if client.Sector != "" {
		return h.o.Issuer.Pairwise(ctx, t, client.Sector, person)
	}
	if u, ok := h.o.Registry().Upstream(t.ID, login.Upstream); ok && u.Subject == federation.SubjectUpstream {
		return login.Subject, nil
	}
	return person, nil
}

// means says whether a person is one that the request allows: the one whom its
// hint names, and one whose sub it lists. A hint may be the ID token of another
// client and names the person as that one knows them.
func (h *Handler) means(ctx context.Context, t federation.Tenant, client federation.Client, q request, person string, login federation.Login) (bool, error) {
	if q.HintSubject != "" {
		of, known := h.o.Registry().Client(t.ID, q.HintClient)
		if !known {
			of = client
		}
		if sub, err := h.subject(ctx, t, of, person, login); err != nil || sub != q.HintSubject {
			return false, err
		}
	}
	if len(q.Subjects) == 0 {
		return true, nil
	}
	sub, err := h.subject(ctx, t, client, person, login)
	return slices.Contains(q.Subjects, sub), err
}
