//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestThePlatformAsksForAUser(t *testing.T) {
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) { file["clients"] = []any{clientOf("plain", at, nil)} })
	party, platform := w.party(t, "plain", at, nil), w.platform()
	_, got := signIn(t, party, "alice")
	signIn(t, party, "alice")
	id, _ := got.Claims["sub"].(string)

	var byID user
	platform.call(t, http.MethodGet, "/v1/tenants/default/users/"+id, nil).decode(t, http.StatusOK, &byID)
	want := user{
		Tenant: "default", ID: id, Customer: "C-1001", Email: "alice@corp.example", LoginsCount: "2", EmailVerified: true,
		CreateTime: byID.CreateTime, UpdateTime: byID.UpdateTime, LoginTime: byID.LoginTime,
	}
	if byID != want {
		t.Errorf("got  %+v\nwant %+v", byID, want)
	}
	for name, text := range map[string]string{"create_time": byID.CreateTime, "update_time": byID.UpdateTime, "login_time": byID.LoginTime} {
		if at, err := time.Parse(time.RFC3339Nano, text); err != nil || at.Location() != time.UTC {
			t.Errorf("%s is %q, want a time in UTC", name, text)
		}
	}
	for _, ask := range []struct {
		name, method, path string
		body               any
	}{
		{"by e-mail", http.MethodGet, "/v1/tenants/default/users?email=" + url.QueryEscape("alice@corp.example"), nil},
		{"by customer", http.MethodGet, "/v1/tenants/default/users?customer=C-1001", nil},
		{"by the upstream's name for her", http.MethodGet, "/v1/tenants/default/users/" + url.PathEscape("corp|u-1001"), nil},
		{"without the tenant", http.MethodGet, "/v1/users/" + id, nil},
		{"by e-mail, in a body", http.MethodPost, "/v1/tenants/default/users/lookup", map[string]string{"email": "alice@corp.example"}},
		{"by customer, in a body", http.MethodPost, "/v1/users/lookup", map[string]string{"customer": "C-1001"}},
	} {
		t.Run(ask.name, func(t *testing.T) {
			answer := platform.call(t, ask.method, ask.path, ask.body)
			var again user
			answer.decode(t, http.StatusOK, &again)
			if again != byID {
				t.Errorf("got  %+v\nwant %+v", again, byID)
			}
			if answer.header.Get("Cache-Control") != "no-store" || answer.header.Get("Pragma") != "no-cache" {
				t.Errorf("the answer may be kept: %v", answer.header)
			}
		})
	}
	platform.expect(t, http.MethodGet, "/v1/users?customer=C-9999", nil, http.StatusNotFound, "user_not_found")
}

func TestADeletedUserIsGoneAndMayComeAgain(t *testing.T) {
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) { file["clients"] = []any{clientOf("plain", at, nil)} })
	party, platform := w.party(t, "plain", at, nil), w.platform()
	alice, got := signIn(t, party, "alice")
	_, bobs := signIn(t, party, "bob")
	id, _ := got.Claims["sub"].(string)
	sid, _ := got.Claims["sid"].(string)

	platform.expect(t, http.MethodDelete, "/v1/users/"+id, nil, http.StatusNoContent, "")
	platform.expect(t, http.MethodDelete, "/v1/users/"+id, nil, http.StatusNotFound, "user_not_found")
	platform.expect(t, http.MethodGet, "/v1/users/"+id, nil, http.StatusNotFound, "user_not_found")
	if told := w.awaitEnding(t, sid); told.Event != "DESTROY" || told.User != id {
		t.Errorf("the webhook says %+v, want DESTROY of %s", told, id)
	}
	var refused refusal
	alice.get(t, party.url+"/?prompt=none").decode(t, http.StatusBadRequest, &refused)
	if refused.Error != "login_required" {
		t.Errorf("prompt=none after the deletion gave %+v", refused)
	}
	w.userinfo(t, got.Tokens.AccessToken, http.StatusUnauthorized)
	w.userinfo(t, bobs.Tokens.AccessToken, http.StatusOK)

	_, again := signIn(t, party, "alice")
	if again.Claims["sub"] == id {
		t.Errorf("signed in again as %s, whom the platform had deleted", id)
	}
}

// userinfo asks for it and holds the answer to a status.
func (w *world) userinfo(t *testing.T, token string, want int) webpage {
	t.Helper()
	c := bearerCaller(w.bridge, token)
	c.base = w.bridge.publicURL
	return c.expect(t, http.MethodGet, "/userinfo", nil, want, "")
}

