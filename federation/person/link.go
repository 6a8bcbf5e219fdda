package person

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

var (
	// ErrApart says that a login cannot be added to a person: what spoke for it is
	// no longer so.
	ErrApart = errors.New("person: the login cannot be added to this person")
	// ErrNoLogin says that the person has no login of that upstream.
	ErrNoLogin = errors.New("person: no login of that upstream")
	// ErrLastLogin says that the person has no other login.
	ErrLastLogin = errors.New("person: the only login cannot be removed")
)

// Join is a login that is to be added to a person. Email is the address, in
// normal form, that its upstream vouches for.
type Join struct{ Upstream, Subject, Email string }

func (j *Join) is(l federation.Login) bool {
	return j != nil && j.Upstream == l.Upstream && j.Subject == l.Subject
}

// Candidate is the one person whom a first login may be added to, and what
// speaks for it; ErrNotFound where there is none. Both upstreams must have
// vouched for one address, and only one person may have it so. It may be somebody
// who is blocked. Whether the person's upstream still has the authority is for
// the caller to see.
//
// Letters outside of ASCII in a local part are compared by too many rules to tell
// whose account it is; such an address links nothing.
func (m *Manager) Candidate(ctx context.Context, t federation.Tenant, u federation.Upstream, l federation.Login) (federation.Person, Join, error) {
	address, vouched := emailOf(u, l)
	if !vouched || t.Order() == federation.OrderPerson || !plainLocal(address) || !utf8.ValidString(l.Subject) {
		return federation.Person{}, Join{}, ErrNotFound
	}
	normal, err := NormalEmail(address)
	if err != nil {
		return federation.Person{}, Join{}, ErrNotFound
	}
	all, err := m.FindByEmail(ctx, t, normal)
	if err != nil {
		return federation.Person{}, Join{}, err
	}
	all = slices.DeleteFunc(all, func(p federation.Person) bool { return !p.EmailVouched })
	if len(all) != 1 || !plainLocal(all[0].Email) {
		return federation.Person{}, Join{}, ErrNotFound
	}
	if _, has := all[0].SubjectAt(u.ID); has {
		return federation.Person{}, Join{}, ErrNotFound
	}
	return all[0], Join{Upstream: l.Upstream, Subject: l.Subject, Email: normal}, nil
}

func plainLocal(address string) bool {
	local, _, _ := strings.Cut(address, "@")
	return !strings.ContainsFunc(local, func(r rune) bool { return r > 0x7e })
}

// Parted says whether the login was the person's before and was taken away: it
// does not come back by itself.
func Parted(p federation.Person, j Join) bool {
	return slices.Contains(p.Unlinked, aliasID(j.Upstream, j.Subject))
}

// Into is a first login as one of somebody who is known, for PlanSignIn.
func Into(p federation.Person, j Join) Known {
	return Known{Person: p, join: &j, under: &progress{}}
}

// With is a sign-in that also adds another login to its person.
func (k Known) With(j Join) Known {
	k.join = &j
	return k
}

// Joins is the upstream of the login that is to be added, empty where none is.
func (k Known) Joins() string {
	if k.join == nil {
		return ""
	}
	return k.join.Upstream
}

// joined is the person with the login added, in the sign-in's commit. What was
// true when it was asked for must still be.
func (m *Manager) joined(ctx context.Context, t federation.Tenant, is federation.Person, j Join, now time.Time) (federation.Person, []store.Op, error) {
	id, at := aliasID(j.Upstream, j.Subject), t.PlaceOf(is.ID)
	if t.PlaceOf(id) != at {
		return is, nil, ErrApart
	}
	row, err := m.aliases.Get(ctx, at, id)
	switch {
	case err == nil && row.Value.Person == is.ID:
		return is, nil, nil // it was added already
	case err == nil:
		return is, nil, ErrApart
	case !errors.Is(err, store.ErrNotFound):
		return is, nil, fmt.Errorf("read alias: %w", err)
	}
	if _, has := is.SubjectAt(j.Upstream); has || !is.EmailVouched || emailKey(is) != j.Email {
		return is, nil, ErrApart
	}
	is.Links = append(slices.Clone(is.Links), federation.Link{Upstream: j.Upstream, Subject: j.Subject, Linked: now})
	is.Unlinked = slices.DeleteFunc(slices.Clone(is.Unlinked), func(was string) bool { return was == id })
	return is, []store.Op{m.aliases.Create(at, id, alias{Person: is.ID}, time.Time{})}, nil
}

