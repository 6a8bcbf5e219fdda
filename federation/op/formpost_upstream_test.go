package op_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

func posting(s *setup) { s.connector = func(o *upstream.Options) { o.ResponseMode = "form_post" } }

// posted is what the upstream's page would post, and where.
func posted(t *testing.T, b *browser, ask string) (string, url.Values) {
	t.Helper()
	at := b.get(ask)
	to, form := at.form(t, "continue")
	form.Del("")
	return to, form
}

// fromAfar posts as another site's page does: without our cookies, which are
// SameSite=Lax. Where it leads, the browser goes with all of them.
func fromAfar(t *testing.T, b *browser, to string, form url.Values) landing {
	t.Helper()
	other := *b
	bare := *b.http
	bare.Jar = nil
	other.http = &bare
	l := other.step(other.request(http.MethodPost, to, form))
	if l.header.Get("Location") == "" {
		return l
	}
	if l.status != http.StatusSeeOther {
		t.Fatalf("sent on with %d", l.status)
	}
	return b.get(l.url.String())
}

// TestAnUpstreamThatPostsItsAnswer: the whole sign-in, from another site and
// from our own.
func TestAnUpstreamThatPostsItsAnswer(t *testing.T) {
	h := open(t, posting)
	p := h.party("default", "shop")
	for name, send := range map[string]func(*testing.T, *browser, string, url.Values) landing{
		"another site": fromAfar,
		"the same site": func(_ *testing.T, b *browser, to string, form url.Values) landing {
			return b.post(to, form)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := h.browser()
			to, form := posted(t, b, p.ask())
			if !strings.HasSuffix(to, "/callback/corp") {
				t.Fatalf("the form goes to %s", to)
			}
			if got := p.redeem(p.code(send(t, b, to, form))); got.status != http.StatusOK {
				t.Errorf("%+v", got)
			}
			again := send(t, b, to, form)
			if again.away || again.status != http.StatusBadRequest {
				t.Errorf("the same answer again: %d at %s", again.status, again.url)
			}
		})
	}
	t.Run("a refusal", func(t *testing.T) {
		h.corp.Set(upstreamtest.Knobs{Refuse: "access_denied"})
		defer h.corp.Set(upstreamtest.Knobs{})
		b := h.browser()
		to, form := posted(t, b, p.ask())
		p.refused(fromAfar(t, b, to, form), federation.AccessDenied)
	})
}

// TestPostedAnswersThatAreNot stores nothing, and asks the upstream nothing.
func TestPostedAnswersThatAreNot(t *testing.T) {
	h := open(t, posting, func(s *setup) { s.two = true })
	p := h.party("default", "shop")
	b := h.browser()
	to, form := posted(t, b, p.ask())
	with := func(pairs ...string) url.Values {
		out := maps.Clone(form)
		for i := 0; i < len(pairs); i += 2 {
			out.Set(pairs[i], pairs[i+1])
		}
		return out
	}
	sealed := func() string {
		bare := *b.http
		bare.Jar = nil
		other := *b
		other.http = &bare
		return other.step(other.request(http.MethodPost, to, form)).url.Query().Get("request")
	}()
	before := h.corp.Hits("/token")
	h.unchanged("an answer that is none", func() {
		for name, send := range map[string]func() landing{
			"another browser":          func() landing { return fromAfar(t, h.browser(), to, form) },
			"another upstream":         func() landing { return fromAfar(t, b, strings.Replace(to, "corp", "partner", 1), form) },
			"another state":            func() landing { return fromAfar(t, b, to, with("state", "other")) },
			"no state":                 func() landing { return fromAfar(t, b, to, with("state", "")) },
			"a state twice":            func() landing { return fromAfar(t, b, to, url.Values{"state": {"a", "b"}, "code": {"c"}}) },
			"a code of five kilobytes": func() landing { return fromAfar(t, b, to, with("code", strings.Repeat("c", 5<<10))) },
			"nothing":                  func() landing { return fromAfar(t, b, to, url.Values{}) },
			"parameters in the query":  func() landing { return fromAfar(t, b, to+"?"+form.Encode(), url.Values{}) },
			"JSON": func() landing {
				r := b.request(http.MethodPost, to, nil)
				r.Header.Set("Content-Type", "application/json")
				return b.step(r)
			},
			"a seal that is none": func() landing { return b.get(to + "/continue?request=abc") },
			"a seal of another upstream": func() landing {
				return b.get(strings.Replace(to, "corp", "partner", 1) + "/continue?request=" + url.QueryEscape(sealed))
			},
			"no seal": func() landing { return b.get(to + "/continue") },
		} {
			if l := send(); l.away || l.status != http.StatusBadRequest {
				t.Errorf("%s: %d at %s", name, l.status, l.url)
			}
			if n := h.corp.Hits("/token") - before; n != 0 {
				t.Errorf("%s: the upstream was asked", name)
			}
		}
	})
}
