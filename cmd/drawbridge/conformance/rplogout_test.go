package conformance

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// rpLogoutCases are those in which Drawbridge is the relying party of an upstream.
func rpLogoutCases() map[string]func(*module) {
	const of = "oidcc-client-test-rp-"
	lie := func(k upstreamtest.Knobs, name string, value any) func(*module) {
		return func(m *module) { m.refusesToken(k, name, value) }
	}
	const event = "http://schemas.openid.net/event/backchannel-logout"
	good := upstreamtest.Knobs{}
	return map[string]func(*module){
		of + "init-logout":             func(m *module) { m.signsOutThere("") },
		of + "init-logout-other-state": func(m *module) { m.signsOutThere("another state") },
		of + "init-logout-no-state":    func(m *module) { m.signsOutThere("-") },
		of + "frontchannel-rpinitlogout": func(m *module) {
			sid := m.guest()
			q := url.Values{"iss": {m.partner.URL}, "sid": {sid}}
			if r := m.call(http.MethodGet, m.issuer+"/frontchannel_logout/partner?"+q.Encode(), nil, nil); r.status != http.StatusOK || r.header.Get("Cache-Control") != "no-store" {
				m.Errorf("%d %v", r.status, r.header)
			}
			m.isOut(guest())
		},
		of + "backchannel-rpinitlogout": func(m *module) {
			if r := m.tell(m.partner.LogoutToken(good, map[string]any{"sid": m.guest()})); r.status != http.StatusOK || r.header.Get("Cache-Control") != "no-store" {
				m.Errorf("%d %s", r.status, r.body)
			}
			m.isOut(guest())
		},
		of + "backchannel-rpinitlogout-alg-none":    lie(upstreamtest.Knobs{Alg: "none"}, "", nil),
		of + "backchannel-rpinitlogout-wrong-alg":   lie(upstreamtest.Knobs{Alg: "HS256"}, "", nil),
		of + "backchannel-rpinitlogout-no-event":    lie(good, "events", nil),
		of + "backchannel-rpinitlogout-with-nonce":  lie(good, "nonce", "n-0S6_WzA2Mj"),
		of + "backchannel-rpinitlogout-wrong-aud":   lie(good, "aud", "another"),
		of + "backchannel-rpinitlogout-wrong-event": lie(good, "events", map[string]any{event + "/other": map[string]any{}}),
		of + "backchannel-rpinitlogout-wrong-iss":   lie(good, "iss", "https://evil.example"),
	}
}

// guest signs a user of partner's in, in a session there whose sid is answered.
func (m *module) guest() string {
	m.Helper()
	sid := rand.Text()
	m.partner.Set(upstreamtest.Knobs{Claims: map[string]any{"sid": sid}})
	m.signIn(guest())
	return sid
}

// tell posts a logout token as the upstream would.
func (m *module) tell(token string) reply {
	m.Helper()
	return m.call(http.MethodPost, m.issuer+"/backchannel_logout/partner", url.Values{"logout_token": {token}}, nil)
}

// refusesToken shows a token that is wrong: the answer is 400, and the user stays.
func (m *module) refusesToken(k upstreamtest.Knobs, name string, value any) {
	m.Helper()
	claims := map[string]any{"sid": m.guest()}
	if name != "" {
		claims[name] = value
	}
	r := m.tell(m.partner.LogoutToken(k, claims))
	m.refused(r, "invalid_request")
	if r.header.Get("Cache-Control") != "no-store" {
		m.Errorf("%v", r.header)
	}
	m.code(m.ask(guest(), "prompt", "none"))
}

// signsOutThere has the user sign out here, be sent to the upstream for the same,
// and come back with the state that was sent there, another ("-" for none). Only
// with the right one does the user get back to who began; signed out is everybody.
func (m *module) signsOutThere(state string) {
	m.Helper()
	m.guest()
	l := m.signIn(guest())
	m.user.stop = m.partner.URL + "/end_session"
	q := m.bye(guest(), l)
	at := m.leave(q).url.Query()
	if at.Get("id_token_hint") == "" || at.Get("state") == "" || !strings.HasPrefix(at.Get("post_logout_redirect_uri"), m.issuer+"/") {
		m.Fatalf("the upstream is asked with %v", at)
	}
	m.user.stop = ""
	m.isOut(guest())
	answer := url.Values{"state": {at.Get("state")}}
	if state != "" {
		answer.Set("state", state)
	}
	if state == "-" {
		answer.Del("state")
	}
	to := m.user.get(at.Get("post_logout_redirect_uri") + "?" + answer.Encode())
	if state == "" {
		m.cameBack(to, guest(), q)
	} else if to.visit != nil {
		m.Errorf("at %s", to.url)
	}
}
