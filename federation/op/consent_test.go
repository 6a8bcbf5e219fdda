package op_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

func TestConsent(t *testing.T) {
	h := open(t)
	ask, b := h.party("default", "ask"), h.browser()
	l := b.get(ask.ask("state", "s1")).shows(t, "consent", 200)
	if l.text(t, "account") != "Alice Liddell (alice@corp.example)" || l.text(t, "host") != "ask.example" || l.text(t, "scope-email") == "" {
		t.Errorf("%s", l.page)
	}
	if b.session("default") == "" || len(h.events(federation.SignedIn)) != 0 {
		t.Error("the session has not begun, or the client was told already")
	}
	ask.refused(b.get(ask.ask("prompt", "none")), federation.ConsentRequired)
	if b.get(l.url.String()).shows(t, "consent", 200); len(h.events(federation.SignInFailed)) != 0 {
		t.Error("that the user must be asked counts as a failure")
	}

	denied := b.press(l, "deny")
	ask.refused(denied, federation.AccessDenied)
	if ask.answer(denied).Get("state") != "s1" || b.session("default") == "" {
		t.Errorf("%s", denied.url)
	}
	if failed := h.events(federation.SignInFailed); len(failed) != 1 || failed[0].Person == "" || failed[0].Reason != "access_denied" {
		t.Errorf("%+v", failed)
	}
	b.press(l, "allow").shows(t, "error", 400) // the page was answered

	asked := h.corp.Hits("/authorize")
	l = b.get(ask.ask("nonce", "n2")).shows(t, "consent", 200)
	got := ask.redeem(ask.code(b.press(l, "allow")))
	if ask.claims(got.ID)["nonce"] != "n2" || h.corp.Hits("/authorize") != asked || !h.lines.has("consent given", "ask") {
		t.Errorf("%+v", got)
	}
	ask.signIn(b, "prompt", "none")
	ask.signIn(b, "scope", "openid")
	l = b.get(ask.ask("scope", "openid phone")).shows(t, "consent", 200)
	ask.code(b.press(l, "allow"))
	ask.signIn(b, "prompt", "none") // what was agreed to before stays agreed to
	ask.signIn(h.browser())         // and holds in every browser
	b.get(ask.ask("prompt", "consent")).shows(t, "consent", 200)
	l = b.get(ask.ask("prompt", "login consent")).shows(t, "consent", 200)
	ask.code(b.press(l, "allow"))
	if h.corp.Hits("/authorize") != asked+2 {
		t.Errorf("the upstream was asked %d times more", h.corp.Hits("/authorize")-asked)
	}
}

// TestConsentIsOnesOwn: another person who signs in while the page is open does
// not give, or take, what somebody else was asked for.
func TestConsentIsOnesOwn(t *testing.T) {
	h := open(t)
	ask, shop, b := h.party("default", "ask"), h.party("default", "shop"), h.browser()
	l := b.get(ask.ask()).shows(t, "consent", 200)
	h.corp.Set(upstreamtest.Knobs{Subject: "bob"})
	shop.signIn(b, "prompt", "login")
	again := b.press(l, "allow").shows(t, "consent", 200)
	if !strings.Contains(again.text(t, "account"), "bob@corp.example") {
		t.Errorf("%s", again.page)
	}
	ask.refused(b.press(again, "deny"), federation.AccessDenied)

	// Nor does an answer count in a browser that was not asked, or after a logout.
	l = b.get(ask.ask()).shows(t, "consent", 200)
	to, form := l.form(t, "allow")
	h.unchanged("an answer from another browser", func() { h.browser().post(to, form).shows(t, "error", 400) })
	b.press(b.get(h.URL+"/end_session"), "sign-out")
	if again := b.get(l.url.String()).shows(t, "consent", 200); strings.Contains(again.page, "corp.example") {
		t.Errorf("the page names who has signed out:\n%s", again.main())
	}
	b.press(l, "allow").shows(t, "consent", 200) // signed in once more, and asked
	if len(h.events(federation.SignedIn)) != 1 {
		t.Errorf("%+v", h.events(federation.SignedIn))
	}
}

