package op_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const bye = "https://shop.example/bye"

// ender is what an upstream's connector can do beside signing in.
type ender interface {
	EndSessionURL(ctx context.Context, hint, back, state string) (string, error)
}

// ended is one call for the end of an upstream's session.
type ended struct{ upstream, hint, back, state string }

// following has the upstreams' sessions ended, and notes with what.
func following(calls *[]ended) func(*setup) {
	return func(s *setup) {
		s.upstream = func(u *federation.Upstream) {
			connector, id := u.Connector.(ender), u.ID
			u.EndSessionURL = func(ctx context.Context, hint, back, state string) (string, error) {
				*calls = append(*calls, ended{id, hint, back, state})
				return connector.EndSessionURL(ctx, hint, back, state)
			}
		}
	}
}

// fronted gives clients a front-channel logout address each.
func fronted(s *setup) {
	s.change = func(c *federation.Client) {
		c.Logout.On = []federation.Cause{federation.Logout}
		switch c.ID {
		case "shop":
			c.Logout.FrontchannelURI = "https://shop.example/front?kept=%2f"
		case "post":
			c.Logout.FrontchannelURI = "https://post.example:8443/front"
		}
	}
}

// frames are the addresses that a page loads.
func (l landing) frames(t testing.TB) (all []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(l.page))
	must(t, err)
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "iframe" {
			all = append(all, attr(n, "src"))
			if box := attr(n, "sandbox"); box == "" || strings.Contains(box, "top-navigation") || strings.Contains(box, "popups") {
				t.Errorf("a frame may do %q", box)
			}
		}
	}
	return all
}

// TestRelyingPartiesAreToldInTheBrowser: the page of a logout loads those of the
// session, and goes on.
func TestRelyingPartiesAreToldInTheBrowser(t *testing.T) {
	h := open(t, fronted)
	shop, post, b := h.party("default", "shop"), h.party("default", "post"), h.browser()
	for name, tc := range map[string]struct {
		pairs []string
		next  string
		posts bool
	}{
		"nowhere to go": {nil, "", true}, "back with state": {[]string{"post_logout_redirect_uri", bye, "state", "s &1"}, bye + "?state=s+%261", true},
		"one party alone": {[]string{"post_logout_redirect_uri", bye}, bye, false},
	} {
		got := shop.signIn(b)
		want := []string{"https://shop.example/front?kept=%2f&" + url.Values{"iss": {h.URL}, "sid": {shop.claims(got.ID)["sid"].(string)}}.Encode()}
		origins := "https://shop.example"
		if tc.posts {
			post.code(b.get(post.ask()))
			want = append(want, "https://post.example:8443/front?"+url.Values{"iss": {h.URL}, "sid": {shop.claims(got.ID)["sid"].(string)}}.Encode())
			origins += " https://post.example:8443"
		}
		l := b.get(shop.bye(append(tc.pairs, "id_token_hint", got.ID)...)).shows(t, "signed-out", 200)
		if frames := l.frames(t); !slices.Equal(frames, want) {
			t.Errorf("%s: %q, want %q", name, frames, want)
		}
		policy, refresh := l.header.Get("Content-Security-Policy"), l.header.Get("Refresh")
		if !strings.Contains(policy, "; frame-src "+origins+";") || !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "form-action 'none'") {
			t.Errorf("%s: policy %q", name, policy)
		}
		if link := l.find(t, "onward"); tc.next == "" && (link != nil || refresh != "" || strings.Contains(policy, "script-src")) {
			t.Errorf("%s: it goes on to %s", name, refresh)
		} else if tc.next != "" && (link == nil || attr(link, "href") != tc.next || refresh != "1; url="+tc.next) {
			t.Errorf("%s: refresh %q", name, refresh)
		}
		if l.header.Get("Cache-Control") != "no-store" || l.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", name, l.header)
		}
		shop.out(b, got)
	}
}

