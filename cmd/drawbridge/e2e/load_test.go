//go:build e2e

package e2e

import (
	"os"
	"strconv"
	"testing"
)

// logins is how many sign-ins the load test makes; E2E_LOGINS raises it.
func logins(t *testing.T) int {
	t.Helper()
	text := os.Getenv("E2E_LOGINS")
	if text == "" {
		return 100
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("E2E_LOGINS is %q, want a number", text)
	}
	return n
}

// TestTheExampleCarriesLoginsAndLogouts serves the example configuration, in which only the addresses differ, to a
// relying party, a provider, a hook and a receiver of others.
func TestTheExampleCarriesLoginsAndLogouts(t *testing.T) {
	n := logins(t)
	w := startWorld(t, nil)
	var got walked
	err := runNode(t, "rp-oauth4webapi.mjs", map[string]string{
		"ISSUER": w.bridge.publicURL, "CLIENT_ID": "shop", "CLIENT_SECRET": shopSecret, "ID_TOKEN_ALG": "RS256",
		"REDIRECT_URI": "http://" + w.shop + "/callback", "POST_LOGOUT_REDIRECT_URI": "http://" + w.shop + "/",
		"RUNS": strconv.Itoa(n), "PARALLEL": "8",
	}, &got)
	if err != nil || len(got.Errors) > 0 {
		t.Fatalf("%d of %d logins and logouts failed (%v), such as %q", len(got.Errors), n, err, got.Errors[:min(3, len(got.Errors))])
	}
	if got.Last.Claims["department"] != "engineering" || got.Last.Userinfo["enriched"] != "by the hook" || !got.Last.SignedOut {
		t.Errorf("the last of them ended with %+v", got.Last)
	}
	var told []ending
	eventually(t, strconv.Itoa(n)+" webhooks", func() bool {
		told = w.endings(t)
		return len(told) >= n
	})
	ids, sessions := map[string]bool{}, map[string]bool{}
	for _, e := range told {
		if e.Event != "LOGOUT" || e.User != got.Last.Claims["sub"] {
			t.Fatalf("a webhook says %+v", e)
		}
		ids[e.id], sessions[e.Session] = true, true
	}
	if len(told) != n || len(ids) != n || len(sessions) != n {
		t.Errorf("%d webhooks with %d names about %d sessions, want %d of each", len(told), len(ids), len(sessions), n)
	}
	t.Logf("%d logins and logouts in %.1f s, %.1f a second", n, got.Seconds, float64(n)/got.Seconds)
}
