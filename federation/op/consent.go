package op

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// consent is what a person agreed that a client may have.
type consent struct {
	Scopes []string `json:"scopes"`
	// Claims are those asked for by name that no scope of Scopes stood for.
	Claims []string `json:"claims,omitempty"`
	// At is when the person agreed last.
	At time.Time `json:"at"`
}

func consentTable(eng store.Engine, sealer *store.Sealer) *store.Table[consent] {
	return store.NewTable[consent](eng, store.TableOptions{Kind: "consent", Schema: 1, Sealer: sealer})
}

func consentID(person, client string) string { return person + "/" + client }

// ForgetConsents is a Planner that takes away what a deleted person had agreed
// to, in the commit of the deletion.
func ForgetConsents(eng store.Engine, sealer *store.Sealer) federation.Planner {
	consents := consentTable(eng, sealer)
	return func(ctx context.Context, c federation.Change) ([]store.Op, error) {
		if c.Kind != federation.PersonDeleted || c.Person == nil {
			return nil, nil
		}
		prefix, at := consentID(c.Person.ID, ""), c.Tenant.PlaceOf(c.Person.ID)
		var ops []store.Op
		for after, more := "", true; more; {
			rows, err := consents.Scan(ctx, at, prefix, after, scanned)
			if err != nil {
				return nil, fmt.Errorf("scan consents of %s: %w", c.Person.ID, err)
			}
			for _, row := range rows {
				after = row.ID
				ops = append(ops, consents.Drop(at, row.ID))
			}
			more = len(rows) == scanned
		}
		return ops, nil
	}
}

// scanned is how many consents are read at once.
const scanned = 100

// agreement is how a request stands to what its user has agreed to.
type agreement struct {
	// asks says that the user must agree before there is a code.
	asks bool
	// scopes are those to be granted.
	scopes []string
	// relies is the consent that the user need not be asked for the sake of; its
	// withdrawal must not be overtaken.
	relies *store.Row[consent]
}

// errAgreedNoLonger says that a consent was withdrawn under way.
var errAgreedNoLonger = errors.New("op: the consent was withdrawn")

// agreement says whether the user has to agree: always with prompt=consent, and
// otherwise where the client asks and the user has not agreed to all of it before
// (OpenID Connect Core 1.0 §3.1.2.4). Offline access needs consent: where nobody
// can be asked for it, it is left out and not a failure (§11).
func (h *Handler) agreement(ctx context.Context, t federation.Tenant, v visit, person string) (agreement, error) {
	q := v.request
	switch {
	case v.agreed:
		return agreement{scopes: q.Scopes}, nil
	case q.prompts("consent"):
		return agreement{scopes: q.Scopes, asks: true}, nil
	case !v.client.AskConsent:
		return agreement{scopes: q.Scopes}, nil
	}
	row, err := h.consented(ctx, t, person, v.client.ID)
	if err != nil {
		return agreement{}, err
	}
	if q.prompts("none") && !slices.Contains(row.Value.Scopes, offlineAccess) {
		q.Scopes = slices.DeleteFunc(slices.Clone(q.Scopes), func(s string) bool { return s == offlineAccess })
	}
	switch {
	case row.Value.covers(q):
		return agreement{scopes: q.Scopes, relies: &row}, nil
	case q.prompts("none"):
		return agreement{}, federation.Fail(federation.ConsentRequired, "The user has not agreed yet.")
	}
	return agreement{scopes: q.Scopes, asks: true}, nil
}

// covers says whether all of a request was agreed to.
func (c consent) covers(q request) bool {
	lacks := func(agreed []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(agreed, s) }
	}
	return !slices.ContainsFunc(q.Scopes, lacks(c.Scopes)) && !slices.ContainsFunc(q.Asked.Beyond(c.Scopes), lacks(c.Claims))
}

// consented is what a person agreed to; without a version where that is nothing.
func (h *Handler) consented(ctx context.Context, t federation.Tenant, person, client string) (store.Row[consent], error) {
	row, err := h.consents.Get(ctx, t.PlaceOf(person), consentID(person, client))
	if errors.Is(err, store.ErrNotFound) {
		return store.Row[consent]{Place: t.PlaceOf(person), ID: consentID(person, client)}, nil
	}
	if err != nil {
		return row, fmt.Errorf("read consent: %w", err)
	}
	return row, nil
}

