package op_test

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
)

// pairwise makes post and ask pairwise clients of one sector, and wide one of
// another.
func pairwise(s *setup) {
	s.change = func(c *federation.Client) {
		if sector := map[string]string{"post": "group.example", "ask": "group.example", "wide": "wide.example"}[c.ID]; sector != "" {
			c.Sector, c.AskConsent = sector, false
		}
	}
}

func TestPairwiseSubjects(t *testing.T) {
	for name, more := range map[string]func(*setup){"": func(*setup) {}, "spread": spread, "over the upstream's own": func(s *setup) {
		s.upstream = func(u *federation.Upstream) { u.Subject = federation.SubjectUpstream }
	}} {
		t.Run(name, func(t *testing.T) {
			h := open(t, pairwise, more)
			b, subs := h.browser(), map[string]string{}
			for _, id := range []string{"shop", "post", "ask", "wide"} {
				p := h.party("default", id)
				got := p.signIn(b)
				said := p.claims(got.ID)
				sub, _ := said["sub"].(string)
				subs[id] = sub
				if p.userinfo(got.Access)["sub"] != sub {
					t.Errorf("%s: userinfo is about another one", id)
				}
				next := p.refresh(got.Refresh)
				if again := p.claims(next.ID); again["sub"] != sub || p.userinfo(next.Access)["sub"] != sub {
					t.Errorf("%s: %v after a refresh", id, again["sub"])
				}
				if id != "shop" && p.claims(p.signIn(h.browser()).ID)["sub"] != sub {
					t.Errorf("%s: another sub in another browser", id)
				}
				other := h.party("acme", id)
				if id != "shop" && other.claims(other.signIn(h.browser()).ID)["sub"] == sub {
					t.Errorf("%s: the same sub in another tenant", id)
				}
			}
			if subs["post"] != subs["ask"] {
				t.Error("clients of one sector have two subs")
			}
			if subs["post"] == subs["wide"] || subs["post"] == subs["shop"] || subs["wide"] == subs["shop"] {
				t.Errorf("clients of several sectors have one sub: %v", subs)
			}
			for _, s := range h.events(federation.SignedIn) {
				for _, id := range []string{"post", "wide"} {
					if s.Person == subs[id] {
						t.Errorf("the sub of %s is the person's id", id)
					}
				}
			}
			said, err := h.sessions.ByCookie(t.Context(), h.tenant("default"), b.session("default"))
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range said.Session.Clients {
				if v.Subject != subs[v.Client] {
					t.Errorf("%s is noted with %q", v.Client, v.Subject)
				}
			}
		})
	}
}

// A hint names the user as the client knows them that it was made for.
func TestHintsOfPairwiseSubjects(t *testing.T) {
	h := open(t, pairwise)
	b := h.browser()
	id := map[string]string{}
	for _, c := range []string{"shop", "post", "wide"} {
		id[c] = h.party("default", c).signIn(b).ID
	}
	h.as("somebody else")
	stranger := h.browser()
	h.party("default", "shop").signIn(stranger)
	for mine := range id {
		p := h.party("default", mine)
		for _, hint := range id {
			p.code(b.get(p.ask("prompt", "none", "id_token_hint", hint)))
			p.refused(stranger.get(p.ask("prompt", "none", "id_token_hint", hint)), federation.LoginRequired)
			p.refused(stranger.get(p.ask("id_token_hint", hint)), federation.LoginRequired)
		}
		sub, _ := p.claims(id[mine])["sub"].(string)
		p.code(b.get(p.ask("prompt", "none", "claims", `{"id_token":{"sub":{"value":"`+sub+`"}}}`)))
		p.refused(stranger.get(p.ask("prompt", "none", "claims", `{"id_token":{"sub":{"value":"`+sub+`"}}}`)), federation.LoginRequired)
	}
	h.as("alice")
	post := h.party("default", "post")
	post.code(h.browser().get(post.ask("id_token_hint", "-"))) // without a hint anybody will do
}

// The hook is told the sub that the client will see, and whom it is about.
func TestHookSeesPairwiseSubject(t *testing.T) {
	h := open(t, func(s *setup) {
		s.change = func(c *federation.Client) {
			if c.ID == "hooked" {
				c.Sector = "hooked.example"
			}
		}
	})
	p := h.party("default", "hooked")
	sub := p.claims(p.signIn(h.browser()).ID)["sub"]
	if call := h.hooks.last(t); call.Claims["sub"] != sub || call.User.ID == sub || call.User.ID == "" {
		t.Errorf("the hook was told %v and %v, the client %v", call.User.ID, call.Claims["sub"], sub)
	}
}
