package config

import (
	"net/netip"
	"time"
)

// Config is one configuration, checked and with its defaults filled in. Only
// Load makes one. The yaml tags are the keys of the file; "default" tags are
// what a key means when it is left out, "otherwise" tags say so in words.
type Config struct {
	// The URL by which relying parties know Drawbridge, exactly as they compare it. https, or http on a loopback address; no query, no fragment.
	Issuer string `yaml:"issuer" validate:"required,issuer"`
	// Where relying parties and browsers reach Drawbridge. The environment variable DRAWBRIDGE_LISTEN overrides it.
	Listen string `yaml:"listen" default:"127.0.0.1:8080" validate:"listen"`
	// Serve `listen` over TLS with this certificate.
	TLS *TLS `yaml:"tls"`
	// Address ranges of reverse proxies whose X-Forwarded-For and X-Request-Id are believed. Nobody else's are.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies" validate:"dive,notall"`
	// The private listener: Users contract, events, sessions, webhooks, metrics, health.
	Management Management `yaml:"management"`
	// Where everything that must outlive the process is kept.
	Store Store `yaml:"store"`
	// How long codes and tokens live.
	Tokens Tokens `yaml:"tokens"`
	// How signing keys are rotated.
	Keys Keys `yaml:"keys"`
	// Owners of upstreams, clients, webhooks and users. There is always one named `default`, declared or not.
	Tenants []Tenant `yaml:"tenants" validate:"dive"`
	// The external identity providers.
	Upstreams []Upstream `yaml:"upstreams" validate:"dive"`
	// The applications that sign users in through Drawbridge.
	Clients []Client `yaml:"clients" validate:"dive"`
	// Calls that are waited for and may change what is said about a user.
	Hooks []Hook `yaml:"hooks" validate:"dive"`
	// What hooks and upstreams may never change.
	Guard Guard `yaml:"guard"`
	// The pages that users see, and their languages.
	Pages Pages `yaml:"pages"`
	// How long a signed-in browser stays signed in.
	Session Session `yaml:"session"`
	// Notifications that a session has ended.
	SessionWebhooks []SessionWebhook `yaml:"session_webhooks" validate:"dive"`
	// How often what may be done. Requests beyond are answered with 429 and Retry-After. Nodes that share a store count together. Behind a reverse proxy that is not among `trusted_proxies` everybody has the address of the proxy, and limits by address are of all of them.
	Limits Limits `yaml:"limits"`
	// The mail server for verification mails. Without it nothing is mailed.
	SMTP *SMTP `yaml:"smtp"`
	// How long a node that was told to stop still serves, with /readyz red, so that balancers have noticed before its listeners close.
	ShutdownDelay time.Duration `yaml:"shutdown_delay" otherwise:"0s with bolt, 3s with redis" validate:"min=0s,max=1m"`
	// Private address ranges that outgoing calls may reach, per purpose. Every other private address is refused.
	Egress Egress `yaml:"egress"`
	// What is written to standard error.
	Log Log `yaml:"log"`
	// The name of this node in logs, and what webhooks call amlbcookie.
	NodeName string `yaml:"node_name" otherwise:"the host name" validate:"omitempty,name"`

	origin *origin
}

// origin remembers where values stand, for what is found wrong with them later.
type origin struct {
	file   string
	places map[string]place
}

// Problem locates what another package found wrong with a value of this
// configuration: a template that does not compile, an example that fails. The
// path is that of the value, such as clients[0].claims.examples[1]; for a value
// left out it is where it is missed.
func (c Config) Problem(path, text string) Problem {
	out := Problem{Line: 1, Column: 1, Path: path, Text: text}
	if c.origin == nil {
		return out
	}
	out.File = c.origin.file
	for at := path; ; at = parentPath(at) {
		if found, ok := c.origin.places[at]; ok && found.line > 0 {
			out.Line, out.Column = found.line, found.column
			return out
		}
		if at == "" {
			return out
		}
	}
}

