//go:build e2e

package e2e

import (
	"bytes"
	"net/http"
	"net/smtp"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestHookAnswersInItsModes(t *testing.T) {
	hook := startNode(t, "hook.mjs", nil)
	tests := []struct {
		mode   string
		status int
		want   []string
	}{
		{"add", 200, []string{`"dept": "sales"`, `"enriched": "extra"`}},
		{"forge", 200, []string{`"sub": "forged"`, `"group_permissions"`, `"enriched": "extra"`}},
		{"twins", 200, []string{`"SUB": "forged"`, `"enriched": "extra"`}},
		{"replace", 200, []string{`"enriched": "extra"`}},
		{"204", 204, nil},
		{"403", 403, nil},
		{"500", 500, nil},
		{"garbage", 200, []string{`{"claims": {`}},
	}
	for _, test := range tests {
		t.Run(test.mode, func(t *testing.T) {
			callJSON(t, http.MethodPut, hook.url+"/mode", map[string]any{"mode": test.mode, "claims": map[string]string{"enriched": "extra"}}, nil)
			status, body := customize(t, hook.url)
			if status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			for _, want := range test.want {
				if !strings.Contains(body, want) {
					t.Errorf("%s is not in %s", want, body)
				}
			}
			if test.mode == "replace" && strings.Contains(body, "dept") {
				t.Errorf("replace kept what it was sent: %s", body)
			}
		})
	}
	var seen []struct {
		Path string `json:"path"`
		Mode string `json:"mode"`
		Body struct {
			User struct {
				ID string `json:"id"`
			} `json:"user"`
		} `json:"body"`
	}
	callJSON(t, http.MethodGet, hook.url+"/requests", nil, &seen)
	if len(seen) != len(tests) || seen[0].Path != "/v1/customize-token" || seen[0].Body.User.ID != "p1" || seen[1].Mode != "forge" {
		t.Errorf("recorded %+v", seen)
	}
}

func TestHookIsLateOrGone(t *testing.T) {
	hook := startNode(t, "hook.mjs", nil)
	callJSON(t, http.MethodPut, hook.url+"/mode", map[string]any{"mode": "hangup"}, nil)
	if answer, err := http.Post(hook.url+"/v1/customize-token", "application/json", strings.NewReader(`{"claims":{}}`)); err == nil {
		_ = answer.Body.Close()
		t.Errorf("hangup answers %s", answer.Status)
	}
	callJSON(t, http.MethodPut, hook.url+"/mode", map[string]any{"mode": "slow", "delay_ms": 60_000}, nil)
	hasty := &http.Client{Timeout: 100 * time.Millisecond}
	if answer, err := hasty.Post(hook.url+"/v1/customize-token", "application/json", strings.NewReader(`{"claims":{}}`)); err == nil {
		_ = answer.Body.Close()
		t.Errorf("slow answers %s at once", answer.Status)
	}
}

func customize(t *testing.T, hook string) (status int, body string) {
	t.Helper()
	const asked = `{"user":{"id":"p1"},"scopes":["openid"],"claims":{"dept":"sales"},"contextCustomParams":null}`
	answer, err := http.Post(hook+"/v1/customize-token", "application/json", strings.NewReader(asked))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var read bytes.Buffer
	if _, err := read.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, read.String()
}

// delivery is one request that sink.mjs has taken.
type delivery struct {
	Path     string            `json:"path"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Answered string            `json:"answered"`
	At       time.Time         `json:"at"`
}

func TestSinkRecordsAndMisbehaves(t *testing.T) {
	sink := startNode(t, "sink.mjs", nil)
	callJSON(t, http.MethodPut, sink.url+"/statuses", []string{"503", "hangup"}, nil)
	for _, want := range []int{503, 0, 200} {
		got := 0
		answer, err := http.Post(sink.url+"/sink?a=b", "text/plain", strings.NewReader("as it came: é"))
		if err == nil {
			got = answer.StatusCode
			_ = answer.Body.Close()
		}
		if got != want {
			t.Errorf("answered %d (%v), want %d", got, err, want)
		}
	}
	var taken []delivery
	callJSON(t, http.MethodGet, sink.url+"/deliveries", nil, &taken)
	if len(taken) != 3 {
		t.Fatalf("recorded %d deliveries, want 3: %+v", len(taken), taken)
	}
	if d := taken[1]; d.Path != "/sink?a=b" || d.Body != "as it came: é" || d.Headers["content-type"] != "text/plain" || d.Answered != "hangup" || d.At.IsZero() {
		t.Errorf("recorded %+v", d)
	}
	callJSON(t, http.MethodDelete, sink.url+"/deliveries", nil, nil)
	callJSON(t, http.MethodGet, sink.url+"/deliveries", nil, &taken)
	if len(taken) != 0 {
		t.Errorf("still has %d deliveries", len(taken))
	}
}

// mail is one message that smtp.mjs has taken.
type mail struct {
	Envelope struct {
		From string   `json:"from"`
		To   []string `json:"to"`
	} `json:"envelope"`
	Subject string   `json:"subject"`
	Text    string   `json:"text"`
	HTML    string   `json:"html"`
	Links   []string `json:"links"`
}

func TestMailIsCaught(t *testing.T) {
	catcher := startNode(t, "smtp.mjs", nil)
	const message = "From: Drawbridge <no-reply@example.org>\r\nTo: alice@corp.example\r\nSubject: =?utf-8?q?Best=C3=A4tigung?=\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		"Gr=C3=BC=C3=9Fe: http://127.0.0.1:1/verify?token=3Da-b_c&x=3D1\r\n"
	at, _ := catcher.ready["smtp"].(string)
	if err := smtp.SendMail(at, nil, "bounce@example.org", []string{"alice@corp.example"}, []byte(message)); err != nil {
		t.Fatal(err)
	}
	var mails []mail
	callJSON(t, http.MethodGet, catcher.url+"/mails", nil, &mails)
	if len(mails) != 1 {
		t.Fatalf("caught %d mails, want 1", len(mails))
	}
	got := mails[0]
	if got.Envelope.From != "bounce@example.org" || len(got.Envelope.To) != 1 || got.Subject != "Bestätigung" || !strings.Contains(got.Text, "Grüße") {
		t.Errorf("caught %+v", got)
	}
	if len(got.Links) != 1 || got.Links[0] != "http://127.0.0.1:1/verify?token=a-b_c&x=1" {
		t.Errorf("links %q", got.Links)
	}
}

func hostOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return address
	}
	return parsed.Host
}
