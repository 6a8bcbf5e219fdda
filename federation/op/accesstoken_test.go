package op_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
)

const (
	api   = "https://api.example/v1"
	files = "urn:example:files"
)

// formats has shop and spa get JWTs, post opaque tokens, and all of them name
// resources. ask serves one of them, partners all of the tenant's, aged none.
func formats(s *setup) {
	s.change = func(c *federation.Client) {
		switch c.ID {
		case "shop", "spa":
			c.Tokens = federation.ClientTokens{JWT: true, Alg: federation.RS256, Resources: []string{api, files}}
		case "wide":
			c.Tokens = federation.ClientTokens{JWT: true, Alg: federation.ES256}
		case "post":
			c.Tokens = federation.ClientTokens{Resources: []string{api, files}}
		case "ask":
			c.Tokens.Serves = []string{api}
		case "partners":
			c.Tokens.IntrospectsAny = true
		}
	}
}

// read verifies a JWT access token as a resource server does: with the published
// keys and the type (RFC 9068 §4).
func (p *party) read(access string) map[string]any {
	p.t.Helper()
	var set jose.JSONWebKeySet
	must(p.t, json.Unmarshal([]byte(p.send(http.MethodGet, "/jwks", "").page), &set))
	jws, err := jose.ParseSignedCompact(access, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(p.client.Tokens.Alg)})
	must(p.t, err)
	head := jws.Signatures[0].Protected
	if head.ExtraHeaders[jose.HeaderType] != "at+jwt" {
		p.t.Errorf("typ is %v", head.ExtraHeaders[jose.HeaderType])
	}
	payload, err := jws.Verify(set.Key(head.KeyID)[0])
	must(p.t, err)
	return object(p.t, string(payload))
}

func TestJWTAccessTokens(t *testing.T) {
	for name, more := range map[string]func(*setup){"": func(*setup) {}, "spread": spread} {
		t.Run(name, func(t *testing.T) {
			h := open(t, formats, more)
			for _, tenant := range []string{"default", "acme"} {
				for _, id := range []string{"shop", "spa", "wide"} {
					p := h.party(tenant, id)
					b := h.browser()
					got := p.signIn(b)
					said, idToken := p.read(got.Access), p.claims(got.ID)
					for name, want := range map[string]any{"iss": h.issuer(tenant), "sub": idToken["sub"], "aud": h.issuer(tenant), "client_id": id,
						"scope": "openid email profile", "sid": idToken["sid"], "auth_time": idToken["auth_time"]} {
						if said[name] != want {
							t.Errorf("%s is %v, not %v", name, said[name], want)
						}
					}
					life, _ := said["exp"].(float64)
					from, _ := said["iat"].(float64)
					if life-from != 600 || got.Expires != 600 || said["jti"] == "" || said["nonce"] != nil || said["email"] != nil || said["at_hash"] != nil {
						t.Errorf("%v", said)
					}
					if p.userinfo(got.Access)["sub"] != said["sub"] {
						t.Error("userinfo is about another one")
					}
					if hash, _ := idToken["at_hash"].(string); hash == "" {
						t.Error("no at_hash")
					}
					next := p.refresh(got.Refresh)
					again := p.read(next.Access)
					if again["jti"] == said["jti"] || again["sub"] != said["sub"] || !p.live(next.Access) || !p.live(got.Access) {
						t.Errorf("after a refresh: %v", again)
					}
					if answer := revoke(p, got.Access); answer.status != 200 || p.live(got.Access) || !p.live(next.Access) {
						t.Errorf("revoked: %d", answer.status)
					}
					b.get(p.bye("id_token_hint", got.ID))
					if p.live(next.Access) {
						t.Error("it outlives its session")
					}
				}
			}
		})
	}
}

