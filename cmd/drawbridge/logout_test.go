package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// party is a relying party that takes logout tokens and checks them as one does,
// against the published keys, before it answers.
type party struct {
	*httptest.Server
	t  *testing.T
	id string

	mu     sync.Mutex
	status []int // of the next answers; then 200
	hang   chan struct{}
	got    []farewell
}

// farewell is a verified logout token.
type farewell struct {
	Issuer  string         `json:"iss"`
	Subject string         `json:"sub"`
	Client  string         `json:"aud"`
	Session string         `json:"sid"`
	ID      string         `json:"jti"`
	At      int64          `json:"iat"`
	Expires int64          `json:"exp"`
	Events  map[string]any `json:"events"`
}

func newParty(t *testing.T, id string) *party {
	t.Helper()
	p := &party{t: t, id: id}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// answers makes the next answers have these statuses.
func (p *party) answers(status ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func (p *party) heard() []farewell {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]farewell{}, p.got...)
}

// ServeHTTP implements http.Handler.
func (p *party) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.hang != nil {
		<-p.hang
		return
	}
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "kept=1" || r.ParseForm() != nil || len(r.PostForm) != 1 {
		p.t.Errorf("%s is asked with %s %s %v", p.id, r.Method, r.URL, r.PostForm)
	}
	got := p.verify(r.PostForm.Get("logout_token"))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, got)
	status := http.StatusOK
	if len(p.status) > 0 {
		status, p.status = p.status[0], p.status[1:]
	}
	if status == http.StatusFound {
		w.Header().Set("Location", p.URL+"/elsewhere?kept=1")
	}
	w.WriteHeader(status)
}

// verify holds a token to OpenID Connect Back-Channel Logout 1.0 §2.4 and §2.6.
func (p *party) verify(text string) (got farewell) {
	alg := jose.RS256
	if p.id == "desk" {
		alg = jose.ES256
	}
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{alg})
	if err != nil {
		p.t.Errorf("%s: %v", p.id, err)
		return got
	}
	var all map[string]any
	if err := parsed.UnsafeClaimsWithoutVerification(&got, &all); err != nil {
		p.t.Errorf("%s: %v", p.id, err)
	}
	if all["nonce"] != nil || len(all) != 8 || parsed.Headers[0].ExtraHeaders[jose.HeaderType] != "logout+jwt" {
		p.t.Errorf("%s: %v of %v", p.id, all, parsed.Headers)
	}
	now := time.Now().Unix()
	if got.Client != p.id || got.Issuer != "http://127.0.0.1:8080" || got.ID == "" || got.At > now+1 || got.At < now-30 || got.Expires != got.At+120 || got.Expires < now ||
		len(got.Events) != 1 || fmt.Sprint(got.Events["http://schemas.openid.net/event/backchannel-logout"]) != "map[]" {
		p.t.Errorf("%s: %+v", p.id, got)
	}
	return got
}

// partiesFile is a file with two relying parties that take logout tokens and
// one that does not.
func partiesFile(t *testing.T, shop, desk *party, more string) string {
	t.Helper()
	text := file(t, upstreamtest.New(t).URL, more)
	text = strings.Replace(text, "egress: {", "egress: {relying_parties: [127.0.0.0/8], ", 1)
	return strings.Replace(text, "egress:", `    backchannel_logout_uri: "`+shop.URL+`/bye?kept=1"
    grant_types: [authorization_code, refresh_token]
  - client_id: desk
    client_secret: "${env:SHOP_SECRET}"
    redirect_uris: [http://127.0.0.1:9100/callback]
    consent: skip
    id_token_signed_response_alg: ES256
    backchannel_logout_uri: "`+desk.URL+`/bye?kept=1"
    logout_on: [LOGOUT, DESTROY, IDLE_TIMEOUT]
  - {client_id: quiet, client_secret: "${env:SHOP_SECRET}", redirect_uris: ["http://127.0.0.1:9100/callback"], consent: skip}
egress:`, 1)
}

// visit signs the browser in at another relying party, silently.
func (b *browser) visit(client string) {
	b.t.Helper()
	res, err := b.client().Get("http://127.0.0.1:8080/authorize?response_type=code&scope=openid&client_id=" + client + "&redirect_uri=http://127.0.0.1:9100/callback")
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	if back, err := res.Location(); err != nil || back.Query().Get("code") == "" {
		b.t.Fatalf("%s gets no code: %v %v", client, back, err)
	}
}

