package op_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// links is a setup of two upstreams that are believed about any address.
func links(mode federation.Linking) func(*setup) {
	return func(s *setup) {
		s.two, s.linking = true, mode
		s.upstream = func(u *federation.Upstream) { u.TrustAnyEmail = true }
	}
}

// says has an upstream say an address of a user of its own.
func says(p *upstreamtest.Provider, subject, email string, verified bool) {
	all := map[string]any{"email": email, "email_verified": verified}
	p.Set(upstreamtest.Knobs{Subject: subject, Claims: all, Userinfo: all})
}

// here is a house with somebody of corp's, and somebody of partner's at the door.
func here(t *testing.T, mode federation.Linking) (*house, *party, any) {
	t.Helper()
	h := open(t, links(mode))
	wide := h.party("default", "wide")
	says(h.corp, "ada", "ada@corp.example", true)
	sub := wide.claims(wide.signIn(h.browser(), "idp_hint", "corp").ID)["sub"]
	says(h.partner, "p-ada", "Ada@corp.example", true)
	return h, wide, sub
}

// Who is asked and proves the account has one account from then on, wherever they
// sign in.
func TestLinkingThatIsAsked(t *testing.T) {
	h, wide, sub := here(t, federation.LinkAsk)
	b := h.browser()
	var l landing
	h.unchanged("the question", func() {
		l = b.get(wide.ask("idp_hint", "partner", "state", "kept")).shows(t, "link", 200)
		b.get(l.url.String()).shows(t, "link", 200)
	})
	if l.text(t, "account") != "ada@corp.example" || l.text(t, "with") != "The corp" || l.text(t, "new") != "The partner" || strings.Contains(l.page, "Alice") {
		t.Errorf("%s", l.page)
	}
	back := b.press(l, "yes")
	got := wide.redeem(wide.code(back))
	if id := wide.claims(got.ID); id["sub"] != sub || wide.answer(back).Get("state") != "kept" {
		t.Errorf("signed in as %v, want %v", id["sub"], sub)
	}
	b.press(l, "yes").shows(t, "error", 400) // the page was answered

	if n := len(h.events(federation.PersonCreated)); n != 1 {
		t.Errorf("%d persons", n)
	}
	if added := h.events(federation.LoginAdded); len(added) != 1 || added[0].Person != sub || added[0].Upstream != "partner" || !h.lines.has("login added", "partner") {
		t.Errorf("added %+v", added)
	}
	for range 2 {
		other := wide.claims(wide.signIn(h.browser(), "idp_hint", "partner").ID)
		if other["sub"] != sub || other["email"] != nil && other["email"] != "Ada@corp.example" {
			t.Errorf("by the other login: %v", other)
		}
	}
	both := h.browser()
	first := wide.claims(wide.signIn(both, "idp_hint", "corp").ID)
	wide.signIn(both, "idp_hint", "partner", "prompt", "login")
	if s := h.sessionOf(first["sid"]); len(s.Logins) != 2 {
		t.Errorf("one browser, two logins of one person: %+v", s.Logins)
	}
}

// A notice of the upstream that names nothing but its user finds the person by
// the login that was added.
func TestALinkedLoginIsEndedByItsUpstream(t *testing.T) {
	h, wide, sub := here(t, federation.LinkEmail)
	got := wide.signIn(h.browser(), "idp_hint", "partner")
	if wide.claims(got.ID)["sub"] != sub {
		t.Fatal("not linked")
	}
	token := h.partner.LogoutToken(upstreamtest.Knobs{Subject: "p-ada"}, nil)
	h.taken(h.sayLogout("default", "partner", token))
	if wide.live(got.Access) {
		t.Error("the session goes on")
	}
}

func TestLinkingThatIsDeclined(t *testing.T) {
	h, wide, sub := here(t, federation.LinkAsk)
	b := h.browser()
	l := b.get(wide.ask("idp_hint", "partner")).shows(t, "link", 200)
	own := wide.claims(wide.redeem(wide.code(b.press(l, "no"))).ID)["sub"]
	if own == sub {
		t.Error("linked although it was declined")
	}
	if again := wide.claims(wide.signIn(h.browser(), "idp_hint", "partner").ID)["sub"]; again != own || len(h.events(federation.LoginAdded)) != 0 {
		t.Errorf("then %v", again)
	}

	// Who declined speaks for the login that was asked about and no other.
	says(h.corp, "bob", "bob@corp.example", true)
	wide.signIn(h.browser(), "idp_hint", "corp")
	says(h.partner, "p-bob", "bob@corp.example", true)
	b = h.browser()
	l = b.get(wide.ask("idp_hint", "partner")).shows(t, "link", 200)
	says(h.corp, "eve", "eve@corp.example", true)
	wide.signIn(h.browser(), "idp_hint", "corp")
	says(h.partner, "p-eve", "eve@corp.example", true)
	b.press(l, "no").shows(t, "link", 200)
}