// A JWT access token expires, ends with its family, and offline ones do not end
// with the session.
func TestJWTAccessTokensEnd(t *testing.T) {
	h := open(t, formats)
	p := h.party("default", "shop")
	one, two := p.signIn(h.browser()), p.signIn(h.browser())
	if revoke(p, one.Refresh).status != 200 || p.live(one.Access) {
		t.Error("it outlives its family")
	}
	if got := revoke(h.party("default", "post"), two.Access); got.Error != "invalid_grant" || !p.live(two.Access) {
		t.Errorf("another client's is revoked: %+v", got)
	}
	b := h.browser()
	offline := p.signIn(b, "scope", "openid offline_access", "prompt", "-")
	if said := p.read(offline.Access); said["sid"] != nil {
		t.Errorf("sid %v", said["sid"])
	}
	b.get(p.bye("id_token_hint", offline.ID))
	if !p.live(offline.Access) {
		t.Error("an offline token ends with the session")
	}
	h.clock.advance(11 * time.Minute)
	if p.live(two.Access) || p.live(offline.Access) {
		t.Error("they do not expire")
	}
}

// What is no JWT access token of ours is none, however much it looks like one.
func TestForgedJWTAccessTokens(t *testing.T) {
	h := open(t, formats)
	p, other, opaque := h.party("default", "shop"), h.party("acme", "shop"), h.party("default", "post")
	got, plain := p.signIn(h.browser()), opaque.signIn(h.browser())
	theirs := other.signIn(h.browser())
	jti, _ := p.read(got.Access)["jti"].(string)
	sid, _ := p.claims(got.ID)["sid"].(string)
	part := strings.Split(got.Access, ".")
	b64 := base64.RawURLEncoding
	payload, err := b64.DecodeString(part[1])
	must(t, err)
	sealedAs := func(tenant, typ string, edit ...string) string {
		text, err := h.keys.Sign(t.Context(), h.tenant(tenant), federation.RS256, typ, json.RawMessage(strings.NewReplacer(edit...).Replace(string(payload))))
		must(t, err)
		return text
	}
	if !p.live(sealedAs("default", "at+jwt")) {
		t.Fatal("the forger cannot even make the good one")
	}
	for name, forged := range map[string]string{
		"its jti as a handle": jti, "its jti and sid": jti + "." + sid, "the ID token": got.ID, "no signature": part[0] + "." + part[1] + ".",
		"alg none":           b64.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + part[1] + ".",
		"another payload":    part[0] + "." + b64.EncodeToString([]byte(strings.Replace(string(payload), "email", "phone", 1))) + "." + part[2],
		"typ JWT":            sealedAs("default", "JWT"),
		"typ of a hook's":    sealedAs("default", "hook+jwt"),
		"no typ":             sealedAs("default", ""),
		"another tenant's":   sealedAs("acme", "at+jwt"),
		"theirs by name":     sealedAs("default", "at+jwt", "default.0.", "acme.0."),
		"unknown":            sealedAs("default", "at+jwt", `"jti":"`+jti, `"jti":"`+jti[:len(jti)-3]+"AAA"),
		"a name beyond":      sealedAs("default", "at+jwt", "default.0.", "default.65535."),
		"another sid":        sealedAs("default", "at+jwt", sid, "A"+sid[1:]),
		"no sid":             sealedAs("default", "at+jwt", `"sid"`, `"was"`),
		"a list as jti":      sealedAs("default", "at+jwt", `"jti":"`+jti+`"`, `"jti":["`+jti+`"]`),
		"the other tenant's": theirs.Access,
		"opaque, by name":    sealedAs("default", "at+jwt", jti, handleName(t, plain.Access)),
		"cut":                got.Access[:len(got.Access)-2], "twice": got.Access + "." + got.Access, "long": "eyJ" + strings.Repeat("A", 12_000),
	} {
		h.unchanged(name, func() {
			if p.live(forged) {
				t.Errorf("%s is good", name)
			}
			if answer := introspect(opaque, forged); answer["active"] != false || len(answer) != 1 {
				t.Errorf("%s: %v", name, answer)
			}
			if answer := revoke(p, forged); answer.status != 200 {
				t.Errorf("%s: %+v", name, answer)
			}
		})
	}
	if !p.live(got.Access) {
		t.Error("the good one is gone")
	}
	p.refused(h.browser().get(p.ask("prompt", "none", "id_token_hint", got.Access)), federation.InvalidRequest)
}

