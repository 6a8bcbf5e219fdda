package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// signOut sends a logout token of the upstream's to a node, and answers the status.
func signOut(t *testing.T, p *upstreamtest.Provider, app *App, claims map[string]any) int {
	t.Helper()
	res, err := p.SendLogout("http://"+app.PublicAddr()+"/backchannel_logout/corp", p.LogoutToken(upstreamtest.Knobs{}, claims))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestAnUpstreamSignsOutAtAnyNode: the session began at one, the logout token
// comes to the other; and what one could not carry out any of them does.
func TestAnUpstreamSignsOutAtAnyNode(t *testing.T) {
	t.Parallel()
	sink, idp := newSink(t), upstreamtest.New(t)
	text := storedIn(file(t, idp.URL, `session_webhooks: [{id: crm, url: "`+sink.url+`", body: '{"sid":"${OidcSid}","why":"${WebhookEventType}"}', headers: {Content-Type: application/json}}]`), redistest.Start(t))
	one, _ := serveOnce(t, operator(load(t, text+"\nnode_name: one\n")))
	two, stopTwo := serveOnce(t, operator(load(t, text+"\nnode_name: two\n")))
	begin := func(sid string) string {
		t.Helper()
		idp.Set(upstreamtest.Knobs{Claims: map[string]any{"sid": sid}})
		newBrowser(t, one).authorize("")
		return answered[sessionsPage](t, two, "/v1/tenants/default/sessions").Sessions[0].ID
	}
	none := func() bool { return len(answered[sessionsPage](t, one, "/v1/tenants/default/sessions").Sessions) == 0 }
	sid := begin("up-1")
	if status := signOut(t, idp, two, map[string]any{"sid": "up-2"}); status != http.StatusOK || none() {
		t.Fatalf("of another session: %d", status)
	}
	if status := signOut(t, idp, two, map[string]any{"sid": "up-1"}); status != http.StatusOK || !none() {
		t.Fatalf("%d", status)
	}
	until(t, "the webhook is told", func() bool { return len(sink.all()) == 1 })
	if got := sink.all()[0]; got != `{"sid":"`+sid+`","why":"DESTROY"}` {
		t.Errorf("the webhook heard %s", got)
	}
	_, _, figures := manage(t, two, http.MethodGet, "/metrics", "")
	if !strings.Contains(figures, `drawbridge_upstream_logouts_total{channel="back",result="ended",upstream="corp"} 1`) {
		t.Error("nothing was counted")
	}

	begin("up-3")
	idp.Rotate()
	idp.Set(upstreamtest.Knobs{KeysStatus: http.StatusInternalServerError})
	if status := signOut(t, idp, two, map[string]any{"sid": "up-3"}); status != http.StatusServiceUnavailable || none() {
		t.Fatalf("without keys: %d", status)
	}
	stopTwo()
	idp.Set(upstreamtest.Knobs{})
	until(t, "the other node carries it out", none)
}

func TestAnUpstreamThatMayNotSignOut(t *testing.T) {
	t.Parallel()
	idp := upstreamtest.New(t)
	for name, with := range map[string]string{
		"switched off":      "backchannel_logout: false, frontchannel_logout: false",
		"of plain OAuth2.0": fmt.Sprintf("authorization_endpoint: %[1]s/authorize, token_endpoint: %[1]s/token, userinfo_endpoint: %[1]s/userinfo, scopes: [user]", idp.URL),
	} {
		text := strings.Replace(file(t, idp.URL, ""), "domains: [corp.example]", with, 1)
		if strings.Contains(with, "scopes") {
			text = strings.Replace(text, "type: oidc", "type: oauth2", 1)
		}
		app := start(t, text)
		if status := signOut(t, idp, app, nil); status != http.StatusNotFound {
			t.Errorf("%s, by back channel: %d", name, status)
		}
		frame := "http://" + app.PublicAddr() + "/frontchannel_logout/corp?" + url.Values{"iss": {idp.URL}, "sid": {"s"}}.Encode()
		if status, _ := get(t, frame); status != http.StatusNotFound {
			t.Errorf("%s, by front channel: %d", name, status)
		}
	}
}

func TestCheckNamesTheLogoutAddresses(t *testing.T) {
	text := file(t, "http://127.0.0.1:9000", "")
	text = strings.Replace(text, "clients:\n", "  - {id: quiet, issuer: \"http://127.0.0.1:9001\", client_id: d, client_secret: \"${env:CORP_SECRET}\", backchannel_logout: false, frontchannel_logout: false}\nclients:\n", 1)
	var out bytes.Buffer
	printCallbacks(&out, load(t, text))
	for _, line := range []string{
		"  corp: http://127.0.0.1:8080/callback/corp\n", "  quiet: http://127.0.0.1:8080/callback/quiet\n",
		"  corp: http://127.0.0.1:8080/backchannel_logout/corp (backchannel_logout_uri)\n",
		"  corp: http://127.0.0.1:8080/frontchannel_logout/corp (frontchannel_logout_uri, session required)\n",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in\n%s", line, &out)
		}
	}
	if strings.Contains(out.String(), "channel_logout/quiet") {
		t.Errorf("%s", &out)
	}
}