func TestAnAddressIsConfirmedByMail(t *testing.T) {
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) { file["clients"] = []any{clientOf("plain", at, nil)} })
	party, platform := w.party(t, "plain", at, nil), w.platform()
	_, got := signIn(t, party, "bob")
	path := "/v1/users/" + got.Claims["sub"].(string)
	verified := func() bool {
		var now user
		platform.call(t, http.MethodGet, path, nil).decode(t, http.StatusOK, &now)
		return now.EmailVerified
	}
	if verified() {
		t.Fatal("an address is verified that the provider says is not")
	}
	platform.expect(t, http.MethodPost, path+"/verification-email", nil, http.StatusAccepted, "")
	first := w.awaitMail(t, 1)
	platform.expect(t, http.MethodPost, path+"/verification-email", nil, http.StatusAccepted, "")
	second := w.awaitMail(t, 2)
	if first.Envelope.From != "no-reply@example.org" || len(first.Envelope.To) != 1 || first.Envelope.To[0] != "bob@corp.example" {
		t.Errorf("mailed %+v", first)
	}
	who := newVisitor(t)
	if page := who.get(t, first.Links[0]); page.status != http.StatusGone {
		t.Errorf("a link that a newer mail replaced answers %d: %s", page.status, page.body)
	}
	who.get(t, second.Links[0]) // mail scanners and previews fetch links: that must spend nothing
	page := who.get(t, second.Links[0])
	if page.status != http.StatusOK || verified() {
		t.Fatalf("after opening the link: status %d, verified %v", page.status, verified())
	}
	if page = who.submit(t, page, nil); page.status != http.StatusOK || !verified() {
		t.Errorf("after pressing the button: status %d, verified %v: %s", page.status, verified(), page.body)
	}
	if page = who.get(t, second.Links[0]); page.status != http.StatusGone {
		t.Errorf("the spent link answers %d", page.status)
	}
	platform.expect(t, http.MethodPost, path+"/verification-email", nil, http.StatusNoContent, "")
	signIn(t, party, "bob")
	if !verified() {
		t.Error("the next sign-in took the mark away")
	}
}

func TestAPasswordIsSetAtTheUpstream(t *testing.T) {
	const page = "https://login.corp.example/reset"
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) {
		file["clients"] = []any{clientOf("plain", at, nil)}
		upstream, _ := file["upstreams"].([]any)[0].(map[string]any)
		upstream["password_reset_url"] = page
	})
	signIn(t, w.party(t, "plain", at, nil), "alice")
	platform := w.platform()
	known := platform.expect(t, http.MethodPost, "/v1/password-reset-emails", map[string]string{"email": "alice@corp.example"}, http.StatusAccepted, "")
	unknown := platform.expect(t, http.MethodPost, "/v1/password-reset-emails", map[string]string{"email": "nobody@corp.example"}, http.StatusAccepted, "")
	if known.body != unknown.body || len(known.header) != len(unknown.header) {
		t.Errorf("the answers differ:\n%v %s\n%v %s", known.header, known.body, unknown.header, unknown.body)
	}
	got := w.awaitMail(t, 1)
	if got.Envelope.To[0] != "alice@corp.example" || len(got.Links) != 1 || !strings.HasPrefix(got.Links[0], page) {
		t.Errorf("mailed %+v", got)
	}
	var can struct {
		Operations map[string]string `json:"operations"`
	}
	platform.call(t, http.MethodGet, "/v1/capabilities", nil).decode(t, http.StatusOK, &can)
	if can.Operations["send_password_reset_email"] == "none" || can.Operations["get_by_id"] != "native" {
		t.Errorf("capabilities %v", can.Operations)
	}
}

func TestNobodySetsPasswordsWithoutAPageForIt(t *testing.T) {
	w := startWorld(t, nil)
	w.platform().expect(t, http.MethodPost, "/v1/password-reset-emails", map[string]string{"email": "alice@corp.example"}, http.StatusNotImplemented, "not_supported")
}

// awaitMail returns the mail of that number, counted from 1.
func (w *world) awaitMail(t *testing.T, number int) mail {
	t.Helper()
	var caught []mail
	eventually(t, "a mail", func() bool {
		callJSON(t, http.MethodGet, w.mails.url+"/mails", nil, &caught)
		return len(caught) >= number
	})
	if len(caught[number-1].Links) == 0 {
		t.Fatalf("a mail without a link: %+v", caught[number-1])
	}
	return caught[number-1]
}
