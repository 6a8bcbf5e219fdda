//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// The secrets of every world; the configuration takes them from the environment.
const (
	platformPassword = "platform-password-of-the-tests"
	shopSecret       = "shop-secret-of-the-tests"
)

// world is Drawbridge among programs that its authors did not write.
type world struct {
	// provider is the upstream corp; hook the hook enrich; sink takes session webhooks; mails takes mails.
	provider, hook, sink, mails *program
	// public and management are the addresses of Drawbridge's listeners.
	public, management string
	// shop is the address of the example's client, where nothing listens unless a test starts something there.
	shop   string
	bridge *drawbridge
}

// settings is a configuration file whose top-level keys a test may replace.
type settings map[string]any

// startWorld starts the programs and Drawbridge with the example configuration as `change` leaves it, or unchanged.
func startWorld(t *testing.T, change func(w *world, file settings)) *world {
	t.Helper()
	w := gather(t, nil)
	if change == nil {
		w.serve(t, w.example(t))
		return w
	}
	changed := w.settings(t)
	change(w, changed)
	w.serve(t, changed.text(t))
	return w
}

// settings is the example, to be changed.
func (w *world) settings(t *testing.T) settings {
	t.Helper()
	var file settings
	if err := yaml.Unmarshal([]byte(w.example(t)), &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// gather starts the foreign programs and chooses addresses for the rest.
func gather(t *testing.T, providerEnv map[string]string) *world {
	t.Helper()
	w := &world{public: freeAddr(t), management: freeAddr(t), shop: freeAddr(t)}
	callbacks := fmt.Sprintf("http://%[1]s/callback/corp https://%[1]s/callback/corp http://%[1]s/callback/partner http://%[1]s/t/acme/callback/corp-of-acme", w.public)
	w.provider = startNode(t, "provider.mjs", with(map[string]string{"REDIRECT_URIS": callbacks, "CONSENT": "skip"}, providerEnv))
	w.hook = startNode(t, "hook.mjs", nil)
	w.sink = startNode(t, "sink.mjs", nil)
	w.mails = startNode(t, "smtp.mjs", nil)
	return w
}

// example is the configuration that this repository hands out, with this world's addresses. Signing out leaves the
// provider's own session alone: what follows it there has tests of its own. Everybody here comes from one address, so
// there are no limits.
func (w *world) example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../config/examples/gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	relay, _ := w.mails.ready["smtp"].(string)
	return strings.NewReplacer(
		"    # end_session: leave ", "    end_session: leave ",
		"127.0.0.1:8080", w.public, "127.0.0.1:8081", w.management, "127.0.0.1:9100", w.shop, "127.0.0.1:1025", relay,
		"http://127.0.0.1:9000", w.provider.url, "http://127.0.0.1:9200", w.hook.url, "http://127.0.0.1:9300", w.sink.url,
	).Replace(string(text)) + "\nlimits: off\n"
}

func (w *world) serve(t *testing.T, configYAML string) {
	t.Helper()
	w.bridge = startDrawbridge(t, configYAML, worldEnv())
}

func worldEnv() map[string]string {
	return map[string]string{"PLATFORM_PASSWORD": platformPassword, "CORP_SECRET": "secret", "SHOP_SECRET": shopSecret}
}

func (s settings) text(t *testing.T) string {
	t.Helper()
	text, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// clientOf is a client at an address, with the keys of `more` on top.
func clientOf(id, at string, more map[string]any) map[string]any {
	client := map[string]any{
		"client_id": id, "redirect_uris": []string{"http://" + at + "/callback"}, "post_logout_redirect_uris": []string{"http://" + at + "/signed-out"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "consent": "skip", "claims": map[string]any{"hook": "enrich"},
	}
	if more["token_endpoint_auth_method"] != "none" {
		client["client_secret"] = id + "-secret-of-the-tests"
	}
	maps.Copy(client, more)
	return client
}

// party starts openid-client as a client of Drawbridge's.
func (w *world) party(t *testing.T, id, at string, env map[string]string) *program {
	t.Helper()
	return startNode(t, "rp-openid-client.mjs", with(map[string]string{
		"PORT": portOf(t, at), "ISSUER": w.bridge.publicURL, "CLIENT_ID": id, "CLIENT_SECRET": id + "-secret-of-the-tests",
	}, env))
}

// signIn walks a new visitor through a sign-in at a relying party and returns what it then knows.
func signIn(t *testing.T, party *program, login string) (*visitor, signedIn) {
	t.Helper()
	who := newVisitor(t)
	var got signedIn
	who.walk(t, party.url+"/", party.url+"/callback", map[string]string{"login": login}).decode(t, http.StatusOK, &got)
	return who, got
}

// ending is what the example's session webhook says, and the name of the delivery.
type ending struct {
	Event   string `json:"event"`
	User    string `json:"user"`
	Session string `json:"session"`

	id string
	at time.Time
}

// endings are the session webhooks that have arrived, in order.
func (w *world) endings(t *testing.T) []ending {
	t.Helper()
	var taken []delivery
	callJSON(t, http.MethodGet, w.sink.url+"/deliveries", nil, &taken)
	all := make([]ending, 0, len(taken))
	for _, d := range taken {
		e := ending{id: d.Headers["webhook-id"], at: d.At}
		if err := json.Unmarshal([]byte(d.Body), &e); err != nil || d.Path != "/sink" || e.id == "" {
			t.Fatalf("not a session webhook of the example (%v): %+v", err, d)
		}
		all = append(all, e)
	}
	return all
}

// awaitEnding returns the first webhook about a session, however long it takes within patience.
func (w *world) awaitEnding(t *testing.T, sid string) ending {
	t.Helper()
	var found ending
	eventually(t, "a webhook about session "+sid, func() bool {
		for _, e := range w.endings(t) {
			if e.Session == sid {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// eventually returns when `is` does, and fails the test when patience ends first.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	await(t, patience, what, is)
}

func await(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

// sessionCookie is the cookie of the visitor's session at the default tenant, nil where there is none.
func (w *world) sessionCookie(t *testing.T, v *visitor) *http.Cookie {
	t.Helper()
	at, err := url.Parse(w.bridge.publicURL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range v.client.Jar.Cookies(at) {
		if strings.TrimPrefix(c.Name, "__Host-") == "drawbridge-default" {
			return c
		}
	}
	return nil
}
