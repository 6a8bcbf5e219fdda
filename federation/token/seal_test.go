package token

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
)

func TestVerifyRefuses(t *testing.T) {
	c := newClock()
	k := node(t, openEngine(t, c.now), c.now)
	tenant := tenantOf("acme")
	jwt, kid := mustSign(t, k, federation.RS256)
	es, _ := mustSign(t, k, federation.ES256)
	parts := strings.Split(jwt, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	hs := func() string {
		key := published(t, k)[0]
		body, err := key.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: body, KeyID: kid}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign([]byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		out, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	foreign, err := k.Sign(t.Context(), tenantOf("rival"), federation.RS256, "JWT", nil)
	if err != nil {
		t.Fatal(err)
	}
	hook, err := k.HookToken(tenant, "https://hook.example")(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	logout, err := k.Sign(t.Context(), tenant, federation.RS256, "logout+jwt", nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := k.view(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":              "",
		"not a JWS":          "a.b.c",
		"alg none":           b64([]byte(`{"alg":"none","kid":"`+kid+`"}`)) + "." + parts[1] + ".",
		"HS256 by public":    hs(),
		"no signature":       parts[0] + "." + parts[1] + ".",
		"other payload":      parts[0] + "." + b64([]byte(`{"sub":"eve"}`)) + "." + parts[2],
		"no kid":             b64([]byte(`{"alg":"RS256"}`)) + "." + parts[1] + "." + parts[2],
		"kid of another alg": strings.Split(es, ".")[0] + "." + parts[1] + "." + parts[2],
		"sealing key":        b64([]byte(`{"alg":"RS256","kid":"`+v.working[useSeal].ID+`"}`)) + "." + parts[1] + "." + parts[2],
		"another tenant's":   foreign,
		"hook token":         hook,
		"logout token":       logout,
		"huge":               strings.Repeat("a", maxJWT) + jwt,
		"JSON serialization": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if payload, err := k.Verify(t.Context(), tenant, text); !errors.Is(err, ErrNotOurs) || payload != nil {
				t.Errorf("payload %q, error %v", payload, err)
			}
		})
	}
	if _, err := k.Verify(t.Context(), tenant, jwt, federation.ES256); !errors.Is(err, ErrNotOurs) {
		t.Errorf("an algorithm that was not accepted: %v", err)
	}
	if payload, err := k.Verify(t.Context(), tenant, jwt, federation.RS256); err != nil || string(payload) != `{"sub":"x"}` {
		t.Errorf("payload %q, error %v", payload, err)
	}
}

func TestSeal(t *testing.T) {
	c := newClock()
	k := node(t, openEngine(t, c.now), c.now)
	tenant := tenantOf("acme")
	plain := bytes.Repeat([]byte("state "), 100)
	sealed, err := k.Seal(t.Context(), tenant, "login", plain)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Trim(sealed, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		t.Error("not fit for a cookie and an address")
	}
	if again, _ := k.Seal(t.Context(), tenant, "login", plain); again == sealed {
		t.Error("two seals are the same")
	}
	got, err := k.Open(t.Context(), tenant, "login", sealed)
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("%d bytes, error %v", len(got), err)
	}
	refuse := func(what string, tenant federation.Tenant, purpose, text string) {
		t.Helper()
		if got, err := k.Open(t.Context(), tenant, purpose, text); !errors.Is(err, ErrNotOurs) || got != nil {
			t.Errorf("%s: %d bytes, error %v", what, len(got), err)
		}
	}
	refuse("another purpose", tenant, "logout", sealed)
	refuse("another tenant", tenantOf("rival"), "login", sealed)
	refuse("nothing", tenant, "login", "")
	refuse("a point", tenant, "login", ".")
	refuse("key without box", tenant, "login", strings.Split(sealed, ".")[0]+".")
	refuse("signing key", tenant, "login", published(t, k)[0].KeyID+".AAAA")
	refuse("huge", tenant, "login", sealed+strings.Repeat("A", maxSealed))
	const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	short, err := k.Seal(t.Context(), tenant, "login", []byte("x")) // the last letter has bits to spare
	if err != nil {
		t.Fatal(err)
	}
	for _, letter := range base64url {
		if other := short[:len(short)-1] + string(letter); other != short {
			refuse("other last letter", tenant, "login", other)
		}
	}
	for i := range sealed {
		other := byte('A')
		if sealed[i] == other {
			other = 'B'
		}
		refuse("changed", tenant, "login", sealed[:i]+string(other)+sealed[i+1:])
		refuse("cut", tenant, "login", sealed[:i])
	}
}
