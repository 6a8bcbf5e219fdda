package config

import "time"

// Upstream is one external identity provider.
type Upstream struct {
	// The name in callback URLs and references, `^[0-9a-z-]+$`. Users belong to it: renaming it makes them strangers.
	ID string `yaml:"id" validate:"required,slug"`
	// The protocol it speaks: OpenID Connect, or plain OAuth 2.0 with a profile to read.
	Type string `yaml:"type" default:"oidc" validate:"oneof=oidc oauth2"`
	// The tenant whose users it signs in.
	Tenant string `yaml:"tenant" default:"default"`
	// The name that people choose it by.
	Name string `yaml:"name" otherwise:"the id" validate:"max=200"`
	// Its issuer URL, exactly as its discovery document and tokens say it. With `type: oauth2` it may be left out: the origin of `token_endpoint` stands in.
	Issuer string `yaml:"issuer" validate:"omitempty,issuer"`
	// With `type: oauth2`: where browsers are sent.
	AuthorizationEndpoint string `yaml:"authorization_endpoint" validate:"omitempty,weburl"`
	// With `type: oauth2`: where codes are redeemed.
	TokenEndpoint string `yaml:"token_endpoint" validate:"omitempty,weburl"`
	// With `type: oauth2`: where the user's profile is, a JSON object.
	UserinfoEndpoint string `yaml:"userinfo_endpoint" validate:"omitempty,weburl"`
	// With `type: oauth2`: where the user's addresses are, if not in the profile; the primary one counts.
	EmailEndpoint string `yaml:"email_endpoint" validate:"omitempty,weburl"`
	// With `type: oauth2`: the member of the profile that identifies the user and never changes, dots lead inside.
	SubjectClaim string `yaml:"subject_claim" otherwise:"sub" validate:"omitempty,claim"`
	// With `type: oauth2`, which has no word for it: whether to refuse `prompt=login` and `max_age`, or to assume that every sign-in there is a new authentication.
	Reauthentication string `yaml:"reauthentication" default:"refuse" validate:"oneof=refuse assume"`
	// Our client identifier there.
	ClientID string `yaml:"client_id" validate:"required,max=1024"`
	// Our client secret there.
	ClientSecret Secret `yaml:"client_secret"`
	// How we prove who we are at its token endpoint: with the secret in a header or in the form, or with a signature by `client_key`.
	TokenEndpointAuthMethod string `yaml:"token_endpoint_auth_method" default:"client_secret_basic" validate:"oneof=client_secret_basic client_secret_post private_key_jwt"`
	// With `private_key_jwt`: our key.
	ClientKey *ClientKey `yaml:"client_key"`
	// Whether authorization requests are pushed to it first (RFC 9126): where it requires that, always, or never.
	PAR string `yaml:"par" default:"auto" validate:"oneof=auto always never"`
	// The scopes to ask for; `openid` is one of them. With `type: oauth2` they must be said.
	Scopes []string `yaml:"scopes" default:"openid profile email" validate:"min=1,dive,scope"`
	// How it sends the browser back to us: with its answer in the address, or in a form that its page posts, which leaves no code in logs and histories.
	ResponseMode string `yaml:"response_mode" default:"query" validate:"oneof=query form_post"`
	// The prompt to ask for where the relying party asks for none.
	Prompt []string `yaml:"prompt" validate:"dive,oneof=login consent select_account"`
	// Parameters added to every authorization request, such as `hd`; none of those that the protocol sets.
	AuthorizationParams map[string]string `yaml:"authorization_params"`
	// Which of its words for how a user authenticated mean which of ours.
	ACR ACR `yaml:"acr"`
	// Its words for methods of authentication (amr) and ours for them; what is not listed stays.
	AMR map[string]string `yaml:"amr"`
	// The mail domains it speaks for, exactly these and no subdomains. Used to choose the upstream for an address, and as its authority over addresses.
	Domains []string `yaml:"domains" validate:"dive,domain"`
	// Whether it is believed about addresses within its `domains` only, or about `any`.
	TrustEmail string `yaml:"trust_email" default:"domains" validate:"oneof=domains any"`
	// Whether users get a subject of our own, or keep the upstream's; the latter only where the tenant has this one upstream.
	Subject string `yaml:"subject" default:"own" validate:"oneof=own upstream"`
	// Which of its claims make a user's customer number and e-mail address.
	User UserSources `yaml:"user"`
	// Whether it is asked about its users again when clients refresh.
	Freshness Freshness `yaml:"freshness"`
	// What signing out here does to the user's session there: `follow` sends the browser to its end_session_endpoint, if it has one, and on from there; `leave` leaves it alone. Register <issuer>/end_session/return with it as a post-logout redirect URI.
	EndSession string `yaml:"end_session" default:"follow" validate:"oneof=follow leave"`
	// Who answers the Users contract for its users.
	Directory Directory `yaml:"directory"`
	// Where its users set a new password; linked from password reset mails.
	PasswordResetURL string `yaml:"password_reset_url" validate:"omitempty,weburl"`
	// With `type: oidc`: whether its logout tokens are taken, at `/backchannel_logout/{id}` (OpenID Connect Back-Channel Logout 1.0): they end the sessions that they name. Register the address there.
	BackchannelLogout bool `yaml:"backchannel_logout" default:"true"`
	// With `type: oidc`: whether it may sign users out by a page of ours in a frame, at `/frontchannel_logout/{id}` (OpenID Connect Front-Channel Logout 1.0). Register the address there, with the session required.
	FrontchannelLogout bool `yaml:"frontchannel_logout" default:"true"`
}