// said is the person with what a login of theirs says: who they are is said by
// the upstream that they came from, of the others the claims are kept.
func said(p federation.Person, u federation.Upstream, l federation.Login) federation.Person {
	i := slices.IndexFunc(p.Links, func(k federation.Link) bool { return k.Upstream == l.Upstream && k.Subject == l.Subject })
	if i < 0 {
		return describe(p, u, l)
	}
	p.Links = slices.Clone(p.Links)
	p.Links[i].Claims = l.Claims.Clone()
	return p
}

// Unlink takes a person's login of an upstream away. Their sessions end with
// Destroy, and nothing that was granted before counts any more: who came by that
// login has no way left. Where it was the login that they came with, the oldest of
// the others says who they are from now on; of finds its upstream. ErrNotFound,
// ErrNoLogin, ErrLastLogin.
func (m *Manager) Unlink(ctx context.Context, t federation.Tenant, id, upstream string, of func(string) (federation.Upstream, bool), req federation.Request) error {
	var due string
	in := intent{Tenant: t.ID, Person: id, Request: req}
	_, err := store.Update(ctx, m.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := m.read(ctx, t, id)
		if err != nil {
			return nil, err
		}
		now, err := m.now(ctx)
		if err != nil {
			return nil, err
		}
		was := row.Value.person()
		is, gone, err := without(was, upstream, of)
		if err != nil {
			return nil, err
		}
		is.Barred, is.Updated = now, now
		is.Unlinked = append(slices.Clone(is.Unlinked), gone)
		due = store.DueID(now.Add(grace), t.ID+"/"+id)
		ops, _ := m.reindex(t, was, is, now)
		ops = append(ops, m.people.Replace(row.Place, id, recordOf(is), row.Version, time.Time{}),
			m.aliases.Drop(row.Place, gone), m.intents.Put(row.Place.Own(), due, in, time.Time{}))
		change := federation.Change{Kind: federation.LoginRemoved, Tenant: t, At: now, Detected: now, Upstream: upstream, Request: req}
		if is, ops, err = m.announce(ctx, change, is, ops); err != nil || !differs(was, is) {
			return ops, err
		}
		change.Kind = federation.PersonUpdated
		_, ops, err = m.announce(ctx, change, is, ops)
		return ops, err
	})
	if err != nil {
		return fmt.Errorf("remove login of %s: %w", id, err)
	}
	if err := m.finish(ctx, t, in, due); err != nil {
		m.o.Log.WarnContext(ctx, "the sessions of a person whose login was removed will be ended later", "tenant", t.ID, "person", id, "error", err)
	}
	return nil
}

// without is the person without the login of an upstream, and the alias that
// goes.
func without(p federation.Person, upstream string, of func(string) (federation.Upstream, bool)) (federation.Person, string, error) {
	subject, has := p.SubjectAt(upstream)
	switch {
	case !has:
		return p, "", ErrNoLogin
	case len(p.Links) == 0:
		return p, "", ErrLastLogin
	}
	gone := aliasID(upstream, subject)
	if p.Upstream != upstream {
		p.Links = slices.DeleteFunc(slices.Clone(p.Links), func(l federation.Link) bool { return l.Upstream == upstream })
		return p, gone, nil
	}
	next := p.Links[0]
	p.Upstream, p.Subject, p.Links = next.Upstream, next.Subject, slices.Clone(p.Links[1:])
	u, _ := of(next.Upstream) // one that is not configured vouches for nothing
	return describe(p, u, federation.Login{Upstream: next.Upstream, Subject: next.Subject, Claims: next.Claims}), gone, nil
}
