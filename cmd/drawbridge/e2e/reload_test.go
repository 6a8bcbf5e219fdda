//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
)

func TestTheConfigurationIsReadAgain(t *testing.T) {
	t.Parallel() // it waits for the file to be looked at
	at := map[string]string{"plain": freeAddr(t), "second": freeAddr(t), "third": freeAddr(t)}
	var file settings
	w := startWorld(t, func(_ *world, f settings) {
		file = f
		file["clients"] = []any{clientOf("plain", at["plain"], nil)}
	})
	party := w.party(t, "plain", at["plain"], nil)
	alice, before := signIn(t, party, "alice")
	add := func(id string) string {
		file["clients"] = append(file["clients"].([]any), clientOf(id, at[id], nil))
		return file.text(t)
	}

	t.Run("on SIGHUP", func(t *testing.T) {
		w.bridge.configure(t, add("second"))
		if err := w.bridge.running.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		w.awaitClient(t, "second", at["second"])
		signIn(t, w.party(t, "second", at["second"], nil), "bob")
	})
	t.Run("when the file changes", func(t *testing.T) {
		w.bridge.configure(t, add("third"))
		w.awaitClient(t, "third", at["third"])
		signIn(t, w.party(t, "third", at["third"], nil), "bob")
	})
	t.Run("but not a bad one", func(t *testing.T) {
		w.bridge.configure(t, "clientz: []\n"+strings.Replace(file.text(t), "idle_timeout: 30m", "idle_timeout: soon", 1))
		if err := w.bridge.running.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		log := w.bridge.running.output
		eventually(t, "a refusal in the log", func() bool { return strings.Contains(log.String(), "the configuration was not reloaded") })
		for _, want := range []string{
			fmt.Sprintf("%s:1:1: clientz: unknown key; did you mean clients?", w.bridge.configFile),
			": session.idle_timeout: ",
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not say %q", want)
			}
		}
		w.awaitClient(t, "third", at["third"])
		signIn(t, party, "bob")
	})
	var after signedIn
	alice.get(t, party.url+"/?prompt=none").decode(t, http.StatusOK, &after)
	if after.Claims["sid"] != before.Claims["sid"] {
		t.Errorf("the session is %v after three reloads, was %v", after.Claims["sid"], before.Claims["sid"])
	}
	if told := w.endings(t); len(told) != 0 {
		t.Errorf("sessions ended: %+v", told)
	}
}

// awaitClient waits until the client is known: its authorization request then answers at its own address.
func (w *world) awaitClient(t *testing.T, id, at string) {
	t.Helper()
	query := url.Values{"client_id": {id}, "redirect_uri": {"http://" + at + "/callback"}, "response_type": {"code"}, "scope": {"openid"}, "prompt": {"none"}}
	stay := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	eventually(t, "the client "+id, func() bool {
		answer, err := stay.Get(w.bridge.publicURL + "/authorize?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return strings.HasPrefix(answer.Header.Get("Location"), "http://"+at+"/callback?error=login_required")
	})
}
