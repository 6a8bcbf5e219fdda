package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestBegin(t *testing.T) {
	var observed []string
	h := open(t, func(o *Options) {
		o.Policy = func(federation.Tenant) Policy {
			return Policy{Idle: idle, Max: most, Webhooks: func(s federation.Session) []string {
				return []string{"tell-" + s.Clients[0].Client}
			}}
		}
		o.Observe = Observer{Began: func(_ federation.Tenant, s federation.Session) { observed = append(observed, s.ID) }}
	})
	st := h.begin("ada", func(b *Begin) { b.Level, b.LoginURL = 3, "https://login.example/authorize" })
	s := h.live(st.Session.ID).Session
	if s.Person != "ada" || s.Level != 3 || s.Node != "node-1" || s.Origin.Addr != "192.0.2.7" || s.LoginURL == "" {
		t.Errorf("session is %+v", s)
	}
	if !s.Began.Equal(h.clock.Now()) || !s.Active.Equal(s.Began) || s.Idle != idle || s.Max != most {
		t.Errorf("times are %v %v %v %v", s.Began, s.Active, s.Idle, s.Max)
	}
	if !slices.Equal(s.Webhooks, []string{"tell-shop"}) || s.AuditID == "" || s.Reference == "" || s.AuditID == s.Reference {
		t.Errorf("webhooks %v, audit %q, reference %q", s.Webhooks, s.AuditID, s.Reference)
	}
	if s.SecretHash == "" || strings.Contains(st.CookieValue.Reveal(), s.SecretHash) {
		t.Error("the secret is kept or shown as it should not be")
	}
	if strings.Contains(fmt.Sprintf("%v %+v", st, h.NewID()), "default.0.") {
		t.Error("a started session prints its cookie")
	}
	log := h.told()
	if len(log) != 1 || log[0].Kind != federation.SessionBegan || log[0].Session.ID != s.ID || log[0].Person != "ada" || log[0].Upstream != "corp" {
		t.Errorf("told %+v", log)
	}
	if !slices.Equal(observed, []string{s.ID}) {
		t.Errorf("observed %v", observed)
	}
}

func TestBeginRefusesWhatIsIncomplete(t *testing.T) {
	h := open(t)
	for name, change := range map[string]func(*Begin){
		"no names":  func(b *Begin) { b.ID = ID{} },
		"no person": func(b *Begin) { b.Person.ID = "" },
	} {
		if _, err := h.tryBegin(h.Manager, "ada", change); err == nil {
			t.Errorf("%s: began", name)
		}
	}
	endless := h.manager(func(o *Options) { o.Policy = func(federation.Tenant) Policy { return Policy{Idle: idle} } })
	if _, err := h.tryBegin(endless, "ada"); err == nil {
		t.Error("a session without a maximum lifetime began")
	}
	if h.leftovers() != 0 {
		t.Error("something was written")
	}
}

func TestBeginPlannedAgainIsTheSame(t *testing.T) {
	h := open(t)
	b := Begin{ID: h.NewID(), Person: federation.Person{ID: "ada"}, Login: federation.Login{Upstream: "corp"}}
	one, _, err1 := h.PlanBegin(t.Context(), h.org, b)
	two, ops, err2 := h.PlanBegin(t.Context(), h.org, b)
	if err1 != nil || err2 != nil || one.Session.ID != two.Session.ID || one.CookieValue != two.CookieValue {
		t.Errorf("planned twice: %v %v, %v %v", one.Session.ID, two.Session.ID, err1, err2)
	}
	if _, err := h.eng.Commit(t.Context(), ops...); err != nil {
		t.Fatal(err)
	}
	if _, err := h.eng.Commit(t.Context(), ops...); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same beginning stood twice: %v", err)
	}
}

