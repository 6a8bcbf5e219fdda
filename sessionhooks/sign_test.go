package sessionhooks_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

func signingKey(t *testing.T, secret string) sessionhooks.SigningKey {
	t.Helper()
	key, err := sessionhooks.ParseSigningSecret(sessionhooks.NewSecret(secret))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func whsec(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", n)))
}

// The vector is the one that implementations of Standard Webhooks share.
func TestSignIsStandardWebhooks(t *testing.T) {
	h := http.Header{}
	key := signingKey(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	sessionhooks.Sign(h, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 999), []byte(`{"test": 2432232314}`), key)
	for name, want := range map[string]string{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestSignWithSeveralKeysAndWithNone(t *testing.T) {
	old, young := signingKey(t, whsec(24)), signingKey(t, whsec(64))
	signature := func(keys ...sessionhooks.SigningKey) string {
		h := http.Header{"Webhook-Signature": {"v1,left over"}}
		sessionhooks.Sign(h, "id", time.Unix(1, 0), nil, keys...)
		return h.Get("webhook-signature")
	}
	if got, want := signature(young, old), signature(young)+" "+signature(old); got != want || signature(young) == signature(old) {
		t.Errorf("two keys sign %q, want %q", got, want)
	}
	if got := signature(); got != "" {
		t.Errorf("no key signs %q", got)
	}
}

func TestSigningSecretsThatAreNone(t *testing.T) {
	for _, secret := range []string{"", "whsec_", "whsec_%%%", whsec(23), whsec(65), strings.TrimPrefix(whsec(32), "whsec_"), "WHSEC_" + whsec(32)[6:]} {
		_, err := sessionhooks.ParseSigningSecret(sessionhooks.NewSecret(secret))
		if err == nil {
			t.Errorf("%q is taken", secret)
			continue
		}
		if body := strings.TrimPrefix(secret, "whsec_"); body != "" && strings.Contains(err.Error(), body) {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
}

func TestSigningKeysDoNotPrint(t *testing.T) {
	key := signingKey(t, whsec(32))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if got := fmt.Sprintf(verb, key); strings.Contains(got, "kkkk") || strings.Contains(got, "6b6b") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

// The vector is that of the events API whose receivers we serve.
func TestSignIRM(t *testing.T) {
	h := http.Header{}
	sessionhooks.SignIRM(h, []byte("messageBody"), sessionhooks.NewSecret("apikey"))
	if got := h.Get("X-IRM-Signature"); got != "icY0epb8N1ah23LnYTQGGTsci+oMfUCVWW5xl0js3LU=" {
		t.Error(got)
	}
}
