package op_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
)

// TestTenantsAreApart brings whatever a tenant gives out to another one of the same
// host. See TestTenants for its tokens, cookies and hints.
func TestTenantsAreApart(t *testing.T) {
	h := open(t, formats)
	mine, theirs, b := h.party("default", "shop"), h.party("acme", "shop"), h.browser()
	got := mine.signIn(b)
	at := func(l landing) string { return strings.Replace(l.url.String(), h.URL, h.issuer("acme"), 1) }

	keys := func(p *party) string { return p.send(http.MethodGet, "/jwks", "").page }
	for _, k := range object(t, keys(mine))["keys"].([]any) {
		if id := k.(map[string]any)["kid"].(string); strings.Contains(keys(theirs), id) {
			t.Errorf("both publish %s", id)
		}
	}
	if !mine.live(got.Access) || mine.read(got.Access)["iss"] != h.URL {
		t.Fatal("no JWT access token")
	}
	ask := h.party("default", "ask")
	l := b.get(ask.ask()).shows(t, "consent", 200)
	_, agree := l.form(t, "allow")
	_, leave := b.get(h.URL+"/end_session").form(t, "sign-out")
	_, end := b.get(h.URL+"/me").form(t, "sign-out")
	detour := h.browser().step(b.request(http.MethodPost, h.URL+"/authorize", mine.request()))
	bye := h.browser().step(b.request(http.MethodPost, h.URL+"/end_session", url.Values{"id_token_hint": {got.ID}}))
	h.unchanged("what another tenant gave out", func() {
		if theirs.live(got.Access) || asks(h.party("acme", "partners"), got.Access) || asks(h.party("acme", "partners"), got.Refresh) {
			t.Error("a token is known elsewhere")
		}
		b.post(h.issuer("acme")+"/consent", agree).shows(t, "error", 400)
		b.post(h.issuer("acme")+"/end_session/confirm", leave).shows(t, "error", 400)
		b.post(h.issuer("acme")+"/end_session/confirm", end).shows(t, "error", 400)
		b.get(at(detour)).shows(t, "error", 400)
		b.get(at(bye)).shows(t, "error", 400)
		b.get(theirs.bye("id_token_hint", got.ID)).shows(t, "error", 400)
		b.get(h.issuer("acme")+"/me").shows(t, "me-signed-out", 200)
		theirs.refused(b.get(theirs.ask("prompt", "none")), federation.LoginRequired)
	})
	// What was agreed to there was not agreed to here.
	ask.code(b.press(l, "allow"))
	h.party("acme", "ask").code(b.press(b.get(h.party("acme", "ask").ask()).shows(t, "consent", 200), "allow"))
	b.get(h.issuer("acme") + "/end_session")
	b.press(b.get(h.issuer("acme")+"/end_session"), "sign-out").shows(t, "signed-out", 200)
	if mine.code(b.get(mine.ask("prompt", "none"))); !mine.live(got.Access) {
		t.Error("a logout at one tenant is one at the other")
	}
}