type logoutPage struct {
	Items []struct {
		ID, Client, Webhook, Event, Type, Session, State string
		Attempts                                         []struct {
			Status         int
			Result, Reason string
		}
	}
}

// toldTo are the deliveries of a client as the management API shows them.
func toldTo(t *testing.T, app *App, client string) logoutPage {
	t.Helper()
	return answered[logoutPage](t, app, "/v1/tenants/default/clients/"+client+"/logout-deliveries")
}

// settled waits for a client's n-th delivery to be in a state.
func settled(t *testing.T, app *App, client string, n int, state delivery.State) logoutPage {
	t.Helper()
	var page logoutPage
	until(t, fmt.Sprintf("delivery %d of %s is %s", n, client, state), func() bool {
		page = toldTo(t, app, client)
		return len(page.Items) == n && page.Items[n-1].State == string(state)
	})
	return page
}

// TestRelyingPartiesAreToldOfEnds ends sessions in every way that there is and
// looks at who hears of it. A code that nobody has redeemed counts.
func TestRelyingPartiesAreToldOfEnds(t *testing.T) {
	t.Parallel()
	shop, desk := newParty(t, "shop"), newParty(t, "desk")
	for name, spread := range map[string]string{"one place": "", "spread": "tenants: [{id: default, spread: person}]\n"} {
		text := partiesFile(t, shop, desk, spread+"session: {idle_timeout: 2s, max_lifetime: 1h}\n")
		if spread != "" {
			text = strings.Replace(text, "store: {engine: bolt,", "store: {engine: bolt, partitions: 4,", 1)
		}
		app, _ := serveOnce(t, operator(load(t, text)))
		tenant, _ := app.tenant("default")
		for how, tc := range map[string]struct {
			end   func(b *browser, sid, person string) error
			heard []*party
		}{
			"kill": {func(_ *browser, sid, _ string) error {
				status, _, body := manage(t, app, http.MethodDelete, "/v1/tenants/default/sessions/"+sid, "")
				if status != http.StatusNoContent {
					return fmt.Errorf("%d %s", status, body)
				}
				return nil
			}, []*party{shop, desk}},
			"deletion of the person": {func(_ *browser, _, person string) error {
				status, _, body := manage(t, app, http.MethodDelete, "/v1/tenants/default/users/"+person, "")
				if status != http.StatusNoContent {
					return fmt.Errorf("%d %s", status, body)
				}
				return nil
			}, []*party{shop, desk}},
			"logout": {func(_ *browser, sid, _ string) error {
				return app.sessions.End(t.Context(), tenant, sid, federation.Logout, federation.Request{})
			}, []*party{shop, desk}},
			"the sweeper": {func(*browser, string, string) error { return nil }, []*party{desk}},
		} {
			before := map[*party]int{shop: len(shop.heard()), desk: len(desk.heard())}
			b := newBrowser(t, app)
			b.authorize("")
			b.visit("desk")
			b.visit("quiet")
			live := answered[struct{ Sessions []struct{ ID, Person string } }](t, app, "/v1/tenants/default/sessions").Sessions
			if len(live) != 1 {
				t.Fatalf("%s, %s: %+v", name, how, live)
			}
			if err := tc.end(b, live[0].ID, live[0].Person); err != nil {
				t.Fatalf("%s, %s: %v", name, how, err)
			}
			for _, p := range tc.heard {
				until(t, name+": "+p.id+" hears of "+how, func() bool { return len(p.heard()) > before[p] })
				if got := p.heard()[before[p]:]; len(got) != 1 || got[0].Session != live[0].ID || got[0].Subject != live[0].Person {
					t.Errorf("%s, %s: %s was told %+v", name, how, p.id, got)
				}
			}
			if how == "the sweeper" && len(shop.heard()) != before[shop] {
				t.Errorf("%s: the shop does not want to hear of %s", name, how)
			}
		}
		if page := toldTo(t, app, "quiet"); len(page.Items) != 0 {
			t.Errorf("who takes no tokens was told: %+v", page)
		}
	}
}

