package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// Options say which provider, and as whom we are registered there.
type Options struct {
	ID           string
	Issuer       string
	ClientID     string
	ClientSecret federation.Secret
	// AuthMethod is AuthBasic, AuthPost or PrivateKeyJWT; empty is AuthBasic.
	AuthMethod federation.AuthMethod
	// Key is our private key, with PrivateKeyJWT.
	Key *Key
	// Scopes are asked for; openid is added where it is missing.
	Scopes []string
	// ResponseMode is asked for: "query", "form_post", or empty to say nothing,
	// which is query (OAuth 2.0 Multiple Response Types §2.1).
	ResponseMode string
	// PAR says whether requests are pushed; empty is PARAuto.
	PAR PAR
	// Prompt is asked for where the relying party asks for none. Extra is added
	// to every authorization request; see Reserved.
	Prompt []string
	Extra  map[string]string
	// Assurance says how their words about logins and ours go together.
	Assurance Assurance
	// HTTP is the guarded client; bodies are bounded here.
	HTTP *http.Client
	Now  func() time.Time
	Log  *slog.Logger
	// Skew is the difference of clocks that is forgiven; 0 is a minute.
	Skew time.Duration

	// named: somebody gave Issuer, it is not a guess.
	named bool
}

// OIDC is a connector to one OpenID provider.
type OIDC struct {
	o     Options
	http  *http.Client
	cache discovery
}

// New makes a connector. It asks nothing of the provider.
func New(o Options) (*OIDC, error) {
	if err := o.ready(); err != nil {
		return nil, err
	}
	c := &OIDC{o: o, http: bounded(o.HTTP)}
	c.cache = discovery{fetch: c.discover, now: o.Now}
	return c, nil
}

// ready fills in what is left out and refuses what cannot work.
func (o *Options) ready() error {
	if o.ID == "" || o.Issuer == "" || o.ClientID == "" || o.HTTP == nil || o.Now == nil || o.Log == nil {
		return errors.New("upstream: id, issuer, client id, HTTP client, clock and logger are needed")
	}
	switch o.AuthMethod {
	case "":
		o.AuthMethod = federation.AuthBasic
	case federation.AuthBasic, federation.AuthPost:
	case PrivateKeyJWT:
		if o.Key == nil {
			return errors.New("upstream: private_key_jwt needs a key")
		}
	default:
		return errors.New("upstream: unknown authentication method")
	}
	if o.Skew == 0 {
		o.Skew = time.Minute
	}
	return nil
}

// caller is who we are at the provider with this token endpoint.
func (o *Options) caller(client *http.Client, token string) caller {
	return caller{http: client, id: o.ClientID, secret: o.ClientSecret, method: o.AuthMethod, key: o.Key, issuer: o.Issuer, token: token, now: o.Now}
}

// call is who we are at the provider that discovery found.
func (c *OIDC) call(p *provider) caller { return c.o.caller(c.http, p.meta.Token) }

// EndSessionURL is the address that ends the provider's session (OpenID Connect
// RP-Initiated Logout 1.0 §2), empty where the provider has none.
func (c *OIDC) EndSessionURL(ctx context.Context, idTokenHint, back, state string) (string, error) {
	p, err := c.cache.provider(ctx)
	if err != nil || p.meta.EndSession == "" {
		return "", err
	}
	u, err := url.Parse(p.meta.EndSession)
	if err != nil {
		return "", distrust("discovery", err)
	}
	q := u.Query()
	q.Set("client_id", c.o.ClientID)
	if idTokenHint != "" {
		q.Set("id_token_hint", idTokenHint)
	}
	if back != "" {
		q.Set("post_logout_redirect_uri", back)
		q.Set("state", state)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}