// TLS names a certificate and its key, both PEM files.
type TLS struct {
	// PEM file with the certificate, followed by its chain.
	CertFile string `yaml:"cert_file" validate:"required"`
	// PEM file with the certificate's private key.
	KeyFile string `yaml:"key_file" validate:"required"`
}

// Management is the private listener and who may use it.
type Management struct {
	// Where the management API is reached. Keep it off public networks.
	Listen string `yaml:"listen" default:"127.0.0.1:8081" validate:"listen"`
	// Serve the management listener over TLS with this certificate.
	TLS *TLS `yaml:"tls"`
	// Who may call it, with HTTP Basic authentication.
	Credentials []Credential `yaml:"credentials" validate:"dive"`
	// The wire format of error answers: RFC 9457 problem documents, or those of one of the two source APIs.
	ErrorProfile string `yaml:"error_profile" default:"problem" validate:"oneof=problem onegini enpowerx"`
}

// Credential is one caller of the management API.
type Credential struct {
	// The user name, unique; no colon.
	Username string `yaml:"username" validate:"required,username"`
	// The password: at least 8 characters, better 16 from a password generator.
	Password Secret `yaml:"password" validate:"required,password"`
	// The tenants this caller may see and change; `*` is all of them.
	Tenants []string `yaml:"tenants" validate:"required,min=1"`
	// What this caller may use. `keys` are the tenants' signing keys, `nodes` who runs. `store` is the whole store, of all tenants: it needs `tenants: ["*"]`.
	Scopes []string `yaml:"scopes" validate:"required,min=1,dive,oneof=users events sessions webhooks keys nodes store"`
}

// Tokens are lifetimes.
type Tokens struct {
	// Of an authorization code.
	Code time.Duration `yaml:"code" default:"60s" validate:"min=1s,max=10m"`
	// Of an access token.
	AccessToken time.Duration `yaml:"access_token" default:"10m" validate:"min=1s,max=720h"`
	// Of an ID token.
	IDToken time.Duration `yaml:"id_token" default:"10m" validate:"min=1s,max=720h"`
	// How long a refresh token may lie unused.
	RefreshIdle time.Duration `yaml:"refresh_idle" default:"30d" validate:"min=1s,max=87600h"`
	// How long a grant can be refreshed in all.
	RefreshMax time.Duration `yaml:"refresh_max" default:"90d" validate:"min=1s,max=87600h"`
	// How long a refresh token that was just rotated still answers, for a client that sent it twice at once.
	RefreshGrace time.Duration `yaml:"refresh_grace" default:"10s" validate:"max=5m"`
}

// Keys is the schedule of the signing keys. No restart is ever needed.
type Keys struct {
	// How often a new signing key takes over.
	RotateEvery time.Duration `yaml:"rotate_every" default:"90d" validate:"min=1m,max=87600h"`
	// How long a replaced key stays published; at least as long as any token it signed can live.
	Overlap time.Duration `yaml:"overlap" otherwise:"7d, or the longest token lifetime if that is longer" validate:"omitempty,min=1s,max=87600h"`
}