// TestLogoutTokensAreTriedAgain: what may pass is tried again, with a token of
// its own each time; what is refused is not, and can be replayed.
func TestLogoutTokensAreTriedAgain(t *testing.T) {
	t.Parallel()
	shop, desk := newParty(t, "shop"), newParty(t, "desk")
	desk.hang = make(chan struct{})
	app, _ := serveOnce(t, operator(load(t, partiesFile(t, shop, desk, ""))))
	defer close(desk.hang)
	tenant, _ := app.tenant("default")
	ended := 0
	end := func() {
		b := newBrowser(t, app)
		b.authorize("")
		b.visit("desk")
		for _, s := range answered[sessionsPage](t, app, "/v1/tenants/default/sessions").Sessions {
			if err := app.sessions.End(t.Context(), tenant, s.ID, federation.Logout, federation.Request{}); err != nil {
				t.Fatal(err)
			}
		}
		ended++
	}
	for _, tc := range []struct {
		status []int
		state  delivery.State
		reason string
	}{
		{[]int{204}, delivery.Done, "ok"}, {[]int{400}, delivery.Dead, "status_4xx"}, {[]int{302}, delivery.Dead, "redirect"}, {[]int{501, 200}, delivery.Done, "status_5xx ok"},
	} {
		shop.answers(tc.status...)
		end()
		got := settled(t, app, "shop", ended, tc.state).Items[ended-1]
		var reasons []string
		for _, a := range got.Attempts {
			reasons = append(reasons, a.Reason)
		}
		if strings.Join(reasons, " ") != tc.reason || got.Client != "shop" || got.Webhook != "" || got.Type != "LOGOUT" {
			t.Errorf("%v: %+v", tc.status, got)
		}
	}
	heard := shop.heard()
	if a, b := heard[len(heard)-2], heard[len(heard)-1]; a.ID == b.ID || a.Session != b.Session || a.Subject != b.Subject {
		t.Errorf("two attempts: %+v %+v", a, b)
	}
	dead := toldTo(t, app, "shop").Items[1]
	if status, _, body := manage(t, app, http.MethodPost, "/v1/tenants/default/deliveries/"+url.PathEscape(dead.ID)+"/replay", ""); status != http.StatusAccepted {
		t.Fatalf("the replay answers %d %s", status, body)
	}
	until(t, "the replay arrives", func() bool { return len(shop.heard()) == len(heard)+1 })
	if again := shop.heard()[len(heard)]; again.Session != dead.Session {
		t.Errorf("replayed %+v", again)
	}
}

// TestNobodyIsLeftToTell: the client, or its address, was taken out of the file
// after the session ended.
func TestNobodyIsLeftToTell(t *testing.T) {
	t.Parallel()
	shop, desk := newParty(t, "shop"), newParty(t, "desk")
	text := partiesFile(t, shop, desk, "")
	app, _ := serveOnce(t, operator(load(t, text)))
	for _, p := range []*party{shop, desk} {
		p.answers(503, 503)
	}
	b := newBrowser(t, app)
	b.authorize("")
	b.visit("desk")
	sid := answered[sessionsPage](t, app, "/v1/tenants/default/sessions").Sessions[0].ID
	if status, _, body := manage(t, app, http.MethodDelete, "/v1/tenants/default/sessions/"+sid, ""); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, body)
	}
	until(t, "both were told once", func() bool { return len(shop.heard()) == 1 && len(desk.heard()) == 1 })
	before, rest, _ := strings.Cut(text, "  - client_id: desk")
	_, after, _ := strings.Cut(rest, "  - {client_id: quiet")
	before = strings.Replace(before, `    backchannel_logout_uri: "`+shop.URL+`/bye?kept=1"`+"\n", "", 1)
	app.Reload(t.Context(), operator(load(t, before+"  - {client_id: quiet"+after)))
	for client, want := range map[string]string{"shop": "address_removed", "desk": "client_removed"} {
		got := settled(t, app, client, 1, delivery.Dead).Items[0]
		if last := got.Attempts[len(got.Attempts)-1]; last.Reason != want || last.Result != "reject" {
			t.Errorf("%s: %+v", client, got)
		}
	}
	if status, _, body := manage(t, app, http.MethodGet, "/v1/tenants/default/clients/nobody/logout-deliveries", ""); status != http.StatusNotFound || !strings.Contains(body, "client_not_found") {
		t.Errorf("a client that never was: %d %s", status, body)
	}
	if len(shop.heard()) != 1 || len(desk.heard()) != 1 {
		t.Error("who is gone was told")
	}
}