// TestWhoIsNotToldInTheBrowser: those that had no code, that do not want to hear
// of it, and those of other sessions and tenants.
func TestWhoIsNotToldInTheBrowser(t *testing.T) {
	h := open(t, func(s *setup) {
		fronted(s)
		tell := s.change
		s.change = func(c *federation.Client) {
			if tell(c); c.ID == "post" {
				c.AskConsent = true
			}
			if c.ID == "shop" && c.Tenant == "acme" {
				c.Logout.On = []federation.Cause{federation.Destroy}
			}
		}
	})
	shop, post, b := h.party("default", "shop"), h.party("default", "post"), h.browser()
	got := shop.signIn(b)
	b.get(post.ask()).shows(t, "consent", 200)
	if frames := b.get(shop.bye("id_token_hint", got.ID)).frames(t); len(frames) != 1 || !strings.HasPrefix(frames[0], "https://shop.example/") {
		t.Errorf("%q", frames)
	}
	if frames := b.get(shop.bye("id_token_hint", got.ID)).shows(t, "signed-out", 200).frames(t); len(frames) != 0 {
		t.Errorf("a session that was over: %q", frames)
	}
	acme := h.party("acme", "shop")
	got = acme.signIn(b)
	if l := b.get(acme.bye("id_token_hint", got.ID, "post_logout_redirect_uri", bye)); l.url.String() != bye || !l.away {
		t.Errorf("at %s", l.url)
	}
}

// TestUpstreamsAreSignedOutOf walks a logout through the upstream and back.
func TestUpstreamsAreSignedOutOf(t *testing.T) {
	var calls []ended
	h := open(t, following(&calls))
	shop, b := h.party("default", "shop"), h.browser()
	for name, tc := range map[string]struct {
		pairs []string
		to    string
	}{
		"nowhere to go": {nil, ""}, "back": {[]string{"post_logout_redirect_uri", bye}, bye},
		"back with state": {[]string{"post_logout_redirect_uri", bye, "state", "s &1"}, bye + "?state=s+%261"},
	} {
		calls = nil
		before := h.corp.Hits("/end_session")
		got := shop.signIn(b)
		l := b.get(shop.bye(append(tc.pairs, "id_token_hint", got.ID)...))
		if tc.to == "" {
			l.shows(t, "signed-out", 200)
		} else if l.url.String() != tc.to {
			t.Errorf("%s: at %s", name, l.url)
		}
		if len(calls) != 1 || calls[0].upstream != "corp" || strings.Count(calls[0].hint, ".") != 2 || calls[0].back != h.URL+"/end_session/return" || h.corp.Hits("/end_session") != before+1 {
			t.Errorf("%s: %+v", name, calls)
		}
		shop.out(b, got)
		if open := b.transactions("default"); len(open) != 0 {
			t.Errorf("%s: left in the browser: %q", name, open)
		}
	}
}

// TestTheQuestionLetsTheFormGoOn: a browser follows no redirect after a form
// that the page's policy does not name.
func TestTheQuestionLetsTheFormGoOn(t *testing.T) {
	var calls []ended
	for name, tc := range map[string]struct {
		change []func(*setup)
		want   string
	}{
		"left alone": {nil, "form-action 'self' https:;"}, "followed": {[]func(*setup){following(&calls)}, "form-action 'self' https: http:;"},
	} {
		h := open(t, tc.change...)
		shop, b := h.party("default", "shop"), h.browser()
		got := shop.signIn(b)
		l := b.get(shop.bye("client_id", "shop", "post_logout_redirect_uri", bye)).shows(t, "logout", 200)
		if policy := l.header.Get("Content-Security-Policy"); !strings.Contains(policy, tc.want) {
			t.Errorf("%s: %s", name, policy)
		}
		if l = b.press(l, "sign-out"); l.url.String() != bye {
			t.Errorf("%s: at %s", name, l.url)
		}
		shop.out(b, got)
		got = shop.signIn(b)
		me := b.get(h.URL + "/me")
		if policy := me.header.Get("Content-Security-Policy"); strings.Contains(policy, " http:;") != (tc.change != nil) {
			t.Errorf("%s: %s", name, policy)
		}
		b.press(me, "sign-out").shows(t, "signed-out", 200)
		shop.out(b, got)
	}
}

