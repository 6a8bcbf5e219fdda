package op

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
	"github.com/drawbridge-id/drawbridge/federation/person"
)

// linking is a login that an upstream has vouched for, on its way to being added
// to the account of somebody who has to prove first that it is theirs.
type linking struct {
	// Person is whose the account is, With the upstream where it is proven.
	Person string `json:"p"`
	With   string `json:"w"`
	// Upstream, Subject and Email are the login's.
	Upstream string `json:"u"`
	Subject  string `json:"s"`
	Email    string `json:"e"`
}

func (l linking) join() person.Join {
	return person.Join{Upstream: l.Upstream, Subject: l.Subject, Email: l.Email}
}

// linkableError says that a first login may belong to an account that there is:
// the user is to be asked.
type linkableError struct{ linking }

func (*linkableError) Error() string { return "op: the user may have an account already" }

// errNotLinked: what spoke for it is no longer so, or never was.
func errNotLinked(cause error) *federation.Error {
	return federation.Fail(federation.AccessDenied, "The two accounts do not belong together (any more). Nothing was changed.").Because(cause)
}

var errAnotherAccount = errors.New("op: the account was not proven by the person it is of")

// related says whose a login is, where that is not the upstream's subject alone to
// say: one that proves an account brings along the login that is added to it, and
// a first one may belong to an account that there is.
func (h *Handler) related(ctx context.Context, t federation.Tenant, v visit, known person.Known) (person.Known, error) {
	if v.link != nil {
		if known.New || known.Person.ID != v.link.Person {
			return known, errNotLinked(errAnotherAccount)
		}
		return known.With(v.link.join()), nil
	}
	if !known.New || t.Linking != federation.LinkAsk && t.Linking != federation.LinkEmail {
		return known, nil
	}
	u, _ := h.o.Registry().Upstream(t.ID, v.login.Upstream)
	p, join, err := h.o.Persons.Candidate(ctx, t, u, v.login)
	if errors.Is(err, person.ErrNotFound) {
		return known, nil
	}
	if err != nil {
		return known, err
	}
	with, ok := h.o.Registry().Upstream(t.ID, p.Upstream)
	switch {
	case !ok || !with.Vouches(join.Email):
		return known, nil // it vouched for the address once
	case p.Blocked:
		return known, federation.Fail(federation.AccessDenied, "This account is blocked.")
	case t.Linking == federation.LinkEmail && person.Parted(p, join):
		return known, nil // an operator took them apart
	case t.Linking == federation.LinkEmail:
		return person.Into(p, join), nil
	case v.declined == join.Subject || !v.client.MayUse(with.ID):
		return known, nil
	}
	return known, &linkableError{linking{Person: p.ID, With: with.ID, Upstream: join.Upstream, Subject: join.Subject, Email: join.Email}}
}

// startLink sends the browser to the page that asks, so that reloading it does not
// bring the upstream's answer a second time. Nothing is stored for it.
func (h *Handler) startLink(w http.ResponseWriter, r *http.Request, v visit, l linking) error {
	t, handle := tenantOf(r), federation.NewSecret()
	if err := h.carry(w, r, handle, transaction{Step: atLink, Request: v.request, Link: &l}); err != nil {
		return v.request.fail(t, err)
	}
	seeOther(w, base(t)+"/link?"+url.Values{"tx": {handle}}.Encode())
	return nil
}

// askLink shows the page. It says nothing of the account but its address, which
// the login has as well, and where it is.
func (h *Handler) askLink(w http.ResponseWriter, r *http.Request) error {
	t := tenantOf(r)
	handle, tx, client, err := h.asking(r, atLink)
	if err != nil {
		return err
	}
	p := page.Link{
		Client: title(client), Account: tx.Link.Email, With: h.called(t, tx.Link.With), New: h.called(t, tx.Link.Upstream),
		Action: base(t) + "/link", Transaction: handle,
	}
	h.show(w, r, http.StatusOK, client, tx.Request.UILocales, p, h.onward(t, ""))
	return nil
}

// called is what users know an upstream by.
func (h *Handler) called(t federation.Tenant, id string) string {
	if u, ok := h.o.Registry().Upstream(t.ID, id); ok && u.Name != "" {
		return u.Name
	}
	return id
}

// takeLink takes the user's answer: who has the account proves it by signing in
// where it is, and who wants another one signs in with the new login once more,
// which the browser could not carry.
func (h *Handler) takeLink(w http.ResponseWriter, r *http.Request) error {
	all, err := form(r, "tx", "answer")
	if err != nil {
		return err
	}
	tx, err := h.take(w, r, all.Get("tx"), atLink)
	if err != nil {
		return err
	}
	t, q, l := tenantOf(r), tx.Request, *tx.Link
	client, err := h.proven(t, q)
	if err != nil {
		return err
	}
	next, to := transaction{Request: q, Declined: l.Subject}, l.Upstream
	if all.Get("answer") == "link" {
		next, to = transaction{Request: q, Link: &l}, l.With
	}
	u, ok := h.o.Registry().Upstream(t.ID, to)
	if !ok || !client.MayUse(to) {
		return q.fail(t, errNoUpstream)
	}
	return h.sendTo(w, r, next, u)
}

// linked leaves an audit line of a login that a sign-in has added.
func (h *Handler) linked(r *http.Request, v visit, got outcome) {
	if got.joined != "" {
		h.audit(r, "login added", slog.String("client", v.client.ID), slog.String("upstream", got.joined), slog.String("person", got.person.ID))
	}
}
