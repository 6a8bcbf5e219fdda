package conformance

import (
	"net/http"
	"slices"
	"strings"
)

func configurationCases() map[string]func(*module) {
	return map[string]func(*module){"oidcc-discovery-endpoint-verification": func(m *module) { m.metadata() }}
}

// registered are the names of the IANA registry "OAuth Authorization Server
// Metadata" that OpenID Connect providers use; others are a warning in the suite.
func registered() []string {
	return strings.Fields(`issuer authorization_endpoint token_endpoint userinfo_endpoint jwks_uri scopes_supported response_types_supported
		response_modes_supported grant_types_supported acr_values_supported subject_types_supported
		id_token_signing_alg_values_supported id_token_encryption_alg_values_supported id_token_encryption_enc_values_supported
		userinfo_signing_alg_values_supported userinfo_encryption_alg_values_supported userinfo_encryption_enc_values_supported
		token_endpoint_auth_methods_supported token_endpoint_auth_signing_alg_values_supported display_values_supported
		claim_types_supported claims_supported service_documentation claims_locales_supported ui_locales_supported
		claims_parameter_supported request_parameter_supported request_uri_parameter_supported require_request_uri_registration
		op_policy_uri op_tos_uri revocation_endpoint revocation_endpoint_auth_methods_supported
		introspection_endpoint introspection_endpoint_auth_methods_supported code_challenge_methods_supported prompt_values_supported
		authorization_response_iss_parameter_supported end_session_endpoint check_session_iframe
		backchannel_logout_supported backchannel_logout_session_supported
		frontchannel_logout_supported frontchannel_logout_session_supported`)
}

// metadata is what every discovery module of the suite demands.
func (m *module) metadata() {
	m.Helper()
	for name, value := range m.meta {
		if !slices.Contains(registered(), name) {
			m.Errorf("%s is not registered", name)
		}
		if text, isText := value.(string); isText && !strings.HasPrefix(text, "https://") {
			m.Errorf("%s is %s", name, text)
		}
	}
	for name, needed := range map[string][]string{
		"response_types_supported": {"code"}, "response_modes_supported": {"query", "form_post"}, "subject_types_supported": {"public"},
		"id_token_signing_alg_values_supported": {"RS256"}, "scopes_supported": {"openid"}, "grant_types_supported": {"authorization_code"},
		"claims_supported": {"sub"}, "token_endpoint_auth_methods_supported": {"client_secret_basic"}, "code_challenge_methods_supported": {"S256"},
	} {
		offered := m.list(name)
		for _, one := range needed {
			if !slices.Contains(offered, one) {
				m.Errorf("%s is %q, without %s", name, offered, one)
			}
		}
	}
	if slices.Contains(m.list("grant_types_supported"), "implicit") {
		m.Error("the implicit grant needs other response types")
	}
	if m.meta["ui_locales_supported"] != nil || m.meta["claims_locales_supported"] != nil {
		m.Error("locales are told: look whether they are well formed")
	}
	for _, name := range []string{"request_parameter_supported", "request_uri_parameter_supported", "claims_parameter_supported"} {
		if _, told := m.meta[name].(bool); !told {
			m.Errorf("%s is %v", name, m.meta[name])
		}
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
		m.endpoint(name)
	}
	if m.call(http.MethodGet, m.issuer+"/.well-known/openid-configuration", nil, nil).header.Get("Content-Type") != "application/json" {
		m.Error("discovery is not application/json")
	}
}

// list is a member that is a list of texts.
func (m *module) list(name string) []string {
	m.Helper()
	var texts []string
	values, _ := m.meta[name].([]any)
	for _, v := range values {
		text, isText := v.(string)
		if !isText || slices.Contains(texts, text) {
			m.Errorf("%s has %v", name, v)
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		m.Errorf("%s is %v", name, m.meta[name])
	}
	return texts
}
