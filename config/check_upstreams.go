package config

import (
	"maps"
	"slices"
)

// upstream checks what belongs together in one upstream.
func (c *checker) upstream(i int, u Upstream) {
	path := func(key string) string { return at("upstreams", i, "%s", key) }
	need := func(key, why string) {
		if !c.given(path(key)) {
			c.fault(path(key), "is required%s", why)
		}
	}
	alone := func(why string, keys ...string) {
		for _, key := range keys {
			if c.given(path(key)) {
				c.fault(path(key), "is only used with %s", why)
			}
		}
	}
	endpoints := []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint"}
	switch {
	case !c.sound(path("type")):
	case u.Type == "oauth2":
		for _, key := range append(endpoints, "scopes") {
			need(key, " with type: oauth2")
		}
		alone("type: oidc", "par", "end_session", "backchannel_logout", "frontchannel_logout")
		if len(u.ACR.Map) > 0 || u.ACR.PassUnknown || len(u.AMR) > 0 {
			c.fault(path("acr"), "may only have a default with type: oauth2, which says nothing of how users authenticated")
		}
	default:
		need("issuer", "")
		alone("type: oauth2", append(endpoints, "email_endpoint", "subject_claim", "reauthentication")...)
		if !slices.Contains(u.Scopes, "openid") {
			c.fault(path("scopes"), "must have openid among them")
		}
	}
	if u.TokenEndpointAuthMethod == "private_key_jwt" {
		need("client_key", " with token_endpoint_auth_method: private_key_jwt")
		alone("a token_endpoint_auth_method that sends it", "client_secret")
	} else {
		if u.ClientSecret.IsZero() {
			need("client_secret", "")
			c.fault(path("client_secret"), "must not be empty")
		}
		alone("token_endpoint_auth_method: private_key_jwt", "client_key")
	}
	if u.ClientKey != nil && u.ClientKey.Audience == "issuer" && u.Type == "oauth2" && u.Issuer == "" {
		c.fault(path("client_key.audience"), "needs an issuer")
	}
	for _, name := range slices.Sorted(maps.Keys(u.AuthorizationParams)) {
		if slices.Contains(reservedParams(), name) {
			c.fault(path("authorization_params."+name), "is set by the protocol, or would change what an answer means")
		}
	}
	f := u.Freshness
	if f.Check != "after" {
		alone("freshness.check: after", "freshness.after")
	}
	if f.Check == "never" {
		alone("a freshness.check that asks", "freshness.unreachable", "freshness.nothing_to_check")
	}
	if f.Unreachable != "allow_for" {
		alone("freshness.unreachable: allow_for", "freshness.allow_for")
	}
	c.words(path("acr.map"), u.ACR.Map)
	c.words(path("amr"), u.AMR)
}

// words are values of acr and amr: acr_values separates them by spaces.
func (c *checker) words(path string, pairs map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		if complaint := acrWord(name); complaint != "" {
			c.fault(path+"."+name, "the name %s", complaint)
			continue
		}
		c.bad(path+"."+name, acrWord(pairs[name]))
	}
}

func acrWord(given string) string {
	return matching(`^[!-~]{1,255}$`, "must be of printable ASCII without spaces")(given)
}

// reservedParams are the parameters of an authorization request that only the
// protocol sets; federation/upstream has the same list and ignores them.
func reservedParams() []string {
	return []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge",
		"code_challenge_method", "prompt", "max_age", "acr_values", "claims", "login_hint", "ui_locales", "id_token_hint",
		"request", "request_uri", "client_secret", "client_assertion", "client_assertion_type"}
}