// TestSeveralUpstreamsAreSignedOutOf one after the other; one that cannot say how
// is passed over, and a token that is too long for the way is left out.
func TestSeveralUpstreamsAreSignedOutOf(t *testing.T) {
	for name, tc := range map[string]struct {
		corp, partner int // the lengths of the tokens
		down          string
		want          string
	}{
		"both": {1000, 1000, "", "corp 1000, partner 1000"}, "the first is down": {1000, 1000, "corp", "partner 1000"}, "the second is down": {1000, 1000, "partner", "corp 1000"},
		"too long to be carried": {4000, 4000, "", "corp 4000, partner 0"}, "too long for an address": {7000, 10, "", "corp 0, partner 10"},
	} {
		t.Run(name, func(t *testing.T) {
			var calls []ended
			h := open(t, two, following(&calls), func(s *setup) {
				follow := s.upstream
				s.upstream = func(u *federation.Upstream) {
					if follow(u); u.ID == tc.down {
						u.EndSessionURL = func(context.Context, string, string, string) (string, error) { return "", errors.New("down") }
					}
				}
			})
			shop, b := h.party("default", "shop"), h.browser()
			got := shop.signIn(b)
			h.join(shop.claims(got.ID)["sid"].(string), tc.corp, tc.partner)
			if l := b.get(shop.bye("id_token_hint", got.ID, "post_logout_redirect_uri", bye, "state", "s")); l.url.String() != bye+"?state=s" {
				t.Fatalf("at %s (%d) by %q: %s", l.url, l.status, l.hops, l.main())
			}
			var said []string
			for _, c := range calls {
				said = append(said, fmt.Sprint(c.upstream, " ", len(c.hint)))
			}
			if strings.Join(said, ", ") != tc.want || h.corp.Hits("/end_session")+h.partner.Hits("/end_session") != len(calls) {
				t.Errorf("%q, want %s", said, tc.want)
			}
			if down := h.lines.has("not signed out at upstream", tc.down); down != (tc.down != "") {
				t.Errorf("audit of what is down: %v", down)
			}
			shop.out(b, got)
		})
	}
}

// join makes a session one of two logins, with ID tokens of given lengths.
func (h *house) join(sid string, corp, partner int) {
	h.t.Helper()
	sessions := store.NewTable[federation.Session](h.engine, store.TableOptions{Kind: "session", Schema: 1})
	row, err := sessions.Get(h.t.Context(), h.tenant("default").PlaceOf(sid), sid)
	must(h.t, err)
	first := row.Value.Logins[0]
	second := first
	first.IDToken, second.IDToken, second.Upstream = strings.Repeat("x", corp), strings.Repeat("y", partner), "partner"
	_, err = h.engine.Commit(h.t.Context(), sessions.Replace(row.Place, sid, row.Value.WithLogin(first).WithLogin(second), row.Version, time.Time{}))
	must(h.t, err)
}

