package main

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// typesOf are the types of the events so far that are among those given.
func typesOf(t *testing.T, app *App, among ...string) (found []string) {
	t.Helper()
	stored, err := app.events.Read(t.Context(), 0, store.Position{}, 1000, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stored {
		if slices.Contains(among, s.Event.Type) {
			found = append(found, s.Event.Type)
		}
	}
	return found
}

// A user of two upstreams is one user to everybody: by either alias the Users
// contract finds them, and an operator sees both logins and takes one away.
func TestAUserOfTwoUpstreams(t *testing.T) {
	corp, partner := upstreamtest.New(t), upstreamtest.New(t)
	partner.Set(upstreamtest.Knobs{Subject: "p-alice", Claims: map[string]any{"email": "Alice@corp.example"}, Userinfo: map[string]any{"email": "Alice@corp.example"}})
	text := file(t, corp.URL, "tenants: [{id: default, linking: email}]\n")
	text = strings.Replace(text, "clients:", `  - {id: partner, issuer: "`+partner.URL+`", client_id: drawbridge, client_secret: "${env:CORP_SECRET}", trust_email: any}
clients:`, 1)
	text = strings.Replace(text, "upstreams: [corp]", "upstreams: [corp, partner]", 1)
	app, _ := serveOnce(t, operator(load(t, text)))
	for _, at := range []string{"corp", "partner", "corp", "partner"} {
		if got := newBrowser(t, app).authorize("&idp_hint=" + at); got.Get("code") == "" {
			t.Fatalf("%s: %v", at, got)
		}
	}
	const users = "/v1/tenants/default/users/"
	type page struct {
		Logins []struct{ Upstream, Subject, Linked string }
	}
	logins := answered[page](t, app, users+url.PathEscape("partner|p-alice")+"/logins").Logins
	if len(logins) != 2 || logins[0].Upstream != "corp" || logins[0].Linked != "" || logins[1].Subject != "p-alice" || logins[1].Linked == "" {
		t.Fatalf("%+v", logins)
	}
	user := answered[struct{ ID string }](t, app, users+url.PathEscape("corp|alice")).ID
	if by := answered[struct{ ID string }](t, app, users+url.PathEscape("partner|p-alice")).ID; by != user || user == "" {
		t.Errorf("%q by one alias, %q by the other", user, by)
	}
	for _, c := range []struct {
		upstream string
		want     int
	}{{"third", 404}, {"corp", 204}, {"corp", 404}, {"partner", 409}} {
		if status, _, body := manage(t, app, "DELETE", users+user+"/logins/"+c.upstream, ""); status != c.want {
			t.Errorf("%s: %d %s", c.upstream, status, body)
		}
	}
	_, _, text = manage(t, app, "GET", "/v1/tenants/default/sessions", "")
	var live struct{ Sessions []any }
	if err := json.Unmarshal([]byte(text), &live); err != nil || len(live.Sessions) != 0 {
		t.Errorf("%v: %s", err, text)
	}
	if got := typesOf(t, app, sessionhooks.UserCreated, sessionhooks.UserLoginAdded, sessionhooks.UserLoginRemoved); !slices.Equal(got, []string{"UserCreated", "UserLoginAdded", "UserLoginRemoved"}) {
		t.Errorf("told %v", got)
	}
}

// Stepping up tells the session's webhooks, with the level that it had, and no
// relying party.
func TestSteppingUpTellsWebhooks(t *testing.T) {
	corp := upstreamtest.New(t)
	corp.Set(upstreamtest.Knobs{Claims: map[string]any{"acr": "bronze"}})
	text := file(t, corp.URL, `tenants: [{id: default, acr_levels: [bronze, gold]}]
session_webhooks: [{id: crm, url: "http://127.0.0.1:1/", body: "{}", headers: {Content-Type: application/json}}]`)
	text = strings.Replace(text, "    consent: skip", "    consent: skip\n    backchannel_logout_uri: http://127.0.0.1:1/", 1)
	app, _ := serveOnce(t, operator(load(t, text)))
	b := newBrowser(t, app)
	b.authorize("")
	corp.Set(upstreamtest.Knobs{Claims: map[string]any{"acr": "gold"}})
	if got := b.authorize("&acr_values=gold"); got.Get("code") == "" {
		t.Fatalf("%v", got)
	}
	if got := typesOf(t, app, sessionhooks.SessionBegan, sessionhooks.SessionEnded); len(got) != 3 || got[0] != sessionhooks.SessionBegan {
		t.Errorf("told %v", got)
	}
	_, _, body := manage(t, app, "GET", "/v1/tenants/default/session-webhooks/crm/deliveries", "")
	if strings.Count(body, `"UPGRADE"`) != 1 {
		t.Errorf("deliveries %s", body)
	}
	if none := toldTo(t, app, "shop"); len(none.Items) != 0 {
		t.Errorf("the relying party was told to sign out: %+v", none)
	}
	_, _, body = manage(t, app, "GET", "/v1/tenants/default/sessions", "")
	if strings.Count(body, `"level":2`) != 1 {
		t.Errorf("sessions %s", body)
	}
}