// rememberConsent is part of the commit that the consent led to. What was
// agreed to before stays agreed to, unless it is withdrawn at that moment.
func (h *Handler) rememberConsent(ctx context.Context, t federation.Tenant, person string, v visit) (store.Op, error) {
	row, err := h.consented(ctx, t, person, v.client.ID)
	if err != nil {
		return store.Op{}, err
	}
	more := consent{Scopes: slices.Clone(row.Value.Scopes), Claims: slices.Clone(row.Value.Claims), At: h.o.Now()}
	for _, s := range v.request.Scopes {
		if !slices.Contains(more.Scopes, s) {
			more.Scopes = append(more.Scopes, s)
		}
	}
	for _, name := range v.request.Asked.Beyond(v.request.Scopes) {
		if !slices.Contains(more.Claims, name) {
			more.Claims = append(more.Claims, name)
		}
	}
	if row.Version == 0 {
		return h.consents.Create(row.Place, row.ID, more, time.Time{}), nil
	}
	return h.consents.Replace(row.Place, row.ID, more, row.Version, time.Time{}), nil
}

// startConsent sends the browser to the page that asks, so that reloading it
// does not bring the upstream's answer a second time.
func (h *Handler) startConsent(w http.ResponseWriter, r *http.Request, v visit, person string) error {
	t, handle := tenantOf(r), federation.NewSecret()
	tx := transaction{Step: atConsent, Request: v.request, Upstream: v.login.Upstream, Person: person}
	if err := h.carry(w, r, handle, tx); err != nil {
		return v.request.fail(t, err)
	}
	seeOther(w, base(t)+"/consent?"+url.Values{"tx": {handle}}.Encode())
	return nil
}

// askConsent shows the page. It names the user only while they are signed in: the
// transaction outlives a logout, and whoever uses the browser next may come by.
func (h *Handler) askConsent(w http.ResponseWriter, r *http.Request) error {
	t := tenantOf(r)
	handle, tx, client, err := h.asking(r, atConsent)
	if err != nil {
		return err
	}
	held, err := h.session(r)
	if err != nil {
		return tx.Request.fail(t, err)
	}
	account := ""
	if held != nil && held.Session.Person == tx.Person {
		account = h.account(r, tx.Person)
	}
	p := page.Consent{
		Client: title(client), Account: account, Host: host(tx.Request.RedirectURI),
		Action: base(t) + "/consent", Transaction: handle, Scopes: tx.Request.Scopes, Claims: tx.Request.Asked.Beyond(tx.Request.Scopes),
		Home: client.URI, Policy: client.PolicyURI, Terms: client.TermsURI,
	}
	h.show(w, r, http.StatusOK, client, tx.Request.UILocales, p, h.onward(t, tx.Request.RedirectURI))
	return nil
}

// takeConsent takes the user's answer. It is the answer of the person who was
// asked: where another one is signed in by now, or nobody, the sign-in starts
// over.
func (h *Handler) takeConsent(w http.ResponseWriter, r *http.Request) error {
	all, err := form(r, "tx", "answer")
	if err != nil {
		return err
	}
	tx, err := h.take(w, r, all.Get("tx"), atConsent)
	if err != nil {
		return err
	}
	t, q := tenantOf(r), tx.Request
	client, err := h.proven(t, q)
	if err != nil {
		return err
	}
	held, err := h.session(r)
	if err != nil {
		return q.fail(t, err)
	}
	if all.Get("answer") != "allow" {
		return h.disagreed(r, client, tx)
	}
	if held == nil || held.Session.Person != tx.Person {
		return h.next(w, r, client, q)
	}
	login, ok := held.Session.Login(tx.Upstream)
	if !ok || !client.MayUse(tx.Upstream) {
		return h.next(w, r, client, q)
	}
	h.audit(r, "consent given", slog.String("client", client.ID), slog.String("person", tx.Person))
	return h.complete(w, r, visit{client: client, request: q, held: held, login: login, agreed: true})
}

// disagreed tells of a user who did not allow it. The session goes on: nothing
// is wrong with that.
func (h *Handler) disagreed(r *http.Request, client federation.Client, tx transaction) error {
	t := tenantOf(r)
	var got outcome
	if p, err := h.o.Persons.Get(r.Context(), t, tx.Person); err == nil {
		got.person = p
	}
	v := visit{client: client, request: tx.Request, login: federation.Login{Upstream: tx.Upstream}}
	return h.denied(r, t, v, got, federation.Fail(federation.AccessDenied, "The user did not agree."))
}

// account is how a person is shown to themselves, empty where it is not known.
func (h *Handler) account(r *http.Request, person string) string {
	p, err := h.o.Persons.Get(r.Context(), tenantOf(r), person)
	switch {
	case err != nil:
		return ""
	case p.Name != "" && p.Email != "":
		return p.Name + " (" + p.Email + ")"
	case p.Name != "":
		return p.Name
	}
	return p.Email
}