// Freshness says whether an upstream is asked again about a user who is away.
type Freshness struct {
	// Ask at every refresh, at those after its last answer has become so old, or never. It is asked with its refresh token (which it gives for a scope such as `offline_access`), or with an access token that is still good.
	Check string `yaml:"check" default:"never" validate:"oneof=never always after"`
	// With `check: after`: how old its last answer may become.
	After time.Duration `yaml:"after" default:"1h" validate:"min=1s,max=8760h"`
	// While it cannot be reached: go on with what it said last, answer 503, or go on for so long after its last answer.
	Unreachable string `yaml:"unreachable" default:"deny" validate:"oneof=allow deny allow_for"`
	// With `unreachable: allow_for`: how long.
	AllowFor time.Duration `yaml:"allow_for" default:"24h" validate:"min=1s,max=8760h"`
	// Where it left nothing to ask with: go on with what it said last, or have the user sign in again.
	NothingToCheck string `yaml:"nothing_to_check" default:"allow" validate:"oneof=allow deny"`
}

// ClientKey is a private key of ours at an upstream.
type ClientKey struct {
	// The key: PEM or JWK.
	Key Secret `yaml:"key,multiline" validate:"required"`
	// Its key id.
	ID string `yaml:"id" otherwise:"that of the JWK, or the thumbprint" validate:"max=255"`
	// What it signs by.
	Alg string `yaml:"alg" otherwise:"what goes with the key" validate:"omitempty,oneof=ES256 RS256 PS256 EdDSA"`
	// Whom a proof is made for: the token endpoint or the issuer.
	Audience string `yaml:"audience" default:"token_endpoint" validate:"oneof=token_endpoint issuer"`
}

// ACR says how an upstream's authentication context classes and ours go
// together.
type ACR struct {
	// Ours and theirs. Where any is listed, others are neither asked for nor believed.
	Map map[string]string `yaml:"map" otherwise:"every word is taken as it is"`
	// Ask for and believe also what is not listed, except for words of ours.
	PassUnknown bool `yaml:"pass_unknown" default:"false"`
	// That of logins about which it says none. It is your word: nobody proves it.
	Default string `yaml:"default" validate:"max=255"`
}

// UserSources lists claims; the first that has a value counts.
type UserSources struct {
	// Claims for the customer number.
	Customer []string `yaml:"customer" default:"sub" validate:"min=1,dive,claim"`
	// Claims for the e-mail address.
	Email []string `yaml:"email" default:"email" validate:"min=1,dive,claim"`
}

// Directory says where users are looked up.
type Directory struct {
	// The kind of directory. This build has `local`: the users Drawbridge has seen.
	Driver string `yaml:"driver" default:"local" validate:"oneof=local"`
}