// Tenant is an organisation with users, upstreams, clients and webhooks of its own.
type Tenant struct {
	// The slug, `^[0-9a-z-]+$`.
	ID string `yaml:"id" validate:"required,slug"`
	// The UUID that the Users contract and events use.
	UUID string `yaml:"uuid" otherwise:"minted once and kept" validate:"omitempty,uuid"`
	// The name that people see.
	Name string `yaml:"name" otherwise:"the id" validate:"max=200"`
	// The tenant's own issuer URL. The tenant `default` always has the top-level one.
	Issuer string `yaml:"issuer" otherwise:"<issuer>/t/<id>" validate:"omitempty,issuer"`
	// How users tell where they have their account, where there are several upstreams: `choose` shows them, `identifier` asks for an e-mail address or user name, whose domain says it.
	SignIn string `yaml:"sign_in" default:"choose" validate:"oneof=choose identifier"`
	// Authentication context classes (acr), as relying parties know them, the weakest first. A user who signs in anew with a stronger one steps up: the session ends (UPGRADE) and another takes its place. A session of a stronger one than was asked for with `acr_values` is enough.
	ACRLevels []string `yaml:"acr_levels" validate:"max=32"`
	// What a first sign-in is whose e-mail address somebody has who is known from another upstream, where both upstreams are believed about it: `never` the same user; `ask` has the user prove the account by signing in with it; `email` takes the upstreams' word. Addresses that a provider gives to somebody else later make `email` dangerous.
	Linking string `yaml:"linking" default:"never" validate:"oneof=never ask email"`
	// Spread a large tenant over the partitions of the store: `person` keeps everything of one person together. The order of its events is then per person, not per tenant. Never change it for a tenant that has persons.
	Spread string `yaml:"spread" default:"no" validate:"oneof=no person"`
}

// Guard adds to what is protected; nothing can be taken away.
type Guard struct {
	// Further claim names that no hook may change and no upstream may pass through; `prefix*` protects every name with the prefix.
	Protected []string `yaml:"protected" validate:"dive,claimpattern"`
	// Fail the sign-in when a hook tries to change a protected claim, instead of dropping the change and reporting it.
	Strict bool `yaml:"strict" default:"false"`
}

// Session bounds a signed-in browser.
type Session struct {
	// A session without activity ends after this time.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"30m" validate:"min=1s,max=8760h"`
	// Every session ends after this time.
	MaxLifetime time.Duration `yaml:"max_lifetime" default:"8h" validate:"min=1s,max=8760h"`
	// How many sessions a user may have at once, 1 to 1000; 0 is any number.
	MaxPerPerson int `yaml:"max_per_person" otherwise:"any number" validate:"omitempty,min=1,max=1000"`
	// What happens when one more begins: the oldest ends (DESTROY), or the sign-in is refused with `access_denied`.
	OnQuota string `yaml:"on_quota" default:"end_oldest" validate:"oneof=end_oldest refuse"`
	// While the store does not answer, activity cannot be written down. `grace` gives sessions the time back that they were idle for only because of that; `expire` does not.
	StoreOutage string `yaml:"store_outage" default:"grace" validate:"oneof=grace expire"`
}

// SMTP is the mail server.
type SMTP struct {
	// Host and port.
	Address string `yaml:"address" validate:"required,address"`
	// The sender, as in `Drawbridge <no-reply@example.org>`.
	From string `yaml:"from" validate:"required,mailbox"`
	// Whether to insist on TLS through STARTTLS.
	StartTLS string `yaml:"starttls" default:"mandatory" validate:"oneof=none opportunistic mandatory"`
	// The account at the server, where it asks for one.
	Username string `yaml:"username"`
	// The account's password.
	Password Secret `yaml:"password"`
}

// Egress lists the private address ranges that outgoing calls may reach.
type Egress struct {
	// For calls to identity providers.
	Upstreams []netip.Prefix `yaml:"upstreams" validate:"dive,notall"`
	// For calls to hooks.
	Hooks []netip.Prefix `yaml:"hooks" validate:"dive,notall"`
	// For webhook deliveries.
	Webhooks []netip.Prefix `yaml:"webhooks" validate:"dive,notall"`
	// For calls to relying parties.
	RelyingParties []netip.Prefix `yaml:"relying_parties" validate:"dive,notall"`
}

// Log chooses what is logged and how.
type Log struct {
	// The least severe level that is written.
	Level string `yaml:"level" default:"info" validate:"oneof=debug info warn error"`
	// One JSON object or one line of text per entry.
	Format string `yaml:"format" default:"json" validate:"oneof=json text"`
}