func TestConsentPageTakesNothingElse(t *testing.T) {
	h := open(t)
	ask, b := h.party("default", "ask"), h.browser()
	b.get(ask.ask())
	tx := strings.TrimPrefix(b.get(ask.ask()).url.RawQuery, "tx=")
	h.unchanged("a bad answer", func() {
		for name, form := range map[string]url.Values{
			"nothing": {}, "no transaction": {"answer": {"allow"}}, "twice": {"tx": {tx, tx}, "answer": {"allow"}}, "long": {"tx": {strings.Repeat("x", 5000)}},
			"another step": {"tx": {federation.NewSecret()}, "answer": {"allow"}}, "both answers": {"tx": {tx}, "answer": {"allow", "deny"}},
		} {
			if l := b.post(h.URL+"/consent", form); l.away || l.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, l.status, l.url)
			}
		}
	})
}

func TestForgetConsents(t *testing.T) {
	h := open(t)
	ask, b := h.party("default", "ask"), h.browser()
	got := ask.redeem(ask.code(b.press(b.get(ask.ask()), "allow")))
	who, _ := ask.claims(got.ID)["sub"].(string)
	person, err := h.persons.Get(t.Context(), h.tenant("default"), who)
	must(t, err)
	forget := op.ForgetConsents(h.engine, nil)
	ops, err := forget(t.Context(), federation.Change{Kind: federation.PersonUpdated, Tenant: h.tenant("default"), Person: &person})
	if err != nil || len(ops) != 0 {
		t.Fatalf("an update forgets %v, %v", ops, err)
	}
	ops, err = forget(t.Context(), federation.Change{Kind: federation.PersonDeleted, Tenant: h.tenant("default"), Person: &person})
	if err != nil || len(ops) != 1 || ops[0].Verb != store.VerbDrop {
		t.Fatalf("a deletion forgets %v, %v", ops, err)
	}
	_, err = h.engine.Commit(t.Context(), ops...)
	must(t, err)
	b.get(ask.ask()).shows(t, "consent", 200)
}

// TestOfflineNeedsConsent is OpenID Connect Core 1.0 §11.
func TestOfflineNeedsConsent(t *testing.T) {
	h := open(t)
	ask, shop, b := h.party("default", "ask"), h.party("default", "shop"), h.browser()
	with := []string{"scope", "openid offline_access"}
	ends := func(p *party, tok tokens) bool {
		t.Helper()
		other := h.browser()
		p.signIn(other) // so that the person is there
		b.press(b.get(h.URL+"/end_session"), "sign-out")
		return p.refresh(tok.Refresh).Error == "invalid_grant"
	}
	ask.code(b.press(b.get(ask.ask("scope", "openid")), "allow"))
	// Nobody can be asked, and nothing but offline access was not agreed to.
	silent := ask.redeem(ask.code(b.get(ask.ask(append(with, "prompt", "none")...))))
	if silent.Scope != "openid" || silent.Refresh == "" {
		t.Fatalf("%+v", silent)
	}
	ask.refused(b.get(ask.ask("scope", "openid email offline_access", "prompt", "none")), federation.ConsentRequired)
	l := b.get(ask.ask(with...)).shows(t, "scope-offline_access", 200)
	agreed := ask.redeem(ask.code(b.press(l, "allow")))
	remembered := ask.signIn(b, append(with, "prompt", "none")...)
	skipped := shop.signIn(b, with...)
	for what, tok := range map[string]tokens{"agreed": agreed, "remembered": remembered, "skipped": skipped} {
		if tok.Scope != "openid offline_access" {
			t.Errorf("%s: %q", what, tok.Scope)
		}
	}
	b.get(shop.ask(append(with, "prompt", "consent")...)).shows(t, "scope-offline_access", 200)
	if !ends(shop, shop.signIn(b)) || ask.refresh(silent.Refresh).Error != "invalid_grant" {
		t.Error("a refresh token without offline access outlived the session")
	}
	for what, got := range map[string]tokens{"agreed": ask.refresh(agreed.Refresh), "remembered": ask.refresh(remembered.Refresh), "skipped": shop.refresh(skipped.Refresh)} {
		if got.status != 200 {
			t.Errorf("%s: %d %s", what, got.status, got.Reason)
		}
	}
}
