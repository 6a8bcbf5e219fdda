package op

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
)

// sealWithdraw is the purpose of a withdrawal's proof.
const sealWithdraw = "withdraw consent"

// withdrawal is what a button of the page stands for: sealed, so that no other
// site can press it, and worth something in the session that it was shown to.
type withdrawal struct {
	Session string `json:"s"`
	Person  string `json:"p"`
	Client  string `json:"c"`
}

// me shows users what they have agreed to, and lets them take it back. Nothing
// but the session says who they are; without one the page says so.
func (h *Handler) me(w http.ResponseWriter, r *http.Request) error {
	held, err := h.session(r)
	if err != nil {
		return err
	}
	if held == nil {
		h.show(w, r, http.StatusOK, federation.Client{}, locales(r), page.MeNobody{}, "")
		return nil
	}
	p, err := h.aboutMe(r, held.Session)
	if err != nil {
		return err
	}
	h.show(w, r, http.StatusOK, federation.Client{}, locales(r), p, h.afterSignOut(tenantOf(r), goodbye{}, held.Session))
	return nil
}

// when is how the page writes a time.
const when = "2006-01-02 15:04 MST"

func (h *Handler) aboutMe(r *http.Request, s federation.Session) (page.Me, error) {
	t := tenantOf(r)
	given, err := h.Consents(r.Context(), t, s.Person)
	if err != nil {
		return page.Me{}, err
	}
	p := page.Me{
		Account: h.account(r, s.Person), Since: s.Began.UTC().Format(when),
		Withdraw: base(t) + "/me/withdraw", SignOut: base(t) + "/end_session/confirm",
	}
	for _, l := range s.Logins {
		name := l.Upstream
		if u, ok := h.o.Registry().Upstream(t.ID, l.Upstream); ok && u.Name != "" {
			name = u.Name
		}
		p.Sources = append(p.Sources, name)
	}
	for _, c := range given {
		app := page.App{Client: c.Client, Since: c.At.UTC().Format(when), Scopes: c.Scopes, Claims: c.Claims}
		if known, ok := h.o.Registry().Client(t.ID, c.Client); ok {
			app.Client = title(known)
		}
		if app.Proof, err = h.seal(r, sealWithdraw, withdrawal{Session: s.ID, Person: s.Person, Client: c.Client}); err != nil {
			return p, err
		}
		p.Apps = append(p.Apps, app)
	}
	slices.SortStableFunc(p.Apps, func(a, b page.App) int {
		return strings.Compare(strings.ToLower(a.Client), strings.ToLower(b.Client))
	})
	p.Proof, err = h.seal(r, sealConfirm, goodbye{Asked: s.ID})
	return p, err
}

// withdraw takes back what the user had agreed to, and shows the page again. The
// button counts in the session that it was shown to only.
func (h *Handler) withdraw(w http.ResponseWriter, r *http.Request) error {
	all, err := form(r, "proof")
	if err != nil {
		return err
	}
	var asked withdrawal
	if err := h.open(r, sealWithdraw, all.Get("proof"), &asked); err != nil {
		return err
	}
	held, err := h.session(r)
	if err != nil {
		return err
	}
	if held == nil || held.Session.ID != asked.Session || held.Session.Person != asked.Person {
		return federation.Fail(federation.InvalidRequest, "You are not signed in any more as you were when the page was shown. Nothing was changed.")
	}
	t := tenantOf(r)
	if _, err := h.Withdraw(r.Context(), t, asked.Person, asked.Client); err != nil {
		return federation.Fail(federation.TemporarilyUnavailable, "This could not be taken back completely at the moment. Please try again.").Because(err)
	}
	h.audit(r, "consent withdrawn", slog.String("client", asked.Client), slog.String("person", asked.Person))
	seeOther(w, base(t)+"/me")
	return nil
}
