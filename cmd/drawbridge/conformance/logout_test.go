package conformance

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

func initiatedCases() map[string]func(*module) {
	const of = "oidcc-rp-initiated-logout"
	return map[string]func(*module){
		of + "-discovery-endpoint-verification": func(m *module) { m.metadata(); m.endpoint("end_session_endpoint") },
		of:                                      func(m *module) { m.signOut(first(), "state", "some state") },
		of + "-no-state":                        func(m *module) { m.signOut(first(), "state", "-") },
		of + "-bad-post-logout-redirect-uri": func(m *module) {
			m.stays("post_logout_redirect_uri", m.party.URL+"/bye/elsewhere")
		},
		of + "-query-added-to-post-logout-redirect-uri": func(m *module) {
			m.stays("post_logout_redirect_uri", m.party.bye(first())+"?foo=bar")
		},
		of + "-modified-id-token-hint": func(m *module) {
			m.staysWith(func(id string) string {
				none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
				return none + "." + strings.Split(id, ".")[1] + "."
			})
		},
		of + "-bad-id-token-hint": func(m *module) {
			m.staysWith(func(id string) string {
				part, foreign := strings.Split(id, "."), strings.Split(m.corp.LogoutToken(upstreamtest.Knobs{}, nil), ".")
				return part[0] + "." + part[1] + "." + foreign[2]
			})
		},
		of + "-no-id-token-hint": func(m *module) { m.stays("id_token_hint", "-") },
		of + "-no-params":        func(m *module) { m.confirms(url.Values{}) },
		of + "-only-state":       func(m *module) { m.confirms(url.Values{"state": {"some state"}}) },
		of + "-no-post-logout-redirect-uri": func(m *module) {
			m.signedOut(m.leave(m.bye(first(), m.signIn(first()), "post_logout_redirect_uri", "-")))
			m.isOut(first())
		},
	}
}

// bye is a logout request. Pairs change it: "-" leaves a parameter out.
func (m *module) bye(c client, l login, pairs ...string) url.Values {
	q := url.Values{"id_token_hint": {l.id}, "post_logout_redirect_uri": {m.party.bye(c)}, "state": {"a state"}}
	for i := 0; i < len(pairs); i += 2 {
		if q.Set(pairs[i], pairs[i+1]); pairs[i+1] == "-" {
			q.Del(pairs[i])
		}
	}
	return q
}

func (m *module) leave(q url.Values) landing {
	m.Helper()
	return m.user.get(m.endpoint("end_session_endpoint") + "?" + q.Encode())
}

// signOut signs in and out, by GET and by POST. The user comes back with the state
// and nothing else, and is signed out.
func (m *module) signOut(c client, pairs ...string) {
	m.Helper()
	for _, posted := range []bool{false, true} {
		q := m.bye(c, m.signIn(c), pairs...)
		var l landing
		if posted {
			l = m.user.post(m.endpoint("end_session_endpoint"), q)
		} else {
			l = m.leave(q)
		}
		m.cameBack(l, c, q)
		m.isOut(c)
	}
}

// cameBack fails unless the user is at the client's post-logout redirect URI, with
// the state and nothing else.
func (m *module) cameBack(l landing, c client, q url.Values) {
	m.Helper()
	want := url.Values{}
	if q.Has("state") {
		want.Set("state", q.Get("state"))
	}
	if l.visit == nil || l.visit.Method != http.MethodGet || l.visit.Path != "/bye/"+c.id || l.visit.Query != want.Encode() {
		m.Fatalf("at %s with %d", l.url, l.status)
	}
}

func (m *module) stays(pairs ...string) {
	m.Helper()
	m.notSent(m.signIn(first()), pairs...)
}

func (m *module) staysWith(change func(id string) string) {
	m.Helper()
	l := m.signIn(first())
	m.notSent(l, "id_token_hint", change(l.id))
}

// notSent fails unless the user is told what is wrong, and is signed in still.
func (m *module) notSent(l login, pairs ...string) {
	m.Helper()
	at := m.leave(m.bye(first(), l, pairs...))
	if at.visit != nil || !at.has("error") || at.status != http.StatusBadRequest {
		m.Fatalf("at %s with %d", at.url, at.status)
	}
	q := m.ask(first(), "prompt", "none")
	m.code(q)
}

// confirms asks to sign out without saying for whom: the user is asked, and then
// signed out.
func (m *module) confirms(q url.Values) {
	m.Helper()
	m.signIn(first())
	l := m.leave(q)
	if !l.has("logout") {
		m.Fatalf("at %s with %d", l.url, l.status)
	}
	m.signedOut(m.user.press(l, "sign-out"))
	m.isOut(first())
}

