package conformance

import "strings"

// The plans of the suite.
const (
	basic             = "oidcc-basic-certification-test-plan"
	formPostBasic     = "oidcc-formpost-basic-certification-test-plan"
	configuration     = "oidcc-config-certification-test-plan"
	rpInitiated       = "oidcc-rp-initiated-logout-certification-test-plan"
	backChannel       = "oidcc-backchannel-rp-initiated-logout-certification-test-plan"
	frontChannel      = "oidcc-frontchannel-rp-initiated-logout-certification-test-plan"
	sessionManagement = "oidcc-session-management-certification-test-plan"
	rpLogout          = "oidcc-client-logout-test-plan"
)

// rows are the modules of each plan.
func rows() map[string][]string {
	of := strings.Fields(`oidcc-server oidcc-response-type-missing oidcc-idtoken-signature oidcc-idtoken-unsigned
		oidcc-userinfo-get oidcc-userinfo-post-header oidcc-userinfo-post-body
		oidcc-ensure-request-without-nonce-succeeds-for-code-flow
		oidcc-scope-profile oidcc-scope-email oidcc-scope-address oidcc-scope-phone oidcc-scope-all
		oidcc-alternate-happy-flow oidcc-display-page oidcc-display-popup
		oidcc-prompt-login oidcc-prompt-none-not-logged-in oidcc-prompt-none-logged-in
		oidcc-max-age-1 oidcc-max-age-10000 oidcc-ensure-request-with-unknown-parameter-succeeds
		oidcc-id-token-hint oidcc-login-hint oidcc-ui-locales oidcc-claims-locales
		oidcc-ensure-request-with-acr-values-succeeds oidcc-codereuse oidcc-codereuse-30seconds
		oidcc-ensure-registered-redirect-uri oidcc-ensure-post-request-succeeds oidcc-server-client-secret-post
		oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported
		oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported
		oidcc-claims-essential oidcc-ensure-request-object-with-redirect-uri
		oidcc-refresh-token oidcc-ensure-request-with-valid-pkce-succeeds`)
	return map[string][]string{
		basic: of, formPostBasic: of, configuration: {"oidcc-discovery-endpoint-verification"},
		rpInitiated: strings.Fields(`oidcc-rp-initiated-logout-discovery-endpoint-verification oidcc-rp-initiated-logout
			oidcc-rp-initiated-logout-bad-post-logout-redirect-uri oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri
			oidcc-rp-initiated-logout-modified-id-token-hint oidcc-rp-initiated-logout-bad-id-token-hint
			oidcc-rp-initiated-logout-no-id-token-hint oidcc-rp-initiated-logout-no-params oidcc-rp-initiated-logout-only-state
			oidcc-rp-initiated-logout-no-post-logout-redirect-uri oidcc-rp-initiated-logout-no-state`),
		backChannel:       strings.Fields("oidcc-backchannel-logout-discovery-endpoint-verification oidcc-backchannel-rp-initiated-logout"),
		frontChannel:      strings.Fields("oidcc-frontchannel-logout-discovery-endpoint-verification oidcc-frontchannel-rp-initiated-logout"),
		sessionManagement: strings.Fields("oidcc-session-management-discovery-endpoint-verification oidcc-session-management-rp-initiated-logout"),
		rpLogout: strings.Fields(`oidcc-client-test-rp-init-logout oidcc-client-test-rp-init-logout-other-state
			oidcc-client-test-rp-init-logout-no-state oidcc-client-test-rp-frontchannel-rpinitlogout
			oidcc-client-test-rp-backchannel-rpinitlogout oidcc-client-test-rp-backchannel-rpinitlogout-alg-none
			oidcc-client-test-rp-backchannel-rpinitlogout-no-event oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce
			oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud
			oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss`),
	}
}
