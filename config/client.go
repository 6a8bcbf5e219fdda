package config

import "time"

// Client is a relying party. Keys are those of OAuth 2.0 Dynamic Client
// Registration (RFC 7591 §2) and OpenID Connect wherever these have one.
type Client struct {
	// The client identifier, unique in the file.
	ClientID string `yaml:"client_id" validate:"required,clientid"`
	// The tenant whose users it signs in.
	Tenant string `yaml:"tenant" default:"default"`
	// The name that people see.
	ClientName string `yaml:"client_name" otherwise:"the client_id" validate:"max=200"`
	// A picture for pages that name the client.
	LogoURI string `yaml:"logo_uri" validate:"omitempty,weburl"`
	// The client's home page, linked where users are asked to agree.
	ClientURI string `yaml:"client_uri" validate:"omitempty,weburl"`
	// Its privacy policy, linked there too.
	PolicyURI string `yaml:"policy_uri" validate:"omitempty,weburl"`
	// Its terms of service, linked there too.
	TOSURI string `yaml:"tos_uri" validate:"omitempty,weburl"`
	// How its users tell where they have their account; see the tenants' key of this name.
	SignIn string `yaml:"sign_in" otherwise:"that of its tenant" validate:"omitempty,oneof=choose identifier"`
	// Its secret. Required unless the client is public.
	ClientSecret Secret `yaml:"client_secret"`
	// Several secrets that are all accepted, to replace one without an outage; instead of `client_secret`.
	ClientSecrets []Secret `yaml:"client_secrets"`
	// How it authenticates at the token endpoint; `none` makes it a public client.
	TokenEndpointAuthMethod string `yaml:"token_endpoint_auth_method" default:"client_secret_basic" validate:"oneof=client_secret_basic client_secret_post none"`
	// Where users may be sent back to, compared exactly. https, http on a loopback address, or for a public client a private-use scheme such as com.example.app:/callback.
	RedirectURIs []string `yaml:"redirect_uris" validate:"required,min=1"`
	// Where users may be sent after signing out, by the same rules.
	PostLogoutRedirectURIs []string `yaml:"post_logout_redirect_uris"`
	// What it may redeem at the token endpoint.
	GrantTypes []string `yaml:"grant_types" default:"authorization_code" validate:"min=1,dive,oneof=authorization_code refresh_token"`
	// What it may ask for at the authorization endpoint.
	ResponseTypes []string `yaml:"response_types" default:"code" validate:"min=1,dive,oneof=code"`
	// The scopes it may ask for, separated by spaces.
	Scope SpaceSeparated `yaml:"scope" otherwise:"openid profile email address phone, and offline_access where grant_types has refresh_token"`
	// The signature of its ID tokens. EdDSA is with Ed25519.
	IDTokenSignedResponseAlg string `yaml:"id_token_signed_response_alg" default:"RS256" validate:"oneof=RS256 ES256 PS256 EdDSA"`
	// What its users' `sub` is: `public` is the user's id, the same everywhere; `pairwise` differs from sector to sector, so that applications cannot compare their users. Pairwise wins over `subject: upstream`. Changing it makes users strangers to the client.
	SubjectType string `yaml:"subject_type" default:"public" validate:"oneof=public pairwise"`
	// The address whose host is the sector of a pairwise client; required where its redirect URIs do not have one host. It is not fetched: this file is believed. Clients of one sector share subjects; another host makes users strangers.
	SectorIdentifierURI string `yaml:"sector_identifier_uri" otherwise:"the host of its redirect URIs" validate:"omitempty,weburl"`
	// How its ID tokens are encrypted, after they were signed; needs jwks or jwks_uri.
	IDTokenEncryptedResponseAlg string `yaml:"id_token_encrypted_response_alg" otherwise:"they are not" validate:"omitempty,oneof=RSA-OAEP RSA-OAEP-256 ECDH-ES ECDH-ES+A128KW ECDH-ES+A256KW"`
	// What the content of encrypted ID tokens is encrypted with.
	IDTokenEncryptedResponseEnc string `yaml:"id_token_encrypted_response_enc" default:"A128CBC-HS256" validate:"oneof=A128CBC-HS256 A256CBC-HS512 A128GCM A256GCM"`
	// The signature of its userinfo answers, which are then JWTs.
	UserinfoSignedResponseAlg string `yaml:"userinfo_signed_response_alg" otherwise:"they are not signed, but plain JSON" validate:"omitempty,oneof=RS256 ES256 PS256 EdDSA"`
	// How its userinfo answers are encrypted, after they were signed if they are; needs jwks or jwks_uri.
	UserinfoEncryptedResponseAlg string `yaml:"userinfo_encrypted_response_alg" otherwise:"they are not" validate:"omitempty,oneof=RSA-OAEP RSA-OAEP-256 ECDH-ES ECDH-ES+A128KW ECDH-ES+A256KW"`
	// What the content of encrypted userinfo answers is encrypted with.
	UserinfoEncryptedResponseEnc string `yaml:"userinfo_encrypted_response_enc" default:"A128CBC-HS256" validate:"oneof=A128CBC-HS256 A256CBC-HS512 A128GCM A256GCM"`
	// Its public keys, a JSON Web Key Set (RFC 7517 §5).
	JWKS map[string]any `yaml:"jwks"`
	// Where it publishes its public keys, instead of `jwks`. They are fetched when they are needed, and again after the time that the answer's max-age says.
	JWKSURI string `yaml:"jwks_uri" validate:"omitempty,weburl"`
	// The upstreams its users may choose from.
	Upstreams []string `yaml:"upstreams" otherwise:"all of its tenant"`
	// Whether users are asked before the client learns about them.
	Consent string `yaml:"consent" default:"ask" validate:"oneof=ask skip"`
	// Refuse authorization requests without PKCE (S256).
	RequirePKCE bool `yaml:"require_pkce" otherwise:"true for public clients, which cannot turn it off"`
	// Names that the client may send as `hook_context_custom_param.<name>`.
	HookContextCustomParams []string `yaml:"hook_context_custom_params" validate:"dive,param"`
	// Users who signed in longer ago than this sign in again, unless the request says otherwise. Whole seconds; 0s always.
	DefaultMaxAge *time.Duration `yaml:"default_max_age" otherwise:"no limit"`
	// Where it takes logout tokens: it is told that a session has ended that it took part in, also when the user is not there. https, or http on a loopback address.
	BackchannelLogoutURI string `yaml:"backchannel_logout_uri" validate:"omitempty,weburl"`
	// It needs `sid` in logout tokens. They always have it.
	BackchannelLogoutSessionRequired bool `yaml:"backchannel_logout_session_required" default:"false"`
	// What the user's browser loads, in a frame, when the user signs out. Scheme, host and port are those of one of its redirect URIs.
	FrontchannelLogoutURI string `yaml:"frontchannel_logout_uri" validate:"omitempty,weburl"`
	// It needs `iss` and `sid` added to that address. They always are.
	FrontchannelLogoutSessionRequired bool `yaml:"frontchannel_logout_session_required" default:"false"`
	// The ends of sessions that it is told of.
	LogoutOn []string `yaml:"logout_on" default:"LOGOUT DESTROY MAX_TIMEOUT" validate:"min=1,dive,oneof=LOGOUT DESTROY MAX_TIMEOUT IDLE_TIMEOUT"`
	// The ends of a session that also end what the client was given by offline_access. Refresh tokens without that scope end with the session in any case.
	OfflineAccessEndsOn []string `yaml:"offline_access_ends_on" otherwise:"none: it outlives the session" validate:"dive,oneof=LOGOUT DESTROY MAX_TIMEOUT IDLE_TIMEOUT"`
	// What its access tokens look like. `jwt` is RFC 9068: resource servers can read it without asking, and then do not see that it was revoked or that its session has ended.
	AccessTokenFormat string `yaml:"access_token_format" default:"opaque" validate:"oneof=opaque jwt"`
	// The signature of its JWT access tokens.
	AccessTokenSignedResponseAlg string `yaml:"access_token_signed_response_alg" default:"RS256" validate:"oneof=RS256 ES256 PS256 EdDSA"`
	// What its access tokens may be meant for: the absolute URIs it may name as `resource` (RFC 8707). It may always name the issuer, where userinfo is; without any the issuer is meant.
	Resources []string `yaml:"resources" validate:"dive,resource"`
	// The resources that it is the server of: it may introspect access tokens that are meant for them, whichever client they were issued to.
	ResourceServerFor []string `yaml:"resource_server_for" validate:"dive,resource"`
	// Which access tokens it may introspect: `served` are its own and those for `resource_server_for`, `any` are all of its tenant.
	Introspect string `yaml:"introspect" default:"served" validate:"oneof=served any"`
	// What is said to this client about a user.
	Claims ClientClaims `yaml:"claims"`
}