// TestAFarewellOutlivesTheProcess: a relying party that is down while the
// program stops is told by the next one, with a token of that moment.
func TestAFarewellOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	shop, desk := newParty(t, "shop"), newParty(t, "desk")
	cfg := operator(load(t, partiesFile(t, shop, desk, "")))
	app, stop := serveOnce(t, cfg)
	shop.answers(503)
	newBrowser(t, app).authorize("")
	sid := answered[sessionsPage](t, app, "/v1/tenants/default/sessions").Sessions[0].ID
	if status, _, body := manage(t, app, http.MethodDelete, "/v1/tenants/default/sessions/"+sid, ""); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, body)
	}
	until(t, "it was told in vain", func() bool { return len(shop.heard()) == 1 })
	stop()
	app, _ = serveOnce(t, cfg)
	if got := settled(t, app, "shop", 1, delivery.Done).Items[0]; got.Session != sid || len(got.Attempts) != 2 {
		t.Errorf("%+v", got)
	}
	if heard := shop.heard(); len(heard) != 2 || heard[0].ID == heard[1].ID || heard[1].Session != sid {
		t.Errorf("%+v", heard)
	}
}

// TestLogoutTokensStayWithinTheirRange: no range is open to relying parties
// unless the file says so.
func TestLogoutTokensStayWithinTheirRange(t *testing.T) {
	t.Parallel()
	shop, desk := newParty(t, "shop"), newParty(t, "desk")
	text := strings.Replace(partiesFile(t, shop, desk, ""), "relying_parties: [127.0.0.0/8], ", "", 1)
	app, _ := serveOnce(t, operator(load(t, text)))
	newBrowser(t, app).authorize("")
	sid := answered[sessionsPage](t, app, "/v1/tenants/default/sessions").Sessions[0].ID
	manage(t, app, http.MethodDelete, "/v1/tenants/default/sessions/"+sid, "")
	if got := settled(t, app, "shop", 1, delivery.Dead).Items[0]; got.Attempts[0].Reason != "address_refused" {
		t.Errorf("%+v", got)
	}
	if len(shop.heard()) != 0 {
		t.Error("it was called")
	}
}

// A kill between the end and its delivery loses nothing: the job is in the
// commit of the end.
func TestFarewellsAreInTheCommitOfTheEnd(t *testing.T) {
	a, eng := announcing(t)
	registry, err := federation.NewRegistry([]federation.Tenant{tenantOf()}, nil, []federation.Client{
		{ID: "shop", Tenant: "acme", Logout: federation.ClientLogout{BackchannelURI: "https://shop.example/", On: []federation.Cause{federation.Logout, federation.Upgrade}}},
		{ID: "desk", Tenant: "acme", Logout: federation.ClientLogout{BackchannelURI: "https://desk.example/", On: []federation.Cause{federation.MaxTimeout}}},
		{ID: "asked", Tenant: "acme", Logout: federation.ClientLogout{BackchannelURI: "https://asked.example/", On: []federation.Cause{federation.Logout}}},
		{ID: "front", Tenant: "acme", Logout: federation.ClientLogout{FrontchannelURI: "https://front.example/", On: []federation.Cause{federation.Logout}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	a.live().registry = registry
	s := knownSession()
	s.Webhooks = nil
	s.Clients = []federation.Visit{{Client: "shop", Subject: "pairwise"}, {Client: "desk"}, {Client: "asked", Pending: true}, {Client: "front"}, {Client: "removed"}}
	for cause, want := range map[federation.Cause]string{
		federation.Logout: `shop {"session":"the-sid","subject":"pairwise"}`, federation.MaxTimeout: `desk {"session":"the-sid","subject":"` + s.Person + `"}`,
		federation.Upgrade: "", federation.Destroy: "", federation.IdleTimeout: "",
	} {
		ended := emitted(t, a, eng, federation.Change{Kind: federation.SessionEnded, Session: s, Cause: cause, At: began()})[0]
		var told []string
		for _, id := range []string{"shop", "desk", "asked", "front", "removed"} {
			jobs, _, err := a.queue.List(t.Context(), tenantOf().Place, delivery.LogoutTokens, id, "", "", 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, j := range jobs {
				if j.Event == ended.ID {
					told = append(told, j.Target+" "+string(j.Body))
				}
				if !json.Valid(j.Body) || j.About != "the-sid" || j.Aggregate != s.Person {
					t.Errorf("%+v", j)
				}
			}
		}
		if got := strings.Join(told, "; "); got != want {
			t.Errorf("%s is told to %q, want %q", cause, got, want)
		}
	}
}