// What an upgrade moves, and what it makes anew.
func TestUpgrade(t *testing.T) {
	h := open(t, func(o *Options) {
		o.Policy = func(federation.Tenant) Policy {
			return Policy{Idle: idle, Max: most, Webhooks: func(s federation.Session) []string { return []string{s.Logins[0].Upstream} }}
		}
	})
	first := h.begin("ada", func(b *Begin) { b.Level = 1 })
	second := federation.Login{Upstream: "partner", Subject: "p"}
	h.resume(h.live(first.Session.ID), "desk", &second)
	h.clock.Advance(7 * time.Hour / 15)
	old := h.live(first.Session.ID)

	st := h.begin("ada", func(b *Begin) {
		b.Level, b.Client, b.Replaces = 4, "bank", &old
		b.Login = federation.Login{Upstream: "corp", Subject: "s-ada", ACR: "gold"}
	})
	s := h.live(st.Session.ID).Session
	if s.ID != first.Session.ID || s.Reference != first.Session.Reference {
		t.Errorf("sid and reference did not move: %v %v", s.ID, s.Reference)
	}
	if s.AuditID == first.Session.AuditID || s.SecretHash == first.Session.SecretHash || !s.Began.Equal(h.clock.Now()) || s.Level != 4 {
		t.Errorf("audit id, secret, beginning or level are old: %+v", s)
	}
	var clients, upstreams []string
	for _, v := range s.Clients {
		clients = append(clients, v.Client)
	}
	for _, l := range s.Logins {
		upstreams = append(upstreams, l.Upstream+l.ACR)
	}
	if !slices.Equal(clients, []string{"shop", "desk", "bank"}) || !slices.Equal(upstreams, []string{"corpgold", "partner"}) {
		t.Errorf("clients %v, logins %v", clients, upstreams)
	}
	if !slices.Equal(s.Webhooks, []string{"corp"}) {
		t.Errorf("webhooks %v", s.Webhooks)
	}
	if _, err := h.ByCookie(t.Context(), h.org, first.CookieValue.Reveal()); !errors.Is(err, ErrNotFound) {
		t.Errorf("the old cookie still opens: %v", err)
	}
	if _, err := h.ByCookie(t.Context(), h.org, st.CookieValue.Reveal()); err != nil {
		t.Errorf("the new cookie does not open: %v", err)
	}
	ends := h.ends()
	if len(ends) != 1 || ends[0].Cause != federation.Upgrade || ends[0].Session.AuditID != first.Session.AuditID {
		t.Fatalf("ends: %+v", ends)
	}
	if h.leftovers() != 3 {
		t.Errorf("%d records for one session", h.leftovers())
	}
	if err := h.End(t.Context(), h.org, s.ID, federation.Logout, federation.Request{}); err != nil || h.leftovers() != 0 {
		t.Errorf("after logout: %v, %d records", err, h.leftovers())
	}
}

// The due record of the old session may be the very one of the new.
func TestUpgradeWithinOneMicrosecond(t *testing.T) {
	h := open(t)
	first := h.begin("ada")
	old := h.live(first.Session.ID)
	h.begin("ada", func(b *Begin) { b.Replaces = &old })
	if n := h.leftovers(); n != 3 {
		t.Fatalf("%d records for one session", n)
	}
	h.clock.Advance(most)
	h.sweepNow()
	if ends := h.ends(); len(ends) != 2 || ends[1].Cause != federation.IdleTimeout || h.leftovers() != 0 {
		t.Errorf("ends %+v, %d records left", ends, h.leftovers())
	}
}

func TestReplacedSession(t *testing.T) {
	for name, c := range map[string]struct {
		person string
		before func(h *house, sid string)
		want   []federation.Cause
		moved  bool
	}{
		"same person":                {person: "ada", want: []federation.Cause{federation.Upgrade}, moved: true},
		"another person":             {person: "eve", want: []federation.Cause{federation.Destroy}},
		"same person, too late":      {person: "ada", before: func(h *house, _ string) { h.clock.Advance(idle) }, want: []federation.Cause{federation.IdleTimeout}},
		"another person, too late":   {person: "eve", before: func(h *house, _ string) { h.clock.Advance(most) }, want: []federation.Cause{federation.IdleTimeout}},
		"logged out in the meantime": {person: "ada", before: logOut, want: []federation.Cause{federation.Logout}},
		"upgraded in the meantime": {person: "ada", before: func(h *house, sid string) {
			old := h.live(sid)
			h.begin("ada", func(b *Begin) { b.Replaces = &old })
		}, want: []federation.Cause{federation.Upgrade}},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			first := h.begin("ada")
			old := h.live(first.Session.ID)
			if c.before != nil {
				c.before(h, first.Session.ID)
			}
			st := h.begin(c.person, func(b *Begin) { b.Replaces = &old })
			if moved := st.Session.ID == first.Session.ID && st.Session.Reference == first.Session.Reference; moved != c.moved {
				t.Errorf("sid and reference moved: %v", moved)
			}
			var got []federation.Cause
			for _, e := range h.ends() {
				got = append(got, e.Cause)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("causes %v, want %v", got, c.want)
			}
			h.live(st.Session.ID)
		})
	}
}

func logOut(h *house, sid string) {
	h.t.Helper()
	if err := h.End(h.t.Context(), h.org, sid, federation.Logout, federation.Request{}); err != nil {
		h.t.Fatal(err)
	}
}

// resume commits a single sign-on or one more login.
func (h *house) resume(held Held, client string, l *federation.Login) federation.Session {
	h.t.Helper()
	s, err := h.tryResume(held, client, l)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *house) tryResume(held Held, client string, l *federation.Login) (s federation.Session, err error) {
	_, err = store.Update(h.t.Context(), h.eng, func(ctx context.Context) (ops []store.Op, err error) {
		s, ops, err = h.PlanResume(ctx, h.org, held, federation.Visit{Client: client}, l, federation.Request{})
		return ops, err
	})
	return s, err
}