// Public reports whether the client cannot keep a secret.
func (c Client) Public() bool { return c.TokenEndpointAuthMethod == "none" }

// ClientClaims shapes what one client learns.
type ClientClaims struct {
	// Rules that write claims, in order.
	Mapping []Mapping `yaml:"mapping" validate:"dive"`
	// Claims this client wants in the ID token as well as from userinfo.
	IDToken []string `yaml:"id_token" validate:"dive,claim"`
	// Claims for resource servers: in its JWT access tokens and in what introspection says of its access tokens.
	AccessToken []string `yaml:"access_token" validate:"dive,claim"`
	// The hook that customises the claims.
	Hook string `yaml:"hook"`
	// Values for the hook's contextCustomParams: a name and a list of texts. They win over what a request says.
	Context map[string][]string `yaml:"context"`
	// Inputs with the claims that must come of them. A configuration whose examples fail is refused.
	Examples []Example `yaml:"examples" validate:"dive"`
}

// Mapping writes one claim, or takes one away.
type Mapping struct {
	// The claim to write. A protected name is allowed, since it is named here; a name that only Drawbridge sets is not.
	Claim string `yaml:"claim" validate:"required,claim"`
	// The upstream's claims to take it from, with dots for paths into them; the first that has a value counts.
	From []string `yaml:"from" validate:"dive,claim"`
	// The value where none of them has one. Anything that JSON can say.
	Default any `yaml:"default"`
	// What the value is converted to.
	Type string `yaml:"type" otherwise:"left as it is" validate:"omitempty,oneof=string int bool array json"`
	// Take the upstream's claim of this name away, from the hook's eyes too; excludes the other keys.
	Remove bool `yaml:"remove" default:"false"`
}

// Example is one input with its expected outcome. Values are nil, bool, string,
// json.Number, []any and map[string]any.
type Example struct {
	// What the example shows.
	Name string `yaml:"name" validate:"max=200"`
	// What the upstream says about the user.
	Claims map[string]any `yaml:"claims" validate:"required"`
	// The scopes that are granted.
	Scopes []string `yaml:"scopes" otherwise:"all that the client may ask for" validate:"dive,scope"`
	// The body of the hook's answer, as it was recorded.
	HookAnswer map[string]any `yaml:"hook_answer" otherwise:"its 204: no change"`
	// The claims that the client then gets, no more and no less.
	Expect map[string]any `yaml:"expect" validate:"required"`
}
