package op_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

func TestMe(t *testing.T) {
	h := open(t)
	shop, ask, b := h.party("default", "shop"), h.party("default", "ask"), h.browser()
	h.unchanged("a stranger's visit", func() { b.get(h.URL+"/me").shows(t, "me-signed-out", 200) })

	shop.signIn(b)
	l := b.get(h.URL+"/me").shows(t, "me", 200).shows(t, "no-apps", 200)
	if l.text(t, "account") != "Alice Liddell (alice@corp.example)" || !strings.Contains(l.text(t, "sources"), "The corp") {
		t.Errorf("%s", l.page)
	}
	got := ask.redeem(ask.code(b.press(b.get(ask.ask("scope", "openid email offline_access")), "allow")))
	bound := ask.signIn(b, "scope", "openid email")
	other := shop.signIn(b)
	l = b.get(h.URL + "/me")
	if l.text(t, "app-0") != "ask" || !strings.Contains(l.page, "Keep access while you are away") || strings.Contains(l.page, "app-1") {
		t.Fatalf("%s", l.page)
	}
	h.clock.advance(time.Second)
	l = b.press(l, "withdraw-0").shows(t, "no-apps", 200)
	for what, tok := range map[string]tokens{"offline": got, "bound": bound} {
		if ask.live(tok.Access) || ask.refresh(tok.Refresh).Error != "invalid_grant" {
			t.Errorf("%s tokens outlived what they came of", what)
		}
	}
	if !shop.live(other.Access) || shop.refresh(other.Refresh).status != 200 || !h.lines.has("consent withdrawn", `"client":"ask"`) {
		t.Error("another client's tokens are gone, or there is no audit line")
	}
	ask.refused(b.get(ask.ask("prompt", "none")), federation.ConsentRequired)
	again := ask.redeem(ask.code(b.press(b.get(ask.ask("scope", "openid email offline_access")), "allow")))
	if !ask.live(again.Access) || ask.refresh(again.Refresh).status != 200 {
		t.Error("what was agreed to again does not count")
	}
	b.press(b.get(h.URL+"/me"), "sign-out").shows(t, "signed-out", 200)
	b.get(h.URL+"/me").shows(t, "me-signed-out", 200)
	if ended := h.events(federation.SessionEnded); len(ended) != 1 || ended[0].Cause != federation.Logout {
		t.Errorf("%+v", ended)
	}
}

// TestWithdrawAbuse: the button counts in its own session and browser only.
func TestWithdrawAbuse(t *testing.T) {
	h := open(t)
	ask, shop, alice := h.party("default", "ask"), h.party("default", "shop"), h.browser()
	ask.code(alice.press(alice.get(ask.ask()), "allow"))
	l := alice.get(h.URL + "/me")
	to, proof := l.form(t, "withdraw-0")
	_, signOut := l.form(t, "sign-out")
	h.corp.Set(upstreamtest.Knobs{Subject: "bob"})
	bob := h.browser()
	shop.signIn(bob)
	elsewhere := h.browser()
	h.party("acme", "shop").signIn(elsewhere)
	h.unchanged("a button that somebody else presses", func() {
		bob.post(to, proof).shows(t, "error", 400)
		h.browser().post(to, proof).shows(t, "error", 400)
		elsewhere.post(strings.Replace(to, "/me/", "/t/acme/me/", 1), proof).shows(t, "error", 400)
		for name, form := range map[string]url.Values{
			"nothing": {}, "empty": {"proof": {""}}, "twice": {"proof": {proof.Get("proof"), proof.Get("proof")}}, "made up": {"proof": {"a.b"}},
			"of another form": {"proof": {signOut.Get("proof")}}, "cut": {"proof": {proof.Get("proof")[:40]}}, "long": {"proof": {strings.Repeat("x", 20000)}},
		} {
			if l := alice.post(to, form); l.status != http.StatusBadRequest {
				t.Errorf("%s: %d", name, l.status)
			}
		}
		if l := alice.get(to + "?" + proof.Encode()); l.status != http.StatusMethodNotAllowed {
			t.Errorf("by GET: %d", l.status)
		}
		h.clock.advance(16 * time.Minute)
		alice.post(to, proof).shows(t, "error", 400) // too old
	})
	_, proof = alice.get(h.URL+"/me").form(t, "withdraw-0")
	alice.post(to, proof).shows(t, "no-apps", 200)
	alice.post(to, proof).shows(t, "no-apps", 200) // once more: there is nothing left
	alice.press(alice.get(h.URL+"/me"), "sign-out")
	alice.post(to, proof).shows(t, "error", 400)
}

// TestWithdrawnCode: a code that is on its way is worth nothing either.
func TestWithdrawnCode(t *testing.T) {
	h := open(t)
	ask, b := h.party("default", "ask"), h.browser()
	code := ask.code(b.press(b.get(ask.ask()), "allow"))
	b.press(b.get(h.URL+"/me"), "withdraw-0")
	if got := ask.redeem(code); got.Error != "invalid_grant" {
		t.Errorf("%+v", got)
	}
}

