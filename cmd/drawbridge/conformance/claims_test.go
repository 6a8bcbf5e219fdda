package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// standard are the claims that each scope asks for (OpenID Connect Core 1.0 §5.4).
func standard() map[string][]string {
	return map[string][]string{
		"profile": {"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
			"gender", "birthdate", "zoneinfo", "locale", "updated_at"},
		"email": {"email", "email_verified"}, "address": {"address"}, "phone": {"phone_number", "phone_number_verified"},
	}
}

// verify is what a JWT of the program's says.
func (m *module) verify(text, kind string) map[string]any {
	m.Helper()
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		m.Fatal(err)
	}
	header := jws.Signatures[0].Protected
	keys := m.keys.Key(header.KeyID)
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); len(keys) != 1 || !strings.EqualFold(typ, kind) {
		m.Fatalf("%d keys are called %q; typ is %q", len(keys), header.KeyID, typ)
	}
	payload, err := jws.Verify(keys[0])
	if err != nil {
		m.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(payload, &all); err != nil {
		m.Fatal(err)
	}
	return all
}

// idToken checks an ID token against the request that it is for. It is lean: who
// the user is otherwise is for userinfo to say.
func (m *module) idToken(c client, q url.Values, text, access string) map[string]any {
	m.Helper()
	all := m.verify(text, "JWT")
	now := float64(time.Now().Unix())
	exp, _ := all["exp"].(float64)
	iat, _ := all["iat"].(float64)
	sub, _ := all["sub"].(string)
	if all["iss"] != m.issuer || all["aud"] != c.id || exp <= now || iat > now+5 || iat < now-60 || sub == "" || len(sub) > 255 {
		m.Errorf("ID token: %v", all)
	}
	if azp, told := all["azp"]; told && azp != c.id {
		m.Errorf("azp is %v", azp)
	}
	if nonce, told := all["nonce"]; told != q.Has("nonce") || told && nonce != q.Get("nonce") {
		m.Errorf("nonce is %v for %q", nonce, q.Get("nonce"))
	}
	if half, told := all["at_hash"]; told {
		sum := sha256.Sum256([]byte(access))
		if half != base64.RawURLEncoding.EncodeToString(sum[:16]) {
			m.Error("at_hash is of another token")
		}
	}
	if at, told := all["auth_time"].(float64); told && (at > now+5 || at > iat+5) || !told && (q.Has("max_age") || all["auth_time"] != nil) {
		m.Errorf("auth_time is %v", all["auth_time"])
	}
	if q.Has("acr_values") && !slices.Contains(strings.Fields(q.Get("acr_values")), all["acr"].(string)) {
		m.Errorf("acr is %v", all["acr"])
	}
	for name := range all {
		if !slices.Contains(strings.Fields("iss sub aud azp exp iat auth_time nonce at_hash acr amr sid jti"), name) {
			m.Errorf("the ID token says %s", name)
		}
	}
	return all
}

// userinfo checks what userinfo answers: all of what was asked for, and no more.
func (m *module) userinfo(l login, r reply) map[string]any {
	m.Helper()
	all := m.object(r)
	if all["sub"] != l.said["sub"] {
		m.Errorf("sub is %v, in the ID token %v", all["sub"], l.said["sub"])
	}
	wanted := []string{"sub"}
	for scope, names := range standard() {
		if slices.Contains(strings.Fields(l.asked.Get("scope")), scope) {
			wanted = append(wanted, names...)
		}
	}
	var asked struct{ Userinfo map[string]any }
	if text := l.asked.Get("claims"); text != "" {
		if err := json.Unmarshal([]byte(text), &asked); err != nil {
			m.Fatal(err)
		}
	}
	wanted = append(wanted, slices.Collect(maps.Keys(asked.Userinfo))...)
	slices.Sort(wanted)
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, wanted) {
		m.Errorf("userinfo says %q, want %q", got, wanted)
	}
	m.wellFormed(all)
	return all
}

// wellFormed holds standard claims to OpenID Connect Core 1.0 §5.1.
func (m *module) wellFormed(all map[string]any) {
	m.Helper()
	for name, value := range all {
		good := false
		text, isText := value.(string)
		switch name {
		case "email_verified", "phone_number_verified":
			_, good = value.(bool)
		case "updated_at":
			_, good = value.(float64)
		case "address":
			members, isObject := value.(map[string]any)
			good = isObject && len(members) > 0
			for part, of := range members {
				_, said := of.(string)
				good = good && said && slices.Contains(strings.Fields("formatted street_address locality region postal_code country"), part)
			}
		case "profile", "picture", "website":
			at, err := url.Parse(text)
			good = err == nil && at.IsAbs() && at.Host != ""
		case "email":
			at, err := mail.ParseAddress(text)
			good = err == nil && at.Address == text
		case "birthdate":
			_, err := time.Parse(time.DateOnly, text)
			good = err == nil
		case "zoneinfo":
			_, err := time.LoadLocation(text)
			good = err == nil && text != ""
		default:
			good = isText && text != ""
		}
		if !good {
			m.Errorf("%s is %v", name, value)
		}
	}
}

// userinfoBy asks userinfo in another way.
func (m *module) userinfoBy(l login, method string, form url.Values, header http.Header) {
	m.Helper()
	m.userinfo(l, m.call(method, m.endpoint("userinfo_endpoint"), form, header))
}
