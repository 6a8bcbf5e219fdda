package upstream

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

func pemOf(t *testing.T, kind string, der []byte, err error) federation.Secret {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return federation.Secret(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func made[K any](t *testing.T, key K, err error) K {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return made(t, key, err)
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return made(t, key, err)
}

// TestPrivateKeyJWT signs in, pushes and refreshes with every kind of key, in
// every wrapping, without a secret.
func TestPrivateKeyJWT(t *testing.T) {
	ec, r := ecKey(t), rsaKey(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) federation.Secret {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return pemOf(t, "PRIVATE KEY", der, err)
	}
	secret, err := ec.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	text, jwkErr := jose.JSONWebKey{Key: ec, KeyID: "named", Algorithm: "ES256"}.MarshalJSON()
	if jwkErr != nil {
		t.Fatal(jwkErr)
	}
	for name, c := range map[string]struct {
		text     federation.Secret
		public   crypto.PublicKey
		alg      string
		audience Audience
	}{
		"ES256, PKCS #8":             {pkcs8(ec), ec.Public(), "", ""},
		"ES256, SEC 1":               {pemOf(t, "EC PRIVATE KEY", sec1, err), ec.Public(), "ES256", ""},
		"ES256, JWK":                 {federation.Secret(text), ec.Public(), "", ""},
		"RS256, PKCS #1":             {pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil), r.Public(), "", ""},
		"PS256":                      {pkcs8(r), r.Public(), "PS256", ""},
		"EdDSA, made for the issuer": {pkcs8(ed), ed.Public(), "", ForIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			p := upstreamtest.New(t)
			p.ClientKey, p.ClientAudience = c.public, p.URL+"/token"
			if c.audience == ForIssuer {
				p.ClientAudience = p.URL
			}
			key, err := ParseKey(c.text, "", c.alg, c.audience)
			if err != nil {
				t.Fatal(err)
			}
			if printed := fmt.Sprintf("%v %+v", *key, key); strings.Contains(printed, new(big.Int).SetBytes(secret).String()) {
				t.Error("the key prints")
			}
			p.Set(upstreamtest.Knobs{PAR: "require", Refresh: upstreamtest.Refresh{Give: true, Rotate: true}})
			conn := connect(t, p, func(o *Options) { o.AuthMethod, o.Key, o.ClientSecret = PrivateKeyJWT, key, "" })
			l, err := conn.Exchange(t.Context(), attempt(), walk(t, conn, attempt()))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Recheck(t.Context(), l); err != nil {
				t.Error(err)
			}
			if p.Hits("/par") != 1 || p.Hits("/token") != 2 {
				t.Errorf("%d pushes, %d tokens", p.Hits("/par"), p.Hits("/token"))
			}
		})
	}
}

func TestKeysThatAreNone(t *testing.T) {
	ec := ecKey(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) federation.Secret {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return pemOf(t, "PRIVATE KEY", der, err)
	}
	public, err := jose.JSONWebKey{Key: ec.Public()}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text federation.Secret
		alg  string
	}{
		"empty":         {"", ""},
		"text":          {"secret sauce", ""},
		"broken JWK":    {`{"kty":"EC"}`, ""},
		"public JWK":    {federation.Secret(public), ""},
		"symmetric JWK": {`{"kty":"oct","k":"c2VjcmV0IHNhdWNlIHNlY3JldCBzYXVjZSBzZWNyZXQ"}`, ""},
		"a certificate": {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ""},
		"small RSA":     {pkcs8(small), ""},
		"P-384":         {pkcs8(p384), ""},
		"EC for RS256":  {pkcs8(ec), "RS256"},
		"none":          {pkcs8(ec), "none"},
		"a MAC":         {pkcs8(ec), "HS256"},
	} {
		if _, err := ParseKey(c.text, "", c.alg, ""); err == nil || strings.Contains(err.Error(), "sauce") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Options{ID: "x", Issuer: "https://x.example", ClientID: "x", HTTP: nil, AuthMethod: PrivateKeyJWT}); err == nil {
		t.Error("no key is missed")
	}
}

func TestPushedRequests(t *testing.T) {
	for name, c := range map[string]struct {
		offers string
		asked  PAR
		pushes int
		code   federation.Code
	}{
		"auto, required":            {"require", PARAuto, 1, ""},
		"nothing said, required":    {"require", "", 1, ""},
		"auto, offered":             {"offer", PARAuto, 0, ""},
		"always, offered":           {"offer", PARAlways, 1, ""},
		"always, not there":         {"", PARAlways, 0, federation.ServerError},
		"never, offered":            {"offer", PARNever, 0, ""},
		"auto, required, not there": {"lies", PARAuto, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := upstreamtest.New(t)
			k := upstreamtest.Knobs{PAR: c.offers}
			if c.offers == "lies" {
				k = upstreamtest.Knobs{Meta: map[string]any{"require_pushed_authorization_requests": true}}
			}
			p.Set(k)
			conn := connect(t, p, func(o *Options) { o.PAR, o.Extra = c.asked, map[string]string{"hd": "corp.example"} })
			a := attempt()
			a.LoginHint = "alice@corp.example"
			if _, err := speak(t, conn, a); code(err) != c.code {
				t.Fatal(err)
			}
			if n := p.Hits("/par"); n != c.pushes {
				t.Errorf("%d pushes, want %d", n, c.pushes)
			}
			if c.code == "" && (p.Asked().Get("hd") != "corp.example" || p.Asked().Get("login_hint") != "alice@corp.example") {
				t.Errorf("asked %v", p.Asked())
			}
			if p.Asked().Has("client_secret") {
				t.Error("the secret went with the request")
			}
		})
	}
	p := upstreamtest.New(t)
	p.Set(upstreamtest.Knobs{PAR: "require", Refuse: "pushed"})
	if _, err := connect(t, p, nil).AuthURL(t.Context(), attempt()); code(err) != federation.ServerError {
		t.Errorf("refused: %v", err)
	}
}

