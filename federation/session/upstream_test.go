package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const issuer = "https://idp.example"

// login is a login at corp of a subject in a session of corp's.
func (h *house) login(subject, sid string) federation.Login {
	return federation.Login{Upstream: "corp", Issuer: issuer, Subject: subject, SID: sid, At: h.clock.Now(), Issued: h.clock.Now().Truncate(time.Second)}
}

func (h *house) notice(subject, sid string) federation.LogoutNotice {
	return federation.LogoutNotice{Upstream: "corp", Issuer: issuer, Subject: subject, SID: sid, Issued: h.clock.Now().Truncate(time.Second)}
}

func with(l federation.Login) func(*Begin) { return func(b *Begin) { b.Login = l } }

// tell does with a notice what a receiver does.
func (h *house) tell(n federation.LogoutNotice, person string) int {
	h.t.Helper()
	if err := h.Bar(h.t.Context(), h.org, n); err != nil {
		h.t.Fatal(err)
	}
	ended, err := h.EndNamed(h.t.Context(), h.org, n, person, federation.Request{Upstream: "corp"})
	if err != nil {
		h.t.Fatal(err)
	}
	return ended
}

// spreads runs a test for a tenant in one place and for one in many.
func spreads(t *testing.T, f func(t *testing.T, h *house)) {
	t.Run("one place", func(t *testing.T) { f(t, open(t)) })
	t.Run("spread", func(t *testing.T) { f(t, openOver(t, store.Layout{Partitions: 16})) })
}

func TestANoticeEndsWhatItNames(t *testing.T) {
	for name, tc := range map[string]struct {
		change       func(n *federation.LogoutNotice)
		subject, sid string
		person       string
		ended        []string
	}{
		"one session of the upstream's":   {sid: "s1", ended: []string{"a1", "b1"}},
		"a session of a user":             {subject: "ada", sid: "s1", ended: []string{"a1"}},
		"a session, but another user":     {subject: "eve", sid: "s1"},
		"all of a user":                   {subject: "ada", person: "ada", ended: []string{"a1", "a2", "a0"}},
		"all of a user who is not known":  {subject: "ada"},
		"another person than the user":    {subject: "ada", person: "bob"},
		"an unknown session":              {sid: "s9"},
		"a session of another upstream":   {sid: "s1", change: func(n *federation.LogoutNotice) { n.Upstream = "partner" }},
		"a session of another issuer":     {sid: "s1", change: func(n *federation.LogoutNotice) { n.Issuer += "/" }},
		"what is longer than a session":   {sid: "s1/"},
		"nobody":                          {person: "ada"},
		"a user, before the logins":       {subject: "ada", person: "ada", change: func(n *federation.LogoutNotice) { n.Issued = n.Issued.Add(-time.Second) }},
		"a session, whenever it was told": {sid: "s2", change: func(n *federation.LogoutNotice) { n.Issued = time.Time{} }, ended: []string{"a2"}},
	} {
		t.Run(name, func(t *testing.T) {
			spreads(t, func(t *testing.T, h *house) {
				all := map[string]string{}
				for name, l := range map[string]federation.Login{"a1": h.login("ada", "s1"), "a2": h.login("ada", "s2"), "a0": h.login("ada", ""), "b1": h.login("bob", "s1")} {
					all[h.begin(l.Subject, with(l)).Session.ID] = name
				}
				n := h.notice(tc.subject, tc.sid)
				if tc.change != nil {
					tc.change(&n)
				}
				want := map[string]bool{}
				for _, name := range tc.ended {
					want[name] = true
				}
				if got := h.tell(n, tc.person); got != len(want) {
					t.Errorf("%d ended", got)
				}
				for sid, name := range all {
					if _, err := h.Live(t.Context(), h.org, sid); errors.Is(err, ErrNotFound) != want[name] {
						t.Errorf("%s: %v", name, err)
					}
				}
				for _, e := range h.ends() {
					if !want[all[e.Session.ID]] || e.Cause != federation.Destroy || e.Request.Upstream != "corp" {
						t.Errorf("%s ended: %+v", all[e.Session.ID], e)
					}
				}
				if h.tell(n, tc.person) != 0 {
					t.Error("told twice it ends something more")
				}
				for _, person := range []string{"ada", "bob"} {
					if _, err := h.EndAll(t.Context(), h.org, person, federation.Logout, federation.Request{}); err != nil {
						t.Fatal(err)
					}
				}
				if left := h.leftovers(); left != 0 {
					t.Errorf("%d records remain", left)
				}
			})
		})
	}
}