func (m *module) signedOut(l landing) {
	m.Helper()
	if l.visit != nil || l.status != http.StatusOK || !l.has("signed-out") {
		m.Fatalf("at %s with %d", l.url, l.status)
	}
}

func backChannelCases() map[string]func(*module) {
	return map[string]func(*module){
		"oidcc-backchannel-logout-discovery-endpoint-verification": func(m *module) {
			m.metadata()
			if m.meta["backchannel_logout_supported"] != true || m.meta["backchannel_logout_session_supported"] != true {
				m.Errorf("%v", m.meta)
			}
		},
		"oidcc-backchannel-rp-initiated-logout": func(m *module) {
			l := m.signIn(back())
			q := m.bye(back(), l)
			m.cameBack(m.leave(q), back(), q)
			m.isOut(back())
			m.wasTold(l)
		},
	}
}

// wasTold waits for the logout token of a session, and checks it (OpenID Connect
// Back-Channel Logout 1.0 §2.4 and §2.5).
func (m *module) wasTold(l login) {
	m.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if len(m.party.heard()) > 0 {
			break
		}
		if time.Now().After(deadline) {
			m.Fatal("no logout token came")
		}
	}
	got := m.party.heard()[0]
	form := got.values(m)
	if got.Method != http.MethodPost || got.Query != "" || got.Type != "application/x-www-form-urlencoded" || len(form) != 1 || got.TLS != tls.VersionTLS13 {
		m.Errorf("%+v", got)
	}
	said := m.verify(form.Get("logout_token"), "logout+jwt")
	iat, _ := said["iat"].(float64)
	exp, _ := said["exp"].(float64)
	now := float64(time.Now().Unix())
	id, _ := said["jti"].(string)
	if said["iss"] != m.issuer || said["aud"] != "back" || said["sub"] != l.said["sub"] || said["sid"] != l.said["sid"] || said["sid"] == nil ||
		id == "" || iat > now+1 || iat < now-30 || exp <= now {
		m.Errorf("%v, for %v", said, l.said)
	}
	if _, told := said["nonce"]; told {
		m.Error("a logout token with a nonce could be taken for an ID token")
	}
	events, err := json.Marshal(said["events"])
	if err != nil || string(events) != `{"http://schemas.openid.net/event/backchannel-logout":{}}` {
		m.Errorf("events are %s", events)
	}
	if allowed := strings.Fields("iss aud sub sid iat exp jti events"); slices.ContainsFunc(slices.Collect(maps.Keys(said)), func(n string) bool { return !slices.Contains(allowed, n) }) {
		m.Errorf("%v", said)
	}
	if n := len(m.party.heard()); n != 1 {
		m.Errorf("told %d times", n)
	}
}

func frontChannelCases() map[string]func(*module) {
	return map[string]func(*module){
		"oidcc-frontchannel-logout-discovery-endpoint-verification": func(m *module) {
			m.metadata()
			if m.meta["frontchannel_logout_supported"] != true || m.meta["frontchannel_logout_session_supported"] != true {
				m.Errorf("%v", m.meta)
			}
		},
		"oidcc-frontchannel-rp-initiated-logout": func(m *module) {
			l := m.signIn(front())
			q := m.bye(front(), l)
			at := m.leave(q)
			m.signedOut(at)
			frames := at.frames()
			if len(frames) != 1 {
				m.Fatalf("frames %q", frames)
			}
			seen := m.user.get(frames[0]).visit
			want := url.Values{"iss": {m.issuer}, "sid": {l.said["sid"].(string)}}
			if seen == nil || seen.Method != http.MethodGet || seen.Path != "/front" || seen.Query != want.Encode() {
				m.Errorf("the frame is %s", frames[0])
			}
			onward := at.find("onward")
			if onward == nil || !strings.HasSuffix(at.header.Get("Refresh"), "; url="+attr(onward, "href")) {
				m.Fatalf("it does not go on: %s", at.header.Get("Refresh"))
			}
			m.cameBack(m.user.get(attr(onward, "href")), front(), q)
			m.isOut(front())
		},
	}
}

// sessionManagementCases: session management is not offered. Browsers keep cookies
// from frames of other sites, so that it would say that everybody has signed out.
func sessionManagementCases() map[string]func(*module) {
	absent := func(m *module) {
		if at, told := m.meta["check_session_iframe"]; told {
			m.Errorf("check_session_iframe is %v", at)
		}
		q := m.ask(first())
		if m.answer(m.visit(q), q).Has("session_state") {
			m.Error("there is a session_state")
		}
	}
	return map[string]func(*module){
		"oidcc-session-management-discovery-endpoint-verification": absent, "oidcc-session-management-rp-initiated-logout": absent,
	}
}
