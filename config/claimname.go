package config

import (
	"strings"
	"unicode"
)

// minted is the name in the closed list of claims that only Drawbridge itself
// sets which readers of JSON would take for the given one, or "". The list is
// that of package claims, which this package must not import.
func minted(name string) string {
	for _, own := range []string{
		"iss", "aud", "sub", "exp", "iat", "nbf", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash",
		"sid", "auth_time", "acr", "amr", "cnf", "events", "client_id", "scope", "typ",
	} {
		if strings.EqualFold(name, own) {
			return own
		}
	}
	return ""
}

// misspelled returns the protected name that a claim differs from in letter
// case only, or "".
func misspelled(name string) string {
	for _, own := range []string{"verified_claims", "group_permissions"} {
		if name != own && strings.EqualFold(name, own) {
			return own
		}
	}
	const prefix = "urn:onegini.com:oidc:"
	for i := range name {
		if start, rest := name[:i], name[i:]; start != prefix && strings.EqualFold(start, prefix) {
			return prefix + rest
		}
	}
	return ""
}

func claimRule(given string) string {
	bad := given == "" || len(given) > maxKey || strings.TrimSpace(given) != given || strings.ContainsFunc(given, unicode.IsControl)
	return unless(!bad, "must be the name of a claim")
}

// claimPatternRule takes a name, or a prefix with one star behind it.
func claimPatternRule(given string) string {
	name := strings.TrimSuffix(given, "*")
	if claimRule(name) != "" || strings.Contains(name, "*") {
		return "must be the name of a claim, or a prefix with one * at its end"
	}
	return ""
}