// TestAnUpstreamThatNeverComesBack has ended the session here all the same, and
// what comes back late, twice, or was made up leads nowhere.
func TestAnUpstreamThatNeverComesBack(t *testing.T) {
	var calls []ended
	h := open(t, following(&calls), fronted)
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b)
	l := b.get(shop.bye("id_token_hint", got.ID, "post_logout_redirect_uri", bye)).shows(t, "signed-out", 200)
	next := attr(l.element(t, "onward"), "href")
	if !strings.HasPrefix(next, h.corp.URL+"/end_session?") || len(l.frames(t)) != 1 {
		t.Fatalf("frames %q, then %s", l.frames(t), next)
	}
	shop.out(b, got)
	back := h.URL + "/end_session/return?state=" + url.QueryEscape(calls[0].state)
	for name, tc := range map[string]struct {
		by *browser
		to string
	}{
		"another browser": {h.browser(), back}, "made up": {b, h.URL + "/end_session/return?state=made-up"}, "no state": {b, h.URL + "/end_session/return"},
	} {
		if l := tc.by.get(tc.to); l.away || l.find(t, "signed-out") == nil {
			t.Errorf("%s: at %s: %s", name, l.url, l.main())
		}
	}
	b.get(back+"&state=x").shows(t, "error", 400)
	h.clock.advance(16 * time.Minute)
	b.get(back).shows(t, "signed-out", 200)
	h.clock.advance(-16 * time.Minute)

	got = shop.signIn(b)
	b.get(shop.bye("id_token_hint", got.ID, "post_logout_redirect_uri", bye))
	again := shop.signIn(b)
	back = h.URL + "/end_session/return?state=" + url.QueryEscape(calls[len(calls)-1].state)
	if l := b.get(back); l.url.String() != bye {
		t.Errorf("at %s", l.url)
	}
	b.get(back).shows(t, "error", 400)
	if !shop.live(again.Access) {
		t.Error("a way back that was late ended the next session")
	}
}

// TestTheWayBackIsProvenAgain: the address was taken out of the file while the
// browser was at the upstream.
func TestTheWayBackIsProvenAgain(t *testing.T) {
	var calls []ended
	s := &setup{}
	following(&calls)(s)
	h := open(t, following(&calls))
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b)
	l := b.step(b.request(http.MethodGet, shop.bye("id_token_hint", got.ID, "post_logout_redirect_uri", bye), nil))
	if !strings.HasPrefix(l.url.String(), h.corp.URL) {
		t.Fatalf("at %s", l.url)
	}
	s.change = func(c *federation.Client) { c.PostLogoutRedirectURIs = nil }
	h.configure(s)
	b.get(l.url.String()).shows(t, "error", 400)
}

// TestAnUpstreamThatCannotSay does not keep anybody signed in.
func TestAnUpstreamThatCannotSay(t *testing.T) {
	for name, answer := range map[string]func() (string, error){
		"none": func() (string, error) { return "", nil }, "broken": func() (string, error) { return "", errors.New("broken") },
	} {
		h := open(t, func(s *setup) {
			s.upstream = func(u *federation.Upstream) {
				u.EndSessionURL = func(ctx context.Context, _, _, _ string) (string, error) {
					if _, limited := ctx.Deadline(); !limited {
						return "", fmt.Errorf("nothing bounds the call")
					}
					return answer()
				}
			}
		})
		shop, b := h.party("default", "shop"), h.browser()
		got := shop.signIn(b)
		if l := b.get(shop.bye("id_token_hint", got.ID, "post_logout_redirect_uri", bye)); l.url.String() != bye {
			t.Errorf("%s: at %s", name, l.url)
		}
		shop.out(b, got)
	}
}

// TestAHintWithSeveralAudiences speaks for the one whose address is asked for.
func TestAHintWithSeveralAudiences(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b)
	said := shop.claims(got.ID)
	said["aud"] = []any{"nobody", "shop"}
	both, err := h.keys.Sign(t.Context(), h.tenant("default"), federation.RS256, "JWT", said)
	must(t, err)
	for name, pairs := range map[string][]string{
		"neither's address": {"post_logout_redirect_uri", "https://evil.example/"}, "another client said": {"client_id", "spa", "post_logout_redirect_uri", bye},
		"a stranger": {"client_id", "nobody"},
	} {
		if l := b.get(shop.bye(append(pairs, "id_token_hint", both)...)); l.find(t, "error") == nil || l.status != 400 {
			t.Errorf("%s: at %s", name, l.url)
		}
	}
	if l := b.get(shop.bye("id_token_hint", both, "post_logout_redirect_uri", bye, "state", "x")); l.url.String() != bye+"?state=x" {
		t.Errorf("at %s", l.url)
	}
	shop.out(b, got)
}