// handleName is what a JWT would call the record of an opaque token.
func handleName(t *testing.T, access string) string {
	t.Helper()
	text := access
	if strings.Count(text, ".") == 3 {
		text = text[:strings.LastIndexByte(text, '.')]
	}
	handle, ok := federation.ParseHandle(text)
	if !ok {
		t.Fatalf("%q is no handle", access)
	}
	return handle.Place.Tenant + ".0." + handle.ID()
}

// Beyond the standard a JWT access token has what the client's mapping lists for
// it, and what is minted wins over whatever anybody says.
func TestClaimsOfAccessTokens(t *testing.T) {
	h := open(t, func(s *setup) {
		s.change = func(c *federation.Client) {
			if c.ID == "hooked" {
				c.Tokens = federation.ClientTokens{JWT: true, Alg: federation.RS256}
			}
		}
	})
	h.hooks.says(200, `{"claims":{"department":"sales","tier":"gold","scope":"admin","client_id":"x","jti":"x","aud":"x","typ":"x","cnf":{"jkt":"x"},"active":false,"token_type":"x"}}`)
	p := h.party("default", "hooked")
	got := p.signIn(h.browser())
	said := p.read(got.Access)
	if said["department"] != "sales" || said["tier"] != nil || said["cnf"] != nil || said["typ"] != nil || said["scope"] != "openid email profile" || said["client_id"] != "hooked" {
		t.Errorf("%v", said)
	}
	asked := introspect(p, got.Access)
	for name, value := range said {
		if got, _ := json.Marshal(asked[name]); string(got) != string(first(json.Marshal(value))) {
			t.Errorf("introspection says %s of %s, the token %v", got, name, value)
		}
	}
	if asked["active"] != true || asked["token_type"] != "Bearer" || len(asked) != len(said)+2 {
		t.Errorf("%v", asked)
	}
}

func first(b []byte, _ error) []byte { return b }

