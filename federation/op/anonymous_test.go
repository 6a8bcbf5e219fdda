package op_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/limit"
)

// anonymousVisits is how many strangers come by. It holds for any number.
const anonymousVisits = 1000

// TestStrangersStoreNothing: a visitor whom no upstream vouched for costs no
// disk, whatever they do.
func TestStrangersStoreNothing(t *testing.T) {
	h := open(t, two, limitedTo(limit.Policy{Endpoints: everywhere(limit.Rate{N: 10 * anonymousVisits, Per: time.Hour}), Failures: limit.Rate{N: 5, Per: time.Hour}}))
	shop, wide := h.party("default", "shop"), h.party("default", "wide")
	shop.signIn(h.browser())
	commits, file := h.engine.count(), h.fingerprint()
	asks := []*http.Request{}
	for _, address := range []string{
		shop.ask(), shop.ask("prompt", "none"), shop.ask("prompt", "login", "max_age", "0"), wide.ask(), wide.ask("login_hint", "x@partner.example"),
		shop.ask("scope", "-"), shop.ask("redirect_uri", "https://evil.example/"), h.URL + "/authorize", h.issuer("acme") + "/end_session",
		h.URL + "/callback/corp?state=" + federation.NewSecret() + "&code=x", h.URL + "/consent?tx=x", h.URL + "/choose?tx=x&upstream=corp",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		must(t, err)
		asks = append(asks, r)
	}
	client := h.client()
	h.unchanged("strangers", func() {
		for i := range anonymousVisits {
			r := asks[i%len(asks)].Clone(t.Context())
			r.AddCookie(&http.Cookie{Name: "drawbridge-default", Value: fmt.Sprintf("default.0.%027d.%s", i, federation.NewSecret())})
			res, err := client.Do(r)
			must(t, err)
			if body(t, res); res.StatusCode >= 500 {
				t.Fatalf("%s: %d", r.URL, res.StatusCode)
			}
		}
	})
	must(t, h.limiter.Flush(t.Context()))
	if h.engine.count() != commits || h.fingerprint() != file {
		t.Errorf("%d commits, and the file is the same: %v", h.engine.count()-commits, h.fingerprint() == file)
	}
}

// fingerprint is the store's file, as it is on the disk once a dump has put there
// what was committed.
func (h *house) fingerprint() [sha256.Size]byte {
	h.t.Helper()
	h.dump()
	all, err := os.ReadFile(h.path)
	must(h.t, err)
	return sha256.Sum256(all)
}

// TestHalfWaysStoreNothing goes as far as one can without being vouched for.
func TestHalfWaysStoreNothing(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	shop.signIn(h.browser())
	h.unchanged("forged answers", func() {
		for _, more := range []string{"error", "code", "iss"} {
			b := h.browser()
			b.get(changed(shop.atCallback(b), more, "access_denied"))
		}
	})
	if len(h.events(federation.SignInFailed)) != 0 || !h.lines.has("sign-in refused by upstream") {
		t.Error("stored, or not audited")
	}
}