func TestANoticeKeepsLoginsOut(t *testing.T) {
	spreads(t, func(t *testing.T, h *house) {
		early := h.login("ada", "s1")
		h.clock.Advance(time.Second)
		h.tell(h.notice("ada", ""), "")
		h.tell(h.notice("", "gone"), "")
		h.tell(h.notice("bob", "his"), "")
		later := func(subject, sid string) federation.Login {
			l := h.login(subject, sid)
			l.Issued = l.Issued.Add(time.Second)
			return l
		}
		for name, tc := range map[string]struct {
			login federation.Login
			out   bool
		}{
			"issued before":                  {early, true},
			"issued in the same second":      {h.login("ada", ""), true},
			"issued since":                   {later("ada", "s2"), false},
			"of a session that is over":      {later("carl", "gone"), true},
			"of a user's session":            {later("bob", "his"), true},
			"of the session, by another":     {later("carl", "his"), false},
			"of the user, elsewhere":         {later("bob", "other"), false},
			"of somebody else":               {h.login("carl", "s1"), false},
			"of the user of another issuer":  {func() federation.Login { l := early; l.Issuer = "https://other.example"; return l }(), false},
			"a session of another upstream ": {func() federation.Login { l := later("carl", "gone"); l.Upstream = "partner"; return l }(), false},
		} {
			_, err := h.tryBegin(h.Manager, tc.login.Subject, with(tc.login))
			if tc.out != errors.Is(err, ErrSignedOut) || !tc.out && err != nil {
				t.Errorf("%s begins: %v", name, err)
			}
			first := h.begin(tc.login.Subject, with(later(tc.login.Subject, "fresh")))
			held := h.live(first.Session.ID)
			_, err = store.Update(t.Context(), h.eng, func(ctx context.Context) ([]store.Op, error) {
				_, ops, err := h.PlanResume(ctx, h.org, held, federation.Visit{Client: "shop"}, &tc.login, federation.Request{})
				return ops, err
			})
			if tc.out != errors.Is(err, ErrSignedOut) || !tc.out && err != nil {
				t.Errorf("%s is added: %v", name, err)
			}
		}
		h.clock.Advance(barred)
		h.begin("ada", with(early)) // a sign-in cannot have been under way for that long
	})
}

// TestAnOlderNoticeMakesNoNewerOneForgotten, nor keeps anybody longer.
func TestAnOlderNoticeMakesNoNewerOneForgotten(t *testing.T) {
	h := open(t)
	old := h.notice("ada", "")
	h.clock.Advance(time.Minute)
	l := h.login("ada", "")
	h.tell(h.notice("ada", ""), "")
	h.tell(old, "")
	if _, err := h.tryBegin(h.Manager, "ada", with(l)); !errors.Is(err, ErrSignedOut) {
		t.Errorf("%v", err)
	}
}

// TestWhatIsNotInTheIndex is found by its person, as sessions are that began
// before there was one.
func TestWhatIsNotInTheIndex(t *testing.T) {
	h := open(t)
	l := h.login("ada", "s1")
	st := h.begin("ada", with(l))
	id, _ := upstreamIndex(l, st.Session.ID)
	if _, err := h.eng.Commit(t.Context(), h.upstreams.Drop(h.org.Place, id)); err != nil {
		t.Fatal(err)
	}
	if h.tell(h.notice("", "s1"), "") != 0 || h.tell(h.notice("ada", "s2"), "ada") != 0 || h.tell(h.notice("ada", "s1"), "ada") != 1 {
		t.Error("not found by the person, or by another session's sid")
	}
}

// TestTheIndexFollowsALogin when the user signs in anew in one browser.
func TestTheIndexFollowsALogin(t *testing.T) {
	spreads(t, func(t *testing.T, h *house) {
		first := h.begin("ada", with(h.login("ada", "s1")))
		held := h.live(first.Session.ID)
		second := h.begin("ada", with(h.login("ada", "s2")), func(b *Begin) { b.Replaces = &held })
		if second.Session.ID != first.Session.ID {
			t.Fatal("no upgrade")
		}
		if h.tell(h.notice("", "s1"), "") != 0 {
			t.Fatal("the session before has ended the one that goes on")
		}
		held = h.live(second.Session.ID)
		next := h.login("ada", "s3")
		other := h.login("ada@partner", "p1")
		other.Upstream = "partner"
		for _, l := range []federation.Login{next, next, other} {
			_, err := store.Update(t.Context(), h.eng, func(ctx context.Context) ([]store.Op, error) {
				_, ops, err := h.PlanResume(ctx, h.org, held, federation.Visit{Client: "shop"}, &l, federation.Request{})
				return ops, err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if h.tell(h.notice("", "s2"), "") != 0 {
			t.Error("s2 is still in the index")
		}
		n := h.notice("", "p1")
		n.Upstream = "partner"
		if h.tell(n, "") != 1 || h.leftovers() != 0 {
			t.Errorf("%d records remain of a session with two logins", h.leftovers())
		}
	})
}

// TestANoticeRacesWithSignIns: whoever is first, no session of the login is left.
func TestANoticeRacesWithSignIns(t *testing.T) {
	spreads(t, func(t *testing.T, h *house) {
		for round := range 10 {
			sid, subject := federation.NewSecret(), "ada"
			n := h.notice("", sid)
			if round%2 == 1 {
				sid, subject = "", federation.NewSecret()
				n = h.notice(subject, "")
			}
			l := h.login(subject, sid)
			var all sync.WaitGroup
			begun := make(chan string, 64)
			for i := range 32 {
				m := h.manager()
				all.Go(func() {
					if i == 16 {
						h.tell(n, subject)
						return
					}
					st, err := h.tryBegin(m, subject, with(l))
					switch {
					case err == nil:
						begun <- st.Session.ID
					case !errors.Is(err, ErrSignedOut):
						t.Errorf("%v", err)
					}
				})
			}
			all.Wait()
			close(begun)
			for sid := range begun {
				if _, err := h.Live(t.Context(), h.org, sid); !errors.Is(err, ErrNotFound) {
					t.Fatalf("a session has outlived the logout of its login: %v", err)
				}
			}
		}
	})
}