func TestResources(t *testing.T) {
	h := open(t, formats)
	root := h.issuer("default")
	shop, post, wide := h.party("default", "shop"), h.party("default", "post"), h.party("default", "wide")
	for _, p := range []*party{shop, post} {
		aud := func(access string) string {
			t.Helper()
			said := introspect(p, access)
			if p.client.Tokens.JWT {
				if jwt := p.read(access); string(first(json.Marshal(jwt["aud"]))) != string(first(json.Marshal(said["aud"]))) {
					t.Errorf("the token says %v, introspection %v", jwt["aud"], said["aud"])
				}
			}
			if list, ok := said["aud"].([]any); ok {
				all := []string{}
				for _, one := range list {
					text, _ := one.(string)
					all = append(all, text)
				}
				return strings.Join(all, " ")
			}
			text, _ := said["aud"].(string)
			return text
		}
		code := func(resources ...string) string {
			t.Helper()
			q := p.request()
			q["resource"] = resources
			return p.code(h.browser().get(h.tenant("default").URL("/authorize") + "?" + q.Encode()))
		}
		redeem := func(code string, resources ...string) tokens {
			t.Helper()
			return p.token(map[string][]string{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.client.RedirectURIs[0]}, "resource": resources})
		}
		again := func(token string, resources ...string) tokens {
			t.Helper()
			return p.token(map[string][]string{"grant_type": {"refresh_token"}, "refresh_token": {token}, "resource": resources})
		}
		// All that was granted, in the order asked for, each once.
		all := redeem(code(files, api, files))
		if aud(all.Access) != files+" "+api || p.live(all.Access) {
			t.Errorf("aud %q", aud(all.Access))
		}
		// One token for one of them; the refresh token reaches to both all the same.
		one := redeem(code(api, files), api)
		if aud(one.Access) != api || p.live(one.Access) {
			t.Errorf("aud %q", aud(one.Access))
		}
		other := again(one.Refresh, files)
		if aud(other.Access) != files {
			t.Errorf("aud %q", aud(other.Access))
		}
		both := again(other.Refresh)
		if aud(both.Access) != api+" "+files {
			t.Errorf("aud %q", aud(both.Access))
		}
		// What was not granted changes nothing, and the token can be used again.
		c := code(api)
		h.unchanged("a resource that was not granted", func() {
			for _, wrong := range [][]string{{files}, {api, files}, {"https://other.example"}, {root}, {"nothing"}, {api + "#"}, {"", api}} {
				if got := redeem(c, wrong...); got.Error != "invalid_target" || got.status != 400 {
					t.Errorf("%q: %+v", wrong, got)
				}
			}
			if got := again(both.Refresh, "https://other.example"); got.Error != "invalid_target" {
				t.Errorf("%+v", got)
			}
		})
		if got := redeem(c, api, api); got.status != 200 || aud(got.Access) != api || again(both.Refresh).status != 200 {
			t.Errorf("%+v", got)
		}
		// Without any it is the provider; the provider may also be named.
		plain := redeem(code())
		if aud(plain.Access) != root || !p.live(plain.Access) || again(plain.Refresh, api).Error != "invalid_target" || aud(again(plain.Refresh, root).Access) != root {
			t.Errorf("aud %q", aud(plain.Access))
		}
		mixed := redeem(code(root, api))
		if aud(mixed.Access) != root+" "+api || !p.live(mixed.Access) || p.live(again(mixed.Refresh, api).Access) || !p.live(again(mixed.Refresh, root).Access) {
			t.Errorf("aud %q", aud(mixed.Access))
		}
		for name, wrong := range map[string][]string{
			"another": {"https://other.example"}, "one of two": {api, "https://other.example"}, "relative": {"v1"}, "a fragment": {api + "#x"},
			"almost": {api + "/"}, "in capitals": {strings.ToUpper(api)}, "empty and one": {"", api}, "too many": slices.Repeat([]string{api}, 0),
		} {
			if name == "too many" {
				for n := range 11 {
					wrong = append(wrong, "urn:x:"+string(rune('a'+n)))
				}
			}
			q := p.request()
			q["resource"] = wrong
			h.unchanged(name, func() {
				p.refused(h.browser().get(h.tenant("default").URL("/authorize")+"?"+q.Encode()), federation.InvalidTarget)
			})
		}
		if got := redeem(code("")); got.status != 200 || aud(got.Access) != root {
			t.Errorf("an empty resource: %+v", got)
		}
	}
	wide.refused(h.browser().get(wide.ask("resource", api)), federation.InvalidTarget)
	wide.signIn(h.browser(), "resource", root)
}

// What the file takes away counts at the next refresh.
func TestResourcesTakenAway(t *testing.T) {
	s := &setup{}
	formats(s)
	h := open(t, formats)
	p := h.party("default", "post")
	q := p.request()
	q["resource"] = []string{api, files}
	got := p.redeem(p.code(h.browser().get(h.tenant("default").URL("/authorize") + "?" + q.Encode())))
	take := func(left ...string) {
		before := s.change
		again := *s
		again.change = func(c *federation.Client) {
			if before(c); c.ID == "post" {
				c.Tokens.Resources = left
			}
		}
		h.configure(&again)
	}
	take(files)
	next := p.refresh(got.Refresh)
	if said := introspect(p, next.Access); said["aud"] != files {
		t.Errorf("%v", said)
	}
	take()
	if none := p.refresh(next.Refresh); none.Error != "invalid_target" {
		t.Errorf("%+v", none)
	}
	take(api, files)
	if back := p.refresh(next.Refresh); back.status != 200 {
		t.Errorf("%+v", back)
	}
}