// TestWithdrawnMeanwhile: a silent sign-in that saw the consent asks again where
// it was taken back before the commit.
func TestWithdrawnMeanwhile(t *testing.T) {
	h := open(t)
	ask, b := h.party("default", "ask"), h.browser()
	got := ask.redeem(ask.code(b.press(b.get(ask.ask()), "allow")))
	who, _ := ask.claims(got.ID)["sub"].(string)
	withdrawn := false
	h.engine.arm(func(ops []store.Op) error {
		for _, op := range ops {
			if op.Key.Kind == "token.code" && !withdrawn {
				withdrawn = true
				if _, err := h.handler.Withdraw(t.Context(), h.tenant("default"), who, "ask"); err != nil {
					t.Error(err)
				}
			}
		}
		return nil
	}, nil)
	ask.refused(b.get(ask.ask("prompt", "none")), federation.ConsentRequired)
	h.engine.arm(nil, nil)
	if !withdrawn {
		t.Error("nothing was withdrawn")
	}
}

// lingering are keys of a client that takes its time.
type lingering struct {
	federation.ClientKeys
	meanwhile func()
}

func (k lingering) Find(ctx context.Context, fits func(jose.JSONWebKey) bool) ([]jose.JSONWebKey, error) {
	k.meanwhile()
	return k.ClientKeys.Find(ctx, fits)
}

// TestWithdrawnWhileKeysAreFetched: a client whose keys are slow to come gains
// nothing by it.
func TestWithdrawnWhileKeysAreFetched(t *testing.T) {
	h, own := open(t), newOwnKeys(t)
	ask, b := h.party("default", "ask"), h.browser()
	for _, scope := range []string{"openid email", "openid email offline_access"} {
		got := ask.redeem(ask.code(b.press(b.get(ask.ask("scope", scope, "prompt", "consent")), "allow")))
		who, _ := ask.claims(got.ID)["sub"].(string)
		code := ask.code(b.get(ask.ask("scope", scope)))
		h.configure(&setup{change: func(c *federation.Client) {
			own.of(h, c)
			c.IDTokenEncryption = boxed
			c.Keys = lingering{c.Keys, func() {
				if found, err := h.handler.Withdraw(t.Context(), h.tenant("default"), who, "ask"); err != nil || !found {
					t.Errorf("withdrawn: %v %v", found, err)
				}
			}}
		}})
		if late := ask.redeem(code); late.Error != "invalid_grant" || late.Access != "" {
			t.Errorf("%s: %d, with tokens that live: %v", scope, late.status, ask.live(late.Access))
		}
		h.configure(&setup{})
	}
}

// TestBlock: everything of a blocked person ends, and stays ended.
func TestBlock(t *testing.T) {
	for name, change := range map[string]func(*setup){"": func(*setup) {}, "spread": func(s *setup) { s.over = store.Layout{Partitions: 16} }} {
		t.Run(name, func(t *testing.T) {
			h := open(t, change)
			shop, b := h.party("default", "shop"), h.browser()
			tenant := h.tenant("default")
			offline, bound := shop.signIn(b, "scope", "openid offline_access"), shop.signIn(b)
			who, _ := shop.claims(bound.ID)["sub"].(string)
			code := shop.code(b.get(shop.ask()))
			must(t, h.persons.Block(t.Context(), tenant, who, federation.Request{CausedBy: "operator"}))
			must(t, h.persons.Block(t.Context(), tenant, who, federation.Request{CausedBy: "operator"}))
			for what, tok := range map[string]tokens{"offline": offline, "bound": bound} {
				if shop.live(tok.Access) || shop.refresh(tok.Refresh).Error != "invalid_grant" {
					t.Errorf("the %s tokens live", what)
				}
			}
			if shop.redeem(code).Error != "invalid_grant" {
				t.Error("the code was good")
			}
			shop.refused(b.get(shop.ask()), federation.AccessDenied)
			if ended := h.events(federation.SessionEnded); len(ended) != 1 || ended[0].Cause != federation.Destroy {
				t.Errorf("%+v", ended)
			}
			if told := h.events(federation.PersonBlocked); len(told) != 1 || told[0].Person != who {
				t.Errorf("%+v", told)
			}
			must(t, h.persons.Unblock(t.Context(), tenant, who, federation.Request{}))
			must(t, h.persons.Unblock(t.Context(), tenant, who, federation.Request{}))
			if shop.refresh(offline.Refresh).Error != "invalid_grant" || shop.live(offline.Access) || shop.redeem(code).Error != "invalid_grant" {
				t.Error("what was granted before came back")
			}
			h.clock.advance(time.Second)
			fresh := shop.signIn(b, "scope", "openid offline_access")
			if shop.refresh(fresh.Refresh).status != 200 || len(h.events(federation.PersonUnblocked)) != 1 {
				t.Error("who was unblocked cannot sign in")
			}
		})
	}
}