// What proves nothing changes nothing.
func TestLinkingThatIsNotProven(t *testing.T) {
	for name, between := range map[string]func(h *house, wide *party, sub string){
		"another person of corp's": func(h *house, _ *party, _ string) { says(h.corp, "eve", "eve@corp.example", true) },
		"a known person of corp's": func(h *house, wide *party, _ string) {
			says(h.corp, "eve", "eve@corp.example", true)
			wide.signIn(h.browser(), "idp_hint", "corp")
		},
		"another address by now": func(h *house, _ *party, _ string) { says(h.corp, "ada", "lovelace@corp.example", true) },
		"no longer verified":     func(h *house, _ *party, _ string) { says(h.corp, "ada", "ada@corp.example", false) },
		"no longer anybody's": func(h *house, _ *party, sub string) {
			must(h.t, h.persons.Delete(h.t.Context(), h.tenant("default"), sub, federation.Request{}))
		},
		"blocked in the meantime": func(h *house, _ *party, sub string) { h.block(sub) },
		"refused by the upstream": func(h *house, _ *party, _ string) { h.corp.Set(upstreamtest.Knobs{Refuse: "access_denied"}) },
		"somebody else's by now": func(h *house, wide *party, _ string) {
			b := h.browser()
			wide.code(b.press(b.get(wide.ask("idp_hint", "partner")).shows(h.t, "link", 200), "no"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, wide, sub := here(t, federation.LinkAsk)
			b := h.browser()
			l := b.get(wide.ask("idp_hint", "partner")).shows(t, "link", 200)
			between(h, wide, sub.(string))
			wide.refused(b.press(l, "yes"), federation.AccessDenied)
			if b.session("default") != "" || len(h.events(federation.LoginAdded)) != 0 {
				t.Error("a session began, or a login was added")
			}
			if p, err := h.persons.Get(t.Context(), h.tenant("default"), sub.(string)); err == nil && len(p.Links) != 0 {
				t.Errorf("%+v", p.Links)
			}
		})
	}
}

// The page is the browser's that was asked, once, and of one tenant.
func TestTheQuestionIsOnesOwn(t *testing.T) {
	h, wide, _ := here(t, federation.LinkAsk)
	b := h.browser()
	l := b.get(wide.ask("idp_hint", "partner")).shows(t, "link", 200)
	h.browser().press(l, "yes").shows(t, "error", 400)
	h.browser().get(l.url.String()).shows(t, "error", 400)
	b.get(strings.Replace(l.url.String(), h.URL+"/", h.URL+"/t/acme/", 1)).shows(t, "error", 400)
	b.get(h.URL+"/link").shows(t, "error", 400)
	b.get(l.url.String()+"&tx=twice").shows(t, "error", 400)

	acme := h.party("acme", "wide") // the account is another tenant's
	if got := acme.signIn(h.browser(), "idp_hint", "partner"); got.ID == "" || len(h.events(federation.LoginAdded)) != 0 {
		t.Error("linked across tenants")
	}
	h.clock.advance(16 * 60e9)
	b.press(l, "yes").shows(t, "error", 400)
}

// Whether there is anything to link is for both upstreams, the tenant and the
// client to say.
func TestWhatIsLinked(t *testing.T) {
	const asked, linked, apart = "asked", "linked", "apart"
	for name, c := range map[string]struct {
		mode          federation.Linking
		first, second string
		unsure        string // who does not call it verified
		narrow        bool   // both are believed within their domains only
		client        string
		want          string
	}{
		"asked":                       {mode: federation.LinkAsk, first: "ada@corp.example", second: "ADA@corp.example", want: asked},
		"by the address":              {mode: federation.LinkEmail, first: "ada@corp.example", second: "ADA@CORP.example", want: linked},
		"never":                       {mode: federation.LinkNever, first: "ada@corp.example", second: "ada@corp.example", want: apart},
		"not said":                    {first: "ada@corp.example", second: "ada@corp.example", want: apart},
		"the first is not sure":       {mode: federation.LinkEmail, first: "ada@corp.example", second: "ada@corp.example", unsure: "corp", want: apart},
		"the second is not sure":      {mode: federation.LinkEmail, first: "ada@corp.example", second: "ada@corp.example", unsure: "partner", want: apart},
		"not the second's domain":     {mode: federation.LinkEmail, first: "ada@corp.example", second: "ada@corp.example", narrow: true, want: apart},
		"not the first's domain":      {mode: federation.LinkAsk, first: "ada@partner.example", second: "ada@partner.example", narrow: true, want: apart},
		"a letter that looks so":      {mode: federation.LinkEmail, first: "ada@corp.example", second: "аda@corp.example", want: apart},
		"a sign that folds so":        {mode: federation.LinkEmail, first: "kim@corp.example", second: "\u212Aim@corp.example", want: apart},
		"a domain as its A-label":     {mode: federation.LinkEmail, first: "ada@bücher.example", second: "ada@xn--bcher-kva.example", want: linked},
		"a domain that looks so":      {mode: federation.LinkEmail, first: "ada@corp.example", second: "ada@соrp.example", want: apart},
		"another address":             {mode: federation.LinkAsk, first: "ada@corp.example", second: "eve@corp.example", want: apart},
		"a client of the second only": {mode: federation.LinkAsk, first: "ada@corp.example", second: "ada@corp.example", client: "partners", want: apart},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, links(c.mode), func(s *setup) {
				if c.narrow {
					s.upstream = nil
				}
			})
			wide := h.party("default", "wide")
			says(h.corp, "one", c.first, c.unsure != "corp")
			sub := wide.claims(wide.signIn(h.browser(), "idp_hint", "corp").ID)["sub"]
			says(h.partner, "two", c.second, c.unsure != "partner")
			if c.client != "" {
				wide = h.party("default", c.client)
			}
			l := h.browser().get(wide.ask("idp_hint", "partner"))
			got := apart
			if !l.away {
				l.shows(t, "link", 200)
				got = asked
			} else if wide.claims(wide.redeem(wide.code(l)).ID)["sub"] == sub {
				got = linked
			}
			if got != c.want || len(h.events(federation.LoginAdded)) != map[string]int{linked: 1}[c.want] {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// A block is not got round by another login, and what an operator took apart does
// not come back by itself.
func TestLinkingAndOperators(t *testing.T) {
	h, wide, sub := here(t, federation.LinkEmail)
	org, id := h.tenant("default"), sub.(string)
	h.block(id)
	wide.refused(h.browser().get(wide.ask("idp_hint", "partner")), federation.AccessDenied)
	must(t, h.persons.Unblock(t.Context(), org, id, federation.Request{}))
	got := wide.signIn(h.browser(), "idp_hint", "partner", "scope", "openid email offline_access")
	must(t, h.persons.Unlink(t.Context(), org, id, "partner", func(u string) (federation.Upstream, bool) { return h.registry.Load().Upstream(org.ID, u) }, federation.Request{}))
	if wide.live(got.Access) || got.Refresh != "" && wide.refresh(got.Refresh).status == 200 {
		t.Error("what the login had opened stays open")
	}
	if own := wide.claims(wide.signIn(h.browser(), "idp_hint", "partner").ID)["sub"]; own == sub {
		t.Error("the login came back")
	}
	if still := wide.claims(wide.signIn(h.browser(), "idp_hint", "corp").ID)["sub"]; still != sub {
		t.Errorf("the first login leads to %v", still)
	}
}

// What one upstream says is not told of a grant that came by the other.
func TestALinkedLoginsClaimsAreItsOwn(t *testing.T) {
	h, wide, _ := here(t, federation.LinkEmail)
	b := h.browser()
	got := wide.signIn(b, "idp_hint", "partner", "scope", "openid email offline_access")
	sid := wide.claims(got.ID)["sid"].(string)
	says(h.corp, "ada", "ada@of-corp.example", true)
	wide.signIn(h.browser(), "idp_hint", "corp")
	must(t, h.sessions.End(t.Context(), h.tenant("default"), sid, federation.Logout, federation.Request{}))
	next := wide.refresh(got.Refresh)
	if info := wide.userinfo(next.Access); info["email"] != "Ada@corp.example" {
		t.Errorf("userinfo %v", info)
	}
}

// First sign-ins of two upstreams at once make persons and never a login that
// leads to two.
func TestFirstSignInsAtOnce(t *testing.T) {
	h := open(t, links(federation.LinkEmail))
	says(h.corp, "ada", "ada@corp.example", true)
	says(h.partner, "p-ada", "ada@corp.example", true)
	wide := h.party("default", "wide")
	var wg sync.WaitGroup
	for i := range 6 {
		b := h.browser()
		wg.Go(func() {
			l := b.get(wide.ask("idp_hint", []string{"corp", "partner"}[i%2]))
			if l.url.Query().Get("code") == "" {
				t.Errorf("%s", l.url)
			}
		})
	}
	wg.Wait()
	subs := map[string]bool{}
	for _, up := range []string{"corp", "partner", "corp", "partner"} {
		subs[up+" "+fmt.Sprint(wide.claims(wide.signIn(h.browser(), "idp_hint", up).ID)["sub"])] = true
	}
	if created, added := len(h.events(federation.PersonCreated)), len(h.events(federation.LoginAdded)); len(subs) != 2 || created+added != 2 {
		t.Errorf("%v: %d persons, %d logins added", subs, created, added)
	}
}
