//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// upkeep is how many commits the program may make by itself during one of these tests: a lease taken or renewed.
const upkeep = 2

func TestALoginIsTwoCommitsAndAVisitNone(t *testing.T) {
	const logins, visits = 20, 2000
	w := startWorld(t, nil)
	d := w.drive(t, "shop", shopSecret, "http://"+w.shop+"/callback", "http://"+w.shop+"/")
	if _, err := d.signIn(t.Context(), "alice"); err != nil { // she is new to Drawbridge
		t.Fatal(err)
	}
	before := w.figure(t, "drawbridge_store_commits_total")
	for range logins {
		if _, err := d.signIn(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
	}
	if made := w.figure(t, "drawbridge_store_commits_total") - before; made < 2*logins || made > 2*logins+upkeep {
		t.Errorf("%d logins made %d commits, want two each", logins, made)
	}

	size := w.settledSize(t)
	before = w.figure(t, "drawbridge_store_commits_total")
	query := url.Values{"client_id": {"shop"}, "redirect_uri": {d.oauth.RedirectURL}, "response_type": {"code"}, "scope": {"openid"}}
	stay := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for range visits {
		answer, err := stay.Get(w.bridge.publicURL + "/authorize?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusSeeOther {
			t.Fatalf("a visit is answered %s", answer.Status)
		}
	}
	if made := w.figure(t, "drawbridge_store_commits_total") - before; made > upkeep {
		t.Errorf("%d visits of nobody made %d commits", visits, made)
	}
	if grown := w.settledSize(t) - size; grown > 0 {
		t.Errorf("%d visits of nobody made the store %d bytes larger", visits, grown)
	}
}

// settledSize is the size of the store's file when it has stayed the same for longer than commits stay out of it: they
// are folded into it together, a second later.
func (w *world) settledSize(t *testing.T) int {
	t.Helper()
	const still = 2500 * time.Millisecond
	size, since := w.figure(t, "drawbridge_store_bytes"), time.Now()
	eventually(t, "the store's file to settle", func() bool {
		if now := w.figure(t, "drawbridge_store_bytes"); now != size {
			size, since = now, time.Now()
		}
		return time.Since(since) > still
	})
	return size
}

// figure is a metric without labels.
func (w *world) figure(t *testing.T, name string) int {
	t.Helper()
	text := w.platform().expect(t, http.MethodGet, "/metrics", nil, http.StatusOK, "").body
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("the metrics have no %s", name)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(value)
}
