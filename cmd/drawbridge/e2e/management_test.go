//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// caller uses the management API with one credential.
type caller struct {
	client *http.Client
	base   string
	// authorization is the header's value, absent where empty.
	authorization string
}

// platform is the caller that the example configuration knows.
func (w *world) platform() caller {
	return basicCaller(w.bridge, "platform", platformPassword)
}

func basicCaller(d *drawbridge, username, password string) caller {
	request := &http.Request{Header: http.Header{}}
	request.SetBasicAuth(username, password)
	return caller{client: d.client, base: d.managementURL, authorization: request.Header.Get("Authorization")}
}

func bearerCaller(d *drawbridge, token string) caller {
	return caller{client: d.client, base: d.managementURL, authorization: "Bearer " + token}
}

// call sends body as JSON where there is one.
func (c caller) call(t *testing.T, method, path string, body any) webpage {
	t.Helper()
	var text string
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(encoded)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, c.base+path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if c.authorization != "" {
		request.Header.Set("Authorization", c.authorization)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := fetch(c.client, request)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// expect calls and holds the answer to a status and, where it is not empty, to a problem's type.
func (c caller) expect(t *testing.T, method, path string, body any, status int, problem string) webpage {
	t.Helper()
	answer := c.call(t, method, path, body)
	if answer.status != status {
		t.Errorf("%s %s answers %d, want %d: %s", method, path, answer.status, status, answer.body)
		return answer
	}
	if problem == "" {
		return answer
	}
	var told struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal([]byte(answer.body), &told); err != nil || told.Type != "urn:bridge:error:"+problem {
		t.Errorf("%s %s answers %s (%v), want the problem %s", method, path, answer.body, err, problem)
	}
	return answer
}

// user is the answer of the Users contract.
type user struct {
	Tenant        string `json:"tenant"`
	ID            string `json:"id"`
	Customer      string `json:"customer"`
	Email         string `json:"email"`
	CreateTime    string `json:"create_time"`
	UpdateTime    string `json:"update_time"`
	LoginsCount   string `json:"logins_count"`
	LoginTime     string `json:"login_time"`
	EmailVerified bool   `json:"email_verified"`
	Blocked       bool   `json:"blocked"`
}

// sessionView is a session as the management API shows it.
type sessionView struct {
	ID       string   `json:"id"`
	Person   string   `json:"person"`
	Webhooks []string `json:"webhooks"`
	Clients  []struct {
		Client string `json:"client"`
	} `json:"clients"`
	Logins []struct {
		Upstream string `json:"upstream"`
		Subject  string `json:"subject"`
	} `json:"logins"`
	DeadlineCause string `json:"deadline_cause"`
}
