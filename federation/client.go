package federation

import (
	"slices"

	"github.com/drawbridge-id/drawbridge/claims"
)

// AuthMethod is how a client proves itself at the token endpoint (OpenID
// Connect Core 1.0 §9).
type AuthMethod string

// The authentication methods of clients.
const (
	AuthBasic AuthMethod = "client_secret_basic"
	AuthPost  AuthMethod = "client_secret_post"
	AuthNone  AuthMethod = "none"
)

// SigningAlg is a JWS algorithm that we sign with.
type SigningAlg string

// The signing algorithms. Every tenant has keys for the first two, and for the
// others once a client of it asks for them.
const (
	RS256 SigningAlg = "RS256"
	ES256 SigningAlg = "ES256"
	PS256 SigningAlg = "PS256"
	EdDSA SigningAlg = "EdDSA" // with Ed25519 (RFC 8037)
)

// SigningAlgs are all of them.
func SigningAlgs() []SigningAlg { return []SigningAlg{RS256, ES256, PS256, EdDSA} }

// Client is a relying party as configured, with the names of OpenID Connect
// Dynamic Client Registration 1.0 §2.
type Client struct {
	ID, Tenant string
	Name       string
	LogoURI    string
	// URI, PolicyURI and TermsURI are pages about the client, shown to users who
	// are asked whether it may have something.
	URI, PolicyURI, TermsURI string
	// SignIn is how users tell where they have their account; empty is as the
	// tenant says.
	SignIn     SignIn
	AuthMethod AuthMethod
	// Secrets are all accepted, so that one can be replaced by another.
	Secrets []Secret
	// RedirectURIs and PostLogoutRedirectURIs are matched exactly.
	RedirectURIs, PostLogoutRedirectURIs []string
	GrantTypes                           []string
	// Scopes are those that the client may ask for.
	Scopes     []string
	IDTokenAlg SigningAlg
	// IDTokenEncryption is how ID tokens are encrypted, after they were signed.
	IDTokenEncryption Encryption
	// UserinfoAlg is what userinfo is signed with; it is a JWT if that is there or
	// UserinfoEncryption is wanted.
	UserinfoAlg        SigningAlg
	UserinfoEncryption Encryption
	// Keys are its own, nil where it has none.
	Keys ClientKeys
	// Upstreams are the ids of those that the client's users may come from.
	Upstreams []string
	// AskConsent makes the user agree before the client is told anything.
	AskConsent  bool
	RequirePKCE bool
	// DefaultMaxAge is in seconds; negative when there is none.
	DefaultMaxAge int
	// HookParams are the names that hook_context_custom_param.<name> may have.
	HookParams []string
	// HookContext is passed to the hook and wins over parameters.
	HookContext map[string][]string
	// Sector is whom the client shares subjects with (OpenID Connect Core 1.0
	// §8.1), a host; empty where its subjects are public.
	Sector string
	// Tokens says what its access tokens are, and which it may introspect.
	Tokens ClientTokens
	// Logout says how it hears of sessions that have ended.
	Logout ClientLogout
	// Pipeline says what is said about the client's users.
	Pipeline *claims.Pipeline
}

// MayUse says whether the client's users may come from the upstream.
func (c Client) MayUse(upstream string) bool { return slices.Contains(c.Upstreams, upstream) }

// MayGrant says whether the client may use a grant type.
func (c Client) MayGrant(grant string) bool { return slices.Contains(c.GrantTypes, grant) }

// signedWith are the algorithms of what the client is sent.
func (c Client) signedWith() []SigningAlg {
	return slices.DeleteFunc([]SigningAlg{c.IDTokenAlg, c.UserinfoAlg, c.Tokens.Alg}, func(alg SigningAlg) bool { return alg == "" })
}

// Public says whether the client has no secret.
func (c Client) Public() bool { return c.AuthMethod == AuthNone }
