package op

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
)

// metadata is OpenID Connect Discovery 1.0 §3: names of the IANA registry "OAuth
// Authorization Server Metadata" only.
type metadata struct {
	Issuer           string   `json:"issuer"`
	Authorization    string   `json:"authorization_endpoint"`
	Token            string   `json:"token_endpoint"`
	Userinfo         string   `json:"userinfo_endpoint"`
	JWKS             string   `json:"jwks_uri"`
	Revocation       string   `json:"revocation_endpoint"`
	EndSession       string   `json:"end_session_endpoint"`
	Scopes           []string `json:"scopes_supported"`
	ResponseTypes    []string `json:"response_types_supported"`
	ResponseModes    []string `json:"response_modes_supported"`
	Grants           []string `json:"grant_types_supported"`
	Subjects         []string `json:"subject_types_supported"`
	IDTokenAlgs      []string `json:"id_token_signing_alg_values_supported"`
	IDTokenKeyAlgs   []string `json:"id_token_encryption_alg_values_supported"`
	IDTokenEncs      []string `json:"id_token_encryption_enc_values_supported"`
	UserinfoAlgs     []string `json:"userinfo_signing_alg_values_supported"`
	UserinfoKeyAlgs  []string `json:"userinfo_encryption_alg_values_supported"`
	UserinfoEncs     []string `json:"userinfo_encryption_enc_values_supported"`
	TokenAuth        []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth   []string `json:"revocation_endpoint_auth_methods_supported"`
	ChallengeMethods []string `json:"code_challenge_methods_supported"`
	Claims           []string `json:"claims_supported"`
	ClaimTypes       []string `json:"claim_types_supported"`
	Prompts          []string `json:"prompt_values_supported"`
	ClaimsParameter  bool     `json:"claims_parameter_supported"`
	RequestParameter bool     `json:"request_parameter_supported"`
	RequestURI       bool     `json:"request_uri_parameter_supported"`
	IssParameter     bool     `json:"authorization_response_iss_parameter_supported"`
	metadataLogout
	metadataTokens
}

// metadataTokens is where resource servers ask about access tokens (RFC 8414 §2,
// RFC 7662): with a secret, unlike the others.
type metadataTokens struct {
	Introspection     string   `json:"introspection_endpoint"`
	IntrospectionAuth []string `json:"introspection_endpoint_auth_methods_supported"`
	// ACRs are those that the tenant has an order for.
	ACRs []string `json:"acr_values_supported,omitempty"`
}

// metadataLogout is OpenID Connect Back-Channel Logout 1.0 §2.1 and Front-Channel
// Logout 1.0 §3.
type metadataLogout struct {
	Backchannel         bool `json:"backchannel_logout_supported"`
	BackchannelSession  bool `json:"backchannel_logout_session_supported"`
	Frontchannel        bool `json:"frontchannel_logout_supported"`
	FrontchannelSession bool `json:"frontchannel_logout_session_supported"`
}

// describe is what a tenant offers. It is cheap enough to be made for each
// request: what it says depends on nothing but the tenant.
func describe(t federation.Tenant) metadata {
	auth := []string{string(federation.AuthBasic), string(federation.AuthPost), string(federation.AuthNone)}
	return metadata{
		Issuer: t.Issuer, Authorization: t.URL("/authorize"), Token: t.URL("/token"), Userinfo: t.URL("/userinfo"),
		JWKS: t.URL("/jwks"), Revocation: t.URL("/revoke"), EndSession: t.URL("/end_session"),
		Scopes:        []string{"openid", "profile", "email", "address", "phone", offlineAccess},
		ResponseTypes: []string{"code"}, ResponseModes: responseModes(),
		Grants: []string{grantCode, grantRefresh}, Subjects: []string{"public", "pairwise"},
		IDTokenAlgs: signingAlgs(), IDTokenKeyAlgs: clientkeys.KeyAlgs(), IDTokenEncs: clientkeys.ContentAlgs(),
		UserinfoAlgs: signingAlgs(), UserinfoKeyAlgs: clientkeys.KeyAlgs(), UserinfoEncs: clientkeys.ContentAlgs(),
		TokenAuth: auth, RevocationAuth: auth, ChallengeMethods: []string{"S256"}, ClaimTypes: []string{"normal"},
		Claims: []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
			"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
			"gender", "birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified", "address", "phone_number", "phone_number_verified"},
		Prompts: []string{"none", "login", "consent", "select_account"}, ClaimsParameter: true, IssParameter: true,
		metadataTokens: metadataTokens{Introspection: t.URL("/introspect"), IntrospectionAuth: auth[:2], ACRs: t.ACRLevels},
		metadataLogout: metadataLogout{Backchannel: true, BackchannelSession: true, Frontchannel: true, FrontchannelSession: true},
	}
}

// signingAlgs are what a client can have something signed with.
func signingAlgs() []string {
	var all []string
	for _, alg := range federation.SigningAlgs() {
		all = append(all, string(alg))
	}
	return all
}

// discovery answers the tenant's metadata (OpenID Connect Discovery 1.0 §4).
func (h *Handler) discovery(w http.ResponseWriter, r *http.Request) error {
	body, err := json.Marshal(describe(tenantOf(r)))
	if err != nil {
		return err
	}
	published(w, r, body, 5*time.Minute)
	return nil
}

// jwks answers the tenant's public keys (RFC 7517 §5).
func (h *Handler) jwks(w http.ResponseWriter, r *http.Request) error {
	body, err := h.o.Keys.JWKS(r.Context(), tenantOf(r))
	if err != nil {
		return federation.Fail(federation.TemporarilyUnavailable, "Keys cannot be read at the moment.").Because(err)
	}
	published(w, r, body, h.o.Keys.CopyFor())
	return nil
}

// published answers a public document with an entity tag, and how long a copy
// of it is good.
func published(w http.ResponseWriter, r *http.Request, body []byte, good time.Duration) {
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(good.Seconds())))
	w.Header().Set("ETag", tag)
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that has gone needs no answer
}

// matches compares entity tags weakly (RFC 9110 §13.1.2).
func matches(given []string, tag string) bool {
	for t := range strings.SplitSeq(strings.Join(given, ","), ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
			return true
		}
	}
	return false
}