// What an operator adds never takes the place of what the protocol sets.
func TestAddedParametersOverrideNothing(t *testing.T) {
	p := upstreamtest.New(t)
	extra := map[string]string{"hd": "corp.example"}
	for _, name := range Reserved() {
		extra[name] = "evil"
	}
	at, err := connect(t, p, func(o *Options) { o.Extra, o.Prompt = extra, []string{"select_account"} }).AuthURL(t.Context(), attempt())
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at)
	if err != nil || strings.Contains(at, "evil") || u.Query().Get("hd") != "corp.example" || u.Query().Get("prompt") != "select_account" {
		t.Errorf("%s", at)
	}
	a := attempt()
	a.Prompt = []string{"login"}
	if at, err = connect(t, p, func(o *Options) { o.Prompt = []string{"select_account"} }).AuthURL(t.Context(), a); err != nil || !strings.Contains(at, "prompt=login&") {
		t.Errorf("the relying party's prompt is not asked for: %s", at)
	}
}

func TestWordsForAssurance(t *testing.T) {
	two := Assurance{ACR: map[string]string{"gold": "urn:x:3", "silver": "urn:x:2", "shiny": "urn:x:3"}, DefaultACR: "bronze", AMR: map[string]string{"sms": "otp", "mail": "otp"}}
	open := two
	open.PassUnknown = true
	for name, c := range map[string]struct {
		s     Assurance
		asked []string
		sent  string
		says  any
		want  string
	}{
		"as it is":                   {Assurance{}, []string{"a", "b"}, "a b", "b", "b"},
		"translated":                 {two, []string{"gold", "silver"}, "urn:x:3 urn:x:2", "urn:x:2", "silver"},
		"the one that was asked for": {two, []string{"shiny"}, "urn:x:3", "urn:x:3", "shiny"},
		"two that mean the same":     {two, []string{"gold", "shiny"}, "urn:x:3", "urn:x:3", "gold"},
		"nobody asked":               {two, nil, "", "urn:x:3", "gold"},
		"unknown is not sent":        {two, []string{"platinum"}, "", "urn:x:2", "silver"},
		"unknown is sent":            {open, []string{"platinum", "gold"}, "platinum urn:x:3", "platinum", "platinum"},
		"unknown is not believed":    {two, nil, "", "urn:x:9", ""},
		"unknown is believed":        {open, nil, "", "urn:x:9", "urn:x:9"},
		"our own word is not":        {open, nil, "", "gold", ""},
		"none is said":               {two, []string{"gold"}, "urn:x:3", nil, "bronze"},
		"what is said is no text":    {two, nil, "", 7, "bronze"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := upstreamtest.New(t)
			k := upstreamtest.Knobs{Claims: map[string]any{"amr": []string{"pwd", "sms", "mail"}}}
			if c.says != nil {
				k.Claims["acr"] = c.says
			}
			p.Set(k)
			a := attempt()
			a.ACRValues = c.asked
			l, err := speak(t, connect(t, p, func(o *Options) { o.Assurance = c.s }), a)
			if err != nil || l.ACR != c.want || p.Asked().Get("acr_values") != c.sent {
				t.Errorf("sent %q, heard %q, %v", p.Asked().Get("acr_values"), l.ACR, err)
			}
			if c.s.AMR != nil && (len(l.AMR) != 2 || l.AMR[1] != "otp") {
				t.Errorf("amr %v", l.AMR)
			}
		})
	}
}

func TestAnEssentialACR(t *testing.T) {
	p := upstreamtest.New(t)
	s := Assurance{ACR: map[string]string{"gold": "urn:x:3", "silver": "urn:x:2"}}
	for name, c := range map[string]struct {
		asked  []string
		says   string
		claims bool
		code   federation.Code
	}{
		"met":            {[]string{"gold"}, "urn:x:3", true, ""},
		"met, no claims": {[]string{"gold"}, "urn:x:3", false, ""},
		"another":        {[]string{"gold"}, "urn:x:2", true, federation.UnmetAuthentication},
		"none":           {[]string{"gold"}, "", true, federation.UnmetAuthentication},
		"unknown here":   {[]string{"platinum"}, "urn:x:3", true, federation.UnmetAuthentication},
	} {
		k := upstreamtest.Knobs{Claims: map[string]any{}, Meta: map[string]any{"claims_parameter_supported": c.claims}}
		if c.says != "" {
			k.Claims["acr"] = c.says
		}
		p.Set(k)
		a := attempt()
		a.ACRValues, a.ACREssential = c.asked, true
		_, err := speak(t, connect(t, p, func(o *Options) { o.Assurance = s }), a)
		if code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if asked := p.Asked().Get("claims"); c.code == "" && (asked == `{"id_token":{"acr":{"essential":true,"values":["urn:x:3"]}}}`) != c.claims {
			t.Errorf("%s: asked for %q", name, asked)
		}
		if d, ok := errors.AsType[*Distrust](err); err != nil && (!ok || d.Check != "acr") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
