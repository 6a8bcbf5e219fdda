package hook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/claims/hook"
)

// received is one request as the service got it.
type received struct {
	method, path, body string
	header             http.Header
}

// record answers 204 and tells what came in.
func record(t *testing.T) (string, <-chan received) {
	got := make(chan received, 8)
	s := service(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- received{r.Method, r.URL.Path, string(body), r.Header}
		w.WriteHeader(http.StatusNoContent)
	})
	return s.URL + "/v1/customize-token", got
}

func TestRequest(t *testing.T) {
	url, got := record(t)
	h := build(t, options(url))
	for name, tc := range map[string]struct {
		change func(*claims.Input)
		have   string
		want   string
	}{
		"all of it": {
			func(in *claims.Input) {
				in.Context = map[string][]string{"on_behalf_of": {"u-2", "u-3"}, "on_behalf_of_type": {"person"}}
			},
			`{"sub":"u-1","aud":["shop"],"id":9007199254740993,"name":"Zoë","o":{"b":1,"a":[1.50]}}`,
			`{"user":{"id":"u-1"},"scopes":["openid","profile"],"claims":{"aud":["shop"],"id":9007199254740993,"name":"Zoë","o":{"a":[1.50],"b":1},"sub":"u-1"},"contextCustomParams":{"on_behalf_of":["u-2","u-3"],"on_behalf_of_type":["person"]}}`,
		},
		"least": {
			func(in *claims.Input) { in.Context = map[string][]string{}; in.Scopes = []string{"openid"} },
			`{}`,
			`{"user":{"id":"u-1"},"scopes":["openid"],"claims":{},"contextCustomParams":null}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := input()
			tc.change(&in)
			if _, err := h.Apply(t.Context(), in, set(t, tc.have)); err != nil {
				t.Fatal(err)
			}
			r := <-got
			if r.method != "POST" || r.path != "/v1/customize-token" || r.body != tc.want {
				t.Errorf("%s %s %s", r.method, r.path, r.body)
			}
			for name, want := range map[string]string{
				"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Drawbridge",
				"Authorization": "", "Webhook-Signature": "", "Drawbridge-Mode": "", "Cookie": "",
			} {
				if got := r.header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestModeIsTold(t *testing.T) {
	url, got := record(t)
	in := input()
	in.Mode = "preview"
	if _, err := build(t, options(url)).Apply(t.Context(), in, nil); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r.header.Get("Drawbridge-Mode") != "preview" || strings.Contains(r.body, "preview") {
		t.Errorf("%v %s", r.header, r.body)
	}
}

func TestAuth(t *testing.T) {
	url, got := record(t)
	o := options(url)
	o.Auth = hook.Basic("drawbridge", "s3cret")
	if _, err := build(t, o).Apply(t.Context(), input(), nil); err != nil {
		t.Fatal(err)
	}
	r := <-got
	if user, password, ok := (&http.Request{Header: r.header}).BasicAuth(); !ok || user != "drawbridge" || password != "s3cret" {
		t.Errorf("basic: %q", r.header.Get("Authorization"))
	}

	o.Auth = hook.Bearer(func(context.Context) (string, error) { return "t0ken", nil })
	if _, err := build(t, o).Apply(t.Context(), input(), nil); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r.header.Get("Authorization") != "Bearer t0ken" {
		t.Errorf("bearer: %q", r.header.Get("Authorization"))
	}

	broken := errors.New("no key")
	o.Auth = hook.Bearer(func(context.Context) (string, error) { return "", broken })
	var heard observed
	o.Observe = heard.hear
	_, err := build(t, o).Apply(t.Context(), input(), nil)
	if outcome(t, err) != hook.Unauthorized || !errors.Is(err, broken) || strings.Contains(err.Error(), "no key") {
		t.Errorf("no token: %v", err)
	}
	if len(got) != 0 {
		t.Error("a request without credentials was sent")
	}
}

// The signature is that of Standard Webhooks, made with each secret.
func TestSignature(t *testing.T) {
	url, got := record(t)
	o := options(url)
	at := time.Unix(1_700_000_000, 5)
	o.Now = func() time.Time { return at }
	key := []byte("0123456789abcdef0123456789abcdef")
	o.SigningSecrets = []hook.Secret{hook.Secret("whsec_" + base64.StdEncoding.EncodeToString(key)), "plain"}
	if _, err := build(t, o).Apply(t.Context(), input(), set(t, `{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	r := <-got
	if r.header.Get("webhook-timestamp") != "1700000000" || len(r.header.Get("webhook-id")) < 20 {
		t.Errorf("%v", r.header)
	}
	content := r.header.Get("webhook-id") + ".1700000000." + r.body
	var want []string
	for _, k := range [][]byte{key, []byte("plain")} {
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(content))
		want = append(want, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if r.header.Get("webhook-signature") != strings.Join(want, " ") {
		t.Errorf("signature %q, want %q", r.header.Get("webhook-signature"), want)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	secret := hook.Secret("s3cret")
	text, err := secret.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprintf("%v %s %#v %q %s %v", secret, secret, secret, secret, text, secret.LogValue())
	if strings.Contains(out, "s3cret") {
		t.Error(out)
	}
}
