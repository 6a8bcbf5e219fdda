package op_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
)

func TestTenants(t *testing.T) {
	h := open(t)
	all := []string{"default", "acme", "solo"}
	signedIn := map[string]tokens{}
	cookie := map[string]string{}
	for _, id := range all {
		p, b := h.party(id, "shop"), h.browser()
		signedIn[id] = p.signIn(b)
		cookie[id] = b.session(id)
		if claims := p.claims(signedIn[id].ID); claims["iss"] != h.issuer(id) {
			t.Errorf("%s: iss is %v", id, claims["iss"])
		}
	}
	if created := h.events(federation.PersonCreated); len(created) != 3 {
		t.Errorf("one subject in three tenants is %d persons", len(created))
	}
	for _, mine := range all {
		for _, theirs := range all {
			if mine != theirs {
				h.unchanged(mine+" at "+theirs, func() { foreign(h, h.party(mine, "shop"), h.party(theirs, "shop"), signedIn[mine], cookie[mine]) })
			}
		}
	}
	for _, id := range all {
		if p := h.party(id, "shop"); !p.live(signedIn[id].Access) || p.refresh(signedIn[id].Refresh).status != 200 {
			t.Errorf("%s lost its tokens", id)
		}
	}
}

// foreign shows what one tenant gave out to another one.
func foreign(h *house, mine, theirs *party, got tokens, cookie string) {
	h.t.Helper()
	if theirs.live(got.Access) {
		h.t.Error("an access token is good elsewhere")
	}
	if answer := theirs.refresh(got.Refresh); answer.Error != "invalid_grant" {
		h.t.Errorf("a refresh token is good elsewhere: %+v", answer)
	}
	if answer := revoke(theirs, got.Refresh); answer.status != 200 {
		h.t.Errorf("revoking elsewhere: %+v", answer)
	}
	for _, name := range []string{"drawbridge-" + theirs.tenant, "drawbridge-" + mine.tenant} {
		b := h.browser()
		b.set(h.issuer(theirs.tenant), name, cookie)
		theirs.refused(b.get(theirs.ask("prompt", "none")), federation.LoginRequired)
	}
	theirs.refused(h.browser().get(theirs.ask("prompt", "none", "id_token_hint", got.ID)), federation.InvalidRequest)
}

// TestCodesOfAnotherTenant are not spent by being tried elsewhere.
func TestCodesOfAnotherTenant(t *testing.T) {
	h := open(t)
	mine, theirs := h.party("default", "shop"), h.party("acme", "shop")
	code := mine.code(h.browser().get(mine.ask()))
	h.unchanged("a code of another tenant", func() {
		if got := theirs.redeem(code); got.Error != "invalid_grant" {
			t.Errorf("%+v", got)
		}
		post := h.party("default", "post")
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://shop.example/cb"}}
		if got := post.token(form); got.Error != "invalid_grant" {
			t.Errorf("%+v", got)
		}
	})
	if got := mine.redeem(code); got.status != 200 {
		t.Errorf("%+v", got)
	}
}

// TestTransactionsOfAnotherTenant are no good, although the host is the same.
func TestTransactionsOfAnotherTenant(t *testing.T) {
	h := open(t)
	mine, b := h.party("default", "shop"), h.browser()
	at := b.step(b.request(http.MethodGet, mine.ask(), nil)).url
	back := b.step(b.request(http.MethodGet, at.String(), nil)).url
	name := b.transactions("default")[0]
	b.set(h.URL, strings.Replace(name, "default", "acme", 1), b.cookies(h.URL)[name])
	h.unchanged("a transaction at another tenant", func() {
		b.get(h.issuer("acme")+"/callback/corp?"+back.RawQuery).shows(t, "error", 400)
	})
	mine.code(b.get(back.String()))
}

// TestHosts: a host of its own has no other tenant, and a strange one is taken
// for the default tenant's.
func TestHosts(t *testing.T) {
	h := open(t)
	_, port, _ := strings.Cut(h.addr(), ":")
	for _, tc := range []struct {
		host, path, issuer string
	}{
		{h.addr(), "", "default"}, {h.addr(), "/t/acme", "acme"}, {soloHost + ":" + port, "", "solo"},
		{"SOLO.example:" + port, "", "solo"}, {"solo.example.:" + port, "", "solo"},
		{"inner-name", "", "default"}, {"inner-name:8080", "/t/acme", "acme"},
		{soloHost + ":" + port, "/t/acme", ""}, {h.addr(), "/t/ACME", ""}, {h.addr(), "/t/acme/t/acme", ""}, {h.addr(), "/t", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+tc.path+"/.well-known/openid-configuration", nil)
		must(t, err)
		r.Host = tc.host
		res, err := h.client().Do(r)
		must(t, err)
		text := body(t, res)
		if tc.issuer == "" {
			if res.StatusCode != 404 {
				t.Errorf("%s%s: %d %s", tc.host, tc.path, res.StatusCode, text)
			}
			continue
		}
		if res.StatusCode != 200 || object(t, text)["issuer"] != h.issuer(tc.issuer) {
			t.Errorf("%s%s: %d %s", tc.host, tc.path, res.StatusCode, text)
		}
	}
}

// TestSecureCookies looks at the cookies of an issuer of https.
func TestSecureCookies(t *testing.T) {
	h := open(t, func(s *setup) { s.tls = true })
	for _, tenant := range []string{"default", "acme"} {
		shop, b := h.party(tenant, "shop"), h.browser()
		first := b.step(b.request(http.MethodGet, shop.ask(), nil))
		l := b.get(first.url.String())
		shop.redeem(shop.code(l))
		for _, header := range append(first.header.Values("Set-Cookie"), l.header.Values("Set-Cookie")...) {
			c, err := http.ParseSetCookie(header)
			must(t, err)
			if !strings.HasPrefix(c.Name, "__Host-drawbridge-"+tenant) || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
				t.Errorf("%s", header)
			}
		}
		if b.session(tenant) == "" {
			t.Error("no session cookie")
		}
		b.press(b.get(h.issuer(tenant)+"/end_session"), "sign-out").shows(t, "signed-out", 200)
		if b.session(tenant) != "" {
			t.Error("the cookie is still there")
		}
	}
}
