package config

// Upstream is one external identity provider.
type Upstream struct {
	// The name in callback URLs and references, `^[0-9a-z-]+$`. Users belong to it: renaming it makes them strangers.
	ID string `yaml:"id" validate:"required,slug"`
	// The protocol it speaks.
	Type string `yaml:"type" default:"oidc" validate:"upstreamtype"`
	// The tenant whose users it signs in.
	Tenant string `yaml:"tenant" default:"default"`
	// The name that people choose it by.
	Name string `yaml:"name" otherwise:"the id" validate:"max=200"`
	// Its issuer URL, exactly as its discovery document and tokens say it.
	Issuer string `yaml:"issuer" validate:"required,issuer"`
	// Our client identifier there.
	ClientID string `yaml:"client_id" validate:"required,max=1024"`
	// Our client secret there.
	ClientSecret Secret `yaml:"client_secret" validate:"required"`
	// How our secret is sent to its token endpoint.
	TokenEndpointAuthMethod string `yaml:"token_endpoint_auth_method" default:"client_secret_basic" validate:"oneof=client_secret_basic client_secret_post"`
	// The scopes to ask for; `openid` is one of them.
	Scopes []string `yaml:"scopes" default:"openid profile email" validate:"min=1,dive,scope"`
	// How it sends the browser back to us: with its answer in the address, or in a form that its page posts, which leaves no code in logs and histories.
	ResponseMode string `yaml:"response_mode" default:"query" validate:"oneof=query form_post"`
	// The mail domains it speaks for, exactly these and no subdomains. Used to choose the upstream for an address, and as its authority over addresses.
	Domains []string `yaml:"domains" validate:"dive,domain"`
	// Whether it is believed about addresses within its `domains` only, or about `any`.
	TrustEmail string `yaml:"trust_email" default:"domains" validate:"oneof=domains any"`
	// Whether users get a subject of our own, or keep the upstream's; the latter only where the tenant has this one upstream.
	Subject string `yaml:"subject" default:"own" validate:"oneof=own upstream"`
	// Which of its claims make a user's customer number and e-mail address.
	User UserSources `yaml:"user"`
	// What signing out here does to the user's session there: `follow` sends the browser to its end_session_endpoint, if it has one, and on from there; `leave` leaves it alone. Register <issuer>/end_session/return with it as a post-logout redirect URI.
	EndSession string `yaml:"end_session" default:"follow" validate:"oneof=follow leave"`
	// Who answers the Users contract for its users.
	Directory Directory `yaml:"directory"`
	// Where its users set a new password; linked from password reset mails.
	PasswordResetURL string `yaml:"password_reset_url" validate:"omitempty,weburl"`
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
