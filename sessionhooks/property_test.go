package sessionhooks_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

func TestProperties(t *testing.T) {
	// The table of the seed, in its order, and the event type.
	const want = "AMCtxId amlbcookie authInstant AuthLevel AuthType CharSet clientType FullLoginURL Host HostName IndexType Locale " +
		"loginURL OidcSid Organization Principal Principals Service successURL sun.am.UniversalIdentifier UserId UserProfile UserToken XUSRef WebhookEventType"
	var got []string
	for _, p := range sessionhooks.Properties() {
		got = append(got, string(p))
		if unsupported := p == "AuthType" || p == "Principals"; p.Supported() == unsupported {
			t.Errorf("%s supported: %t", p, p.Supported())
		}
	}
	if strings.Join(got, " ") != want {
		t.Errorf("properties %q", got)
	}
}

func TestCheckCustomProperty(t *testing.T) {
	for name, good := range map[string]bool{
		"color": true, "_x": true, "a.b-c_1": true, "sun.am.other": true, strings.Repeat("a", 128): true,
		"": false, "1a": false, ".a": false, "-a": false, "a b": false, "a}": false, "ë": false, "a\n": false, strings.Repeat("a", 129): false,
		"UserId": false, "userid": false, "SUN.AM.universalidentifier": false, "WebhookEventType": false, "AuthType": false,
		"Role": false, "role": false, "am.protected.x": false, "AM.Protected.": false, "am.protected": true,
	} {
		if err := sessionhooks.CheckCustomProperty(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestValues(t *testing.T) {
	values := sessionhooks.NewValues(
		map[sessionhooks.Property]string{
			sessionhooks.PropertyUserID: "u", sessionhooks.PropertyLocale: "", sessionhooks.PropertyAuthType: "x", sessionhooks.PropertyPrincipals: "x",
			"invented": "x", "color": "x",
		},
		map[string]string{"color": "red", "shape": "", "UserId": "admin", "XUSRef": "admin", "charset": "admin", "bad name": "x", "am.protected.x": "x"},
	)
	stored, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	var read sessionhooks.Values
	if err := json.Unmarshal(stored, &read); err != nil {
		t.Fatal(err)
	}
	const absent = "(absent)"
	for name, want := range map[string]string{
		"UserId": "u", "Locale": "", "color": "red", "shape": "",
		"CharSet": "UTF-8", "clientType": "genericHTML", "IndexType": "service", "UserProfile": "Required",
		"AuthType": absent, "Principals": absent, "invented": absent, "XUSRef": absent, "charset": absent,
		"bad name": absent, "am.protected.x": absent, "Principal": absent,
	} {
		for _, v := range []sessionhooks.Values{values, read} {
			got, present := v.Lookup(name)
			if !present {
				got = absent
			}
			if got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
}

func TestValuesZero(t *testing.T) {
	var zero sessionhooks.Values
	if _, present := zero.Lookup("UserId"); present {
		t.Error("the zero Values has a value")
	}
	if text, err := json.Marshal(zero); err != nil || string(text) != "{}" {
		t.Errorf("%s %v", text, err)
	}
	for _, bad := range []string{`[]`, `{"a":1}`, `"x"`} {
		if err := json.Unmarshal([]byte(bad), &zero); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
